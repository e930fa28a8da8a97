"""What the chapters work out, against oracles of their own: a text's numbers are claims."""

import math

import numpy as np
import pytest
from helpers import lesson

from charrnn.learn import (
    backwards,
    break_it,
    counter,
    gates,
    hello,
    losses,
    one_hot,
    one_step,
    optimisers,
    overfitting,
    small,
    streams,
    temperature,
    unrolling,
    vanishing,
)
from charrnn.learn.lesson_text import TWISTER


def computed(module):
    return lesson.computed(module.__name__.rpartition(".")[2])


def test_the_vocabulary_is_that_of_the_text():
    assert list(TWISTER.vocabulary.symbols) == sorted(set(TWISTER.text))
    assert len(TWISTER.vocabulary) == 20
    assert TWISTER.passage == TWISTER.text


def test_one_hot_product_and_look_up():
    data = computed(one_hot)
    assert data.shown == list(range(20))
    assert [data.symbols[k] for k in data.ids] == list("she")
    assert data.vectors.tolist() == [[float(k == s) for k in range(20)] for s in data.ids]
    for product, looked_up, s in zip(data.products, data.columns, data.ids, strict=True):
        np.testing.assert_array_equal(looked_up, data.weight[:, s])
        np.testing.assert_allclose(product, data.weight @ np.eye(20)[s], rtol=1e-15)
    assert data.facts["multiplications"] == "80"
    assert data.facts["answer"] == "4000"
    assert float(data.facts["difference"]) == abs(data.products - data.columns).max() < 1e-15


def test_one_step_adds_up_as_it_is_shown():
    data = computed(one_step)
    parts = data.from_input + data.from_before + data.bias
    np.testing.assert_allclose(data.a, parts, rtol=1e-12)
    np.testing.assert_allclose(data.h, np.tanh(parts), rtol=1e-12)  # what Network.forward left
    shown = [
        [round(float(v[u]), 2) for v in (data.from_input, data.from_before, data.bias, data.a)]
        for u in range(4)
    ]
    assert all(round(x + before + b, 2) == a for x, before, b, a in shown)
    assert np.linalg.norm(data.h - data.other_h) > 0.5  # the question's point
    assert data.facts["distance"] == f"{math.dist(data.h, data.other_h):.2f}"


def test_chunks_with_the_state_equal_the_whole_and_without_it_converge():
    data = computed(unrolling)
    assert TWISTER.line == "she sells sea shells by the sea shore."
    assert TWISTER.line[: TWISTER.cut] == "she sells sea "
    assert data.h.shape == (len(TWISTER.line), unrolling.H)
    np.testing.assert_array_equal(data.carried, data.h[TWISTER.cut :])
    gaps = [math.dist(a, b) for a, b in zip(data.reset, data.h[TWISTER.cut :], strict=True)]
    assert gaps[0] > 0.3
    assert gaps[6] < 0.05 * gaps[0]  # "within a few steps"
    assert data.facts["left"] == f"{100 * gaps[6] / gaps[0]:.2g}"
    assert data.facts["fades"]
    assert data.facts["carried_gap"] == "0"
    assert data.facts["numbers"] == str(8 * 8 + 8 * 20)


