"""Do the tests notice when the maths changes? One small change at a time, and the tests of that module after each.

    .venv/bin/python tests/mutants.py                        # every module of TESTS: an hour or two
    .venv/bin/python tests/mutants.py nn/lstm nn/gru         # these alone
    .venv/bin/python tests/mutants.py --sample 100 --seed 1  # so many, drawn at random

A mutant is the module with one operator, comparison, constant or sign changed, or one statement left out. It lives
in a process of its own, in place of the module as it stands on disk, which stays as it is. A mutant that all tests
pass survives: either a test is missing, or the change makes no difference and EQUIVALENT says why. Survivors are
written to stdout, one a line; the exit code is 1 when there are any.
"""

import argparse
import ast
import os
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis  # noqa: F401 - this and the next two here once, not in every process anew
import numpy as np  # noqa: F401
import pytest
import torch  # noqa: F401

ROOT = Path(__file__).parents[1]

# module -> the tests that speak of it, the quickest to notice first
NN = "tests/nn/test_network.py tests/nn/test_gradients.py tests/nn/test_init.py tests/nn/test_torch_parity.py"
TESTS = {
    "nn/linear": f"tests/nn/test_linear.py {NN}",
    "nn/rnn": NN,
    "nn/lstm": NN,
    "nn/gru": NN,
    "nn/network": NN,
    "nn/loss": f"tests/nn/test_loss.py {NN}",
    "nn/init": "tests/nn/test_init.py",
    "nn/gradcheck": "tests/nn/test_gradients.py",
    "nn/sigmoid": NN,
    "nn/buffers": f"tests/nn/test_buffers.py {NN}",
    "nn/optimizers": "tests/nn/test_optimizers.py",
    "nn/clipping": "tests/nn/test_clipping.py",
    "training/schedules": "tests/training/test_schedules.py",
    "interpret/scores": "tests/interpret/test_scores.py",
    "interpret/chance": "tests/interpret/test_chance.py",
    "interpret/cause": "tests/interpret/test_cause.py",
}

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
FUNCTIONS = {
    "multiply": "divide",
    "divide": "multiply",
    "add": "subtract",
    "subtract": "add",
    "abs": "positive",
}
FUNCTIONS |= {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "argmax": "argmin"}
FUNCTIONS |= {
    "any": "all",
    "all": "any",
    "logical_or": "logical_and",
    "sum": "mean",
    "mean": "sum",
    "median": "mean",
}
FUNCTIONS |= {"std": "var", "zeros": "ones", "exp": "expm1", "log": "log1p", "sqrt": "cbrt", "tanh": "sin"}

# module -> {change: why no test can notice it}
EQUIVALENT: dict[str, dict[str, str]] = {
    "nn/network": {
        "return dict(zip(self.params, pairwise([0, *stops]), strict=True))  ->  "
        "return dict(zip(self.params, pairwise([0, *stops]), strict=False))": "there is a stop for each of the params",
        "bare = self.cell.parameter_shapes(1, 1)  ->  bare = self.cell.parameter_shapes(2, 1)": "the names alone count",
        "bare = self.cell.parameter_shapes(1, 1)  ->  bare = self.cell.parameter_shapes(1, 2)": "as above",
        "buffers = self._buffers.pop((T, B), None) or [Buffers() for _ in range(self.config.layers + 1)]  ->  "
        "buffers = self._buffers.pop((T, B), None) or [Buffers() for _ in range(self.config.layers + 2)]": "one set is "
        "empty and stays so",
    },
    "nn/clipping": {
        "if norm and grad_norm > norm:  ->  if norm and grad_norm >= norm:": "at the limit the factor is 1",
        "if value and grad_norm > value:  ->  if value and grad_norm >= value:": "at the limit no number is over it",
    },
    "nn/optimizers": {
        "BLOCK = 2 ** 17  ->  BLOCK = 2 * 17": "how many numbers are changed at once; each has a step of its own",
        "BLOCK = 2 ** 17  ->  BLOCK = 3 ** 17": "as above",
        "BLOCK = 2 ** 17  ->  BLOCK = 2 ** 18": "as above",
    },
    "interpret/scores": {
        "BLOCK = 32  ->  BLOCK = 33": "how many cells are ranked at once; each has a row of its own",
        "for row, (x, order) in enumerate(zip(block, orders, strict=True)):  ->  "
        "for row, (x, order) in enumerate(zip(block, orders, strict=False)):": "orders has block's shape",
        "ranks = np.zeros((BLOCK, N))  ->  ranks = np.ones((BLOCK, N))": "what is not overwritten has the weight 0",
        "y -= y.mean() if len(y) else 0.0  ->  y -= y.mean() if len(y) else 1.0": "y is empty",
        "on = values if kind == 'bool' else values > (np.median(values[mask]) if mask.any() else 0)  ->  "
        "on = values if kind == 'bool' else values > (np.median(values[mask]) if mask.any() else 1)": "nothing counts",
        "member = (bins[:, None] == np.arange(len(counts))).astype(np.float32)  ->  member = (bins[:, None] != "
        "np.arange(len(counts))).astype(np.float32)": "as x sums to 0, the squares are the same",
        "truth, on, size = (truth[places], on[places], bins.max() + 1)  ->  "
        "truth, on, size = (truth[places], on[places], bins.max() + 2)": "an age that no place has",
    },
    "interpret/chance": {
        "CELLS_AT_ONCE = 16  ->  CELLS_AT_ONCE = 17": "how many cells at once; each has a row of its own",
        "for k, (w, kind) in enumerate(zip(spectra, kinds, strict=True)):  ->  "
        "for k, (w, kind) in enumerate(zip(spectra, kinds, strict=False)):": "each label that has weights has both",
    },
    "interpret/cause": {
        "BATCH = 480  ->  BATCH = 481": "how many windows run side by side; each has a column of its own",
        "distance = np.sum(((features - features[:, [cell]]) / np.where(scale > 0, scale, 1)) ** 2, axis=0)  ->  "
        "distance = np.mean(((features - features[:, [cell]]) / np.where(scale > 0, scale, 1)) ** 2, axis=0)": "halves "
        "have the same order",
        "distance = np.sum(((features - features[:, [cell]]) / np.where(scale > 0, scale, 1)) ** 2, axis=0)  ->  "
        "distance = np.sum(((features - features[:, [cell]]) / np.where(scale > 0, scale, 2)) ** 2, axis=0)": "of a "
        "constant feature all differences are 0",
    },
}


