"""A model for the web: the file, and the JavaScript that runs it, in Node."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from helpers.node import needs_node, run_module
from helpers.random_models import random_model
from helpers.web_models import COMPUTE, SHAPES, TEXT, Comparison, calm_model

from charrnn.errors import UsageError
from charrnn.exchange.to_web import PRECISIONS, rounded, to_web
from charrnn.sampling.sampler import Sampler, next_distribution
from charrnn.sampling.sampling_config import SamplingConfig
from charrnn.sampling.writer import sample
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

ITEMS = ItemSymbols(False, (("place", ("sea", "town")), ("size", ("big", "small", "tiny"))))


def run(folder: Path, models: dict[str, bytes], body: str, given: Any = None) -> Any:
    for name, content in models.items():
        (folder / f"{name}.bin").write_bytes(content)
    head = 'import { load, probabilities, Uniforms } from "./model.mjs";\n'
    given_text = f"const given = {json.dumps(given)};\nconst found = {{}};\n"
    return run_module(folder, head + given_text + body + "\nconsole.log(JSON.stringify(found));")


@needs_node
def test_a_model_computes_and_writes_what_python_does(tmp_path: Path) -> None:
    comparison = Comparison([("gru", "tanh", 3, 4, "char")])
    comparison.check(run(tmp_path, comparison.files, COMPUTE, comparison.ids))


@needs_node
@pytest.mark.slow
def test_every_kind_of_model_computes_and_writes_what_python_does(tmp_path: Path) -> None:
    comparison = Comparison(SHAPES)
    comparison.check(run(tmp_path, comparison.files, COMPUTE, comparison.ids))


@needs_node
def test_random_numbers_are_those_of_numpy(tmp_path: Path) -> None:
    seeds = [0, 1, 7, 2**32 - 1, 2**32, 2**53 - 1, 2**64 + 3, 2**127 + 1, 2**200]
    found = run(
        tmp_path,
        {},
        """
        for (const seed of given) {
          const uniforms = new Uniforms(BigInt(seed)), beside = new Uniforms(BigInt(seed), 1);
          found[seed] = [Array.from({ length: 2000 }, () => uniforms.next()), beside.next()];
        }
        """,
        [str(seed) for seed in seeds],
    )
    for seed in seeds:
        numbers, beside = found[str(seed)]
        assert numbers == np.random.default_rng(seed).random(2000).tolist()
        assert beside == np.random.default_rng([seed, 1]).random()


@needs_node
def test_probabilities_with_every_filter(tmp_path: Path) -> None:
    logits = [[1.0, 3.0, 3.0, -2.0, 0.5, 800.0 * k, -800.0] for k in (0, 1)]
    filters = [
        {"temperature": T, "topK": k, "topP": p, "minP": m}
        for T in (0, 1e-8, 0.7, 5)
        for k in (0, 1, 3)
        for p in (0.2, 0.9, 1)
        for m in (0, 0.3)
    ]
    found = run(
        tmp_path,
        {},
        "const p = (a, f) => Array.from(probabilities(Float32Array.from(a), f));\n"
        "found.p = given.logits.map((a) => given.filters.map((f) => p(a, f)));",
        {"logits": logits, "filters": filters},
    )["p"]
    for a, rows in zip(logits, found, strict=True):
        for f, p in zip(filters, rows, strict=True):
            wanted = next_distribution(np.array(a), f["temperature"], int(f["topK"]), f["topP"], f["minP"])
            np.testing.assert_allclose(p, wanted, atol=1e-12)


@needs_node
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_held_cells_give_the_text_of_clamps(cell: str, tmp_path: Path) -> None:
    model = calm_model(cell, "tanh", 3, 0, "char")
    found = run(
        tmp_path,
        {"m": to_web(model, "float32")},
        """
        const model = await load(new URL("m.bin", import.meta.url));
        const settings = { seed: 3, length: 400, temperature: 1, prime: "a" };
        found.free = await model.generate(settings);
        model.hold(0, 2, 0.9).hold(2, 10, -0.5);
        found.held = await model.generate(settings);
        found.signals = [model.layers[0].signal(2), model.layers[2].signal(10)];
        model.hold(0, 2, null);
        found.one = await model.generate(settings);
        found.again = await model.free().generate(settings);
        found.refused = [[0, 11, 0], [3, 0, 0], [0, 1.5, 0], [0, 1, NaN], [0, 1, 1]].map((one) => {
          try { model.hold(...one); return null; } catch (error) { return error.message; }
        });
        """,
    )
    settings: dict[str, Any] = {"seed": 3, "length": 400, "temperature": 1.0, "prime": "a"}
    assert found["free"] == found["again"] == sample(model, **settings)
    assert found["held"] == sample(model, clamps=["0:2=0.9", "2:10=-0.5"], **settings)
    assert found["one"] == sample(model, clamps=["2:10=-0.5"], **settings)
    assert len({found["free"], found["held"], found["one"]}) == 3
    np.testing.assert_allclose(found["signals"], [0.9, -0.5], atol=1e-6)
    assert "layers 0 to 2 of cells 0 to 10" in found["refused"][0]
    assert all(found["refused"][:4])
    assert bool(found["refused"][4]) == (cell == "lstm")


@needs_node
def test_stop_texts_and_pieces(tmp_path: Path) -> None:
    model = calm_model("gru", "tanh", 1, 0, "char")
    stops = [["!"], ["ab", "abc", " a"], ["aa!"], ["\n\n", "é"], ["漢" * 30]]
    found = run(
        tmp_path,
        {"m": to_web(model, "float32")},
        """
        const model = await load("m.bin");
        found.texts = [];
        for (const stop of given) {
          for (const seed of [1, 2, 3, 4]) {
            let heard = "";
            const text = await model.generate({ seed, length: 60, stop, onCharacter: (piece) => { heard += piece; } });
            found.texts.push([text, text.startsWith(heard)]);
          }
        }
        """,
        stops,
    )
    wanted = [sample(model, seed=seed, length=60, stop=stop) for stop in stops for seed in (1, 2, 3, 4)]
    assert found["texts"] == [[text, True] for text in wanted]


@needs_node
@pytest.mark.parametrize("pairs", [False, True])
def test_items_with_labels_and_inputs(pairs: bool, tmp_path: Path) -> None:
    vocab = Vocabulary("char", tuple("abcde"), ItemSymbols(pairs, ITEMS.labels))
    training = {"corpus": {"label_counts": {"place": {"sea": 5, "town": 1}}}}
    model = random_model(vocab, training, dtype=np.float32, scale=0.3, hidden=9)
    model.network.params["head.bias"][vocab.unwritten] = -1e4
    found = run(
        tmp_path,
        {"m": to_web(model, "float32", {"place": [5, 1]})},
        """
        const model = await load("m.bin");
        found.texts = [];
        const input = given ? "abc" : "";
        for (let seed = 0; seed < 12; seed++) {
          found.texts.push(await model.generate({ seed, input }),
            await model.generate({ seed, input, label: { size: "tiny" }, prime: "ab" }));
        }
        """,
        pairs,
    )
    wanted = []
    for seed in range(12):
        more: dict[str, Any] = {"input": "abc"} if pairs else {}
        wanted += [
            sample(model, seed=seed, **more),
            sample(model, seed=seed, label={"size": "tiny"}, prime="ab", **more),
        ]
    assert found["texts"] == wanted
    assert wanted[1].startswith("ab")


@needs_node
@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounded_weights_are_those_that_javascript_reads(precision: str, tmp_path: Path) -> None:
    model = random_model(TEXT, dtype=np.float32, cell="gru", embedding=3)
    model.network.params["head.weight"][0] = 0  # a row without a scale
    model.network.params["gru.weight_hh_l0"][0, :4] = 6e-8, 3e-5, -65504, 0  # the ends of float16's range
    ids = np.arange(len(model.vocab))
    found = run(
        tmp_path,
        {"m": to_web(model, precision)},
        'const model = await load("m.bin");\nfound.logits = given.map((id) => Array.from(model.read(id)));',
        ids.tolist(),
    )
    wanted, _ = rounded(model, precision).logits(ids[:, None])
    np.testing.assert_allclose(found["logits"], wanted[:, 0], atol=1e-4, rtol=1e-5)


@needs_node
def test_faults_are_told(tmp_path: Path) -> None:
    good = to_web(random_model("abc", dtype=np.float32))
    foreign = safetensors.numpy.save({"x": np.zeros(3, np.float32)})
    found = run(
        tmp_path,
        {"short": good[:4], "cut": good[:200], "foreign": foreign, "good": good},
        """
        const told = async (act) => { try { await act(); return null; } catch (error) { return error.message; } };
        for (const name of ["short", "cut", "foreign"]) found[name] = await told(() => load(name + ".bin"));
        const model = await load("good.bin");
        found.unknown = await told(() => model.generate({ prime: "axb" }));
        found.skipped = await told(() => model.generate({ prime: "axb", unknown: "skip", length: 3 }));
        found.temperature = await told(() => model.generate({ temperature: -1 }));
        found.stop = await told(() => model.generate({ stop: "" }));
        found.seed = await told(() => model.generate({ seed: -1 }));
        """,
    )
    assert "header is cut" in found["short"]
    assert "header is cut" in found["cut"]
    assert "charrnn export --to web" in found["foreign"]
    assert 'does not know "x"' in found["unknown"]
    assert found["skipped"] is None
    assert "temperature is -1" in found["temperature"]
    assert "stop is an empty text" in found["stop"]
    assert "seed is -1" in found["seed"]


def test_the_file_is_a_safetensors_file() -> None:
    model = random_model("abc", cell="gru", hidden=40)  # float64
    arrays = safetensors.numpy.load(to_web(model, "int8"))
    weight = model.network.params["gru.weight_hh_l1"]
    assert arrays["gru.weight_hh_l1"].dtype == np.int8
    assert arrays["gru.bias_hn_l0"].dtype == np.float32
    scales = arrays["gru.weight_hh_l1.scale"]
    np.testing.assert_allclose(
        arrays["gru.weight_hh_l1"] * scales[:, None] / 127, weight, atol=scales.max() / 254 * 1.001
    )
    assert {array.dtype.name for array in safetensors.numpy.load(to_web(model)).values()} == {
        "float16",
        "float32",
    }
    assert len(to_web(model, "int8")) < len(to_web(model)) < len(to_web(model, "float32"))


def test_rounding_keeps_the_model_near_its_own() -> None:
    model = random_model(TEXT, scale=0.3)
    ids = np.arange(10)[:, None]
    exact, _ = model.logits(ids)
    errors = [np.abs(rounded(model, p).logits(ids)[0] - exact).max() for p in ("float32", "float16", "int8")]
    assert 0 < errors[0] < 1e-6 < errors[1] < errors[2] / 2 < 0.05
    np.testing.assert_array_equal(
        rounded(model, "float16").weights["lstm.bias_ih_l0"],
        model.weights["lstm.bias_ih_l0"].astype(np.float32),
    )


def test_a_weight_beyond_float16_is_refused() -> None:
    model = random_model("abc")
    model.network.params["head.weight"][1, 2] = 1e5
    with pytest.raises(UsageError, match=r"head\.weight.*1e\+05.*--precision float32"):
        to_web(model)
    to_web(model, "float32"), to_web(model, "int8")


def test_the_sampler_itself_takes_the_settings_of_the_module() -> None:
    """The names that JavaScript and Python share mean the same: the defaults are equal too."""
    config = SamplingConfig()
    assert (config.temperature, config.top_k, config.top_p, config.min_p) == (0.8, 0, 1.0, 0.0)
    assert Sampler(random_model("abc"), SamplingConfig(seed=1)).length == 500
