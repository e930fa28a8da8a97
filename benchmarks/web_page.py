"""How fast the page of `charrnn export --to web` writes in headless Chromium, for three shapes of an LSTM.

    python benchmarks/web_page.py [--seconds 5] [--runs 5]

Random weights, 97 symbols, float16, pace "as fast as it can". Needs chromium, chromedriver and selenium.
Characters per second, and per second of CPU time of the whole browser, which other work on the machine changes
less: medians of runs in turns. The last line is one JSON object.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model.model import Model
from charrnn.nn.init import initialise
from charrnn.nn.network import Network
from charrnn.text.vocabulary import Vocabulary
from charrnn.ui.html.play_page import write_play

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.html_browser import Browser

SHAPES = {
    "1x192": ModelConfig("lstm", 1, 192),
    "2x512": ModelConfig("lstm", 2, 512),
    "2x512_embedded": ModelConfig("lstm", 2, 512, embedding=64),
}
VOCAB = Vocabulary.of("\n" + "".join(map(chr, range(32, 128))))


def main() -> None:
    parser = argparse.ArgumentParser(description="Characters per second that the page writes.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pages = {name: page(config, Path(folder) / name) for name, config in SHAPES.items()}
        browser = Browser(Path(folder) / "profile")
        try:
            rates = [
                {name: rate(browser, one, given.seconds) for name, one in pages.items()}
                for _ in range(given.runs)
            ]
        finally:
            browser.driver.quit()
    result: dict[str, float] = {"seconds": given.seconds, "runs": given.runs}
    for name in SHAPES:
        per_second, per_cpu_second = (round(statistics.median(run[name][k] for run in rates)) for k in (0, 1))
        print(
            f"{name:<16} {per_second:>6,} characters per second, {per_cpu_second:>6,} per second of CPU time"
        )
        result |= {f"{name}_chars_per_second": per_second, f"{name}_chars_per_cpu_second": per_cpu_second}
    print(json.dumps(result))


def page(config: ModelConfig, path: Path) -> Path:
    """The page of a fresh network of this shape."""
    network = Network(config, len(VOCAB), np.float32)
    initialise(network, np.random.default_rng(1))
    file = path.with_suffix(".safetensors")
    model = Model.of_network(network, VOCAB, {})
    model.save(file)
    write_play(path.with_suffix(".html"), file, model, "float16")
    return path.with_suffix(".html")


def rate(browser: Browser, page: Path, seconds: float) -> tuple[float, float]:
    """Characters written per second, and per second of CPU time."""
    browser.driver.get("about:blank")
    browser.driver.get(f"{page.as_uri()}#written=0&length=20000")
    browser.script("document.getElementById('pace').value = 'fast'")
    before, start = cpu_seconds(browser.driver.service.process.pid), time.perf_counter()
    browser.find("#run").click()
    time.sleep(seconds)
    browser.find("#run").click()
    wall, cpu = time.perf_counter() - start, cpu_seconds(browser.driver.service.process.pid) - before
    written = int(browser.text("#tally").split()[0].replace(",", ""))
    return written / wall, written / cpu


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all that it started and that live."""
    ticks = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
    own = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return own + sum(cpu_seconds(int(child)) for task in tasks for child in task.read_text().split())


if __name__ == "__main__":
    main()
