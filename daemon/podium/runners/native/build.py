"""Builds the programs of this folder, static, without a compiler of the system: `python build.py [folder for the results]`.

Uses the C compiler that the package `ziglang` brings, for each kind of machine that containers may run on. Called by setup.py when Podium is
installed, and by tests. Imports nothing of Podium: it runs before that is there. A program whose sources have not changed is left alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARCHES = ("x86_64", "aarch64")
PROGRAMS: dict[str, Sequence[str]] = {
    "podium-transfer": ("transfer/*.[ch]",),
    "podium-supervise": ("supervise/*.[ch]", "transfer/transfer.h", "transfer/archive.c", "transfer/text.c", "transfer/http.c"),
}
"""Name → its sources."""
FLAGS = ("-static", "-Os", "-s", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
BUILD_S_MAX = 600


def build(target: Path = HERE / "bin", *, arches: Sequence[str] = (platform.machine(),)) -> list[Path]:
    """Make every program in `target/<machine>` for these kinds of machine, by default this one. Raises RuntimeError with the compiler's words."""
    made = []
    with tempfile.TemporaryDirectory(prefix="podium-build-") as cache:
        for arch in arches:
            made += [_build_one(target / arch, name, patterns, arch, cache) for name, patterns in PROGRAMS.items()]
    return made


def _build_one(target: Path, name: str, patterns: Sequence[str], arch: str, cache: str) -> Path:
    sources = sorted({source for pattern in patterns for source in HERE.glob(pattern)})
    parts = [" ".join(FLAGS).encode(), arch.encode(), *(each.read_bytes() for each in sources)]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    program, stamp = target / name, target / f"{name}.sha256"
    if program.exists() and stamp.exists() and stamp.read_text() == digest:
        return program
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f"{name}.{os.getpid()}"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{arch}-linux-musl", *FLAGS, "-o", str(draft)]
    command += [str(each) for each in sources if each.suffix == ".c"]
    env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False, env=env)
    if done.returncode != 0:
        raise RuntimeError(f"{name} cannot be built for {arch}: {done.stderr[-2000:]}")
    draft.chmod(0o755)
    draft.replace(program)
    stamp.write_text(digest)
    return program


if __name__ == "__main__":
    for each in build(*(Path(argument) for argument in sys.argv[1:2])):
        sys.stdout.write(f"{each}\n")
