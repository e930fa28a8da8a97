"""charrnn train, as a command: exit codes, messages, JSON, --help, and what it takes to start."""

import dataclasses
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import charrnn_line as charrnn
from typer.testing import CliRunner

from charrnn.cli import app as app_module
from charrnn.config import PRESETS, ModelConfig, TrainConfig, configs
from charrnn.engines.choice import settle
from charrnn.model.model import load_model

KEYS = [  # as design and README promise them to scripts
    "model",
    "checkpoint",
    "steps",
    "epochs",
    "seconds",
    "chars_per_second",
    "parameters",
    "train_loss_nats",
    "val_loss_nats",
    "val_bits_per_char",
    "best_step",
    "stopped_because",
]
SMALL = "--layers 1 --hidden 4 --batch-size 2 --seq-length 5 --threads 1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has text.txt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    letters = random.Random(1)
    Path("text.txt").write_text("".join(letters.choices("abc [/d]\n", k=600)))


# ------------------------------------------------------------------------------------------------
# What goes wrong


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("train", 2, "no corpus given. Name a text file or folder"),
        ("train text.txt --cell tree", 2, "Invalid value for '--cell'"),
        ("train text.txt --hidden many", 2, "Invalid value for '--hidden'"),
        ("train text.txt --hidden 0", 2, "--hidden is 0; it must be at least 1"),
        ("train text.txt --layers 65", 2, "--layers is 65; it must be at most 64"),
        ("train text.txt --dropout 1", 2, "--dropout is 1.0; it must be less than 1"),
        ("train text.txt --weight-drop 1", 2, "--weight-drop is 1.0; it must be less than 1"),
        ("train text.txt --weight-drop -0.1", 2, "--weight-drop is -0.1; it must be at least 0"),
        ("train text.txt --ar -1", 2, "--ar is -1.0; it must be at least 0"),
        ("train text.txt --tar -1", 2, "--tar is -1.0; it must be at least 0"),
        ("train text.txt --label-smoothing 1", 2, "--label-smoothing is 1.0; it must be less than 1"),
        ("train text.txt --dropout-kind never", 2, "Invalid value for '--dropout-kind'"),
        (
            "train text.txt --embedding-dropout 0.1",
            2,
            "--embedding-dropout 0.1 needs an embedding; set its size with ",
        ),
        (
            "train text.txt --input-dropout 0.1",
            2,
            "--input-dropout 0.1 needs an embedding; set its size with --emb",
        ),
        ("train text.txt --lr 0", 2, "--lr is 0.0; it must be greater than 0"),
        ("train text.txt --lr nan", 2, "--lr is nan; it must be a finite number"),
        ("train text.txt --max-minutes inf", 2, "--max-minutes is inf; it must be a finite number"),
        ("train text.txt --val-fraction 0.6 --test-fraction 0.4", 2, "leave no text to train on"),
        ("train text.txt --preset best", 2, "--preset is 'best'; it must be one of: default, "),
        ("train text.txt --encoding klingon", 2, "--encoding is 'klingon'"),
        ("train text.txt --temperature 1", 2, "No such option: --temperature"),
        ("train --resume --preset quick", 2, "--preset cannot be given with --resume"),
        ("train text.txt --resume --dry-run", 2, "--dry-run cannot be given with --resume"),
        ("train text.txt --out text.txt", 2, "--out text.txt is a file"),
        ("train nowhere.txt", 3, "nowhere.txt: No such file or directory"),
        ("train no*.txt", 3, "no file matches this pattern"),
        ("train empty.txt", 3, "empty.txt: there is no text in it"),
        ("train short.txt", 3, "the text is too short: 8 symbols"),
        ("train latin.txt", 3, "latin.txt is not valid utf-8 at byte 2 (line 1): 0xEF"),
        ("train wide.txt", 3, "wide.txt is UTF-16, not UTF-8 (it begins with the byte order mark FF FE)"),
        ("train half.txt", 3, "half.txt looks like UTF-16-LE, not UTF-8 (every other byte is zero)"),
        (
            "train nul.txt",
            3,
            "nul.txt looks like binary data, not text: it has a NUL character at character 200",
        ),
        ("train binary", 3, "binary is a folder without text files; skipped: nul.txt (not utf-8 text)"),
        ("train nothing", 3, "nothing is a folder without text files"),
        ("train /dev/null", 3, "/dev/null is a device: name a file, a folder, a pipe, or - for stdin"),
        ("train text.txt --level word", 2, "Invalid value for '--level'"),
        ("train text.txt --newlines cr", 2, "Invalid value for '--newlines'"),
        ("train text.txt --min-count 0", 2, "--min-count is 0; it must be at least 1"),
        ("train text.txt --level byte --min-count 2", 2, "--level byte reads raw bytes"),
        ("train -", 3, "stdin: there is no text in it"),
        ("train --resume", 4, "there is no run under runs. Train a model with `charrnn train CORPUS`"),
        ("train --resume --out nowhere", 4, "nowhere does not exist. Name a run folder"),
        ("train --resume --out nothing", 4, "nothing holds no run"),
        ("train text.txt --init-from text.txt", 4, "text.txt: it is a text, not a model"),
        (
            "train text.txt --init-from pickle.pt",
            4,
            "pickle.pt: it is a zip archive or a pickle, as torch.save writes",
        ),
        ("train --resume --init-from text.txt", 2, "--init-from cannot be given with --resume"),
        (f"train text.txt {SMALL} --lr 1e30", 5, "did not recover in 5 tries with ever lower learning rates"),
    ],
)
def test_each_mistake_has_its_code_and_message(line: str, code: int, message: str) -> None:
    Path("empty.txt").write_text("")
    Path("short.txt").write_text("too short")
    Path("latin.txt").write_bytes("na\u00efve".encode("latin-1") * 50)
    Path("wide.txt").write_bytes("naïve".encode("utf-16") * 50)
    Path("half.txt").write_bytes("naïve".encode("utf-16-le") * 50)
    Path("nul.txt").write_bytes(b"text" * 50 + b"\0" + b"text" * 50)
    Path("pickle.pt").write_bytes(pickle.dumps({"weights": [0.0] * 99}))
    Path("binary").mkdir()
    Path("binary/nul.txt").write_bytes(Path("nul.txt").read_bytes())
    Path("nothing").mkdir()
    done = charrnn(line)
    assert done.code == code, done.err
    assert message in done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    if "1e30" not in line:  # nothing is left behind of what never began
        assert not Path("runs").exists()


