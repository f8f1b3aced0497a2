"""Lines of both streams come in the order in which they were printed, in whatever pieces they are read, and after a crash too."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from podium.base.system.clock import SystemClock
from podium.runners.process import tail
from podium.runners.process.tail import ORDER, STREAMS, Tail


class Printer:
    """Writes as podium-supervise does: the note of a turn before the first byte of the next."""

    def __init__(self, home: Path) -> None:
        self.home, self.sums, self.last = home, [0, 0], -1
        self.printed: list[tuple[str, str]] = []
        for name in (*STREAMS, ORDER):
            (home / name).touch()

    def add(self, which: int, text: str) -> None:
        if self.last not in (-1, which):
            with (self.home / ORDER).open("ab") as file:
                file.write((self.sums[self.last] << 1 | self.last).to_bytes(8, "little"))
        with (self.home / STREAMS[which]).open("ab") as file:
            file.write(f"{text}\n".encode())
        self.last = which
        self.sums[which] += len(text) + 1
        self.printed.append((STREAMS[which], text))


@pytest.mark.parametrize("seed", range(20))
def test_lines_come_in_the_order_of_their_printing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance, printer, found = random.Random(seed), Printer(tmp_path), []
    monkeypatch.setattr(tail, "_READ_BYTES", chance.choice([8, 64, 4096]))
    monkeypatch.setattr(tail, "LINES_AT_ONCE_MAX", chance.choice([2, 5, 5000]))
    reader, cursor = Tail(tmp_path, None, SystemClock()), None
    for number in range(400):
        printer.add(int(chance.random() < 0.4), f"{number}" + "x" * chance.choice([0, 0, 30]))
        if chance.random() < 0.2:
            lines, cursor = reader.read()
            found += [(line.stream, line.text) for line in lines]
        if chance.random() < 0.05:
            reader = Tail(tmp_path, cursor, SystemClock())
    while lines := reader.read(final=True)[0]:
        found += [(line.stream, line.text) for line in lines]
    assert found == printer.printed


def test_notes_of_what_a_crash_took_away_hold_nothing_back(tmp_path: Path) -> None:
    printer = Printer(tmp_path)
    for which, text in ((0, "a"), (1, "b"), (0, "c"), (1, "d")):
        printer.add(which, text)
    (tmp_path / "stdout").write_text("a\n")
    with (tmp_path / ORDER).open("ab") as file:
        file.write(b"cut")
    reader, found = Tail(tmp_path, None, SystemClock()), []
    while lines := reader.read(final=True)[0]:
        found += [line.text for line in lines]
    assert found == ["a", "b", "d"]


def test_without_notes_standard_output_comes_first(tmp_path: Path) -> None:
    (tmp_path / "stderr").write_text("b\n")
    (tmp_path / "stdout").write_text("a\nrest")
    assert [line.text for line in Tail(tmp_path, None, SystemClock()).read(final=True)[0]] == ["a", "rest", "b"]
