"""The colours of views on a terminal, for a light and for a dark background.

Views name them; `Console` looks the names up. They are of the 256-colour palette, so that plain terminals show the
same. What is stronger differs more from the background: darker on a light one, brighter on a dark one.
"""

TRAIN, VALIDATION, BEST = "yellow", "cyan", "bold magenta"
RAISES, LOWERS = "yellow", "blue"
# of a plot's lines, in order
LINE_COLOURS = ("yellow", "cyan", "magenta", "green", "red", "blue", "bright_black", "white")

COLOUR_STEPS = 4
# Bits of surprise from which a style holds.
SURPRISE = ((2, "surprise1"), (4, "surprise2"), (8, "bold surprise3"))
COPIED = "copied1", "copied2"  # in turn, so that touching runs can be told apart

# Words for ink, and names for a ground with the ink that is readable on it.
INKS = {
    "light": {
        "yellow": "#875f00",
        "cyan": "#005f87",
        "magenta": "#870087",
        "green": "#005f00",
        "red": "#af0000",
        "blue": "#0000af",
        "bright_black": "#585858",
        "white": "#000000",
    },
    "dark": {
        "yellow": "#ffd75f",
        "cyan": "#5fd7ff",
        "magenta": "#ff87ff",
        "green": "#87d75f",
        "red": "#ff8787",
        "blue": "#87afff",
        "bright_black": "#a8a8a8",
        "white": "#ffffff",
    },
}
REST_OF_A_BAR = {"light": "#d0d0d0", "dark": "#444444"}
OF_RICH = {"progress.percentage": "magenta", "progress.download": "green", "progress.remaining": "cyan"}
GROUNDS = {  # of each kind the weakest first
    "light": {
        "cold": ("#afd7ff", "#87afd7", "#5f87d7", "#005faf"),
        "warm": ("#ffd7af", "#ffaf5f", "#ff8700", "#af5f00"),
        "surprise": ("#ffd75f", "#ff8700", "#af0000"),
        "copied": ("#875f00", "#005f87"),
    },
    "dark": {
        "cold": ("#00005f", "#005f87", "#0087d7", "#87d7ff"),
        "warm": ("#5f0000", "#875f00", "#d78700", "#ffd787"),
        "surprise": ("#875f00", "#ff8700", "#ffff87"),
        "copied": ("#ffd75f", "#87d7ff"),
    },
}


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG 2 defines it."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def on(ground: str) -> str:
    """The rich style of a ground with ink that is readable on it."""
    return f"{'#000000' if luminance(ground) > 0.18 else '#ffffff'} on {ground}"


PALETTES = {
    theme: inks
    | {name: inks[ink] for name, ink in OF_RICH.items()}
    | {"bar.back": REST_OF_A_BAR[theme]}
    | {f"{kind}{k}": on(ground) for kind, ramp in GROUNDS[theme].items() for k, ground in enumerate(ramp, 1)}
    for theme, inks in INKS.items()
}


def step_style(step: int) -> str:
    """The style of a step from −4 (blue) to 4 (orange)."""
    return "" if step == 0 else f"{'warm' if step > 0 else 'cold'}{abs(step)}"


def step_of(value: float, scale: float) -> int:
    """The step of a signal whose largest size is ``scale``."""
    if not scale > 0 or value != value:
        return 0
    return max(-COLOUR_STEPS, min(COLOUR_STEPS, round(COLOUR_STEPS * value / scale)))
