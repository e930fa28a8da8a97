"""charrnn sample, as a command."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers.command_line import charrnn
from helpers.random_models import random_model
from typer.testing import CliRunner, Result

from charrnn.cli.app import main
from charrnn.cli.sample import sample as command
from charrnn.errors import CharRNNError, DataError, ModelError, UsageError
from charrnn.model.model import Model
from charrnn.sampling.beam import likeliest
from charrnn.sampling.half import cost_nats, rounded
from charrnn.sampling.sampler import SampledText, Sampler, SamplingConfig, next_distribution
from charrnn.sampling.writer import sample
from charrnn.ui.terminal.interactive import converse
from charrnn.ui.terminal.output import escape

SYMBOLS = "\n\x1b abcdefgh"
app = typer.Typer(rich_markup_mode=None)
app.command()(command)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model saved as the newest run of a folder that is now the current one."""
    monkeypatch.chdir(tmp_path)
    made = random_model(SYMBOLS)
    folder = Path("runs/tale-1")
    folder.mkdir(parents=True)
    made.save(folder / "model.safetensors")
    return made


def run(*args: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=stdin)


def test_the_text_is_that_of_the_library(model: Model) -> None:
    result = run("--seed", "7", "--length", "80", "--temp", "0.9", "--prime", "ab", "--top-k", "5")
    assert result.exit_code == 0
    assert result.stdout == sample(model, seed=7, length=80, temperature=0.9, prime="ab", top_k=5)
    assert result.stderr == f"model {Path('runs/tale-1/model.safetensors')}\n"
    assert run("--model", "runs/tale-1", "--seed", "7").stderr == ""
    assert run("--model", "runs/tale-1/model.safetensors", "--seed", "7").stderr == ""


def test_the_loss_of_half_weights_is_told(model: Model) -> None:
    result = run("--seed", "7", "--length", "80", "--weights", "half", "--model", "runs/tale-1")
    cost = cost_nats(Sampler(model, SamplingConfig(weights="half")))
    assert result.stderr == (
        f"the large weight matrices are rounded to bfloat16: {cost:+.1g} nats per character on 16 texts of 64 "
        "characters that the model wrote itself\n"
    )
    assert result.stdout == sample(rounded(model), seed=7, length=80)
    assert result.stdout == sample(model, seed=7, length=80, weights="half")


def test_the_seed_is_told_when_it_was_not_given(model: Model) -> None:
    first = run("--length", "60")
    line = first.stderr.splitlines()[-1]
    assert line.startswith("seed ")
    assert run("--length", "60", "--seed", line.split()[1]).stdout == first.stdout


def test_no_seed_is_told_where_nothing_is_drawn(model: Model) -> None:
    greedy = run("--length", "60", "--temp", "0")
    assert greedy.stdout == sample(model, length=60, temperature=0, seed=1)
    assert "seed" not in greedy.stderr
    assert "seed" in run("--length", "60", "--temp", "0,0.5").stderr


def test_json(model: Model) -> None:
    result = run("--json", "--count", "2", "--temp", "0.5,1", "--seed", "3", "--length", "20")
    answer = json.loads(result.stdout)
    assert answer["model"] == str(Path("runs/tale-1/model.safetensors"))
    for one, (T, seed) in zip(
        answer["samples"], [(T, seed) for T in (0.5, 1.0) for seed in (3, 4)], strict=True
    ):
        text = sample(model, seed=seed, temperature=T, length=20)
        log_probability = model.score(text).log_probability_nats
        assert one == {
            "text": text,
            "seed": seed,
            "temperature": T,
            "prime": "",
            "label": None,
            "ended": "length",
            "log_probability_nats": pytest.approx(log_probability, abs=1e-9),
        }


def test_whole_texts_can_be_told_from_cut_ones_and_stand_with_their_prime(model: Model) -> None:
    given = ("--prime", "ab", "--stop", "h", "--stop", r"\n", "--length", "9", "--count", "20", "--seed", "3")
    samples = json.loads(run(*given, "--with-prime", "--json").stdout)["samples"]
    assert {one["ended"] for one in samples} == {"stop", "length"}
    for one in samples:
        assert one["prime"] == "ab"
        assert one["text"].startswith("ab")
        if one["ended"] == "length":
            assert len(one["text"]) == 2 + 9
            expected = model.score(one["text"][2:], prime="ab").log_probability_nats
            assert one["log_probability_nats"] == pytest.approx(expected, abs=1e-9)
    assert run(*given, "--with-prime").stdout == "".join(one["text"] + "\n" for one in samples)
    assert run(*given).stdout == "".join(one["text"][2:] + "\n" for one in samples)


