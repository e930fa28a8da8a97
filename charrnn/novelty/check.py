"""Verdicts of a user's command on items, and the shares that papers on generated molecules report."""

import subprocess
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.errors import CharRNNError
from charrnn.text.escapes import one_line

VERDICTS = {"1": True, "true": True, "valid": True, "0": False, "false": False, "invalid": False, "": False}


@dataclass(frozen=True)
class Judgement:
    """What a command says of each item, and shares.

    valid : of the items; unique : different ones of the valid; novel : of these different ones, those that are not
        in the training text, None where that is not known

    A share of nothing is None.
    """

    verdicts: list[bool]
    valid: float | None
    unique: float | None
    novel: float | None

    def to_json(self) -> dict[str, Any]:
        return {"valid": self.valid, "unique": self.unique, "novel": self.novel}

    def in_words(self) -> str:
        shares = (
            f"{name} {'-' if share is None else f'{share:.4f}'}" for name, share in self.to_json().items()
        )
        return ", ".join(shares)


def judge(command: str, texts: Sequence[str], training: Container[str] | None) -> Judgement:
    """Pipe items through a command of the shell, one a line, and read a verdict of each from its lines.

    training : the items that are not novel

    Raises CharRNNError for anything but one verdict per item.
    """
    lines = "".join(f"{one_line(text)}\n" for text in texts).encode("utf-8", "surrogateescape")
    done = subprocess.run(command, shell=True, input=lines, stdout=subprocess.PIPE, check=False)
    answers = done.stdout.decode("utf-8", "replace").splitlines()
    if len(answers) != len(texts):
        raise CharRNNError(
            f"--check {command!r} wrote {len(answers):,} lines for {len(texts):,} items (exit code "
            f"{done.returncode}); it must write one verdict per item: 1 or 0, true or false, valid or invalid"
        )
    verdicts = [_verdict(command, number, answer) for number, answer in enumerate(answers, start=1)]
    valid = [text for text, is_valid in zip(texts, verdicts, strict=True) if is_valid]
    different = set(valid)
    new = None if training is None else sum(text not in training for text in different)
    return Judgement(
        verdicts,
        _share(len(valid), len(texts)),
        _share(len(different), len(valid)),
        None if new is None else _share(new, len(different)),
    )


def _verdict(command: str, number: int, answer: str) -> bool:
    try:
        return VERDICTS[answer.strip().lower()]
    except KeyError:
        raise CharRNNError(
            f"--check {command!r}, line {number:,}: {answer[:40]!r} is no verdict; it must be 1 or 0, true or false, "
            "valid or invalid"
        ) from None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
