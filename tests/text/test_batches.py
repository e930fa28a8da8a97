"""Splits and streams, against ids looked up one at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import DataError
from charrnn.text.batches import Streams, fit_batch_size, split


@given(st.integers(0, 200), st.floats(0, 0.99), st.floats(0, 0.99))
def test_splits_are_contiguous_and_cover_the_text(n, val_fraction, test_fraction):
    if val_fraction + test_fraction >= 1:
        test_fraction = (1 - val_fraction) / 2
    ids = np.arange(n)
    parts = split(ids, val_fraction, test_fraction)
    assert np.concatenate(parts).tolist() == ids.tolist()
    assert abs(len(parts[1]) - n * val_fraction) <= 1
    assert abs(len(parts[2]) - n * test_fraction) <= 1
    assert all(part.base is ids for part in parts)


def test_the_split_of_tinyshakespeare_is_the_usual_one():
    train, validation, test = split(np.zeros(1_115_394, np.uint8), 0.1, 0.0)
    assert (len(train), len(validation), len(test)) == (1_003_854, 111_540, 0)


def test_small_streams_by_hand():
    streams = Streams(np.arange(100, 114, dtype=np.uint8), batch_size=2, seq_length=3)
    assert streams.chunks == 2  # S = 13 // 2 = 6
    x, y = streams.chunk(0)
    assert x.tolist() == [[100, 106], [101, 107], [102, 108]]
    assert y.tolist() == [[101, 107], [102, 108], [103, 109]]
    x, y = streams.chunk(1)
    assert x.tolist() == [[103, 109], [104, 110], [105, 111]]
    assert y.tolist() == [[104, 110], [105, 111], [106, 112]]


@given(
    st.integers(2, 300),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([np.uint8, np.uint16, np.uint32]),
)
def test_streams_by_their_equation(n, B, T, dtype):
    ids = (np.arange(n) * 7 % 251).astype(dtype)
    B = fit_batch_size(ids, B, T)
    if n < T + 1:
        with pytest.raises(DataError):
            Streams(ids, B, T)
        return
    streams = Streams(ids, B, T)
    S = (n - 1) // B
    assert streams.chunks == S // T >= 1
    for k in range(streams.chunks):
        x, y = streams.chunk(k)
        assert x.shape == y.shape == (T, B)
        assert x.dtype == y.dtype == np.intp
        assert x.flags.c_contiguous
        assert y.flags.c_contiguous
        for t in range(T):
            for b in range(B):
                assert x[t, b] == ids[b * S + k * T + t]
                assert y[t, b] == ids[b * S + k * T + t + 1]


def test_one_stream_reads_all_but_the_last_incomplete_chunk():
    x = np.concatenate([Streams(np.arange(12), 1, 5).chunk(k)[0] for k in range(2)])
    assert x[:, 0].tolist() == list(range(10))
    assert Streams(np.arange(11), 1, 5).chunks == 2  # the target of the last character is the last id
    assert Streams(np.arange(10), 1, 5).chunks == 1


def test_ids_that_are_not_contiguous():
    x, y = Streams(np.arange(40)[::2], 2, 4).chunk(0)
    assert x.T.tolist() == [[0, 2, 4, 6], [18, 20, 22, 24]]
    assert y.T.tolist() == [[2, 4, 6, 8], [20, 22, 24, 26]]


def test_chunks_outlive_the_next_call():
    streams = Streams(np.arange(9), 1, 4)
    first, _ = streams.chunk(0)
    streams.chunk(1)
    assert first[:, 0].tolist() == [0, 1, 2, 3]


def test_epoch_after_epoch_reads_the_same_chunks():
    streams = Streams(np.arange(9), 1, 4)
    for step in range(6):
        np.testing.assert_array_equal(streams.chunk(step), streams.chunk(step % 2))
    assert [streams.begins(step) for step in range(5)] == [True, False, True, False, True]


@pytest.mark.parametrize(("n", "B", "T"), [(0, 1, 1), (1, 1, 1), (25, 1, 25), (400, 16, 25), (401, 17, 25)])
def test_a_text_shorter_than_a_chunk(n, B, T):
    with pytest.raises(
        DataError, match=rf"too short: {n} symbols, but {B} streams? .* at least {B * T + 1}\."
    ):
        Streams(np.zeros(n, np.uint8), B, T)


@pytest.mark.parametrize(
    ("n", "B", "T", "fitting"),
    [(401, 16, 25, 16), (400, 16, 25, 15), (26, 16, 25, 1), (3, 16, 25, 1), (0, 4, 1, 1)],
)
def test_the_batch_size_that_fits(n, B, T, fitting):
    assert fit_batch_size(np.zeros(n, np.uint8), B, T) == fitting


def test_memory_mapped_ids_are_served_the_same_and_their_pages_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.text.batches._FORGET_EVERY", 64)
    ids = np.random.default_rng(0).integers(0, 200, 5000).astype(np.uint8)
    ids.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", np.uint8, mode="r")
    for part in (slice(None), slice(3, -5)):
        here, there = Streams(ids[part], 3, 8), Streams(mapped[part], 3, 8)
        assert there._forget_every == 2
        for k in range(here.chunks):
            np.testing.assert_array_equal(here.chunk(k), there.chunk(k))
