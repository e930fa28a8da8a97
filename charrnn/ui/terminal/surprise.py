"""A text on a terminal, each character painted by how little the model saw it coming."""

import math
from collections.abc import Sequence
from typing import TextIO

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from charrnn.score.evaluation import Surprise
from charrnn.text.vocabulary import Vocabulary
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.text import escape, escaped

# Bits from which a style holds: from a coin's toss up. All are colours of the 256-colour palette.
STYLES = (
    (1, "black on #ffffaf"),
    (2, "black on #ffd75f"),
    (4, "black on #ff8700"),
    (8, "bold white on #af0000"),
)
DIGITS = "123456789"  # without colour: whole bits under each character, + for more


def show(
    vocab: Vocabulary, ids: np.ndarray, losses: np.ndarray, worst: Sequence[Surprise], stream: TextIO
) -> None:
    """Write the text, painted, with a legend, and the model's guesses at the worst places.

    ids : (N,); losses : (N - 1,), of ids[1:] in nats
    """
    console = Console(file=stream, highlight=False)
    coloured = console.color_system is not None and not console.no_color
    bits = np.r_[0.0, np.asarray(losses, float) / math.log(2)]
    _print(console, legend(coloured))
    begin = 0
    newline = vocab.symbols.index("\n") if "\n" in vocab.symbols else None
    ends = [k + 1 for k in np.flatnonzero(ids == newline).tolist()] if newline is not None else []
    for end in [*ends, len(ids)]:
        if begin < end:
            _print(console, line(vocab, ids[begin:end], bits[begin:end], coloured))
        begin = end
    for surprise in worst:
        _print(console, guesses(vocab, ids, surprise))


def legend(coloured: bool) -> Text:
    """What the colours, or the digits, mean."""
    text = Text("bits (−log2 p) of each character: ")
    if not coloured:
        return text.append("whole bits under it, nothing below 1, + from 10")
    for k, (least, style) in enumerate(STYLES):
        above = f"{STYLES[k + 1][0]}" if k + 1 < len(STYLES) else "…"
        text.append(f" {least}–{above} ", style).append(" ")
    return text


def line(vocab: Vocabulary, ids: np.ndarray, bits: np.ndarray, coloured: bool) -> Text:
    """One line of text, painted, or with a line of digits under it. A surprising newline is shown as ↵."""
    text, digits = Text(), Text()
    for symbol, surprise in zip(ids.tolist(), bits.tolist(), strict=True):
        shown = _symbol(vocab, symbol)
        if shown == "\n":
            if surprise < 1:
                continue
            shown = "↵"
        style = next((style for least, style in reversed(STYLES) if surprise >= least), "")
        text.append(shown, style if coloured else "")
        mark = "+" if surprise >= 10 else DIGITS[int(surprise) - 1] if surprise >= 1 else " "
        digits.append(mark.ljust(cell_len(shown)))
    digits.rstrip()
    return text if coloured or not digits else text.append("\n").append_text(digits)


def guesses(vocab: Vocabulary, ids: np.ndarray, surprise: Surprise) -> Text:
    """One line: where it is, what came, and what was held likeliest."""
    before = "".join(
        map(str, (_symbol(vocab, s) for s in ids[max(0, surprise.place - 20) : surprise.place].tolist()))
    )
    came = _quoted(vocab, int(ids[surprise.place]))
    held = "  ".join(f"{_quoted(vocab, s)} {p:.0%}" for s, p in surprise.guesses)
    context = before.replace("\n", "↵").replace("\t", " ")
    bits = surprise.nats / math.log(2)
    return Text(f"{surprise.place:>9,}  {context}[{came}]  {bits:.1f} bits, expected {held}")


def _symbol(vocab: Vocabulary, symbol: int) -> str:
    """A symbol as it can be shown: bytes beyond ASCII, which are no characters alone, as \\xNN."""
    value = vocab.symbols[symbol]
    if isinstance(value, int):
        return escape(chr(value)) if value < 0x80 else f"\\x{value:02x}"
    return escape(value)


def _quoted(vocab: Vocabulary, symbol: int) -> str:
    shown = _symbol(vocab, symbol)
    return "space" if shown == " " else escaped(shown) if shown in "\n\t" else shown


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
