"""A network that goes on learning while it reads a text."""

import numpy as np
import pytest
from helpers.random_models import random_model

from charrnn.errors import DataError, ModelError
from charrnn.nn.loss import log_softmax
from charrnn.nn.network import Network
from charrnn.score import adapt
from charrnn.score.adapt import Adapting, adapted
from charrnn.score.evaluation import surprises
from charrnn.text.batches import Text

SYMBOLS = "abcde"


@pytest.fixture(autouse=True)
def few_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few chunks of the training text are enough here, and quick."""
    monkeypatch.setattr(adapt, "SAMPLED", 3)


def text(length: int, seed: int) -> np.ndarray:
    """A pattern that no random network knows, with some noise."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(length) < 0.1, rng.integers(0, 5, length), np.arange(length) % 5).astype(
        np.uint8
    )


def parts_of() -> dict[str, Text]:
    return {"train": text(500, 1), "validation": text(400, 2)}


def loss_of(network: Network, ids: np.ndarray, state: np.ndarray) -> tuple[float, np.ndarray]:
    """Σ -log p of a chunk, by the forward pass alone, and the state after it."""
    logits, after, _ = network.forward(ids[:-1, None].astype(int), state)
    return float(-log_softmax(logits[:, 0])[np.arange(len(ids) - 1), ids[1:].astype(int)].sum()), after


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_second_chunk_is_read_with_weights_after_one_step_along_a_numeric_gradient(cell: str) -> None:
    model, training, ids = random_model(SYMBOLS, cell=cell, layers=1, hidden=2), text(300, 1), text(41, 2)
    found = list(Adapting(model.network, training).losses(ids, 0.01))
    assert [len(losses) for losses in found] == [20, 20]
    network = Network(model.config, 5, np.float64)
    first = model.network.theta

    def gradient(chunk: np.ndarray) -> np.ndarray:
        numeric = np.empty_like(first)
        for k in range(len(first)):
            either = []
            for change in (1e-5, -1e-5):
                network.theta[...] = first
                network.theta[k] += change
                either.append(loss_of(network, chunk, network.zero_state(1))[0])
            numeric[k] = (either[0] - either[1]) / 2e-5
        return numeric

    starts = np.linspace(0, len(training) - 21, adapt.SAMPLED).astype(int)
    squares = {start: gradient(training[start : start + 21]) ** 2 for start in set(starts.tolist())}
    root = np.sqrt(sum(squares[start] for start in starts.tolist()) / adapt.SAMPLED)
    network.theta[...] = first
    before, state = loss_of(network, ids[:21], network.zero_state(1))
    assert found[0].sum() == pytest.approx(before, rel=1e-9)
    network.theta[...] = first - 0.01 * gradient(ids[:21]) / (root + adapt.EPSILON * root.mean())
    assert found[1].sum() == pytest.approx(loss_of(network, ids[20:], state)[0], rel=1e-5)
    assert found[1].sum() != pytest.approx(list(Adapting(model.network, training).losses(ids, 0.02))[1].sum())


def test_weights_drift_back_to_those_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a decay of 1 only the last step is left, so what was learnt before it is forgotten."""
    reader, ids = Adapting(random_model(SYMBOLS).network, text(300, 1)), text(400, 2)
    found = []
    for decay in (0.0, 1.0):
        monkeypatch.setattr(adapt, "DECAY", decay)
        found.append(np.concatenate(list(reader.losses(ids, 0.001))))
    keeping, forgetting = found
    np.testing.assert_array_equal(keeping[:40], forgetting[:40])
    assert keeping[40:].mean() + 0.01 < forgetting[40:].mean()


def test_learning_helps_and_changes_no_model() -> None:
    model, parts, test = random_model(SYMBOLS), parts_of(), text(600, 3)
    before = model.network.theta.copy()
    found = adapted(model, test, parts)
    np.testing.assert_array_equal(model.network.theta, before)
    (alone,) = surprises([model], test)
    assert found.network == pytest.approx(alone.mean())
    assert found.adapting < 0.98 * found.network
    assert (found.chars, found.second_half) == (599, False)


def test_each_chunk_is_scored_before_it_is_learnt() -> None:
    """What stands later in the text changes no loss before it."""
    model, ids = random_model(SYMBOLS), text(101, 2)
    reader = Adapting(model.network, text(300, 1))
    changed = ids.copy()
    changed[70:] = 4 - changed[70:]
    one, other = (np.concatenate(list(reader.losses(each, 0.01))) for each in (ids, changed))
    np.testing.assert_array_equal(one[:69], other[:69])
    assert not np.array_equal(one[69:], other[69:])


def test_the_reported_text_does_not_choose_the_step_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model, parts = random_model(SYMBOLS), parts_of()
    found = adapted(model, parts["validation"], parts)
    assert (found.chars, found.second_half) == (200, True)
    rates = [found.lr, adapted(model, text(100, 9), parts).lr]
    assert (
        rates[0] == rates[1] == Adapting(model.network, parts["train"]).best_rate(parts["validation"][:200])
    )
    half = np.asarray(parts["validation"][:200])
    changed = parts | {"validation": np.concatenate([half, np.zeros(200, np.uint8)])}
    monkeypatch.setattr(adapt, "RATES", (1e-3, 0.01, 0.05))
    reader = Adapting(model.network, parts["train"])
    assert adapted(model, changed["validation"], changed).lr == reader.best_rate(half)
    assert reader.best_rate(changed["validation"]) != reader.best_rate(half)  # the choice could differ
    given = adapted(model, parts["validation"], parts, 0.001)
    assert (given.lr, given.chars, given.second_half) == (0.001, 399, False)


def test_what_cannot_be_read_is_refused() -> None:
    model, parts = random_model(SYMBOLS), parts_of()
    with pytest.raises(DataError, match="at least 2"):
        adapted(model, text(1, 1), parts)
    with pytest.raises(ModelError, match="step size inf the weights left all bounds"):
        list(Adapting(model.network, parts["train"]).losses(text(200, 2), np.inf))
    model.network.theta[:] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        list(Adapting(model.network, parts["train"]).losses(text(200, 2), 0.001))


def test_a_symbol_that_the_training_text_lacks_takes_no_huge_steps() -> None:
    """No sampled chunk moves the weights of its input, and nothing else tells how far they may go."""
    network = random_model([*SYMBOLS, "z"]).network
    steps = Adapting(network, text(500, 1))._scale
    assert steps.max() < 50 * np.median(steps)


def test_a_step_size_that_diverges_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Adapting(random_model(SYMBOLS).network, text(500, 1))
    monkeypatch.setattr(adapt, "RATES", (1e-3, np.inf))
    assert reader.best_rate(text(300, 2)) == 1e-3
