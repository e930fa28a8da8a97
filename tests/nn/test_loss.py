"""Cross-entropy against the formula as it stands in a book, and at the edges where that one overflows."""

import math

import numpy as np
import pytest

from charrnn.nn.gradcheck import numeric_gradient, relative_error
from charrnn.nn.loss import NEVER, cross_entropy, cross_entropy_gradient, log_softmax, smoothing

T, B, V = 4, 3, 6


def example(dtype=np.float64):
    rng = np.random.default_rng(0)
    return (2 * rng.standard_normal((T, B, V))).astype(dtype), rng.integers(0, V, (T, B))


def probabilities(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_log_softmax_by_its_formula():
    logits, _ = example()
    np.testing.assert_allclose(log_softmax(logits), np.log(probabilities(logits)), rtol=1e-12)


def test_cross_entropy_by_its_formula():
    logits, targets = example()
    p = probabilities(logits)
    losses = cross_entropy(logits, targets)
    assert losses.shape == (T, B)
    for t in range(T):
        for b in range(B):
            assert losses[t, b] == pytest.approx(-math.log(p[t, b, targets[t, b]]), rel=1e-12)
    assert cross_entropy(logits[0, 0], targets[0, 0]) == pytest.approx(losses[0, 0], rel=1e-15)


def test_the_loss_is_summed_over_time_and_averaged_over_streams():
    logits, targets = example()
    loss, _ = cross_entropy_gradient(logits.copy(), targets)
    assert loss == pytest.approx(cross_entropy(logits, targets).sum() / B, rel=1e-13)
    doubled = np.concatenate([logits, logits], axis=1), np.concatenate([targets, targets], axis=1)
    assert cross_entropy_gradient(*doubled)[0] == pytest.approx(loss, rel=1e-13)  # streams: a mean
    longer = np.concatenate([logits, logits]), np.concatenate([targets, targets])
    assert cross_entropy_gradient(*longer)[0] == pytest.approx(2 * loss, rel=1e-13)  # time: a sum


def test_gradient_by_its_formula_and_numerically():
    logits, targets = example()
    expected = (probabilities(logits) - np.eye(V)[targets]) / B
    _, gradient = cross_entropy_gradient(logits.copy(), targets)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15)
    numeric = numeric_gradient(lambda: cross_entropy_gradient(logits.copy(), targets)[0], logits)
    assert relative_error(gradient, numeric) < 1e-8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_place_without_a_target_has_no_loss_and_no_gradient(dtype):
    """Not even where a logit is no number; the others keep theirs to the bit."""
    logits, targets = example(dtype)
    missing = np.zeros((T, B), bool)
    missing[0], missing[2, 1] = True, True
    _, expected = cross_entropy_gradient(logits.copy(), targets)
    spoiled = logits.copy()
    spoiled[2, 1, 0] = np.nan
    loss, gradient = cross_entropy_gradient(spoiled, np.where(missing, -1, targets))
    assert loss == pytest.approx(cross_entropy(logits, targets)[~missing].sum(dtype=np.float64) / B, rel=1e-6)
    np.testing.assert_array_equal(gradient[~missing], expected[~missing])
    np.testing.assert_array_equal(gradient[missing], 0)


def test_the_gradient_with_missing_targets_numerically():
    logits, targets = example()
    targets[1:3, 2] = -1
    _, gradient = cross_entropy_gradient(logits.copy(), targets)
    numeric = numeric_gradient(lambda: cross_entropy_gradient(logits.copy(), targets)[0], logits)
    assert relative_error(gradient, numeric) < 1e-8


def test_without_any_target_there_is_nothing():
    loss, gradient = cross_entropy_gradient(example()[0], np.full((T, B), -1))
    assert loss == 0
    np.testing.assert_array_equal(gradient, np.zeros((T, B, V)))


def test_the_gradient_takes_the_place_of_the_logits():
    logits, targets = example()
    assert cross_entropy_gradient(logits, targets)[1] is logits
    kept, _ = example()
    logits = kept.copy()
    cross_entropy(logits, targets)
    log_softmax(logits)
    np.testing.assert_array_equal(logits, kept)  # the other two leave them alone


def test_equal_logits_cost_the_log_of_the_vocabulary():
    targets = np.zeros((1, 1), int)
    assert cross_entropy_gradient(np.full((1, 1, 65), 3.0), targets)[0] == pytest.approx(math.log(65))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("right", "expected"), [(1e4, 0.0), (-1e4, 2e4)])
def test_extreme_logits_neither_overflow_nor_warn(right, expected, dtype):
    logits = np.full((2, 1, 3), -right, dtype)
    logits[:, :, 1] = right
    if right < 0:
        logits[:, :, 2] = right  # one symbol alone is likely, and it is not the target
    targets = np.ones((2, 1), int)
    np.testing.assert_allclose(cross_entropy(logits, targets), expected)
    assert log_softmax(logits)[0, 0, 1] == -expected
    loss, gradient = cross_entropy_gradient(logits, targets)
    assert loss == pytest.approx(2 * expected)
    assert gradient.dtype == dtype
    d = [0, 0, 0] if right > 0 else [1, -1, 0]
    np.testing.assert_array_equal(gradient[:, 0], [d, d])


def test_float32_is_near_float64():
    logits, targets = example()
    loss, gradient = cross_entropy_gradient(logits.copy(), targets)
    loss32, gradient32 = cross_entropy_gradient(logits.astype(np.float32), targets)
    assert loss32 == pytest.approx(loss, rel=1e-6)
    assert gradient32.dtype == np.float32
    np.testing.assert_allclose(gradient32, gradient, atol=1e-6)


# Label smoothing


@pytest.mark.parametrize("never", [(), (3,), (0, 4)])
def test_smoothing_is_the_gradient_of_the_mixed_targets(never):
    """(1-ε) of the loss and ε of the mean -log p of the symbols that can be written, at the places with a target."""
    rng, epsilon, V = np.random.default_rng(3), 0.2, 6
    bias, targets = rng.standard_normal(V), np.array([[1, 2], [5, -1], [2, 1]])
    bias[list(never)] = NEVER
    hidden = rng.standard_normal((3, 2, V))
    written = [v for v in range(V) if v not in never]

    def loss():
        logits, total = hidden + bias, 0.0
        for t, b in np.argwhere(targets >= 0):
            log_p = log_softmax(logits[t, b])
            total -= (1 - epsilon) * log_p[targets[t, b]] + epsilon * log_p[written].mean()
        return total / 2

    plain, _ = cross_entropy_gradient(hidden + bias, targets)
    told, gradient = cross_entropy_gradient(hidden + bias, targets, epsilon, smoothing(bias, epsilon))
    assert told == plain
    np.testing.assert_allclose(gradient, numeric_gradient(loss, hidden), atol=1e-8)
    assert not gradient[..., list(never)].any()


def test_smoothing_shares_what_it_takes():
    bias = np.array([0.0, NEVER, 1.0, -3.0], np.float32)
    np.testing.assert_allclose(smoothing(bias, 0.3), [0.1, 0, 0.1, 0.1], rtol=1e-6)
    assert smoothing(bias, 0.3).dtype == np.float32
