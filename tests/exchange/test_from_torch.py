"""A torch module of random weights, taken in, gives torch's logits; what cannot be taken in says why."""

import io
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from charrnn.errors import DataError, ModelError
from charrnn.exchange.from_torch import from_torch_file, read_shapes
from charrnn.exchange.symbols import read_symbols
from charrnn.model.model import load_model

VOCAB = list("helo wrd")  # h e l o ' ' w r d: not in ascending order
V, H, E, T, B = len(VOCAB), 6, 4, 7, 3
CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


def torch_model(cell, layers, embedding, head_name="decoder", **options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    parts = {"rnn": getattr(torch.nn, CELLS[cell])(embedding or V, H, layers, **options)}
    if embedding:
        parts["encoder"] = torch.nn.Embedding(V, embedding)
    parts[head_name] = torch.nn.Linear(H, V)
    return torch.nn.ModuleDict(parts)


def torch_logits(modules, ids, head_name="decoder"):
    torch = pytest.importorskip("torch")
    ids = torch.tensor(ids)
    dtype = modules[head_name].weight.dtype
    x = modules["encoder"](ids) if "encoder" in modules else torch.nn.functional.one_hot(ids, V).to(dtype)
    with torch.no_grad():
        return modules[head_name](modules["rnn"](x)[0]).numpy()


def our_logits(model, ids):
    """Our ids are of the same symbols in ascending order, and so are our columns."""
    place = np.array([model.vocab.symbols.index(symbol) for symbol in VOCAB])
    return model.logits(place[ids])[0][:, :, place]


def save(modules, path, prefix=""):
    from safetensors.torch import save_file

    save_file({prefix + name: t.contiguous() for name, t in modules.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("embedding", [0, E])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {}),
        ("gru", {}),
        ("rnn", {}),
        ("rnn", {"nonlinearity": "relu"}),
        ("lstm", {"bias": False}),
        ("gru", {"bias": False}),
    ],
    ids=str,
)
def test_a_random_torch_model_gives_the_same_logits(cell, options, layers, embedding, tmp_path):
    modules = torch_model(cell, layers, embedding, **options)
    path = save(modules, tmp_path / "torch.safetensors")
    model, _ = from_torch_file(path, VOCAB, nonlinearity=options.get("nonlinearity", "tanh"))
    assert (model.config.cell, model.config.layers, model.config.embedding) == (cell, layers, embedding)
    ids = np.random.default_rng(1).integers(V, size=(T, B))
    np.testing.assert_allclose(our_logits(model, ids), torch_logits(modules, ids), atol=1e-6, rtol=0)
    # Written as a model file and read again, it still does.
    model.save(tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    np.testing.assert_allclose(our_logits(again, ids), torch_logits(modules, ids), atol=1e-6, rtol=0)
    assert again.training["imported_from"] == str(path)


def test_float64_stays_float64(tmp_path):
    modules = torch_model("lstm", 2, E).double()
    model, _ = from_torch_file(save(modules, tmp_path / "torch.safetensors"), VOCAB)
    ids = np.random.default_rng(1).integers(V, size=(T, B))
    np.testing.assert_allclose(our_logits(model, ids), torch_logits(modules, ids), atol=1e-13, rtol=0)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_is_widened_exactly(kind, tmp_path):
    torch = pytest.importorskip("torch")
    modules = torch_model("gru", 1, E).to(getattr(torch, kind))
    model, _ = from_torch_file(save(modules, tmp_path / "torch.safetensors"), VOCAB)
    ids = np.random.default_rng(1).integers(V, size=(T, B))
    widened = torch_logits(modules.float(), ids)
    assert model.network.theta.dtype == np.float32
    np.testing.assert_allclose(our_logits(model, ids), widened, atol=1e-6, rtol=0)


def test_what_was_taken_for_what(tmp_path):
    path = save(torch_model("lstm", 1, E), tmp_path / "torch.safetensors", "model.net.")
    _, reading = from_torch_file(path, VOCAB)
    assert reading.names == {
        "embedding.weight": "model.net.encoder.weight",
        "lstm.weight_ih_l0": "model.net.rnn.weight_ih_l0",
        "lstm.weight_hh_l0": "model.net.rnn.weight_hh_l0",
        "lstm.bias_ih_l0": "model.net.rnn.bias_ih_l0",
        "lstm.bias_hh_l0": "model.net.rnn.bias_hh_l0",
        "head.weight": "model.net.decoder.weight",
        "head.bias": "model.net.decoder.bias",
    }


def test_bytes(tmp_path):
    rng = np.random.default_rng(2)
    path = write(
        tmp_path / "bytes.safetensors",
        {"weight_ih_l0": (H, 256), "weight_hh_l0": (H, H), "fc.weight": (256, H), "fc.bias": (256,)},
        rng,
    )
    model, _ = from_torch_file(path, range(256))
    assert (model.vocab.level, len(model.vocab)) == ("byte", 256)


# ------------------------------------------------------------------------------------------------
# Which tensor is which

GOOD = {
    "rnn.weight_ih_l0": (4 * H, E),
    "rnn.weight_hh_l0": (4 * H, H),
    "rnn.bias_ih_l0": (4 * H,),
    "rnn.bias_hh_l0": (4 * H,),
    "emb.weight": (V, E),
    "fc.weight": (V, H),
    "fc.bias": (V,),
}
SQUARE = {"rnn.weight_ih_l0": (4 * H, H), "rnn.weight_hh_l0": (4 * H, H)}  # embedding as wide as the layer


def renamed(**new):
    split = {name: name.split(".") for name in GOOD}
    return {f"{new.get(module, module)}.{kind}": GOOD[name] for name, (module, kind) in split.items()}


def test_told_by_shape_whatever_the_names():
    reading = read_shapes(renamed(emb="first", fc="last"), V)
    assert (reading.names["embedding.weight"], reading.names["head.weight"]) == (
        "first.weight",
        "last.weight",
    )
    assert reading.names["head.bias"] == "last.bias"


def test_told_by_the_bias_where_shapes_are_alike():
    reading = read_shapes({**SQUARE, "a.weight": (V, H), "b.weight": (V, H), "b.bias": (V,)}, V)
    assert (reading.names["embedding.weight"], reading.names["head.weight"]) == ("a.weight", "b.weight")


def test_told_by_name_where_neither_has_a_bias():
    reading = read_shapes({**SQUARE, "net.decoder.weight": (V, H), "net.encoder.weight": (V, H)}, V)
    assert reading.names["embedding.weight"] == "net.encoder.weight"
    assert reading.names["head.weight"] == "net.decoder.weight"
    assert "head.bias" not in reading.names


@pytest.mark.parametrize(("embedding", "head"), [("a", "b"), ("a.weight", "b.weight")])
def test_told_by_the_user(embedding, head):
    shapes = {**SQUARE, "a.weight": (V, H), "b.weight": (V, H)}
    with pytest.raises(
        ModelError, match=r"'a\.weight', 'b\.weight' can each be the head: choose one with --head"
    ):
        read_shapes(shapes, V)
    reading = read_shapes(shapes, V, embedding=embedding, head=head)
    assert (reading.names["embedding.weight"], reading.names["head.weight"]) == ("a.weight", "b.weight")


def test_tied_weights():
    reading = read_shapes({**SQUARE, "tied.weight": (V, H)}, V, embedding="tied", head="tied")
    assert reading.names["embedding.weight"] == reading.names["head.weight"] == "tied.weight"


def without(name):
    return {n: s for n, s in GOOD.items() if n != name}


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ({"fc.weight": (V, H)}, {}, "no tensor has a name of torch.nn.RNN, GRU or LSTM"),
        ({**GOOD, "two.weight_ih_l0": (4 * H, E)}, {}, r"2 recurrent modules \('rnn\.', 'two\.'\)"),
        (
            {**GOOD, "rnn.weight_ih_l0_reverse": (4 * H, E)},
            {},
            "weight_ih_l0_reverse': the network is bidirect",
        ),
        ({**GOOD, "rnn.weight_hr_l0": (3, H)}, {}, "weight_hr_l0': the LSTM has a proj_size"),
        (without("rnn.weight_hh_l0"), {}, r"tensor 'rnn.weight_hh_l0' is missing"),
        (without("rnn.bias_hh_l0"), {}, r"tensor 'rnn.bias_hh_l0' is missing"),
        (
            {**GOOD, "rnn.weight_hh_l1": (4 * H, H)},
            {},
            r"'rnn.weight_ih_l1' is missing: by the other names there are 2 layers",
        ),
        ({**GOOD, "rnn.weight_hh_l0": (5 * H, H)}, {}, "4 times .LSTM., 3 times"),
        ({**GOOD, "rnn.weight_hh_l0": (4, H, H)}, {}, r"shape \[4, 6, 6\]; it must be a matrix"),
        (GOOD, {"cell": "gru"}, "is that of a LSTM, not of --cell gru"),
        ({**GOOD, "rnn.bias_ih_l0": (4 * H + 1,)}, {}, r"'rnn.bias_ih_l0' has shape \[25\].*must be \[24\]"),
        ({**GOOD, "fc.bias": (V, 1)}, {}, r"'fc.bias' has shape \[8, 1\].*must be \[8\]"),
        (without("fc.weight"), {}, "no tensor can be the head: for 8 symbols and 6 hidden"),
        (without("emb.weight"), {}, "inputs of 4 numbers, neither one-hot of 8 symbols nor"),
        ({**GOOD, "norm.weight": (H,)}, {}, r"no place for tensor 'norm.weight' \[6\]"),
        ({**GOOD, "rnn.weight_ih_l00": (4 * H, E)}, {}, r"no place for tensor 'rnn.weight_ih_l00'"),
        (GOOD, {"head": "lm"}, r"--head lm: there is no such tensor. There are 'emb.weight'"),
        (GOOD, {"head": "emb"}, r"--head emb.weight: it has shape \[8, 4\], where \[8, 6\] is needed"),
        (
            {**GOOD, **{f"rnn.{n}": (4 * 70000, 70000) for n in ("weight_hh_l0",)}},
            {},
            "no tensor can be the head",
        ),
    ],
)
def test_what_cannot_be_a_model_of_ours(shapes, options, message):
    with pytest.raises(ModelError, match=message):
        read_shapes(shapes, V, **options)


