"""Labels by Bayes' rule, against the rule written out for one text after the other."""

import csv
import io
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import charrnn
from helpers.random_models import random_model
from helpers.small_runs import run
from typer.testing import CliRunner, Result

from charrnn.cli.app import app
from charrnn.errors import DataError, UsageError
from charrnn.model.model import Model, load_model
from charrnn.nn.loss import NEVER, log_softmax
from charrnn.score.classify import Agreement, Classifier, NGramBayes, classify, report
from charrnn.score.evaluation import splits_of
from charrnn.score.simple_models import NGrams
from charrnn.text.corpus import read_corpus
from charrnn.text.item_corpus import read_records
from charrnn.text.records import ItemForm, Record
from charrnn.text.sources import in_memory
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

REGION = ("region", ("e", "n", "s"))
AGE = ("age", ("new", "old"))
COUNTS = {"region": {"e": 1, "n": 5, "s": 2}, "age": {"new": 1, "old": 3}}
TEXTS = ["ab", "a", "bbbab", "", "ba" * 40, "ab"]


def model_of(*labels: Any, pairs: bool = False, seed: int = 1, counts: Any = COUNTS) -> Model:
    vocab = Vocabulary("char", ("a", "b"), ItemSymbols(pairs, labels))
    training = {"corpus": {"label_counts": counts}}
    model = random_model(vocab, training, scale=1.0, seed=seed, hidden=5, layers=1)
    model.network.params["head.bias"][vocab.unwritten] = NEVER
    return model


def log_p(model: Model, condition: list[int], text: str) -> float:
    ids = np.array([*condition, *model.vocab.encode(text).tolist(), model.vocab.end])
    rows = log_softmax(model.logits(ids[:-1, None])[0][:, 0])
    each = rows[np.arange(len(ids) - 1), ids[1:]]
    return float(each[len(condition) - 1 :].sum())


def normal(joint: dict[str, float]) -> dict[str, float]:
    return {label: p / sum(joint.values()) for label, p in joint.items()}


def test_bayes_rule() -> None:
    model = model_of(REGION)
    for prior, shares in (("training", [1 / 8, 5 / 8, 2 / 8]), ("uniform", [1, 1, 1])):
        for text, found in zip(TEXTS, classify(model, TEXTS, prior=prior), strict=True):
            joint = {
                label: np.exp(log_p(model, [model.vocab.label("region", label)], text)) * share
                for label, share in zip("ens", shares, strict=True)
            }
            assert found.probabilities == pytest.approx(normal(joint), rel=1e-6)
            assert found.label == max(joint, key=joint.__getitem__)


def test_one_of_several_columns_is_told_with_the_sum_over_the_others() -> None:
    model = model_of(AGE, REGION)
    for column, other in (("age", "region"), ("region", "age")):
        for text, found in zip(TEXTS, classify(model, TEXTS, column=column), strict=True):
            joint = dict.fromkeys(dict(model.vocab.labels)[column], 0.0)
            for age in AGE[1]:
                for region in REGION[1]:
                    labels = {"age": age, "region": region}
                    condition = [model.vocab.label("age", age), model.vocab.label("region", region)]
                    share = COUNTS["age"][age] * COUNTS["region"][region]
                    joint[labels[column]] += np.exp(log_p(model, condition, text)) * share
            assert found.probabilities == pytest.approx(normal(joint), rel=1e-6), other
    with pytest.raises(UsageError, match="several columns of labels: choose one of age, region"):
        classify(model, TEXTS)


def test_the_input_of_a_pair_is_read_after_the_label() -> None:
    model = model_of(REGION, pairs=True)
    inputs = ["b", "", "ab", "a", "aa", "bb"]
    for text, input, found in zip(TEXTS, inputs, classify(model, TEXTS, inputs=inputs), strict=True):
        joint = {}
        for label, count in COUNTS["region"].items():
            condition = [
                model.vocab.label("region", label),
                *model.vocab.encode(input).tolist(),
                model.vocab.boundary,
            ]
            joint[label] = np.exp(log_p(model, condition, text)) * count
        assert found.probabilities == pytest.approx(normal(joint), rel=1e-6)


