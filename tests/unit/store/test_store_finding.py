"""Lists of executions and logs walk indexes: what they find is what a plain filter finds, and no query plan scans."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from podium.base.limits import TOTAL_MAX
from podium.base.lists.conditions import Condition
from podium.base.patterns import RegexBudget
from podium.base.system import base62
from podium.store import finding
from podium.store.db import Database
from podium.store.finding import Asked
from podium.store.journal import LEVELS, ExecutionRow, LogRow, _enter_executions, decode, enter_logs
from podium.store.logs import Logs, _search
from podium.store.views import Views

Queries = list[tuple[str, tuple[Any, ...]]]
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACES = ("company", "company.team", "company.team.etl", "companyx", "other")
STATES = ("SUCCESS", "SUCCESS", "SUCCESS", "FAILED", "RUNNING")


def _is(field: str, op: str, *values: str, key: str | None = None, moment: datetime | None = None) -> Condition:
    return Condition(field=field, op=op, values=values, key=key, moment=moment)


SHAPES: dict[str, dict[str, Any]] = {
    "all": {}, "namespace": {"namespace": "company"}, "exact namespace": {"namespace": "company", "exactly": True},
    "flow": {"namespace": "company.team", "flow_id": "flow-1"}, "flow id": {"flow_id": "flow-2"}, "states": {"states": ["FAILED", "RUNNING"]},
    "flow, states": {"namespace": "company", "flow_id": "flow-1", "states": ["FAILED"]}, "namespace, state": {"namespace": "company", "states": ["FAILED"]},
    "query": {"query": "FLOW-1"}, "query of a namespace": {"query": "team"}, "query of nothing": {"query": "zzz"}, "id": {"query": f"{30:022d}"},
    "id, elsewhere": {"query": f"{30:022d}", "namespace": "nowhere"}, "label": {"labels": {"env": "prod"}}, "rare label": {"labels": {"rare": "yes"}},
    "labels": {"labels": {"env": "prod", "rare": "yes"}}, "label, state": {"labels": {"env": "prod"}, "states": ["FAILED"]},
    "label, query": {"labels": {"rare": "yes"}, "query": "flow-1"}, "label, namespace": {"labels": {"rare": "yes"}, "namespace": "company.team"},
    "window": {"after": START + timedelta(minutes=100), "before": START + timedelta(minutes=200)},
    "all of it": {"after": START, "namespace": "company", "states": ["SUCCESS"], "labels": {"env": "prod"}, "query": "flow"},
    "label, window": {"labels": {"rare": "yes"}, "before": START + timedelta(minutes=200)},
    "trigger": {"trigger_id": "trigger-1"}, "trigger, flow": {"trigger_id": "trigger-1", "namespace": "company.team", "flow_id": "flow-1"},
    "children": {"child": True}, "no children": {"child": False, "states": ["FAILED"]}, "children, label": {"child": True, "labels": {"rare": "yes"}},
    "parent": {"parent": f"{30:022d}"}, "parent, state": {"parent": f"{30:022d}", "states": ["SUCCESS"]},
    "not a namespace": {"where": [_is("namespace", "NOT_PREFIX", "company")]}, "some flows": {"where": [_is("flowId", "IN", "flow-1", "flow-2")]},
    "flows by pattern": {"where": [_is("flowId", "REGEX", "-1[01]?$"), _is("namespace", "NOT_IN", "other", "companyx")], "states": ["FAILED"]},
    "flows by pattern, within": {"where": [_is("namespace", "ENDS_WITH", "etl")], "namespace": "company", "query": "flow-1"},
    "no flow": {"where": [_is("flowId", "EQUALS", "nothing")]}, "not a label": {"where": [_is("labels", "NOT_EQUALS", "prod", key="env")]},
    "part of a label": {"where": [_is("labels", "CONTAINS", "ro", key="env")], "labels": {"rare": "yes"}},
    "labels by name": {"where": [_is("labels", "IN", "yes", "no", key="rare"), _is("flowId", "STARTS_WITH", "flow-1")]},
    "triggers": {"where": [_is("triggerId", "ENDS_WITH", "2")]}, "not a trigger": {"where": [_is("triggerId", "NOT_EQUALS", "trigger-0")]},
    "ended": {"where": [_is("endDate", "GREATER_THAN", "", moment=START + timedelta(minutes=100))]},
    "chosen, label": {"where": [_is("flowId", "EQUALS", "flow-3")], "labels": {"env": "prod"}},
}
SEARCHES: dict[str, dict[str, Any]] = {
    "all": {}, "level": {"min_level": "ERROR"}, "levels": {"min_level": "WARN"}, "info": {"min_level": "INFO"}, "namespace": {"namespace": "company"},
    "flow": {"namespace": "company", "flow_id": "flow-1"}, "flow, level": {"namespace": "company", "flow_id": "flow-1", "min_level": "WARN"},
    "text": {"query": "LINE 1"}, "text, level": {"query": "line 1", "min_level": "ERROR"}, "text, many flows": {"query": "line 1", "namespace": "company"},
    "window": {"after": START + timedelta(minutes=100), "before": START + timedelta(minutes=200)},
    "window, level, namespace": {"after": START + timedelta(minutes=100), "min_level": "WARN", "namespace": "company.team"},
}


def _rows(count: int) -> list[ExecutionRow]:
    chance = random.Random(3)
    rows = []
    for number in range(count):
        identifier, loop = f"{number:022d}", number % 10 == 3
        at, state = START + timedelta(minutes=number // 2), chance.choice(STATES)
        labels = {"env": chance.choice(("prod", "dev"))} | ({"rare": "yes"} if number % 17 == 0 else {})
        rows.append(ExecutionRow(
            id=identifier, namespace=chance.choice(NAMESPACES), flow_id=f"flow-{chance.randrange(12)}", revision=1, state=state, created_at=at,
            ended_at=None if state == "RUNNING" else at + timedelta(seconds=chance.randrange(900)), trigger_id=f"trigger-{number % 3}" if number % 4 == 0 else None,
            parent_id=None, trigger_execution_id=f"{30:022d}" if loop or number % 11 == 5 else None, open=state == "RUNNING", summary={"id": identifier}, labels=labels, loop=loop,
        ))
    return rows


ROWS = _rows(600)
LINES = [
    LogRow(execution_id=row.id, namespace=row.namespace, flow_id=row.flow_id, at=row.created_at, level=list(LEVELS)[number % 5],
           message=f"Line {number} of {row.flow_id}")
    for number, row in enumerate(ROWS)
]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    made = Database.open(Path(tmp_path_factory.mktemp("index")) / "journal.db")
    made.read_now(lambda c: _enter_executions(c, ROWS))
    made.read_now(lambda c: enter_logs(c, LINES))
    yield made
    made.close()


def _holds(row: ExecutionRow, condition: Condition) -> bool:
    if condition.field == "endDate":
        return row.ended_at is not None and condition.moment is not None and row.ended_at > condition.moment
    texts = {"namespace": row.namespace, "flowId": row.flow_id, "triggerId": row.trigger_id, "labels": (row.labels or {}).get(str(condition.key))}
    return condition.holds(texts[condition.field], RegexBudget())


def _matches(row: ExecutionRow, wanted: dict[str, Any]) -> bool:
    namespace, query = wanted.get("namespace"), wanted.get("query", "").lower()
    below = namespace is not None and not wanted.get("exactly") and row.namespace.startswith(f"{namespace}.")
    return (
        (namespace is None or row.namespace == namespace or below) and wanted.get("flow_id") in (None, row.flow_id)
        and (not wanted.get("states") or row.state in wanted["states"]) and (wanted.get("labels") or {}).items() <= (row.labels or {}).items()
        and (row.id == query or query in row.flow_id or query in row.namespace) and wanted.get("after", START) <= row.created_at
        and ("before" not in wanted or row.created_at < wanted["before"]) and wanted.get("trigger_id") in (None, row.trigger_id)
        and wanted.get("child") in (None, row.trigger_execution_id is not None)
        and all(_holds(row, each) for each in wanted.get("where", ()))
        and (row.trigger_execution_id == wanted["parent"] if "parent" in wanted else not row.loop)
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sort", ["startDate:desc", "startDate:asc", "endDate:desc", "flowId:asc", "duration:desc"])
async def test_a_list_finds_what_a_plain_filter_finds_page_by_page(database: Database, shape: str, sort: str) -> None:
    filters = SHAPES[shape]
    rows = [row for row in ROWS if _matches(row, filters)]
    keys = {
        "startDate": lambda row: (row.created_at, row.id), "endDate": lambda row: (row.ended_at or START - timedelta(1), row.id),
        "flowId": lambda row: (row.flow_id, row.id), "duration": lambda row: (_took(row), row.id),
    }
    expected = [row.id for row in sorted(rows, key=keys[sort.partition(":")[0]], reverse=sort.endswith("desc"))]
    found = list[str]()
    for number in range(1, 100):
        page = await Views(database).find(filters, Asked(page=number, size=7, sort=sort))
        found += _ids(page)
        assert (page.total, page.at_least) == (len(expected), False)
        if len(page.rows) < 7:
            break
    assert found == expected


def _took(row: ExecutionRow) -> float:
    return (row.ended_at - row.created_at).total_seconds() if row.ended_at else -1.0


def _ids(page: finding.Page) -> list[str]:
    return [decode(row[0])["id"] for row in page.rows]


@pytest.mark.parametrize("look", [10_000, 60])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sort", ["startDate:desc", "startDate:asc"])
async def test_a_list_that_goes_on_after_the_last_one_finds_everything(
    database: Database, shape: str, sort: str, look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when only so many are looked at for one page."""
    monkeypatch.setattr(finding, "LOOKED_AT_MAX", look)
    monkeypatch.setattr(finding, "WALKS_MAX", look)
    rows = [row for row in ROWS if _matches(row, SHAPES[shape])]
    expected = [row.id for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=sort.endswith("desc"))]
    found, after = list[str](), None
    for _ in range(200):
        page = await Views(database).find(SHAPES[shape], Asked(page=1, size=7, sort=sort, after=after))
        found += _ids(page)
        after = page.next
        if after is None:
            break
    assert found == expected


