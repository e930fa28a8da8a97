"""Places in files against counting by hand."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import DataError
from charrnn.novelty.places import Place, places
from charrnn.text import sources
from charrnn.text.corpus import read_corpus


@pytest.mark.parametrize("newlines", ["keep", "lf"])
@pytest.mark.parametrize("block", [1, 5, 1 << 18])
def test_every_symbol_of_several_files(
    newlines: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "READ_BYTES", block)
    contents = ["\ufeffé one\r\ntwo\n\nthree", "", "four\r\nfive é\n", "\nsix"]
    names = []
    for k, content in enumerate(contents):
        names.append(str(tmp_path / f"{k}.txt"))
        Path(names[-1]).write_bytes(content.encode())
    corpus = read_corpus(names, newlines=newlines)
    text = corpus.vocabulary.decode(corpus.ids)
    expected = []
    for name, content in zip(names, contents, strict=True):
        content = content.removeprefix("\ufeff")
        if newlines == "lf":
            content = content.replace("\r\n", "\n")
        expected += [Place(name, k, content.count("\n", 0, k) + 1) for k in range(len(content))]
    assert len(expected) == len(text)
    order = np.random.default_rng(1).permutation(len(text)).tolist()
    found = places(names, [*order, 3, 3], level="char", encoding="utf-8", newlines=newlines)
    assert found == [expected[k] for k in [*order, 3, 3]]
    with pytest.raises(DataError, match="changed"):
        places(names, [1, len(text)], level="char", encoding="utf-8", newlines=newlines)


@pytest.mark.parametrize("level", ["char", "byte"])
def test_files_of_a_folder_have_a_newline_between_them(level: str, tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("1.txt", "2.txt", "3.txt")]
    for name, content in zip(names, ("one", "two\n", "three"), strict=True):
        name.write_text(content)
    assert read_corpus(tmp_path).vocabulary.decode(read_corpus(tmp_path).ids) == "one\ntwo\nthree"
    found = places(
        [*map(str, names)], [2, 3, 4, 8], level=level, encoding="utf-8", newlines="keep", joined=True
    )
    assert found == [Place(str(names[k]), offset, 1) for k, offset in ((0, 2), (0, 3), (1, 0), (2, 0))]


def test_bytes(tmp_path: Path) -> None:
    file = tmp_path / "[b].bin"
    file.write_bytes(b"\xef\xbb\xbf\xff\n\x00x")
    found = places([str(file)], [3, 4, 6], level="byte", encoding="utf-8", newlines="keep")
    assert found == [Place(str(file), 3, 1), Place(str(file), 4, 1), Place(str(file), 6, 2)]
    assert places([str(file)], [], level="byte", encoding="utf-8", newlines="keep") == []
