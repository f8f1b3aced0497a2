"""Where our own programs for containers are: built from this folder by `build.py` when Podium is installed, else None."""

from __future__ import annotations

from pathlib import Path

BIN = Path(__file__).parent / "bin"


def transfer() -> Path | None:
    """podium-transfer, the entry point of containers on other machines (docs/adr/0014-remote-transfer.md)."""
    found = BIN / "podium-transfer"
    return found if found.is_file() else None
