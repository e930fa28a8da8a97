"""The characters that views draw with: one table in Unicode, and one in ASCII for encodings without it."""

from dataclasses import dataclass

import rich.console

DIGITS = "0123456789"  # used instead of bars that would look too similar
BRAILLE = ((0, 3), (1, 4), (2, 5), (6, 7))  # bit of the dot at [row][column], as Unicode numbers them


@dataclass(frozen=True)
class Glyphs:
    """A character of a plot holds `columns` by `rows` dots: a Braille character, or `dot` for any of them."""

    columns: int
    rows: int
    dot: str | None
    vertical: str  # an axis, and with a tick to the left and to the right
    left_tick: str
    right_tick: str
    horizontal: str
    down_tick: str
    corner: str
    validation: str  # marks of a loss chart
    best: str
    bars: str  # lowest to highest
    full: str  # a bar lying down is made of it
    shades: str  # none, one, and more and more
    newline: str
    tab: str
    item_begin: str  # marks of items: what one begins with, and its end
    item_end: str
    space: str
    on: str  # marks of a label above a text
    masked: str
    unknown: str  # for a character that cannot be shown
    copied: tuple[str, str]  # around a copied run
    right: str
    wrong: str
    strokes: str  # of an edge, weakest to strongest
    arrow: str

    def cell(self, dots: set[tuple[int, int]]) -> str:
        """The character with these dots set, (column, row) from its upper left."""
        if self.dot is not None:
            return self.dot
        return chr(0x2800 + sum(1 << BRAILLE[row][column] for column, row in dots))


UNICODE = Glyphs(
    columns=2,
    rows=4,
    dot=None,
    vertical="│",
    left_tick="┤",
    right_tick="├",
    horizontal="─",
    down_tick="┬",
    corner="└",
    validation="●",
    best="◆",
    bars="▁▂▃▄▅▆▇█",
    full="█",
    shades=" ·░▒▓█",
    newline="↵",
    tab="→",
    item_begin="▸",
    item_end="∎",
    space="␣",
    on="━",
    masked="╌",
    unknown="\ufffd",
    copied=("⟦", "⟧"),
    right="✓",
    wrong="✗",
    strokes="╌─━",
    arrow="▶",
)
ASCII = Glyphs(
    columns=1,
    rows=1,
    dot=".",
    vertical="|",
    left_tick="|",
    right_tick="|",
    horizontal="-",
    down_tick="+",
    corner="+",
    validation="o",
    best="*",
    bars="_.-=+*%#",
    full="#",
    shades=" .:o%@",
    newline="$",
    tab=">",
    item_begin=">",
    item_end="|",
    space="_",
    on="=",
    masked="~",
    unknown="?",
    copied=("[[", "]]"),
    right="ok",
    wrong="no",
    strokes=".-=",
    arrow=">",
)


def has_unicode(console: rich.console.Console) -> bool:
    """Whether the console can show all characters."""
    return console.encoding.lower().startswith("utf")


def glyphs_of(console: rich.console.Console) -> Glyphs:
    """The glyphs that the console can show."""
    return UNICODE if has_unicode(console) else ASCII
