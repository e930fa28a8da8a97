"""Items: their losses against the plain forward pass, and probabilities that sum to one."""

import itertools
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.random_models import random_model
from helpers.small_runs import Recorder, run

from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model, load_model
from charrnn.nn.loss import NEVER, log_softmax
from charrnn.score import items as scored
from charrnn.score.evaluation import evaluate, item_losses, splits_of, surprises
from charrnn.score.simple_models import NGrams, yardstick_of
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.items import Items
from charrnn.text.records import ItemForm
from charrnn.text.sources import in_memory
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

PLAIN = ItemSymbols()
LABELLED = ItemSymbols(labels=(("sex", ("f", "m")), ("tongue", ("p", "q", "r"))))
PAIRS = ItemSymbols(pairs=True)
LINE = ItemForm("line")


def item_model(symbols: ItemSymbols, characters: str = "ab", **settings) -> Model:
    """A model with random weights that never writes what is only read."""
    vocab = Vocabulary("char", tuple(characters), symbols)
    model = random_model(vocab, **{"scale": 1.0, "hidden": 5, "layers": 1} | settings)
    model.network.params["head.bias"][vocab.unwritten] = NEVER
    return model


def items_of(*conditions_and_texts: tuple[list[int], list[int]], end: int) -> Items:
    """Items from their symbols."""
    whole = [[*condition, *text, end] for condition, text in conditions_and_texts]
    stops = np.cumsum([len(one) for one in whole])
    ids = np.concatenate(whole)
    starts = stops - [len(one) for one in whole]
    return Items(ids, starts, stops, np.array([len(condition) for condition, _ in conditions_and_texts]))


def one_by_one(model: Model, items: Items) -> list[np.ndarray]:
    """-log p of the predicted symbols of each item, by a plain forward pass of that item alone."""
    found = []
    for n in range(len(items)):
        ids = items.of(n).astype(int)
        log_p = log_softmax(model.logits(ids[:-1, None])[0][:, 0])
        found.append(-log_p[np.arange(len(ids) - 1), ids[1:]][items.conditions[n] - 1 :])
    return found


def read(text: str, form: ItemForm = LINE, vocabulary: Vocabulary | None = None) -> Corpus:
    return read_corpus(in_memory(text), items=form, vocabulary=vocabulary)


# ------------------------------------------------------------------------------------------------
# Probabilities


def total_probability(model: Model, condition: list[int], longest: int) -> tuple[float, float]:
    """Σ p of all items of up to `longest` characters after a condition, and the mass of all longer ones.

    A longer item begins with `longest` + 1 characters: the probabilities of all that begin alike sum to that of the
    beginning.
    """
    C, end = len(model.vocab.symbols), model.vocab.end
    texts = [list(text) for n in range(longest + 1) for text in itertools.product(range(C), repeat=n)]
    finished = items_of(*((condition, text) for text in texts), end=end)
    p = float(np.exp(-scored.losses([model.network], finished)).sum())
    begun = items_of(
        *((condition, list(text)) for text in itertools.product(range(C), repeat=longest + 1)), end=end
    )
    longer = 0.0
    for losses in surprises([model], begun):
        longer += float(np.exp(-losses.reshape(-1, longest + 2)[:, :-1].sum(axis=1)).sum())
    return p, longer


@pytest.mark.parametrize(
    ("symbols", "conditions"),
    [
        (PLAIN, [["end"]]),
        (LABELLED, [["label sex=f", "label tongue=q"], ["label sex=m", "label tongue=r"]]),
        (PAIRS, [["a", "b", "b", "boundary"], ["boundary"]]),
    ],
    ids=["plain", "labelled", "pairs"],
)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_probabilities_of_all_items_sum_to_one(
    symbols: ItemSymbols, conditions: list[list[str]], cell: str
) -> None:
    model = item_model(symbols, cell=cell)
    names = [model.vocab.name(id) for id in range(len(model.vocab))]
    for condition in conditions:
        p, longer = total_probability(model, [names.index(name) for name in condition], 8)
        assert p + longer == pytest.approx(1, abs=1e-9)
        assert p > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("symbols", [PLAIN, LABELLED, PAIRS], ids=["plain", "labelled", "pairs"])
def test_the_probabilities_of_all_items_of_up_to_twelve_characters(symbols: ItemSymbols) -> None:
    model = item_model(symbols, dtype=np.float32)
    condition = {
        PLAIN: [model.vocab.end],
        LABELLED: [model.vocab.end + 1, model.vocab.end + 4],
        PAIRS: [0, 1, model.vocab.end + 1],
    }[symbols]
    p, longer = total_probability(model, condition, 12)
    assert p + longer == pytest.approx(1, abs=1e-6)


