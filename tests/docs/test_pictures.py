"""The pictures of the docs have what a terminal shows, and those of the README are of today's screens."""

import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("pyte")
import pictures
import terminal_picture
from helpers.command_line import charrnn
from terminal_picture import COLUMN, GROUND, INK, PAD, ROW, Piece, Terminal

from charrnn.ui.terminal import findings_view, surprise
from charrnn.ui.terminal.colours import PALETTES, luminance

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"
PAGES = sorted((ROOT / "docs").glob("*.md"))
SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 60_000  # bytes of a picture that the repository keeps


def written(text: str, theme: str = "dark", columns: int = 20) -> Terminal:
    terminal = Terminal(columns, theme=theme)
    terminal.feed(text.encode())
    return terminal


def texts(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}text"))


def words(svg: str) -> str:
    return " ".join(element.text or "" for element in texts(svg))


# ---- A screen as a picture


def test_pieces_have_the_colours_of_the_terminal() -> None:
    shown = written("a\x1b[1;38;5;94mbold\x1b[0m\x1b[7mback\x1b[27m\x1b[48;5;214m \x1b[0m\x1b[31mred")
    assert shown.pieces() == [
        [
            Piece(0, 1, "a", INK["dark"]),
            Piece(1, 4, "bold", "#875f00", None, "b"),
            Piece(5, 4, "back", GROUND["dark"], INK["dark"]),
            Piece(9, 1, " ", INK["dark"], "#ffaf00"),
            Piece(10, 3, "red", terminal_picture.NAMED["dark"]["red"]),
        ]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_dim_characters_are_paler_and_the_colour_2_is_not_dim(theme: str) -> None:
    [[dim, plain]] = written("\x1b[2mdim\x1b[22m\x1b[38;5;2mno", theme).pieces()
    ink, ground = luminance(INK[theme]), luminance(GROUND[theme])
    assert min(ink, ground) < luminance(dim.ink) < max(ink, ground)
    assert plain.ink == "#00cd00"


def test_what_is_drawn_anew_replaces_what_was_there() -> None:
    assert written("one\r\ntwo\r\n\x1b[2A\x1b[2Kthree\r\n").lines() == ["three", "two"]


def test_a_picture_has_each_character_at_its_place() -> None:
    svg = terminal_picture.picture(written("ab <&>\r\n  海!"), 'say "<hi>"')
    shown = {element.text: element for element in texts(svg)}
    assert list(shown) == ['$ say "<hi>"', "ab <&>", "海", "!"]
    for text, column, columns, row in (("ab <&>", 0, 6, 2), ("海", 2, 2, 3), ("!", 4, 1, 3)):
        place = shown[text]
        assert float(place.get("x", "")) == pytest.approx(PAD + column * COLUMN)
        assert float(place.get("textLength", "")) == pytest.approx(columns * COLUMN)
        assert (float(place.get("y", "")) - PAD) // ROW == row
    root = ElementTree.fromstring(svg)
    assert float(root.get("width", "")) == pytest.approx(2 * PAD + 20 * COLUMN)
    assert float(root.get("height", "")) == 2 * PAD + 4 * ROW


def test_a_long_command_goes_on_below() -> None:
    shown = texts(terminal_picture.picture(written("x"), "one two --three four"))
    assert [element.text for element in shown] == ["$ one two --three", "four", "x"]
    assert float(shown[1].get("x", "")) == pytest.approx(PAD + 4 * COLUMN)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_command_sees_a_terminal_of_this_size_and_theme(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.stdout.isatty(), *os.get_terminal_size(), os.environ['CHARRNN_THEME'])"
    shown = terminal_picture.shown(python(code), 90, 30, "light", folder=tmp_path)
    assert shown.lines() == ["True 90 30 light"]


def test_a_screen_is_kept_when_it_is_enough(tmp_path: Path) -> None:
    """The command draws anew only after its first drawing was seen."""
    code = (
        "import os, time\nprint('one', flush=True)\n"
        "while not os.path.exists('seen'): time.sleep(0.01)\nprint('two', flush=True)"
    )

    def enough(rows: list[str]) -> bool:
        if rows == ["one"]:
            (tmp_path / "seen").touch()
        return rows == ["one"]

    assert terminal_picture.shown(python(code), folder=tmp_path, enough=enough).lines() == ["one"]


def test_a_command_that_fails_makes_no_picture(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        terminal_picture.shown(python("print('why'); raise SystemExit(3)"), folder=tmp_path)
    assert (failed.value.returncode, failed.value.output) == (3, "why")


def test_commands_have_the_variables_of_the_pictures_and_no_setting_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader who repeats the command has no CHARRNN_HIDDEN of whoever built the site."""
    for name in ("CHARRNN_HIDDEN", "CHARRNN_CACHE", "CHARRNN_THEME"):
        monkeypatch.setenv(name, "ours")
    named = "env | sed -n 's/^CHARRNN_//p' | sort"
    shown = {"train": pictures.Screen(named), "page": pictures.WebPage(f"{named} > page", "page")}
    monkeypatch.setattr(pictures, "PICTURES", shown)
    monkeypatch.setattr(pictures, "_chromium", nullcontext)
    monkeypatch.setattr(
        pictures.page_picture, "picture", lambda driver, page, theme, width: page.read_bytes()
    )
    made = pictures.made(shown, {"CHARRNN_MAX_STEPS": "20"})
    assert made["page.dark.png"] == b"CACHE=ours\nMAX_STEPS=20\n"
    assert "CACHE=ours MAX_STEPS=20 THEME=dark" in words(made["train.dark.svg"].decode())


# ---- Where they stand


def test_a_picture_stands_where_the_page_has_room_for_it() -> None:
    page = 'a\n<!-- picture: info -->\n<picture>\n<img src="images/cell.light.svg">\n</picture>\nb'
    assert pictures.placed(page, lambda name: False) == page
    assert pictures.placed(page, lambda name: True) == (
        "a\n![charrnn info: a terminal](pictures/info.light.svg#only-light)\n"
        "![charrnn info: a terminal](pictures/info.dark.svg#only-dark)\n"
        f"![{pictures.told('cell')}](pictures/cell.light.svg#only-light)\n"
        f"![{pictures.told('cell')}](pictures/cell.dark.svg#only-dark)\nb"
    )


def test_every_picture_has_a_place() -> None:
    found = [a or b for page in PAGES for a, b in pictures.PLACE.findall(page.read_text(encoding="utf-8"))]
    assert set(found) == set(pictures.PICTURES)


def test_the_commands_of_pictures_are_commands() -> None:
    for one in pictures.PICTURES.values():
        for command in re.findall(r"charrnn ([\w-]+)", one.command):
            assert charrnn(command, "--help").code == 0


def test_a_picture_that_could_not_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "made", lambda names, variables: {"train.light.svg": b"<svg/>"})
    monkeypatch.setattr(sys, "argv", ["pictures.py", "--all", str(tmp_path)])
    with pytest.raises(SystemExit, match="Not all pictures were made"):
        pictures.main()
    assert [file.name for file in tmp_path.iterdir()] == ["train.light.svg"]


# ---- Those of the README


def kept(name: str, theme: str) -> str:
    return (IMAGES / pictures.file_name(name, theme)).read_text(encoding="utf-8")


def test_the_readme_shows_them_light_and_dark() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = {"light": re.findall(r'src="docs/images/(.*?)"', readme)}
    shown["dark"] = re.findall(r'prefers-color-scheme: dark\)" srcset="docs/images/(.*?)"', readme)
    for theme, files in shown.items():
        assert files == [pictures.file_name(name, theme) for name in pictures.OF_THE_README]
        assert {file.name for file in IMAGES.iterdir()} >= set(files)


@pytest.mark.parametrize("theme", pictures.THEMES)
@pytest.mark.parametrize("name", pictures.OF_THE_README)
def test_a_kept_picture_is_small_readable_and_of_this_palette(name: str, theme: str) -> None:
    svg = kept(name, theme)
    assert len(svg.encode()) < LARGEST
    assert not re.search(r"/home|/root|/tmp|/work|/Users|20\d\d-?\d\d-?\d\d", svg)
    palette = {GROUND[theme], terminal_picture.FRAME[theme]}
    palette |= {colour for style in PALETTES[theme].values() for colour in re.findall(r"#\w{6}", style)}
    rects = [element.get("fill") for element in ElementTree.fromstring(svg).iter(f"{SVG}rect")]
    assert set(rects) <= palette
    for element in texts(svg):
        ink = element.get("fill", "")
        if re.search(r"\w", element.text or "") and ink not in (
            "#000000",
            "#ffffff",
        ):  # those are on a ground
            both = sorted((luminance(ink), luminance(GROUND[theme])))
            assert (both[1] + 0.05) / (both[0] + 0.05) > 4.5, element.text


@pytest.mark.parametrize("theme", pictures.THEMES)
def test_kept_pictures_are_of_todays_screens(theme: str) -> None:
    training, cell = words(kept("train", theme)), words(kept("cell", theme))
    for label in ("elapsed", "remaining", "step", "speed", "train", "validate", "best", "sample"):
        assert label in training
    assert surprise.legend(coloured=True).plain.split(":")[0] in words(kept("surprise", theme))
    header = re.search(r"concept +cell.*?controls", cell)
    assert header
    assert set(header[0].split()) <= set(findings_view.COLUMNS)
    for words_of_note in re.findall(r"(\w+): ", findings_view.NOTE + findings_view.NOTE_ON_HOLDING):
        assert f"{words_of_note}:" in cell
