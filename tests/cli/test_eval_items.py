"""charrnn eval on a model of items."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import Outcome, charrnn
from helpers.small_runs import SETTINGS, run

from charrnn.model.model import Model, load_model
from charrnn.score.evaluation import form_of, item_losses, splits_of
from charrnn.text.corpus import read_corpus
from charrnn.text.items import Items
from charrnn.text.records import ItemForm
from charrnn.training.session import train

TINY = {"layers": 1, "hidden": 5, "max_steps": 4, "eval_every": 2}


def write_table(path: Path) -> Path:
    """Names of two regions, with a column that is not read."""
    rng = random.Random(2)
    rows = ["name,region,note"]
    for n in range(80):
        region = rng.choice(["North", "South"])
        rows.append(
            f"{''.join(rng.choices('abc' if region == 'North' else 'cde', k=rng.randint(1, 9)))},{region},{n}"
        )
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of labelled names."""
    folder = tmp_path_factory.mktemp("items")
    table = write_table(folder / "names.csv")
    run(table, folder / "run", text_column="name", label_column="region", test_fraction=0.1, **TINY)
    return folder / "run"


def on(model: Path, *args: object, stdin: bytes = b"") -> Outcome:
    found = charrnn("eval", *args, "--model", model, stdin=stdin)
    assert found.code == 0, found.err
    return found


def items_of(model: Model, file: Path) -> Items:
    form = ItemForm("csv", "name", ("region",))
    return read_corpus(file, items=form, vocabulary=model.vocab).items


def test_a_file_is_read_as_the_training_text_was(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model / "model.safetensors")
    (tmp_path / "new.csv").write_text("region,name\nSouth,dee\nNorth,ab\nSouth,c\n")
    losses = item_losses([loaded], items_of(loaded, tmp_path / "new.csv"))
    found = json.loads(on(model, tmp_path / "new.csv", "--json").out)
    assert found.keys() == {
        "chars", "loss_nats", "bits_per_char", "perplexity", "baselines", "items", "per_label", "fitted_temperature",
    }  # fmt: skip
    assert found["fitted_temperature"]["temperature"] == loaded.training["temperature"]
    assert found["chars"] == 9
    assert found["loss_nats"] == pytest.approx(losses.sum() / 9)
    assert found["items"] == {"count": 3, "loss_nats": pytest.approx(losses.mean())}
    assert found["per_label"]["region"]["South"]["item_loss_nats"] == pytest.approx(losses[[0, 2]].mean())
    assert list(found["baselines"]) == ["uniform", "unigram", "order-5"]
    # another kind of table, by its suffix or by name
    lines = '{"name": "dee", "region": "South"}\n{"name": "ab", "region": "North"}\n{"name": "c", "region": "South"}\n'
    (tmp_path / "new.jsonl").write_text(lines)
    assert json.loads(on(model, tmp_path / "new.jsonl", "--json").out) == found
    assert json.loads(on(model, "-", "--items", "jsonl", "--json", stdin=lines.encode()).out) == found
    (tmp_path / "other.tsv").write_text("where\tname\nSouth\tdee\nNorth\tab\nSouth\tc\n")
    assert charrnn("eval", tmp_path / "other.tsv", "--model", model).code == 3
    # the name of a column may be another, but the model's labels have theirs
    refused = charrnn("eval", tmp_path / "other.tsv", "--label-column", "where", "--model", model)
    assert refused.code == 3
    assert "labels (region)" in refused.err
    words = on(model, tmp_path / "new.csv").out
    assert "3 items, 9 characters with the end of each" in words
    assert f"{losses[[0, 2]].mean():.4f}" in words


def test_the_parts_of_the_training_items(model: Path) -> None:
    parts, _ = splits_of(load_model(model / "model.safetensors"))
    sizes = {"train": 0, "validation": 0, "test": 0}
    for part in sizes:
        found = json.loads(on(model, "--split", part, "--json").out)
        sizes[part] = found["items"]["count"]
        assert sizes[part] == len(parts[part])
    assert sum(sizes.values()) == 80
    assert min(sizes.values()) > 0


def test_each_item_in_the_order_of_the_file(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model / "model.safetensors")
    file = tmp_path / "new.csv"
    file.write_text("name,region\ndee,South\nab,North\nc,South\nabacab,North\n")
    losses = item_losses([loaded], items_of(loaded, file))
    lines = [json.loads(line) for line in on(model, file, "--per-line", "--order", "file").out.splitlines()]
    assert [line["item"] for line in lines] == [1, 2, 3, 4]
    assert [line["text"] for line in lines] == ["dee", "ab", "c", "abacab"]
    assert [line["label"] for line in lines] == [{"region": r} for r in ("South", "North", "South", "North")]
    assert [line["chars"] for line in lines] == [4, 3, 2, 7]
    np.testing.assert_allclose([-line["log_probability_nats"] for line in lines], losses)
    ranked = [json.loads(line) for line in on(model, file, "--per-line").out.splitlines()]
    assert [line["rank"] for line in ranked] == [1, 2, 3, 4]
    assert sorted(line["item"] for line in ranked) == [1, 2, 3, 4]