def test_how_many_texts_are_read_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [model_of(REGION), model_of(REGION, seed=2)]
    whole = classify(models, TEXTS)
    assert whole != classify(models[0], TEXTS)
    monkeypatch.setattr("charrnn.score.classify.SYMBOLS_AT_ONCE", 30)
    for one, other in zip(classify(models, TEXTS), whole, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-9)


def test_what_cannot_be_told() -> None:
    stream = random_model("ab")
    with pytest.raises(UsageError, match=r"trained without labels.*charrnn probe"):
        classify(stream, TEXTS)
    model = model_of(REGION)
    with pytest.raises(UsageError, match="no column of labels 'age'; it has region"):
        classify(model, TEXTS, column="age")
    with pytest.raises(DataError, match=r"'axb': the text has chars.*'x'"):
        classify(model, ["ab", "axb"])
    assert classify(model, ["axb"], unknown="skip") == classify(model, ["ab"])
    for forged in ({"region": {"e": 1, "n": 2}}, {"region": {"e": 1, "n": 2, "s": -1}}, [], None):
        with pytest.raises(DataError, match="how often each label occurs; give --prior uniform"):
            classify(model_of(REGION, counts=forged), TEXTS)
        assert len(classify(model_of(REGION, counts=forged), TEXTS, prior="uniform")) == len(TEXTS)


def test_the_baseline_is_an_ngram_model_for_each_label() -> None:
    training = "t,l\nabab,e\nabba,n\nbb,n\nbbab,n\naa,s\naaab,s\n"
    corpus = read_corpus(in_memory(training), items=ItemForm("csv", "t", ("l",)))
    counts = {"l": {"e": 1, "n": 3, "s": 2}}
    model = random_model(corpus.vocabulary, {"corpus": {"label_counts": counts}})
    bayes = Classifier([model])
    texts = bayes.encoded([Record(text) for text in TEXTS])
    found = NGramBayes(corpus.items, bayes).probabilities(texts)
    lines = {"e": ["abab"], "n": ["abba", "bb", "bbab"], "s": ["aa", "aaab"]}
    plain = Vocabulary("char", ("a", "b"), ItemSymbols())
    for text, row in zip(TEXTS, found, strict=True):
        if not text:  # no text is read as an empty item
            continue
        joint = {}
        for label, known in lines.items():
            items = read_corpus(in_memory("\n".join(known)), items=ItemForm("line"), vocabulary=plain).items
            ngrams = NGrams(items, 3)
            one = read_corpus(in_memory(text), items=ItemForm("line"), vocabulary=plain).items
            joint[label] = float(np.exp(-ngrams.item_losses(one)[0])) * len(known) / 6
        assert dict(zip("ens", row.tolist(), strict=True)) == pytest.approx(normal(joint), rel=1e-9)


def test_accuracy_macro_f1_and_confusion() -> None:
    right = ["n"] * 6 + ["s"] * 3 + ["x"]
    told = ["n"] * 5 + ["s"] + ["s", "n", "e"] + ["n"]
    found = Agreement.of(told, right)
    assert found.accuracy == 0.6
    f1 = [2 * 5 / (6 + 7), 2 * 1 / (3 + 2), 0]  # of x, which is never told
    assert found.macro_f1 == pytest.approx(sum(f1) / 3)
    made = report(Classifier([model_of(REGION)]), told, right, None).to_json()
    assert made["labels"] == {"n": 6, "s": 3, "x": 1}
    assert made["confusion"] == {"n": {"n": 5, "s": 1}, "s": {"e": 1, "n": 1, "s": 1}, "x": {"n": 1}}
    assert made["baselines"] == {
        "majority": {"accuracy": 0.6, "macro_f1": pytest.approx(2 * 6 / (6 + 10) / 3), "label": "n"}
    }


# ------------------------------------------------------------------------------------------------
# The command


def command(folder: Path, model: Model, *args: str) -> Result:
    model.save(folder / "m.safetensors")
    return CliRunner().invoke(app, ["classify", *args, "--model", str(folder / "m.safetensors")])


