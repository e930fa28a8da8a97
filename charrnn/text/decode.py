"""Decode bytes to characters, block by block, with clear messages for bytes that are not text."""

import codecs
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from charrnn.errors import DataError

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FORMATS = (  # what a file begins with that is no text
    (b"PK\x03\x04", "an office document (such as .docx or .odt) or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an office document (such as .doc)"),
    (b"%PDF-", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"\x1f\x8b", "a compressed file"),
)


class NotTextError(DataError):
    """The bytes are not text in the given encoding."""


def decode(
    blocks: Iterable[bytes], name: str, encoding: str, newlines: str, *, other: bool = True, raw: bool = True
) -> Iterator[str]:
    """The text of `blocks`, in pieces that are never empty.

    A character or CR LF that spans two blocks is kept whole. A byte order mark, if the codec leaves it, is the first
    character of the first piece.

    name : the name of the source in messages
    encoding : the standard name of a codec (codecs.lookup(…).name)
    newlines : "keep", or "lf" to convert each CR LF and each lone CR to LF
    other, raw : whether the user can choose another encoding or raw bytes; messages suggest only these

    Raises NotTextError, with the position, for bytes that are invalid in this encoding and for NUL characters.
    """
    codec = codecs.getincrementaldecoder(encoding)()
    decoder = io.IncrementalNewlineDecoder(codec, translate=newlines == "lf")
    head, n_bytes, n_chars, n_lines = b"", 0, 0, 0
    for block in chain(blocks, [b""]):
        head = head or block
        state = decoder.getstate()
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            start = len(block) - len(error.object) + error.start  # < 0: in bytes kept from the previous block
            decoder.setstate(state)
            line = 1 + n_lines
            with suppress(UnicodeError):  # what UTF-16 says of a missing mark, once it is asked for less
                line += decoder.decode(block[: max(start, 0)]).count("\n")
            found = f"0x{error.object[error.start]:02X}: {error.reason}"
            raise NotTextError(
                _what_it_is(name, head, encoding, other)
                or f"{name} is not valid {encoding} at byte {n_bytes + start:,} (line {line:,}): {found}. "
                + _ways_out("give its encoding (for example --encoding latin-1)", encoding, other, raw)
            ) from None
        except UnicodeError as error:  # UTF-16 without a byte order mark
            raise NotTextError(
                f"{name} is not valid {encoding}: {error}. "
                + _ways_out(
                    f"give the byte order (for example --encoding {encoding}-le)", encoding, other, raw
                )
            ) from None
        if (nul := text.find("\0")) >= 0:
            line = 1 + n_lines + text.count("\n", 0, nul)
            raise NotTextError(
                _what_it_is(name, head, encoding, other)
                or f"{name} looks like binary data, not text: it has a NUL character at character "
                f"{n_chars + nul:,} (line {line:,}). "
                + ("Read it as raw bytes with --level byte, or leave it out" if raw else "Leave it out")
            )
        n_bytes += len(block)
        n_chars += len(text)
        n_lines += text.count("\n")
        if text:
            yield text


def _ways_out(naming: str, encoding: str, other: bool, raw: bool) -> str:
    ways = [naming] * other + ["read raw bytes (--level byte)"] * raw
    words = " or ".join(ways) or f"convert it to {encoding}"
    return words[0].upper() + words[1:]


def _what_it_is(name: str, head: bytes, encoding: str, other: bool) -> str | None:
    """A message if bytes look like a known format, or those that should be UTF-8 like UTF-16 or UTF-32."""
    for begin, what in _FORMATS:
        if head.startswith(begin):
            return f"{name} is {what}, not text: save or export what it says as plain text (.txt, UTF-8)"
    if encoding not in ("utf-8", "utf-8-sig"):
        return None
    for mark, actual in _MARKS:
        if head.startswith(mark):
            sign = f"it begins with the byte order mark {mark.hex(' ').upper()}"
            return f"{name} is {actual.upper()}, not UTF-8 ({sign}): {_in(actual, other)}"
    half = len(head) // 2
    for zeros_at, zeros_not_at, actual in ((1, 0, "utf-16-le"), (0, 1, "utf-16-be")):
        # Text in the Latin script has a zero byte in nearly every 16-bit unit, always on the same side.
        if head[zeros_at::2].count(0) > 0.7 * half and head[zeros_not_at::2].count(0) < 0.05 * half:
            sign = "every other byte is zero"
            return f"{name} looks like {actual.upper()}, not UTF-8 ({sign}): {_in(actual, other)}"
    return None


def _in(actual: str, other: bool) -> str:
    return f"read it with --encoding {actual}" if other else "convert it to UTF-8"
