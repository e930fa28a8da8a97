"""What results have in common: a picture in a notebook, and their rows as a data frame.

Results do not know how they are drawn. That is the work of the room `ui`, and `import charrnn` says so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

_draw: Callable[[Any], str | None] | None = None


def drawn_by(draw: Callable[[Any], str | None]) -> None:
    """Let `draw` make the HTML of every result that a notebook shows; None means that there is none."""
    global _draw
    _draw = draw


class Pictured:
    """A result that a notebook shows as a picture."""

    def _repr_html_(self) -> str | None:
        return None if _draw is None else _draw(self)


class Rows:
    """A result that has rows."""

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows, each a mapping from the names of the columns to plain values."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """The rows as a pandas DataFrame. Raises UsageError if pandas is not installed."""
        from charrnn.install.extras import require  # whose imports cost more than all others here

        with require("pandas", "to_pandas"):
            import pandas

        return pandas.DataFrame.from_records(list(self.rows()))
