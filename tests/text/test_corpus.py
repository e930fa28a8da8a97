"""Reading corpora: against plain Python on small texts, and every way a text can be bad."""

import codecs
import hashlib
import io
import os
import random
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import charrnn
from charrnn.errors import CharRNNError, DataError, UsageError
from charrnn.text.corpus import read_corpus
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Vocabulary

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CHARRNN_CACHE", str(folder))
    return folder


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def everything_is_large(monkeypatch):
    monkeypatch.setattr("charrnn.text.corpus.IN_MEMORY", 0)
    monkeypatch.setattr("charrnn.text.sources.IN_MEMORY", 1)
    monkeypatch.setattr("charrnn.text.sources.READ_BYTES", 5)


def text_of(corpus):
    return corpus.vocabulary.decode(corpus.ids)


# What is read


def test_a_file(write):
    path = write("greeting.txt", "héllo\n")
    corpus = read_corpus([path])
    assert corpus.vocabulary.symbols == ("\n", "h", "l", "o", "é")
    assert corpus.ids.tolist() == [1, 4, 2, 2, 3, 0]
    assert corpus.ids.dtype == np.uint8
    assert corpus.sha256 == hashlib.sha256("héllo\n".encode()).hexdigest()
    assert (corpus.name, corpus.sources, corpus.notes) == ("greeting", (path,), ())


def test_one_name_need_not_be_in_a_list(write):
    path = write("a.txt", "abc")
    assert text_of(read_corpus(path)) == text_of(read_corpus(Path(path))) == "abc"


def test_several_files_are_one_text_in_the_order_named(write):
    b, a, c = write("b.txt", "bb"), write("a.txt", "a"), write("c.txt", "é")
    corpus = read_corpus([b, a, c, a])
    assert text_of(corpus) == "bbaéa"
    assert corpus.sha256 == hashlib.sha256("bbaéa".encode()).hexdigest()
    assert corpus.sources == (b, a, c, a)
    assert corpus.name == "b-and-3-more"


def test_raw_bytes(write):
    data = bytes(range(256)) * 2
    corpus = read_corpus([write("image.png", data)], level="byte")
    assert corpus.vocabulary == Vocabulary.all_bytes()
    assert bytes(corpus.ids) == data
    assert corpus.notes == ()


def test_raw_bytes_with_the_vocabulary_of_a_model(write):
    vocabulary = Vocabulary("byte", (65, 200))
    path = write("a.bin", b"A\xc8A")
    assert read_corpus([path], vocabulary=vocabulary).ids.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"1 byte that is not in the vocabulary of 1 symbols: 0xC8 ×1\."):
        read_corpus([path], vocabulary=Vocabulary("byte", (65,)))


def test_one_symbol(write):
    corpus = read_corpus([write("a.txt", "aaaa")])
    assert corpus.vocabulary.symbols == ("a",)
    assert corpus.ids.tolist() == [0, 0, 0, 0]


def test_thousands_of_symbols(write):
    symbols = [chr(c) for c in range(0x4E00, 0x4E00 + 5000)] + ["\U0001f600"]
    text = "".join(random.Random(1).sample(symbols, len(symbols)))
    corpus = read_corpus([write("zh.txt", text)])
    assert corpus.vocabulary.symbols == tuple(symbols)
    assert corpus.ids.dtype == np.uint16
    assert text_of(corpus) == text


# Folders, patterns, streams


def test_a_folder_with_mixed_files(write, tmp_path):
    write("mixed/b.txt", "B")
    write("mixed/a/z.md", "Z")
    write("mixed/a/deeper/y", "Y")
    write("mixed/a.txt", "A")
    write("mixed/logo.png", b"\x89PNG\r\n\x1a\n\0\0")
    write("mixed/empty.txt", b"")
    write("mixed/.git/config", "no")
    write("mixed/.hidden", "no")
    write("mixed/wide.txt", "wide".encode("utf-16"))
    os.mkfifo(tmp_path / "mixed/pipe")
    (tmp_path / "mixed/broken").symlink_to("nowhere")
    corpus = read_corpus([tmp_path / "mixed"])
    assert text_of(corpus) == "Y\nZ\nA\nB"  # a/deeper/y, a/z.md, a.txt, b.txt
    assert corpus.name == "mixed"
    skipped, ended = corpus.notes
    assert ended == "3 files have no newline at the end: one was put between each and the next file"
    assert skipped == (
        f"{tmp_path / 'mixed'}: 4 files read; skipped: .git (hidden), .hidden (hidden), "
        "broken (not a regular file), empty.txt (empty), logo.png (not utf-8 text) and 2 more"
    )


