"""charrnn eval --counts: a network beside the same mixed with counts of its training text."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import typer
from helpers.item_models import item_model
from helpers.model_with_text import VALIDATION, save_model_with_text
from typer.testing import CliRunner, Result

from charrnn.cli.eval import evaluate as command
from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model
from charrnn.score.evaluation import splits_of, surprises
from charrnn.score.lines import Line
from charrnn.score.mixed import counts_of, fitted_mixture
from charrnn.score.mixture import Mixture
from charrnn.ui.terminal.lines_view import header, row

app = typer.Typer(rich_markup_mode=None)
app.command()(command)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, [*args, "--model", "m.safetensors", "--no-baselines"])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model in ./m.safetensors that says it was trained on ./corpus.txt."""
    monkeypatch.chdir(tmp_path)
    return save_model_with_text(tmp_path)


def test_the_mix_is_shown_beside_the_network(model: Model) -> None:
    plain = json.loads(run("--split", "test", "--json").stdout)
    answer = json.loads(run("--split", "test", "--counts", "adaptive", "--json").stdout)
    found = answer.pop("counts")
    assert answer == plain
    assert found.keys() == {"chars", "second_half", "network", "static", "adaptive", "fitted"}
    assert (found["chars"], found["second_half"]) == (249, False)
    assert found["network"]["loss_nats"] == pytest.approx(plain["loss_nats"])
    assert found["static"]["loss_nats"] < 0.5 * plain["loss_nats"]
    for name in ("network", "static", "adaptive"):
        nats = found[name]["loss_nats"]
        assert found[name]["bits_per_char"] == pytest.approx(nats / math.log(2))
        assert found[name]["perplexity"] == pytest.approx(math.exp(nats))
    assert found["fitted"]["static"]["growth"] == 0 < found["fitted"]["adaptive"]["growth"]
    words = run("--split", "test", "--counts", "adaptive").stdout
    for name in ("network", "static", "adaptive"):
        assert f"{found[name]['loss_nats']:.4f}" in words
    assert "learn from this text" in words
    static = run("--split", "test", "--counts", "static").stdout
    assert "adaptive" not in static


def test_of_the_validation_text_the_second_half_is_reported(model: Model) -> None:
    text = Path("corpus.txt").read_text()[VALIDATION]
    Path("same.txt").write_text(text)
    by_name = json.loads(run("--split", "validation", "--counts", "static", "--json").stdout)["counts"]
    assert (by_name["chars"], by_name["second_half"]) == (125, True)
    losses = np.concatenate(list(surprises([model], model.vocab.encode(text))))
    assert by_name["network"]["loss_nats"] == pytest.approx(losses[124:].mean())
    assert "second half" in run("--split", "validation", "--counts", "static").stdout
    assert json.loads(run("same.txt", "--counts", "static", "--json").stdout)["counts"] == by_name


def test_the_training_text_must_be_there(model: Model) -> None:
    assert "no fair figure" in run("--split", "train", "--counts", "static").stderr
    Path("text.txt").write_text("abc bad " * 20)
    Path("corpus.txt").write_text("abc " * 250)
    found = CliRunner().invoke(app, ["text.txt", "--counts", "static", "--model", "m.safetensors"])
    error = found.exception
    assert isinstance(error, DataError)
    assert "has changed" in str(error)
    assert found.stderr == ""  # once is enough
    error = run("text.txt", "--counts", "static", "--corpus", "text.txt").exception
    assert isinstance(error, DataError)
    assert "--corpus FILE" in str(error)


def test_a_text_that_was_moved_is_found_where_it_is_said_to_be(model: Model) -> None:
    Path("text.txt").write_text("abc bad " * 20)
    before = run("text.txt", "--counts", "static", "--json").stdout
    Path("corpus.txt").rename("moved.txt")
    error = run("text.txt", "--counts", "static").exception
    assert isinstance(error, DataError)
    assert "--corpus FILE" in str(error)
    assert run("text.txt", "--counts", "static", "--corpus", "moved.txt", "--json").stdout == before


@pytest.mark.parametrize("other", ["--per-line", "--highlight"])
def test_lines_and_places_have_no_counts_that_grow(model: Model, other: str) -> None:
    assert isinstance(run("--split", "test", "--counts", "adaptive", other).exception, UsageError)
    assert isinstance(run("--split", "test", "--adapt", "auto", other).exception, UsageError)


def mixture_of(model: Model) -> Mixture:
    parts, _ = splits_of(model)
    assert parts is not None
    return fitted_mixture([model], parts, counts_of([model], parts))


def mixed_losses(model: Model, text: str) -> np.ndarray:
    """-log p of all characters but the first, by the mixture, read as one text."""
    ids = model.vocab.encode(text)
    return np.concatenate([*mixture_of(model).losses(ids, surprises([model], ids))])


