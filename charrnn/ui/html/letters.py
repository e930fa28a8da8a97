"""A text as HTML, each character in its colour. No character of it can act: it is escaped, and made visible."""

import html
from collections.abc import Iterator, Sequence
from itertools import groupby

from charrnn.ui.terminal.findings_view import Look

STEPS = 8  # either way, as classes n8 … n1 and p1 … p8
_VISIBLE = Look(colour=True)


def step(share: float) -> str:
    """The class of a share of the scale from −1 to 1; none near zero, or where there is no number."""
    if share != share:
        return ""
    k = max(-STEPS, min(STEPS, round(STEPS * share)))
    return "" if k == 0 else f"{'n' if k < 0 else 'p'}{abs(k)}"


def letters(text: str, classes: Sequence[str], titles: Sequence[str] | None = None) -> str:
    """The text in a block, with a class and perhaps a title for each character."""
    each = zip(text, classes, titles or [""] * len(text), strict=True)
    return f'<div class="letters">{"".join(_spans(each))}</div>'


def _spans(each: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    """The characters in spans, those that look the same together."""
    for (look, title), run in groupby(map(_shown, each), key=lambda one: one[1:]):
        within = "".join(shown for shown, *_ in run)
        about = f' class="{look}"' * bool(look) + f' title="{html.escape(title)}"' * bool(title)
        yield f"<span{about}>{within}</span>" if about else within


def _shown(one: tuple[str, str, str]) -> tuple[str, str, str]:
    """A character as HTML, its class and its title. A newline and a tab stay themselves, behind a sign."""
    character, look, title = one
    if character in "\n\t":
        return character, f"{'nl' if character == chr(10) else 'tab'} {look}".strip(), title
    return html.escape(visible(character)), look, title


def visible(text: str) -> str:
    """The text with every character made visible; line ends stay."""
    return "".join(ch if ch == "\n" else _VISIBLE.glyph(ch) for ch in text)


def escaped(text: object) -> str:
    """Any text for HTML, with every character made visible."""
    return html.escape(visible(str(text)))


def scale(low: str, high: str, first: int = -STEPS) -> str:
    """The colours of the steps from `first` to 8 between the names of their ends."""
    steps = "".join(f'<i class="{step(k / STEPS)}"></i>' for k in range(first, STEPS + 1))
    return (
        f'<span class="scale"><span>{escaped(low)}</span><span aria-hidden="true">{steps}</span>'
        f"<span>{escaped(high)}</span></span>"
    )
