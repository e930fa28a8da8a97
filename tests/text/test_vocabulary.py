"""Vocabulary: ids and symbols there and back, and everything a damaged or forged description can hold."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import DataError, ModelError
from charrnn.text.vocabulary import Vocabulary

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, min_size=1)


def test_ids_are_places_in_ascending_order():
    vocabulary = Vocabulary.of("hello")
    assert vocabulary.symbols == ("e", "h", "l", "o")
    assert vocabulary.encode("hello").tolist() == [1, 0, 2, 2, 3]
    assert vocabulary.decode([3, 0]) == "oe"


@given(texts)
def test_characters_there_and_back(text):
    vocabulary = Vocabulary.of(text)
    ids = vocabulary.encode(text)
    assert [vocabulary.symbols[i] for i in ids] == list(text)
    assert vocabulary.decode(ids) == text
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@given(texts)
def test_bytes_there_and_back(text):
    vocabulary = Vocabulary.all_bytes()
    ids = vocabulary.encode(text)
    assert bytes(ids) == text.encode()
    assert vocabulary.decode(ids) == text


@given(st.binary())
def test_decoding_one_by_one_equals_decoding_at_once(data):
    vocabulary = Vocabulary.all_bytes()
    decoder = vocabulary.decoder()
    pieces = [decoder.push(i) for i in vocabulary.encode(data)]
    assert "".join(pieces) + decoder.flush() == vocabulary.decode(list(data)) == data.decode(errors="replace")


def test_a_byte_decoder_gives_a_character_when_it_is_complete():
    decoder = Vocabulary.all_bytes().decoder()
    assert [decoder.push(i) for i in "é!".encode()] == ["", "é", "!"]
    assert decoder.push(0xE2) == ""
    assert decoder.flush() == "\ufffd"


def test_a_character_decoder():
    decoder = Vocabulary.of("ab").decoder()
    assert [decoder.push(1), decoder.push(0), decoder.flush()] == ["b", "a", ""]


def test_a_subset_of_the_bytes():
    vocabulary = Vocabulary("byte", (10, 200))
    assert vocabulary.encode(b"\xc8\n\xc8").tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"bytes that the model does not know: 0x0B at position 1"):
        vocabulary.encode(b"\n\x0b")


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)],
)
def test_the_smallest_type_that_holds_every_id(size, dtype):
    symbols = tuple(chr(c) for c in range(0xE000, 0xE000 + size))
    vocabulary = Vocabulary("char", symbols)
    assert vocabulary.dtype == dtype
    last = vocabulary.encode(symbols[-1])
    assert last.dtype == dtype
    assert last.tolist() == [size - 1]


def test_an_empty_text_has_no_ids():
    for vocabulary in (Vocabulary.of("a"), Vocabulary.all_bytes()):
        assert vocabulary.encode("").tolist() == []
        assert vocabulary.decode([]) == ""


def test_unknown_characters_are_named_with_their_place():
    with pytest.raises(DataError) as caught:
        Vocabulary.of("abc").encode("ab\U0001f600cézé")
    assert (
        "'\U0001f600' (U+1F600) at position 2, 'é' (U+00E9) at position 4, 'z' (U+007A) at position 5"
        in str(caught.value)
    )
    assert "3 symbols" in str(caught.value)


def test_no_other_character_passes_for_a_known_one():
    vocabulary = Vocabulary.of("a")
    for code in (*range(ord("a")), *range(ord("b"), 2000), 0xFFFF, 0x10FFFF):
        with pytest.raises(DataError):
            vocabulary.encode(chr(code))


def test_only_the_first_few_of_many_unknown_characters_are_named():
    with pytest.raises(DataError, match=r"'5' \(U\+0035\) at position 4 and 5 more\."):
        Vocabulary.of("a").encode("1234567890")


def test_undecodable_arguments():
    """Python keeps bytes of an argument that are not UTF-8 as lone surrogates."""
    with pytest.raises(DataError, match=r"'\\udcff' \(U\+DCFF\) at position 1"):
        Vocabulary.of("a").encode("a\udcff")
    assert Vocabulary.all_bytes().encode("a\udcff").tolist() == [97, 255]
    with pytest.raises(DataError, match=r"U\+D800.* at position 1 is half a character"):
        Vocabulary.all_bytes().encode("a\ud800")


def test_bytes_are_not_characters():
    with pytest.raises(DataError, match="decode the bytes first"):
        Vocabulary.of("a").encode(b"a")


def test_it_is_a_value():
    assert Vocabulary.of("ba") == Vocabulary("char", ("a", "b"))
    assert hash(Vocabulary.of("ba")) == hash(Vocabulary.of("ab"))
    assert Vocabulary.of("a") != Vocabulary.of("b")


MALFORMED = [
    (None, "must be an object"),
    ([], "must be an object"),
    ({}, "must be an object"),
    ({"level": "char"}, "must be an object"),
    ({"level": "char", "symbols": ["a"], "more": 1}, "must be an object"),
    ({"level": "char", "symbols": "ab"}, "must be a list, not str"),
    ({"level": "char", "symbols": {"a": 1}}, "must be a list, not dict"),
    ({"level": "word", "symbols": ["a"]}, "level is 'word'"),
    ({"level": ["char"], "symbols": ["a"]}, "level is"),
    ({"level": "char", "symbols": []}, "no symbols"),
    ({"level": "char", "symbols": ["a", "a"]}, "symbol 1, 'a', is repeated"),
    ({"level": "char", "symbols": ["b", "a"]}, "symbol 1, 'a', is out of ascending order"),
    ({"level": "char", "symbols": ["a", "bc"]}, "symbol 1 is 'bc'"),
    ({"level": "char", "symbols": [""]}, "symbol 0 is ''"),
    ({"level": "char", "symbols": [1]}, "symbol 0 is 1"),
    ({"level": "char", "symbols": ["a", None]}, "symbol 1 is None"),
    ({"level": "char", "symbols": ["\ud800"]}, "symbol 0 is '\\\\ud800'"),
    ({"level": "byte", "symbols": ["a"]}, "symbol 0 is 'a', which is not a byte"),
    ({"level": "byte", "symbols": [256]}, "symbol 0 is 256"),
    ({"level": "byte", "symbols": [-1]}, "symbol 0 is -1"),
    ({"level": "byte", "symbols": [True]}, "symbol 0 is True"),
    ({"level": "byte", "symbols": [1.0]}, "symbol 0 is 1.0"),
    ({"level": "byte", "symbols": [2, 1]}, "symbol 1, 1, is out of ascending order"),
]


@pytest.mark.parametrize(("described", "message"), MALFORMED)
def test_malformed_descriptions(described, message):
    with pytest.raises(ModelError, match=message):
        Vocabulary.from_json(described)


def test_the_constructor_checks_too():
    with pytest.raises(ModelError, match="out of ascending order"):
        Vocabulary("char", ("b", "a"))