def test_a_folder_of_bytes_has_all_its_files(write, tmp_path):
    write("d/a.bin", b"\xff\0")
    write("d/b.bin", b"\xfe")
    assert bytes(read_corpus([tmp_path / "d"], level="byte").ids) == b"\xff\0\n\xfe"


def test_a_file_of_a_folder_that_cannot_be_read_is_noted(write, tmp_path, monkeypatch):
    write("d/a.txt", "A")
    write("d/b.txt", "B")
    opened = Source._opened

    def refuse_b(source):
        if source.name.endswith("b.txt"):
            raise PermissionError(13, "Permission denied")
        return opened(source)

    monkeypatch.setattr(Source, "_opened", refuse_b)
    corpus = read_corpus([tmp_path / "d"])
    assert text_of(corpus) == "A"
    assert "b.txt (unreadable)" in corpus.notes[0]
    with pytest.raises(DataError, match=r"b\.txt cannot be read: Permission denied"):
        read_corpus([tmp_path / "d/b.txt"])


def test_patterns(write, tmp_path, monkeypatch):
    write("d/b.txt", "B")
    write("d/a.txt", "A")
    write("d/c.md", "C")
    write("d/sub/d.txt", "D")
    monkeypatch.chdir(tmp_path)
    assert text_of(read_corpus(["d/*.txt"])) == "AB"
    assert text_of(read_corpus(["d/*"])) == "ABCD"  # a folder that matches is read too
    assert text_of(read_corpus(["d/**/*.txt"])) == "ABD"
    assert text_of(read_corpus(["d/**"])) == "ABCD"  # once each
    assert read_corpus(["d/*.txt"]).name == "a-and-1-more"


def test_a_file_whose_name_looks_like_a_pattern(write):
    write("1.txt", "no")
    assert text_of(read_corpus([write("[1].txt", "yes")])) == "yes"


def test_dash_is_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("süß".encode())))
    corpus = read_corpus(["-"])
    assert text_of(corpus) == "süß"
    assert (corpus.name, corpus.sources) == ("stdin", ("-",))
    assert corpus.sha256 == hashlib.sha256("süß".encode()).hexdigest()


def test_a_closed_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"stdin \(-\) is closed"):
        read_corpus(["-"])


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_text_piped_in(name):
    code = "import sys; from charrnn.text.corpus import read_corpus; c = read_corpus(sys.argv[1:]); "
    code += "print(c.name, len(c.ids), len(c.vocabulary))"
    result = subprocess.run(
        [sys.executable, "-c", code, name],
        input="añb" * 100_000,
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=True,
    )
    assert result.stdout == "stdin 300000 3\n"


@pytest.mark.parametrize("level", ["char", "byte"])
def test_a_pipe_larger_than_memory_is_copied_to_disk(tmp_path, everything_is_large, level):
    os.mkfifo(tmp_path / "pipe.txt")
    writer = threading.Thread(target=(tmp_path / "pipe.txt").write_text, args=("through a pipe",))
    writer.start()
    corpus = read_corpus([tmp_path / "pipe.txt"], level=level)
    writer.join()
    assert text_of(corpus) == "through a pipe"
    assert isinstance(corpus.ids, np.memmap)
    assert corpus.name == "pipe"


# How far reading is


def reported(sources, **options):
    told = []
    corpus = read_corpus(sources, reading=lambda done, total: told.append((done, total)), **options)
    return corpus, told


