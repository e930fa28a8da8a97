"""The file format, against files made by hand byte for byte, and against whatever a stranger may send."""

import hashlib
import io
import json
import os
import pickle
import random
import re
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, ModelError
from charrnn.files.writing import Folder, sweep
from charrnn.model import model_file, torch_layout
from charrnn.model.model import Model, load_model
from charrnn.model.model_file import load, read_metadata, save
from charrnn.text.vocabulary import Vocabulary

# ------------------------------------------------------------------------------------------------
# A small file, and how to make any other by hand. Nothing here uses the code under test.

TENSORS = {
    "head.bias": np.array([0.5, -1.0, 2.0], np.float32),
    "head.weight": np.arange(6, dtype=np.float32).reshape(3, 2) - 2.5,
    "lr": np.array(0.1, np.float64),
    "rng": np.array([2**40, -7], np.int64),
    "state": np.array([[1, 2, 255]], np.uint8),
}
METADATA = {
    "config": {"hidden": 2},
    "vocab": {"level": "char", "symbols": ["a", "b", "ü"]},
    "training": {"x": 1.5},
}
NAMES = {"F32": "float32", "F64": "float64", "I64": "int64", "U8": "uint8"}


def layout(metadata):
    v, h = len(Vocabulary.from_json(metadata["vocab"])), metadata["config"]["hidden"]
    return {
        "head.bias": ((v,), "float32"),
        "head.weight": ((v, h), "float32"),
        "lr": ((), "float64"),
        "rng": ((2,), "int64"),
        "state": ((1, v), "uint8"),
    }


def sha256(tensors):
    return hashlib.sha256(b"".join(tensors[name].tobytes() for name in sorted(tensors))).hexdigest()


def text(metadata=METADATA, tensors=TENSORS, **more):
    return json.dumps({"format_version": 1, "sha256": sha256(tensors), **metadata, **more})


def table(tensors=TENSORS):
    entries, position = {}, 0
    for name, tensor in tensors.items():
        dtype = {n: d for d, n in NAMES.items()}.get(tensor.dtype.name, "F16")
        offsets = [position, position + tensor.nbytes]
        entries[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": offsets}
        position = offsets[1]
    return entries


def data(tensors=TENSORS):
    return b"".join(tensor.tobytes() for tensor in tensors.values())


def assemble(header, content):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + content


def forge(*, entries=None, metadata=None, content=None):
    entries = table() if entries is None else entries
    metadata = {"charrnn": text()} if metadata is None else metadata
    return assemble({"__metadata__": metadata, **entries}, data() if content is None else content)


def with_entry(name="head.weight", **changes):
    entries = table()
    entries[name] = {**entries[name], **changes}
    return forge(entries=entries)


def with_tensors(**changes):
    tensors = {**TENSORS, **{name.replace("_", "."): tensor for name, tensor in changes.items()}}
    return forge(entries=table(tensors), metadata={"charrnn": text(tensors=tensors)}, content=data(tensors))


def with_text(content):
    return forge(metadata={"charrnn": content})


def same(one, other):
    return one.keys() == other.keys() and all(
        one[n].dtype == other[n].dtype
        and one[n].shape == other[n].shape
        and one[n].tobytes() == other[n].tobytes()
        for n in one
    )


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    save(path, TENSORS, METADATA)
    return path


# ------------------------------------------------------------------------------------------------
# Writing and reading


def test_what_is_saved_is_loaded(saved):
    metadata, tensors = load(saved, layout)
    assert same(tensors, TENSORS)
    assert METADATA.items() <= metadata.items()
    assert read_metadata(saved) == metadata
    tensors["rng"][0] = 1  # they are the caller's to change


def test_the_file_is_what_the_format_says(saved):
    content = saved.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"].keys() == {"charrnn"}
    inner = header["__metadata__"]["charrnn"]
    metadata = json.loads(inner)
    assert inner == json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False)
    assert metadata.pop("sha256") == sha256(TENSORS)
    seal = metadata.pop("metadata_sha256")
    assert metadata == {**METADATA, "format_version": 1, "kind": "model"}
    sealed = json.dumps({**metadata, "sha256": sha256(TENSORS)}, sort_keys=True, separators=(",", ":"))
    assert seal == hashlib.sha256(sealed.encode()).hexdigest()
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            stored = np.frombuffer(
                content[8 + length :][begin:end], np.dtype(NAMES[entry["dtype"]]).newbyteorder("<")
            )
            np.testing.assert_array_equal(stored.reshape(entry["shape"]), TENSORS[name])


