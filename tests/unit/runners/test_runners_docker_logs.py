"""The cursor of container logs: whatever the point of a crash, and whatever the clock does, each entry is handed on once."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from podium.base.limits import COMMAND_LINE_BYTES_MAX
from podium.runners.docker.logs import LogReader

Entry = tuple[int, datetime, bytes]
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def frame(entry: Entry) -> bytes:
    stream, at, text = entry
    body = at.strftime("%Y-%m-%dT%H:%M:%S.%f").encode() + b"000Z " + text
    return bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


class Engine:
    """The engine's file: gives what is not older than a second, in the order of the file."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries

    def since(self, second: int, *, upto: int | None = None) -> bytes:
        return b"".join(frame(each) for each in self.entries[:upto] if each[1].timestamp() >= second)


def entries(seed: int, *, count: int = 400, backwards: bool = False) -> list[Entry]:
    chance = random.Random(seed)
    now, last = START, {1: START, 2: START}
    made: list[Entry] = []
    for number in range(count):
        stream = chance.choice((1, 2))
        now += timedelta(milliseconds=chance.choice((0, 0, 1, 40, 900, 3_000)))
        if backwards and number == count // 2:
            now -= timedelta(seconds=30)
            last = {1: now, 2: now}
        last[stream] = max(last[stream], now - timedelta(milliseconds=chance.choice((0, 0, 5, 1_500))))
        parts = [f"{number}.{part}|".encode() for part in range(chance.choice((1, 1, 1, 3)))]
        made += [(stream, last[stream], part) for part in [*parts[:-1], parts[-1] + b"\n"]]
    return made


def expected(made: list[Entry]) -> dict[str, list[str]]:
    texts: dict[int, bytes] = {1: b"", 2: b""}
    for stream, _, text in made:
        texts[stream] += text
    return {name: texts[stream].decode().splitlines() for name, stream in (("stdout", 1), ("stderr", 2))}


def read_with_crashes(made: list[Entry], points: list[int], chance: random.Random) -> dict[str, list[str]]:
    engine, cursor = Engine(made), None
    got: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for upto in [*points, len(made)]:
        reader = LogReader(cursor)
        data = engine.since(reader.begin(), upto=upto)
        while data:
            size = chance.randrange(1, 400)
            for line in reader.feed(data[:size]):
                got[line.stream].append(line.text)
                cursor = reader.cursor()
            data = data[size:]
    return got


def test_every_entry_once_whatever_the_point_of_the_crash() -> None:
    for seed in range(15):
        made, chance = entries(seed), random.Random(seed)
        points = sorted(chance.sample(range(len(made)), 5))
        assert read_with_crashes(made, points, chance) == expected(made), f"seed {seed}"


def test_a_clock_that_steps_back_loses_nothing() -> None:
    for seed in range(15):
        made, chance = entries(seed, backwards=True), random.Random(seed)
        points = sorted(chance.sample(range(len(made)), 5))
        assert read_with_crashes(made, points, chance) == expected(made), f"seed {seed}"


def test_a_second_request_of_the_same_reader_goes_on() -> None:
    """A connection that breaks is taken up by the same reader: the half line is read again."""
    made = [(1, START, b"a\n"), (1, START, b"half "), (1, START, b"line\n"), (2, START, b"e\n")]
    engine, reader = Engine(made), LogReader(None)
    first = reader.feed(engine.since(reader.begin(), upto=2))
    second = reader.feed(engine.since(reader.begin()))
    assert [(line.stream, line.text) for line in first + second] == [("stdout", "a"), ("stdout", "half line"), ("stderr", "e")]
    assert reader.feed(engine.since(reader.begin())) == []


def test_a_line_without_its_end_is_given_at_the_end() -> None:
    made = [(1, START, b"a\n"), (1, START, b"no end")]
    reader = LogReader(None)
    assert [line.text for line in reader.feed(Engine(made).since(reader.begin()))] == ["a"]
    assert [line.text for line in reader.rest()] == ["no end"]
    assert reader.rest() == []
    assert LogReader(reader.cursor()).feed(b"") == []


def test_a_line_beyond_the_limit_is_cut() -> None:
    piece = b"x" * (COMMAND_LINE_BYTES_MAX // 2)
    made = [(1, START, piece), (1, START, piece), (1, START, b"rest\n")]
    reader = LogReader(None)
    lines = reader.feed(Engine(made).since(reader.begin()))
    assert [len(line.text) for line in lines] == [COMMAND_LINE_BYTES_MAX, 4]


def test_times_are_the_engines_in_milliseconds() -> None:
    made = [(1, START + timedelta(milliseconds=1234), b"a\r\n")]
    reader = LogReader(None)
    (line,) = reader.feed(Engine(made).since(reader.begin()))
    assert (line.at, line.text) == (START + timedelta(milliseconds=1234), "a")
