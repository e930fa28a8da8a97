"""Streams whose epochs begin at offsets of their own: what is read, by which seed, and that a resume is the same."""

from pathlib import Path

import numpy as np
import pytest
from helpers.small_runs import Recorder, assert_same, run

from charrnn.errors import Interrupted
from charrnn.text.batches import Streams
from charrnn.training.session import train

pytestmark = pytest.mark.usefixtures("short_samples")

T, B = 7, 3


def offsets(streams: Streams, epochs: int) -> list[int]:
    """The first place that each epoch reads: ids are their own places."""
    return [int(streams.chunk(epoch * streams.chunks)[0][0, 0]) for epoch in range(epochs)]


@pytest.mark.parametrize("length", [T, T + 3, 2 * T, 2 * T + 1, 10 * T - 1, 10 * T, 10 * T + 3])
def test_an_epoch_reads_whole_chunks_from_its_offset_on(length: int) -> None:
    ids = np.arange(length * B + 1)
    streams = Streams(ids, B, T, jitter=1)
    assert streams.chunks == max(1, (length - T + 1) // T)
    assert streams.symbols == streams.chunks * T * B
    for epoch, offset in enumerate(offsets(streams, 40)):
        assert 0 <= offset < T
        for k in range(streams.chunks):
            x, y = streams.chunk(epoch * streams.chunks + k)
            expected = np.arange(B) * length + offset + k * T + np.arange(T)[:, None]
            np.testing.assert_array_equal(x, expected)
            np.testing.assert_array_equal(y, expected + 1)


def test_every_offset_comes_and_follows_from_seed_and_epoch_alone() -> None:
    ids = np.arange(20 * T * B + 1)
    found = offsets(Streams(ids, B, T, jitter=1), 100)
    assert set(found) == set(range(T))
    again = Streams(ids, B, T, jitter=1)
    assert [offsets(again, epoch + 1)[epoch] for epoch in (9, 3, 9, 50)] == [found[k] for k in (9, 3, 9, 50)]
    assert offsets(Streams(ids, B, T, jitter=2), 100) != found
    assert (
        offsets(Streams(ids, B, T, slice(0, None, 2), jitter=1), 100) == found
    )  # as another process sees it
    assert set(offsets(Streams(ids, B, T), 100)) == {0}


def test_a_resumed_run_is_the_undisturbed_one(corpus: Path, tmp_path: Path) -> None:
    """44 steps over an epoch's end, stopped after 40; an epoch has the chunks that the budget counts with."""
    settings = {"epochs": 1.5, "jitter": True}
    recorder = Recorder()
    whole = run(corpus, tmp_path / "whole", observers=[recorder], **settings)
    assert recorder.plan is not None
    assert whole.steps == round(1.5 * recorder.plan.streams().chunks)
    with pytest.raises(Interrupted):
        run(corpus, tmp_path / "stopped", observers=[Recorder(interrupt_after=40)], **settings)
    train(out=tmp_path / "stopped", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "stopped")
    plain = run(corpus, tmp_path / "plain", epochs=1.5)
    assert plain.train_loss_nats != whole.train_loss_nats


def test_items_have_no_offsets(tmp_path: Path) -> None:
    """--jitter changes nothing for items, which are mixed anew in each epoch anyway."""
    (tmp_path / "list.txt").write_text("one\ntwo\n" * 20)
    for name, jitter in (("with", True), ("without", False)):
        run(tmp_path / "list.txt", tmp_path / name, items="line", jitter=jitter)
    assert_same(tmp_path / "with", tmp_path / "without")
