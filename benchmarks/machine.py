"""What a table of figures says about the machine it is of: cores, memory, versions, and how busy it was."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version

from tools.harness import run


def facts() -> dict[str, object]:
    """For the kept results; nothing that names a person or a host."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    docker = run("docker", "version", "--format", "{{.Server.Version}}", check=False)
    return {
        "cores": os.cpu_count(), "memoryGiB": round(pages / 2**30, 1), "machine": platform.machine(), "kernel": platform.release(),
        "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "git": run("git", "--version").removeprefix("git version "),
        "docker": docker if docker[:1].isdigit() else None, "podium": version("podium"),
        "commit": run("git", "rev-parse", "--short", "HEAD", check=False),
    }


def load() -> list[float]:
    """The load of the machine over 1, 5 and 15 minutes: above the number of cores, figures are worse than they would be."""
    return [round(each, 2) for each in os.getloadavg()]
