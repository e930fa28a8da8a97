"""The compiled softmax cross-entropy against charrnn.nn.loss in float64."""

import numpy as np
import pytest
from helpers.kernels import PROCESSORS, aligned, choose_processor

from charrnn.fast.compiler import Program
from charrnn.fast.softmax import add_cross_entropy
from charrnn.fast.weights import whole_vectors
from charrnn.nn.loss import NEVER, cross_entropy, cross_entropy_gradient, smoothing

DTYPES = [np.float32, np.float64]


@pytest.fixture(params=PROCESSORS, autouse=True)
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose_processor(request.param, monkeypatch)
    return request.param


class Answer:
    """What the kernel makes of `logits` + `bias`, without the columns that fill up, in a program for more steps."""

    def __init__(
        self,
        logits: np.ndarray,
        bias: np.ndarray,
        targets: np.ndarray,
        batch: int,
        dtype: type,
        epsilon: float = 0.0,
    ):
        (N, V), scale = logits.shape, 1 / batch
        program = Program(batch, dtype=dtype)
        width, most = whole_vectors(V, program.target), N + 2
        rows, wide_bias = aligned(np.full((most, width), 7), dtype), aligned(np.full(width, NEVER), dtype)
        rows[:N, :V], rows[:N, V:], wide_bias[:V] = logits, 0, bias
        wide_targets = aligned(np.zeros(most), np.int64)
        wide_targets[:N] = targets
        losses, d_bias = aligned(np.full(most, np.nan), dtype), aligned(np.full(width, np.nan), dtype)
        add_cross_entropy(program, most, 1, width, scale, epsilon)
        program.compile()
        steps = aligned(np.array([N]), np.int64)
        arrays = [steps, rows, wide_bias, wide_targets, losses, d_bias]
        if epsilon:
            arrays.append(aligned(np.zeros(width), dtype))
            arrays[-1][:V] = smoothing(bias, epsilon) / batch
        program.bind("cross_entropy", *arrays)()
        assert np.all(rows[N:] == 7)
        assert np.isnan(losses[N:]).all()
        self.losses, self.d_logits, self.d_bias = losses[:N], rows[:N, :V], d_bias[:V]
        self.beyond = rows[:N, V:]