def test_reading_tells_the_bytes_of_both_passes(write, everything_is_large, cache):
    paths = [write("a.txt", "12345678"), write("b.txt", "é")]
    corpus, told = reported(paths)
    assert told == [(n, 20) for n in (5, 8, 10, 15, 18, 20, 20)]
    again, told = reported(paths)
    assert told == [(n, 20) for n in (5, 8, 10, 20)]  # what the second pass would make is in the cache
    assert np.array_equal(corpus.ids, again.ids)


def test_reading_tells_of_folders_and_streams_without_a_total(write, cache, everything_is_large, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1234567")))
    _, told = reported([os.path.dirname(write("d/a.txt", "abc")), "-"])
    assert told == [(n, 0) for n in (3, 8, 10)] + [(n, 20) for n in (3, 8, 10, 13, 18, 20, 20)]


# Encodings, byte order marks, line ends


@settings(deadline=None, max_examples=200)
@given(
    text=st.text(
        st.one_of(st.sampled_from("\r\n\ufeffaé中😀"), st.characters(exclude_categories=["Cs"])), min_size=1
    ),
    block=st.integers(1, 7),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "gb18030", "utf-7"]),
    newlines=st.sampled_from(["keep", "lf"]),
)
def test_blocks_of_any_size_give_the_text_that_decoding_at_once_gives(
    tmp_path_factory, text, block, encoding, newlines
):
    text = text.replace("\0", "0")
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(text.encode(encoding))
    expected = text.removeprefix("\ufeff")
    if newlines == "lf":
        expected = expected.replace("\r\n", "\n").replace("\r", "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn.text.sources.READ_BYTES", block)
        if not expected:
            with pytest.raises(DataError, match="empty"):
                read_corpus([path], encoding=encoding, newlines=newlines)
            return
        corpus = read_corpus([path], encoding=encoding, newlines=newlines)
        assert text_of(corpus) == expected
        assert corpus.vocabulary.symbols == tuple(sorted(set(expected)))
        assert any("byte order mark" in note for note in corpus.notes) == text.startswith("\ufeff")
        assert any("carriage" in note for note in corpus.notes) == ("\r" in expected)


def test_other_encodings(write):
    assert text_of(read_corpus([write("a.txt", "é".encode("latin-1"))], encoding="latin-1")) == "é"
    assert text_of(read_corpus([write("b.txt", "日本".encode("shift_jis"))], encoding="Shift-JIS")) == "日本"
    assert text_of(read_corpus([write("c.txt", codecs.BOM_UTF8 + b"a")], encoding="utf-8-sig")) == "a"


def test_the_byte_order_mark_of_each_file_is_dropped_with_a_note(write):
    a, b, c = write("a", "\ufeffa"), write("b", "\ufeffb\ufeff"), write("c", "c")
    corpus = read_corpus([a, b, c])
    assert text_of(corpus) == "ab\ufeffc"
    assert corpus.notes == (f"byte order mark (BOM) dropped at the start of {a}, {b}",)


def test_carriage_returns_are_kept_with_a_note_or_turned_into_line_feeds(write):
    path = write("dos.txt", "a\r\nb\rc\n")
    kept = read_corpus([path])
    assert text_of(kept) == "a\r\nb\rc\n"
    assert kept.notes == ("2 carriage returns (CR) kept; --newlines lf converts CR LF and CR to LF",)
    turned = read_corpus([path], newlines="lf")
    assert text_of(turned) == "a\nb\nc\n"
    assert turned.notes == ()
    assert turned.sha256 == kept.sha256


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13", "", "a\0b", "undefined"])
def test_an_unknown_encoding(write, encoding):
    with pytest.raises(UsageError, match="--encoding is"):
        read_corpus([write("a.txt", "a")], encoding=encoding)


# Bytes that are not text