def test_a_mistake_is_one_message() -> None:
    assert charrnn("train nowhere.txt").err.count("\n") == 1
    assert charrnn("train nowhere.txt").err.startswith("charrnn: nowhere.txt: ")


def test_a_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    from charrnn.errors import DataError

    monkeypatch.setattr(app_module, "_debug", False)
    monkeypatch.setattr(sys, "argv", ["charrnn", "--debug", "train", "nowhere.txt"])
    with pytest.raises(DataError):
        app_module.main()


def test_a_run_is_not_overwritten_without_force() -> None:
    line = f"train text.txt {SMALL} --max-steps 3 --out here --quiet"
    assert charrnn(line).code == 0
    again = charrnn(line)
    assert again.code == 2
    assert "charrnn: --out here already holds a run" in again.err
    assert charrnn(f"{line} --force --seed 2").code == 0
    assert load_model("here/model.safetensors").training["settings"]["seed"] == 2


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ("--hidden 5", 2, "here was trained with other settings: --hidden 4 -> 5."),
        ("--seq-length 6", 2, "--seq-length 5 -> 6. A resume may change budgets"),
        ("other.txt", 3, "the corpus has changed since here was trained on it: sha256 "),
    ],
)
def test_a_resume_shows_the_difference(more: str, code: int, message: str) -> None:
    assert charrnn(f"train text.txt {SMALL} --max-steps 3 --out here").code == 0
    Path("other.txt").write_text(Path("text.txt").read_text()[:-1])
    done = charrnn(f"train --resume --out here --max-steps 6 {more}")
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_a_damaged_checkpoint_ends_with_4() -> None:
    charrnn(f"train text.txt {SMALL} --max-steps 3 --out here")
    file = Path("here/checkpoint.safetensors")
    file.write_bytes(file.read_bytes()[:-9])
    done = charrnn("train --resume --out here")
    assert done.code == 4
    assert done.err.startswith("charrnn: here/checkpoint.safetensors: ")


