"""Items: how texts are cut into them, what symbols they become, to which part they belong, and in which batch."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import DataError, ModelError, UsageError
from charrnn.text.batches import ItemBatches
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.items import NO_TARGET, Items
from charrnn.text.records import ItemForm, form_of
from charrnn.text.sources import in_memory
from charrnn.text.vocabulary import ItemSymbols, Vocabulary

LINE = ItemForm("line")


def spelt(corpus: Corpus) -> list[list[str]]:
    """Each item by the names of its symbols."""
    assert corpus.items is not None
    return [[corpus.vocabulary.name(i) for i in corpus.items.of(n)] for n in range(len(corpus.items))]


def texts(corpus: Corpus) -> list[str]:
    assert corpus.items is not None
    return [corpus.vocabulary.decode(corpus.items.text(n)) for n in range(len(corpus.items))]


def read(text: str, form: ItemForm) -> Corpus:
    return read_corpus(in_memory(text), items=form)


# ------------------------------------------------------------------------------------------------
# Cutting


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("line", "Ann\nBob\n", ["Ann", "Bob"]),
        ("line", "Ann\r\nBob", ["Ann", "Bob"]),
        ("line", "\ufeffAnn\n\n\nBob\n\n", ["Ann", "Bob"]),
        ("line", " a b \n\t\n", [" a b ", "\t"]),
        ("blank-line", "one\ntwo\n\n \t\nthree\n\n", ["one\ntwo", "three"]),
        ("blank-line", "\n\none\r\ntwo\r\n\r\nthree", ["one\r\ntwo", "three"]),
        ("file", "one\n\ntwo\n", ["one\n\ntwo"]),
        ("sep:---", "one\n---\ntwo\n\n---three---", ["one", "two\n", "three"]),
        (r"sep:\n\n", "one\n\ntwo\nthree", ["one", "two\nthree"]),
        ("sep:|", "a||b", ["a", "b"]),
    ],
)
def test_a_text_is_cut_into_items(kind: str, text: str, expected: list[str]) -> None:
    assert texts(read(text, ItemForm(kind))) == expected


def test_a_separator_may_lie_across_two_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.text.sources.READ_BYTES", 2)
    assert texts(read("abc<->d<-e<->", ItemForm("sep:<->"))) == ["abc", "d<-e"]
    assert texts(read("abc\ndefg\nh", LINE)) == ["abc", "defg", "h"]


def test_each_file_of_a_folder_is_an_item(tmp_path: Path) -> None:
    for name, text in (("a.txt", "first\n"), ("b.txt", "second")):
        (tmp_path / name).write_text(text)
    assert texts(read_corpus(tmp_path, items=ItemForm("file"))) == ["first", "second"]
    assert texts(read_corpus(tmp_path, items=LINE)) == ["first", "second"]


CSV = 'name,lang,note\n"A ""x"", b\nc",de,1\nBob,en,2\n'


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("csv", CSV),
        ("csv", CSV.replace("\n", "\r\n").replace("b\r\nc", "b\nc")),
        ("tsv", CSV.replace(",", "\t").replace("\t b", ", b")),
        ("jsonl", '{"name": "A \\"x\\", b\\nc", "lang": "de"}\n{"lang": "en", "name": "Bob"}\n'),
    ],
)
def test_columns_of_a_table(kind: str, text: str) -> None:
    corpus = read(text, ItemForm(kind, "name", ("lang",)))
    assert texts(corpus) == ['A "x", b\nc', "Bob"]
    assert [symbols[0] for symbols in spelt(corpus)] == ["label lang=de", "label lang=en"]
    assert corpus.label_counts == {"lang": {"de": 1, "en": 1}}


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        (LINE, "\n\n", "there is no item in it"),
        (
            ItemForm("pairs"),
            "one\ttwo\nthree\n",
            r"line 2: 0 tabs; a pair is one line: its input, one tab, its output",
        ),
        (
            ItemForm("csv", "b"),
            "a,c\n1,2\n",
            r"line 1: no column 'b'; its columns: a, c \(--text-column NAME says which\)$",
        ),
        (
            ItemForm("tsv", "a", ("b",)),
            "a\tc\n",
            r"line 1: no column 'b'; its columns: a, c \(--label-column NAME says which\)$",
        ),
        (
            ItemForm("jsonl", "a", (), "in"),
            '{"a": "x", "in": "y"}\n{"a": "x"}\n',
            r"line 2: no column 'in'; its columns: a \(--input-column NAME says which\)$",
        ),
        (ItemForm("csv", "a"), "a,c\n1,2,3\n", "line 2: 3 columns, and the header has 2"),
        (ItemForm("csv", "a"), 'a\n"x\n', "not CSV"),
        (ItemForm("jsonl", "a"), '{"a": 1}\n', "line 1: a is '1'; it must be a text"),
        (ItemForm("jsonl", "a"), '{"a": "x"}\n[1]\n', "line 2: .* is no JSON object"),
        (ItemForm("jsonl", "a"), "{\n", "line 1: not JSON"),
    ],
)
def test_what_is_no_item_is_refused_with_its_line(form: ItemForm, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(text, form)


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (("lines", "", "", ""), (), "--items is 'lines'; it must be one of: line, blank-line"),
        (("sep:", "", "", ""), (), "has no text"),
        (("csv", "", "", ""), (), "needs --text-column"),
        (("line", "text", "", ""), (), "has no columns"),
        (("", "text", "", ""), ("a.txt",), "belongs to a table"),
        (("", "text", "", ""), ("a.csv", "b.tsv"), "belongs to a table"),
        (("csv", "a", "a", ""), (), "must differ"),
    ],
)
def test_settings_that_make_no_sense(values: tuple[str, ...], names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        form_of(*values, names)


def test_the_kind_of_a_table_follows_from_the_suffix() -> None:
    assert form_of("", "text", "a, b", "", ["x/one.CSV", "two.csv"]) == ItemForm("csv", "text", ("a", "b"))
    assert form_of("", "", "", "", ["names.csv"]) is None


# ------------------------------------------------------------------------------------------------
# Symbols


def test_condition_text_and_end() -> None:
    assert spelt(read("Ann\nB", LINE)) == [["end", "A", "n", "n", "end"], ["end", "B", "end"]]
    assert spelt(read("12\tab\n", ItemForm("pairs"))) == [["1", "2", "boundary", "a", "b", "end"]]
    table = ItemForm("csv", "t", ("x", "y"), "i")
    assert spelt(read("i,y,t,x\n12,q,ab,p\n", table)) == [
        ["label x=p", "label y=q", "1", "2", "boundary", "a", "b", "end"]
    ]


def test_bytes_as_items() -> None:
    corpus = read_corpus(in_memory("é\nab\n"), level="byte", items=LINE)
    assert spelt(corpus)[0] == ["end", "0xC3", "0xA9", "end"]
    assert (texts(corpus), len(corpus.vocabulary), corpus.vocabulary.end) == (["é", "ab"], 257, 256)
    table = read_corpus(in_memory('{"t": "é"}\n'), level="byte", items=ItemForm("jsonl", "t"))
    assert spelt(table) == [["end", "0xC3", "0xA9", "end"]]


LABELLED = Vocabulary("char", ("a", "b"), ItemSymbols(True, (("x", ("p", "q")), ("y", ("p",)))))


def test_reserved_symbols_have_names_and_no_text() -> None:
    assert len(LABELLED) == 7
    assert [LABELLED.name(k) for k in range(7)] == [
        "a", "b", "end", "boundary", "label x=p", "label x=q", "label y=p",
    ]  # fmt: skip
    assert (LABELLED.end, LABELLED.boundary, LABELLED.label("x", "q"), LABELLED.label("y", "p")) == (
        2,
        3,
        5,
        6,
    )
    assert LABELLED.decode([4, 0, 3, 1, 2]) == "ab"
    decoder = LABELLED.decoder()
    assert [decoder.push(k) for k in (4, 0, 2)] == ["", "a", ""]
    for text in ("\ue000", "end", "\x00"):  # no text is read as one of them
        with pytest.raises(DataError):
            LABELLED.encode(text)
    with pytest.raises(DataError, match="no label 'r'; its labels are p, q"):
        LABELLED.label("x", "r")
    with pytest.raises(DataError, match="no column of labels 'z'; it has x, y"):
        LABELLED.label("z", "p")


def test_the_symbols_travel_as_json() -> None:
    assert Vocabulary.from_json(json.loads(json.dumps(LABELLED.to_json()))) == LABELLED
    assert Vocabulary("char", ("a",)).to_json() == {"level": "char", "symbols": ["a"]}


@pytest.mark.parametrize(
    "items",
    [
        1,
        {"pairs": 1, "labels": []},
        {"pairs": True},
        {"pairs": True, "labels": [{"column": "a", "values": []}]},
        {"pairs": True, "labels": [{"column": "a", "values": ["q", "p"]}]},
        {"pairs": True, "labels": [{"column": "a", "values": ["p", "p"]}]},
        {"pairs": True, "labels": [{"column": "a", "values": [1]}]},
        {"pairs": True, "labels": [{"column": "a", "values": ["p"]}] * 2},
        {"pairs": True, "labels": [{"column": 1, "values": ["p"]}]},
        {"pairs": True, "labels": ["a"]},
    ],
)
def test_forged_symbols_are_refused(items: object) -> None:
    with pytest.raises(ModelError, match="vocabulary"):
        Vocabulary.from_json({"level": "char", "symbols": ["a"], "items": items})


def test_a_model_reads_only_items_as_it_was_trained_on() -> None:
    known = read("t,l\na,p\nb,q\n", ItemForm("csv", "t", ("l",))).vocabulary
    again = read_corpus(in_memory("t,l\nb,p\n"), items=ItemForm("csv", "t", ("l",)), vocabulary=known)
    assert again.vocabulary == known
    with pytest.raises(DataError, match="no label 'r'; its labels are p, q"):
        read_corpus(in_memory("t,l\na,r\n"), items=ItemForm("csv", "t", ("l",)), vocabulary=known)
    with pytest.raises(
        DataError, match=r"trained on items with labels \(l\), and these are items without labels"
    ):
        read_corpus(in_memory("a\n"), items=LINE, vocabulary=known)


# ------------------------------------------------------------------------------------------------
# Parts


def test_equal_items_are_on_one_side_and_a_growing_list_keeps_its_split() -> None:
    names = [f"name {n % 300}" for n in range(900)]
    corpus = read("\n".join(names), LINE)
    held = {part: set() for part in ("training", "validation", "test")}
    parts = corpus.parts(0.2, 0.1)
    for part, items in parts._asdict().items():
        held[part] = {corpus.vocabulary.decode(items.text(n)) for n in range(len(items))}
    assert [len(items) for items in parts] == [sum(name in held[part] for name in names) for part in held]
    assert not held["training"] & held["validation"] | held["training"] & held["test"]
    assert 30 < len(held["validation"]) < 90  # of 300, .2
    assert 10 < len(held["test"]) < 50
    longer = read("\n".join(["first", *reversed(names), "last"]), LINE)
    part = longer.parts(0.2, 0.1).validation
    after = {longer.vocabulary.decode(part.text(n)) for n in range(len(part))}
    assert after - {"first", "last"} == held["validation"]
    assert "900 items, 300 of them different; equal ones stay in one part of the text" in corpus.notes


def test_pairs_are_split_by_their_input() -> None:
    corpus = read("".join(f"{n}\t{k}\n" for n in range(60) for k in range(3)), ItemForm("pairs"))
    for items in corpus.parts(0.3, 0.2):
        inputs = [corpus.vocabulary.decode(items.of(n)[: items.conditions[n] - 1]) for n in range(len(items))]
        assert len(inputs) == 3 * len(set(inputs))
    assert corpus.notes == (
        "180 pairs, 60 different inputs; those of one input stay in one part of the text",
    )


def test_a_table_that_is_read_by_lines_is_told(tmp_path: Path) -> None:
    for name in ("a.csv", "b.txt", "c.TSV"):
        (tmp_path / name).write_text(f"{name}\tone\n")
    names = [tmp_path / name for name in ("a.csv", "b.txt", "c.TSV")]
    assert read_corpus(names, items=LINE).notes == (
        f"{names[0]}, {names[2]}: read by lines, a header included; --text-column NAME reads a column",
    )
    assert read_corpus(names[2], items=ItemForm("pairs")).notes == ()
    assert read_corpus(names[1], items=LINE).notes == ()


def test_files_named_for_validation_and_test(tmp_path: Path) -> None:
    for name, text in (("a", "Ann\nBob\nEve\n"), ("v", "Zoe\nBob\n"), ("t", "Una\n")):
        (tmp_path / name).write_text(text)
    corpus = read_corpus(tmp_path / "a", validation=tmp_path / "v", test=tmp_path / "t", items=LINE)
    assert [len(part) for part in corpus.parts(0.5, 0.4)] == [3, 2, 1]
    assert corpus.sources == (str(tmp_path / "a"),)
    assert corpus.notes == (
        "6 items, 5 of them different",  # Bob is in two parts
        "1 of the 2 items named for validation are in the training text too",
    )
    (tmp_path / "p").write_text("a\tb\n")
    pairs = read_corpus(tmp_path / "p", validation=tmp_path / "p", items=ItemForm("pairs"))
    assert pairs.notes == (
        "2 pairs, 1 different input",
        "1 of the 1 pairs named for validation have an input that is in the training text too",
    )
    stream = read_corpus(tmp_path / "a", validation=tmp_path / "v")
    training, validation, test = (stream.vocabulary.decode(part) for part in stream.parts(0.5, 0.25))
    assert (training, validation, test) == ("Ann\nBob\nE", "Zoe\nBob\n", "ve\n")


# ------------------------------------------------------------------------------------------------
# Batches


def items_of(lengths: list[int], condition: int = 1) -> Items:
    """Items of so many scored symbols, all symbols different."""
    sizes = np.array(lengths) + condition
    stops = np.cumsum(sizes)
    return Items(np.arange(1, stops[-1] + 1), stops - sizes, stops, np.full(len(sizes), condition))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(1, 15),
    st.integers(1, 3),
)
def test_every_item_is_read_once_an_epoch_from_its_beginning(
    lengths: list[int], B: int, T: int, condition: int
) -> None:
    items = items_of(lengths, condition)
    batches = ItemBatches(items, B, T, seed=1, end=0)
    for epoch in range(2):
        read: list[list[tuple[int, int]]] = []
        for step in range(epoch * batches.chunks, (epoch + 1) * batches.chunks):
            x, y = batches.chunk(step)
            assert x.shape == y.shape
            assert x.shape[0] <= T
            assert x.dtype == y.dtype == np.intp
            assert x.flags.c_contiguous and y.flags.c_contiguous  # noqa: PT018
            assert batches.targets(step) == (y != NO_TARGET).sum()
            if batches.begins(step):
                read += [[] for _ in range(B)]
            for b, row in enumerate(read[-B:]):
                row += zip(x[:, b].tolist(), y[:, b].tolist(), strict=True)
        found = sorted([place for place in row if place[0]] for row in read)
        expected = []
        for n in range(len(items)):
            symbols = items.of(n).tolist()
            targets = [NO_TARGET] * (condition - 1) + symbols[condition:]
            expected.append(list(zip(symbols[:-1], targets, strict=True)))
        assert [row for row in found if row] == sorted(expected)
        assert all(y == NO_TARGET for row in read for x, y in row if not x)
    assert batches.symbols == sum(lengths)


def test_batches_depend_on_seed_and_epoch_alone_and_ranks_share_them() -> None:
    items = items_of([1 + n % 5 for n in range(60)])
    one, again, other = (ItemBatches(items, 4, 3, seed, 0) for seed in (1, 1, 2))
    epochs = [
        [chunks.chunk(step)[0].tolist() for step in range(first, first + one.chunks)]
        for chunks, first in ((one, 0), (again, 0), (one, one.chunks), (other, 0))
    ]
    assert epochs[0] == epochs[1]
    assert epochs[0] != epochs[2]
    assert epochs[0] != epochs[3]
    jumped = ItemBatches(items, 4, 3, 1, 0)
    np.testing.assert_array_equal(jumped.chunk(one.chunks + 3), one.chunk(one.chunks + 3))
    halves = [ItemBatches(items, 4, 3, 1, 0, slice(rank, None, 2)).chunk(5)[1] for rank in range(2)]
    np.testing.assert_array_equal(one.chunk(5)[1][:, [0, 2, 1, 3]], np.concatenate(halves, axis=1))


def test_the_share_of_padding() -> None:
    assert ItemBatches(items_of([4] * 8), 4, 10, 1, 0).padding == 0
    assert ItemBatches(items_of([3, 3, 4, 4]), 4, 10, 1, 0).padding == pytest.approx(2 / 16)
    assert ItemBatches(items_of([4] * 5), 4, 10, 1, 0).padding == pytest.approx(
        3 / 8
    )  # three rows without an item
    assert ItemBatches(items_of([11] * 4), 4, 10, 1, 0).padding == pytest.approx(1 / 12)  # two chunks of six


# ------------------------------------------------------------------------------------------------
# Odd texts


def test_a_column_that_is_named_twice_is_refused() -> None:
    with pytest.raises(DataError, match="line 1: 2 columns are named 'name'; rename all but one"):
        read("name,region,name\na,x,b\n", ItemForm("csv", "name"))
    assert texts(read("name,region,region\na,x,b\n", ItemForm("csv", "name"))) == ["a"]


@pytest.mark.parametrize("level", ["char", "byte"])
def test_a_byte_order_mark_is_no_part_of_an_item(level: str) -> None:
    corpus = read_corpus(in_memory("\ufeffname\nAnn\n"), items=ItemForm("csv", "name"), level=level)
    assert texts(corpus) == ["Ann"]
    assert texts(read_corpus(in_memory("\ufeffAnn\n"), items=LINE, level=level)) == ["Ann"]


def test_a_share_is_below_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.text.item_corpus.hash_of", lambda text: 2**64 - 1)
    corpus = read("Ann\nBob\n", LINE)
    assert [len(part) for part in corpus.parts(0.1, 0.0)] == [0, 2, 0]