@settings(deadline=None)
@given(
    before=st.text(st.sampled_from("ab\né中😀"), max_size=12),
    bad=st.sampled_from(
        [b"\xff", b"\xe9 ", b"\xc3(", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80"]
    ),
    after=st.text(st.sampled_from("a\n"), max_size=4),
    block=st.integers(1, 6),
)
def test_invalid_utf8_is_placed_by_byte_and_line(tmp_path_factory, before, bad, after, block):
    data = before.encode() + bad + after.encode()
    path = tmp_path_factory.getbasetemp() / "bad.txt"
    path.write_bytes(data)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        offset = error.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charrnn.text.sources.READ_BYTES", block)
        with pytest.raises(DataError) as caught:
            read_corpus([path])
    line = 1 + data[:offset].count(b"\n")
    assert f"bad.txt is not valid utf-8 at byte {offset} (line {line}): 0x{data[offset]:02X}: " in str(
        caught.value
    )
    assert "--encoding latin-1" in str(caught.value)
    assert "--level byte" in str(caught.value)


def test_invalid_bytes_of_another_encoding(write):
    path = write("a.txt", "日本\n".encode("shift_jis") * 3 + b"\x82")
    with pytest.raises(DataError, match=r"not valid shift_jis at byte 15 \(line 4\): 0x82"):
        read_corpus([path], encoding="shift_jis")


def wide(mark, encoding):
    return (
        f"is {encoding.upper()}, not UTF-8 (it begins with the byte order mark {mark}): "
        f"read it with --encoding {encoding}"
    )


def half_empty(encoding):
    name = encoding.upper()
    return f"looks like {name}, not UTF-8 (every other byte is zero): read it with --encoding {encoding}"


def binary(place):
    what = "looks like binary data, not text: it has a NUL character"
    return f"{what} at {place}. Read it as raw bytes with --level byte"


BINARY = [
    ("hi\n".encode("utf-16"), wide("FF FE", "utf-16")),
    (codecs.BOM_UTF16_BE + "hi\n".encode("utf-16-be"), wide("FE FF", "utf-16")),
    ("hi\n".encode("utf-32"), wide("FF FE 00 00", "utf-32")),
    (codecs.BOM_UTF32_BE + "hi".encode("utf-32-be"), wide("00 00 FE FF", "utf-32")),
    ("Some text, naïve, in “quotes”.\n".encode("utf-16-le"), half_empty("utf-16-le")),
    ("Some text.\n".encode("utf-16-be"), half_empty("utf-16-be")),
    (b"two\nlines\0", binary("character 9 (line 2)")),
    (b"\0" * 100, binary("character 0 (line 1)")),
    (b"\x89ABC\r\n\x1a\n", "is not valid utf-8 at byte 0 (line 1): 0x89: invalid start byte."),
    (b"\x89PNG\r\n\x1a\n", "is an image, not text: save or export what it says as plain text"),
    (
        b"PK\x03\x04\x14\0\x06\0\xe9",
        "is an office document (such as .docx or .odt) or a ZIP archive, not text: ",
    ),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF, not text: save or export"),
]


@pytest.mark.parametrize(("data", "message"), BINARY)
def test_binary_and_wide_text(write, data, message):
    path = write("thing", data)
    with pytest.raises(DataError) as caught:
        read_corpus([path])
    assert str(caught.value).startswith(f"{path} {message}")
    assert caught.value.exit_code == 3


def test_the_advice_for_utf16_works(write):
    text = "naïve “quotes”\n"
    assert text_of(read_corpus([write("a", text.encode("utf-16"))], encoding="utf-16")) == text
    assert text_of(read_corpus([write("b", text.encode("utf-16-le"))], encoding="utf-16-le")) == text
    with pytest.raises(DataError, match=r"not valid utf-16: .* BOM.*--encoding utf-16-le"):
        read_corpus([write("b", text.encode("utf-16-le"))], encoding="utf-16")


def test_a_nul_far_into_a_large_file(write):
    path = write("log.txt", b"0123456789abcde\n" * 50_000 + b"\0" + b"more\n" * 1000)
    with pytest.raises(DataError, match=r"NUL character at character 800,000 \(line 50,001\)"):
        read_corpus([path])


# Names that lead nowhere


def test_missing_and_empty(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        cases = [
            (
                "corpus.txt",
                r"corpus\.txt: No such file or directory \(current folder: .*\)\. Name a text file",
            ),
            ("*.txt", r"\*\.txt: no file matches this pattern"),
            ("", r"'': No such file or directory"),
            ("a\0b", "embedded null"),
            ("x" * 5000, "File name too long"),
            (write("a", "a") + "/b", "Not a directory"),
            (write("zero", b""), "zero: there is no text in it"),
            (write("mark", codecs.BOM_UTF8), "mark: there is no text in it"),
            ("empty", "empty is a folder without text files"),
            ("dangling", "dangling cannot be read: No such file"),
            ("/dev/zero", "/dev/zero is a device"),
            ("socket", "socket is a socket"),
        ]
        for name, message in cases:
            with pytest.raises(DataError, match=message):
                read_corpus([name])
    with pytest.raises(UsageError, match="no text is given"):
        read_corpus([])


def test_a_name_spelled_wrong_or_without_its_quotes(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my diary.txt").write_text("a")
    for like in ("names.aux", "names.txt", "names.zip"):
        (tmp_path / like).write_text("a")
    for name, message in [
        ("nmaes.txt", r"nmaes\.txt: No such file .*\. Did you mean 'names\.txt' or .*\? Name a text file"),
        (str(tmp_path / "name.text"), r"Did you mean 'names\.txt' or 'names\.aux' or 'names\.zip'\?"),
        ("nothere.txt", r"\(current folder: [^)]*\)\. Name a text file"),  # all texts end in .txt
    ]:
        with pytest.raises(DataError, match=message):
            read_corpus([name])
    quoted = r"\. A name with spaces is put in quotes: 'my diary\.txt'$"
    for read in (read_corpus, charrnn.train):
        with pytest.raises(DataError, match=quoted):
            read(["my", "diary.txt"])


def test_an_empty_file_among_others_is_noted(write):
    empty = write("empty.txt", b"")
    corpus = read_corpus([empty, write("a.txt", "a")])
    assert text_of(corpus) == "a"
    assert corpus.notes == (f"empty files: {empty}",)


def test_a_folder_of_nothing_but_binary_files_says_what_it_skipped(write, tmp_path):
    write("d/a.bin", b"\xff")
    with pytest.raises(
        DataError, match=r"is a folder without text files; skipped: a\.bin \(not utf-8 text\)"
    ):
        read_corpus([tmp_path / "d"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "word"}, "--level is 'word'"),
        ({"newlines": "crlf"}, "--newlines is 'crlf'; it must be one of: keep, lf"),
        ({"min_count": 0}, "--min-count is 0"),
        ({"level": "byte", "newlines": "lf"}, "--level byte reads raw bytes"),
        ({"level": "byte", "min_count": 2}, "--level byte reads raw bytes"),
    ],
)
def test_options_without_a_meaning(write, options, message):
    with pytest.raises(UsageError, match=message):
        read_corpus([write("a.txt", "a")], **options)


# Vocabularies given, grown, and cut


def test_rare_characters_are_folded(write):
    corpus = read_corpus([write("a.txt", "aaabbbccde")], min_count=3)
    assert corpus.vocabulary.symbols == ("a", "b", "\ufffd")
    assert text_of(corpus) == "aaabbb\ufffd\ufffd\ufffd\ufffd"
    assert corpus.notes == (
        "3 different characters that occur fewer than 3 times, 4 in all, became U+FFFD: "
        "'c' (U+0063) ×2, 'd' (U+0064) ×1, 'e' (U+0065) ×1",
    )


def test_one_rare_character_is_one_in_words(write):
    assert read_corpus([write("a.txt", "aaabbbc")], min_count=3).notes == (
        "1 character that occurs fewer than 3 times, 1 in all, became U+FFFD: 'c' (U+0063) ×1",
    )
    with pytest.raises(DataError, match="the text has 1 byte that is not in the vocabulary of 2 symbols"):
        read_corpus([write("b.txt", "abc")], vocabulary=Vocabulary("byte", (97, 98)), level="byte")


def test_without_rare_characters_nothing_is_folded(write):
    corpus = read_corpus([write("a.txt", "aabb")], min_count=2)
    assert corpus.vocabulary.symbols == ("a", "b")
    assert corpus.notes == ()


def test_a_replacement_character_of_the_text_itself_stays(write):
    assert text_of(read_corpus([write("a.txt", "aa\ufffdb")], min_count=2)) == "aa\ufffd\ufffd"
    assert read_corpus([write("b.txt", "a\ufffd")]).vocabulary.symbols == ("a", "\ufffd")


def test_the_vocabulary_of_a_model(write):
    corpus = read_corpus([write("a.txt", "cab")], vocabulary=Vocabulary.of("abcxyz"))
    assert corpus.vocabulary == Vocabulary.of("abcxyz")
    assert corpus.ids.tolist() == [2, 0, 1]


def test_characters_unknown_to_a_model(write):
    path = write("a.txt", "abéézz z")
    with pytest.raises(DataError) as caught:
        read_corpus([path], vocabulary=Vocabulary.of("ab "))
    assert str(caught.value) == (
        "the text has 2 different characters that are not in the vocabulary of 3 symbols: "
        "'z' (U+007A) ×3, 'é' (U+00E9) ×2. Remove them, or use a model that knows them"
    )


def test_characters_unknown_to_a_model_that_folds(write):
    corpus = read_corpus([write("a.txt", "abé")], vocabulary=Vocabulary.of("ab\ufffd"))
    assert text_of(corpus) == "ab\ufffd"
    assert corpus.notes == (
        "1 character that is not in the vocabulary, 1 in all, became U+FFFD: 'é' (U+00E9) ×1",
    )


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("unknown", "known", "read", "did"),
    [
        ("skip", "ab ", "b a", "were left out"),
        ("nearest", "Aab ", "Ab aaa", "was read as the nearest"),
        ("nearest", "ab ", "ab aaa", "were read as the nearest"),
    ],
)
def test_characters_unknown_to_a_model_are_left_out_or_replaced(
    write, monkeypatch, tmp_path, unknown, known, read, did, large
):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    if large:
        monkeypatch.setattr("charrnn.text.corpus.IN_MEMORY", 0)
    path = write("a.txt", "Ab aáá")
    vocabulary = Vocabulary.of(known)
    for _ in range(2):  # the second time from the cache
        corpus = read_corpus([path], vocabulary=vocabulary, unknown=unknown)
        assert text_of(corpus) == read
        assert isinstance(corpus.ids, np.memmap) == large
        assert corpus.vocabulary == vocabulary
        assert did in corpus.notes[0]
    with pytest.raises(DataError, match="knows none of the characters of the text"):
        read_corpus([path], vocabulary=Vocabulary.of("xyz"), unknown="skip")