def test_the_checksum_of_a_models_tensors_is_that_of_the_data_as_it_lies_in_the_file(tmp_path):
    weights = {
        "b": np.ones(3, np.float32),
        "a": np.arange(4, dtype=np.float32),
        "B": np.zeros((2, 2), np.float32),
    }
    save(tmp_path / "m", weights, METADATA)
    content = (tmp_path / "m").read_bytes()
    behind = content[8 + int.from_bytes(content[:8], "little") :]
    assert read_metadata(tmp_path / "m")["sha256"] == hashlib.sha256(behind).hexdigest()


def test_the_safetensors_library_reads_it(saved):
    assert same(safetensors.numpy.load_file(saved), TENSORS)


def test_a_file_made_by_hand_without_seal_and_kind_is_loaded(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(forge())
    metadata, tensors = load(path, layout)
    assert same(tensors, TENSORS)
    assert metadata == {**METADATA, "format_version": 1, "sha256": sha256(TENSORS), "kind": "model"}


def test_saving_twice_gives_the_same_bytes(saved):
    first = saved.read_bytes()
    save(saved, dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert saved.read_bytes() == first


def test_what_was_loaded_can_be_saved_again(saved):
    first = saved.read_bytes()
    metadata, tensors = load(saved, layout)
    save(saved, tensors, metadata)
    assert saved.read_bytes() == first


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize(
    "arrange",
    [
        lambda a: a.T,
        lambda a: np.asfortranarray(a),
        lambda a: a[::-1],
        lambda a: a[:, ::2],
        lambda a: np.broadcast_to(a[0], a.shape),
        lambda a: a.T.astype(a.dtype.newbyteorder(">")),
    ],
    ids=["transposed", "fortran", "reversed", "strided", "broadcast", "big-endian"],
)
def test_arrays_of_any_memory_order_are_saved_with_their_values(tmp_path, arrange, dtype):
    # safetensors 0.8.0 by itself writes the memory of such an array, not its values.
    array = arrange(np.arange(1, 13, dtype=dtype).reshape(3, 4))
    assert not array.flags.c_contiguous
    save(tmp_path / "m", {"a": array}, {})
    stored = safetensors.numpy.load_file(tmp_path / "m")["a"]
    assert stored.dtype == dtype
    assert stored.tolist() == array.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from(list(NAMES.values())).flatmap(
            lambda dtype: hnp.arrays(
                dtype,
                hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
                elements={"allow_nan": False, "allow_infinity": False} if dtype.startswith("f") else None,
            )
        ),
        max_size=5,
    ),
    st.dictionaries(
        st.sampled_from(["a", "progress", "threads"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    ),
)
def test_any_tensors_and_any_metadata_go_round(tmp_path_factory, tensors, metadata):
    path = tmp_path_factory.getbasetemp() / "round"
    save(path, tensors, metadata)
    found, loaded = load(path, lambda _: {name: (a.shape, a.dtype) for name, a in tensors.items()})
    assert same(loaded, tensors)
    assert {key: found[key] for key in metadata} == metadata
    assert safetensors.numpy.load_file(path).keys() == tensors.keys()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["head.weight", "lr"])
def test_values_that_are_not_finite_are_not_written(saved, name, value):
    before = saved.read_bytes()
    bad = TENSORS[name].copy()
    bad[(0,) * bad.ndim] = value
    with pytest.raises(ModelError, match=f"cannot write {saved}: tensor {name} holds NaN or infinite values"):
        save(saved, {**TENSORS, name: bad}, METADATA)
    assert saved.read_bytes() == before


def test_other_types_are_the_callers_mistake(tmp_path):
    with pytest.raises(TypeError, match="tensor a is float16"):
        save(tmp_path / "m", {"a": np.zeros(2, np.float16)}, {})


def test_metadata_that_could_not_be_read_back_is_not_written(saved):
    before = saved.read_bytes()
    with pytest.raises(ModelError, match=r"its metadata of 5\d* bytes is too large"):
        save(saved, TENSORS, {"notes": "x" * 5_000_000})
    assert saved.read_bytes() == before


def test_a_vocabulary_of_all_of_unicode_fits(tmp_path):
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    characters = [c for c in characters if unicodedata.category(c) not in ("Cn", "Co", "Cs")]
    assert len(characters) > 140_000
    save(tmp_path / "m", TENSORS, {"vocab": {"level": "char", "symbols": characters}})
    assert read_metadata(tmp_path / "m")["vocab"]["symbols"] == characters


def test_what_does_not_read_back_never_replaces_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()
    real = safetensors.numpy.save

    def rotten(*args):
        return real(*args)[:-1] + b"\x07"

    monkeypatch.setattr(safetensors.numpy, "save", rotten)
    with pytest.raises(CharRNNError, match=f"cannot write {saved}: reading it back failed: .*checksum"):
        save(saved, TENSORS, METADATA)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_every_failing_call_leaves_a_model_that_loads(saved, failpoint):
    other = {name: tensor + np.ones_like(tensor) for name, tensor in TENSORS.items()}

    def check(calls, error):
        replaced = "replace" in calls[:-1] or (failpoint.after and calls[-1] == "replace")
        assert same(load(saved, layout)[1], other if replaced else TENSORS)
        assert os.listdir(saved.parent) == [saved.name]
        assert isinstance(error, CharRNNError | KeyboardInterrupt | None)
        save(saved, TENSORS, METADATA)

    failpoint.at_each_call(lambda: save(saved, other, METADATA), check)
    assert same(load(saved, layout)[1], other)


SAVER = """
import sys
import numpy as np
from charrnn.model.model_file import save
print("started", flush=True)
for value in range(10**9):
    save(sys.argv[1], {"a": np.full(10_000, value % 100, np.float32)}, {"training": {"value": value}})
"""


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_process_killed_at_any_moment_leaves_a_model_that_loads(tmp_path, kills):
    path = tmp_path / "model"
    save(path, {"a": np.zeros(10_000, np.float32)}, {"training": {"value": 0}})
    rng = random.Random(kills)
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", SAVER, path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.1))
            process.kill()
        metadata, tensors = load(path, lambda _: {"a": ((10_000,), "float32")})
        assert set(tensors["a"]) == {metadata["training"]["value"] % 100}
        sweep(Folder(tmp_path))
        assert os.listdir(tmp_path) == ["model"]


def test_another_file_may_take_the_name_while_one_is_read(saved):
    other = {name: tensor + np.ones_like(tensor) for name, tensor in TENSORS.items()}

    def layout_while_training_goes_on(metadata):
        save(saved, other, {**METADATA, "training": {}})
        return layout(metadata)

    metadata, tensors = load(saved, layout_while_training_goes_on)
    assert same(tensors, TENSORS)
    assert metadata["training"] == METADATA["training"]


@pytest.mark.parametrize("change", [lambda c: c.replace(b"xx", b"yy"), lambda c: c[:-1]])
def test_a_file_written_in_place_while_it_is_read_is_told(saved, change):
    save(saved, TENSORS, {**METADATA, "notes": "x" * 10**6})  # more than any buffer holds
    content = saved.read_bytes()
    assert change(content) != content

    def layout_while_someone_writes(metadata):
        saved.write_bytes(change(content))
        return layout(metadata)

    with pytest.raises(ModelError, match=r"it changed while it was being read\. Try again"):
        load(saved, layout_while_someone_writes)


# ------------------------------------------------------------------------------------------------
# Files from strangers: each is one message, naming the file and the problem


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(TENSORS))
    return buffer.getvalue()


