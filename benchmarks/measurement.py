"""What measurements of trained models share: their arguments, the commands of charrnn, their line of figures."""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from suite import machine

# What suits short items: they are read whole, many side by side, in as many epochs as there is time for.
TRAINING = (
    "--optimizer adam --schedule cosine --final-lr 0 --clip-value 0 --clip-norm 40 --checkpoint-every 600"
)


class Measurement:
    """One measurement, with the arguments that all of them take. Unknown ones are given to `charrnn train`.

    about : the docstring of the script
    minutes : of training, where the command line does not say
    """

    def __init__(
        self, about: str, name: str, minutes: float, parser: argparse.ArgumentParser | None = None
    ) -> None:
        parser = parser or argparse.ArgumentParser()
        parser.description, parser.formatter_class = about, argparse.RawDescriptionHelpFormatter
        parser.add_argument("--folder", type=Path, default=Path("runs", f"measured-{name}"))
        parser.add_argument(
            "--minutes", type=float, default=minutes, help="of training; 0: as other options say"
        )
        parser.add_argument("--threads", type=int, default=1)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--trained", action="store_true", help="measure what an earlier call trained")
        self.arguments, self._settings = parser.parse_known_args()
        self.name = name
        self.folder: Path = self.arguments.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._commands: list[str] = []
        self._began = time.monotonic()

    def charrnn(self, *words: object, stdin: str | None = None) -> str:
        """The output of a command."""
        command = [str(word) for word in words]
        self._commands.append(shlex.join(["charrnn", *command]))
        print(self._commands[-1], file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "charrnn", *command],
            input=stdin,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            check=True,
        )
        return done.stdout

    def figures(self, *words: object) -> Any:
        """The result of a command, from its JSON."""
        return json.loads(self.charrnn(*words, "--json"))

    def train(
        self, text: Path, run: str, settings: str, common: str = TRAINING
    ) -> tuple[Path, dict[str, Any]]:
        """A model trained on a text, and what its training reports; after --trained that of an earlier call.

        settings : of this measurement, after the `common` ones; those of the command line override both
        """
        folder = self.folder / run
        report = self.folder / f"{run}.json"
        if not self.arguments.trained:
            words = [
                *(["--max-minutes", self.arguments.minutes] if self.arguments.minutes else []),
                *("--threads", self.arguments.threads, "--seed", self.arguments.seed),
                *("--quiet", "--force", "--out", folder),
            ]
            found = self.figures(
                "train", text, *common.split(), *shlex.split(settings), *words, *self._settings
            )
            kept = {
                name: found[name] for name in ("steps", "epochs", "seconds", "chars_per_second", "parameters")
            }
            kept |= {"val_loss_nats": found["val_loss_nats"], "command": self._commands[-1]}
            report.write_text(json.dumps(kept), encoding="utf-8")
        return folder, json.loads(report.read_text(encoding="utf-8"))

    def report(self, figures: dict[str, Any]) -> None:
        """The one line on stdout."""
        print(
            json.dumps(
                {
                    "measurement": self.name,
                    **figures,
                    "seconds": round(time.monotonic() - self._began, 1),
                    "machine": machine()["name"],
                    "commands": self._commands,
                },
                ensure_ascii=False,
            )
        )


def absent(what: str, how: str) -> NoReturn:
    """Ends a script that cannot measure."""
    print(f"skipped: {what} is not here. {how}", file=sys.stderr)
    raise SystemExit(0)


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """A text file of these lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