@pytest.mark.parametrize(
    ("content", "options", "advised"),
    [
        (b"a\r\n", ("newlines",), ["--newlines lf"]),
        (b"az", ("unknown",), ["--unknown skip", "--unknown nearest"]),
        (b"a\xff", ("encoding",), ["--encoding latin-1"]),
        ("a".encode("utf-16"), ("encoding",), ["--encoding utf-16"]),
        (b"aaaaa\0aaa", ("level",), ["--level byte"]),
        *((content, (), []) for content in (b"a\r\n", b"az", b"a\xff", "a".encode("utf-16"), b"aaaaa\0aaa")),
    ],
)
def test_messages_advise_only_what_a_user_can_choose(write, content, options, advised):
    with pytest.raises(DataError) as caught:
        read_corpus([write("a.txt", content)], vocabulary=Vocabulary.of("a"), options=options)
    assert re.findall(r"--[a-z]+ [a-z0-9-]+", str(caught.value)) == advised


def test_a_vocabulary_grows(write):
    path = write("a.txt", "abéézz z")
    corpus = read_corpus([path], vocabulary=Vocabulary.of("bq"), grow=True)
    assert corpus.vocabulary.symbols == (" ", "a", "b", "q", "z", "é")
    assert text_of(corpus) == "abéézz z"
    assert corpus.notes == (
        "4 new symbols added to the vocabulary: "
        "'z' (U+007A) ×3, 'é' (U+00E9) ×2, ' ' (U+0020) ×1, 'a' (U+0061) ×1",
    )
    folding = read_corpus([path], vocabulary=Vocabulary.of("bq"), grow=True, min_count=2)
    assert folding.vocabulary.symbols == ("b", "q", "z", "é", "\ufffd")  # b is known, however rare
    assert text_of(folding) == "\ufffdbéézz\ufffdz"


