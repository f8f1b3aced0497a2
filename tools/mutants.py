"""`make mutants`: breaks the engine in many small ways, one at a time, and says which of them no test notices.

A mutant is the tree with one change in `daemon/podium/engine`: a call dropped, a condition turned round, a state swapped, a number off by one.
Against each run the engine's unit and property tests and a stretch of the simulation, until something fails. Those of NAMED are run against the
simulation alone. Which mutants there are follows from the source and SALT, not from chance. Not on CI: it takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tools.harness import ROOT

ENGINE = Path("daemon/podium/engine")
TESTS = ("tests/unit/engine", "tests/unit/conductor/test_conductor_replaying.py", "tests/property/test_engine_commands.py",
         "tests/property/test_engine_interleavings.py", "tests/property/test_engine_total.py", "tests/property/test_engine_codec.py")
SEEDS = 100
SECONDS_MAX = 300
SHARE_MIN = 0.9
SALT = "1"
STATES = ("SUCCESS", "FAILED", "KILLED", "RUNNING", "PAUSED", "WARNING", "CREATED", "RETRYING", "CANCELLED", "RESTARTED", "SKIPPED", "KILLING")
_COMPARISONS = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in",
                ast.Is: "is not", ast.IsNot: "is"}
_SILENT = ("log", "append", "update", "setdefault")
"""Calls whose loss changes words only, or which are the same as another mutant."""

EQUIVALENT: dict[tuple[str, str], str] = {}
"""(source line, what was done to it) of mutants that change nothing → why."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the text from `start` to `end` of a file becomes `new`. line: from 1."""

    path: Path
    line: int
    kind: str
    start: int
    end: int
    new: str
    source: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ENGINE)}:{self.line} {self.kind}: {self.source.strip()}"


@dataclass(frozen=True, slots=True)
class Named:
    """A change of our own choice that the simulation itself must notice."""

    name: str
    path: str
    old: str
    new: str


NAMED = (
    Named("drop a retry", "decide/tasks.py", "    if policy.max_attempts is not None and number >= policy.max_attempts:\n", "    if True:\n"),
    Named("one attempt too many", "decide/tasks.py", "number >= policy.max_attempts", "number > policy.max_attempts"),
    Named("drop a timer", "decide/tasks.py", '    d.timer(f"{run.id}:retry:{number}", due=due)\n', ""),
    Named("a kill that kills nothing", "decide/stopping.py",
          '        d.effect(fx.KillAttempt(attempt_id=attempt_id(run.id, len(run.attempts))))\n        d.move_run(run, "KILLING")\n',
          '        d.move_run(run, "KILLING")\n'),
    Named("a limit off by one", "decide/lifecycle.py", "command.running >= limit.limit", "command.running > limit.limit"),
    Named("no errors branch", "decide/scopes.py", 'scope.has("main", "FAILED") and not _sequence(d, run, scope, "errors")', "False"),
    Named("a recovery that forgets attempts", "decide/lifecycle.py",
          "        d.effect(fx.RunAttempt(run_id=run.id, number=number, started=started))\n", ""),
)


# ---- making them
class _Sites(ast.NodeVisitor):
    """Finds the places of one file that can be changed."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.lines = text.splitlines(keepends=True)
        self.offsets = [0]
        for line in self.lines:
            self.offsets.append(self.offsets[-1] + len(line.encode()))
        self.found: list[Mutant] = []

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offsets[node.lineno - 1] + node.col_offset, self.offsets[node.end_lineno - 1] + node.end_col_offset

    def _add(self, node: ast.expr | ast.stmt, kind: str, new: str) -> None:
        start, end = self._span(node)
        self.found.append(Mutant(self.path, node.lineno, kind, start, end, new, self.lines[node.lineno - 1]))

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Call):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name not in _SILENT:
                self._add(node, "dropped", "pass")
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self._add(node.test, "turned round", f"not ({ast.unparse(node.test)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        other = _COMPARISONS.get(type(node.ops[0]))
        if other is not None and len(node.ops) == 1:
            self._add(node, f"to {other}", f"{ast.unparse(node.left)} {other} {ast.unparse(node.comparators[0])}")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word = " or " if isinstance(node.op, ast.And) else " and "
        self._add(node, f"to{word.rstrip()}", "(" + word.join(f"({ast.unparse(each)})" for each in node.values) + ")")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(node.right, ast.Constant) and isinstance(node.right.value, int):
            self._add(node, "off by one", ast.unparse(node.left))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and node.value in STATES:
            self._add(node, "another state", repr(STATES[(STATES.index(node.value) + 1) % len(STATES)]))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts stay as they are."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if not node.name.startswith("__") and node.name != "refused":
            for each in node.body:
                self.visit(each)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Ours to notice mistakes with: no behaviour."""

    def visit_Raise(self, node: ast.Raise) -> None:
        """As texts."""


def sites(root: Path) -> Iterator[Mutant]:
    """Everything that could be changed, by file and place."""
    for path in sorted((root / ENGINE).rglob("*.py")):
        relative = path.relative_to(root)
        if path.name in ("events.py", "commands.py", "effects.py", "__init__.py"):
            continue
        text = path.read_text("utf-8")
        finder = _Sites(relative, text)
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                finder.visit(node)
        yield from finder.found


