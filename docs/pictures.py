"""The pictures of README and docs, from real runs: screens as SVG, web pages as PNG, each light and dark.

`python docs/pictures.py` trains for a minute and draws those of the README anew. When the site is built, all are made
from a short training; `python docs/pictures.py --all FOLDER` does the same.
"""

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import page_picture
import terminal_picture

ROOT = Path(__file__).parents[1]
THEMES = "light", "dark"
WIDTH = 1280  # of a page
HALFWAY = 60  # per cent of a training, when its display is shown
TEXT = "corpora/harbour.txt"

log = logging.getLogger("mkdocs.plugins.pictures")


@dataclass(frozen=True)
class Screen:
    """A command as it is typed, and what it shows. enough : says of the rows when they are shown, if not at the end"""

    command: str
    columns: int = 80
    rows: int = 24
    enough: Callable[[list[str]], bool] | None = None


@dataclass(frozen=True)
class WebPage:
    """A command that writes a web page, and the page."""

    command: str
    page: str


def _halfway(rows: list[str]) -> bool:
    shares = [int(share) for row in rows if "elapsed" in row for share in re.findall(r"(\d+)%", row)]
    return bool(shares) and shares[-1] >= HALFWAY and any("─ sample" in row for row in rows)


TRAINING = "train"  # the first, whose run all others look at
PICTURES: Mapping[str, Screen | WebPage] = {
    TRAINING: Screen(f"charrnn train {TEXT} --preset quick --cell gru --out runs/harbour", enough=_halfway),
    "surprise": Screen(
        "charrnn sample -m runs/harbour --temp 0.8 --length 400 --seed 7 | charrnn score - -m runs/harbour"
    ),
    "cell": Screen("charrnn inspect-cells --concept quote --passages 1"),
    "info": Screen("charrnn info", rows=40),
    "why": Screen("charrnn why 'He said that the'"),
    "explain": Screen("charrnn explain 0:1 --quick"),
    "run-page": WebPage("charrnn report --html report.html", "report.html"),
    "cells-page": WebPage("charrnn inspect-cells --quick --html cells.html", "cells.html"),
    "why-page": WebPage("charrnn why 'He said that the' --html why.html", "why.html"),
    "play-page": WebPage("charrnn export --to web --out play.html", "play.html"),
}
OF_THE_README = "train", "surprise", "cell"


# Where a picture is to stand in a page: a remark, or one of the README's, which is seen outside the site too.
PLACE = re.compile(
    r"<!-- picture: ([\w-]+) -->|<picture>(?:(?!</picture>).)*?images/([\w-]+)\.light\.svg.*?</picture>", re.S
)


def placed(markdown: str, is_there: Callable[[str], bool]) -> str:
    """A page with its pictures, each for the theme that its reader chose. is_there : which files were made"""

    def shown(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        files = {theme: file_name(name, theme) for theme in THEMES}
        if not all(map(is_there, files.values())):
            return found[0]
        words = told(name)
        return "\n".join(f"![{words}](pictures/{file}#only-{theme})" for theme, file in files.items())

    return PLACE.sub(shown, markdown)


def told(name: str) -> str:
    """What a picture shows, for those who cannot see it."""
    one = PICTURES[name]
    return f"{one.command}: {'a terminal' if isinstance(one, Screen) else 'the page in a browser'}"


def file_name(name: str, theme: str) -> str:
    return f"{name}.{theme}.{'svg' if isinstance(PICTURES[name], Screen) else 'png'}"


def made(names: Collection[str], variables: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The pictures of these names, by file name; without those of pages where selenium or the browser is missing.

    variables : of the environment in which the commands run
    """
    with ThreadPoolExecutor(len(THEMES)) as themes:
        parts = themes.map(lambda theme: dict(_of_theme(theme, names, variables or {})), THEMES)
        return {name: picture for part in parts for name, picture in part.items()}


def _of_theme(
    theme: str, names: Collection[str], variables: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """The commands run in a folder that has nothing but the texts, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as made_here:
        folder = Path(made_here)
        shutil.copytree(ROOT / "corpora", folder / "corpora")
        variables = _path_with_charrnn(folder) | variables
        for name, one in PICTURES.items():
            if isinstance(one, Screen) and (name in names or name == TRAINING):
                command = ["bash", "-eo", "pipefail", "-c", one.command]
                terminal = terminal_picture.shown(
                    command,
                    one.columns,
                    one.rows,
                    theme,
                    folder=folder,
                    variables=variables,
                    enough=one.enough,
                )
                if name in names:
                    yield file_name(name, theme), terminal_picture.picture(terminal, one.command).encode()
        pages = {name: one for name, one in PICTURES.items() if isinstance(one, WebPage) and name in names}
        yield from _of_pages(pages, theme, folder, variables) if pages else ()


def _path_with_charrnn(folder: Path) -> dict[str, str]:
    """The variable that has `charrnn` mean this one."""
    (folder / "bin").mkdir()
    command = folder / "bin/charrnn"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    command.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def _of_pages(
    pages: Mapping[str, WebPage], theme: str, folder: Path, variables: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    try:
        with _chromium() as driver:
            for name, one in pages.items():
                done = subprocess.run(
                    ["bash", "-eo", "pipefail", "-c", one.command],
                    cwd=folder,
                    env=terminal_picture.environment() | variables,
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise RuntimeError(f"{one.command} failed: {done.stderr or done.stdout}")
                yield file_name(name, theme), page_picture.picture(driver, folder / one.page, theme, WIDTH)
    except (ImportError, FileNotFoundError) as missing:
        log.info("without pictures of web pages: %s", missing)


@contextmanager
def _chromium() -> Iterator[object]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = page_picture.start_chromium(Path(profile))
        try:
            yield driver
        finally:
            driver.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", metavar="FOLDER", help="make all pictures, in this folder")
    parser.add_argument("--steps", type=int, help="train for so many steps instead of a minute")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # says what is missing
    folder = Path(options.all or ROOT / "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = PICTURES if options.all else OF_THE_README
    found = made(wanted, of_steps(options.steps))
    for name, picture in found.items():
        (folder / name).write_bytes(picture)
    sys.exit(0 if len(found) == len(wanted) * len(THEMES) else "Not all pictures were made: see above")


def of_steps(steps: int | None) -> dict[str, str]:
    """The variables for a training of so many steps, however long they take."""
    return {} if steps is None else {"CHARRNN_MAX_STEPS": str(steps), "CHARRNN_MAX_MINUTES": "60"}


if __name__ == "__main__":
    main()
