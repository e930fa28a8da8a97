"""Text on a console whose encoding may lack its letters. No character of it can act on the terminal.

Text from elsewhere is `shown`: nothing in it is replaced. A message of charrnn, which may contain file names, is
`plain`: its punctuation may be replaced. In formulas and the lesson, which are `spelled`, letters may be too.
"""

from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.glyphs import has_unicode
from charrnn.ui.terminal.output import escape

_PUNCTUATION = "× x     – -     … ...   → ->    · -"
_LETTERS = """
∂ d     Σ sum   σ sigma φ phi   ε eps   θ theta ρ rho   λ lambda   √ sqrt  ∘ *     · *     − -     ‖ |     ≈ ~     ≤ <=
≥ >=    ≠ !=    ½ 1/2   ² ^2    ᵀ ^T    ᵏ ^k    ∞ inf   ± +-    ∝ ~     ∈ in    ’ '     “ "     ” "     — -
↵ $     ← <-    ↑ ^     ↓ v     ● *     ▶ >     │ |     ─ -     ✓ ok    ✗ x     µ mu    é e     • -     ␣ _
"""


def _table(pairs: str) -> dict[int, str]:
    words = pairs.split()
    return str.maketrans(dict(zip(words[::2], words[1::2], strict=True)))


PUNCTUATION, STAND_INS = _table(_PUNCTUATION), _table(_LETTERS)


def shown(text: str, console: Console) -> str:
    """The text, with characters that the encoding lacks written as in Python's strings."""
    text = escape(text)
    if has_unicode(console):
        return text
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)


def plain(text: str, console: Console) -> str:
    """The text with × as x if the encoding has no ×."""
    return shown(text if has_unicode(console) else text.translate(PUNCTUATION), console)


def spelled(text: str, console: Console) -> str:
    """The text with σ as sigma if the encoding has no σ."""
    return plain(text if has_unicode(console) else text.translate(STAND_INS), console)