def test_the_right_labels_say_which_are_told(tmp_path: Path) -> None:
    model, file = model_of(AGE, REGION), tmp_path / "new.csv"
    file.write_text("name,region,age,other\n" + "".join(f"{text},n,old,n\n" for text in TEXTS if text))
    settings = {"items": "", "text_column": "name", "label_column": "age,region"}
    model.training["settings"] = settings
    asked = [str(file), "--summary", "--json", "--label-column"]
    for column in ("age", "region"):
        alone = command(tmp_path, model, *asked, column)
        assert json.loads(alone.stdout)["labels"] == {"old" if column == "age" else "n": 5}
        assert alone.stdout == command(tmp_path, model, *asked, column, "--column", column).stdout
    refused = command(tmp_path, model, *asked, "other").exception
    assert isinstance(refused, UsageError)
    assert "choose one of age, region (--column NAME)" in str(refused)
    assert command(tmp_path, model, *asked, "other", "--column", "region").exit_code == 0
    refused = command(tmp_path, model, *asked, "age,region", "--column", "region").exception
    assert str(refused) == "--label-column is 'age,region'; one column is told at a time, so name one"


def test_an_unknown_character_has_a_place(tmp_path: Path) -> None:
    model = model_of(REGION)
    (tmp_path / "one.txt").write_text("ab\n")
    (tmp_path / "odd.txt").write_text("ab\n\naxb\n")
    files = [str(tmp_path / "one.txt"), str(tmp_path / "odd.txt")]
    found = command(tmp_path, model, *files)
    assert found.stdout == ""
    message = str(found.exception)
    assert message.startswith(
        f"{tmp_path}/odd.txt, line 3: the text has chars that the model does not know: 'x'"
    )
    assert message.endswith("(--unknown skip leaves them out, --unknown nearest replaces them)")
    assert len(command(tmp_path, model, *files, "--unknown", "skip").stdout.splitlines()) == 5


LETTERS = {"North": "abc", "South": "cde", "West": "efa"}


def table(rng: random.Random, count: int) -> list[tuple[str, str]]:
    made = []
    for _ in range(count):
        region = rng.choice(list(LETTERS))
        made.append(("".join(rng.choices(LETTERS[region], k=rng.randint(3, 7))), region))
    return made


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{a},{b}\n" for a, b in [("name", "region"), *rows]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    run(
        write(folder / "names.csv", table(random.Random(1), 300)), folder / "run", text_column="name",
        label_column="region", layers=1, hidden=12, batch_size=16, seq_length=10, max_steps=150, dropout=0.0,
    )  # fmt: skip
    return folder / "run"


def test_texts_in_the_order_of_the_file(trained: Path, tmp_path: Path) -> None:
    new = table(random.Random(2), 40)
    (tmp_path / "new.txt").write_text("".join(f"{name}\n" for name, _ in new))
    model = load_model(trained / "model.safetensors")
    expected = classify(model, [name for name, _ in new])
    outcome = charrnn("classify", tmp_path / "new.txt", "--model", trained)
    assert (outcome.code, outcome.err) == (0, "")
    rows = list(csv.reader(io.StringIO(outcome.out)))
    assert rows[0] == ["text", "label", "p(North)", "p(South)", "p(West)"]
    assert [row[0] for row in rows[1:]] == [name for name, _ in new]
    assert [row[1] for row in rows[1:]] == [one.label for one in expected]
    p = [[float(cell) for cell in row[2:]] for row in rows[1:]]
    np.testing.assert_allclose(p, [list(one.probabilities.values()) for one in expected], atol=1e-6)
    lines = charrnn("classify", "-", "--model", trained, "--json", stdin=b"abc\nef\n").out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["abc", "ef"]
    assert [json.loads(line)["label"] for line in lines] == ["North", "West"]


