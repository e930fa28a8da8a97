"""Texts that are whole, different from each other and new, drawn until there are enough of them."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from charrnn.sampling.sampler import ROUND, SampledText, Sampler

TRIES_PER_TEXT, TRIES_BESIDE = 20, 1000  # at most so many texts are drawn


@dataclass
class Collection:
    """Texts with seeds from that of a sampler onwards, less those that are not wanted.

    unique : whether a text that came before is left out; known_texts : those that are
    drawn : texts drawn so far; repeated, known, cut : those of them that were left out, and why
    """

    sampler: Sampler
    unique: bool = False
    known_texts: Container[str] | None = None
    drawn: int = 0
    repeated: int = 0
    known: int = 0
    cut: int = 0
    _seen: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[SampledText]:
        """As many texts as the sampler has seeds, or fewer when too many draws are in vain.

        They are the first ones by their seeds, whatever the number drawn at a time.
        """
        wanted = len(self.sampler.seeds)
        left, tries = wanted, TRIES_PER_TEXT * wanted + TRIES_BESIDE
        first, temperature = self.sampler.seeds[0], self.sampler.temperatures[0]
        while left and self.drawn < tries:
            share = max(
                0.05, (wanted - left) / self.drawn if self.drawn else 1
            )  # of the draws that are wanted
            size = min(ROUND, max(1, round(1.1 * left / share)), tries - self.drawn)
            seeds = range(first + self.drawn, first + self.drawn + size)
            for one in self.sampler.of(seeds, [temperature] * size).draw():
                self.drawn += 1
                if self._wanted(one):
                    left -= 1
                    yield one
                    if not left:
                        return

    def _wanted(self, one: SampledText) -> bool:
        whole = self.sampler.whole(one)
        if one.ended == "length":
            self.cut += 1
        elif self.unique and whole in self._seen:
            self.repeated += 1
        elif self.known_texts is not None and whole in self.known_texts:
            self.known += 1
        else:
            if self.unique:
                self._seen.add(whole)
            return True
        return False

    def to_json(self) -> dict[str, Any]:
        """The numbers: what came of the draws."""
        return {name: getattr(self, name) for name in ("drawn", "repeated", "known", "cut")}

    def in_words(self) -> str:
        left_out = (
            f"{self.repeated:,} repeated, {self.known:,} known, {self.cut:,} cut at {self.sampler.length:,}"
        )
        return f"{self.drawn:,} drawn: {left_out} characters"