def reheaded(content: bytes, old: str, new: str) -> bytes:
    """A model file whose header says `new` where it said `old`."""
    (length,) = struct.unpack_from("<Q", content)
    header = content[8 : 8 + length].decode()
    assert header.count(old) == 1
    header = header.replace(old, new)
    return struct.pack("<Q", len(header)) + header.encode() + content[8 + length :]


STRANGERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "it is empty"),
    "cut off": (lambda content: content[:-9], " are there. The file is damaged"),
    "a bit flipped": (
        lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        "checksum does not match",
    ),
    "pickle": (lambda content: pickle.dumps([0.0] * 99), "zip archive or a pickle, as torch.save writes"),
    "newer": (
        lambda content: reheaded(content, r"\"format_version\":1", r"\"format_version\":3"),
        "format version 3; this charrnn reads up to 2. A newer charrnn",
    ),
    "10^12 numbers": (
        lambda content: reheaded(
            content,
            '"head.weight":{"dtype":"F32","shape":[9,4]',
            '"head.weight":{"dtype":"F32","shape":[1000000,1000000]',
        ),
        "of shape [1000000, 1000000]",
    ),
    "without a head": (
        lambda content: reheaded(content, '"head.weight"', '"tail.weight"'),
        "tensor 'head.weight' is missing",
    ),
    "a key twice": (
        lambda content: reheaded(content, '{"__metadata__":', '{"__metadata__":{},"__metadata__":'),
        "a key appears twice",
    ),
    "deep": (lambda content: struct.pack("<Q", 80_005) + b'{"a":' + b"[" * 80_000, "nested more than 32"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_model_file_from_a_stranger_ends_each_command_with_4(stranger: str) -> None:
    change, message = STRANGERS[stranger]
    assert charrnn(f"train text.txt {SMALL} --max-steps 3 --out here").code == 0
    model, checkpoint = Path("here/model.safetensors"), Path("here/checkpoint.safetensors")
    model.write_bytes(change(model.read_bytes()))
    for command in (
        "sample --model here",
        "eval text.txt --model here",
        "info --model here",
        "inspect-cells --model here",
        "train text.txt --init-from here",
    ):
        done = charrnn(command)
        assert (done.code, done.out) == (4, ""), command
        assert done.err.startswith(f"charrnn: {model}: ")
        assert message in done.err
        assert done.err.count("\n") == 1
    if stranger not in ("10^12 numbers", "without a head"):  # a checkpoint has no such tensor
        checkpoint.write_bytes(change(checkpoint.read_bytes()))
        done = charrnn("train --resume --out here --max-steps 6")
        assert (done.code, done.out) == (4, "")
        assert done.err.startswith(f"charrnn: {checkpoint}: ")
        assert message in done.err


# ------------------------------------------------------------------------------------------------
# What goes right


@pytest.mark.parametrize("text", ["a" * 500, "\n" * 500])
def test_a_text_of_one_symbol(text: str) -> None:
    Path("one.txt").write_text(text)
    done = charrnn(f"train one.txt {SMALL} --max-steps 60 --out one --json")
    assert done.code == 0
    assert json.loads(done.out)["val_loss_nats"] == 0
    assert charrnn("sample --model one --length 7 --seed 1").out == text[:7]


def test_json_has_the_promised_keys() -> None:
    done = charrnn(f"train text.txt {SMALL} --max-steps 60 --json --out here")
    assert done.code == 0
    assert done.out.count("\n") == 1
    answer = json.loads(done.out)
    assert list(answer)[: len(KEYS)] == KEYS
    assert set(answer) - set(KEYS) == {"verdict"}
    assert (answer["model"], answer["checkpoint"]) == (
        "here/model.safetensors",
        "here/checkpoint.safetensors",
    )
    assert (answer["steps"], answer["stopped_because"]) == (60, "max_steps")
    assert answer["epochs"] == 60 / 53  # 540 symbols to train on: 2 streams of 269, 53 chunks of 5
    model = load_model("here/model.safetensors")
    assert answer["parameters"] == sum(tensor.size for tensor in model.network.params.values())
    assert answer["val_loss_nats"] == model.training["val_loss_nats"]
    assert answer["val_bits_per_char"] == pytest.approx(answer["val_loss_nats"] / 0.6931471805599453)
    assert answer["best_step"] == model.training["step"]
    lines = [json.loads(line) for line in Path("here/metrics.jsonl").read_text().splitlines()]
    assert min(line["val_loss_nats"] for line in lines if line["val_loss_nats"]) == answer["val_loss_nats"]
    assert lines[-1]["train_loss_nats"] == answer["train_loss_nats"]


def test_without_json_stdout_is_empty() -> None:
    done = charrnn(f"train text.txt {SMALL} --max-steps 60 --out here")
    assert (done.code, done.out) == (0, "")
    assert "text: 600 characters (540 train, 60 validate), vocabulary 9" in done.err
    assert "run folder here\n" in done.err
    assert done.err.endswith("charrnn sample --model here/model.safetensors\n")


def test_after_pairs_the_next_command_is_transform() -> None:
    Path("pairs.tsv").write_text("".join(f"{n}\t{'ab' * n}\n" for n in range(1, 9)))
    done = charrnn(f"train pairs.tsv --items pairs {SMALL} --max-steps 3 --out here")
    assert done.err.endswith("\ncharrnn transform FILE --model here/model.safetensors\n")


def test_quiet_says_nothing_when_all_is_well() -> None:
    assert charrnn(f"train text.txt {SMALL} --max-steps 3 --out here --quiet") == (0, "", "")
    done = charrnn("train --resume --out here --max-steps 4 --quiet --json")
    assert json.loads(done.out)["steps"] == 4


def test_a_run_folder_is_made_and_resumed_by_default() -> None:
    assert charrnn(f"train text.txt {SMALL} --max-steps 3").code == 0
    (folder,) = Path("runs").iterdir()
    assert re.fullmatch(r"text-\d{8}-\d{6}", folder.name)
    done = charrnn("train --resume --max-steps 6 --json")
    assert json.loads(done.out)["model"] == str(folder / "model.safetensors")
    assert "resumed at step 3" in done.err


def test_the_card_has_the_command_line() -> None:
    charrnn(f"train text.txt {SMALL} --max-steps 3 --out here")
    command = f"charrnn train text.txt {SMALL} --max-steps 3 --out here"
    assert load_model("here/model.safetensors").training["command_line"] == command


def test_a_corpus_from_stdin() -> None:
    text = Path("text.txt").read_bytes()
    of_file = charrnn(f"train text.txt {SMALL} --max-steps 9 --json --out a")
    of_stdin = charrnn(f"train - {SMALL} --max-steps 9 --json --out b", stdin=text)
    losses = [json.loads(done.out)["val_loss_nats"] for done in (of_file, of_stdin)]
    assert losses[0] == losses[1]
    assert charrnn("train - --resume --out b --max-steps 12", stdin=text).code == 0
    assert charrnn("train - --resume --out b --max-steps 15", stdin=text[1:]).code == 3


@pytest.mark.parametrize("stopped", ["at its end", "before its first checkpoint"])
def test_a_text_from_a_stream_must_be_named_again(stopped: str) -> None:
    """The message, and that what it advises works: a resume must not sit waiting for a keyboard."""
    text = Path("text.txt").read_bytes()
    assert charrnn(f"train - {SMALL} --max-steps 9 --out b", stdin=text).code == 0
    if stopped == "before its first checkpoint":
        Path("b/checkpoint.safetensors").unlink()
    done = charrnn("train --resume --out b --max-steps 12 --quiet", stdin=text)
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1] == (
        "charrnn: b was trained on a text from stdin, which cannot be read again. Name a file with the same text, "
        "or - and pipe it in: charrnn train TEXT --resume --out b"
    )
    assert charrnn("train text.txt --resume --out b --max-steps 12").code == 0
    assert charrnn("train --resume --out b --max-steps 15").code == 0  # now that it came from a file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_must_be_named_again() -> None:
    os.mkfifo("pipe.txt")
    text = Path("text.txt").read_text()
    writer = threading.Thread(target=Path("pipe.txt").write_text, args=(text,))
    writer.start()
    assert charrnn(f"train pipe.txt {SMALL} --max-steps 9 --out b").code == 0
    writer.join()
    done = charrnn("train --resume --out b --max-steps 12")
    assert done.code == 2
    assert (
        f"b was trained on a text from {Path('pipe.txt').absolute()}, which cannot be read again" in done.err
    )