def test_the_word_is_learnt_and_the_state_tells_the_two_letters_apart():
    data = computed(hello)
    assert "".join(data.symbols[s] for s in data.inputs) == "hell"
    assert "".join(data.symbols[s] for s in data.targets) == "ello"
    for net in (data.fresh, data.trained):
        p = np.exp(net.logits) / np.exp(net.logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(net.p, p, rtol=1e-12)
        assert net.p_targets.tolist() == [net.p[t, s] for t, s in enumerate(data.targets)]
    assert data.losses[0] == pytest.approx(-np.log(data.fresh.p_targets).mean())
    assert data.trained.p_targets.min() > 0.9
    assert max(data.fresh.p_targets) < 0.5
    first, second = data.trained.p[2], data.trained.p[3]  # both have read l
    assert (data.symbols[first.argmax()], data.symbols[second.argmax()]) == ("l", "o")
    assert data.facts["p_first"] == f"{first[data.symbols.index('l')]:.2f}"
    assert data.facts["p_second"] == f"{second[data.symbols.index('o')]:.2f}"
    assert math.dist(data.trained.h[2], data.trained.h[3]) > 0.5


def test_adagrad_by_hand_is_the_rule_and_every_rule_learns():
    data = computed(optimisers)
    weight, squares = data.start, 1e-8
    for one, after in zip(data.by_hand, data.by_rule, strict=True):
        squares += one.g**2
        weight -= optimisers.LR * one.g / math.sqrt(squares)
        assert (one.m, one.weight) == (pytest.approx(squares), pytest.approx(weight))
        assert after == pytest.approx(weight, rel=1e-12)
    assert len(data.by_hand) == optimisers.SHOWN + 1  # the last one is the question
    assert abs(data.by_hand[0].step) == pytest.approx(optimisers.LR, rel=1e-3)  # whatever g is
    sgd, adagrad, adam = data.curves.values()
    assert len(sgd) == len(adagrad) == len(adam) == optimisers.STEPS // optimisers.CHUNKS
    for curve in data.curves.values():
        assert curve[-1] < 0.4 < 1.5 < curve[0]
    assert max(adagrad[-1], adam[-1]) < sgd[-1]
    assert data.facts["answer"] == f"{abs(data.by_hand[5].step):.4f}"
    assert abs(data.by_hand[0].g) > 1e-3  # a weight that is worth following


def test_streams_are_cut_as_training_cuts_them_and_more_of_them_point_better():
    data = computed(streams)
    both = small.Streams(TWISTER.vocabulary.encode(TWISTER.text), streams.B, streams.T)
    read = np.concatenate([both.chunk(k)[0] for k in range(both.chunks)])
    for row, ids in zip(data.rows, read.T, strict=True):
        assert row.startswith(TWISTER.vocabulary.decode(ids))
        assert len(row) - len(ids) < streams.T
    assert "".join(data.rows) == TWISTER.text[: len("".join(data.rows))]
    assert data.cosines == sorted(data.cosines)
    assert 0.5 < data.cosines[0] < 0.9 < data.cosines[-1] <= 1
    assert data.facts["answer"] == "199"  # the last character is only a target


def test_a_real_text_is_learnt_and_then_learnt_by_heart():
    data = computed(overfitting)
    assert (data.read, data.held_out) == (6_800, 1_200)
    train, validation = ([getattr(look, part) for look in data.looks] for part in ("train", "validation"))
    assert [look.passes for look in data.looks] == list(range(1, overfitting.LOOKS + 1))
    assert train == sorted(train, reverse=True)
    assert data.best.validation == min(validation) < validation[0] - 0.2
    assert 1 < data.best.passes < overfitting.LOOKS - 2
    assert validation[-1] > data.best.validation + 0.05
    assert validation[-1] - train[-1] > 0.5
    assert len({look.sample for look in data.looks}) == overfitting.LOOKS
    assert data.facts["gap"] == f"{validation[-1] - train[-1]:.2f}"


def test_each_fault_is_noticed_by_the_nudges_and_the_curve_hides_one():
    data = computed(break_it)
    sound, dropped, zeroed, swapped = data.outcomes
    assert sound.error < break_it.WRONG
    assert (dropped.error, dropped.tensor) == (pytest.approx(1), "lstm.weight_hh_l0")
    assert (zeroed.error, zeroed.tensor) == (pytest.approx(1), "head.bias")
    assert swapped.error > 0.5
    assert zeroed.loss < sound.loss + 0.1  # a loss that falls proves nothing
    assert sound.loss + 0.1 < dropped.loss < swapped.loss < math.log(20) / 2
    assert len(data.burst.free) < 5
    assert data.burst.clipped[-1] < 1
    assert data.facts["worse"]
    assert data.facts["hidden"]


def test_the_faults_are_what_they_are_called():
    network = small.make_network("lstm", break_it.H, 20)
    network.grad[:] = np.random.default_rng(1).normal(size=network.grad.size)
    before = {name: grad.copy() for name, grad in network.grads.items()}
    break_it.swap_gates(network)
    H = break_it.H
    for name, grad in network.grads.items():
        if name.startswith("lstm"):
            np.testing.assert_array_equal(grad[:H], before[name][H : 2 * H])
            np.testing.assert_array_equal(grad[H : 2 * H], before[name][:H])
            np.testing.assert_array_equal(grad[2 * H :], before[name][2 * H :])
        else:
            np.testing.assert_array_equal(grad, before[name])
    assert network.cell.GATES[:2] == ("i", "f")
    break_it.drop_h(network)
    whole, _, _ = network.forward(TWISTER.column("sea"), network.zero_state(1))
    last, last_again = whole[-1].copy(), None
    state = network.zero_state(1)
    _, state, _ = network.forward(TWISTER.column("se"), state)
    state[:, 0] = 0.7  # another h, the same c
    last_again, _, _ = network.forward(TWISTER.column("a"), state)
    np.testing.assert_allclose(last_again[-1], last, rtol=1e-12)


def test_training_lowers_the_loss_to_what_the_words_say():
    data = computed(losses)
    for p in (data.fresh, data.trained):
        assert p.sum() == pytest.approx(1)
    h = data.symbols.index("h")
    assert data.fresh[h] < 0.1
    assert data.trained[h] > 0.8
    assert data.loss_fresh == pytest.approx(math.log(20), abs=0.3)
    assert data.loss_trained < 0.8
    facts = data.facts
    assert facts["uniform"] == "2.996"
    assert float(facts["nats_trained"]) == pytest.approx(-math.log(data.trained[h]), abs=0.005)
    assert float(facts["bits_trained"]) == pytest.approx(data.loss_trained / 0.693147, abs=0.01)
    assert float(facts["perplexity"]) == pytest.approx(math.e**data.loss_trained, abs=0.05)
    # The curve ends where the text is when it is read once more: all of it is in each pass, from the zero state.
    assert len(TWISTER.text) - 1 == losses.CHUNKS * 43
    assert len(data.curve) == losses.STEPS // losses.CHUNKS
    assert data.curve[-1] == pytest.approx(data.loss_trained, abs=0.02)


def test_a_pass_over_the_text_begins_from_the_zero_state_and_leaves_nothing_out():
    ids = TWISTER.vocabulary.encode(TWISTER.text)
    chunks = list(small.passes_over(TWISTER, 2 * losses.CHUNKS))
    assert [begins for _, _, begins in chunks] == 2 * [True, False, False, False]
    for one in (chunks[: losses.CHUNKS], chunks[losses.CHUNKS :]):
        np.testing.assert_array_equal(np.concatenate([x for x, _, _ in one])[:, 0], ids[:-1])
        np.testing.assert_array_equal(np.concatenate([y for _, y, _ in one])[:, 0], ids[1:])
    network = small.make_network("gru", 5, 20)
    first, _, _, _, again = small.train(network, small.passes_over(TWISTER, 5), "sgd", 0.0)
    assert first == again


def test_the_gradient_is_right_and_downhill_is_down():
    data = computed(backwards)
    np.testing.assert_allclose(data.analytic, data.numeric, rtol=1e-6)
    assert min(map(abs, data.analytic)) > 1e-3
    assert data.loss_after < data.loss < data.loss_uphill
    facts = data.facts
    assert facts["downhill"] == ("a little smaller" if data.numeric[0] > 0 else "a little larger")
    norms = np.sqrt((data.d_h**2).sum(axis=1))
    assert norms[0] < 1e-4 * norms[-1]
    assert facts["norm_last"] == f"{norms[-1]:.3f}"
    assert facts["back"] == "12"  # steps between 13 characters


def test_one_number_is_followed_through_the_chain_rule():
    data = computed(backwards)
    unit, other = data.checked[0]
    assert len(data.followed) == len(data.read) - 1  # h before the first step is 0: no share
    for back, (d_h, slope, d_a, before, share) in enumerate(data.followed):
        t = len(data.read) - 1 - back
        assert (d_h, before) == (data.d_h[t, unit], data.h[t - 1, other])
        assert slope == pytest.approx(1 - math.tanh(math.atanh(data.h[t, unit])) ** 2)
        assert (d_a, share) == (pytest.approx(d_h * slope), pytest.approx(d_h * slope * before))
    assert sum(row[-1] for row in data.followed) == pytest.approx(data.numeric[0], rel=1e-6)
    right = TWISTER.vocabulary.symbols.index(" ")
    pulls = data.head * (data.p - np.eye(20)[right])
    assert pulls.sum() == pytest.approx(data.d_h[-1, unit])
    facts = data.facts
    assert facts["pull"] == f"{pulls[right]:+.4f}"
    assert facts["others"] == f"{pulls.sum() - pulls[right]:+.4f}"
    assert facts["d_last"] == f"{pulls.sum():+.4f}"
    assert facts["p_next"] == f"{data.p[right]:.3f}"


def test_gradients_vanish_and_explode_with_the_spectral_radius():
    data = computed(vanishing)
    k = vanishing.BACK
    low, one, high = (norms[k] / norms[0] for norms in data.norms)
    # The layer is linear to a part in a million: powers of ρ, up to a factor for directions.
    for ratio, radius in ((low, 0.7), (one, 1.0), (high, 1.3)):
        assert ratio ** (1 / k) == pytest.approx(radius, rel=0.05)
    assert data.facts["left_high"] == f"{high:,.0f}"
    assert data.facts["percent"] == f"{100 * 0.9**37:.1f}" == "2.0"  # from the 38th character to the first


def test_training_without_clipping_bursts_and_with_it_learns():
    data = computed(vanishing)
    burst = data.burst
    assert burst.radius == 2
    assert len(burst.free) < 5
    assert len(burst.clipped) == vanishing.STEPS
    assert burst.clipped[0] == burst.free[0] > 100
    assert burst.clipped[-1] < 1


def test_the_gates_are_those_of_the_cell_that_is_shown():
    data = computed(gates)
    rows = data.rows
    c_before = np.r_[0, rows["c"][:-1]]
    np.testing.assert_allclose(rows["c"], rows["f"] * c_before + rows["i"] * rows["g"], rtol=1e-12)
    np.testing.assert_allclose(rows["h"], rows["o"] * np.tanh(rows["c"]), rtol=1e-12)
    assert len(rows["c"]) == len(TWISTER.line)
    f = [value for value, ch in zip(rows["f"], TWISTER.line, strict=True) if ch == " "]
    assert data.facts["f_mark"] == f"{np.mean(f):.2f}"
    assert np.mean(f) < 0.3  # it does fall
    assert float(data.facts["f_other"]) > 0.6
    assert data.facts["by_word"]
    assert data.longest == "shells,"
    assert float(data.facts["answer"]) ** 7 == pytest.approx(0.5, abs=0.001)
    assert data.facts["sigma_1"] == f"{1 / (1 + math.exp(-1)):.2f}"
    left = {name: flow[vanishing.BACK] / flow[0] for name, flow in data.flows.items()}
    assert left["RNN h"] < left["GRU h"] < left["LSTM c"] < 0.1 < left["b_f = 5"]


def test_temperature_sharpens_and_flattens():
    data = computed(temperature)
    at_one = data.p[2]
    for T, p in zip(temperature.TEMPERATURES, data.p, strict=True):
        expected = at_one ** (1 / T)
        np.testing.assert_allclose(p, expected / expected.sum(), atol=1e-12)
    assert data.entropies == sorted(data.entropies)
    assert data.entropies[3] == pytest.approx(-sum(p * math.log2(p) for p in data.p[3]), rel=1e-9)
    two = [data.symbols[k] for k in data.likeliest[:2]]
    assert sorted(two) == ["b", "o"]  # "by" and "on"
    assert at_one[data.likeliest[:2]].min() > 0.25
    assert (data.place, data.facts["followed"]) == ("she sells sea shells ", "b once and o once")
    assert TWISTER.text.count("she sells sea shells by") == TWISTER.text.count("she sells sea shells on") == 1
    assert all(len(text) == temperature.LENGTH for text in data.samples)
    assert len(set(data.samples)) > 1


def real_cell_is_scored_as_it_is_told(real):
    """The best cell of the first half with its score on the second, and the same of a fresh network."""
    trained, best = computed(overfitting), real.best
    x = trained.vocabulary.encode(trained.whole).astype(np.intp)[:, None]
    label, middle = best.concept.label(trained.whole), len(trained.whole) // 2
    halves = slice(0, middle), slice(middle, None)
    fresh = small.make_network("gru", overfitting.H, len(trained.vocabulary))
    (first, second), (fresh_first, fresh_second) = (
        [[rank_score(signal, label, half) for signal in h.T] for half in halves]
        for network in (trained.network, fresh)
        for h in [network.forward(x, network.zero_state(1))[2].layers[0]["h"][:, 0]]
    )
    assert best.cell == np.argmax(np.abs(first))
    assert best.sign == np.sign(first[best.cell])
    assert best.score == pytest.approx(best.sign * second[best.cell], abs=1e-9)
    other = np.argmax(np.abs(fresh_first))
    assert best.fresh == pytest.approx(np.sign(fresh_first[other]) * fresh_second[other], abs=1e-9)
    assert best.score > best.fresh + 0.1
    at = trained.whole.index(best.text)
    assert at >= middle
    assert real.begins[best.concept.name] == min(
        np.sum(np.diff(label.values[part].astype(int), prepend=before) < 0)
        for part, before in zip(halves, (0, int(label.values[middle - 1])), strict=True)
    )


def rank_score(signal, label, part):
    """Spearman's rank correlation or twice the area under the curve less 1, worked out from the definition."""
    signal, values = signal[part][label.mask[part]], label.values[part][label.mask[part]]
    if label.kind == "count":
        return np.corrcoef(ranks(signal), ranks(values))[0, 1]
    on, off = signal[values], signal[~values]
    return 2 * np.mean(on[:, None] > off) + np.mean(on[:, None] == off) - 1


def ranks(values):
    """Places in ascending order; equal values share their mean."""
    ascending = np.sort(values)
    return np.searchsorted(ascending, values, "left") + np.searchsorted(ascending, values, "right")


def test_a_cell_counts_and_the_network_uses_it():
    data = computed(counter)
    assert data.text == "\n" + "a" * 8 + "b" * 8
    assert data.count.tolist() == [*range(9), *range(7, -1, -1)]
    r = np.corrcoef(data.count, data.c[:, data.cell])[0, 1]
    assert data.correlations[data.cell] == pytest.approx(r)
    assert abs(r) > 0.95
    up, down = data.steps
    assert up * down < 0
    assert data.reach >= counter.LONGEST
    assert all(data.right[: data.reach + 1])
    assert data.reach == counter.TRIED or not data.right[data.reach + 1]
    assert data.p_end > 0.5
    assert data.real.name == "The Harbour Clock"
    real_cell_is_scored_as_it_is_told(data.real)
    assert data.p_end_held < 0.1  # held in the middle of the line, it does not know that it ends


def test_the_counting_strings_are_as_described():
    chunks = list(zip(range(3), counter.strings(np.random.default_rng(0)), strict=False))
    (x, y, first), (x2, _, second), (x3, _, _) = (chunk for _, chunk in chunks)
    assert (first, second) == (True, False)
    assert x.shape == y.shape == (counter.T, counter.STREAMS)
    np.testing.assert_array_equal(x[1:], y[:-1])
    np.testing.assert_array_equal(y[-1], x2[0])  # the next chunk goes on
    for row in np.concatenate([x, x2, x3]).T:
        text = "".join(counter.SYMBOLS[s] for s in row)
        lines = text.split("\n")[1:-1]
        assert len(lines) > 3
        for line in lines:
            n = len(line) // 2
            assert line == "a" * n + "b" * n
            assert 1 <= n <= counter.LONGEST
