"""How many of the molecules that a model writes are valid, distinct and new.

    python benchmarks/smiles.py [--minutes 35] [--threads 1] [--count 10000] [--temp 0.9]

Trains on the 1,584,663 SMILES of the MOSES benchmark, which the package `molsets` carries, and checks with
`rdkit` what the model writes. Only the data of the first are used, so its dependencies need not be there:

    pip install --no-deps molsets==0.3.1 && pip install rdkit

As in MOSES: valid is the share that rdkit can read; unique@k is the share of different molecules among the
first k valid ones; novel is the share of the different ones that are not in the training text. Molecules are
compared in rdkit's canonical form. The training text is in the form of an older rdkit: the share of it that
today's leaves as it is stands beside the figures. MOSES reports .975, .999 and .842 for its own recurrent
network, of three layers of 768.

Other options are given to `charrnn train`.
"""

import argparse
import gzip
import importlib.util
import random
from pathlib import Path

from measurement import Measurement, absent, write_lines

SETTINGS = (
    "--items line --val-fraction 0.01 --cell lstm --layers 1 --hidden 320 --embedding 32 "
    "--batch-size 32 --seq-length 64 --lr 0.003"
)
CHECKED = 5000  # molecules of the training text whose form is checked


def training_molecules() -> list[str]:
    """The SMILES of the benchmark's training set."""
    package = importlib.util.find_spec("moses")
    if package is None or not package.submodule_search_locations:
        absent("the package molsets", "--help says how to install it")
    path = Path(package.submodule_search_locations[0], "dataset", "data", "train.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        header, *molecules = file.read().split()
    if header != "SMILES":
        raise SystemExit(f"{path} begins with {header!r}, not with SMILES: is it molsets 0.3.1?")
    return molecules


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000, help="molecules to draw")
    parser.add_argument(
        "--temp", type=float, default=0.9, help="temperature: lower is valid, higher is novel"
    )
    measured = Measurement(__doc__, "smiles", 35, parser)
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        absent("rdkit", "--help says how to install it")
    RDLogger.DisableLog("rdApp.*")

    def canonical(smiles: str) -> str | None:
        molecule = Chem.MolFromSmiles(smiles) if smiles else None
        return None if molecule is None else Chem.MolToSmiles(molecule)

    known = training_molecules()
    text = write_lines(measured.folder / "molecules.txt", known)
    run, training = measured.train(text, "run", SETTINGS)
    given = measured.arguments
    seed = given.seed
    drawn = measured.charrnn(
        "sample", "--model", run, "--count", given.count, "--temp", given.temp, "--seed", seed
    ).split("\n")[:-1]
    write_lines(measured.folder / "drawn.txt", drawn)
    valid = [found for smiles in drawn if (found := canonical(smiles)) is not None]
    different = set(valid)
    some = random.Random(seed).sample(known, CHECKED)
    measured.report(
        {
            "drawn": len(drawn),
            "valid": len(valid) / len(drawn),
            **{f"unique_at_{k}": len(set(valid[:k])) / len(valid[:k]) for k in (1000, 10_000) if valid[:k]},
            "novel": len(different - set(known)) / max(1, len(different)),
            "training_text_in_this_form": sum(canonical(smiles) == smiles for smiles in some) / CHECKED,
            "training": training,
        }
    )


if __name__ == "__main__":
    main()
