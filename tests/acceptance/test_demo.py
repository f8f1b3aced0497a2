"""`make run` from the inside: the demo does the main job, says so by its exit code, and leaves nothing running."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.docker, pytest.mark.slow]


def demo(folder: Path, port: int, *more: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tools.demo", "--folder", str(folder), "--port", str(port), *more]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_demo_ends_with_a_record_in_the_bare_repository(tmp_path: Path, free_port: int, images: Any) -> None:
    process = demo(tmp_path / "demo", free_port, "--once")
    said, _ = process.communicate(timeout=170)
    assert process.returncode == 0, said
    execution_id = re.search(r"execution (\w{22})", said)
    assert execution_id, said
    bare = tmp_path / "demo" / "flows.git"
    paths = subprocess.run(["git", "ls-tree", "-r", "--name-only", "results"], cwd=bare, capture_output=True, text=True, check=True).stdout.split()
    (path,) = [each for each in paths if each.endswith(f"{execution_id[1]}.json")]
    record = json.loads(subprocess.run(["git", "show", f"results:{path}"], cwd=bare, capture_output=True, text=True, check=True).stdout)
    assert record["execution"]["state"]["current"] == "SUCCESS"
    for part in ("remote: podium: deployed", "hello Ada, you called a webhook", '"schema": 1', "git log results", "1 execution: 1 SUCCESS"):
        assert part in said
    daemon = re.search(r"process (\d+)", said)
    assert daemon, said
    assert is_gone(int(daemon[1]))


def test_demo_stays_up_until_it_is_told_and_a_second_one_is_refused(tmp_path: Path, free_port: int, images: Any) -> None:
    first = demo(tmp_path / "demo", free_port)
    assert first.stdout is not None
    said = ""
    for line in first.stdout:
        said += line
        if "Ctrl-C ends the demo" in line:
            break
    try:
        second = demo(tmp_path / "demo", free_port, "--once")
        refused, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "a demo runs already" in refused
        assert first.poll() is None, said
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    daemon = re.search(r"process (\d+)", said)
    assert daemon, said
    assert is_gone(int(daemon[1]))