MEMORY = 8 << 30  # bytes for one mutant, which may ask for any number of them
SKIPPED = (ast.Raise, ast.Assert, ast.JoinedStr)  # words for people, and what only guards
SKIPPED_FIELDS = ("annotation", "returns", "decorator_list")


@dataclass(frozen=True)
class Mutant:
    """line : of the statement that is changed; change : the statement before and after; code : the module"""

    module: str
    line: int
    change: str
    code: CodeType

    def __str__(self) -> str:
        return f"charrnn/{self.module}.py:{self.line}: {self.change}"


def mutants(module: str) -> Iterator[Mutant]:
    """All mutants of a module, from its first line to its last."""
    path = ROOT / "charrnn" / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement, owner, field, other in changes(tree, tree):
        kept, before = getattr(owner, field), words(statement)
        setattr(owner, field, other)
        after = "pass" if isinstance(other, list) and field != "ops" else words(statement)
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
        setattr(owner, field, kept)
        yield Mutant(module, statement.lineno, f"{before}  ->  {after}", code)


def words(statement: ast.AST) -> str:
    """A statement on one line; of a compound one its head."""
    return ast.unparse(statement).splitlines()[0]


def changes(node: ast.AST, statement: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, str, object]]:
    """(statement, node, name of its field, another value of it) for every change below `node`."""
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in OPERATORS:
            yield statement, node, "op", OPERATORS[type(op)]()
        case ast.Compare(ops=[op, *others]) if type(op) in OPERATORS:
            yield statement, node, "ops", [OPERATORS[type(op)](), *others]
        case ast.UnaryOp():
            yield statement, node, "op", ast.UAdd()
        case ast.Constant(value=bool(value)):
            yield statement, node, "value", not value
        case ast.Constant(value=int(value) | float(value)) if value + 1 != value:
            yield statement, node, "value", value + 1
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in FUNCTIONS:
            yield statement, node, "attr" if isinstance(node, ast.Attribute) else "id", FUNCTIONS[name]
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for n, child in enumerate(children):
            if not isinstance(child, ast.AST) or isinstance(child, SKIPPED) or field in SKIPPED_FIELDS:
                continue
            if is_rest(node, child):
                continue
            if can_go(child):
                yield child, node, field, [*children[:n], ast.Pass(), *children[n + 1 :]]
            yield from changes(child, child if isinstance(child, ast.stmt) else statement)


def is_rest(node: ast.AST, child: ast.AST) -> bool:
    """Whether `child` is the -1 of a reshape, which any negative number could be."""
    match node:
        case ast.Call(func=ast.Attribute(attr="reshape")):
            return ast.unparse(child) == "-1"
    return False


def can_go(node: ast.AST) -> bool:
    """Whether the statement may be left out: an assignment, a call, an `if` without `else`, the end of a round."""
    match node:
        case ast.Expr(value=ast.Call()) | ast.Assign() | ast.AugAssign() | ast.If(orelse=[]) | ast.Continue():
            return True
    return False


def notice(mutant: Mutant | None, tests: list[str], seconds: int) -> bool:
    """Whether any test fails, in a process of its own, which has so much processor time and MEMORY."""
    if not (child := os.fork()):
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if mutant:
            sys.meta_path.insert(0, InPlaceOf(f"charrnn.{mutant.module.replace('/', '.')}", mutant.code))
        options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported already
        os._exit(any(pytest.main([*options, file]) for file in tests))  # the first that fails is the last
    return os.waitpid(child, 0)[1] != 0


class InPlaceOf(SourceFileLoader):
    """Finds and loads a module with other code than its file's."""

    def __init__(self, name: str, code: CodeType) -> None:
        super().__init__(name, "")
        self.code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None
        spec.loader = self
        return spec

    def get_code(self, fullname: str) -> CodeType:
        return self.code


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as nn/lstm; all by default")
    parser.add_argument(
        "--sample", type=int, default=0, metavar="N", help="mutants to draw of each module; 0 is all"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    survivors = 0
    for module in arguments.modules or TESTS:
        tests = TESTS[module].split()
        started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if notice(None, tests, seconds=3600):
            parser.error(f"the tests of {module} fail as it is: {TESTS[module]}")
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - started
        known, every = EQUIVALENT.get(module, {}), list(mutants(module))
        if gone := known.keys() - {mutant.change for mutant in every}:
            parser.error(f"{module} has no longer what EQUIVALENT lists: {'; '.join(gone)}")
        found = [mutant for mutant in every if mutant.change not in known]
        if 0 < arguments.sample < len(found):
            found = random.Random(arguments.seed).sample(found, arguments.sample)
        lived = 0
        for mutant in found:
            if not notice(mutant, tests, int(3 * seconds) + 10):
                print(mutant, flush=True)
                lived += 1
        print(f"{module}: {lived} of {len(found)} mutants survive", file=sys.stderr, flush=True)
        survivors += lived
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
