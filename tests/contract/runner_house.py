"""What tests of runners share."""

from __future__ import annotations

from collections.abc import Sequence

from podium.runners.port import Line


class Sink:
    """Keeps what a runner hands over."""

    def __init__(self) -> None:
        self.kept: list[Line] = []
        self.at: str | None = None

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        self.kept += lines
        self.at = cursor or self.at

    async def cursor(self) -> str | None:
        return self.at

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.kept]
