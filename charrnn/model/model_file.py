"""The file format of models and checkpoints: one safetensors file, never pickle.

    8 bytes    length N of the header, little-endian
    N bytes    header: {"__metadata__": {"charrnn": TEXT}, NAME: {"dtype", "shape", "data_offsets"}, …}
    the rest   the tensors, little-endian, without gaps

TEXT is canonical JSON (sorted keys, no spaces): `format_version`, `kind` ("model" or "checkpoint"), `sha256`
of the tensors' bytes in order of their names, `metadata_sha256` of the rest of TEXT, and the caller's own keys;
`config`, `vocab` and `training` are objects if present.

A file may come from anyone, so everything in it is checked before it is used, and nothing larger than the header is
read before its sizes are known to agree with the size of the file.
"""

import codecs
import hashlib
import json
import math
import os
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from charrnn.errors import CharRNNError, ModelError
from charrnn.files.reading import open_file, parse_json
from charrnn.files.writing import Folder, StrPath, atomic_write, atomic_write_named

FORMAT_VERSION = 2  # of files with the symbols of items; all others are of version 1
MAX_FILE_BYTES = 16 * 2**30
MAX_HEADER_BYTES = 4 * 2**20
MOST_METADATA = MAX_HEADER_BYTES // 2  # quotes and backslashes double when the header quotes them again
MAX_CONTAINERS = 100_000  # arrays and objects in a JSON text; parsed, an empty one takes 30 times its length
MAX_DEPTH = 32
MAX_DIMENSIONS = 8
FILE_DTYPES: dict[str, np.dtype] = {
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "I64": np.dtype(np.int64),
    "U8": np.dtype(np.uint8),
}

FOREIGN_DTYPES = {"F16": np.dtype(np.float16), "BF16": np.dtype(np.uint16)}  # BF16 as raw bits
FOREIGN_DTYPES |= {name: dtype for name, dtype in FILE_DTYPES.items() if name.startswith("F")}

Layout = Mapping[str, tuple[tuple[int, ...], Any]]  # tensor name -> shape and anything np.dtype() accepts
Choice = TypeVar("Choice")

_FOREIGN_DAMAGED = "The file is damaged or of another kind: write it again with safetensors"
_DAMAGED = "The file is damaged or was not written by charrnn: copy it again from its source, or train again"
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def save(
    path: StrPath,
    tensors: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    *,
    folder: Folder | None = None,
) -> None:
    """Write a model or checkpoint durably. It is read back and checked before it replaces the previous file.

    tensors : finite float32, float64, int64 or uint8 arrays of any memory order
    metadata : plain JSON values, whole numbers of at most 64 bits; `kind` defaults to "model", and the keys of the
        format itself are added
    folder : the open folder of `path`, if charrnn chose the name; then no link is followed

    Raises ModelError for values that are not finite, CharRNNError if the file cannot be written.
    """
    # safetensors 0.8.0 ignores strides and saves wrong values for arrays that are not C-contiguous.
    arrays = {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in tensors.items()
    }
    for name, array in arrays.items():
        if array.dtype not in FILE_DTYPES.values():
            raise TypeError(f"tensor {name} is {array.dtype}; it must be float32, float64, int64 or uint8")
        if not _is_finite(array):
            raise ModelError(f"cannot write {path}: tensor {name} holds NaN or infinite values")
    content = {
        "kind": "model",
        **metadata,
        "format_version": _version_of(metadata),
        "sha256": _digest(arrays),
    }
    content["metadata_sha256"] = _metadata_digest(content)
    text = _canonical(content)
    if len(text) > MOST_METADATA:
        raise ModelError(f"cannot write {path}: its metadata of {len(text)} bytes is too large to read back")

    def prove(written: Path) -> None:
        try:
            load(written, lambda _: {n: (a.shape, a.dtype) for n, a in arrays.items()}, kind=content["kind"])
        except ModelError as error:
            raise CharRNNError(f"cannot write {path}: reading it back failed: {error}") from error

    writing = atomic_write_named(path, prove) if folder is None else atomic_write(path, prove, folder=folder)
    with writing as file:
        file.write(safetensors.numpy.save(arrays, {"charrnn": text}))