# Large texts


@settings(deadline=None, max_examples=50)
@given(
    text=st.text(st.sampled_from("abc\r\né中😀"), min_size=1),
    options=st.sampled_from([{}, {"newlines": "lf"}, {"min_count": 2}, {"level": "byte"}]),
)
def test_a_large_text_is_read_like_a_small_one(tmp_path_factory, text, options):
    path = tmp_path_factory.getbasetemp() / "text.txt"
    path.write_bytes(text.encode())
    small = read_corpus([path], **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARRNN_CACHE", str(tmp_path_factory.getbasetemp() / "property"))
        patch.setattr("charrnn.text.corpus.IN_MEMORY", 0)
        patch.setattr("charrnn.text.sources.READ_BYTES", 3)
        large = read_corpus([path], **options)
        assert isinstance(large.ids, np.memmap)
        assert not large.ids.flags.writeable
    assert large.ids.dtype == small.ids.dtype
    assert large.ids.tolist() == small.ids.tolist()
    assert (large.vocabulary, large.sha256) == (small.vocabulary, small.sha256)
    assert [n for n in large.notes if "encoded text kept" not in n] == list(small.notes)


def test_the_cache_is_used_when_present(write, cache, everything_is_large, monkeypatch):
    path = write("a.txt", "a text, so long")
    first = read_corpus([path])
    (file,) = cache.iterdir()
    assert first.notes == (f"encoded text kept in {file} for next time (0 MB)",)
    monkeypatch.setattr("charrnn.text.corpus.write_ids", None)  # must not be called
    for source in (path, write("copy.txt", "a text, so long")):
        again = read_corpus([source])
        assert again.ids.filename == file
        assert text_of(again) == "a text, so long"
        assert again.notes == ()


def test_the_cache_tells_contents_and_options_apart(write, cache, everything_is_large):
    a, b, ab = write("a", "a\r\n"), write("b", "\ufeffb"), write("ab", "a\r\n\ufeffb")
    ways = [
        ([a], {}),
        ([a], {"newlines": "lf"}),
        ([a], {"encoding": "utf-16-le", "level": "byte"}),
        ([a], {"min_count": 2}),
        ([a], {"vocabulary": Vocabulary.of("\r\nabc")}),
        ([a], {"vocabulary": Vocabulary("byte", (10, 13, 97))}),
        ([a, b], {}),  # the mark is at the start of a file
        ([ab], {}),  # the mark is inside
        ([write("c", "b\r\n")], {}),
    ]
    texts = {}
    for _ in range(2):
        for way, (sources, options) in enumerate(ways):
            text = text_of(read_corpus(sources, **options))
            assert texts.setdefault(way, text) == text
    assert texts == {
        0: "a\r\n",
        1: "a\n",
        2: "a\r\n",
        3: "\ufffd" * 3,
        4: "a\r\n",
        5: "a\r\n",
        6: "a\r\nb",
        7: "a\r\n\ufeffb",
        8: "b\r\n",
    }
    assert len(list(cache.iterdir())) == len(ways)


def test_the_cache_tells_apart_what_differs_in_order_only(write, everything_is_large):
    """The same bytes and the same symbols, equally often: only the key can tell."""
    splits = [
        [write("1", "\ufeffa"), write("2", "\ufeffb\ufeffc")],
        [write("3", "\ufeffa\ufeffb"), write("4", "\ufeffc")],
    ]
    assert [text_of(read_corpus(files)) for files in splits] == ["ab\ufeffc", "a\ufeffbc"]
    cyrillic = bytes(range(0xC0, 0x100))
    for encoding in ("cp1251", "koi8-r"):
        assert text_of(read_corpus([write("c", cyrillic)], encoding=encoding)) == cyrillic.decode(encoding)


def test_a_cached_file_with_half_an_id_too_many(write, cache, everything_is_large):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    path = write("zh.txt", text)
    read_corpus([path])
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes() + b"\0")
    assert text_of(read_corpus([path])) == text