def test_an_item_is_scored_the_same_alone_and_beside_any_others() -> None:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcd", k=rng.randint(1, 40))) for _ in range(300)]
    model = item_model(PLAIN, "abcd", dtype=np.float32, hidden=16, scale=0.5)
    found = item_losses([model], read("\n".join(words), vocabulary=model.vocab).items)
    order = rng.sample(range(300), 300)
    shuffled = item_losses([model], read("\n".join(words[n] for n in order), vocabulary=model.vocab).items)
    np.testing.assert_allclose(shuffled, found[order], rtol=1e-6)
    alone = [item_losses([model], read(words[n], vocabulary=model.vocab).items)[0] for n in range(0, 300, 30)]
    np.testing.assert_allclose(alone, found[::30], rtol=1e-6)
    plain = [
        losses.sum() for losses in one_by_one(model, read("\n".join(words), vocabulary=model.vocab).items)
    ]
    np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_losses_symbol_by_symbol_are_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = item_model(PAIRS, "abcd"), item_model(PAIRS, "abcd", seed=2)
    items = read("ab\tcdd\nc\tb\nabcd\tabcdabcd\nd\ta\n", ItemForm("pairs"), model.vocab).items
    expected = np.concatenate(one_by_one(model, items))
    assert len(expected) == items.symbols == len(items.predicted())
    for window in (2**20, 3):
        monkeypatch.setattr("charrnn.score.items.WINDOW", window)
        np.testing.assert_allclose(np.concatenate(list(surprises([model], items))), expected, rtol=1e-12)
    both = np.concatenate(list(surprises([model, other], items)))
    p = (np.exp(-expected) + np.exp(-np.concatenate(one_by_one(other, items)))) / 2
    np.testing.assert_allclose(both, -np.log(p), rtol=1e-12)


def test_the_score_of_one_item() -> None:
    model = item_model(LABELLED)
    items = read(TABLE, COLUMNS, model.vocab).items
    for n, text, labels in ((0, "ab", {"sex": "f", "tongue": "p"}), (3, "bbbb", {"sex": "m", "tongue": "q"})):
        expected = one_by_one(model, items)[n]
        for given in (labels, [f"{column}={value}" for column, value in labels.items()]):
            found = model.score(text, label=given)
            np.testing.assert_allclose(found.symbols_nats, -expected)  # its end is the last
            assert found.log_probability_nats == pytest.approx(-expected.sum())
        rest = model.score(text[1:], prime=text[0], label=labels)
        np.testing.assert_allclose(rest.symbols_nats, -expected[1:])
    pairs = item_model(PAIRS)
    expected = one_by_one(pairs, read("abb\tba\n", ItemForm("pairs"), pairs.vocab).items)[0]
    np.testing.assert_allclose(pairs.score("ba", input="abb").symbols_nats, -expected)
    plain = item_model(PLAIN)
    expected = one_by_one(plain, read("ab\n", vocabulary=plain.vocab).items)[0]
    np.testing.assert_allclose(plain.score("ab").symbols_nats, -expected)
    with pytest.raises(UsageError, match="label is missing for tongue: the model was trained with labels"):
        model.score("ab", label="sex=f")
    with pytest.raises(DataError, match="no label 'x'; its labels are f, m"):
        model.score("ab", label={"sex": "x", "tongue": "p"})
    with pytest.raises(UsageError, match="not trained on pairs"):
        plain.score("ab", input="a")
    with pytest.raises(UsageError, match="trained without labels"):
        plain.score("ab", label="f")


# ------------------------------------------------------------------------------------------------
# Evaluation


TABLE = "word,sex,tongue\nab,f,p\nba,m,q\nab,f,q\nbbbb,m,q\na,f,p\n"
COLUMNS = ItemForm("csv", "word", ("sex", "tongue"))


def test_the_loss_of_items_as_a_whole_and_by_label() -> None:
    model = item_model(LABELLED)
    items = read(TABLE, COLUMNS, model.vocab).items
    losses = [one.sum() for one in one_by_one(model, items)]
    found = evaluate(model, items).to_json()
    assert found["chars"] == 3 + 3 + 3 + 5 + 2
    assert found["loss_nats"] == pytest.approx(sum(losses) / 16)
    assert found["items"] == {"count": 5, "loss_nats": pytest.approx(sum(losses) / 5)}
    assert found["baselines"] == {
        "uniform": {"loss_nats": math.log(3), "bits_per_char": pytest.approx(math.log2(3))}
    }
    assert {c: list(values) for c, values in found["per_label"].items()} == {
        "sex": ["f", "m"],
        "tongue": ["p", "q"],  # no item has r
    }
    f = losses[0] + losses[2] + losses[4]
    assert found["per_label"]["sex"]["f"] == {
        "items": 3,
        "chars": 8,
        "item_loss_nats": pytest.approx(f / 3),
        "loss_nats": pytest.approx(f / 8),
        "bits_per_char": pytest.approx(f / 8 / math.log(2)),
    }
    assert found["per_label"]["tongue"]["q"]["item_loss_nats"] == pytest.approx(
        (losses[1] + losses[2] + losses[3]) / 3
    )
    with pytest.raises(DataError, match="no item to score"):
        evaluate(model, items[:0])


# ------------------------------------------------------------------------------------------------
# n-grams


