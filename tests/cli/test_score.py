"""charrnn score: the probability of a text and the text itself, painted."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import charrnn
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax

TEXT = "bad cab"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.chdir(tmp_path)
    made = random_model("\nabcd ")
    made.save("m.safetensors")
    return made


def score(*args: object, stdin: bytes = b"") -> dict[str, Any]:
    done = charrnn("score", *args, "-m", "m.safetensors", "--json", stdin=stdin)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def by_hand(model: Model, before: str, text: str) -> np.ndarray:
    """log p of each character of a text after another, by the plain forward pass."""
    ids = model.vocab.encode(before + text).astype(int)
    logits, _ = model.logits(ids[:-1, None])
    return log_softmax(logits[:, 0])[np.arange(len(ids) - 1), ids[1:]][len(before) - 1 :]


@pytest.mark.parametrize(("args", "before"), [((), "\n"), (("-p", "a cab "), "a cab ")])
def test_the_probability_is_that_of_the_forward_pass(
    model: Model, args: tuple[str, ...], before: str
) -> None:
    found, log_p = score(TEXT, *args), by_hand(model, before, TEXT)
    assert found["log_probability_nats"] == pytest.approx(log_p.sum(), rel=1e-9)
    assert found["log_probability_bits"] == pytest.approx(log_p.sum() / math.log(2), rel=1e-9)
    assert found["bits_per_char"] == pytest.approx(-log_p.mean() / math.log(2), rel=1e-9)
    assert found["chars"] == len(TEXT)
    assert "".join(one["character"] for one in found["characters"]) == TEXT
    np.testing.assert_allclose([one["nats"] for one in found["characters"]], -log_p, rtol=1e-9)


def test_text_and_prime_come_from_files_and_stdin_too(model: Model) -> None:
    Path("text.txt").write_text(TEXT)
    assert score("@text.txt") == score(TEXT) == score("-", stdin=TEXT.encode())
    assert score(TEXT, "--prime", "@text.txt") == score(TEXT, "--prime", TEXT)


def test_the_numbers_and_the_text_are_shown_at_once(model: Model) -> None:
    log_p = by_hand(model, "\n", TEXT)
    done = charrnn("score", TEXT, "-m", "m.safetensors")
    bits = -log_p / math.log(2)
    head, legend, text, digits = done.out.splitlines()
    assert head == (
        f"log p {-bits.sum():.2f} bits, {log_p.sum():.2f} nats; 7 characters, {bits.mean():.3f} bits per character"
    )
    assert legend.startswith("bits (-log2 p) of each character")
    assert text == TEXT
    assert digits == "".join(str(int(b)) if b >= 2 else " " for b in bits).rstrip()


def test_on_a_terminal_the_text_stands_apart_from_the_legend(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    done = charrnn("score", TEXT, "-m", "m.safetensors", terminal=True)
    plain = re.sub(r"\x1b\[[\d;]*m", "", done.out)
    assert plain != done.out
    assert plain.splitlines()[2:] == ["", TEXT]


def test_on_a_terminal_a_long_line_is_broken_between_words(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    words = ["bad", "cab", "dab", "abacab"] * 8
    done = charrnn("score", " ".join(words), "-m", "m.safetensors", terminal=True)
    plain = re.sub(r"\x1b\[[\d;]*m", "", done.out)
    rows = plain[plain.rindex("8 up") :].splitlines()[2:]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 40
    assert " ".join(rows).split() == words
    piped = charrnn("score", " ".join(words), "-m", "m.safetensors").out.splitlines()
    assert piped[2] == " ".join(words)


def test_nothing_is_certain(model: Model) -> None:
    found = score("")
    assert (found["log_probability_nats"], found["bits_per_char"], found["characters"]) == (0, None, [])
    done = charrnn("score", "", "-m", "m.safetensors")
    assert done.out.startswith("log p 0.00 bits, 0.00 nats; 0 characters\n")


def test_a_name_of_a_file_is_scored_as_a_text_and_said_to_be_one(model: Model) -> None:
    Path("bad").write_text("cab")
    done = charrnn("score", "bad", "-m", "m.safetensors")
    assert "this scores the name itself; @bad is the text in that file" in done.err
    assert "3 characters" in done.out
    assert "@" not in charrnn("score", "cab", "-m", "m.safetensors").err


def test_an_unknown_character_is_bad_input(model: Model) -> None:
    done = charrnn("score", "bad 7", "-m", "m.safetensors")
    assert done.code == 3
    assert "'7'" in done.err


def test_an_item_counts_with_its_end_and_its_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = item_model("abcd", (("kind", ("x", "y")),))
    made.save("m.safetensors")
    vocab = made.vocab
    found = score("bad", "--label", "y")
    theirs = made.score("bad", label="y")
    assert found["log_probability_nats"] == pytest.approx(theirs.log_probability_nats, rel=1e-12)
    assert [one["nats"] for one in found["characters"]] == pytest.approx((-theirs.symbols_nats).tolist())
    assert found["characters"][-1] == {
        "character": None,
        "symbol": vocab.name(vocab.end),
        "nats": pytest.approx(-theirs.symbols_nats[-1]),
    }
    assert score("bad", "--label", "x")["log_probability_nats"] != found["log_probability_nats"]
    done = charrnn("score", "bad", "-m", "m.safetensors", "--label", "y")
    assert "; 3 characters and the end, " in done.out