def chosen(root: Path, count: int) -> list[Mutant]:
    """`count` of them, evenly by lot: the lot of a mutant follows from its source line, so that it stays when others come and go."""

    def lot(mutant: Mutant) -> str:
        return hashlib.sha256(f"{SALT}/{mutant.path}/{mutant.source.strip()}/{mutant.kind}/{mutant.new}".encode()).hexdigest()

    return sorted(sorted(sites(root), key=lot)[:count], key=lambda each: (str(each.path), each.start))


# ---- trying them
class Trees:
    """Copies of the tree, one a worker. `with trees.one() as tree`."""

    def __init__(self, folder: Path, count: int) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            tree = folder / f"tree-{number}"
            for name in ("daemon", "tests", "tools"):
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            shutil.copy(ROOT / "pyproject.toml", tree)
            self._free.put(tree)

    def run(self, path: Path, body: bytes, commands: list[list[str]]) -> tuple[str, float]:
        """By which of the commands a changed file is noticed ('' when by none), and how long that took, in seconds."""
        tree = self._free.get()
        target, began = tree / path, time.perf_counter()
        former = target.read_bytes()
        try:
            target.write_bytes(body)
            for command in commands:
                if self._fails(tree, command):
                    return ("simulation" if "tools.simulate" in command else "tests"), time.perf_counter() - began
            return "", time.perf_counter() - began
        finally:
            target.write_bytes(former)
            self._free.put(tree)

    @staticmethod
    def _fails(tree: Path, command: list[str]) -> bool:
        """Whether a command fails, or does not end. What it said is in the tree's file `said`."""
        environment = {**os.environ, "PYTHONPATH": str(tree / "daemon"), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run([sys.executable, *command], cwd=tree, env=environment, capture_output=True, timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            return True
        (tree / "said").write_bytes(done.stdout[-3000:] + done.stderr[-3000:])
        return done.returncode != 0


def commands(tree: Path, *, only_simulation: bool = False) -> list[list[str]]:
    """What is run against a mutant, quick things first."""
    tests = [each for each in TESTS if (tree / each).exists()]
    simulation = ["-m", "tools.simulate", "--seeds", str(SEEDS), "--jobs", "1", "--stop"]
    quick = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return [simulation] if only_simulation else [quick, simulation]


def main() -> int:
    """1 when fewer than SHARE_MIN of the mutants, or not all named ones, are noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--named", action="store_true", help="only those that the simulation must notice")
    asked = parser.parse_args()
    mutants = [] if asked.named else [each for each in chosen(ROOT, asked.count) if (each.source.strip(), each.kind) not in EQUIVALENT]
    if asked.list:
        sys.stdout.writelines(f"{each}\n" for each in mutants)
        return 0
    with tempfile.TemporaryDirectory(prefix="podium-mutants-") as folder, ThreadPoolExecutor(asked.jobs) as pool:
        trees = Trees(Path(folder), asked.jobs)
        if trees.run(ENGINE / "__init__.py", (ROOT / ENGINE / "__init__.py").read_bytes(), commands(ROOT))[0]:
            said = next(path for path in Path(folder).glob("*/said")).read_text("utf-8", "replace")
            sys.stdout.write(f"{said}\nthe tests fail without any mutant: mend that first\n")
            return 2
        missed = [each.name for each, by in zip(NAMED, pool.map(lambda each: _named(trees, each), NAMED), strict=True) if not by]
        survivors = []
        for each, (by, took) in zip(mutants, pool.map(lambda each: _try(trees, each), mutants), strict=True):
            sys.stdout.write(f"{by or 'SURVIVED':<10} {took:5.1f} s  {each}\n")
            sys.stdout.flush()
            if not by:
                survivors.append(each)
    return _report(mutants, survivors, missed)


def _try(trees: Trees, mutant: Mutant) -> tuple[str, float]:
    body = (ROOT / mutant.path).read_bytes()
    return trees.run(mutant.path, body[: mutant.start] + mutant.new.encode() + body[mutant.end:], commands(ROOT))


def _named(trees: Trees, named: Named) -> str:
    path = ENGINE / named.path
    text = (ROOT / path).read_text("utf-8")
    assert text.count(named.old) == 1, f"the source of '{named.name}' is not in {path} once: adapt NAMED"
    by, took = trees.run(path, text.replace(named.old, named.new).encode(), commands(ROOT, only_simulation=True))
    sys.stdout.write(f"{by or 'SURVIVED':<10} {took:5.1f} s  {named.name}\n")
    return by


def _report(mutants: list[Mutant], survivors: list[Mutant], missed: list[str]) -> int:
    share = 1 - len(survivors) / len(mutants) if mutants else 1.0
    sys.stdout.write(f"\n{len(mutants) - len(survivors)} of {len(mutants)} mutants noticed ({share:.0%})\n")
    sys.stdout.write(f"not noticed by the simulation alone, of {len(NAMED)} named ones: {', '.join(missed) or 'none'}\n")
    for each in survivors:
        sys.stdout.write(f"  survived: {each}\n            became: {each.new}\n")
    return 0 if share >= SHARE_MIN and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
