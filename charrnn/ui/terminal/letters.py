"""Mathematical letters on a console whose encoding may lack them."""

from charrnn.ui.terminal.card import has_unicode, plain
from charrnn.ui.terminal.console import Console

_TABLE = """
∂ d     Σ sum   σ sigma φ phi   ε eps   θ theta ρ rho   √ sqrt  ∘ *     · *     − -     ‖ |     ≈ ~     ≤ <=
≥ >=    ≠ !=    ½ 1/2   ² ^2    ᵀ ^T    ᵏ ^k    ∞ inf   ± +-    ∝ ~     ∈ in    ’ '     “ "     ” "     — -
↵ $     ← <-    ↑ ^     ↓ v     ● *     ▶ >     │ |     ─ -     ✓ ok    ✗ x     µ mu    é e     • -     ␣ _
"""
_PAIRS = _TABLE.split()
STAND_INS = str.maketrans(dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True)))


def spelled(text: str, console: Console) -> str:
    """The text as this console can show it: σ becomes sigma where the encoding has no σ."""
    return plain(text if has_unicode(console) else text.translate(STAND_INS), console)
