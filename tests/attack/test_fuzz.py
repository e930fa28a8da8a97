"""Files of all kinds, mutated at random: each is read, or refused by one message; none takes long or much memory.

Bytes are mutated as they are, and what is JSON also as a tree whose seals are made anew, so that what lies behind
the checksums is reached. A case is one number, which a failure tells: `python tests/attack/test_fuzz.py KIND NUMBER`.
"""

import copy
import hashlib
import json
import random
import resource
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from helpers.victims import REPORTS, SAMPLES, TEXT, card_of, run_folder, small_model

from charrnn.config import TrainConfig, as_dict
from charrnn.engines.ranks import ALONE
from charrnn.errors import CharRNNError, DataError, ModelError
from charrnn.exchange.from_torch import from_torch_file
from charrnn.model import model_file
from charrnn.model.model import load_model
from charrnn.nn.network import Network
from charrnn.probe.probe import Probe, load_probe, model_of
from charrnn.runs import checkpoint
from charrnn.runs.card import read_info
from charrnn.runs.folder import RunFolder, find_model, to_toml
from charrnn.runs.records import Progress
from charrnn.score.evaluation import splits_of
from charrnn.text.corpus import read_corpus
from charrnn.text.sources import claimed, is_stream
from charrnn.text.table import read_table
from charrnn.training.plan import restarted, unheard
from charrnn.tune import search_folder as searches
from charrnn.tune.space import DEFAULT, parse_space
from charrnn.tune.tune_config import TuneConfig

