"""Concepts written on the command line: what they mark, and what is refused."""

import numpy as np
import pytest
from helpers.random_models import random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import DataError, UsageError
from charrnn.interpret.concepts import BUILT_IN
from charrnn.interpret.reading import END, Reading
from charrnn.interpret.regex import find_spans
from charrnn.interpret.targets import check_expectation
from charrnn.interpret.user_concepts import check_matches, parse_concept, parse_concepts


def values(definition, text):
    return "".join(str(int(v)) for v in parse_concept(definition).label(text).values)


@pytest.mark.parametrize(
    ("definition", "text", "expected"),
    [
        ("x=between:<<..>>", "a<<b>>c", "0011100"),
        ("x=between:*..*", "a*b*c*d", "0110011"),
        (r"x=between:\n..\t", "a\nb\tc", "01100"),
        ("x=span:[0-9]+", "a12b3", "01101"),
        ("x=count:a;reset=\\n", "aab\na", "12201"),
        ("x=count:a|b;reset=b", "aab\na", "12001"),
        ("x=depth:(|)", "(()))(", "121001"),
        ("x=depth:{%|%}", "{{%{%%}%}", "001122110"),
    ],
)
def test_values(definition, text, expected):
    assert values(definition, text) == expected


def test_an_unclosed_span_is_masked():
    label = parse_concept("x=between:[..]").label("a[b]c[d")
    assert label.mask.tolist() == [True] * 5 + [False] * 2


BLANKS = "Blanks count: without those at its ends it would match"
CASE = "Upper and lower case differ: if case did not count, it would match"


@pytest.mark.parametrize(
    ("definition", "text", "hints"),
    [
        ("x=between: ( .. ) ", "a(b)c", [BLANKS]),
        ("x=span:the ", "in the", [BLANKS]),
        ("x=span:chapter", "CHAPTER one", [CASE]),
        ("x=between:CHAPTER..!", "chapter one!", [CASE]),
        ("x=count:A;reset=B", "aab", [CASE]),
        (
            "x=span:\\n\\n",
            "a\r\n\r\nb",
            [r"Lines of this text end with \r\n: if they ended with \n, it would match"],
        ),
        (
            "x=between:\\n..b",
            "a\rb",
            [r"Lines of this text end with \r: if they ended with \n, it would match"],
        ),
        ("x=span: The ", "the", []),  # two reasons at once
        ("x=span:q", "abc", []),
        ("x=span: +", "abc", []),  # without its blank it is none
        ("x=span:AB", f"a{END}b{END}", []),  # of two items
    ],
)
def test_what_keeps_a_rule_from_matching_is_told(definition, text, hints):
    concept, n = parse_concept(definition), len(text)
    reading = Reading(text, np.zeros(n, np.intp), np.arange(n), None)
    with pytest.raises(UsageError) as refused:
        check_matches(concept, concept.label(text), reading)
    told = f"--concept x={concept.rule} matches nothing in the text ({n} characters)"
    assert str(refused.value) == ". ".join([told, *hints])


def test_a_rule_that_matches_is_not_refused():
    for definition, text in (("x=span:a", "a"), ("x=depth:(|)", "(")):
        concept = parse_concept(definition)
        check_matches(concept, concept.label(text), Reading(text, np.zeros(1, np.intp), np.arange(1), None))


def test_expectation():
    concept = parse_concept("x=span:a+", expect=r"\n=-")
    assert (concept.target, concept.direction, concept.kind) == ("\n", -1, "bool")
    assert parse_concept("x=span:a+", expect="==+").target == "="
    assert parse_concept("x=between:a..bc").target == "b"
    assert parse_concept("x=span:a").label("a").predictive
    assert not parse_concept("x=between:a..b").label("a").predictive