def test_labelled_texts_are_measured(trained: Path, tmp_path: Path) -> None:
    new = table(random.Random(3), 90)
    right = [region for _, region in new]
    file = write(tmp_path / "new.csv", new)
    told = [
        one.label for one in classify(load_model(trained / "model.safetensors"), [name for name, _ in new])
    ]
    outcome = charrnn("classify", file, "--label-column", "region", "--model", trained)
    assert [row[1] for row in csv.reader(io.StringIO(outcome.out))][1:] == told
    found = json.loads(
        charrnn("classify", file, "--label-column", "region", "--model", trained, "--summary", "--json").out
    )
    hits = sum(a == b for a, b in zip(told, right, strict=True)) / 90
    assert found["accuracy"] == pytest.approx(hits)
    assert found["accuracy"] > 0.8  # the letters tell
    assert found["labels"] == dict(sorted(Counter(right).items()))
    assert sum(found["confusion"][label].get(label, 0) for label in found["labels"]) == round(90 * hits)
    assert found["baselines"].keys() == {"majority", "ngrams"}
    assert found["baselines"]["ngrams"]["accuracy"] > 0.8
    parts, _ = splits_of(load_model(trained / "model.safetensors"))
    assert len(parts["train"]) > 200
    card = load_model(trained / "model.safetensors").training["corpus"]["label_counts"]["region"]
    majority = max(card, key=card.__getitem__)
    assert found["baselines"]["majority"]["label"] == majority
    assert found["baselines"]["majority"]["accuracy"] == pytest.approx(Counter(right)[majority] / 90)
    words = charrnn("classify", file, "--label-column", "region", "--model", trained, "--summary").out
    assert words in outcome.err + "\n"
    assert f"{hits:.1%}" in words
    model = load_model(trained / "model.safetensors")
    known = {model.vocab.decode(parts["train"].text(n)) for n in range(len(parts["train"]))}
    some = [*new, *table(random.Random(1), 20)]
    both = sum(name in known for name, _ in some)
    assert 0 < both < len(some)
    write(file, some)
    told = charrnn("classify", file, "--label-column", "region", "--model", trained, "--summary")
    assert told.err == f"{both} of the {len(some)} texts are in the training text: measure on others\n"
    write(file, [row for row in new if row[0] not in known])
    assert charrnn("classify", file, "--label-column", "region", "--model", trained, "--summary").err == ""
    missing = charrnn("classify", file, "--label-column", "country", "--model", trained)
    assert missing.code == 3
    assert (
        "line 1: no column 'country'; its columns: name, region (--label-column NAME says which)"
        in missing.err
    )
    assert charrnn("classify", file, "--summary", "--model", trained).code == 2


def test_bytes_are_classified_as_they_are(tmp_path: Path) -> None:
    rows = [(name.replace("a", "é"), region) for name, region in table(random.Random(1), 60)]
    run(
        write(tmp_path / "names.csv", rows), tmp_path / "run", text_column="name", label_column="region",
        level="byte", layers=1, hidden=6, max_steps=3,
    )  # fmt: skip
    (tmp_path / "new.txt").write_bytes("béb\n".encode() + b"b\xffb\n")
    outcome = charrnn("classify", tmp_path / "new.txt", "--model", tmp_path / "run", "--json")
    assert outcome.code == 0, outcome.err
    found = [json.loads(line) for line in outcome.out.splitlines()]
    assert [one["text"] for one in found] == ["béb", "b\udcffb"]  # the byte can be told from all others
    model = load_model(tmp_path / "run/model.safetensors")
    counts = model.training["corpus"]["label_counts"]["region"]
    for one, text in zip(found, ("béb".encode(), b"b\xffb"), strict=True):
        joint = {
            label: np.exp(model.score(text, label=label).log_probability_nats) * n
            for label, n in counts.items()
        }
        assert one["probabilities"] == pytest.approx(normal(joint), rel=1e-5)


def test_labels_of_bytes_are_not_decoded_twice(tmp_path: Path) -> None:
    """They are text at byte level too."""
    file = tmp_path / "t.csv"
    file.write_text("name,l\né,Île\nab,中\n", encoding="utf-8")
    form = ItemForm("csv", "name", ("l",))
    assert [(r.text, r.labels) for _, r in read_records([str(file)], form, "byte", "utf-8", "keep")] == [
        ("é", ("Île",)),
        ("ab", ("中",)),
    ]