def test_headings_of_several_texts_are_talk(model: Model) -> None:
    result = run("--count", "2", "--seed", "3", "--length", "20", "--temp", "1")
    first, second = (sample(model, seed=seed, temperature=1, length=20) for seed in (3, 4))
    assert result.stdout == f"{first}\n{second}\n"
    assert result.stderr.endswith("--- seed 3, temperature 1\n--- seed 4, temperature 1\n")


def test_texts_come_with_where_they_came_from(model: Model) -> None:
    sampler = Sampler(model, SamplingConfig(seed=3, length=12, count=2), temperatures=[0.5, 1])
    pieces = [""] * 4

    def heard(k: int, piece: str) -> None:
        pieces[k] += piece

    texts = sampler.draw(heard)
    for one, (T, seed) in zip(texts, [(T, seed) for T in (0.5, 1.0) for seed in (3, 4)], strict=True):
        text = sample(model, seed=seed, temperature=T, length=12)
        log_p = pytest.approx(model.score(text).log_probability_nats, abs=1e-9)
        assert one == SampledText(text, seed, T, log_probability_nats=log_p)
    assert pieces == [one.text for one in texts]
    found = likeliest(Sampler(model, SamplingConfig(length=12, prime="ab")), 3)
    answer = json.loads(run("--beam", "3", "--length", "12", "--prime", "ab", "--json").stdout)
    assert answer["samples"] == [found.to_json()]
    assert {"seed", "temperature"}.isdisjoint(answer["samples"][0])
    log_p = model.score(found.text, prime="ab").log_probability_nats
    assert found.log_probability_nats == pytest.approx(log_p, abs=1e-9)


def test_primes_from_a_file_and_from_stdin(model: Model) -> None:
    Path("start.txt").write_text("abc\n")
    expected = sample(model, prime="abc\n", seed=1, length=30)
    assert run("--prime", "@start.txt", "--seed", "1", "--length", "30").stdout == expected
    assert run("--prime", "-", "--seed", "1", "--length", "30", stdin="abc\n").stdout == expected


def test_stop_clamp_beam_and_ensemble(model: Model) -> None:
    other = random_model(SYMBOLS, seed=2)
    other.save("other.safetensors")
    settings = {"seed": 5, "length": 100}
    given = ("--seed", "5", "--length", "100")
    assert run(*given, "--stop", "h", "--stop", "gg").stdout == sample(model, stop=["h", "gg"], **settings)
    assert run(*given, "--clamp", "1:2=0.9").stdout == sample(model, clamps=["1:2=0.9"], **settings)
    both = run(*given, "--model", "runs/tale-1", "--model", "other.safetensors", "--json")
    assert json.loads(both.stdout)["samples"][0]["text"] == sample([model, other], **settings)
    assert json.loads(both.stdout)["model"] == [
        str(Path("runs/tale-1/model.safetensors")),
        "other.safetensors",
    ]
    assert run("--beam", "1", "--length", "40").stdout == sample(model, temperature=0, length=40)
    found = json.loads(run("--beam", "4", "--length", "10", "--json").stdout)["samples"][0]
    assert len(found["text"]) == 10
    assert found["log_probability_nats"] < 0