def test_an_expectation_of_which_the_model_has_no_symbol_is_refused():
    model = random_model(vocab="ab\n")
    for expect in ("a=+", r"\n=-", "aZ=+"):
        check_expectation(model, parse_concept("x=span:a", expect))
    with pytest.raises(
        UsageError, match=r"no single symbol for 'B'; upper and lower case differ, .* one for 'b'$"
    ):
        check_expectation(model, parse_concept("x=span:a", "B=+"))
    with pytest.raises(UsageError, match=r"no single symbol for '\)'$"):
        check_expectation(model, parse_concept("x=span:a", ")=+"))
    check_expectation(model, parse_concept("x=between:(..)"))  # a hint alone


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("nonsense", "line_pos"),
        ("quote=span:a", "cannot be a new name"),
        ("a b=span:a", "cannot be a new name"),
        ("x=spam:a", "malformed"),
        ("x=span:", "malformed"),
        ("x=between:a", "opener"),
        ("x=depth:a|a", "both"),
        ("x=count:a", "reset"),
    ],
)
def test_malformed_definitions(definition, message):
    with pytest.raises(UsageError, match=message):
        parse_concept(definition)


def test_an_expectation_is_for_what_the_user_defines():
    built_in, own = parse_concepts(["quote", "x=span:a+"], "b=-")
    assert (built_in, own.target, own.direction) == (BUILT_IN["quote"], "b", -1)
    assert parse_concepts([]) == []
    for texts in ([], ["quote"], ["quote", "paren"]):
        with pytest.raises(UsageError, match="--expect 'b=-' needs a concept of your own"):
            parse_concepts(texts, "b=-")


@pytest.mark.parametrize("expect", ["a", "a=", "=+", "a=*"])
def test_malformed_expectations(expect):
    with pytest.raises(UsageError, match="--expect"):
        parse_concept("x=span:a", expect=expect)


def test_a_pattern_that_is_no_pattern():
    with pytest.raises(UsageError, match="regular expression"):
        parse_concept("x=span:(").label("a")


def test_a_catastrophic_pattern_is_stopped():
    with pytest.raises(UsageError, match="took more than"):  # left alone it would take 2^40 steps
        find_spans(["(a+)+$"], ["a" * 40 + "b"], seconds=0.5)


def test_any_text_reaches_the_matcher():
    text = "a\ud800\0\r\nb\u2028c😀d"
    assert find_spans([r"\w", "zz"], [text])[0][0].tolist() == [[0, 1], [5, 6], [7, 8], [9, 10]]
    assert find_spans(["a*"], [""])[0][0].shape == (0, 2)


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="<>-ab", max_size=40))
def test_between_and_depth_equal_an_oracle(text):
    inside, depths, depth, t = [], [], 0, 0
    state, since = False, 0  # since: a delimiter may not use characters before this
    for t in range(len(text)):
        if text[max(since, t - 1) : t + 1] == ("->" if state else "<-"):
            state, since = not state, t + 1
        inside.append(state)
        depth = depth + 1 if text[t] == "<" else max(depth - 1, 0) if text[t] == ">" else depth
        depths.append(min(depth, 8))
    assert parse_concept("x=between:<-..->").label(text).values.tolist() == inside
    assert parse_concept("x=depth:<|>").label(text).values.tolist() == depths


def test_labels_from_a_file(tmp_path):
    path = tmp_path / "labels.npy"
    np.save(path, np.array([0, 1, np.nan, 3.0]))
    label = parse_concept(f"x=file:{path}").label("abcd")
    assert (label.kind, label.values[[0, 1, 3]].tolist()) == ("count", [0, 1, 3])
    assert label.mask.tolist() == [True, True, False, True]
    with pytest.raises(DataError, match="4 labels; the text has 2"):
        parse_concept(f"x=file:{path}").label("ab")
    np.save(path, np.array([True, False]))
    assert parse_concept(f"x=file:{path}").kind == "bool"


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.array(["a"]), np.array([0.5]), np.array([2.0**40])])
def test_labels_of_the_wrong_kind(tmp_path, array):
    path = tmp_path / "labels.npy"
    np.save(path, array)
    with pytest.raises(DataError, match="must hold"):
        parse_concept(f"x=file:{path}")


def test_labels_that_cannot_be_read(tmp_path):
    path = tmp_path / "labels.npy"
    with pytest.raises(DataError, match="cannot read"):
        parse_concept(f"x=file:{path}")
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot read"):
        parse_concept(f"x=file:{path}")
