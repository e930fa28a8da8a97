"""charrnn why, as a command: JSON, the terminal, stdin, places, labels, messages."""

import json

import numpy as np
import pytest
from helpers.command_line import charrnn
from helpers.item_models import item_model
from helpers.random_models import random_model

from charrnn.interpret.reading import beginning
from charrnn.interpret.why import why

TEXT = "the cat sat on a mat"


@pytest.fixture(scope="module")
def model():
    return random_model(TEXT + "\n[]/")


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "model.safetensors"
    item_model("abc", (("kind", ("p", "q")),), pairs=True).save(path)
    return path


def ask(*arguments, stdin=b""):
    done = charrnn("why", *arguments, "--json", stdin=stdin)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_json_has_what_python_finds(model, file):
    found = ask(TEXT, "--model", file, "--cells", 2, "--context", 9)
    own = why(model, beginning(model, TEXT, ()), cells=2, context=9)
    assert found == {"model": str(file), **json.loads(json.dumps(own.to_json(), default=np.ndarray.tolist))}
    assert list(found) == [
        "model",
        "target",
        "against",
        "place",
        "log_odds_nats",
        "baseline_log_odds_nats",
        "completeness_error_nats",
        "gradients",
        "characters",
        "bias_nats",
        "cells",
    ]
    assert [one["place"] for one in found["characters"]] == list(range(11, 20))
    assert "".join(one["character"] for one in found["characters"]) == TEXT[-9:]
    assert found["characters"][0].keys() == {
        "place",
        "character",
        "replaced_nats",
        "removed_nats",
        "integrated_nats",
    }
    assert found["cells"][0].keys() == {
        "layer",
        "cell",
        "contribution_nats",
        "change_nats",
        "characters_nats",
    }
    assert [one["characters_nats"] is None for one in found["cells"]] == [False] * 2 + [True] * 6


def test_a_place_within_the_text_is_that_of_the_character_that_came(file):
    found = ask(TEXT, "--model", file, "--at", 6)
    assert (found["place"], found["target"]["character"], len(found["characters"])) == (6, "t", 6)
    same = ask(TEXT[:6], "--model", file, "--target", "t")
    assert found == same
    against = ask(TEXT, "--model", file, "--at", 6, "--against", "\\n")
    assert (against["target"]["character"], against["against"]["character"]) == ("t", "\n")


def test_text_from_stdin_and_from_a_file(file, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    given = ask(TEXT, "--model", file)
    assert ask("-", "--model", file, stdin=TEXT.encode()) == given
    assert ask(f"@{tmp_path / 'text.txt'}", "--model", file) == given


def test_on_a_terminal_no_character_is_markup(file):
    done = charrnn("why", "a [mat] [/]", "--model", file, "--style", "bars")
    assert done.code == 0
    assert done.out.count("text  a [mat] [/]\n") == 3
    assert "completeness error" in done.out


def test_a_page_is_written_beside_the_result(file, tmp_path):
    page = tmp_path / "why.html"
    done = charrnn("why", TEXT, "--model", file, "--html", page, "--json")
    assert done.code == 0
    assert f"page {page}, 0.0 MB" in done.err
    assert json.loads(done.out)["place"] == len(TEXT)
    assert page.read_text().startswith("<!doctype html>")
    page.write_text("mine")
    assert charrnn("why", TEXT, "--model", file, "--html", page).code == 2
    assert page.read_text() == "mine"


def test_the_labels_and_the_input_of_an_item_are_explained(pairs):
    found = ask("ab", "--model", pairs, "--label", "q", "--input", "ca", "--target", "end", "--against", "c")
    assert found["target"]["character"] == "end"
    assert [(one["place"], one["character"]) for one in found["characters"]] == [
        (-4, "label kind=q"),
        (-3, "c"),
        (-2, "a"),
        (-1, "boundary"),
        (0, "a"),
        (1, "b"),
    ]
    begun = ask("ab", "--model", pairs, "--label", "q", "--at", 0)
    assert (begun["place"], begun["target"]["character"], len(begun["characters"])) == (0, "a", 2)


@pytest.mark.parametrize(
    ("which", "arguments", "code", "message"),
    [
        ("file", ["", "--target", "t"], 3, "the text is empty"),
        ("file", [TEXT, "--at", 0], 2, "--at is 0; it must be between 1 and 20, the end of the text"),
        ("file", [TEXT, "--at", 21], 2, "--at is 21"),
        ("file", [TEXT, "--target", "ta"], 2, "--target is 'ta'; it must be one character\n"),
        ("file", [TEXT, "--against", "z"], 3, "--against is 'z', a character that the model does not know"),
        ("file", [TEXT, "--target", "t", "--against", "t"], 2, "--target and --against are both 't'"),
        ("file", ["dog"], 3, "'d' (U+0064) at position 0"),
        ("file", [TEXT, "--label", "q"], 2, "the model was trained without labels"),
        ("file", [TEXT, "--input", "q"], 2, "--input is for a model of pairs"),
        ("file", [TEXT, "--context", 0], 2, "Invalid value for '--context'"),
        ("pairs", ["ab"], 2, "--label is missing for kind"),
        ("pairs", ["ab", "--label", "q", "--at", 3], 2, "--at is 3; it must be between 0 and 2"),
        ("pairs", ["ab", "--label", "q", "--target", "xy"], 2, "it must be one character, or end\n"),
        (None, [TEXT, "--model", "nowhere"], 4, "nowhere"),
    ],
)
def test_errors(request, which, arguments, code, message):
    named = ["--model", request.getfixturevalue(which)] if which else []
    done = charrnn("why", *arguments, *named)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
