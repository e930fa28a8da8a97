"""The two tables in corpora/: they are what their scripts write, and what the page about them says."""

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from charrnn.text.corpus import read_corpus
from charrnn.text.records import ItemForm

CORPORA = Path(__file__).parents[2] / "corpora"
README = (CORPORA / "README.md").read_text(encoding="utf-8")
LARGEST = 200_000  # bytes
PLACES = ItemForm("csv", "name", ("region",))


def script(name: str) -> ModuleType:
    """A script of corpora/, as a module."""
    spec = importlib.util.spec_from_file_location(name, CORPORA / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["place_names", "number_words"])
def test_a_table_is_what_its_script_writes(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = script(name)
    shipped = made.FILE.read_bytes()
    monkeypatch.setattr(made, "FILE", tmp_path / "made")
    made.main()
    assert (tmp_path / "made").read_bytes() == shipped
    assert len(shipped) < LARGEST


def test_each_place_has_one_region_and_the_page_has_their_numbers() -> None:
    corpus = read_corpus(CORPORA / "place-names.csv", items=PLACES)
    assert corpus.items is not None
    names = [corpus.vocabulary.decode(corpus.items.text(n)) for n in range(len(corpus.items))]
    assert len(set(names)) == len(names) >= 2000
    counts = corpus.label_counts["region"]
    assert len(counts) >= 4
    told = re.findall(r"^\| (\w[\w ]+?) \| (\d+) \| ", README, flags=re.M)
    assert {region: int(count) for region, count in told} == counts


def test_no_rule_makes_a_name_of_another_region() -> None:
    """The regions sound different: no name of one could have come from the rules of another."""
    made = script("place_names")

    def pattern(rules: dict[str, str], symbol: str) -> str:
        if symbol not in rules:
            return re.escape(symbol.replace("_", " "))
        alternatives = (
            "".join(pattern(rules, part) for part in alternative.split())
            for alternative in rules[symbol].split("|")
        )
        return f"(?:{'|'.join(alternatives)})"

    patterns = {region: pattern(rules, "NAME") for region, (_, rules) in made.REGIONS.items()}
    for name, region in made.place_names():
        assert [r for r, p in patterns.items() if re.fullmatch(p, name.lower())] == [region]


VALUES = """
zero 0 one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 ten 10 eleven 11 twelve 12 thirteen 13
fourteen 14 fifteen 15 sixteen 16 seventeen 17 eighteen 18 nineteen 19 twenty 20 thirty 30 forty 40 fifty 50
sixty 60 seventy 70 eighty 80 ninety 90
"""


def number_of(words: str) -> int:
    """The number that words say, read from left to right."""
    values = dict(re.findall(r"(\w+) (\d+)", VALUES))
    total = part = 0
    for word in re.split("[ -]", words):
        if word == "hundred":
            part *= 100
        elif word == "thousand":
            total, part = total + 1000 * part, 0
        elif word != "and":
            part += int(values[word])
    return total + part


def test_the_words_of_each_number_say_that_number() -> None:
    lines = (CORPORA / "number-words.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines]
    assert [str(number_of(words)) for _, words in pairs] == [digits for digits, _ in pairs]
    sizes = Counter(len(digits) for digits, _ in pairs)
    assert sizes == {1: 10, 2: 90, 3: 700, 4: 1100, 5: 1100}
    assert len({digits for digits, _ in pairs}) == len(pairs) == 3000
