"""Texts shown as they are drawn."""

from collections.abc import Callable
from typing import Any

from charrnn.sampling import Sampler


def draw(sampler: Sampler, write: Callable[[str], None]) -> list[dict[str, Any]]:
    """Draw the texts; the first is written as it comes, the others, drawn beside it, after it."""
    texts = [""] * len(sampler.seeds)
    headers = [
        f"--- seed {seed}, temperature {temperature:g}\n" if len(texts) > 1 else ""
        for seed, temperature in zip(sampler.seeds, sampler.temperatures, strict=True)
    ]
    write(headers[0])
    for k, piece in sampler:
        texts[k] += piece
        if k == 0:
            write(piece)
    for header, text in zip(headers[1:], texts[1:], strict=True):
        write(f"\n{header}{text}")
    if len(texts) > 1:
        write("\n")
    return [
        {"text": text, "seed": seed, "temperature": temperature}
        for text, seed, temperature in zip(texts, sampler.seeds, sampler.temperatures, strict=True)
    ]