def swapped(**offsets):
    entries = table()
    for name, place in offsets.items():
        entries[name.replace("_", ".")]["data_offsets"] = place
    return entries


WEIGHT = table()["head.weight"]["data_offsets"]  # [12, 36]
END = len(data())

FORGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "one byte": (b"{", "not a safetensors file"),
    "text": (b"hello, this is a text\n" * 9, "it is a text, not a model. Name a run folder"),
    "text of Windows": (b"\xef\xbb\xbfd\xc3\xa9j\xc3\xa0 vu\r\n" * 9, "it is a text, not a model"),
    "pickle": (pickle.dumps(TENSORS), "zip archive or a pickle.*never.*charrnn.Model"),
    "small pickle": (pickle.dumps({}), "zip archive or a pickle"),
    "old pickle": (pickle.dumps(TENSORS, protocol=0), "it is a text, not a model"),
    "zip (.pt)": (zipped(), "zip archive or a pickle, as torch.save writes"),
    "huge header length": (
        struct.pack("<Q", 2**63) + forge()[8:],
        "its header would have 9223372036854775808",
    ),
    "header beyond the cap": (
        struct.pack("<Q", 10**7) + forge()[8:] + bytes(10**7),
        "header would have 10000000",
    ),
    "header longer than the file": (
        struct.pack("<Q", 5000) + forge()[8:],
        "it is cut off: only",
    ),
    "no header": (struct.pack("<Q", 0) + forge()[8:], "header is not JSON"),
    "header begins with a space": (assemble(b" " + b'{"a":1}', b""), "header is not JSON"),
    "header not UTF-8": (assemble(b'{"\xff": 1}', data()), "JSON is not valid .*utf-8"),
    "header not JSON": (assemble(b"{'a': 1}", data()), "JSON is not valid"),
    "header cut off": (assemble(b'{"a": [1, 2', b""), "JSON is not valid"),
    "header of NaN": (assemble(b'{"a": NaN}', b""), "NaN is not a JSON number"),
    "number out of range": (assemble(b'{"a": 1e999}', b""), "1e999 is out of range"),
    "number too long": (assemble(b'{"a": ' + b"9" * 5000 + b"}", b""), "JSON is not valid .*4300"),
    "deep header": (assemble(b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}", b""), "nested more than 32"),
    "deep header, open": (assemble(b'{"a":' * 90_000, b""), "nested more than 32"),
    "deep behind a string": (assemble(b'{"\\\\\\"]]]": ' + b"[" * 40 + b"]" * 40 + b"}", b""), "nested more"),
    "many arrays": (
        assemble(b'{"a": [' + b"[]," * 100_000 + b"[]]}", b""),
        "more than 100000 arrays and objects",
    ),
    "duplicate key": (assemble(b'{"a": 1, "a": 1}', b""), "a key appears twice"),
    "duplicate tensor": (
        assemble(
            json.dumps({"__metadata__": {"charrnn": text()}, **table()}).encode()[:-1] + b',"lr":1}', data()
        ),
        "a key appears twice",
    ),
    "no metadata": (assemble(table(), data()), "not written by charrnn"),
    "metadata of others": (forge(metadata={"format": "pt"}), "not written by charrnn"),
    "metadata besides ours": (forge(metadata={"charrnn": text(), "format": "pt"}), "not written by charrnn"),
    "metadata a list": (assemble({"__metadata__": ["charrnn"], **table()}, data()), "not written by charrnn"),
    "metadata not text": (forge(metadata={"charrnn": {"format_version": 1}}), "not written by charrnn"),
    "inner not JSON": (with_text("{"), "JSON is not valid"),
    "inner a list": (with_text("[1]"), "instead of an object"),
    "inner deep": (with_text(text(x=nested(33))), "nested more than 32"),
    "inner duplicate key": (with_text('{"format_version": 1, "format_version": 1}'), "a key appears twice"),
    "inner lone surrogate": (with_text('{"\ud800": [}'), "JSON is not valid"),
    "version newer": (
        with_text(text(format_version=3)),
        "format version 3; this charrnn reads up to 2. A newer charrnn",
    ),
    "items in an old version": (
        with_text(text(vocab={"level": "char", "symbols": ["a"], "items": {"pairs": False, "labels": []}})),
        "format_version is 1, and its vocabulary is of a later one",
    ),
    "version enormous": (with_text(text(format_version=10**4000)), "is out of range"),
    "version missing": (with_text(json.dumps(METADATA)), "format_version is None"),
    "version zero": (with_text(text(format_version=0)), "format_version is 0"),
    "version a bool": (with_text(text(format_version=True)), "format_version is True"),
    "version a float": (with_text(text(format_version=1.0)), "format_version is 1.0"),
    "version text": (with_text(text(format_version="1")), "format_version is '1'"),
    "seal broken": (with_text(text(metadata_sha256="0" * 64)), "checksum does not match its metadata"),
    "a checkpoint": (with_text(text(kind="checkpoint")), "it is a checkpoint, not a model. Use the model"),
    "kind unknown": (with_text(text(kind=["model"])), r"it is of kind \['model'\], not a model"),
    "no checksum": (
        with_text(json.dumps({**METADATA, "format_version": 1})),
        "checksum does not match its tensors",
    ),
    "wrong checksum": (with_text(text(sha256="0" * 64)), "checksum does not match its tensors"),
    "checksum a list": (with_text(text(sha256=[])), "checksum does not match its tensors"),
    "no vocabulary": (
        with_text(text({"config": {"hidden": 2}})),
        "metadata makes no sense .KeyError: 'vocab'",
    ),
    "no configuration": (with_text(text({"vocab": METADATA["vocab"]})), "KeyError: 'config'"),
    "configuration a list": (with_text(text(config=[1])), r"its config is \[1\], not an object"),
    "training a list": (
        with_text(text(training=[["x", 1]])),
        r"its training is \[\['x', 1\]\], not an object",
    ),
    "vocabulary null": (with_text(text(vocab=None)), "its vocab is None, not an object"),
    "configuration of text": (
        with_text(text(config={"hidden": "x"})),
        "must be float32 of shape|makes no sense",
    ),
    "duplicate vocabulary": (
        with_text(text(vocab={"level": "char", "symbols": ["a", "b", "b"]})),
        "'b', is repeated",
    ),
    "empty vocabulary": (with_text(text(vocab={"level": "char", "symbols": []})), "no symbols"),
    "vocabulary of numbers": (with_text(text(vocab={"level": "char", "symbols": [1, 2, 3]})), "vocabulary"),
    "long symbol": (with_text(text(vocab={"level": "char", "symbols": ["x" * 10**5]})), "not a char|xxxx"),
    "vocabulary larger": (
        with_text(text(vocab={"level": "char", "symbols": list("abcd")})),
        r"must be .* \[4",
    ),
    "hidden enormous": (
        with_text(text(config={"hidden": 10**12})),
        r"must be float32 of shape \[3, 1000000000000\]",
    ),
    "hidden negative": (with_text(text(config={"hidden": -2})), "must be float32 of shape"),
    "missing tensor": (
        forge(entries={k: v for k, v in table().items() if k != "rng"}),
        "tensor 'rng' is missing",
    ),
    "extra tensor": (with_tensors(more=np.zeros(3, np.float32)), "tensor 'more' is not part of"),
    "renamed tensor": (
        forge(entries={k.replace("rng", "gnr"): v for k, v in table().items()}),
        "'rng' is missing",
    ),
    "entry a list": (forge(entries={**table(), "lr": [1]}), r"tensor 'lr' has the malformed entry \[1\]"),
    "entry without shape": (
        forge(entries={**table(), "lr": {"dtype": "F64", "data_offsets": [36, 44]}}),
        "has the malformed entry",
    ),
    "entry with more": (with_entry(more=1), "has the malformed entry"),
    "unknown dtype": (with_entry(dtype="F16"), "has dtype 'F16'; it must be one of F32, F64, I64, U8"),
    "dtype no text": (with_entry(dtype=["F32"]), r"has dtype \['F32'\]"),
    "dtype enormous": (with_entry(dtype="F" * 10**5), "has dtype 'FFFF"),
    "wrong dtype, right size": (with_entry("lr", dtype="I64"), "is int64 of shape .*; it must be float64"),
    "wrong dtype": (with_tensors(head_bias=np.zeros(3)), "is float64 .* must be float32"),
    "wrong shape": (
        with_tensors(head_bias=np.zeros(2, np.float32)),
        r"shape \[2\]; it must be float32 of shape \[3\]",
    ),
    "shape transposed": (with_entry(shape=[2, 3]), r"shape \[2, 3\]; it must be float32 of shape \[3, 2\]"),
    "shape of 10^12": (with_entry(shape=[10**6, 10**6]), r"of shape \[1000000, 1000000\]; it must be"),
    "shape beyond 64 bits": (with_entry(shape=[2**33] * 3), "it must be float32 of shape"),
    "shape overflowing to right": (with_entry(shape=[2**62, 2**62, 6]), "has shape"),
    "shape negative": (with_entry(shape=[-3, -2]), r"has shape \[-3, -2\]"),
    "shape of floats": (with_entry(shape=[3.0, 2]), r"has shape \[3.0, 2\]"),
    "shape of bools": (with_entry("state", shape=[True, 3]), r"has shape \[True, 3\]"),
    "shape of text": (with_entry(shape="32"), "has shape '32'"),
    "shape null": (with_entry(shape=None), "has shape None"),
    "shape of many axes": (with_entry(shape=[1] * 10**5), "has shape"),
    "offsets negative": (with_entry(data_offsets=[-12, 12]), r"has offsets \[-12, 12\]"),
    "offsets reversed": (with_entry(data_offsets=WEIGHT[::-1]), "cannot have -24 bytes"),
    "offsets three": (with_entry(data_offsets=[*WEIGHT, 40]), "has offsets"),
    "offsets of bools": (with_entry("head.bias", data_offsets=[False, 12]), r"has offsets \[False, 12\]"),
    "offsets of floats": (with_entry(data_offsets=[12.0, 36.0]), r"has offsets \[12.0, 36.0\]"),
    "offsets enormous": (with_entry(data_offsets=[2**62, 2**62 + 24]), "has offsets"),
    "offsets too wide": (with_entry(data_offsets=[WEIGHT[0], WEIGHT[1] + 1]), "cannot have 25 bytes"),
    "offsets beyond the end": (with_entry("state", data_offsets=[END, END + 3]), "'state' follows a gap"),
    "overlapping": (forge(entries=swapped(head_weight=[8, 32])), "'head.weight' overlaps the previous one"),
    "twice the same": (forge(entries=swapped(rng=[36, 52])), "overlaps the previous one|follows a gap"),
    "gap": (
        forge(entries=swapped(state=[END + 4, END + 7]), content=data() + bytes(7)),
        "'state' follows a gap",
    ),
    "bytes before": (forge(entries=swapped(head_bias=[1, 13])), "'head.bias' follows a gap"),
    "bytes after": (forge(content=data() + b"\0"), f"take {END} bytes, but {END + 1} are there"),
    "bytes missing": (forge(content=data()[:-1]), f"take {END} bytes, but {END - 1} are there"),
    "no data": (forge(content=b""), f"take {END} bytes, but 0 are there"),
    "tensors exchanged": (
        forge(
            entries={**table(), "head.bias": {**table()["head.bias"], "data_offsets": [24, 36]}}
            | {"head.weight": {**table()["head.weight"], "data_offsets": [0, 24]}}
        ),
        "checksum does not match",
    ),
    "NaN": (
        with_tensors(head_bias=np.array([0, np.nan, 0], np.float32)),
        "'head.bias' holds NaN or infinite values",
    ),
    "infinity": (with_tensors(lr=np.array(-np.inf)), "tensor 'lr' holds NaN or infinite values"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_one_clear_error(tmp_path, name):
    content, problem = FORGED[name]
    path = tmp_path / "stranger.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load(path, layout)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert message.startswith(f"{path}: ")
    assert re.search(problem, message), message
    assert len(message) < 1200
    assert message.isprintable()


# Files that are consistent in themselves: only who knows the layout, or the kind, can refuse them.
CONSISTENT = re.compile(
    "a checkpoint|kind unknown|no vocabulary|no configuration|configuration of text|duplicate vocabulary|"
    "empty vocabulary|vocabulary of numbers|long symbol|vocabulary larger|hidden .*|extra tensor|wrong dtype|"
    "wrong dtype, right size|wrong shape|shape transposed"
)


def test_long_names_in_a_file_make_no_long_messages(tmp_path):
    for value in (np.nan, 0.0):
        tensors = {"n" * 100_000: np.array([value])}
        content = data(tensors) + b"x" * (value == 0.0)
        path = tmp_path / "m"
        path.write_bytes(
            forge(entries=table(tensors), metadata={"charrnn": text(tensors=tensors)}, content=content)
        )
        with pytest.raises(ModelError, match=r"NaN|take 8 bytes, but 9 are there") as caught:
            read_metadata(path)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", FORGED)
def test_metadata_alone_is_read_with_every_check_that_needs_no_layout(tmp_path, name):
    path = tmp_path / "stranger.safetensors"
    path.write_bytes(FORGED[name][0])
    if CONSISTENT.fullmatch(name):
        assert read_metadata(path)["format_version"] == 1
    else:
        with pytest.raises(ModelError, match=re.escape(f"{path}: ")):
            read_metadata(path)


def test_shapes_of_10_to_the_12_are_refused_when_metadata_and_table_agree(tmp_path):
    path = tmp_path / "m"
    entries = {**table(), "head.weight": {"dtype": "F32", "shape": [3, 10**12], "data_offsets": WEIGHT}}
    path.write_bytes(forge(entries=entries, metadata={"charrnn": text(config={"hidden": 10**12})}))
    with pytest.raises(ModelError, match=r"shape"):
        load(path, layout)
    entries["head.weight"]["shape"] = [3, 10**10]
    path.write_bytes(forge(entries=entries, metadata={"charrnn": text(config={"hidden": 10**10})}))
    with pytest.raises(ModelError, match=r"of shape \[3, 10000000000\] cannot have 24 bytes"):
        load(path, layout)


def test_a_sparse_file_that_claims_to_be_large_is_refused_unread(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(forge())
    os.truncate(path, 2**40)
    with pytest.raises(ModelError, match="it has 1099511627776 bytes, more than"):
        load(path, layout)
    os.truncate(path, 2**33)
    tracemalloc.start()
    with pytest.raises(ModelError, match=f"take {END} bytes, but 858993"):
        load(path, layout)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    cases = {
        "": "it is a folder. Name the",
        "none": "No such file or directory.. Check the path",
        "fifo": "not a regular file",
    }
    for name, problem in cases.items():
        with pytest.raises(ModelError, match=f"{tmp_path / name}: .*{problem}"):
            load(tmp_path / name, layout)


def test_an_unreadable_disk_is_told(saved, monkeypatch):
    def stat(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(model_file.os, "stat", stat)
    with pytest.raises(ModelError, match=f"{saved}: it cannot be read .Input/output error"):
        load(saved, layout)


def test_a_model_is_no_checkpoint_and_the_other_way_round(tmp_path):
    model, checkpoint = tmp_path / "model", tmp_path / "checkpoint"
    save(model, TENSORS, METADATA)
    save(checkpoint, TENSORS, {"kind": "checkpoint", **METADATA})
    assert same(load(checkpoint, layout, kind="checkpoint")[1], TENSORS)
    with pytest.raises(
        ModelError, match=f"{model}: it is a model, not a checkpoint. Resume from the checkpoint.safe"
    ):
        load(model, layout, kind="checkpoint")
    with pytest.raises(
        ModelError, match=f"{checkpoint}: it is a checkpoint, not a model. Use the model.safe"
    ):
        load(checkpoint, layout)
    assert read_metadata(checkpoint)["kind"] == "checkpoint"


def test_a_file_cut_off_anywhere_is_refused(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(ModelError, match=re.escape(str(saved))):
            load(saved, layout)


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_bit_is_noticed(saved, stride):
    content = saved.read_bytes()
    in_data = len(content) - len(data())
    good, _ = load(saved, layout)
    loaded = []
    for bit in range(0, 8 * len(content), stride):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        saved.write_bytes(flipped)
        try:
            metadata, tensors = load(saved, layout)
        except ModelError:
            continue
        # Only the name of the seal may change unnoticed, and the letters of a \u escape, which mean the same.
        assert bit // 8 < in_data
        assert same(tensors, TENSORS)
        assert {key for key in good if metadata.get(key) != good[key]} <= {"metadata_sha256"}
        loaded.append(bit)
    assert len(loaded) <= 8 * len("metadata_sha256") + 8, loaded


# ------------------------------------------------------------------------------------------------
# Bounded time and memory: this file, run as a program, loads what it is given and tells what it took

MEMORY = 500e6  # bytes, for the whole process
COST = 12  # for each file: times the processor time that json takes for a list as long as a header may be
CAP = 4 * 2**20 - 64  # just under the largest header


def hostile_headers():
    """The largest headers that cost a parser most for their size."""

    def lists_of(item):
        return b'{"a":[' + item * (CAP // len(item) - 4) + item[:-1] + b"]}"

    for item in (b"[],", b"{},", b'"",', b"0.5,", b'{"":0},', b'[[[["\\n"]]]],'):
        yield f"list of {item.decode()}", lists_of(item)
    yield "keys", ("{" + ",".join(f'"{i:x}":0' for i in range(CAP // 10)) + "}").encode()
    yield "an endless string of quotes", b'{"' + b'\\"' * (CAP // 2)
    yield "brackets", b"{" + b"[]" * (CAP // 2)
    yield "open brackets", b'{"a":' + b"[" * (CAP - 8)
    yield "digits", b'{"a":' + b"9" * (CAP - 8) + b"}"
    many = {f"t{i}": {"dtype": "F64", "shape": [], "data_offsets": [0, 8]} for i in range(30_000)}
    yield "tensors", json.dumps({"__metadata__": {"charrnn": text()}, **many}).encode()
    symbols = [chr(code) for code in range(0xE000, 0x60000)]
    large = json.dumps(json.loads(text(vocab={"level": "char", "symbols": symbols})), ensure_ascii=False)
    yield (
        "vocabulary",
        json.dumps({"__metadata__": {"charrnn": large}, **table()}, ensure_ascii=False).encode(),
    )
    inside = lists_of(b"0,")[: CAP - 40] + b"]}"
    yield "metadata", b'{"__metadata__":{"charrnn":' + json.dumps(inside.decode()).encode() + b"}}"


def in_a_process_of_its_own(*arguments):
    """Run this file as a program; returns what it tells on its last line."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_the_most_costly_headers_are_refused_in_bounded_time_and_memory(tmp_path):
    paths = []
    for name, header in hostile_headers():
        assert len(header) <= CAP + 64, name
        paths.append(tmp_path / name.encode().hex())
        paths[-1].write_bytes(assemble(header, b""))
    told = in_a_process_of_its_own("load", *paths)
    assert told["refused"] == len(paths)
    assert told["peak_bytes"] < MEMORY
    assert told["highest_cost"] < COST


@pytest.mark.parametrize("mutations", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_files_are_one_clear_error_or_a_valid_load(tmp_path, mutations):
    told = in_a_process_of_its_own("fuzz", tmp_path, mutations)
    assert told["refused"] + told["loaded"] == mutations
    assert told["refused"] > 0.5 * mutations
    assert told["loaded"] > 0  # some mutations mean nothing, so that the fuzzer is known to reach the end
    assert told["different_problems"] > 20
    assert told["peak_bytes"] < MEMORY
    assert told["highest_cost"] < COST


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_arbitrary_json_in_every_place_is_one_clear_error_or_a_valid_load(tmp_path_factory, drawn):
    scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5)
    anything = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
    header = {"__metadata__": {"charrnn": json.loads(text())}, **table()}
    container, key = drawn.draw(st.sampled_from(list(places(header))))
    container[key] = drawn.draw(anything)
    if isinstance(header.get("__metadata__"), dict) and "charrnn" in header["__metadata__"]:
        header["__metadata__"]["charrnn"] = json.dumps(header["__metadata__"]["charrnn"])
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(assemble(header, data()))
    outcome(path, lambda: load(path, layout))


def places(value):
    """Every place in a JSON value, as (container, key)."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def outcome(path, read):
    """The message of a ModelError, or "loaded"; every other exception passes through."""
    try:
        tensors = read()
    except ModelError as error:
        message = str(error)
        assert message.startswith(f"{path}: "), message
        assert len(message) < 1200, len(message)
        return message.removeprefix(f"{path}: ")
    assert tensors is not None
    return "loaded"


# What a mutation puts in place of a value.
STRANGE = [0, 1, -1, 2, 3, 7, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**12, 10**30, 1.5, 1e308, -0.0]
STRANGE += [
    True,
    False,
    None,
    "",
    "a",
    "F32",
    "F16",
    "\x00",
    "\ud800",
    "é" * 300,
    [],
    {},
    [1],
    [[]],
    {"a": 1},
]


def mutate(rng, content):
    """Change a file somewhere: its bytes, its header or its metadata, mostly with lengths made good."""
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    kind = rng.randrange(4)
    if kind == 0:
        return mutate_bytes(rng, content)
    if kind == 1:  # the bytes of the header or of the data, with the length made good
        if rng.random() < 0.5:
            return assemble(mutate_bytes(rng, header), rest)
        return assemble(header, mutate_bytes(rng, rest))
    value = json.loads(header)
    inner = json.loads(value["__metadata__"]["charrnn"])
    for _ in range(rng.choice([1, 1, 2, 5])):
        mutate_json(rng, value if kind == 2 else inner)
    if kind == 3:
        if rng.random() < 0.8:
            inner.pop("metadata_sha256", None)
        value["__metadata__"]["charrnn"] = json.dumps(inner)
    return assemble(value, rest)


def mutate_bytes(rng, content):
    changed = bytearray(content)
    start = rng.randrange(len(changed) + 1)
    stop = min(len(changed), start + rng.choice([1, 2, 8, 100, 10**6]))
    kind = rng.randrange(6)
    if kind == 0:
        for _ in range(rng.choice([1, 1, 2, 8])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del changed[start:stop]
    elif kind == 2:
        changed[start:start] = changed[start:stop]
    elif kind == 3:
        changed[start:stop] = rng.randbytes(stop - start)
    elif kind == 4:
        changed[start:start] = rng.choice(
            [b"\0", b"[", b'"', b"{", b"}", b",", b" ", b"[" * 100_000, b"\xff"]
        )
    else:
        numbers = list(re.finditer(rb"\d+", changed))
        number = rng.choice(numbers) if numbers else None
        if number:
            changed[number.start() : number.end()] = str(rng.choice(STRANGE)).encode("utf-8", "replace")
    return bytes(changed)


def mutate_json(rng, value):
    every = list(places(value))
    if not every:
        return
    container, key = rng.choice(every)
    kind = rng.randrange(5)
    if kind == 0:
        del container[key]
    elif kind == 1:
        container[key] = rng.choice(STRANGE)
    elif kind == 2:
        other, other_key = rng.choice(every)
        container[key] = json.loads(json.dumps(other[other_key])) if other_key in keys_of(other) else None
    elif kind == 3 and isinstance(container[key], int | float) and not isinstance(container[key], bool):
        container[key] += rng.choice([-1, 1, 2, 4, 8, 0.5])
    elif isinstance(container, dict):
        container[rng.choice(["", "a", "theta", "x" * 1000, key + "2", key.upper()])] = container.pop(key)
    else:
        container.insert(key, rng.choice(STRANGE))


def keys_of(container):
    return container.keys() if isinstance(container, dict) else range(len(container))


def fuzz(folder, mutations):
    """Mutate a file of the format and a model with its configuration, in turn."""
    rng = random.Random(3)
    formats, models = folder / "format", folder / "model"
    save(formats, TENSORS, METADATA)
    config = ModelConfig(cell="lstm", layers=2, hidden=3, embedding=2)
    shapes = torch_layout.shapes(config, 3)
    weights = {name: np.full(shape, 0.5, np.float32) for name, shape in shapes.items()}
    Model(config, "abü", weights, {"corpus": {"name": "x"}}).save(models)
    cases = [
        (formats.read_bytes(), lambda path: load(path, layout)),
        (models.read_bytes(), load_model),
        (formats.read_bytes(), read_metadata),
    ]
    path = folder / "mutated"
    for turn in range(mutations):
        content, read = cases[turn % len(cases)]
        path.write_bytes(mutate(rng, content))
        yield path, lambda path=path, read=read: read(path)


def main(task, *arguments):
    if task == "load":
        work = ((Path(name), lambda name=name: load(name, layout)) for name in arguments)
    else:
        work = fuzz(Path(arguments[0]), int(arguments[1]))
    plain = b"[" + b"[]," * (CAP // 3) + b"[]]"
    usual = min(cpu_seconds(lambda: json.loads(plain)) for _ in range(3))
    outcomes, slowest = [], 0.0
    for path, read in work:
        slowest = max(slowest, cpu_seconds(lambda path=path, read=read: outcomes.append(outcome(path, read))))
    loaded = outcomes.count("loaded")
    told = {
        "loaded": loaded,
        "refused": len(outcomes) - loaded,
        "different_problems": len({re.sub(r"[\d'\"].*", "", message) for message in outcomes}),
        "highest_cost": slowest / usual,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(told))


def cpu_seconds(task):
    start = time.process_time()
    task()
    return time.process_time() - start


def peak_bytes():
    """The most memory this process has had."""
    if os.path.exists(
        "/proc/self/status"
    ):  # getrusage starts from the peak of the process that started this one
        return int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
