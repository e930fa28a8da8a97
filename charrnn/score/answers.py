"""How well the outputs of a model of pairs agree with the answers that a reference lists."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.errors import DataError
from charrnn.score.edit_distance import distance
from charrnn.text.records import Record


@dataclass(frozen=True)
class Agreement:
    """Outputs against answers; of several answers to an input the nearest one counts.

    exact_match : share of the outputs that are an answer; word_error_rate : share of the others
    edits_per_text, edits_per_char : edit distance to the answer, by output and by character of the answers
    token_error_rate : edit distance in tokens, which spaces separate, by token of the answers; None without spaces
    """

    texts: int
    exact_match: float
    word_error_rate: float
    edits_per_text: float
    edits_per_char: float
    token_error_rate: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def in_words(self) -> list[str]:
        lines = [
            f"{self.texts:,} outputs: {self.exact_match:.1%} exact, word error rate {self.word_error_rate:.1%}",
            f"edit distance {self.edits_per_text:.3f} per output, {self.edits_per_char:.4f} per character",
        ]
        if self.token_error_rate is not None:
            lines.append(f"token error rate {self.token_error_rate:.1%}")
        return lines


def agreement(outputs: Sequence[str], answers: Sequence[Sequence[str]]) -> Agreement:
    """outputs : at least one; answers : those to each, at least one"""
    N = len(outputs)
    exact = sum(output in known for output, known in zip(outputs, answers, strict=True))
    edits, chars = _nearest(outputs, answers)
    spaced = any(" " in answer for known in answers for answer in known)
    token_edits, tokens = _nearest(
        [output.split() for output in outputs], [[answer.split() for answer in known] for known in answers]
    )
    return Agreement(
        N,
        exact / N,
        1 - exact / N,
        edits / N,
        edits / max(1, chars),
        token_edits / max(1, tokens) if spaced else None,
    )


def _nearest(outputs: Sequence[Sequence[str]], answers: Sequence[Sequence[Sequence[str]]]) -> tuple[int, int]:
    """The sum of the distances to the nearest answer, and of the lengths of those answers."""
    edits = length = 0
    for output, known in zip(outputs, answers, strict=True):
        nearest, size = min((distance(output, answer), len(answer)) for answer in known)
        edits, length = edits + nearest, length + size
    return edits, length


def pairs_of(lines: Sequence[Record]) -> Sequence[Record]:
    """Lines of input TAB output as pairs; a line without a tab has no input. Pairs of a table stay as they are."""
    if any(line.input for line in lines):
        return lines
    parted = (line.text.rpartition("\t") for line in lines)
    return [Record(text, (), input) for input, _, text in parted]


def answers_for(inputs: Sequence[str], reference: Sequence[Record], name: str) -> list[list[str]]:
    """The answers to each input, from a reference with pairs, or with an answer for each line of the inputs.

    reference : its lines, as records of pairs or with an empty input; name : of its file, for messages

    Raises DataError for an input without an answer.
    """
    if not any(record.input for record in reference):
        if len(reference) != len(inputs):
            raise DataError(
                f"{name} has {len(reference):,} lines and there are {len(inputs):,} inputs: it needs an answer per "
                "input, or pairs (input, tab, answer)"
            )
        return [[record.text] for record in reference]
    known: dict[str, list[str]] = {}
    for record in reference:
        known.setdefault(record.input, []).append(record.text)
    for number, text in enumerate(inputs, start=1):
        if text not in known:
            raise DataError(f"{name} has no answer to the input {text[:60]!r} (input {number:,})")
    return [known[text] for text in inputs]
