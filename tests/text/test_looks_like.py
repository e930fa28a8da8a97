"""Which texts are told to look like items or tables when they are read as one stream, and which are not."""

import random
from pathlib import Path

import pytest

from charrnn.text.looks_like import HEAD, advice

ROOT = Path(__file__).parents[2]
RNG = random.Random(1)
NAMES = ["".join(RNG.choices("abcdefghij", k=RNG.randint(3, 9))).title() for _ in range(400)]
VERSES = ["the sea lay flat and grey,", "nobody on the quay", "not even a dog;"]
LINE = (
    "the text looks like a list with one item per line. To train on items that begin and end by themselves: "
)
LABELS = " (with labels: --label-column COLUMN)"
TABLE = "the text looks like a table ({}). To train on the texts in a column: "


def lines(texts: list[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("names.txt", lines(NAMES), f"{LINE}charrnn train names.txt --items line"),
        ("my names.txt", lines(NAMES), f"{LINE}charrnn train 'my names.txt' --items line"),
        ("names.txt", "\r\n".join(NAMES), f"{LINE}charrnn train names.txt --items line"),
        (
            "smiles",
            lines([f"C{name}(=O)c1ccc({n})cc1" for n, name in enumerate(NAMES)]),
            f"{LINE}charrnn train smiles --items line",
        ),
        (
            "towns.txt",
            lines([f"{a} {b}" for a, b in zip(NAMES, NAMES[::-1], strict=True)]),
            f"{LINE}charrnn train towns.txt --items line",
        ),
        (
            "tweets.csv",
            'text,label\n"a, b",x\nc,y\n',
            f"{TABLE.format('csv, columns: text, label')}charrnn train tweets.csv --text-column COLUMN{LABELS}",
        ),
        (
            "rows",
            "text,label\n" + lines([f"{name},x" for name in NAMES]),
            f"{TABLE.format('csv, columns: text, label')}charrnn train rows --items csv --text-column COLUMN{LABELS}",
        ),
        (
            "words.tsv",
            lines([f"{name}\t{name}" for name in NAMES[:3]]),
            f"{TABLE.format(f'tsv, columns: {NAMES[0]}, {NAMES[0]}')}charrnn train words.tsv --text-column COLUMN"
            f"{LABELS}, or if it has no header: --items pairs",
        ),
        (
            "texts.csv",
            "text\na\nb\n",
            f"{TABLE.format('csv, columns: text')}charrnn train texts.csv --text-column COLUMN",
        ),
        (
            "tweets.jsonl",
            '{"text": "a", "id": 5}\n{"text": "b"}\n',
            f"{TABLE.format('jsonl, columns: text, id')}charrnn train tweets.jsonl --text-column COLUMN{LABELS}",
        ),
        (
            "tweets",
            '{"text": "a", "id": 5}\n' * 30,
            f"{TABLE.format('jsonl, columns: text, id')}charrnn train tweets --items jsonl "
            f"--text-column COLUMN{LABELS}",
        ),
    ],
)
def test_the_command_is_named(file: str, text: str, expected: str) -> None:
    assert advice(text, [file]) == expected


def test_of_several_files_the_options_are_named() -> None:
    assert advice(lines(NAMES), ["a.txt", "b.txt"]) == f"{LINE}charrnn train FILES --items line"


def test_a_text_that_is_cut_short_loses_its_last_line() -> None:
    long = lines([f"{name}{n}" for n in range(30) for name in NAMES])[:HEAD]
    assert "--items line" in advice(long, ["names.txt"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one line",
        lines(NAMES[:40]),
        lines(VERSES * 100),
        lines(["Song", "la la la", "end of song"] * 50),
        lines([f"{a}:\n{' '.join(NAMES[k : k + 8])}\n" for k, a in enumerate(NAMES[:300])]),
        lines([" ".join(NAMES[k : k + 2]) + "," for k in range(300)]),
        lines([f"    {name} = {name}" for name in NAMES]),
        lines(["".join(RNG.choices("ACGT", k=60)) for _ in range(300)]),
        lines([name + ";" for name in NAMES]),
        lines(["".join(RNG.choices("山川日月火水木金土", k=RNG.randint(5, 30))) for _ in range(300)]),
        "\n".join(" ".join(NAMES[k : k + 9]) for k in range(0, 390, 9)),
    ],
)
def test_other_texts_are_left_in_peace(text: str) -> None:
    assert advice(text, ["text.txt"]) == ""


@pytest.mark.parametrize(
    "file", ["corpora/harbour.txt", "README.md", "charrnn/text/vocabulary.py", "pyproject.toml"]
)
def test_prose_and_code_are_left_in_peace(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    for start in range(0, len(text), 20_000):
        assert advice(text[start : start + HEAD], [file]) == ""
