"""What a supervisor leaves behind outlives a loss of power in the right order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from podium.runners.process import supervisor

_WATCHED = """\
import json, os, runpy, sys
flushed, real = [], os.fsync
def fsync(descriptor):
    flushed.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
    real(descriptor)
os.fsync = fsync
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print(json.dumps(flushed))
"""


def test_the_lines_are_flushed_before_the_exit_code(tmp_path: Path) -> None:
    """Else a command could be known to have ended well, and its last lines be gone."""
    job = {"argv": ["sh", "-c", "echo hi"], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"}}
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, supervisor.__file__, str(tmp_path)], input=json.dumps(job), capture_output=True, text=True, check=True, timeout=30
    )
    flushed = [name.split(".")[0] for name in json.loads(done.stdout)]
    assert flushed.index("started") < flushed.index("stdout") < flushed.index("exit")
    assert flushed.index("stderr") < flushed.index("exit")
