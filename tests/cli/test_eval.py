"""charrnn eval, as a command, and what it calls."""

import io
import json
import math
import os
import re
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from helpers.command_line import charrnn
from helpers.random_models import random_model
from rich.console import Console
from typer.testing import CliRunner, Result

from charrnn.cli.eval import evaluate as command
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.model import torch_layout
from charrnn.model.model import Model
from charrnn.nn.loss import log_softmax
from charrnn.score import scoring
from charrnn.score.evaluation import Evaluation, Surprise, evaluate, predictions, surprises, worst_places
from charrnn.score.lines import Line, score_lines
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.session import train
from charrnn.ui.terminal import lines_view as table
from charrnn.ui.terminal import surprise

SYMBOLS = "\n\x1b /[]abcdefgh"
TEXT = "abc def\n\nbad cab\nh\nface [a] fad\nabc def\n" * 3 + "each"
app = typer.Typer(rich_markup_mode=None)
app.command()(command)


def log_probabilities(model: Model, text: str) -> np.ndarray:
    """log p of each character after the first, by the plain forward pass."""
    ids = model.vocab.encode(text).astype(int)
    logits, _ = model.logits(ids[:-1, None])
    return log_softmax(logits[:, 0])[np.arange(len(ids) - 1), ids[1:]]


