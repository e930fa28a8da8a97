"""From a text to the cell: a small LSTM learns dialogue, and its quote cell is found."""

from pathlib import Path

import numpy as np
import pytest

import charrnn

ANYONE = ["the", "old", "sea", "lay", "flat", "and", "grey", "that", "day"]
SPEAKER, NARRATOR = ["you", "must", "we", "will", "him", "am"], ["were", "she", "had", "it", "his", "as"]


def dialogue(n: int, seed: int) -> str:
    """Sentences of one to ten words, half of them quoted.

    One word in three or so tells who speaks, so that for the others it has to be remembered.
    """
    rng = np.random.default_rng(seed)
    paragraphs: list[str] = []
    while sum(map(len, paragraphs)) < n:
        sentences = []
        for _ in range(rng.integers(2, 6)):
            is_quoted = rng.random() < 0.5
            words = ANYONE + (SPEAKER if is_quoted else NARRATOR)
            sentence = " ".join(rng.choice(words, rng.integers(1, 11)))
            sentences.append(f'"{sentence}!"' if is_quoted else f"{sentence}.")
        paragraphs.append(" ".join(sentences) + "\n\n")
    return "".join(paragraphs)


@pytest.mark.slow
def test_a_small_lstm_trained_on_dialogue_has_a_quote_cell(tmp_path: Path) -> None:
    (tmp_path / "dialogue.txt").write_text(dialogue(300_000, seed=1))
    result = charrnn.train(
        tmp_path / "dialogue.txt",
        out=tmp_path / "run",
        cell="lstm",
        layers=1,
        hidden=40,
        seq_length=40,
        batch_size=32,
        optimizer="adam",
        lr=0.007,
        schedule="cosine",
        max_steps=2000,
        threads=1,
    )
    found = charrnn.inspect_cells(charrnn.load_model(result.model), dialogue(40_000, seed=2), ["quote"])
    [finding] = found.findings
    assert finding.confirm_score >= 0.9
    assert finding.matched_accuracy >= 0.8
    assert finding.memory_score > finding.table_score + 0.1  # the last three characters do not tell
    assert finding.verdict in ("correlate", "tracker")
