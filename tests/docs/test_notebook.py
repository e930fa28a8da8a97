"""The notebook of the docs: kept without outputs, it runs from top to bottom, and its page shows what it showed."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import charrnn

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def notebook_page(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(DOCS)
    import notebook_page

    return notebook_page


def test_it_is_kept_without_outputs(notebook_page: Any) -> None:
    cells = notebook_page.read()["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert {cell["execution_count"] for cell in code} == {None}
    for cell in code:
        compile("".join(cell["source"]), "cell", "exec")


def test_every_name_of_charrnn_that_it_uses_is_there(notebook_page: Any) -> None:
    text = "".join(line for cell in notebook_page.read()["cells"] for line in cell["source"])
    names = set(re.findall(r"\bcharrnn\.([A-Za-z_]+)", text))
    assert {"train", "evaluate", "inspect_cells", "CharRNN"} <= names <= set(charrnn.__all__)


def test_the_page_of_a_notebook(notebook_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Words."]},
        {
            "cell_type": "code",
            "source": ["a = 1\n", "a"],
            "outputs": [
                {"output_type": "stream", "text": "told\n"},
                {"output_type": "execute_result", "data": {"text/plain": "1"}},
                {
                    "output_type": "display_data",
                    "data": {"text/html": "<div>a\n\n\nb</div>", "text/plain": "thing"},
                },
            ],
        },
    ]
    monkeypatch.setattr(notebook_page, "executed", lambda steps: {"cells": cells})
    assert notebook_page.page() == (
        "# Title\n\nWords.\n\nThe notebook itself: [notebook.ipynb](notebook.ipynb).\n\n\n"
        "```python\na = 1\na\n```\n\n```text\ntold\n```\n\n```text\n1\n```\n\n"
        "<div>a\n&#8203;\n&#8203;\nb</div>\n"
    )


def test_without_nbclient_the_page_says_so(notebook_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(steps: int | None) -> None:
        raise ModuleNotFoundError("nbclient")

    monkeypatch.setattr(notebook_page, "executed", missing)
    page = notebook_page.page()
    assert notebook_page.WITHOUT in page
    assert page.count("```python\n") >= 8


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(notebook_page: Any) -> None:
    for library in ("nbclient", "ipykernel"):
        pytest.importorskip(library)
    cells = notebook_page.executed()["cells"]
    shown: dict[str, list[Any]] = {
        "".join(cell["source"]).splitlines()[-1]: cell["outputs"]
        for cell in cells
        if cell["cell_type"] == "code"
    }
    streams = [
        output for outputs in shown.values() for output in outputs if output["output_type"] == "stream"
    ]
    assert {output["name"] for output in streams} == {"stdout"}

    def picture(line: str) -> str:
        (output,) = next(outputs for last, outputs in shown.items() if last.startswith(line))
        return str(output["data"]["text/html"])

    def plain(line: str) -> Any:
        (output,) = next(outputs for last, outputs in shown.items() if last.startswith(line))
        return ast.literal_eval(output["data"]["text/plain"])

    for line, within in {
        ")": '<circle class="best"',
        "model": "GRU 1×128",
        "model.sample(length=400": "bits per character",
        "charrnn.evaluate": "unigram",
        "found": "quote",
    }.items():
        assert within in picture(line), line
    places = re.findall(r'title="([\d.]+) bits">(.)</span>', picture("model.surprise(wrong)"))
    assert max(places, key=lambda one: float(one[0]))[1] == "x"  # the misprint
    right, wrong = plain("model.score(right)")
    assert right < wrong
    samples = plain("estimator.sample(8")
    assert len(samples) == 8
    assert all(isinstance(name, str) for name in samples)
    assert plain("result.history[-1]")["step"] == 300
