"""How well surnames are told apart by language, with a model that writes them and with one that only tells.

    python benchmarks/languages.py --data FOLDER [--minutes 5] [--threads 1]

FOLDER has one file a language, such as Irish.txt, with one surname a line: data/names of
https://github.com/spro/practical-pytorch (MIT), 20,050 surnames of 18 languages, of which 9,384 are Russian and
73 Vietnamese. A fifth of the lines, chosen at random, is held out; the same surname may be in several
languages.

The line of figures has accuracy and macro F1 on them of `charrnn classify`, with and without the frequencies of
the languages as the prior, of its baselines, and of a torch GRU with a linear layer on its last state, trained
end to end for the same time on the same names. Then 50 names of each language are drawn by its label, and
classified back: by the model that wrote them and by the torch classifier, which did not. Other options are
given to `charrnn train`.
"""

import argparse
import csv
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measurement import Measurement, absent

SETTINGS = (
    "--items csv --text-column name --label-column language --cell lstm --layers 1 --hidden 256 --embedding 24 "
    "--dropout 0.5 --batch-size 64 --seq-length 40 --lr 0.004"
)
COLUMNS = ("--text-column", "name", "--label-column", "language")
HELD_OUT = 0.2
MINUTES = 5
DRAWN = 50  # names of each language

Named = tuple[str, str]  # a name and its language


def named(folder: Path) -> list[Named]:
    """All names of a folder of files."""
    return [
        (name, path.stem)
        for path in sorted(folder.glob("*.txt"))
        for name in path.read_text(encoding="utf-8").split("\n")
        if name
    ]


def write_table(path: Path, rows: Sequence[Named]) -> Path:
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("name", "language"), *rows])
    return path


def agreement(found: Sequence[str], right: Sequence[str]) -> dict[str, float]:
    """Accuracy, and the mean over languages of F1 = 2 hits / (found + right)."""
    found_, right_ = np.array(found), np.array(right)
    each = [
        2 * np.sum((found_ == one) & (right_ == one)) / (np.sum(found_ == one) + np.sum(right_ == one))
        for one in sorted(set(right))
    ]
    return {"accuracy": float(np.mean(found_ == right_)), "macro_f1": float(np.mean(each))}


class TorchClassifier:
    """A GRU over the letters and a linear layer on its last state, trained by torch. A tenth chooses the best epoch."""

    HIDDEN, EMBEDDING, DROPOUT, BATCH, LR, HELD_OUT = 192, 24, 0.4, 64, 0.002, 0.1

    def __init__(
        self, rows: Sequence[Named], minutes: float, threads: int, seed: int, epochs: float = math.inf
    ) -> None:
        import torch
        from torch import nn

        self._torch = torch
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.languages = sorted({language for _, language in rows})
        self._letters = {c: k for k, c in enumerate(sorted({c for name, _ in rows for c in name}), start=1)}

        class Network(nn.Module):
            def __init__(self, letters: int, languages: int) -> None:
                super().__init__()
                of = TorchClassifier
                self.embedding = nn.Embedding(letters + 1, of.EMBEDDING, padding_idx=0)
                self.gru = nn.GRU(of.EMBEDDING, of.HIDDEN, batch_first=True)
                self.dropout, self.head = nn.Dropout(of.DROPOUT), nn.Linear(of.HIDDEN, languages)

            def forward(self, ids: Any, lengths: Any) -> Any:
                states, _ = self.gru(self.embedding(ids))
                return self.head(self.dropout(states[torch.arange(len(ids)), lengths - 1]))

        self._network = Network(len(self._letters), len(self.languages))
        order = list(rows)
        random.Random(seed).shuffle(order)
        held = round(self.HELD_OUT * len(order))
        self._fit(order[held:], order[:held], minutes, seed, epochs)

    def _fit(
        self, rows: Sequence[Named], chosen_by: Sequence[Named], minutes: float, seed: int, epochs: float
    ) -> None:
        torch, network, rng = self._torch, self._network, random.Random(seed)
        optimizer = torch.optim.Adam(network.parameters(), self.LR)
        loss_of = torch.nn.CrossEntropyLoss()
        rows, best, kept = list(rows), -1.0, {}
        until = time.monotonic() + 60 * minutes
        self.epochs = 0
        while time.monotonic() < until and self.epochs < epochs:
            rng.shuffle(rows)
            network.train()
            for start in range(0, len(rows), self.BATCH):
                batch = rows[start : start + self.BATCH]
                target = torch.tensor([self.languages.index(language) for _, language in batch])
                loss = loss_of(network(*self._ids([name for name, _ in batch])), target)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 5)
                optimizer.step()
                if time.monotonic() > until:
                    break
            self.epochs += 1
            hits = agreement(
                self.classify([n for n, _ in chosen_by]), [language for _, language in chosen_by]
            )
            if hits["accuracy"] > best:
                best = hits["accuracy"]
                kept = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(kept)

    def _ids(self, names: Sequence[str]) -> tuple[Any, Any]:
        lengths = [max(1, len(name)) for name in names]
        ids = np.zeros((len(names), max(lengths)), np.int64)
        for row, name in zip(ids, names, strict=True):
            row[: len(name)] = [self._letters.get(c, 0) for c in name]
        return self._torch.from_numpy(ids), self._torch.tensor(lengths)

    def classify(self, names: Sequence[str]) -> list[str]:
        """The likeliest language of each name."""
        self._network.eval()
        with self._torch.no_grad():
            return [self.languages[k] for k in self._network(*self._ids(names)).argmax(1).tolist()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("data/names-by-language"), metavar="FOLDER")
    parser.add_argument(
        "--torch-minutes", type=float, help="of training the torch classifier; default: --minutes"
    )
    measured = Measurement(__doc__, "languages", MINUTES, parser)
    given = measured.arguments
    rows = named(given.data)
    if not rows:
        absent(f"a file such as {given.data}/Irish.txt", "Give --data FOLDER; --help says what is in it")
    random.Random(given.seed).shuffle(rows)
    held = round(HELD_OUT * len(rows))
    training, test = rows[held:], rows[:held]
    run, trained = measured.train(write_table(measured.folder / "train.csv", training), "run", SETTINGS)
    minutes = given.torch_minutes or given.minutes or MINUTES
    torch = TorchClassifier(training, minutes, given.threads, given.seed)

    def classified(table: Path, *more: str) -> dict[str, Any]:
        words = (*COLUMNS, "--model", run, "--unknown", "nearest", "--summary", *more)
        found = measured.figures("classify", table, *words)
        return {name: found[name] for name in ("accuracy", "macro_f1", "baselines")}

    of_test = write_table(measured.folder / "test.csv", test)
    drawn = [
        (name, language)
        for language in torch.languages
        for name in measured.charrnn(
            "sample", "--model", run, "--label", language, "--count", DRAWN, "--seed", given.seed
        ).split("\n")[:-1]
    ]
    names, languages = [name for name, _ in drawn], [language for _, language in drawn]
    measured.report(
        {
            "names": len(test),
            "model": classified(of_test),
            "model_uniform_prior": classified(of_test, "--prior", "uniform"),
            "torch": agreement(torch.classify([name for name, _ in test]), [language for _, language in test])
            | {"epochs": torch.epochs},
            "drawn_by_model": classified(
                write_table(measured.folder / "drawn.csv", drawn), "--prior", "uniform"
            ),
            "drawn_by_torch": agreement(torch.classify(names), languages),
            "training": trained,
        }
    )


if __name__ == "__main__":
    main()