def test_files_are_read_as_the_text_of_the_model_was(model: Model) -> None:
    for settings, content in (
        ({"newlines": "lf"}, b"ab\r\ncd\r"),
        ({"encoding": "utf-16-le"}, "ab\ncd\n".encode("utf-16-le")),
    ):
        random_model(SYMBOLS, training={"settings": settings}).save("m.safetensors")
        Path("start.txt").write_bytes(content)
        for name, stdin in (("@start.txt", None), ("-", content)):
            result = run("--model", "m.safetensors", "--prime", name, "--seed", "1", stdin=stdin)
            assert result.stdout == sample(model, prime="ab\ncd\n", seed=1)
        Path("end.txt").write_bytes(content[: len(content) // 6])
        result = run("--model", "m.safetensors", "--stop", "@end.txt", "--seed", "1", "--temp", "2")
        assert result.stdout == sample(model, stop="a", seed=1, temperature=2)
        Path("odd.txt").write_bytes(b"a\xff\n")
        error = run("--model", "m.safetensors", "--prime", "@odd.txt").exception
        assert isinstance(error, DataError)
        assert "--" not in str(error)  # neither of the options that the command lacks


def test_escapes_in_a_stop_text(model: Model) -> None:
    settings: dict[str, Any] = {"seed": 5, "length": 200, "temperature": 2}
    given = ("--seed", "5", "--length", "200", "--temp", "2")
    assert (expected := sample(model, stop="\n", **settings)) != sample(model, **settings)
    assert run(*given, "--stop", r"\n").stdout == expected
    never = run(*given, "--stop", "@")
    assert never.stdout == sample(model, **settings)
    assert "the stop text '@' can never occur" in never.stderr


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (["--stop", ""], UsageError, "--stop is an empty text"),
        (["--stop", "@nowhere.txt"], DataError, "nowhere.txt"),
        (["--prime", "aXb"], DataError, r"'X' \(U\+0058\) at position 1"),
        (["--prime", "@nowhere.txt"], DataError, "nowhere.txt"),
        (["--temp", "warm"], UsageError, "--temp is 'warm'"),
        (["--temp", "-1"], UsageError, "--temp is -1"),
        (["--temp", "nan"], UsageError, "--temp is nan"),
        (["--top-p", "0"], UsageError, "--top-p is 0"),
        (["--clamp", "9:1=0.5"], UsageError, "--clamp 9:1=0.5: the model has layers 0 to 1"),
        (["--model", "nowhere"], ModelError, "nowhere"),
        (["--interactive", "--json"], UsageError, "--interactive"),
        (["--beam", "2", "--stop", "a"], UsageError, "--beam .* --stop"),
        (["--beam", "2", "--count", "3"], UsageError, "--beam .* --count"),
        (["--beam", "2", "--temp", "0.5,1"], UsageError, "--beam .* temperatures"),
    ],
    ids=str,
)
def test_errors(model: Model, args: list[str], error: type[CharRNNError], message: str) -> None:
    result = run(*args)
    assert isinstance(result.exception, error)
    with pytest.raises(error, match=message):
        raise result.exception


def test_without_any_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(run().exception, ModelError)