def test_highlighted_items(model: Path, tmp_path: Path) -> None:
    loaded = load_model(model / "model.safetensors")
    file = tmp_path / "new.csv"
    file.write_text("name,region\nde,South\nab,North\n")
    losses = item_losses([loaded], items_of(loaded, file))
    found: list[dict[str, Any]] = [
        json.loads(line) for line in on(model, file, "--highlight", "--json").out.splitlines()
    ]
    assert [(one["item"], one["place"], one["character"]) for one in found] == [
        (1, 0, "d"), (1, 1, "e"), (1, 2, None), (2, 0, "a"), (2, 1, "b"), (2, 2, None),
    ]  # fmt: skip
    assert [one.get("symbol") for one in found] == [None, None, "end"] * 2
    np.testing.assert_allclose(
        [sum(one["nats"] for one in found[:3]), sum(one["nats"] for one in found[3:])], losses, rtol=1e-5
    )
    assert all(sum(guess["probability"] for guess in one["guesses"]) <= 1 + 1e-6 for one in found)
    painted = on(model, file, "--highlight", "--worst", "2").out.splitlines()
    assert f"{losses.sum() / 6:.4f} nats per character" in painted[0]
    shown = [line.strip() for line in painted[2:-2] if any(c.isalpha() for c in line)]
    assert [line.rstrip("↵$") for line in shown] == ["de", "ab"]
    worst = sorted(found, key=lambda one: -one["nats"])[:2]
    for line, one in zip(painted[-2:], worst, strict=True):
        assert f"[{one['character'] or 'end'}]" in line
        guess = one["guesses"][0]
        assert f"expected {guess['character'] or 'end'} {guess['probability']:.0%}" in line


def test_a_list_is_no_table(model: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("ab\nc\n")
    refused = charrnn("eval", tmp_path / "new.txt", "--model", model)
    assert refused.code == 3
    assert (
        "the model was trained on items with labels (region), and these are items without labels"
        in refused.err
    )
    (tmp_path / "rows.txt").write_text("name,region\nab,North\n")
    refused = charrnn("eval", tmp_path / "new.txt", "--items", "csv", "--model", model)
    assert (
        "line 1: no column 'name'; its columns: ab (--text-column NAME says which); it is read as csv: is it a table?"
        in refused.err
    )
    read = on(model, tmp_path / "rows.txt", "--items", "csv", "--json")
    assert json.loads(read.out)["chars"] == 3
    loaded = load_model(model / "model.safetensors")
    for given in ({"text_column": "title"}, {"items": "csv"}):
        assert form_of(loaded, ["rows.txt"], **given)["items"].kind == "csv"
    assert form_of(loaded, ["-"])["items"] == ItemForm("csv", "name", ("region",))


def test_options_of_items_need_a_model_of_items(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abc\nbca\n" * 40)
    run(text, tmp_path / "stream", **TINY)
    refused = charrnn("eval", text, "--items", "line", "--model", tmp_path / "stream")
    assert refused.code == 2
    assert "--items is for a model of items, and this one was trained on a stream" in refused.err
    refused = charrnn("eval", text, "--items", "line", "--model", model)
    assert refused.code == 3
    assert "trained on items with labels (region), and these are items without labels" in refused.err
    assert "cannot be combined with --split" in charrnn(
        "eval", "--split", "test", "--items", "line", "--model", model
    ).err  # fmt: skip


def test_pairs_are_scored_on_their_outputs_alone(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    rng = random.Random(3)
    file.write_text("".join(f"{n}\t{''.join(rng.choices('abc', k=n % 5 + 1))}\n" for n in range(60)))
    run(file, tmp_path / "run", items="pairs", **TINY)
    loaded = load_model(tmp_path / "run/model.safetensors")
    assert form_of(loaded)["items"] == ItemForm("pairs")
    (tmp_path / "new.txt").write_text("12\tab\n3\tc\n")
    found = json.loads(on(tmp_path / "run", tmp_path / "new.txt", "--json").out)
    assert found["chars"] == 5
    lines = on(tmp_path / "run", tmp_path / "new.txt", "--per-line", "--order", "file").out.splitlines()
    assert [(json.loads(line)["input"], json.loads(line)["text"]) for line in lines] == [
        ("12", "ab"),
        ("3", "c"),
    ]
    assert sum(json.loads(line)["log_probability_nats"] for line in lines) == pytest.approx(
        -5 * found["loss_nats"]
    )


def test_a_model_of_texts_in_memory_reads_a_list_by_lines_and_a_table_by_its_columns(tmp_path: Path) -> None:
    texts = ["".join(random.Random(n).choices("abc", k=n % 7 + 1)) for n in range(60)]
    settings = SETTINGS | TINY
    train(texts=texts, out=tmp_path / "plain", **settings)
    (tmp_path / "new.txt").write_text("ab\nc\n")
    (tmp_path / "new.csv").write_text("other,text,label\n1,ab,p\n2,c,q\n")
    by_line = json.loads(on(tmp_path / "plain", tmp_path / "new.txt", "--json").out)
    assert by_line["chars"] == 5
    assert json.loads(on(tmp_path / "plain", tmp_path / "new.csv", "--json").out) == by_line
    assert json.loads(on(tmp_path / "plain", "-", "--json", stdin=b"ab\nc\n").out) == by_line
    train(texts=texts, labels=["p", "q"] * 30, out=tmp_path / "labelled", **settings)
    found = json.loads(on(tmp_path / "labelled", tmp_path / "new.csv", "--json").out)
    assert {value: one["chars"] for value, one in found["per_label"]["label"].items()} == {"p": 3, "q": 2}
    refused = charrnn("eval", tmp_path / "new.txt", "--model", tmp_path / "labelled")
    assert (refused.code, "items with labels (label), and these are items without labels" in refused.err) == (
        3,
        True,
    )
