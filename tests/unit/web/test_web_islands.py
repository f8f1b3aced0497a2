"""The pure parts of the pages' scripts, run by Node: changes of YAML that keep comments, completion, merging."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import podium.web

BUILD = Path(podium.web.__file__).parent / "islands" / "build.py"


def test_the_scripts_do_what_their_tests_say() -> None:
    done = subprocess.run([sys.executable, str(BUILD), "--test", str(Path(__file__).parent / "islands")], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fail 0" in done.stdout, done.stdout