def test_a_reader_that_goes_away_ends_it_quietly(model: Model) -> None:
    command = [sys.executable, "-m", "charrnn", "sample", "--length", "100000000", "--seed", "1"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        begin = process.stdout.read(100)  # it comes before the end
        process.stdout.close()
        talk = process.stderr.read().decode()
    assert (len(begin), process.returncode) == (100, 0), talk
    assert talk == f"model {Path('runs/tale-1/model.safetensors')}\n"


def test_the_prime_is_dim_on_a_terminal_alone(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    given = ["sample", "-p", "ab\x1bc", "--seed", "1", "--length", "5", "--unknown", "skip"]
    prime = sample(model, prime="ab\x1bc", seed=1, length=5, with_prime=True)
    text = prime[4:]
    assert prime[:4] == "ab\x1bc"
    dim = "\x1b[2mab\\x1bc\x1b[0m"
    shown = charrnn(*given, terminal=True).out
    assert shown.rstrip("\n") == dim + escape(text).rstrip("\n")
    assert charrnn(*given).out == text
    assert charrnn(*given, "--with-prime", terminal=True).out.rstrip("\n") == escape(prime).rstrip("\n")
    assert charrnn(*given, "-n", "2", terminal=True).out.count(dim) == 2
    assert charrnn(*given, "--json", terminal=True).out.startswith('{"samples"')
    long = charrnn("sample", "-p", "abc" * 200, "--seed", "1", "--length", "5", terminal=True).out
    assert long.startswith(f"\x1b[2m…{('abc' * 200)[-400:]}\x1b[0m")
    monkeypatch.setenv("TERM", "dumb")
    assert charrnn(*given, terminal=True).out.rstrip("\n") == escape(text).rstrip("\n")


def together(sampler: Sampler, answers: list[str]) -> tuple[str, list[str], str]:
    """The text at the end, the questions, and all that was shown."""
    shown: list[str] = []
    questions = []

    def ask(question: str) -> str:
        questions.append(question)
        if not answers:
            raise EOFError
        return answers.pop(0)

    text = converse(sampler, ask, shown.append)
    return text, questions, "".join(shown)


def test_writing_together() -> None:
    model = random_model(SYMBOLS)
    sampler = Sampler(model, SamplingConfig(prime="ab", seed=4, length=10))
    went_on = sample(model, prime="ab", seed=4, length=10)
    third = sample(model, prime="ab" + went_on + "cab", seed=5, length=10)

    def after(*answers: str) -> str:
        return together(sampler, [*answers, "/quit"])[0]

    assert after() == "ab"
    assert after("") == "ab" + went_on
    assert after("", "cab") == "ab" + went_on + "cab"
    assert after("", "cab", "/1")[:-1] == after("", "cab") == after("", "cab", "/1", "/undo")
    assert after("", "cab", "") == after("", "cab") + third
    assert after("", "cab", "", "XYZ") == after("", "cab", "")
    assert after("", "cab", "", *["/undo"] * 5) == "ab"
    assert after("", "cab", "", *["/undo"] * 5, "") == "ab" + sample(model, prime="ab", seed=6, length=10)
    assert after(r"a\nb") == "aba\nb"
    assert "'X'" in together(sampler, ["XYZ"])[2]


def test_nothing_is_shown_twice() -> None:
    """Each question begins with the end of the last line; what was written stays above it."""
    sampler = Sampler(random_model("abcd\n "), SamplingConfig(prime="ab " * 20, seed=4, length=30))
    text, questions, shown = together(sampler, ["", r"dad\nbc ", "/text"])
    written = text[60:90]
    assert text == "ab " * 20 + written + "dad\nbc "
    assert questions[0] == ("ab " * 20)[-40:] + "|"
    assert questions[1] == ("ab " * 20 + written).rpartition("\n")[2][-40:] + "|"
    assert questions[2:] == ["bc |", "bc |"]
    assert shown.count("ab " * 20) == 2  # at the beginning, and for /text
    assert shown.count(written) == 2
    assert shown.count("/1 ") == 1 + 3  # in the help, and where the text is another one


def test_only_what_may_come_is_offered() -> None:
    model = random_model("abc\n", scale=6.0)
    sampler = Sampler(model, SamplingConfig(prime="ab", seed=4))
    ids = model.vocab.encode("ab").astype(int)[:, None]
    p = next_distribution(model.logits(ids)[0][-1, 0])
    likely = [model.vocab.decode([k]) for k in (-p).argsort() if p[k] >= 0.005]
    assert 0 < len(likely) < 4
    offered = re.findall(r"/\d (\S+) \d+%", together(sampler, [])[2])
    assert [c.replace("\\n", "\n") for c in offered] == likely


def test_another_temperature_while_writing_together() -> None:
    model = random_model(SYMBOLS)
    sampler = Sampler(model, SamplingConfig(prime="ab", seed=4, length=10))
    assert together(sampler, ["/temp 0", ""])[0] == "ab" + sample(model, prime="ab", temperature=0, length=10)
    for wrong in ("/temp", "/temp x", "/temp -1", "/temp nan", "/temp inf"):
        text, _, shown = together(sampler, [wrong])
        assert text == "ab"
        assert "/temp needs a finite number of at least 0, such as /temp 0.5; it is 0.8 now\n" in shown


def test_saving_what_was_written_together(tmp_path: Path) -> None:
    sampler = Sampler(random_model("abé\n"), SamplingConfig(prime="ab", seed=4, length=10))
    name = tmp_path / "a story.txt"
    text, _, shown = together(sampler, ["é\\n", f"/save {name}"])
    assert name.read_text(encoding="utf-8") == text == "abé\n"
    assert f"saved {name}, 5 bytes\n" in shown
    assert "/save needs the name of a file" in together(sampler, ["/save"])[2]
    empty = Sampler(random_model("abé\n"), SamplingConfig(seed=4, length=10))
    assert "there is no text to save yet" in together(empty, [f"/save {tmp_path / 'other'}"])[2]
    for answer in (f"/save {tmp_path}", f"/save {name}"):  # another talk: neither is a file of its own
        assert "exists already" in together(sampler, ["a", answer])[2]
    for answer in ("/99", "/undoo"):
        text, _, shown = together(sampler, ["a", answer])
        assert (text, f"{answer} is no command" in shown) == ("aba", True)


@pytest.mark.parametrize("options", [(), ("--count", "2"), ("--novelty", "--novelty-corpus", "text.txt")])
def test_what_the_encoding_of_stdout_lacks_is_escaped(
    options: tuple[str, ...], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_model(vocab="éß").save("umlauts.safetensors")
    Path("text.txt").write_text("éßß" * 100, encoding="utf-8")
    given = ["charrnn", "sample", "--model", "umlauts.safetensors", "--seed", "1", "--length", "6", *options]
    monkeypatch.setattr(sys, "argv", given)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (None, 0)
    text = sample(random_model(vocab="éß"), seed=1, length=6)
    assert text.encode("ascii", "backslashreplace") in written.getvalue().replace(b"[[", b"").replace(
        b"]]", b""
    )