def run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=stdin)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model in ./m.safetensors that says it was trained on ./corpus.txt."""
    import hashlib

    monkeypatch.chdir(tmp_path)
    corpus = "".join(np.random.default_rng(5).choice(list(SYMBOLS), 900))
    Path("corpus.txt").write_text(corpus)
    Path("text.txt").write_text(TEXT)
    settings = {
        "level": "char",
        "encoding": "utf-8",
        "newlines": "keep",
        "val_fraction": 0.1,
        "test_fraction": 0.2,
    }
    about = {
        "sources": [str(tmp_path / "corpus.txt")],
        "sha256": hashlib.sha256(corpus.encode()).hexdigest(),
        "symbols": len(corpus),
    }
    made = random_model(SYMBOLS, training={"corpus": about, "settings": settings})
    made.save("m.safetensors")
    return made


def test_json_and_words(model: Model) -> None:
    expected = -log_probabilities(model, TEXT).mean()
    answer = json.loads(run("text.txt", "--model", "m.safetensors", "--json").stdout)
    assert answer.keys() == {"chars", "loss_nats", "bits_per_char", "perplexity", "baselines"}
    assert answer["chars"] == len(TEXT)
    assert answer["loss_nats"] == pytest.approx(expected)
    assert answer["bits_per_char"] == pytest.approx(expected / math.log(2))
    assert answer["perplexity"] == pytest.approx(math.exp(expected))
    assert list(answer["baselines"]) == ["uniform", "unigram", "order-5", "xz"]
    assert answer["baselines"]["uniform"]["bits_per_char"] == pytest.approx(math.log2(len(SYMBOLS)))
    words = run("text.txt", "--model", "m.safetensors").stdout
    assert f"{expected:.4f}" in words
    assert f"{answer['baselines']['order-5']['loss_nats']:.4f}" in words


def test_stdin_and_several_files_are_one_text(model: Model) -> None:
    one = run("text.txt", "text.txt", "--model", "m.safetensors", "--json").stdout
    assert run("-", "--model", "m.safetensors", "--json", stdin=TEXT * 2).stdout == one
    assert json.loads(one)["loss_nats"] == pytest.approx(-log_probabilities(model, TEXT * 2).mean())


@pytest.mark.parametrize(
    ("part", "cut"), [("train", (0, 630)), ("validation", (630, 720)), ("test", (720, 900))]
)
def test_parts_of_the_training_text(model: Model, part: str, cut: tuple[int, int]) -> None:
    text = Path("corpus.txt").read_text()[slice(*cut)]
    answer = json.loads(run("--split", part, "--model", "m.safetensors", "--json").stdout)
    assert answer["chars"] == cut[1] - cut[0]
    assert answer["loss_nats"] == pytest.approx(-log_probabilities(model, text).mean())


def test_a_changed_corpus_gives_no_baselines(model: Model) -> None:
    Path("corpus.txt").write_text("abc" * 300)
    result = run("text.txt", "--model", "m.safetensors", "--json")
    assert list(json.loads(result.stdout)["baselines"]) == ["uniform"]
    assert "changed" in result.stderr
    assert isinstance(run("--split", "test", "--model", "m.safetensors").exception, DataError)
    assert run("text.txt", "--model", "m.safetensors", "--no-baselines").stderr == ""


def test_several_models_are_averaged(model: Model) -> None:
    other = random_model(SYMBOLS, seed=2)
    other.save("other.safetensors")
    result = run("text.txt", "--model", "m.safetensors", "--model", "other.safetensors", "--json")
    p = (np.exp(log_probabilities(model, TEXT)) + np.exp(log_probabilities(other, TEXT))) / 2
    assert json.loads(result.stdout)["loss_nats"] == pytest.approx(-np.log(p).mean())


def test_lines_are_ranked_by_surprise(model: Model) -> None:
    result = run("text.txt", "--model", "m.safetensors", "--per-line")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    lines = TEXT.split("\n")
    assert sorted(line["line"] for line in found) == [k for k, text in enumerate(lines, 1) if text]
    for line in found:
        text = lines[line["line"] - 1]
        log_p = log_probabilities(model, f"\n{text}\n")
        assert line["text"] == text
        assert line["chars"] == len(text) + 1
        assert line["log_probability_nats"] == pytest.approx(log_p.sum())
        assert line["loss_nats"] == pytest.approx(-log_p.mean())
    surprise = [line["surprise"] for line in found]
    assert surprise == sorted(surprise, reverse=True)
    assert [line["rank"] for line in found] == list(range(1, len(found) + 1))
    in_order = run("text.txt", "--model", "m.safetensors", "--per-line", "--order", "file", "--json")
    again = [json.loads(line) for line in in_order.stdout.splitlines()]
    assert again == sorted(
        ({k: v for k, v in one.items() if k != "rank"} for one in found), key=lambda one: one["line"]
    )


def lines_of(models: list[Model], text: str) -> list[Line]:
    with score_lines(models, models[0].vocab.encode(text)) as scores:
        return list(scores.in_order())


def test_long_lines_and_a_final_newline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.score.lines.STEPS", 3)
    monkeypatch.setattr("charrnn.score.lines.ROWS", 2)
    monkeypatch.setattr("charrnn.score.scoring.WINDOW", 17)
    models = [random_model(SYMBOLS, seed=1), random_model(SYMBOLS, seed=2)]
    text = "abcdefgh" * 4 + "\n\nab\n  \nbad cab\n\n"
    found = lines_of(models, text)
    assert [line.number for line in found] == [1, 3, 5]
    for line in found:
        words = text.split("\n")[line.number - 1]
        assert text[line.start : line.stop] == words
        p = np.mean([np.exp(log_probabilities(m, f"\n{words}\n")) for m in models], axis=0)
        assert line.total_nats == pytest.approx(-np.log(p).sum())


def test_lines_without_newlines() -> None:
    model = random_model("abc")
    (line,) = lines_of([model], "cab")
    assert line.total_nats == pytest.approx(-log_probabilities(model, "acab").sum())
    assert line.surprise is None


def test_a_row_of_the_table_is_cut_to_the_terminal() -> None:
    line = Line(1234, 0, 20, 21, 21 * math.log(2), 12.0, 1.5)
    begin = "    1.50      1234       21      1.000  "
    assert table.row(line, "a\tb\x1b", 80) == begin + "a b\\x1b"
    assert table.row(line, "漢字" * 9, 60) == begin + "漢字" * 4 + "漢 …"
    assert table.row(replace(line, surprise=None), "ab", 10) == " " * 8 + begin[8:] + "ab"


def test_a_text_of_blank_lines(model: Model) -> None:
    Path("blank.txt").write_text("\n \n\n")
    result = run("blank.txt", "--model", "m.safetensors", "--per-line")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no lines but blank ones" in result.stderr


def test_guesses_at_the_worst_places() -> None:
    model = random_model(SYMBOLS)
    log_p = log_probabilities(model, TEXT)
    ids = model.vocab.encode(TEXT)
    worst = worst_places([model], ids, [-log_p[:40], -log_p[40:]], 3)
    assert [s.nats for s in worst] == sorted(-log_p, reverse=True)[:3]
    for found in worst:
        logits, _ = model.logits(ids[: found.place, None])
        p = np.exp(log_softmax(logits[-1, 0]))
        assert [s for s, _ in found.guesses] == np.argsort(-p)[:5].tolist()
        assert [q for _, q in found.guesses] == pytest.approx(np.sort(p)[::-1][:5])
        assert found.nats == pytest.approx(-math.log(p[ids[found.place]]))


def show(encoding: str) -> list[str]:
    vocab = Vocabulary.of(SYMBOLS + "\u0301❤")
    text = "a[b]\x1bc\u0301\nd❤"
    nats = np.array([0.5, 3.2, 0.9, 12, 1.99, 6, 2, 4.4, 5]) * math.log(2)
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    worst = [Surprise(4, 12 * math.log(2), [(vocab.encode("a")[0], 0.75), (vocab.encode(" ")[0], 0.2)])]
    surprise.show(vocab, vocab.encode(text), [nats[:3], nats[3:8], nats[8:]], nats.mean(), worst, stream)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding).split("\n")  # type: ignore[attr-defined]


def test_highlight_without_colour() -> None:
    lines = show("utf-8")
    assert lines[0] == "2.7718 nats per character, 3.9989 bits per character"
    assert lines[2] == "a[b]\\x1bc\u0301↵"
    assert lines[3] == "  3 +   62"  # the accent takes no column: its 6 is told under the letter
    assert lines[4:6] == ["d❤", "45"]
    assert lines[6].split() == ["4", "a[b][\\x1b]", "12.0", "bits,", "expected", "a", "75%", "space", "20%"]


def test_highlight_where_the_encoding_lacks_characters() -> None:
    lines = show("cp1252")
    assert lines[2] == "a[b]\\x1bc\\u0301$"
    assert lines[3] == "  3 +    6     2"
    assert lines[4:6] == ["d\\u2764", "45"]


def test_highlight_of_a_long_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surprise, "LONGEST_PIECE", 4)
    vocab = Vocabulary.of(SYMBOLS)
    stream = io.StringIO()
    nats = np.full(10, 3 * math.log(2))
    surprise.show(vocab, vocab.encode("abcdefghabc"), [nats[:7], nats[7:]], 1, [], stream)
    assert stream.getvalue().split("\n")[2:] == ["abcd", " 333", "efgh", "3333", "abc", "333", ""]


def test_highlight_with_colour() -> None:
    vocab, look = Vocabulary.of(SYMBOLS), surprise.Look(coloured=True)
    text = surprise.line(vocab, vocab.encode("a[/]b\x1b"), np.array([0, 1.9, 2, 4, 8, 99]), look)
    assert text.plain == "a[/]b\\x1b"
    styles = [style for _, style in surprise.SURPRISE]
    assert [(span.start, span.end, span.style) for span in text.spans] == [
        (2, 3, styles[0]),
        (3, 4, styles[1]),
        (4, 5, styles[2]),
        (5, 9, styles[2]),
    ]
    console = Console(file=io.StringIO(), force_terminal=True, color_system="256")
    console.print(surprise.legend(coloured=True))
    assert "8 up" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("width", "last"), [(None, "e"), (200, "e"), (57, "c"), (56, "b"), (10, "a")])
def test_as_many_guesses_as_fit(width: int | None, last: str) -> None:
    vocab, look = Vocabulary.of(SYMBOLS), surprise.Look(coloured=False)
    guesses = [(int(vocab.encode(c)[0]), 0.2) for c in "abcde"]
    found = Surprise(3, 8 * math.log(2), guesses)
    shown = surprise.guesses(vocab, vocab.encode("abcdef"), found, look, width).plain
    assert shown.startswith("        3  abc[d]  8.0 bits, expected a 20%")
    assert shown.endswith(f"{last} 20%")
    assert len(shown) <= (width or 200) or last == "a"


def test_highlight_of_bytes_and_the_command(model: Model) -> None:
    vocab = Vocabulary.all_bytes()
    painted = surprise.line(vocab, vocab.encode("é"), np.array([0.0, 9.0]), surprise.Look(coloured=False))
    assert painted.plain == "\\xc3\\xa9\n    9"
    result = run("text.txt", "--model", "m.safetensors", "--highlight", "--worst", "2")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{-log_probabilities(model, TEXT).mean():.4f} nats per character")
    assert len([line for line in lines if "expected" in line]) == 2
    assert any(line.startswith("face [a] fad") for line in lines)
    assert "\x1b" not in result.stdout


def test_probabilities_as_data(model: Model) -> None:
    other = random_model(SYMBOLS, seed=2)
    other.save("other.safetensors")
    text = "abc def\nc"
    Path("short.txt").write_text(text)
    given = ("--model", "m.safetensors", "--model", "other.safetensors")
    rows = [json.loads(row) for row in run("short.txt", *given, "--highlight", "--json").stdout.splitlines()]
    assert [row["place"] for row in rows] == list(range(len(text) + 1))
    assert [row["character"] for row in rows] == [*text, None]
    assert (rows[0]["nats"], rows[0]["guesses"], rows[-1]["nats"]) == (None, [], None)
    ids = model.vocab.encode(text)
    p = np.mean([np.exp(log_softmax(m.logits(ids[:, None])[0][:, 0])) for m in (model, other)], axis=0)
    for row, q in zip(rows[1:], p, strict=True):
        if row["character"] is not None:
            assert row["nats"] == pytest.approx(-math.log(q[SYMBOLS.index(row["character"])]))
        likeliest = np.argsort(-q)[:5]
        assert [guess["character"] for guess in row["guesses"]] == [SYMBOLS[s] for s in likeliest]
        assert [guess["probability"] for guess in row["guesses"]] == pytest.approx(q[likeliest])


def test_a_model_tells_how_probable_a_text_is() -> None:
    model = random_model(SYMBOLS)
    found = model.score("abc def", prime="bad ")
    expected = log_probabilities(model, "bad abc def")[3:]
    assert found.symbols_nats == pytest.approx(expected)
    assert found.log_probability_nats == pytest.approx(expected.sum())
    for known in (model, random_model("xyz"), random_model(Vocabulary("byte", (9, 10, 200)))):
        pairs = [known.vocab.symbols[k] for k in range(len(known.vocab))]
        texts = [bytes([a, b]) if isinstance(a, int) else a + b for a in pairs for b in pairs]
        assert sum(math.exp(known.score(text).log_probability_nats) for text in texts) == pytest.approx(1)
    assert model.score("ab" * 400).log_probability_nats == pytest.approx(
        log_probabilities(model, "\n" + "ab" * 400).sum()
    )
    assert model.score("").log_probability_nats == 0
    with pytest.raises(DataError, match="'X'"):
        model.score("aXb")


def test_a_text_is_read_as_the_text_of_the_model_was(model: Model) -> None:
    """What its card tells holds, unless an option says otherwise."""
    expected = pytest.approx(-log_probabilities(model, "abc\nd").mean())

    def loss(*args: str) -> Any:
        result = run("odd.txt", "--model", "odd.safetensors", "--json", "--no-baselines", *args)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return json.loads(result.stdout)["loss_nats"]

    for settings, content, otherwise in (
        ({"newlines": "lf"}, b"abc\r\nd", ("--newlines", "keep")),
        ({"encoding": "utf-16-le"}, "abc\nd".encode("utf-16-le"), ("--encoding", "utf-8")),
    ):
        Path("odd.txt").write_bytes(content)
        random_model(SYMBOLS, training={"settings": settings}).save("odd.safetensors")
        assert loss() == expected
        with pytest.raises(DataError):
            loss(*otherwise)
        random_model(SYMBOLS).save("odd.safetensors")
        with pytest.raises(
            DataError, match=next(iter(settings))
        ):  # and the option to name is one that it has
            loss()
        name, value = next(iter(settings.items()))
        assert loss(f"--{name}", value) == expected


@pytest.mark.parametrize(("unknown", "same"), [("skip", "ab\nad"), ("nearest", "abb\na[d")])
def test_unknown_characters_are_left_out_or_replaced(model: Model, unknown: str, same: str) -> None:
    Path("unknown.txt").write_text("abB\naXd")
    Path("same.txt").write_text(same)
    for form in (["--json"], ["--per-line"], ["--highlight"], ["--highlight", "--json"]):
        given = ("--model", "m.safetensors", *form)
        result = run("unknown.txt", *given, "--unknown", unknown)
        assert result.stdout == run("same.txt", *given).stdout
        assert "'B' (U+0042)" in result.stderr
    refused = run("unknown.txt", "--model", "m.safetensors", "--per-line").exception
    assert "--unknown skip" in str(refused)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ([], UsageError, "--split"),
        (["text.txt", "--split", "test"], UsageError, "--split"),
        (["text.txt", "--highlight", "--per-line"], UsageError, "--per-line"),
        (["text.txt", "--order", "file"], UsageError, "--per-line"),
        (["--split", "test", "--unknown", "skip"], UsageError, "--split"),
        (["nowhere.txt"], DataError, "nowhere.txt"),
        (["unknown.txt"], DataError, "'X'"),
        (["short.txt"], DataError, "1 symbols"),
    ],
    ids=str,
)
def test_errors(model: Model, args: list[str], error: type[CharRNNError], message: str) -> None:
    Path("unknown.txt").write_text("aXb")
    Path("short.txt").write_text("a")
    result = run(*args, "--model", "m.safetensors")
    assert isinstance(result.exception, error)
    with pytest.raises(error, match=message):
        raise result.exception


def test_the_api_takes_one_model_or_several() -> None:
    model = random_model(SYMBOLS)
    ids = model.vocab.encode(TEXT)
    assert evaluate(model, ids) == evaluate([model], ids)
    seen: list[int] = []
    evaluate(model, ids, progress=seen.append)
    assert sum(seen) == len(ids) - 1


def test_the_validation_part_scores_as_training_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = np.random.default_rng(1).choice(["the", "sea", "lay", "flat", "and", "grey\n"], 3000)
    Path("corpus.txt").write_text(text := " ".join(words))
    told = train("corpus.txt", out="run", layers=2, hidden=12, batch_size=4, max_steps=120, threads=1)
    Path("part.txt").write_text(text[int(0.9 * len(text)) :])
    for args in (["--split", "validation"], ["part.txt"]):
        answer = json.loads(run(*args, "--model", "run", "--json", "--no-baselines").stdout)
        assert answer["chars"] == len(text) - int(0.9 * len(text))
        assert answer["loss_nats"] == pytest.approx(told.val_loss_nats, abs=1e-6)
    for name, value in (("WINDOW", 257), ("LOOK", 32), ("NUMBERS_AT_ONCE", 10**4)):
        monkeypatch.setattr(scoring, name, value)
        answer = json.loads(run("part.txt", "--model", "run", "--json", "--no-baselines").stdout)
        assert answer["loss_nats"] == pytest.approx(told.val_loss_nats, abs=1e-6)


def test_memory_does_not_grow_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "WINDOW", 256)
    model = random_model(SYMBOLS)
    peaks = []
    for symbols in (1025, 1025, 4097):  # the first fills the buffers
        path = tmp_path / f"{symbols}"
        np.random.default_rng(1).integers(0, len(SYMBOLS), symbols).astype(np.uint8).tofile(path)
        mapped = np.memmap(path, np.uint8, mode="r")
        tracemalloc.start()
        evaluate(model, mapped)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1] + 10_000


@pytest.mark.parametrize("form", ["eval --per-line", "eval --highlight", "inspect-cells --cell 0:1 --csv"])
def test_a_stdout_that_is_not_utf8(model: Model, form: str) -> None:
    random_model("".join(sorted(SYMBOLS + "❤😀é"))).save("wide.safetensors")
    Path("wide.txt").write_text("abc ❤\nd😀\né\n", encoding="utf-8")
    command, *options = form.split()
    text = ["wide.txt"] if command == "eval" else ["--text", "wide.txt"]
    given = [sys.executable, "-m", "charrnn", command, *text, "--model", "wide.safetensors", *options]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(given, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    if "--per-line" in form:
        assert {json.loads(row)["text"] for row in done.stdout.splitlines()} == {"abc ❤", "d😀", "é"}
    else:
        assert "é".encode("cp1252") in done.stdout
        assert b"\\u2764" in done.stdout
        assert b"\\U0001f600" in done.stdout


def test_a_terminal_is_not_driven_by_what_a_model_reads_and_writes(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vocabulary has ESC and [; on a terminal only our own colours may be escape sequences."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    Path("esc.txt").write_text("\x1b[a\x1b[b\x1b]h\n")
    given = ("--model", "m.safetensors")
    drawn = ("--seed", "1", "--length", "60", "--temp", "2")
    out = charrnn("sample", *given, *drawn, terminal=True).out
    assert "\\x1b" in out
    assert "\x1b" not in out
    out = charrnn("eval", "esc.txt", "--per-line", *given, terminal=True).out
    header, only = out.splitlines()
    assert header.split() == ["surprise", "line", "chars", "bits/char", "text"]
    assert only.split()[::3] == ["1", "\\x1b[a\\x1b[b\\x1b]h"]  # one line is no more surprising than others
    assert "\x1b" not in out
    for args in (
        ["eval", "esc.txt", "--highlight"],
        ["sample", *drawn, "--novelty", "--novelty-min", "2"],
    ):
        _, out, progress = charrnn(*args, *given, terminal=True)
        assert "\\x1b" in out
        assert "\x1b[" in out  # ours
        assert "\x1b" not in re.sub(r"\x1b\[[0-9;]*m", "", out)
        assert ("100%" in progress) == (args[0] == "eval")


def doubling_model() -> Model:
    """A ReLU unit that doubles at each symbol, so that its logits pass any bound."""
    config = ModelConfig(cell="rnn", nonlinearity="relu", layers=1, hidden=1)
    weights = {name: np.zeros(shape) for name, shape in torch_layout.shapes(config, 2).items()}
    weights["rnn.weight_ih_l0"][:] = 1
    weights["rnn.weight_hh_l0"][:] = 2
    weights["head.weight"][0] = 1
    return Model(config, "ab", weights)


def test_a_loss_beyond_what_a_number_can_be_raised_to() -> None:
    model = doubling_model()
    found = evaluate(model, model.vocab.encode("b" * 20))  # h = 2^n - 1, the loss of b is about h
    assert found.loss_nats == pytest.approx(sum(2**n - 1 for n in range(1, 20)) / 19, rel=1e-6)
    assert found.perplexity == math.inf
    assert found.to_json()["perplexity"] is None
    assert "inf" in found.in_words()
    assert Evaluation(10, 2.0).perplexity == pytest.approx(math.e**2)


@pytest.mark.parametrize(
    "score",
    [
        lambda m, ids: evaluate(m[0], ids),
        lambda m, ids: list(surprises(m, ids)),
        lambda m, ids: list(predictions(m, ids)),
        score_lines,
    ],
)
def test_a_model_whose_state_overflows_is_told(score: Any) -> None:
    model = doubling_model()
    with pytest.raises(ModelError, match="not finite"):
        score([model], model.vocab.encode("ab" * 600))