def assert_right(
    answer: Answer,
    logits: np.ndarray,
    targets: np.ndarray,
    batch: int,
    epsilon: float = 0.0,
    smooth: np.ndarray | None = None,
) -> None:
    """As the plain functions in float64 on the sum of logits and bias."""
    last_place = np.finfo(answer.losses.dtype).eps
    exact = logits.astype(np.float64)
    expected = cross_entropy(exact, targets)
    spread = np.ptp(exact, axis=1)  # what rounding of logit - largest may do
    assert np.all(np.abs(answer.losses - expected) <= last_place * (4 + spread + expected))
    shaped = exact.reshape(-1, batch, exact.shape[1]).copy()
    _, d_logits = cross_entropy_gradient(shaped, targets.reshape(-1, batch), epsilon, smooth)
    d_logits = d_logits.reshape(exact.shape)
    np.testing.assert_allclose(answer.d_logits, d_logits, rtol=0, atol=8 * last_place / batch)
    np.testing.assert_allclose(answer.d_bias, d_logits.sum(axis=0), rtol=0, atol=8 * last_place * len(exact))
    assert np.all(answer.beyond == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("V", [1, 16, 27, 300])
def test_losses_and_gradients(V: int, dtype: type) -> None:
    rng, batch = np.random.default_rng(V), 3
    logits, bias = (3 * rng.standard_normal(shape).astype(dtype) for shape in ((12, V), V))
    targets = rng.integers(0, V, 12)
    targets[:2] = 0, V - 1
    answer = Answer(logits, bias, targets, batch, dtype)
    assert_right(answer, logits + bias, targets, batch)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("V", [16, 27])
def test_smoothed_targets(V: int, dtype: type) -> None:
    """One symbol never comes: neither it nor the columns that fill up get a share."""
    rng, batch, epsilon = np.random.default_rng(V), 3, 0.2
    logits, bias = (3 * rng.standard_normal(shape).astype(dtype) for shape in ((12, V), V))
    bias[4] = NEVER
    targets = np.minimum(rng.integers(0, V, 12), 3)
    answer = Answer(logits, bias, targets, batch, dtype, epsilon)
    smooth = smoothing(bias.astype(np.float64), epsilon)
    assert_right(answer, np.where(bias > NEVER / 2, logits + bias, -600), targets, batch, epsilon, smooth)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_without_a_target(dtype: type) -> None:
    """They have neither loss nor gradient, whatever their logits are; the others keep theirs to the bit."""
    rng, missing = np.random.default_rng(2), [0, 3, 4, 11]
    logits, bias = rng.standard_normal((12, 27)).astype(dtype), rng.standard_normal(27).astype(dtype)
    targets = rng.integers(0, 27, 12)
    without = targets.copy()
    without[missing], spoiled = -1, logits.copy()
    spoiled[3] = np.nan
    answer, expected = Answer(spoiled, bias, without, 3, dtype), Answer(logits, bias, targets, 3, dtype)
    others = np.delete(np.arange(12), missing)
    np.testing.assert_array_equal(answer.losses[missing], 0)
    np.testing.assert_array_equal(answer.d_logits[missing], 0)
    np.testing.assert_array_equal(answer.losses[others], expected.losses[others])
    np.testing.assert_array_equal(answer.d_logits[others], expected.d_logits[others])
    np.testing.assert_allclose(
        answer.d_bias, expected.d_logits[others].sum(axis=0), atol=100 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_symbol_that_is_never_to_come_has_probability_zero(dtype: type) -> None:
    """Exactly, so that no optimiser moves anything for it."""
    logits, bias = np.random.default_rng(3).standard_normal((4, 27)).astype(dtype), np.zeros(27, dtype)
    bias[[5, 26]] = NEVER
    answer = Answer(logits, bias, np.array([0, 1, 2, 3]), 2, dtype)
    assert np.all(answer.d_logits[:, [5, 26]] == 0)
    assert np.all(answer.d_bias[[5, 26]] == 0)
    expected = cross_entropy((logits + bias).astype(np.float64), np.array([0, 1, 2, 3]))
    np.testing.assert_allclose(answer.losses, expected, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_logits(dtype: type) -> None:
    """A gap beyond which exp is nothing leaves the loss exact: it is linear in the gap."""
    logits = np.zeros((6, 20), dtype)
    targets = np.array([3, 3, 3, 3, 19, 0])
    logits[0, 3] = 1e4  # certain and right
    logits[1, 5] = 1e4  # certain and wrong
    logits[2] = -1e4  # all alike, far down
    logits[3, 3] = -1e4
    logits[4] = np.linspace(-500, 500, 20)
    logits[5] = 1e30
    answer = Answer(logits, np.zeros(20, dtype), targets, 1, dtype)
    assert_right(answer, logits, targets, 1)
    assert answer.losses[1] == 1e4
    assert answer.losses[0] == 0 < answer.losses[5]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 4, 19])
def test_a_logit_that_is_no_number_spoils_its_row_alone(bad: float, place: int) -> None:
    rng = np.random.default_rng(1)
    logits, targets = rng.standard_normal((3, 20)).astype(np.float32), np.array([4, 4, 4])
    spoiled = logits.copy()
    spoiled[1, place] = bad
    answer = Answer(spoiled, np.zeros(20, np.float32), targets, 1, np.float32)
    assert not np.isfinite(answer.losses[1])
    assert not np.isfinite(answer.d_logits[1]).any()
    expected = Answer(logits, np.zeros(20, np.float32), targets, 1, np.float32)
    np.testing.assert_array_equal(answer.losses[[0, 2]], expected.losses[[0, 2]])
    np.testing.assert_array_equal(answer.d_logits[[0, 2]], expected.d_logits[[0, 2]])