SECONDS = 5  # of this process, for one case
MOST_BYTES = 500_000_000  # that this process may grow by
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**62, -(2**63), 2**63, 10**40, 0.5, -0.0, 1e308, -1e308, 5e-324),
    *(
        "",
        "x",
        "\x1b[2J",
        "/",
        "/dev/zero",
        "-",
        "é" * 300,
        "\udc80",
        "//host/x",
        "NaN",
        "adam",
        "torch",
        "byte",
    ),
    *([], {}, [5], {"a": 1}, [[[[]]]], ["a", "a"], [None], list(range(300))),
]
PIECES = [
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\n",
    b"\r\n",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[" * 60,
    b"," * 9,
]
PIECES += [
    b"1e999",
    b"NaN",
    b"-9" * 200,
    b"\xef\xbb\xbf",
    b"\x1b[31m",
    "\u202e".encode(),
    b"\xed\xa0\x80",
    b"=",
    b"'",
]


def mutated_bytes(content: bytes, rng: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        start = rng.randrange(len(found) + 1)
        end = min(len(found), start + rng.choice((0, 1, 1, 4, 64)))
        match rng.randrange(5):
            case 0:
                found[start:end] = rng.randbytes(end - start)
            case 1:
                found[start:end] = rng.choice(PIECES)
            case 2:
                del found[start:end]
            case 3:
                found[start:start] = found[start:end] * rng.choice((1, 2, 50))
            case _ if rng.random() < 0.1:
                del found[start:]
    return bytes(found)


def mutated_tree(tree: Any, rng: random.Random) -> Any:
    """The tree with some of its values replaced, removed, copied elsewhere or added to."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3))):
        node, path = tree, []
        while isinstance(node, dict | list) and node and (not path or rng.random() < 0.85):
            key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            path.append((node, key))
            node = node[key]
        if not path:
            return tree
        parent, key = path[-1]
        match rng.randrange(6):
            case 0:
                del parent[key]
            case 1 if isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
                parent[key] = parent[key] * rng.choice((-1, 2, 0.5, 10**6)) + rng.choice((0, 1, -1))
            case 2 if isinstance(parent, dict):
                parent[rng.choice(("", "x", key, "step", "vocab"))] = copy.deepcopy(rng.choice(VALUES))
            case _:
                parent[key] = copy.deepcopy(rng.choice(VALUES))
    return tree


def sealed(metadata: Any, tensors: dict[str, np.ndarray]) -> bytes:
    """A model file of any metadata, with the seals that belong to it."""
    if isinstance(metadata, dict):
        if "sha256" in metadata:
            data = b"".join(tensors[name].tobytes() for name in sorted(tensors))
            metadata["sha256"] = hashlib.sha256(data).hexdigest()
        metadata.pop("metadata_sha256", None)
    return safetensors.numpy.save(tensors, {"charrnn": json.dumps(metadata)})


class Field:
    """A folder with one good file of each kind, and how each is read."""

    def __init__(self, folder: Path):
        self.run = run_folder(folder / "run")
        self.text = self.run.with_suffix(".txt")
        self.file = folder / "case"
        self.search = folder / "search"
        self.search.mkdir()
        model = small_model(TEXT, card_of(self.text))
        model.save(self.file)
        self.model = self.file.read_bytes()
        self.tensors = safetensors.numpy.load(self.model)
        self.metadata = model_file.read_metadata(self.file)
        model.save(folder / "good")
        Probe(("a", "b"), np.ones((2, 4)), np.ones(2), self.metadata["sha256"], "good").save(self.file)
        self.probe = self.file.read_bytes()
        self.probe_metadata = model_file.read_metadata(self.file)
        self._make_checkpoint(model.config, as_dict(model.config))
        corpus = card_of(self.text)["corpus"]
        settings = as_dict(TrainConfig(backend="numpy"))
        self.config = {"model": as_dict(model.config), "train": settings, "corpus": corpus}
        self.study = {"tune": as_dict(TuneConfig()), "corpus": corpus}
        self.space = DEFAULT.read_bytes()
        (self.search / searches.SPACE).write_bytes(self.space)
        self.state_dict = {name.replace("lstm.", "net."): array for name, array in self.tensors.items()}
        self.foreign = safetensors.numpy.save(self.state_dict)
        self.symbols = sorted(set(TEXT))

    def _make_checkpoint(self, config: Any, model: dict[str, Any]) -> None:
        size = Network.size(config, len(self.metadata["vocab"]["symbols"]))
        train = TrainConfig(optimizer="adagrad", backend="numpy")
        self.arrays = {
            "theta": np.zeros(size, np.float32),
            "state": np.zeros(Network.state_shape(config, 2), np.float32),
            "rng": np.zeros(6, np.int64),
            "optimizer.steps": np.ones(1, np.int64),
            "optimizer.square_sum": np.zeros(size, np.float32),
        }
        self.checkpoint_metadata = {
            "format_version": 1,
            "kind": "checkpoint",
            "sha256": "",
            "config": model,
            "dtype": "float32",
            "vocab": self.metadata["vocab"],
            "train": as_dict(train),
            "batch_size": 2,
            "threads": 1,
            "ranks": 1,
            "progress": vars(Progress()),
            "training": self.metadata["training"],
        }

    # What is tried: each makes a case of random numbers and reads it.

    def try_model(self, rng: random.Random) -> None:
        if rng.random() < 0.3:
            content = mutated_bytes(self.model, rng)
        else:
            content = sealed(mutated_tree(self.metadata, rng), self.tensors)
        (self.run / "model.safetensors").write_bytes(content)
        read_info(self.run / "model.safetensors")

    def try_checkpoint(self, rng: random.Random) -> None:
        self.file.write_bytes(sealed(mutated_tree(self.checkpoint_metadata, rng), self.arrays))
        checkpoint.load(self.file)

    def try_probe(self, rng: random.Random) -> None:
        if rng.random() < 0.3:
            content = mutated_bytes(self.probe, rng)
        else:
            content = sealed(
                mutated_tree(self.probe_metadata, rng), {"weight": np.ones((2, 4)), "bias": np.ones(2)}
            )
        self.file.write_bytes(content)
        model_of(load_probe(self.file), self.file)

    def try_records(self, rng: random.Random) -> None:
        for name, records in (("metrics.jsonl", REPORTS), ("samples.jsonl", SAMPLES)):
            lines = "".join(
                json.dumps(mutated_tree(one, rng) if rng.random() < 0.2 else one) + "\n" for one in records
            ).encode()
            (self.run / name).write_bytes(lines if rng.random() < 0.5 else mutated_bytes(lines, rng))
        (self.run / "model.safetensors").write_bytes(self.model)
        RunFolder(self.run).read_samples()
        read_info(self.run / "model.safetensors")

    def try_config(self, rng: random.Random) -> None:
        self._write_toml(self.run / "config.toml", self.config, rng)
        restarted(RunFolder(self.run), [], {"backend": "numpy"}, unheard, ALONE)

    def try_study(self, rng: random.Random) -> None:
        self._write_toml(self.search / searches.STUDY, self.study, rng)
        sources, _, text = searches.stored(self.search, [], {}, None)
        assert sources
        parse_space(text, "space.toml")

    def try_space(self, rng: random.Random) -> None:
        try:
            text = mutated_bytes(self.space, rng).decode()
        except UnicodeDecodeError:
            text = to_toml_or_nothing(mutated_tree(tomllib.loads(self.space.decode()), rng))
        parse_space(text, "space.toml")

    def try_foreign(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            content = mutated_bytes(self.foreign, rng)
        else:
            length = int.from_bytes(self.foreign[:8], "little")
            header = json.dumps(mutated_tree(json.loads(self.foreign[8 : 8 + length]), rng)).encode()
            content = len(header).to_bytes(8, "little") + header + self.foreign[8 + length :]
        self.file.write_bytes(content)
        from_torch_file(self.file, self.symbols)

    def try_corpus(self, rng: random.Random) -> None:
        self.file.write_bytes(mutated_bytes(TEXT.encode(rng.choice(("utf-8", "utf-16", "utf-32"))), rng))
        level = rng.choice(("char", "char", "byte"))
        how = (
            {}
            if level == "byte"
            else {"newlines": rng.choice(("keep", "lf")), "min_count": rng.choice((1, 3))}
        )
        how["encoding"] = rng.choice(("utf-8", "utf-16", "utf-32", "latin-1", "shift_jis", "utf-7"))
        read_corpus(self.file, level=level, **how)

    def try_table(self, rng: random.Random) -> None:
        file = self.file.with_suffix(rng.choice((".csv", ".tsv", ".jsonl")))
        content = b'text,label\n"a ""b""",x\nc d,y\n"e\nf",x\n' * 3
        if file.suffix == ".jsonl":
            content = b"".join(
                json.dumps(mutated_tree({"text": "a b", "label": "x"}, rng)).encode() + b"\n" for _ in "abc"
            )
        file.write_bytes(mutated_bytes(content.replace(b",", b"\t" if file.suffix == ".tsv" else b","), rng))
        read_table(str(file))

    def try_splits(self, rng: random.Random) -> None:
        """The training text that a forged card names."""
        model = small_model(TEXT, mutated_tree(self.metadata["training"], rng))
        splits_of(model)

    def _write_toml(self, file: Path, values: dict[str, Any], rng: random.Random) -> None:
        tree = mutated_tree(values, rng) if rng.random() < 0.7 else values
        content = to_toml_or_nothing(tree).encode("utf-8", "replace")
        file.write_bytes(mutated_bytes(content, rng) if rng.random() < 0.4 else content)


def to_toml_or_nothing(values: Any) -> str:
    try:
        return to_toml(values)
    except TypeError:  # TOML has no place for it
        return ""


def attempt(field: Field, kind: str, number: int) -> bool:
    """Whether one case is read; anything but success and a message of ours is raised."""
    try:
        getattr(field, f"try_{kind}")(random.Random(f"{kind} {number}"))
    except CharRNNError:
        return False
    return True


def run(field: Field, kind: str, numbers: range, tell: Callable[[str], object] = pytest.fail) -> None:
    def stop(signal_number: int, frame: object) -> None:
        raise AssertionError(f"it takes more than {SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, stop)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + MOST_BYTES // 1024
    try:
        for number in numbers:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                attempt(field, kind, number)
                assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most, "it takes too much memory"
            except Exception as error:
                tell(f"{kind} {number}: {type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


KINDS = [name.removeprefix("try_") for name in vars(Field) if name.startswith("try_")]
DEAR = {"config": 5_000, "corpus": 6_000, "splits": 2_000}  # these read a text
CASES = {kind: DEAR.get(kind, 10_900) for kind in KINDS}  # 100,200 in all


@pytest.mark.parametrize("kind", KINDS)
def test_some_cases(kind: str, tmp_path: Path) -> None:
    run(Field(tmp_path), kind, range(20))


def test_that_the_cases_are_neither_all_good_nor_all_bad(tmp_path: Path) -> None:
    field = Field(tmp_path)
    for kind in KINDS:
        if kind != "splits":  # its refusals are values
            assert {attempt(field, kind, number) for number in range(60)} == {True, False}, kind


def test_there_are_enough_of_them() -> None:
    assert sum(CASES.values()) >= 100_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_cases(kind: str, tmp_path: Path) -> None:
    run(Field(tmp_path), kind, range(20, CASES[kind]))


# What it has found


def test_a_card_without_the_digest_of_its_text(tmp_path: Path) -> None:
    card = card_of(run_folder(tmp_path / "run").with_suffix(".txt"))
    del card["corpus"]["sha256"]
    assert splits_of(small_model(TEXT, card)) == (None, "the model file does not name its training text")


def test_utf_16_without_a_mark_that_breaks_off(tmp_path: Path) -> None:
    """Half of a pair is met before the missing mark."""
    (tmp_path / "t").write_bytes("ab".encode("utf-16-le") + b"\x00\xdc" + "ab".encode("utf-16-le"))
    with pytest.raises(DataError, match="is not valid utf-16"):
        read_corpus(tmp_path / "t", encoding="utf-16")


def test_a_text_whose_name_is_too_long(tmp_path: Path) -> None:
    assert not is_stream("é" * 300)
    with pytest.raises(DataError, match="File name too long"):
        claimed(["é" * 300])


def test_models_whose_name_is_too_long(tmp_path: Path) -> None:
    long = tmp_path / ("é" * 300)
    with pytest.raises(ModelError, match="File name too long"):
        load_model(find_model(long))
    with pytest.raises(ModelError, match="does not exist"):
        RunFolder.find(long)
    Probe(("a", "b"), np.ones((2, 4)), np.ones(2), "0" * 64, str(long)).save(tmp_path / "p")
    with pytest.raises(ModelError, match="File name too long"):
        model_of(load_probe(tmp_path / "p"), tmp_path / "p")
    Probe(("a", "b"), np.ones((2, 4)), np.ones(2), "0" * 64, "/").save(tmp_path / "p")
    with pytest.raises(ModelError):
        model_of(load_probe(tmp_path / "p"), tmp_path / "p")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        attempt(Field(Path(folder)), sys.argv[1], int(sys.argv[2]))