def test_lines_are_ranked_by_the_mix(model: Model) -> None:
    """Each line after a newline alone, for the counts too, whatever lines are before it."""
    text = "abc bad cab\nface\n\nddddd bad\nbad face"
    Path("text.txt").write_text(text)
    shown = run("text.txt", "--per-line", "--order", "file", "--counts", "static", "--json").stdout
    found = [json.loads(line) for line in shown.splitlines()]
    assert [one["line"] for one in found] == [1, 2, 4, 5]
    for one in found:
        expected = mixed_losses(model, f"\n{one['text']}\n")
        assert one["chars"] == len(expected)
        assert one["log_probability_nats"] == pytest.approx(-expected.sum(), rel=1e-6)
    shown = run("text.txt", "--per-line", "--order", "file", "--json").stdout
    plain = [json.loads(line) for line in shown.splitlines()]
    assert found[0]["loss_nats"] < 0.8 * plain[0]["loss_nats"]
    for one, alone in zip(found, plain, strict=True):
        assert one["network_loss_nats"] == pytest.approx(alone["loss_nats"], rel=1e-6)
        assert "network_loss_nats" not in alone
    ranked = run("text.txt", "--per-line", "--counts", "static", "--json").stdout
    assert json.loads(ranked.splitlines()[0])["line"] == 4


def test_places_are_painted_and_guessed_by_the_mix(model: Model) -> None:
    text = "abc bad cab\nface abc ddd cab\n"
    Path("text.txt").write_text(text)
    losses = mixed_losses(model, text)
    shown = run("text.txt", "--highlight", "--counts", "static", "--worst", "1").stdout
    assert f"{losses.mean():.4f} nats per character" in shown
    data = run("text.txt", "--highlight", "--counts", "static", "--json").stdout
    first, *found, last = [json.loads(line) for line in data.splitlines()]
    assert first["nats"] is None
    np.testing.assert_allclose([one["nats"] for one in found], losses, rtol=1e-6)
    for one in found:  # a guess that comes true has the probability that the loss says
        for guess in one["guesses"]:
            if guess["character"] == one["character"]:
                assert guess["probability"] == pytest.approx(np.exp(-one["nats"]), rel=1e-6)
    worst = int(np.argmax(losses)) + 1
    guess = found[worst - 1]["guesses"][0]
    assert f"expected {guess['character'].replace(' ', 'space')} {guess['probability']:.0%}" in shown
    assert last["character"] is None
    plain = [json.loads(line) for line in run("text.txt", "--highlight", "--json").stdout.splitlines()]
    assert plain[-1]["guesses"] != last["guesses"]
    assert "network_nats" not in plain[1]
    alone = [one["nats"] for one in plain[1:-1]]
    np.testing.assert_allclose([one["network_nats"] for one in found], alone, rtol=1e-6)
    assert first["network_nats"] is last["network_nats"] is None
    mean = np.mean(alone)
    assert f"per character; the model alone: {mean:.4f} and {mean / math.log(2):.4f}\n" in shown


def test_a_row_of_the_table_has_the_model_alone_beside_the_mix() -> None:
    line = Line(12, 0, 20, 10, 10 * math.log(2), 12.0, 1.5, 25 * math.log(2))
    head, shown = header("line", mixed=True), row(line, "abc", 60)
    for name, value in (("bits/char", "1.000"), ("model alone", "2.500")):
        assert shown[: head.index(name) + len(name)].endswith(value)
    assert shown.index("abc") == head.index("text")


def test_a_text_with_a_part_of_the_training_text_is_told(model: Model) -> None:
    corpus = Path("corpus.txt").read_text()
    Path("new.txt").write_text(corpus[VALIDATION])
    assert "no fair figure" not in run("new.txt", "--counts", "static").stderr
    Path("part.txt").write_text("face " * 20 + corpus[30:230] + "bad " * 20)
    found = run("part.txt", "--counts", "static")
    assert "of the 380 characters are in the training text, 64 or more together" in found.stderr
    assert "no fair figure" in found.stderr
    assert "no fair figure" in run("part.txt", "--counts", "static", "--per-line").stderr
    assert "no fair figure" not in run("part.txt").stderr


