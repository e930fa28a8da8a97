"""A text on a terminal, each character coloured by its surprise."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from charrnn.model.scores import in_bits
from charrnn.score.evaluation import Surprise
from charrnn.text.vocabulary import Vocabulary, silent_symbol
from charrnn.ui.terminal.colours import SURPRISE
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import DIGITS
from charrnn.ui.terminal.output import escape, escaped

LEAST = SURPRISE[0][0]
LONGEST_PIECE = 4096  # symbols of a line shown in one piece


def show(
    vocab: Vocabulary,
    ids: np.ndarray,
    losses: Iterable[np.ndarray],
    mean: float,
    worst: Sequence[Surprise],
    stream: TextIO,
    first: int = 1,
    alone: float | None = None,
) -> None:
    """Write the mean loss, the text, painted, with a legend, and the model's guesses at the worst places.

    ids : (N,), the end of an item is shown as that of a line; first : the first predicted one
    losses : of ids[first:] in nats, in windows; mean : of all of them; alone : that of the model without counts
    """
    console = Console(file=stream, highlight=False)
    beside = "" if alone is None else f"; the model alone: {alone:.4f} and {in_bits(alone):.4f}"
    _print(console, Text(f"{mean:.4f} nats per character, {in_bits(mean):.4f} bits per character{beside}"))
    look = _paint(console, vocab, ids, losses, first)
    if worst and look.coloured:
        _print(console, Text())
    for surprise in worst:
        width = console.width if console.is_terminal else None
        _print(console, guesses(vocab, ids, surprise, look, width))


def show_probability(vocab: Vocabulary, ids: Sequence[int], log_p: np.ndarray, stream: TextIO) -> None:
    """Write the probability of a whole text, and the text, painted.

    log_p : of each of the ids, in nats
    """
    console = Console(file=stream, highlight=False)
    nats, count = float(log_p.sum()), len(ids)
    each = f", {in_bits(-nats) / count:.3f} bits per character" if count else ""
    counted = f"{count:,} character{'s' * (count != 1)}"
    if vocab.items is not None:
        counted = f"{count - 1:,} character{'s' * (count != 2)} and the end"
    _print(console, Text(f"log p {in_bits(nats):.2f} bits, {nats:.2f} nats; {counted}{each}"))
    _paint(console, vocab, np.asarray(ids), [-log_p], 0)


def _paint(
    console: Console, vocab: Vocabulary, ids: np.ndarray, losses: Iterable[np.ndarray], first: int
) -> "Look":
    """Write the legend, and the text in the colours of its surprise, or with digits below it; how is returned."""
    look = Look.of(console)
    _print(console, legend(look.coloured))
    if look.coloured:
        _print(console, Text())  # or the text would look like a part of the legend
    for begin, bits in _lines(vocab, ids, losses, first):
        painted = line(vocab, ids[begin : begin + len(bits)], bits, look)
        # With digits below it, a line is not wrapped: they would part.
        console.print(painted, soft_wrap=not (look.coloured and console.is_terminal))
    return look


@dataclass(frozen=True)
class Look:
    """Whether the terminal, or the file, can show colours, and its encoding."""

    coloured: bool
    encoding: str = "utf-8"

    @classmethod
    def of(cls, console: Console) -> "Look":
        return cls(console.color_system is not None and not console.no_color, console.encoding)

    def shown(self, text: str) -> str:
        """The text, with characters that the encoding lacks written out."""
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    @property
    def newline(self) -> str:
        return "↵" if self.shown("↵") == "↵" else "$"


def legend(coloured: bool) -> Text:
    """The meaning of the colours, or of the digits."""
    text = Text("bits (-log2 p) of each character: ")
    if not coloured:
        return text.append(f"whole bits under it, nothing below {LEAST}, + from 10")
    for k, (least, style) in enumerate(SURPRISE):
        above = f"{least} to {SURPRISE[k + 1][0]}" if k + 1 < len(SURPRISE) else f"{least} up"
        text.append(f" {above} ", style).append(" ")
    return text


def _lines(
    vocab: Vocabulary, ids: np.ndarray, losses: Iterable[np.ndarray], first: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Where each line begins, and the bits of its symbols; a line longer than LONGEST_PIECE in pieces."""
    newline = silent_symbol(vocab)
    known = vocab.items is not None or vocab.decode([newline]) == "\n"
    begin, bits = 0, np.zeros(first)
    for window in losses:
        bits = np.r_[bits, in_bits(np.asarray(window, float))]
        ends = np.flatnonzero((ids[begin : begin + len(bits)] == newline) & known) + 1
        done = 0
        for end in [*ends.tolist(), len(bits)]:
            last = end == len(bits) and (not len(ends) or end != ends[-1])
            while end - done > (LONGEST_PIECE if last else 0):
                piece = bits[done : min(end, done + LONGEST_PIECE)]
                yield begin + done, piece
                done += len(piece)
        begin, bits = begin + done, bits[done:]
    if len(bits) and len(ids):
        yield begin, bits


