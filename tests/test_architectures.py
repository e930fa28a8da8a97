"""The measurement of other networks: each computes its equations, and reads a text alike in one piece or many."""

import importlib
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
architectures = importlib.import_module("architectures")
sys.path.pop(0)
torch.set_num_threads(1)
V, H, T, B = 7, 6, 12, 3


def network(variant: str, layers: int = 2, dropout: float = 0.0) -> "architectures.Network":
    torch.manual_seed(1)
    return architectures.Network(variant, V, layers, H, dropout).double().eval()


def symbols(seed: int = 1) -> "torch.Tensor":
    return torch.from_numpy(np.random.default_rng(seed).integers(0, V, (T, B)))


@pytest.mark.parametrize("variant", architectures.VARIANTS)
def test_what_is_read_in_chunks_is_what_is_read_at_once(variant: str) -> None:
    read, x = network(variant), symbols()
    whole, _ = read(x, [None, None])
    first, states = read(x[:5], [None, None])
    rest, _ = read(x[5:], states)
    torch.testing.assert_close(torch.cat([first, rest]), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize("variant", architectures.VARIANTS)
def test_a_prediction_depends_on_all_before_it_and_on_nothing_after(variant: str) -> None:
    read, x = network(variant), symbols()
    whole, _ = read(x, [None, None])
    other = x.clone()
    other[4] = (x[4] + 1) % V
    changed, _ = read(other, [None, None])
    assert torch.equal(changed[:4], whole[:4])
    assert ((changed[4:] - whole[4:]).abs().amax(dim=2) > 1e-9).all()


@pytest.mark.parametrize("variant", ["normalised", "zoneout", "mogrifier"])
def test_without_its_part_a_variant_is_the_gru(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = type(network(variant).layers[0])
    monkeypatch.setattr(architectures.ZoneoutGru, "p", 0.0)
    monkeypatch.setattr(architectures.MogrifierGru, "rounds", 0)
    if variant == "normalised":  # what is left is the order of the terms
        monkeypatch.setattr(architectures.F, "layer_norm", lambda a, shape, gain, bias=0.0: a * gain + bias)
    torch.manual_seed(1)
    changed, plain = layer(V, H).double(), architectures.Gru(V, H).double()
    plain.load_state_dict({name: changed.state_dict()[name] for name in plain.state_dict()})
    x = torch.randn(T, B, V, dtype=torch.float64)
    torch.testing.assert_close(changed(x, None), plain(x, None), rtol=0, atol=1e-14)


@pytest.mark.parametrize("variant", ["gru", "normalised", "zoneout", "mogrifier"])
def test_no_state_of_a_gru_grows_beyond_one(variant: str) -> None:
    read = network(variant, 1)
    with torch.no_grad():
        for weight in read.layers[0].parameters():
            weight.copy_(3 * torch.randn(weight.shape))
        _, (h,) = read(symbols().repeat(20, 1), [None])
    assert 0.5 < h.abs().max() <= 1 + 1e-12


@pytest.mark.parametrize(("variant", "of"), [("mingru", 2), ("sru", 3), ("qrnn", 3)])
def test_a_scan_is_the_recurrence_of_the_equation(variant: str, of: int) -> None:
    torch.manual_seed(2)
    layer = architectures.VARIANTS[variant][0](H, H).double()
    x = torch.randn(T, B, H, dtype=torch.float64)
    out, _ = layer(x, None)
    W = [part.detach() for part in layer.weight.chunk(of)]
    bias = layer.bias.detach().chunk(of)
    h = before = torch.zeros(B, H, dtype=torch.float64)
    for t in range(T):
        seen = torch.cat([before, x[t]], dim=1) if variant == "qrnn" else x[t]
        a = [seen @ w.T + b for w, b in zip(W, bias, strict=True)]
        f, new = torch.sigmoid(a[0]), torch.tanh(a[1]) if variant == "qrnn" else a[1]
        h = f * h + (1 - f) * new
        if variant == "mingru":
            expected = h + x[t]
        else:
            gate = torch.sigmoid(a[2])
            expected = gate * h + ((1 - gate) * x[t] if variant == "sru" else 0)
        torch.testing.assert_close(out[t], expected, rtol=0, atol=1e-14)
        before = x[t]


def test_the_gradients_of_a_scan_are_those_of_differences() -> None:
    torch.manual_seed(3)
    f, b = (torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    h0 = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(architectures.Scan.apply, (f, b, h0))


def test_products_are_those_of_matrices_that_are_not_looked_up() -> None:
    assert network("gru", 1).products() == 3 * H * H + H * V
    assert network("embedded", 1).products() == 3 * H * H + H * V
    assert network("tied", 1).products() == 3 * H * H + H * V
    assert network("highway").products() == 9 * H * H + H * H + H * V
    assert network("mogrifier", 1).products() == 3 * H * H + H * V + (3 * H + 4 * H) * 64
    assert network("qrnn").products() == 3 * H * 2 * H + H * V


def test_a_text_is_scored_in_segments_as_in_one_pass() -> None:
    read = network("gru").float()
    ids = np.random.default_rng(4).integers(0, V, 700)
    logits, _ = read(torch.from_numpy(ids[:-1, None]), [None, None])
    expected = torch.nn.functional.cross_entropy(logits[:, 0], torch.from_numpy(ids[1:])).item()
    assert architectures.evaluate(read, ids, segments=5, before=100) == pytest.approx(expected, abs=1e-6)


def test_a_variant_is_trained_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "to be or not to be, that is the question\n"
    text = tmp_path / "text.txt"
    text.write_text(line * 80, encoding="utf-8")
    words = f"architectures.py qrnn --train {text} --val {text} --hidden 16 --steps 40 --lr 0.03"
    monkeypatch.setattr(sys, "argv", shlex.split(words))
    architectures.main()
    found = json.loads(capsys.readouterr().out)
    assert (found["variant"], found["steps"], found["products"]) == (
        "qrnn",
        40,
        16 * len(set(line)),
    )
    assert found["loss_nats"] < 2.1  # letters by their frequency alone: 2.4
