"""Outputs against answers, and edit distances against their definition."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import DataError
from charrnn.score.answers import agreement, answers_for, pairs_of
from charrnn.score.edit_distance import distance
from charrnn.text.records import Record


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_distance_is_that_of_the_definition(one: str, other: str) -> None:
    @cache
    def D(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(D(i - 1, j) + 1, D(i, j - 1) + 1, D(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    assert distance(one, other) == D(len(one), len(other)) == distance(list(other), list(one))


def test_the_nearest_answer_counts() -> None:
    found = agreement(["K AE T", "D AO G", "F IH"], [["K AE T"], ["D OW", "D AA G"], ["F IH SH"]])
    assert found.to_json() == {
        "texts": 3,
        "exact_match": pytest.approx(1 / 3),
        "word_error_rate": pytest.approx(2 / 3),
        "edits_per_text": pytest.approx((0 + 1 + 3) / 3),
        "edits_per_char": pytest.approx(4 / (6 + 6 + 7)),
        "token_error_rate": pytest.approx((0 + 1 + 1) / (3 + 3 + 3)),
    }
    assert found.in_words() == [
        "3 outputs: 33.3% exact, word error rate 66.7%",
        "edit distance 1.333 per output, 0.2105 per character",
        "token error rate 22.2%",
    ]
    assert agreement(["ab"], [["ac"]]).token_error_rate is None


def test_references_are_pairs_or_lines() -> None:
    pairs = pairs_of([Record("a\t1"), Record("b\t2"), Record("a\t3")])
    assert answers_for(["b", "a", "b"], pairs, "r") == [["2"], ["1", "3"], ["2"]]
    assert answers_for(["b", "a"], pairs_of([Record("1"), Record("")]), "r") == [["1"], [""]]
    with pytest.raises(DataError, match=r"r has no answer to the input 'c' \(input 2\)"):
        answers_for(["a", "c"], pairs, "r")
    with pytest.raises(DataError, match="r has 1 lines and there are 2 inputs"):
        answers_for(["a", "c"], pairs_of([Record("1")]), "r")
    of_a_table = [Record("1\t2", (), "a")]
    assert answers_for(["a"], pairs_of(of_a_table), "r") == [["1\t2"]]
