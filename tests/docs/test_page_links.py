"""Every link between the project's own files leads somewhere, as the files stand, without a site being built."""

import re
from pathlib import Path

import pytest
from helpers.project_files import ROOT, project_files

PAGES = list(project_files(".md"))
MADE_WITH_THE_SITE = {  # whose strict build checks them
    ROOT / "docs/notebook.md",
    *(ROOT / f"docs/live/{name}.html" for name in ("harbour", "python")),
}


def prose(page: Path) -> str:
    """The page without its code, in which `](` is no link."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "``", text)


def links(page: Path) -> list[str]:
    """The targets of its links and images, but for those to other servers."""
    found = re.findall(r"\]\(<?([^()\s>]+)>?[^()]*\)", prose(page))
    found += re.findall(r"""\b(?:href|src)=["']([^"']+)["']""", prose(page))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """What its headings can be linked by, as code hosts name them: letters, digits, _ and -, in small letters."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.*?)\s*$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    wrong = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if target in MADE_WITH_THE_SITE:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_links_are_seen() -> None:
    assert "../benchmarks/LOG.md" in links(ROOT / "docs/faq.md")
    assert "faq.md#how-much-text" in links(ROOT / "docs/index.md")
    assert sum(map(len, map(links, PAGES))) >= 40


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# Other\n\n## What it is, in `code`\n\n```sh\n# not a heading\n```\n")
    page.write_text(
        "# Title\n[a](other.md) [b](other.md#what-it-is-in-code) [c](#title) ![d](gone.svg) `[e](f)`\n"
        "[g](other.md#not-a-heading) [h](gone.md#x) [i](#nowhere) [j](https://example.org/x#y)\n"
    )
    assert broken(page) == ["gone.svg", "other.md#not-a-heading", "gone.md#x", "#nowhere"]
