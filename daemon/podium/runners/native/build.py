"""Builds the programs of this folder, static, without a compiler of the system: `python build.py [folder for the results]`.

Uses the C compiler that the package `ziglang` brings. Called by setup.py when Podium is installed, and by tests. Imports nothing of Podium: it runs
before that is there. A program whose sources have not changed since it was built is left alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = {"podium-transfer": "transfer"}
FLAGS = ("-static", "-Os", "-s", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
BUILD_S_MAX = 600


def build(target: Path = HERE / "bin") -> list[Path]:
    """Make every program in `target`. Raises RuntimeError with the compiler's words."""
    made = []
    for name, folder in PROGRAMS.items():
        sources = sorted((HERE / folder).glob("*.[ch]"))
        parts = [" ".join(FLAGS).encode(), platform.machine().encode(), *(each.read_bytes() for each in sources)]
        digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
        program, stamp = target / name, target / f"{name}.sha256"
        made.append(program)
        if program.exists() and stamp.exists() and stamp.read_text() == digest:
            continue
        target.mkdir(parents=True, exist_ok=True)
        draft = target / f"{name}.draft"
        command = [sys.executable, "-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-musl", *FLAGS, "-o", str(draft)]
        command += [str(each) for each in sources if each.suffix == ".c"]
        with tempfile.TemporaryDirectory(prefix="podium-build-") as cache:
            env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S_MAX, check=False, env=env)
        if done.returncode != 0:
            raise RuntimeError(f"{name} cannot be built: {done.stderr[-2000:]}")
        draft.chmod(0o755)
        draft.replace(program)
        stamp.write_text(digest)
    return made


if __name__ == "__main__":
    for each in build(*(Path(argument) for argument in sys.argv[1:2])):
        sys.stdout.write(f"{each}\n")