def load(
    path: StrPath, layout: Callable[[dict[str, Any]], Layout], *, kind: str = "model"
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a model or checkpoint after checking all of it.

    layout : returns name, shape and dtype of every tensor that the file must hold, given the metadata; it may raise
        any CharRNNError if the metadata makes no sense
    kind : the kind that the file must have

    Returns the metadata and the tensors. Raises ModelError, naming the file, for any fault.
    """
    with _naming(path):
        return _read(path, layout, kind)


def read_metadata(path: StrPath) -> dict[str, Any]:
    """The metadata of a model or checkpoint, after all checks that need no layout.

    Raises ModelError, naming the file, for any fault.
    """
    with _naming(path):
        metadata, _ = _read(path, None, None)
        return metadata


def load_foreign(
    path: StrPath, choose: Callable[[dict[str, tuple[int, ...]]], Choice]
) -> tuple[Choice, dict[str, np.ndarray]]:
    """Read the tensors of a safetensors file from another program, after the same checks of its header.

    choose : called with the shape of every tensor before any is read; raises ModelError if they cannot be used

    Returns the result of `choose` and the tensors, as float64 where the file has float64 and float32 otherwise.
    Raises ModelError, naming the file, for any fault.
    """
    with _naming(path, _FOREIGN_DAMAGED), _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, size)
        table = _parse(header)
        table.pop("__metadata__", None)
        data_bytes = size - 8 - len(header)
        _check_table(table, None, data_bytes, FOREIGN_DTYPES)
        choice = choose({name: tuple(entry["shape"]) for name, entry in table.items()})
        content = np.frombuffer(file.read(data_bytes), np.uint8)
        if len(content) != data_bytes:
            raise ModelError("it changed while it was being read. Try again")
        tensors = {}
        for name, entry in table.items():
            begin, end = entry["data_offsets"]
            tensor = content[begin:end].view(FOREIGN_DTYPES[entry["dtype"]]).reshape(entry["shape"])
            if entry["dtype"] == "BF16":  # the upper half of a float32
                tensor = (tensor.astype(np.uint32) << 16).view(np.float32)
            tensors[name] = tensor.astype(np.float64 if entry["dtype"] == "F64" else np.float32)
            if not _is_finite(tensors[name]):
                raise _Damaged(f"tensor {reprlib.repr(name)} holds NaN or infinite values")
    return choice, tensors


def _read(
    path: StrPath, layout: Callable[[dict[str, Any]], Layout] | None, kind: str | None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with _open(path) as file:  # the same open file for all checks: the path may lead to another one later
        size = os.fstat(file.fileno()).st_size
        header = _read_header(file, size)
        table = _parse(header)
        metadata = _metadata(table.pop("__metadata__", None))
        if kind is not None and metadata["kind"] != kind:
            raise ModelError(_wrong_kind(metadata["kind"], kind))
        expected = None if layout is None else _expected(layout, metadata)
        _check_table(table, expected, size - 8 - len(header))
        file.seek(0)
        content = file.read(size)
    if len(content) != size or content[8 : 8 + len(header)] != header:
        raise ModelError("it changed while it was being read. Try again")
    try:
        tensors = safetensors.numpy.load(content)
    except SafetensorError as error:
        raise _Damaged(f"safetensors cannot read it ({str(error)[:500]})") from error
    if metadata["sha256"] != _digest(tensors):
        raise _Damaged("its checksum does not match its tensors")
    for name, tensor in tensors.items():
        if not _is_finite(tensor):
            raise _Damaged(f"tensor {reprlib.repr(name)} holds NaN or infinite values")
    return metadata, tensors


def _open(path: StrPath) -> BinaryIO:
    if os.path.isdir(path):
        raise ModelError("it is a folder. Name the .safetensors file in it")
    return open_file(path)


def _read_header(file: BinaryIO, size: int) -> bytes:
    if size == 0:
        raise _Damaged("it is empty")
    if size > MAX_FILE_BYTES:
        raise ModelError(f"it has {size} bytes, more than the limit of {MAX_FILE_BYTES} for a model file")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if start.startswith((b"PK\x03\x04", b"\x80")) and length > size:
        raise ModelError(
            "it is a zip archive or a pickle, as torch.save writes (.pt, .pth, .pkl). Reading such a file "
            "can run any code, so charrnn never does. If you trust it, save its tensors with torch: "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT); then charrnn import OUT, "
            "or charrnn.Model(config, vocab, weights).save(path)"
        )
    if length > MAX_HEADER_BYTES and _is_text(start):
        raise ModelError(
            "it is a text, not a model. Name a run folder or a model file. To train on a text: `charrnn train FILE`; "
            "inspect-cells looks at one with --text FILE"
        )
    if len(start) < 8 or length > MAX_HEADER_BYTES:
        raise _Damaged(f"it is not a safetensors file of charrnn: its header would have {length} bytes")
    header = file.read(length)
    if len(header) < length:
        raise _Damaged(f"it is cut off: only {len(header)} of the {length} bytes of its header are there")
    if not header.startswith(b"{"):
        raise _Damaged("it is not a safetensors file: its header is not JSON")
    return header


def _parse(text: bytes | str) -> dict[str, Any]:
    """A JSON object as a dict, parsed by `parse_json` and nested at most MAX_DEPTH deep."""

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        _check_nesting(text)
        value = parse_json(text)
    except (ValueError, RecursionError) as error:  # ValueError: also from decoding and overlong integers
        raise _Damaged(f"its JSON is not valid ({error})") from error
    if not isinstance(value, dict):
        raise _Damaged(f"its header has {reprlib.repr(value)} instead of an object")
    return value


def _check_nesting(text: str) -> None:
    """Count the brackets outside strings, before a parser recurses into them and builds their content."""
    marks = np.frombuffer(_STRING.sub("", text).encode(), np.uint8)
    opening = (marks == ord("[")) | (marks == ord("{"))
    closing = (marks == ord("]")) | (marks == ord("}"))
    if opening.sum() > MAX_CONTAINERS:
        raise ValueError(f"more than {MAX_CONTAINERS} arrays and objects")
    depths = np.cumsum(opening.view(np.int8) - closing.view(np.int8), dtype=np.int32)
    if depths.max(initial=0) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _metadata(found: Any) -> dict[str, Any]:
    """The metadata, with version and checksum checked."""
    if not isinstance(found, dict) or found.keys() != {"charrnn"} or not isinstance(found["charrnn"], str):
        raise ModelError(
            "it is a safetensors file, but not written by charrnn: its only metadata must be 'charrnn'. "
            "To use its weights: charrnn import, or charrnn.Model(config, vocab, weights).save(path)"
        )
    metadata = _parse(found["charrnn"])
    version = metadata.get("format_version")
    if type(version) is not int or version < 1:
        raise _Damaged(f"its format_version is {reprlib.repr(version)}")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"it has format version {reprlib.repr(version)}; this charrnn reads up to {FORMAT_VERSION}. "
            "A newer charrnn reads it"
        )
    for key in ("config", "vocab", "training"):
        if not isinstance(metadata.get(key, {}), dict):
            raise _Damaged(f"its {key} is {reprlib.repr(metadata[key])}, not an object")
    if version < _version_of(metadata):
        raise _Damaged(f"its format_version is {version}, and its vocabulary is of a later one")
    # A handmade file need not have a checksum of its metadata; if there is one, it must match.
    seal = _metadata_digest(metadata)
    if metadata.get("metadata_sha256", seal) != seal:
        raise _Damaged("its checksum does not match its metadata")
    return {"kind": "model", "sha256": None, **metadata}


def _expected(layout: Callable[[dict[str, Any]], Layout], metadata: dict[str, Any]) -> Layout:
    try:
        return layout(metadata)
    except CharRNNError as error:
        raise _Damaged(str(error)[:500]) from error  # it may quote untrusted content
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _Damaged(f"its metadata makes no sense ({type(error).__name__}: {str(error)[:500]})") from error


def _check_table(
    table: dict[str, Any],
    expected: Layout | None,
    data_bytes: int,
    dtypes: Mapping[str, np.dtype] = FILE_DTYPES,
) -> None:
    """Check that names, shapes and dtypes are the expected ones, and that the tensors fill the data exactly."""
    if expected is not None:
        if missing := expected.keys() - table.keys():
            raise _Damaged(f"tensor {min(missing)!r} is missing")
        if extra := table.keys() - expected.keys():
            raise _Damaged(f"tensor {reprlib.repr(min(extra))} is not part of such a model")
    position = 0
    for begin, end, tensor in sorted(
        _span(f"tensor {reprlib.repr(name)}", entry, None if expected is None else expected[name], dtypes)
        for name, entry in table.items()
    ):
        if begin != position:
            fault = "overlaps the previous one" if begin < position else "follows a gap"
            raise _Damaged(f"{tensor} {fault}: it begins at byte {begin} of the data, not at {position}")
        position = end
    if position != data_bytes:
        raise _Damaged(f"its tensors take {position} bytes, but {data_bytes} are there")


def _span(
    tensor: str, entry: Any, expected: tuple[tuple[int, ...], Any] | None, dtypes: Mapping[str, np.dtype]
) -> tuple[int, int, str]:
    """Where a tensor begins and ends in the data, and its name, after all checks of its entry."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _Damaged(f"{tensor} has the malformed entry {reprlib.repr(entry)}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in dtypes:
        raise _Damaged(f"{tensor} has dtype {reprlib.repr(dtype)}; it must be one of {', '.join(dtypes)}")
    if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
        raise _Damaged(f"{tensor} has shape {reprlib.repr(shape)}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise _Damaged(f"{tensor} has offsets {reprlib.repr(offsets)}")
    if expected is not None and (tuple(shape), FILE_DTYPES[dtype]) != (
        tuple(expected[0]),
        np.dtype(expected[1]),
    ):
        raise _Damaged(
            f"{tensor} is {FILE_DTYPES[dtype]} of shape {shape}; "
            f"it must be {np.dtype(expected[1])} of shape {list(expected[0])}"
        )
    begin, end = offsets
    if end - begin != math.prod(shape) * dtypes[dtype].itemsize:
        raise _Damaged(f"{tensor} of shape {shape} cannot have {end - begin} bytes")
    return begin, end, tensor


def _are_sizes(values: Any) -> bool:
    """Whether this is a list of integers (not booleans) between 0 and the largest file size."""
    return isinstance(values, list) and all(type(v) is int and 0 <= v <= MAX_FILE_BYTES for v in values)


def _is_finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())


def _digest(tensors: Mapping[str, np.ndarray]) -> str:
    """sha256 of the tensors' bytes in order of name."""
    digest = hashlib.sha256()
    for _, tensor in sorted(tensors.items()):
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _version_of(metadata: Mapping[str, Any]) -> int:
    """The oldest version that has everything in the metadata, so that older programs read what they can."""
    return 2 if "items" in metadata.get("vocab", {}) else 1


def _metadata_digest(metadata: Mapping[str, Any]) -> str:
    sealed = {key: value for key, value in metadata.items() if key != "metadata_sha256"}
    return hashlib.sha256(_canonical(sealed).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def metadata_bytes(value: Any) -> int:
    """How much of MOST_METADATA a value takes."""
    return len(_canonical(value))


def _wrong_kind(found: Any, wanted: str) -> str:
    if (found, wanted) == ("checkpoint", "model"):
        return "it is a checkpoint, not a model. Use the model.safetensors beside it, or resume it"
    if (found, wanted) == ("model", "checkpoint"):
        return "it is a model, not a checkpoint. Resume from the checkpoint.safetensors beside it"
    return f"it is of kind {reprlib.repr(found)}, not a {wanted}. {_DAMAGED}"


def _is_text(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a text in UTF-8, maybe after a byte order mark; a character may be
    cut off."""
    try:
        characters = codecs.getincrementaldecoder("utf-8-sig")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(one.isprintable() or one.isspace() for one in characters)


class _Damaged(ModelError):
    """A damaged file. The advice is added later, since it depends on the expected kind of file."""


@contextmanager
def _naming(path: StrPath, advice: str = _DAMAGED) -> Iterator[None]:
    """Turn every failure to read `path` into one ModelError that begins with its name."""
    try:
        yield
    except _Damaged as error:
        raise ModelError(f"{path}: {error}. {advice}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except OSError as error:
        raise ModelError(
            f"{path}: it cannot be read ({error.strerror or error}). Check the path and its permissions"
        ) from error
    except MemoryError as error:
        raise ModelError(f"{path}: it does not fit in memory. Use a machine with more memory") from error
