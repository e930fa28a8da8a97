"""Texts shown as they are drawn."""

from collections.abc import Callable, Sequence

from charrnn.sampling.sampler import SampledText, Sampler


def headers(texts: Sequence[SampledText]) -> list[str]:
    """A line above each text, if there are several."""
    if len(texts) == 1:
        return [""]
    return [f"--- seed {one.seed}, temperature {one.temperature:g}\n" for one in texts]


def draw(sampler: Sampler, write: Callable[[str], None]) -> list[SampledText]:
    """Draw the texts; the first is written as it is drawn, the others, drawn at the same time, after it."""
    titles = headers(sampler.unwritten)
    write(titles[0])
    texts = sampler.draw(lambda k, piece: write(piece) if k == 0 else None)
    for title, drawn in zip(titles[1:], texts[1:], strict=True):
        write(f"\n{title}{drawn.text}")
    if len(texts) > 1:
        write("\n")
    return texts