def line(vocab: Vocabulary, ids: np.ndarray, bits: np.ndarray, look: Look) -> Text:
    """One line of text, painted, or with its whole bits under it, + from 10. A surprising newline is ↵.

    A character that takes no column, such as an accent, shares the digit of the one before it: the larger.
    """
    text, digits = Text(), ""
    at = 0  # the column, in digits, of the character that takes the last column
    for symbol, surprise in zip(ids.tolist(), bits.tolist(), strict=True):
        shown = _symbol(vocab, symbol, look)
        if shown == "\n":
            if surprise < LEAST:
                continue
            shown = look.newline
        style = next((style for least, style in reversed(SURPRISE) if surprise >= least), "")
        text.append(shown, style if look.coloured else "")
        mark = "+" if surprise >= 10 else DIGITS[int(surprise)] if surprise >= LEAST else " "
        if width := cell_len(shown):
            at, digits = len(digits), digits + mark.ljust(width)
        elif digits:
            digits = digits[:at] + max(digits[at], mark, key=(" " + DIGITS + "+").index) + digits[at + 1 :]
    digits = digits.rstrip()
    return text if look.coloured or not digits else text.append(f"\n{digits}")


def guesses(
    vocab: Vocabulary, ids: np.ndarray, surprise: Surprise, look: Look, width: int | None = None
) -> Text:
    """One line: the place, the character there, and the likeliest ones, as many as fit in the width."""
    before = "".join(
        map(
            str, (_symbol(vocab, s, look) for s in ids[max(0, surprise.place - 20) : surprise.place].tolist())
        )
    )
    came = _quoted(vocab, int(ids[surprise.place]), look)
    context = before.replace("\n", look.newline).replace("\t", " ")
    bits = in_bits(surprise.nats)
    line = f"{surprise.place:>9,}  {context}[{came}]  {bits:.1f} bits, expected"
    for k, (symbol, p) in enumerate(surprise.guesses):
        more = f"{'  ' if k else ' '}{_quoted(vocab, symbol, look)} {p:.0%}"
        if k and width is not None and cell_len(line + more) > width:
            break
        line += more
    return Text(line)


def _symbol(vocab: Vocabulary, symbol: int, look: Look) -> str:
    """A symbol in printable form: bytes beyond ASCII, which alone are no characters, as \\xNN."""
    if symbol >= len(vocab.symbols):
        return "\n"  # the end of an item
    value = vocab.symbols[symbol]
    if isinstance(value, int):
        return escape(chr(value)) if value < 0x80 else f"\\x{value:02x}"
    return look.shown(escape(value))


def _quoted(vocab: Vocabulary, symbol: int, look: Look) -> str:
    if symbol >= len(vocab.symbols):
        return vocab.name(symbol)
    shown = _symbol(vocab, symbol, look)
    return "space" if shown == " " else escaped(shown) if shown in "\n\t" else shown


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