def test_what_is_gone_still_says_where_a_list_goes_on(database: Database) -> None:
    with pytest.raises(ValueError, match=r"."):
        database.read_now(lambda c: finding.find(c, {}, Asked(page=1, size=7, sort="startDate:desc", after="?")))
    gone = id_at(START + timedelta(minutes=10))
    page = database.read_now(lambda c: finding.find(c, {}, Asked(page=1, size=1000, sort="startDate:desc", after=gone)))
    assert _ids(page) == [row.id for row in reversed(ROWS) if not row.loop and row.created_at <= START + timedelta(minutes=10)]


def id_at(moment: datetime) -> str:
    return base62.encode(int(moment.timestamp() * 1000) << base62.TAIL_BITS)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_list_costs_no_more_when_there_are_more(tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of SQLite's machine, with the bounds of what is counted and looked at as small as the data."""
    monkeypatch.setattr(finding, "TOTAL_MAX", 20)
    monkeypatch.setattr(finding, "LOOKED_AT_MAX", 30)
    sorts = ("startDate:desc", "startDate:asc", "endDate:desc")
    steps = {count: sum(_steps(tmp_path, count, SHAPES[shape], sort) for sort in sorts) for count in (1_000, 5_000)}
    assert steps[5_000] <= 1.5 * steps[1_000] + 500, steps


_BIG = dict[int, Database]()


def _steps(folder: Path, count: int, filters: dict[str, Any], sort: str) -> int:
    database = _BIG.get(count)
    if database is None:
        database = _BIG[count] = Database.open(folder / f"{count}.db")
        database.read_now(lambda c: _enter_executions(c, _rows(count)))
    taken = 0

    def tick() -> None:
        nonlocal taken
        taken += 1

    database._here.set_progress_handler(tick, 1)
    database.read_now(lambda c: finding.find(c, filters, Asked(page=2, size=7, sort=sort)))
    database._here.set_progress_handler(None, 0)
    return taken


def _noting(database: Database, asked: Queries) -> Any:
    """A connection that notes what it is asked."""

    class Noting:
        def execute(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
            asked.append((query, tuple(values)))
            return database._here.execute(query, values)

    return Noting()


def _never_scans(database: Database, asked: Queries) -> None:
    """Tables are searched; what is scanned is what a subquery has found."""
    assert asked
    for query, values in asked:
        steps = [row[3] for row in database._here.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()]
        subqueries = [step.removeprefix("CO-ROUTINE ") for step in steps if step.startswith("CO-ROUTINE")]
        for step in steps:
            assert "TEMP B-TREE" not in step, (query, step)
            scanned = step.removeprefix("SCAN ") if step.startswith("SCAN ") else None
            if scanned in subqueries:
                subqueries.remove(scanned)
            else:
                assert scanned in (None, "execution_flows", "json_each VIRTUAL TABLE INDEX 1:"), (query, steps)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_query_scans_or_sorts(database: Database, shape: str) -> None:
    asked: Queries = []
    for after in (None, f"{300:022d}"):
        finding.find(_noting(database, asked), SHAPES[shape], Asked(page=1, size=25, sort="startDate:desc", after=after))
    _never_scans(database, asked)


async def test_a_total_is_counted_up_to_a_bound_and_stays_ahead_of_the_page(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "journal.db")
    try:
        rows = [
            ExecutionRow(
                id=f"{number:022d}", namespace="n", flow_id="f", revision=1, state="SUCCESS", created_at=START, ended_at=START, trigger_id=None,
                trigger_execution_id=None, parent_id=None, open=False, summary={}, labels=None,
            )
            for number in range(TOTAL_MAX + 100)
        ]
        await Views(database).enter(rows)
        pages = {page: await Views(database).find({}, Asked(page=page, size=100, sort="startDate:desc")) for page in (1, 100, 101, 102)}
        assert {page: (len(found.rows), found.total, found.at_least) for page, found in pages.items()} == {
            1: (100, TOTAL_MAX, True), 100: (100, TOTAL_MAX + 1, True), 101: (100, TOTAL_MAX + 100, True), 102: (0, TOTAL_MAX, True),
        }
        assert Views(database).count(namespace="n", flow_id="f", states=[], start=START, end=None) == TOTAL_MAX + 100
    finally:
        database.close()


@pytest.mark.parametrize("search", SEARCHES)
async def test_a_search_of_logs_finds_what_a_plain_filter_finds_without_a_scan(database: Database, search: str) -> None:
    wanted = SEARCHES[search]
    namespace, least = wanted.get("namespace"), LEVELS[wanted.get("min_level", "TRACE")]
    expected = [
        line.message for line in reversed(LINES)
        if (namespace is None or f"{line.namespace}.".startswith(f"{namespace}.")) and wanted.get("flow_id") in (None, line.flow_id)
        and LEVELS[line.level] >= least and wanted.get("query", "").lower() in line.message.lower()
        and wanted.get("after", START) <= line.at and ("before" not in wanted or line.at < wanted["before"])
    ]
    first, total = await Logs(database).search(wanted, page=1, size=10)
    second, _ = await Logs(database).search(wanted, page=2, size=10)
    assert ([each["message"] for each in (*first, *second)], total) == (expected[:20], len(expected))
    asked: Queries = []
    _search(_noting(database, asked), wanted, skip=0, size=10)
    _never_scans(database, asked)


@pytest.mark.parametrize("wanted", [{}, {"namespace": "company"}, {"namespace": "company.team", "flow_id": "flow-1"}, {"namespaces": ["company.team", "other"]}])
async def test_a_tally_counts_each_execution_once_in_its_part_of_the_time(database: Database, wanted: dict[str, Any]) -> None:
    start, end, steps = START + timedelta(minutes=20), START + timedelta(minutes=260), 7
    found = await Views(database).tally(start=start, end=end, steps=steps, **wanted)
    expected: list[dict[str, int]] = [{} for _ in range(steps)]
    names = wanted.get("namespaces")
    for row in ROWS:
        inside = names is None or any(row.namespace == each or row.namespace.startswith(f"{each}.") for each in names)
        if start <= row.created_at < end and inside and _matches(row, {key: value for key, value in wanted.items() if key != "namespaces"}):
            part = expected[int((row.created_at - start) / (end - start) * steps)]
            part[row.state] = part.get(row.state, 0) + 1
    assert found == expected


async def test_the_last_executions_of_flows_come_newest_first(database: Database) -> None:
    flows = [("company.team", "flow-1"), ("other", "flow-2"), ("nobody", "flow-1")]
    found = await Views(database).recent(flows, 5)
    for flow in flows:
        rows = sorted((row for row in ROWS if (row.namespace, row.flow_id) == flow and not row.loop), key=lambda row: (row.created_at, row.id), reverse=True)
        assert [(each["id"], each["state"]["current"]) for each in found.get(flow, [])] == [(row.id, row.state) for row in rows[:5]]


async def test_the_reason_is_the_last_grave_line_of_that_execution(database: Database) -> None:
    rows = ROWS[:40]
    found = await Logs(database).reasons([(row.id, row.namespace, row.flow_id, row.created_at.isoformat(timespec="milliseconds")[:23] + "Z") for row in rows])
    assert found == {line.execution_id: line.message for line in LINES[:40] if line.level == "ERROR"}
