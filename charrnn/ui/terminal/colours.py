"""The colours of views on a terminal. Ramps are of the 256-colour palette, so that plain terminals show the same."""

TRAIN, VALIDATION, BEST = "yellow", "cyan", "bold magenta"
# of a plot's lines, in order
LINE_COLOURS = ("yellow", "cyan", "magenta", "green", "red", "blue", "bright_black", "white")

# Blue for negative, orange for positive, four steps each and none near zero.
BLUES = ("#afd7ff", "#87afd7", "#5f87d7", "#005faf")
ORANGES = ("#ffd7af", "#ffaf5f", "#ff8700", "#af5f00")
COLOUR_STEPS = 4

# Bits of surprise from which a style holds.
SURPRISE = (
    (2, "black on #ffd75f"),
    (4, "black on #ff8700"),
    (8, "bold white on #af0000"),
)
COPIED = "black on #ffd75f", "black on #87d7ff"  # in turn, so that touching runs can be told apart


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def step_style(step: int) -> str:
    """The rich style of a step from −4 (blue) to 4 (orange): a background with ink that is readable on it."""
    if step == 0:
        return ""
    background = (ORANGES if step > 0 else BLUES)[abs(step) - 1]
    return f"{'#000000' if luminance(background) > 0.18 else '#ffffff'} on {background}"


def step_of(value: float, scale: float) -> int:
    """The step of a signal whose largest size is ``scale``."""
    if not scale > 0 or value != value:
        return 0
    return max(-COLOUR_STEPS, min(COLOUR_STEPS, round(COLOUR_STEPS * value / scale)))
