"""Where our own programs for containers are: built from this folder by `build.py` when Podium is installed, else None."""

from __future__ import annotations

import platform
from pathlib import Path

BIN = Path(__file__).parent / "bin"
_ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}


def binary(name: str, arch: str | None = None) -> Path | None:
    """The program `name` for a kind of machine, as the kernel or an image names it (x86_64, amd64 …); None means this one."""
    arch = arch or platform.machine()
    found = BIN / _ARCHES.get(arch, arch) / name
    return found if found.is_file() else None


def transfer() -> Path | None:
    """podium-transfer, the entry point of containers on other machines (docs/adr/0014-remote-transfer.md)."""
    return binary("podium-transfer")


def supervise(arch: str | None = None) -> Path | None:
    """podium-supervise, the entry point of containers on this machine (docs/adr/0015-supervisor-and-pool.md)."""
    return binary("podium-supervise", arch)
