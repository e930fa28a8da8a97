"""Concepts that a user defines on the command line, without code.

    NAME=between:OPEN..CLOSE        bool   inside, from the end of OPEN to the end of CLOSE
    NAME=span:REGEX                 bool   inside a match
    NAME=count:REGEX;reset=REGEX    count  matches since the last match of reset
    NAME=depth:OPEN|CLOSE           count  opened minus closed, 0 to 8
    NAME=file:labels.npy            bool or count, one value per character (no value for what is between items);
                                    NaN is ignored

OPEN and CLOSE are plain strings in which \\n, \\t and \\\\ stand for newline, tab and backslash.
"""

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.files.reading import read_file
from charrnn.interpret.concepts import BUILT_IN, DEEPEST
from charrnn.interpret.labels import Concept, Kind, Label, Marked, as_one
from charrnn.interpret.reading import MARKS, Reading
from charrnn.interpret.regex import find_spans
from charrnn.text.escapes import one_line, unescape

MOST_BYTES = 1 << 31  # largest file of labels

_FORMS = "between:OPEN..CLOSE, span:REGEX, count:REGEX;reset=REGEX, depth:OPEN|CLOSE or file:LABELS.npy"

_SEPARATORS = {"between": "..", "span": "", "count": ";reset=", "depth": "|"}  # of the parts of a rule


def parse_concept(text: str, expect: str | None = None) -> Concept:
    """The concept that ``text`` names (``quote``) or defines (``NAME=span:REGEX``).

    expect : ``CHAR=+`` or ``CHAR=-``, the character a user-defined concept should make more or less likely

    Raises UsageError for an unknown name or a malformed definition.
    """
    name, defines, definition = text.partition("=")
    if not defines:
        if name not in BUILT_IN:
            raise UsageError(
                f"--concept {name!r} is unknown; choose from: {', '.join(BUILT_IN)}; or define NAME={_FORMS}"
            )
        return BUILT_IN[name]
    form, _, body = definition.partition(":")
    if not re.fullmatch(r"[\w-]+", name) or name in BUILT_IN:
        raise UsageError(f"--concept {text!r}: {name!r} cannot be a new name; use letters, digits, - and _")
    makers = {"between": _between, "span": _span, "count": _count, "depth": _depth, "file": _file}
    if form not in makers or not body:
        raise UsageError(f"--concept {text!r} is malformed; after {name}= write {_FORMS}")
    concept = makers[form](name, definition, body)
    if expect is None:
        return concept
    target, direction = _expectation(expect)
    return replace(concept, target=target, direction=direction, expectation_given=True)


def parse_concepts(texts: Sequence[str], expect: str | None = None) -> list[Concept]:
    """The concepts that ``texts`` name or define; ``expect`` is for those they define.

    Raises UsageError like parse_concept, and for an ``expect`` if no concept is defined.
    """
    concepts = [parse_concept(text, expect) for text in texts]
    if expect is not None and not any(concept.user_defined for concept in concepts):
        raise UsageError(
            f"--expect {expect!r} needs a concept of your own: built-in ones have their own expectation (see "
            "--list). Define one, for example: --concept 'first=between:\\n.. ' --expect ' =+'"
        )
    return concepts


def check_matches(concept: Concept, label: Label, reading: Reading) -> None:
    """Raise UsageError for a concept of one's own that matches nothing in a text, with what keeps it from that."""
    if not concept.user_defined or (label.values[label.mask] > 0).any():
        return
    texts = list(filter(None, re.split(f"[{MARKS}]", reading.text)))
    told = f"--concept {concept.name}={concept.rule} matches nothing in the text ({len(reading.text):,} characters)"
    raise UsageError(". ".join([told, *_missed(concept.rule, texts)]))


def _missed(rule: str, texts: Sequence[str]) -> Iterator[str]:
    """What is often overlooked in a rule, or in these texts, where the rule would match without it."""
    form, _, body = rule.partition(":")
    if form not in _SEPARATORS:
        return
    separator = _SEPARATORS[form]
    parts = body.split(separator, 1) if separator else [body]
    bare = separator.join(part.strip(" \t") for part in parts)
    if bare != body and _matches(f"{form}:{bare}", texts):
        yield "Blanks count: without those at its ends it would match"
    if form in ("span", "count"):
        of_any_case = _matches(f"{form}:{separator.join(f'(?i:{part})' for part in parts)}", texts)
    else:
        of_any_case = _matches(f"{form}:{body.lower()}", [text.lower() for text in texts])
    if of_any_case:
        yield "Upper and lower case differ: if case did not count, it would match"
    returns = {end for text in texts for end in re.findall("\r\n?", text)}
    if returns and _matches(rule, [re.sub("\r\n?", "\n", text) for text in texts]):
        ends = " and ".join(map(one_line, sorted(returns)))
        yield f"Lines of this text end with {ends}: if they ended with \\n, it would match"


def _matches(rule: str, texts: Sequence[str]) -> bool:
    """Whether a rule is on anywhere; False of one that is malformed."""
    try:
        concept = parse_concept(f"tried={rule}")
        marked = concept.together(texts) if concept.together is not None else map(concept.mark, texts)
        return any((values[mask] > 0).any() for values, mask in marked)
    except CharRNNError:
        return False