def test_a_text_with_a_part_of_what_something_was_fitted_on_is_told(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By content: the mix and the step size on the first half of the validation text, the temperature on all of it."""
    monkeypatch.setattr("charrnn.score.adapt.SAMPLED", 3)
    model.training["temperature"] = 1.3
    model.save("m.safetensors")
    validation, mix = Path("corpus.txt").read_text()[VALIDATION], ("--counts", "static")
    texts = {"whole": validation, "first": validation[:120], "second": validation[125:]}
    texts |= {"more": "abc " * 16 + validation, "other": "bad cab abc\nface " * 9}
    for name, text in texts.items():
        Path(f"{name}.txt").write_text(text)

    def told(*args: str) -> str:
        return CliRunner().invoke(app, [*args, "--model", "m.safetensors"]).stderr

    assert "the temperature was fitted on this very text" in told("--split", "validation")
    assert told("whole.txt", *mix) == told("--split", "validation")  # half of it is not reported
    of_temperature = (
        "characters are in the validation text, 64 or more together, on which the temperature was"
    )
    of_half = "characters are in the first half of the validation text, 64 or more together, on which the"
    found = told("first.txt", *mix, "--adapt", "auto")
    assert f"64 of the 120 {of_temperature} fitted" in found
    assert f"64 of the 120 {of_half} mix was fitted and the step size was chosen: no" in found
    found = told("first.txt", "--adapt", "0.001")
    assert of_temperature in found
    assert of_half not in found
    found = told("first.txt", *mix, "--per-line")
    assert f"{of_half} mix was fitted: no fair figure" in found
    assert of_temperature not in found
    found = told("more.txt", *mix)
    assert of_half in found
    assert of_temperature in found
    found = told("second.txt", *mix)
    assert of_half not in found
    assert of_temperature in found
    assert told("other.txt", *mix) == ""
    assert "the mix was fitted on the first half of this text" in told("whole.txt", "--highlight", *mix)


def test_models_that_were_trained_on_other_parts_are_told(model: Model) -> None:
    """What the first one holds out may be what another was trained on."""
    card = json.loads(json.dumps(model.training))
    others = {
        "same": {},
        "parts": {"settings": {"val_fraction": 0.5, "test_fraction": 0.25}},
        "text": {"corpus": card["corpus"] | {"sha256": "0" * 64}},
        "unknown": {"corpus": None},
    }
    for name, changes in others.items():
        model.training.update(card | changes)
        model.save(f"{name}.safetensors")
    split, part = ("--split", "test"), "not all trained on the same part of the same text"
    Path("new.txt").write_text("bad cab abc\nface " * 9)

    def told(other: str, *args: str) -> bool:
        models = ("--model", "m.safetensors", "--model", f"{other}.safetensors")
        found = CliRunner().invoke(app, [*args, "--no-baselines", *models])
        assert found.exception is None
        return part in found.stderr

    assert not told("same", *split)
    for name in ("parts", "text", "unknown"):
        assert told(name, *split)
        assert told(name, "new.txt", "--counts", "static")
        assert not told(name, "new.txt")
        assert not told(name, "--split", "train")


def test_a_part_that_the_model_does_not_have_is_told_by_its_name(model: Model) -> None:
    model.training["settings"]["test_fraction"] = 0.0
    model.save("m.safetensors")
    error = run("--split", "test").exception
    assert isinstance(error, DataError)
    assert str(error) == "--split test: the model was trained without a test text. Name a FILE to score"


def test_adapting_is_refused_for_items_before_they_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charrnn.score.evaluation.evaluate", lambda *_, **__: pytest.fail("scored"))
    item_model("abc", (("kind", ("x", "y")),)).save(tmp_path / "items.safetensors")
    words = ["any.txt", "--adapt", "auto", "--model", str(tmp_path / "items.safetensors")]
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, UsageError)
    assert "--adapt is for models of a stream" in str(error)


def test_adapting_is_shown_beside_the_network(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.score.adapt.SAMPLED", 3)
    before = Path("m.safetensors").read_bytes()
    answer = json.loads(run("--split", "test", "--adapt", "auto", "--json").stdout)
    found = answer["adapt"]
    assert found.keys() == {"chars", "second_half", "network", "adapting", "lr"}
    assert found["network"]["loss_nats"] == pytest.approx(answer["loss_nats"])
    assert found["adapting"]["loss_nats"] < found["network"]["loss_nats"]
    assert f"{found['adapting']['loss_nats']:.4f}" in run("--split", "test", "--adapt", "auto").stdout
    assert json.loads(run("--split", "test", "--adapt", "0.002", "--json").stdout)["adapt"]["lr"] == 0.002
    assert Path("m.safetensors").read_bytes() == before
    for wrong in ("quickly", "0", "nan", "2"):
        assert isinstance(run("--split", "test", "--adapt", wrong).exception, UsageError)
    two = run("--split", "test", "--adapt", "auto", "--model", "m.safetensors")
    assert isinstance(two.exception, UsageError)


def test_a_loss_beyond_all_numbers_has_no_perplexity(model: Model) -> None:
    model.network.params["head.weight"][...] *= 1e4
    model.save("m.safetensors")
    found = json.loads(run("--split", "test", "--counts", "static", "--json").stdout)["counts"]["network"]
    assert found["loss_nats"] > 710
    assert found["perplexity"] is None
    assert "inf" in run("--split", "test", "--counts", "static").stdout


def test_a_corpus_that_nothing_needs_is_refused(model: Model) -> None:
    found = run("t.txt", "--corpus", "gone.txt")
    assert isinstance(found.exception, UsageError)
    assert "--corpus needs" in str(found.exception)
