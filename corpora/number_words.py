"""Write number-words.tsv: numbers in digits, a tab, and the same numbers in English words.

    python corpora/number_words.py

All numbers up to 99 and 2,900 others below 100,000: 700 of three digits, 1,100 of four and 1,100 of five. The order is
random, and the file is the same each time.
"""

import random
from pathlib import Path

SEED = 5
FILE = Path(__file__).with_name("number-words.tsv")

BELOW_TWENTY = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen
"""
TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety"


def in_words(number: int) -> str:
    """A number below a million, such as four thousand and seven."""
    if number < 20:
        return BELOW_TWENTY.split()[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return TENS.split()[tens - 1] + (f"-{in_words(ones)}" if ones else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, size)
    joined = " and " if rest < 100 else " "
    return f"{in_words(many)} {name}" + (joined + in_words(rest) if rest else "")


def numbers() -> list[int]:
    """The numbers of the file, in its order; every number is there once."""
    rng = random.Random(SEED)
    chosen = [*range(100), *rng.sample(range(100, 1000), 700)]
    chosen += rng.sample(range(1000, 10_000), 1100) + rng.sample(range(10_000, 100_000), 1100)
    rng.shuffle(chosen)
    return chosen


def main() -> None:
    lines = (f"{number}\t{in_words(number)}\n" for number in numbers())
    FILE.write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
