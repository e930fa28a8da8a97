"""How well names are predicted that were not trained on.

    python benchmarks/names.py --data FOLDER [--minutes 5] [--threads 1]

FOLDER has train.txt and test.txt, one name a line: names.txt of https://github.com/karpathy/makemore (MIT),
32,033 given names, divided as that program divides it: test.txt has the first 1,000 of `torch.randperm(32033)`
after `torch.manual_seed(3407)`. That program's transformer of 200,000 parameters is reported at 1.92 nats per
character on them, as here with the end of a name counted. 5 % of the training names are held out to choose the
model, by their hash.

The line of figures has the loss in nats per character, ends counted, of test.txt, and of the names in it that
are not in train.txt. Other options are given to `charrnn train`.
"""

import argparse
from pathlib import Path

from measurement import Measurement, absent, write_lines

SETTINGS = (
    "--items line --val-fraction 0.05 --cell lstm --layers 1 --hidden 256 --embedding 24 --dropout 0.5 "
    "--batch-size 64 --seq-length 40 --lr 0.004"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path("data/names"), metavar="FOLDER")
    measured = Measurement(__doc__, "names", 5, parser)
    train, test = (measured.arguments.data / name for name in ("train.txt", "test.txt"))
    if not (train.is_file() and test.is_file()):
        absent(f"{train} or {test}", "Give --data FOLDER; --help says what is in it")
    known = set(train.read_text(encoding="utf-8").split("\n"))
    new = [name for name in test.read_text(encoding="utf-8").split("\n") if name not in known]
    run, training = measured.train(train, "run", SETTINGS)
    of_all = measured.figures("eval", test, "--model", run)
    of_new = measured.figures("eval", write_lines(measured.folder / "new.txt", new), "--model", run)
    measured.report(
        {
            "test_loss_nats": of_all["loss_nats"],
            "new_names": len(new),
            "new_names_loss_nats": of_new["loss_nats"],
            "training": training,
        }
    )


if __name__ == "__main__":
    main()