def test_names_of_any_length_make_a_short_message():
    long = "x" * 1_000_000
    for shapes in ({long: (1,)}, {**GOOD, long: (1,)}, {**GOOD, f"{long}.weight_ih_l0": (1, 1)}):
        with pytest.raises(ModelError) as told:
            read_shapes(shapes, V)
        assert len(str(told.value)) < 1000


def test_another_vocabulary_is_noticed():
    with pytest.raises(
        ModelError, match=r"for 9 symbols and 6 hidden units its weight must be .9, 6..*--vocab"
    ):
        read_shapes(GOOD, 9)


# ------------------------------------------------------------------------------------------------
# The file


def write(path, shapes, rng):
    from safetensors.numpy import save_file

    save_file({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}, path)
    return path


def test_a_pickle_is_refused_with_the_way_out(tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    for content in (archive.getvalue(), pickle.dumps(GOOD)):
        (tmp_path / "model.pt").write_bytes(content)
        with pytest.raises(
            ModelError, match=r"never does.*safetensors\.torch\.save_file\(torch\.load\(FILE, weights"
        ):
            from_torch_file(tmp_path / "model.pt", VOCAB)


def forged(table, data=b""):
    header = json.dumps(table).encode()
    return len(header).to_bytes(8, "little") + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"a text\n" * 9, "it is a text, not a model"),
        ((2**40).to_bytes(8, "little") + b"{}", "header would have"),
        (forged({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}), "offsets|shape"),
        (forged({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}), "8 bytes, but 0 are there"),
        (
            forged({"w": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)),
            "dtype 'I64'; it must",
        ),
        (forged({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(9)), "4 bytes, but 9"),
        (forged({"w": "F32"}), "has the malformed entry"),
        (forged({}), "no tensor has a name of torch.nn"),
    ],
)
def test_a_forged_file_is_one_message(content, message, tmp_path):
    (tmp_path / "odd.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=message) as told:
        from_torch_file(tmp_path / "odd.safetensors", VOCAB)
    assert "odd.safetensors: " in str(told.value)


def test_shapes_are_judged_before_any_tensor_is_read(tmp_path):
    size = 2**30
    table = {"large.weight": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    path = tmp_path / "large.safetensors"
    path.write_bytes(forged(table))
    os.truncate(path, path.stat().st_size + size)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="no tensor has a name of"):
            from_torch_file(path, VOCAB)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_values_that_are_not_finite(tmp_path):
    from safetensors.numpy import save_file

    tensors = {name: np.zeros(shape, np.float32) for name, shape in GOOD.items()}
    tensors["fc.bias"][2] = np.nan
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(ModelError, match=r"'fc.bias' holds NaN"):
        from_torch_file(tmp_path / "nan.safetensors", VOCAB)


# ------------------------------------------------------------------------------------------------
# --vocab


def test_symbols_in_the_order_given():
    assert read_symbols("hel wor") == (list("hel wor"), "")


def test_a_text_stands_for_its_distinct_characters():
    symbols, note = read_symbols("hello")
    assert symbols == ["e", "h", "l", "o"]
    assert "4 distinct characters" in note


@pytest.mark.parametrize("content", [["b", "a", "\n"], {"a": 1, "b": 0, "\n": 2}])
def test_symbols_of_a_json_file(content, tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps(content))
    assert read_symbols(f"@{tmp_path / 'vocab.json'}") == (["b", "a", "\n"], "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ('{"a": 0, "b": 2}', "the ids must be 0 to 1, without repeats"),
        ('["a", "bc"]', "must hold a list of characters"),
        ('["a", 1]', "must hold a list of characters"),
        ('["a", "a"]', "and none twice"),
        ("[]", "at least one character"),
        ("3", "must hold a list"),
    ],
)
def test_odd_json_files(content, message, tmp_path):
    (tmp_path / "vocab.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_symbols(f"@{tmp_path / 'vocab.json'}")


@pytest.mark.parametrize("given", ["", "@nowhere.txt"])
def test_no_symbols(given):
    with pytest.raises(DataError, match=r"--vocab"):
        read_symbols(given)
