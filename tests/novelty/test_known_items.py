"""Items that are known as a whole, the nearest of the others, and a user's verdicts on them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.novelty import known as module
from charrnn.novelty.check import judge
from charrnn.novelty.known import KnownItems
from charrnn.novelty.nearest import ItemNovelty, TrainingItems
from charrnn.score.edit_distance import distance
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.items import Items
from charrnn.text.records import ItemForm
from charrnn.text.sources import in_memory

NAMES = ["Ann", "Bob", "Anna", "Bo\tb", "é", "Ann", "Zoe"]


def read(names: list[str]) -> tuple[Corpus, Items]:
    corpus = read_corpus(in_memory("\n".join(names)), items=ItemForm("line"))
    assert corpus.items is not None
    return corpus, corpus.items


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_exactly_the_items_are_known() -> None:
    corpus, items = read(NAMES)
    known = KnownItems(corpus.vocabulary, [items[:4], items[4:]])
    assert all(name in known for name in NAMES)
    assert not any(text in known for text in ("", "An", "nn", "Annn", "Bob\t", "Ann\nBob", "ann", "e"))
    many = [f"n{k}" for k in range(2000)]  # the digests of some end with a zero
    corpus_of_many, all_of_them = read(many)
    known_of_many = KnownItems(corpus_of_many.vocabulary, [all_of_them])
    assert all(name in known_of_many for name in many)
    half = KnownItems(corpus.vocabulary, [items[:2]])
    assert [name in half for name in NAMES] == [True, True, False, False, False, True, False]


def test_the_index_is_kept_by_content_and_made_anew_when_damaged(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, items = read(NAMES)
    KnownItems(corpus.vocabulary, [items])
    [file] = cache.glob("*.items")
    assert file.stat().st_size == 16 * len(NAMES) + 32
    with monkeypatch.context() as patched:
        patched.setattr(module, "_sorted", None)  # not called again
        assert "Zoe" in KnownItems(corpus.vocabulary, [items])
    other, others = read([*NAMES[:-1], "Zoa"])
    assert "Zoe" not in KnownItems(other.vocabulary, [others])
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    assert all(name in KnownItems(corpus.vocabulary, [items]) for name in NAMES)
    monkeypatch.setenv("CHARRNN_CACHE", "/dev/null/none")
    assert "Zoe" in KnownItems(corpus.vocabulary, [items])


def test_the_nearest_item(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    names = ["".join(rng.choice(list("abcé"), rng.integers(1, 9))) for _ in range(200)]
    corpus, items = read([*names, "x" * 1001])
    monkeypatch.setattr("charrnn.novelty.nearest.AT_ONCE", 16)
    reference = TrainingItems(corpus.vocabulary, [items])
    for text in ("", "abcabca", "éé", "bbbbbbbbbbbb", "caaaéb", "zzz"):
        found = reference.compare(text)
        if text in names:
            assert found == ItemNovelty(True)
            continue
        assert found.nearest is not None
        nearest, edits = found.nearest
        assert edits == distance(text, nearest) == min(distance(text, name) for name in names)
        assert nearest in names
    assert reference.compare(names[7]) == ItemNovelty(True)
    assert reference.compare("x" * 1001) == ItemNovelty(True)
    assert reference.compare("y" * 1001) == ItemNovelty(False)
    assert reference.compare("abcabcb").to_json()["known"] is False


JUDGE = f"{sys.executable} -c \"import sys; [print(int('a' in line)) for line in sys.stdin]\""


def test_valid_unique_and_novel_shares() -> None:
    texts = ["a", "a", "b", "ab", "ca", "b\na"]
    found = judge(JUDGE, texts, {"ab", "b", "ca"})
    assert found.verdicts == [True, True, False, True, True, True]
    assert found.to_json() == {"valid": 5 / 6, "unique": 4 / 5, "novel": 2 / 4}
    assert found.in_words() == "valid 0.8333, unique 0.8000, novel 0.5000"
    assert judge(JUDGE, ["b"], None).to_json() == {"valid": 0, "unique": None, "novel": None}
    words = judge("printf 'TRUE\\nfalse\\n valid\\ninvalid\\n\\n1\\n'", texts, None).verdicts
    assert words == [True, False, True, False, False, True]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("head -n 1", r"'head -n 1' wrote 1 lines for 2 items \(exit code 0\)"),
        ("exit 3", r"wrote 0 lines for 2 items \(exit code 3\)"),
        ("cat", "line 1: 'x' is no verdict"),
    ],
)
def test_what_is_no_verdict(command: str, message: str) -> None:
    with pytest.raises(CharRNNError, match=message):
        judge(command, ["x", "y"], None)
