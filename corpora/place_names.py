"""Write place-names.csv: names of places that do not exist, in five regions that do not exist either.

    python corpora/place_names.py

Each region has a grammar: a rule in capitals stands for one of its alternatives, every other word for itself, and `_`
for a space. An alternative that is written twice is taken twice as often. The file is the same each time.
"""

import csv
import random
from pathlib import Path

SEED = 20
FILE = Path(__file__).with_name("place-names.csv")

# How many names a region has, and the rules of its sound.
REGIONS: dict[str, tuple[int, dict[str, str]]] = {
    # The mountains: heavy syllables that are shut by consonants, and few vowels.
    "Gravmark": (
        800,
        {
            "NAME": "HEAD TAIL | HEAD TAIL | HEAD MIDDLE TAIL",
            "HEAD": "ONSET VOWEL SHUT",
            "MIDDLE": "VOWEL SHUT",
            "ONSET": "gr | kr | thr | skr | dr | vr | st | br | kn | h | g | d | sv",
            "VOWEL": "a | o | u | u | ei",
            "SHUT": "rg | lk | nd | rv | kk | gg | sk | rn | lm | ng",
            "TAIL": "gard | hulm | skarr | dunk | mork | rust | grimm | voll | hekk | stagg",
        },
    ),
    # The coast: open syllables, vowels side by side, nothing harder than l, m, n, r, s and v.
    "Oliane": (
        650,
        {
            "NAME": "START FLOW END | START FLOW END | START END | VOWEL FLOW END",
            "START": "SOFT VOWEL",
            "FLOW": "SOFT VOWEL | SOFT PAIR",
            "SOFT": "l | m | n | r | s | v | l | m",
            "VOWEL": "a | e | i | o | u",
            "PAIR": "ia | ea | ua | io | eo | ae",
            "END": "lia | nea | rielle | moa | suane | velu | loris | miane | naeli | varia",
        },
    ),
    # The desert: q, kh, z and sh; only a, i and u; many names have a first part of their own.
    "Qezzar": (
        500,
        {
            "NAME": "ROOT CLOSE | ROOT CLOSE | FIRST - ROOT CLOSE | ROOT VOWEL HARD CLOSE",
            "FIRST": "ez | kah | ush | tir | baz",
            "ROOT": "HARD VOWEL HARD",
            "HARD": "q | kh | z | sh | gh | t | b | zz | rr | d",
            "VOWEL": "a | i | u | a",
            "CLOSE": "ath | uq | imaz | ish | azir | uqah | abith | irr",
        },
    ),
    # The islands: a consonant, a vowel, and again; some names say a part twice.
    "Tumoa": (
        350,
        {
            "NAME": "BEAT BEAT BEAT | BEAT BEAT BEAT BEAT | TWICE BEAT BEAT | BEAT TWICE BEAT",
            "BEAT": "CONSONANT VOWEL",
            "CONSONANT": "t | m | k | p | n | w | f | h",
            "VOWEL": "a | o | u | e | i | o",
            "TWICE": "toto | kiki | mumu | wawa | pepe | nono | fafa | huhu",
        },
    ),
    # The farmland: two plain words in one, and sometimes a word before them.
    "Wexley Vale": (
        300,
        {
            "NAME": "THING PLACE | THING PLACE | THING PLACE | SIDE _ THING PLACE",
            "THING": "acorn | bobbin | bodkin | bramble | candle | crumb | dapple | fidget | gander | kettle | "
            "mallow | noodle | parsley | pebble | pickle | quince | ribbon | saddle | teasel | thimble | turnip | "
            "whistle",
            "PLACE": "wick | combe | stow | ditch | beck | hollow | thwaite | mere | croft | ford | leigh | stile",
            "SIDE": "nether | upper | little | much | saint",
        },
    ),
}


# Names that the rules make and that a list of the world's towns has too: they are left out.
REAL = "Lilia Malia Manea Melia Melilia Milia Navaria Novaria Ranea"


def spoken(rules: dict[str, str], symbol: str, rng: random.Random) -> str:
    """One of the texts that a rule stands for."""
    if symbol not in rules:
        return symbol.replace("_", " ")
    chosen = rng.choice([alternative.strip() for alternative in rules[symbol].split("|")])
    return "".join(spoken(rules, part, rng) for part in chosen.split())


def place_names() -> list[tuple[str, str]]:
    """(name, region), sorted; every name is there once."""
    rng = random.Random(SEED)
    found: dict[str, str] = {}
    for region, (count, rules) in REGIONS.items():
        wanted = len(found) + count
        while len(found) < wanted:
            name = " ".join(word.capitalize() for word in spoken(rules, "NAME", rng).split())
            if name not in REAL.split():
                found.setdefault(name, region)
    return sorted(found.items())


def main() -> None:
    with open(FILE, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "region"])
        rows.writerows(place_names())


if __name__ == "__main__":
    main()
