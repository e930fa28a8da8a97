"""An extracted automaton on a terminal."""

from collections.abc import Iterator

from rich.text import Text

from charrnn.interpret.automaton import Automaton
from charrnn.ui.terminal.console import Console
from charrnn.ui.terminal.findings_view import Look
from charrnn.ui.terminal.letters import plain, spelled

MOST_STATES = 40


def view(found: Automaton, console: Console) -> Iterator[Text]:
    """A row per state with the characters that it allows, where they lead, and what was measured."""
    look = Look.of(console)
    symbols, machine = found.machine.symbols, found.machine
    yield Text("state   visits   may come, with its probability, and the next state", "dim")
    for k in range(min(len(machine), MOST_STATES)):
        row = Text(f"{k:>5}  {found.visits[k]:>7.1%}  ")
        for v in (machine.following[k] >= 0).nonzero()[0].tolist():
            glyph = look.glyphs.space if symbols[v] == " " else look.glyph(symbols[v])
            row.append(" ").append(glyph, "bold").append(f" {found.probabilities[k, v]:.2f}", "dim")
            row.append(spelled(f"→{machine.following[k, v]} ", console))
        yield row
    if len(machine) > MOST_STATES:
        yield Text(f"… and {len(machine) - MOST_STATES} more states; --json has them all", "dim")
    yield Text()
    for line in remarks(found, look):
        yield Text(plain(line, console))


def remarks(found: Automaton, look: Look) -> Iterator[str]:
    """What was extracted and how well it stands for the network."""
    yield (
        f"{_states(len(found.machine))}, from {found.clusters} clusters; from {found.agreement:.2%} of a "
        "cluster's states a character leads to the same cluster"
    )
    yield (
        f"on {found.held_out:,} held-out symbols machine and network allow the same characters at {found.fidelity:.2%} "
        f"of the places; the text leaves the machine at {found.lost:.2%}, where it is set to the network's state again"
    )
    yield f"loss of the machine {found.loss_nats:.4f} nats per symbol, of the network {found.network_loss_nats:.4f}"
    if (comparison := found.comparison) is None:
        return
    other, name = comparison.difference, comparison.process
    if other is None:
        yield f"equal to {name}, whose smallest machine has {_states(comparison.states)}: they allow the same texts"
        return
    text = "".join(map(look.glyph, other.text))
    after = f"after {text}" if text else "at the start"
    allowing, other_one = ("the network", name) if other.allowed_by_first else (name, "the network")
    yield (
        f"differs from {name} ({_states(comparison.states)}): {after} {allowing} allows {look.glyph(other.character)}, "
        f"{other_one} does not"
    )


def _states(count: int) -> str:
    return f"{count} {'state' if count == 1 else 'states'}"
