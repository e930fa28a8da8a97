"""How well labelled texts were classified."""

from collections.abc import Iterator

from charrnn.score.classify import Report
from charrnn.ui.terminal.tables import lines

IN_TABLE = 8  # most labels whose confusion is shown as a table
MOST_ERRORS = 10  # most pairs of labels shown otherwise


def report_lines(report: Report) -> Iterator[str]:
    """Accuracy and macro F1 beside the baselines, and which labels were taken for which."""
    yield f"{report.texts:,} texts of {len(report.labels)} labels"
    named = [
        ("model", report.model),
        ("character n-grams", report.ngrams),
        (f"always {report.majority_label}", report.majority),
    ]
    rows = [(name, f"{one.accuracy:.1%}", f"{one.macro_f1:.3f}") for name, one in named if one is not None]
    yield from lines([("", "right", "macro F1"), *rows], gap=3)
    told = sorted({label for counts in report.confusion.values() for label in counts} | report.labels.keys())
    yield ""
    if len(told) <= IN_TABLE:
        counted = [
            (label, *(f"{counts.get(other, 0):,}" for other in told))
            for label, counts in report.confusion.items()
        ]
        yield from lines([("right \\ told", *told), *counted], gap=3)
        return
    wrong = [
        (count, label, other)
        for label, counts in report.confusion.items()
        for other, count in counts.items()
        if other != label
    ]
    yield "most frequent errors:"
    for count, label, other in sorted(wrong, key=lambda one: (-one[0], *one[1:]))[:MOST_ERRORS]:
        yield f"{count:>7,}  {label} taken for {other}"