def test_several_files_and_bytes() -> None:
    Path("more.txt").write_text("é" * 100)
    assert charrnn(f"train text.txt more.txt {SMALL} --level byte --max-steps 3 --out here").code == 0
    model = load_model("here/model.safetensors")
    assert (model.vocab.level, len(model.vocab)) == ("byte", 256)
    assert model.training["corpus"]["symbols"] == 800
    assert model.training["corpus"]["sources"] == [
        str(Path(name).absolute()) for name in ("text.txt", "more.txt")
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    """Each trains; what is named on the command line goes over it."""
    line = f"train text.txt --preset {preset} --hidden 4 --batch-size 1 --threads 1 --max-steps 2 --out here"
    assert charrnn(line).code == 0
    model, training = configs(preset, hidden=4, batch_size=1, threads=1, max_steps=2)
    card = load_model("here/model.safetensors")
    assert card.config == model
    assert card.training["settings"] == dataclasses.asdict(settle(training))


# ------------------------------------------------------------------------------------------------
# --help, and starting


def test_help_shows_every_setting_with_its_default() -> None:
    shown = CliRunner().invoke(app_module.app, ["train", "--help"])
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split()).replace("- ", "-")  # words broken at a hyphen
    fields = dataclasses.fields(ModelConfig) + dataclasses.fields(TrainConfig)
    value = r"(?:<|\[|[A-Z]+ )"  # how a value is shown differs between versions of typer
    for f in fields:
        flag = f.name.replace("_", "-")
        given = rf"/ --no-{flag} " if f.type is bool else value
        place = re.search(rf" --{flag} {given}", text)
        assert place is not None, f"--help lacks {f.name}"
        following = rf" (?:--[a-z0-9-]+ (?:{value}|/ --no-)|-h, --help)"
        entry = re.split(following, text[place.end() :], maxsplit=1)[0]
        assert f.metadata["help"].replace("- ", "-") in entry
        default = f"{f.default:g}" if isinstance(f.default, float) else f.default
        assert (f"[default: {default}]" in entry) == (
            f.default is not False and f.default not in (None, "")
        ), entry
        for choice in f.metadata["choices"]:
            assert choice in entry
    for word in ("--out", "--preset", "--resume", "--force", "--quiet", "--json", "Examples:"):
        assert word in text


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], []])
def test_help_imports_no_numbers(arguments: list[str]) -> None:
    code = (
        "import sys, charrnn.cli.app\n"
        f"sys.argv = ['charrnn', *{arguments}]\n"
        "try: charrnn.cli.app.main()\n"
        "except SystemExit: pass\n"
        "print('imported', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.splitlines()[-1].split()
    assert "typer" in imported
    assert not {"numpy", "torch", "safetensors"} & set(imported)


def test_the_package_itself_imports_no_torch() -> None:
    code = "import sys, charrnn\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy"} & set(done.stdout.split())
