"""Texts shown as they are drawn."""

from collections.abc import Callable
from typing import Any

from charrnn.sampling.sampler import Sampler


def headers(sampler: Sampler) -> list[str]:
    """A line above each text, where there are several."""
    if len(sampler.seeds) == 1:
        return [""]
    return [
        f"--- seed {seed}, temperature {temperature:g}\n"
        for seed, temperature in zip(sampler.seeds, sampler.temperatures, strict=True)
    ]


def draw(sampler: Sampler, write: Callable[[str], None]) -> list[dict[str, Any]]:
    """Draw the texts; the first is written as it comes, the others, drawn beside it, after it."""
    texts = [""] * len(sampler.seeds)
    titles = headers(sampler)
    write(titles[0])
    for k, piece in sampler:
        texts[k] += piece
        if k == 0:
            write(piece)
    for header, text in zip(titles[1:], texts[1:], strict=True):
        write(f"\n{header}{text}")
    if len(texts) > 1:
        write("\n")
    return [
        {"text": text, "seed": seed, "temperature": temperature}
        for text, seed, temperature in zip(texts, sampler.seeds, sampler.temperatures, strict=True)
    ]