def counted(training: list[list[str]], order: int, context: list[str], symbol: str, written: int) -> float:
    """p(symbol | context) by counting in lists that begin with the last symbol of a condition."""
    k = len(context)
    followers = Counter(
        one[i] for one in training for i in range(max(1, k), len(one)) if one[i - k : i] == context
    )
    shorter = counted(training, order, context[1:], symbol, written) if k else 1 / written
    n, t = sum(followers.values()), len(followers)
    return (followers[symbol] + t * shorter) / (n + t) if n else shorter


@pytest.mark.parametrize(
    ("form", "training", "text"),
    [
        (LINE, "ann\nanna\nbob\nna\nann\n", "ana\nbn\nobb\nannan"),
        (ItemForm("pairs"), "xy\tann\nab\tnoo\nx\tb\n", "yx\tana\nnb\tbo\n"),
        (ItemForm("csv", "t", ("l", "m")), "t,l,m\nann,p,x\nbo,q,x\nna,q,y\n", "t,l,m\nan,p,y\nbo,q,y\n"),
    ],
    ids=["plain", "pairs", "labelled"],
)
def test_ngrams_of_items_never_reach_across_a_beginning(
    form: ItemForm, training: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = read(training, form)
    vocab = known.vocabulary
    items = read(text, form, vocab).items

    def spelt(items: Items) -> list[list[str]]:
        whole = (items.of(n)[items.conditions[n] - 1 :] for n in range(len(items)))
        return [[vocab.name(int(id)) for id in one] for one in whole]

    ngrams = NGrams(known.items, len(vocab), 3, written=vocab.written)
    for order in (0, 1, 3):
        expected = [
            -sum(
                math.log(
                    counted(spelt(known.items), order, one[max(0, i - order) : i], one[i], vocab.written)
                )
                for i in range(1, len(one))
            )
            for one in spelt(items)
        ]
        np.testing.assert_allclose(ngrams.item_losses(items, order), expected, rtol=1e-9)
        assert ngrams.mean_loss(items, order) == pytest.approx(sum(expected) / items.symbols)
    whole = ngrams.item_losses(items)
    monkeypatch.setattr("charrnn.score.simple_models.LOOKED_UP_AT_ONCE", 4)
    np.testing.assert_allclose(ngrams.item_losses(items), whole, rtol=1e-12)


def names(count: int) -> list[str]:
    """Made-up names, whose letters go together as their syllables do, none twice."""
    rng = random.Random(3)
    syllables = [a + b + c for a in "bdfgklmnprstvwz" for b in "aeiou" for c in ("", "l", "n", "r")]
    return list(dict.fromkeys("".join(rng.choices(syllables, k=rng.choice((2, 3)))) for _ in range(count)))


def test_the_yardstick_of_items() -> None:
    corpus = read("\n".join(names(2500)))
    vocab, parts = corpus.vocabulary, corpus.parts(0.1, 0)
    found = yardstick_of(parts.training, parts.validation, vocab)
    ngrams = NGrams(parts.training, len(vocab), written=vocab.written)
    assert found.uniform == math.log(vocab.written) == math.log(len(vocab.symbols) + 1)
    assert found.unigram == pytest.approx(ngrams.mean_loss(parts.validation, 0))
    assert found.order_5 == pytest.approx(ngrams.mean_loss(parts.validation))
    assert found.order_5 < found.unigram < found.uniform
    assert not found.unlike
    backwards = read("\n".join(names(2500)[:1200])[::-1], vocabulary=vocab).items
    assert yardstick_of(parts.training, backwards, vocab).unlike


def test_a_list_with_many_repetitions_is_no_other_kind_of_text() -> None:
    lines = names(220) * 20
    corpus = read("\n".join(random.Random(2).sample(lines, len(lines))))
    parts = corpus.parts(0.1, 0)
    found = yardstick_of(parts.training, parts.validation, corpus.vocabulary)
    assert found.held_out is not None
    assert not found.unlike  # though nothing of it is known, and all of the training text is seen many times


def test_sorted_and_shuffled_lists_are_split_and_learnt_alike(tmp_path: Path) -> None:
    made = names(900)
    held, losses = [], []
    for name, lines in (("sorted", sorted(made)), ("shuffled", random.Random(1).sample(made, len(made)))):
        (tmp_path / name).write_text("\n".join(lines))
        seen = Recorder()
        result = run(
            tmp_path / name, tmp_path / f"{name}-run", items="line", hidden=16, layers=1, batch_size=16,
            seq_length=16, max_steps=150, dropout=0.0, eval_every=50, observers=[seen],
        )  # fmt: skip
        losses.append(result.val_loss_nats)
        parts, _ = splits_of(load_model(result.model))
        vocab = load_model(result.model).vocab
        validation = parts["validation"]
        held.append({vocab.decode(validation.text(n)) for n in range(len(validation))})
        assert not any("unlike" in note for note in seen.notes)
        assert result.verdict.kind != "unlike validation"
    assert held[0] == held[1]
    assert 60 < len(held[0]) < 120
    assert losses[0] == pytest.approx(losses[1], abs=0.03)
