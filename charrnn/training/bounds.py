"""Limits of files and memory, checked before the first step of a run rather than at its first checkpoint."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import DataError, UsageError
from charrnn.model.model_file import MAX_FILE_BYTES, MOST_METADATA, metadata_bytes
from charrnn.nn.network import Network
from charrnn.nn.optimizers import OPTIMIZERS
from charrnn.text.corpus import Corpus
from charrnn.text.sources import MEMORY
from charrnn.text.vocabulary import Vocabulary

OTHER_METADATA = 1 << 18  # bytes left for settings, losses, the command line and the changes of resumes


def corpus_card(corpus: Corpus) -> dict[str, Any]:
    """The record of a corpus in a run folder; paths are absolute, since a resume may start elsewhere."""
    card: dict[str, Any] = {
        "name": corpus.name,
        "sources": [s if s in ("-", MEMORY) else str(Path(s).absolute()) for s in corpus.sources],
        "sha256": corpus.sha256,
        "symbols": len(corpus.ids),
    }
    if corpus.joined:
        card["joined"] = True
    if corpus.items is not None:
        card |= {"items": len(corpus.items), "label_counts": corpus.label_counts}
    return card


def check_metadata_size(card: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    """Raise DataError where a model file cannot hold the symbols of a text, or the names of its files."""
    of_text, of_symbols = metadata_bytes(card), metadata_bytes(vocabulary.to_json())
    if of_text + of_symbols <= MOST_METADATA - OTHER_METADATA:
        return
    if of_symbols > of_text:
        raise DataError(
            f"the text has {len(vocabulary):,} different symbols, more than a model file can hold. --min-count 2 "
            "or more makes one symbol of the rare ones; --level byte reads any text with 256"
        )
    raise DataError(
        f"the names of {len(card['sources']):,} files take {of_text:,} bytes, more than a model file can hold. "
        "Put the texts into fewer files, or pipe them in: cat FILES | charrnn train -"
    )


def check_size(
    model: ModelConfig, config: TrainConfig, vocab_size: int, batch_size: int, memory: int | None = None
) -> None:
    """Raise UsageError if a network's checkpoint is too large for a file, or its training for this memory.

    memory : bytes of memory of this machine; None asks the system
    """
    parameters, width = Network.size(model, vocab_size), np.dtype(config.dtype).itemsize
    # In a checkpoint; training has the gradient too.
    kept = 1 + len(OPTIMIZERS[config.optimizer].memory_names) + bool(config.average)
    told = f"{_sizes(model)} and {vocab_size:,} symbols make {parameters:,} parameters"
    smaller = "A smaller --hidden, or fewer --layers, needs less"
    if (size := parameters * width * kept) > MAX_FILE_BYTES:
        raise UsageError(
            f"{told}, whose checkpoint would have {size / 2**30:,.1f} GiB, more than the {MAX_FILE_BYTES / 2**30:g} "
            f"that a file may have. {smaller}"
        )
    memory = _memory() if memory is None else memory
    on_cpu = config.backend != "torch" or config.device == "cpu"
    at_work = batch_size * config.seq_length * (vocab_size + model.layers * model.hidden) * width
    if on_cpu and memory and (size := parameters * width * (kept + 1) + at_work) > memory:
        raise UsageError(
            f"{told}; to train them takes at least {size / 2**30:,.1f} GiB of memory, and this machine has "
            f"{memory / 2**30:,.1f}. {smaller}, and so does a smaller --batch-size"
        )


def _sizes(model: ModelConfig) -> str:
    embedding = f", --embedding {model.embedding}" if model.embedding else ""
    return f"--hidden {model.hidden}, --layers {model.layers}{embedding}"


def _memory() -> int | None:
    """Bytes of memory of this machine, or None if the system does not say."""
    with suppress(AttributeError, OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
