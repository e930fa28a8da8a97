"""The types in `model.js`: TypeScript finds no fault with them, and who uses the module gets what the docs say."""

import os
import subprocess
from pathlib import Path

import pytest
from helpers.node import NODE

from charrnn.exchange.to_web import module

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not NODE or "TYPESCRIPT" not in os.environ,
        reason="needs node, and TYPESCRIPT=…/node_modules/typescript/lib/tsc.js with @types/node beside it",
    ),
]

# Each line after @ts-expect-error is refused, and no other one.
USE = """
import { load, Model, Uniforms, probabilities, draw } from "./model.js";

const model: Model = await load("model.bin");
const text: string = await model.generate({
  seed: 7n, length: 200, temperature: 0.8, topK: 5, topP: 0.9, minP: 0.05, stop: ["\\n\\n"], prime: "a",
  unknown: "skip", label: { region: "north" }, input: "x",
  onCharacter: (piece, { symbol, probability, position }) => {
    const all: [string, number, number, number] = [piece, symbol, probability, position];
  },
});
// @ts-expect-error
await model.generate({ temprature: 1 });
// @ts-expect-error
await model.generate({ unknown: "guess" });
// @ts-expect-error
const promised: string = model.generate();
const held: Model = model.hold(0, 3, 0.9).hold(0, 3, null).free().reset().twin();
// @ts-expect-error
model.hold("0:3", 0.9);
const h: Float32Array = model.state[0].h;
const c: Float32Array | undefined = model.state[0].c;
// @ts-expect-error
const surely: Float32Array = model.state[0].c;
const gates: Record<string, Float32Array> = model.layers[0].gates;
const logits: Float32Array = model.read(model.vocab.encode("a")[0]);
const spelled: string = model.vocab.decode([1, 2]);
const symbol: number = draw(probabilities(model.logits, { topP: 0.9 }), new Uniforms(1, 2n).next());
"""


def diagnostics(folder: Path, *files: str) -> list[str]:
    """What tsc says of the files, strictly."""
    compiler = Path(os.environ["TYPESCRIPT"])
    types = compiler.parents[2] / "@types"
    done = subprocess.run(
        [
            *(str(NODE), str(compiler), "--noEmit", "--strict", "--allowJs", "--checkJs", "--skipLibCheck"),
            *("--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"),
            *("--lib", "es2022,dom,dom.iterable", "--typeRoots", str(types), "--types", "node", *files),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return done.stdout.splitlines()


def test_the_types_of_the_module_hold_within_it_and_for_its_users(tmp_path: Path) -> None:
    (tmp_path / "model.js").write_text(module(), encoding="utf-8")
    (tmp_path / "use.ts").write_text(USE, encoding="utf-8")
    (tmp_path / "wrong.ts").write_text("export const wrong: number = 'text';\n", encoding="utf-8")
    found = diagnostics(tmp_path, "model.js", "use.ts", "wrong.ts")
    assert [line.partition("(")[0] for line in found] == ["wrong.ts"], found
