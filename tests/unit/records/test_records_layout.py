"""Where files of the results branch lie, and what their paths say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from podium.base.system.ids import id_created_at, new_id
from podium.records import layout
from podium.records.places import Places

ID = "0000000000000000000000"


def test_a_record_lies_in_the_hour_of_its_id() -> None:
    made = new_id()
    at = id_created_at(made)
    path = layout.record_path(made, "company.team", "daily")
    assert path == f"executions/{at:%Y/%m/%d/%H}/company.team/daily/{made}.json"
    assert layout.log_path(made, "company.team", "daily", amend=2) == path.replace(".json", ".amend-2.log.jsonl")
    place = layout.parse(path)
    assert place
    assert (place.execution_id, place.namespace, place.flow_id, place.amend, place.chunk, place.kind) == (made, "company.team", "daily", 0, 0, "json")
    assert place.path == path
    assert layout.agrees(place)


@pytest.mark.parametrize(
    "path",
    [
        f"executions/2026/01/02/03/ns/flow/{ID}.json", f"executions/2026/01/02/03/ns/flow/0007/{ID}.amend-12.json",
        f"executions/2026/01/02/03/ns/flow/{ID}.log.jsonl", f"executions/2026/01/02/03/ns/flow/10000/{ID}.amend-1.log.jsonl",
    ],
)
def test_parsing_and_writing_a_path_gives_the_same_path(path: str) -> None:
    place = layout.parse(path)
    assert place
    assert place.path == path
    assert not layout.agrees(place)


@pytest.mark.parametrize(
    "path",
    [
        "state/triggers.json", f"executions/2026/01/02/03/ns/{ID}.json", f"executions/2026/01/02/03/ns/flow/x/{ID}.json",
        "executions/2026/01/02/03/ns/flow/short.json", f"executions/2026/01/02/03/ns/flow/{ID}.amend-0.json", f"executions/2026/01/02/03/ns/flow/{ID}.txt",
    ],
)
def test_other_paths_are_no_records(path: str) -> None:
    assert layout.parse(path) is None


def test_days_and_periods_are_utc() -> None:
    at = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert layout.sync_path("c" * 40, at) == f"syncs/2025/12/31/{'c' * 40}.json"
    assert layout.branch_at("results", "never", at) == "results"
    assert layout.branch_at("results", "monthly", at) == "results/2025-12"
    assert layout.branch_at("results", "weekly", at) == "results/2026-W01"
    assert layout.branch_at("results", "weekly", datetime(2027, 1, 1, tzinfo=UTC)) == "results/2026-W53"


def paths_of(count: int) -> list[str]:
    return [layout.record_path(new_id(), "ns", "flow") for _ in range(count)]


def chunk_in(places: Places, path: str, *, tried: bool = False) -> int:
    place = layout.parse(places.place(path, tried=tried)[0])
    assert place
    return place.chunk


def test_folders_are_filled_one_chunk_after_the_other() -> None:
    """A folder that grows makes every later commit dearer."""
    places = Places(lambda _: {}, capacity=lambda _: 3)
    asked = [path.replace(path[:24], "executions/2026/01/02/03") for path in paths_of(8)]
    assert [chunk_in(places, path) for path in asked] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert chunk_in(places, asked[4]) == 1
    log = asked[3].replace(".json", ".log.jsonl")
    assert "/0001/" in places.place(log, tried=False)[0]
    assert places.place("state/kv/ns.json", tried=False) == ("state/kv/ns.json", True)


def test_no_folder_of_a_very_hot_flow_is_too_large() -> None:
    held, chunk = 0, 0
    while held < 2_000_000:
        held += layout.chunk_capacity(chunk)
        chunk += 1
    assert chunk + layout.chunk_capacity(0) * 2 < 3_000
    assert all(layout.chunk_capacity(number) <= 1_000 for number in range(chunk))


def test_places_continue_where_the_branch_stands() -> None:
    """After a restart, or a foreign commit, a record that is there is found and the current chunk goes on."""
    folder = "executions/2026/01/02/03/ns/flow"
    first, second, third, new, newer = (new_id() for _ in range(5))
    tree = {
        folder: {f"{first}.json": ("file", "x"), f"{first}.log.jsonl": ("file", "x"), "0001": ("folder", "x"), "0002": ("folder", "x"), "other": ("folder", "x")},
        f"{folder}/0001": {f"{second}.json": ("file", "x")},
        f"{folder}/0002": {f"{third}.json": ("file", "x"), f"{third}.amend-1.json": ("file", "x")},
    }
    places = Places(lambda path: tree.get(path, {}), capacity=lambda _: 2)
    assert places.place(f"{folder}/{second}.amend-1.json", tried=False) == (f"{folder}/0001/{second}.amend-1.json", True)
    assert places.place(f"{folder}/{first}.json", tried=True) == (f"{folder}/{first}.json", True)
    assert places.place(f"{folder}/{new}.json", tried=True) == (f"{folder}/0002/{new}.json", True)
    assert places.place(f"{folder}/{newer}.json", tried=False) == (f"{folder}/0003/{newer}.json", False)


def test_what_a_record_costs_does_not_depend_on_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """With flows that take turns, the folder needed next was once always the one just forgotten: each record read its flow's folders again."""
    for limit in ("_RECENT_MAX", "_LOOKED_UP_MAX"):
        monkeypatch.setattr(f"podium.records.places.{limit}", 100)
    read: list[str] = []
    places = Places(lambda path: read.append(path) or {})  # type: ignore[func-returns-value]
    for number in range(2_000):
        made = new_id()
        path = layout.record_path(made, "ns", f"flow-{number % 50}")
        placed, tried = places.place(path, tried=False)
        assert not tried
        assert places.place(layout.log_path(made, "ns", f"flow-{number % 50}"), tried=False)[0] == placed.replace(".json", ".log.jsonl")
    assert len(read) <= 100, "each folder was read once (twice when the hour changes meanwhile)"


def test_an_amendment_long_after_its_record_lies_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.records.places._RECENT_MAX", 2)
    tree: dict[str, dict[str, tuple[str, str]]] = {}
    places = Places(lambda path: tree.get(path, {}), capacity=lambda _: 1)
    asked = [path.replace(path[:24], "executions/2026/01/02/03") for path in paths_of(9)]
    for path in asked:
        folder, _, name = places.place(path, tried=False)[0].rpartition("/")
        tree.setdefault(folder, {})[name] = ("file", "x")
        if "/flow/" in folder:
            tree.setdefault(folder.rpartition("/")[0], {})[folder.rpartition("/")[2]] = ("folder", "x")
    assert chunk_in(places, asked[3].replace(".json", ".amend-1.json")) == 3
    assert chunk_in(places, asked[5], tried=True) == 5
    places.settled()
    assert chunk_in(places, asked[4], tried=True) == 4
