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


def test_folders_are_filled_one_chunk_after_the_other() -> None:
    """A folder that grows makes every later commit dearer."""
    places = Places(lambda _: {}, capacity=lambda _: 3)
    asked = [path.replace(path[:24], "executions/2026/01/02/03") for path in paths_of(8)]
    chunks = [layout.parse(places.place(path)).chunk for path in asked]  # type: ignore[union-attr]
    assert chunks == [0, 0, 0, 1, 1, 1, 2, 2]
    assert layout.parse(places.place(asked[4])).chunk == 1  # type: ignore[union-attr]
    log = asked[3].replace(".json", ".log.jsonl")
    assert "/0001/" in places.place(log)
    assert places.place("state/kv/ns.json") == "state/kv/ns.json"


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
    first, second, third, new = (new_id() for _ in range(4))
    tree = {
        folder: {f"{first}.json": ("file", "x"), f"{first}.log.jsonl": ("file", "x"), "0001": ("folder", "x"), "0002": ("folder", "x"), "other": ("folder", "x")},
        f"{folder}/0001": {f"{second}.json": ("file", "x")},
        f"{folder}/0002": {f"{third}.json": ("file", "x"), f"{third}.amend-1.json": ("file", "x")},
    }
    places = Places(lambda path: tree.get(path, {}), capacity=lambda _: 2)
    assert places.place(f"{folder}/{second}.amend-1.json") == f"{folder}/0001/{second}.amend-1.json"
    assert places.place(f"{folder}/{first}.json") == f"{folder}/{first}.json"
    assert places.place(f"{folder}/{new}.json") == f"{folder}/0002/{new}.json"
    known = layout.parse(f"{folder}/{first}.json")
    fresh = layout.parse(f"{folder}/0002/{new}.json")
    assert known
    assert fresh
    assert places.may_be_there(known)
    assert not places.may_be_there(fresh)