DAMAGE = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "too long": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a flipped bit": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    "an id beyond the vocabulary": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xff"),
    "zeros": lambda path: path.write_bytes(bytes(len(path.read_bytes()))),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_cache_is_made_anew(write, cache, everything_is_large, damage):
    path = write("a.txt", "hello, hello")
    read_corpus([path])
    (file,) = cache.iterdir()
    good = file.read_bytes()
    damage(file)
    assert text_of(read_corpus([path])) == "hello, hello"
    assert file.read_bytes() == good


@pytest.mark.parametrize("level", ["char", "byte"])
def test_a_cache_that_cannot_be_written_is_done_without(
    write, tmp_path, everything_is_large, monkeypatch, level
):
    path = write("a.txt", "hello")
    monkeypatch.setenv("CHARRNN_CACHE", path + "/cache")
    corpus = read_corpus([path], level=level)
    assert corpus.vocabulary.decode(corpus.ids) in ("hello", b"hello")
    assert isinstance(corpus.ids, np.memmap)  # of a file that has no name
    assert corpus.ids.filename is None
    (note,) = corpus.notes
    assert f"{path}/cache cannot be opened" in note
    assert "set CHARRNN_CACHE to a folder of your own" in note


def test_a_disk_that_fills_up_leaves_nothing_behind(write, cache, everything_is_large, monkeypatch):
    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        CharRNNError, match=r"No space left.*Set CHARRNN_CACHE to keep encoded texts in another folder"
    ):
        read_corpus([write("a.txt", "hello")])
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("level", ["char", "byte"])
@pytest.mark.parametrize("then", [b"hullo", b"hello, hello", b"hell", b"", b"h\xff", b"hell\0"])
def test_a_text_that_changes_while_it_is_read(write, cache, monkeypatch, size, level, then):
    """Other bytes, more, fewer, none, and such as are no text."""
    path = Path(write("a.txt", "hello"))
    if size == "large":
        monkeypatch.setattr("charrnn.text.corpus.IN_MEMORY", 0)
    blocks = Source.blocks

    def changing(source):
        yield from blocks(source)
        path.write_bytes(then)

    monkeypatch.setattr(Source, "blocks", changing)
    with pytest.raises(DataError, match="the text changed while it was being read"):
        read_corpus([path], level=level)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"CHARRNN_CACHE": "/c"}, "/c"),
        ("linux", {"HOME": "/h"}, "/h/.cache/charrnn"),
        ("linux", {"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/charrnn"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Caches/charrnn"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/charrnn/Cache"),
    ],
)
def test_where_the_cache_is(monkeypatch, platform, variables, folder):
    from charrnn.text.cache import cache_folder

    for name in ("CHARRNN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(folder)


MEMORY = """
import sys
from charrnn.text.corpus import read_corpus
from charrnn.text.batches import Streams

def peak_mb():  # unlike ru_maxrss, this starts anew with the program
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

before = peak_mb()
corpus = read_corpus([sys.argv[1]], level=sys.argv[2])
read = peak_mb()
streams = Streams(corpus.ids, 64, 100)
for k in range(streams.chunks):
    streams.chunk(k)
print(before, read, peak_mb(), len(corpus.ids), len(corpus.vocabulary), int(corpus.ids[-1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory by /proc")
@pytest.mark.parametrize(("level", "n_symbols"), [("char", 92), ("byte", 256)])
def test_memory_does_not_grow_with_the_text(tmp_path, level, n_symbols):
    """200 MB are read, encoded, read again from the cache and served as an epoch of chunks in tens of MB."""
    line = "".join(map(chr, range(33, 123))).encode() + "é\n".encode()
    with open(tmp_path / "large.txt", "wb") as file:
        for _ in range(200_000_000 // len(line * 1000)):
            file.write(line * 1000)
    size = (tmp_path / "large.txt").stat().st_size
    for _ in range(2):
        result = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path / "large.txt"), level],
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            check=True,
        )
        before, read, served, n, symbols, last = map(float, result.stdout.split())
        assert read - before < 60
        assert served - before < 100
        assert n == size if level == "byte" else n == size * len(line.decode()) / len(line)
        assert symbols == n_symbols
        assert last == (0 if level == "char" else 10)
