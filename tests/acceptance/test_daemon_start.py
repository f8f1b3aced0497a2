"""What a start loads: a package that only some flows, pages or settings need is not there when the daemon serves and answers its first requests."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_house import DaemonHouse

from tools.harness import free_port

LATE = {
    "argon2": "the first login with a password",
    "babel": "dates in a locale",
    "cryptography": "sealing and unsealing",
    "docker": "tasks and images in containers",
    "duckdb": "its tasks",
    "fsspec": "storage that is no directory",
    "git": "reading records of the results branch",
    "holidays": "isPublicHoliday",
    "kubernetes": "its runner",
    "amazon": "Ion",
    "markdown_it": "descriptions on pages",
    "psycopg": "PostgreSQL tasks",
    "pygments": "sources on pages",
    "requests": "nobody but docker",
    "rich": "tables of the command line; structlog would draw tracebacks with it",
    "urllib3": "HTTP of tasks",
    "watchdog": "work trees and watched directories",
    "unittest": "nobody",
}
"""Package → who loads it when it is needed."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DaemonHouse]:
    made = DaemonHouse(tmp_path, free_port())
    yield made
    made.close()


def test_the_daemon_serves_before_it_loads_what_only_some_need(house: DaemonHouse) -> None:
    house.start(PYTHONPROFILEIMPORTTIME="1")
    assert house.call("GET", "/api/v1/flows/search?size=1")["total"] == 0
    # A line is printed for what was asked for; a package that was loaded has lines of its parts.
    parts = {name for name in re.findall(r"^import time:.*\| +(\S+)$", house.log.read_text("utf-8", "replace"), re.MULTILINE) if "." in name}
    assert any(name.startswith("podium.web.") for name in parts)
    assert sorted({name.partition(".")[0] for name in parts} & set(LATE)) == []


def test_the_command_line_loads_nothing_of_the_daemon() -> None:
    """Else `serve` would come too late to load it without what it does not need."""
    code = "import sys, podium.cli.main, podium.cli.serve; print(*sorted({'aiohttp', 'structlog', 'pydantic', 'msgspec', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
