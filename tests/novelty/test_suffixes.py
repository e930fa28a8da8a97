"""The suffix array against sorting and searching by hand."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.novelty import suffixes
from charrnn.novelty.suffixes import SuffixIndex, indexed, sort_suffixes

IDS = st.builds(
    lambda symbols, dtype: np.array(symbols, dtype),
    st.integers(1, 4).flatmap(lambda V: st.lists(st.integers(0, V - 1), max_size=60)),
    st.sampled_from([np.uint8, np.uint16, np.uint32]),
)


@pytest.fixture(params=[3, 1 << 20], ids=lambda size: f"blocks of {size}")
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suffixes, "SUFFIXES_AT_ONCE", request.param)


@pytest.mark.usefixtures("block")
def test_suffixes_are_in_order() -> None:
    @settings(max_examples=150, deadline=None)
    @given(IDS)
    def check(ids: np.ndarray) -> None:
        text = ids.tolist()
        assert sort_suffixes(ids).tolist() == sorted(range(len(text)), key=lambda k: text[k:])

    check()


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize("period", [1, 2, 7])
def test_repetitive_texts(period: int) -> None:
    ids = np.tile(np.arange(period, dtype=np.uint8), 500 // period)
    text = ids.tolist()
    assert sort_suffixes(ids).tolist() == sorted(range(len(text)), key=lambda k: text[k:])


def stands_in(text: list[int], wanted: list[int]) -> list[int]:
    return [k for k in range(len(text) - len(wanted) + 1) if text[k : k + len(wanted)] == wanted]


@settings(max_examples=150, deadline=None)
@given(IDS, st.data())
def test_longest_matches_and_their_places(ids: np.ndarray, data: st.DataObject) -> None:
    index, text = SuffixIndex(ids, sort_suffixes(ids)), ids.tolist()
    other = np.array(data.draw(st.lists(st.integers(0, 4), max_size=20)), ids.dtype)
    for start in range(len(other)):
        found = index.longest(index.encode(other), start)
        rest = other[start:].tolist()
        assert found == max(n for n in range(len(rest) + 1) if n == 0 or stands_in(text, rest[:n]))
        if found:
            run = rest[:found]
            assert index.find(index.encode(other[start : start + found])) == (
                len(stands_in(text, run)),
                stands_in(text, run)[0],
            )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_matches_longer_than_the_first_look(dtype: type) -> None:
    ids = np.random.default_rng(1).integers(0, 255, 3000).astype(dtype)
    index = SuffixIndex(ids, sort_suffixes(ids))
    for start, stop in ((100, 100 + suffixes.FIRST_LOOK), (5, 1500), (2000, 3000)):
        text = np.r_[ids[start:stop], np.array([255], dtype)].astype(dtype)
        assert index.longest(index.encode(text), 0) == stop - start
        assert index.longest(index.encode(text), 7) == stop - start - 7
        assert index.find(index.encode(ids[start:stop])) == (1, start)


def test_the_index_is_made_once_and_again_when_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    ids = np.random.default_rng(1).integers(0, 5, 999).astype(np.uint8)
    made: list[int] = []
    sort = suffixes.sort_suffixes
    monkeypatch.setattr(suffixes, "sort_suffixes", lambda ids: made.append(len(ids)) or sort(ids))
    for _ in range(2):
        index = indexed(ids)
        assert index.longest(index.encode(ids[500:600]), 0) == 100
    assert made == [999]
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[123] ^= 1
    file.write_bytes(content)
    index = indexed(ids)
    assert index.longest(index.encode(ids[500:600]), 0) == 100
    file.write_bytes(content[:-1])
    indexed(ids)
    assert made == [999] * 3
    indexed(np.r_[ids[:-1], ids[-1] ^ np.uint8(1)])  # another text has an index of its own
    assert made == [999] * 4
    assert len(list(tmp_path.iterdir())) == 2