def _expectation(expect: str) -> tuple[str, int]:
    target, _, sign = expect.rpartition("=")
    target = unescape(target)
    if not target or sign not in ("+", "-"):
        raise UsageError(f"--expect {expect!r} is malformed; write CHAR=+ or CHAR=-, such as ')=+'")
    return target, 1 if sign == "+" else -1


def _pair(name: str, definition: str, body: str, separator: str) -> tuple[str, str]:
    opener, _, closer = (unescape(part) for part in body.partition(separator))
    if not opener or not closer:
        raise UsageError(f"--concept {name}={definition}: write the opener, {separator!r}, and the closer")
    return opener, closer


def _between(name: str, definition: str, body: str) -> Concept:
    opener, closer = _pair(name, definition, body, "..")

    def mark(text: str) -> Marked:
        inside, sure = np.zeros(len(text), bool), np.ones(len(text), bool)
        start = text.find(opener)
        while start >= 0:
            first = start + len(opener) - 1
            end = text.find(closer, first + 1)
            if end < 0:  # never closed
                inside[first:], sure[first:] = True, False
                break
            inside[first : end + len(closer) - 1] = True
            start = text.find(opener, end + len(closer))
        return inside, sure

    return Concept(name, "bool", definition, mark, closer[0], user_defined=True)


def _span(name: str, definition: str, body: str) -> Concept:
    def mark(text: str, spans: Sequence[np.ndarray]) -> Marked:
        inside = np.zeros(len(text), bool)
        for start, end in spans[0]:
            inside[start:end] = True
        return inside, np.ones(len(text), bool)

    return _of_matches(name, "bool", definition, [body], mark)


def _count(name: str, definition: str, body: str) -> Concept:
    pattern, has_reset, reset = body.rpartition(";reset=")
    if not has_reset or not pattern or not reset:
        raise UsageError(f"--concept {name}={definition}: write count:REGEX;reset=REGEX")

    def mark(text: str, spans: Sequence[np.ndarray]) -> Marked:
        matches, resets = spans
        ends = np.zeros(len(text), np.int64)
        ends[matches[:, 1] - 1] = 1
        total = np.cumsum(ends)
        base = np.zeros(len(text), np.int64)
        base[resets[:, 1] - 1] = total[resets[:, 1] - 1]
        return total - np.maximum.accumulate(base), np.ones(len(text), bool)

    return _of_matches(name, "count", definition, [pattern, reset], mark)


def _of_matches(
    name: str,
    kind: Kind,
    definition: str,
    patterns: Sequence[str],
    mark: Callable[[str, Sequence[np.ndarray]], Marked],
) -> Concept:
    """A concept that is told by the matches of regular expressions, which are searched in all texts at once."""

    def together(texts: Sequence[str]) -> list[Marked]:
        return list(map(mark, texts, find_spans(patterns, texts)))

    return Concept(
        name,
        kind,
        definition,
        lambda text: together([text])[0],
        predictive=True,
        user_defined=True,
        together=together,
    )


def _depth(name: str, definition: str, body: str) -> Concept:
    opener, closer = _pair(name, definition, body, "|")
    if opener == closer:
        raise UsageError(f"--concept {name}={definition}: the opener and the closer are both {opener!r}")
    either = re.compile("|".join(map(re.escape, sorted((opener, closer), key=len, reverse=True))))

    def mark(text: str) -> Marked:
        depths = np.zeros(len(text), np.int32)
        depth = since = 0
        for match in either.finditer(text):
            depths[since : match.end() - 1] = min(depth, DEEPEST)
            depth = depth + 1 if match[0] == opener else max(0, depth - 1)
            since = match.end() - 1
        depths[since:] = min(depth, DEEPEST)
        return depths, np.ones(len(text), bool)

    return Concept(name, "count", definition, mark, closer[0], user_defined=True)


def _array(content: bytes) -> np.ndarray:
    """The array in a .npy file. Raises ValueError if its header and its bytes do not match."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(file)
    begin = file.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - begin:
        raise ValueError(f"the data do not match its header ({dtype} of shape {shape})")
    return np.frombuffer(content, dtype, offset=begin).reshape(shape)


def _file(name: str, definition: str, body: str) -> Concept:
    path = Path(body)
    try:
        values = _array(read_file(path, MOST_BYTES))
    except (OSError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"--concept {name}={definition}: cannot read {path} as a .npy array: {why}") from None
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise DataError(
            f"{path} must hold one number or truth value per character, as an array with one axis"
        )
    known = np.isfinite(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    whole = np.where(known, values, 0)
    if not np.array_equal(whole, np.round(whole)) or np.abs(whole).max(initial=0) > 2**31 - 1:
        raise DataError(
            f"{path} must hold whole numbers of at most 31 bits, or NaN where the label is unknown"
        )
    kind: Kind = "bool" if np.isin(whole, (0, 1)).all() else "count"

    def mark(text: str) -> Marked:
        if len(text) != len(values):
            raise DataError(f"{path} has {len(values):,} labels; the text has {len(text):,} characters")
        return whole, known

    # The file does not say how the labels were made, so they may look ahead.
    return Concept(name, kind, definition, mark, predictive=True, user_defined=True, together=as_one(mark))
