"""How lists of executions are found: as a merge of walks along indexes, newest first, whatever was asked for. Called by store/views, store/logs.

A query is taken apart into walks: (namespace, flow, state) triples, states, the children of an execution, or a label. Each walk is one range of one
index, in the order of the list; the walks are merged lazily. Nothing is sorted, nothing is counted beyond TOTAL_MAX, and where no index has
a condition, no more than LOOKED_AT_MAX executions are looked at: what is found then goes on from `Page.next`.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

from podium.base.limits import TOTAL_MAX
from podium.base.lists.conditions import all_hold, pick
from podium.base.patterns import RegexBudget
from podium.base.system.ids import id_created_at
from podium.engine.shape.view import iso
from podium.flows.model import STATES
from podium.store.counts.parts import below_any, row_conditions

WALKS_MAX = 2_000
"""Walks that one query takes; one that would need more looks at executions one by one."""
FEW_WALKS = 20
"""Walks, at most, that are taken in the place of one along a label."""
LOOKED_AT_MAX = 20_000
"""Executions that are looked at one by one for a condition that no index has."""
Key = tuple[str, str]
"""When an execution was created, and its id; or namespace and id of a flow."""
_LABEL = "EXISTS (SELECT 1 FROM execution_labels AS l WHERE l.execution_id = e.id AND l.key = ? AND l.value = ?)"
_COLUMNS = "e.id, e.namespace, e.flow_id, e.state, e.created_at, e.ended_at, e.loop, e.trigger_execution_id, e.trigger_id"
_SORTS = {
    "state": "state", "namespace": "namespace", "flowId": "flow_id", "endDate": "ended_at",
    "duration": "round((julianday(ended_at) - julianday(created_at)) * 86400000)",
}
"""Orders beside that of time; "startDate" and "id" are that of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """rows: (summary, record path). total: how many match, from TOTAL_MAX on "at least". next: the execution after which it goes on, if it does."""

    rows: list[tuple[bytes, str | None]]
    total: int
    at_least: bool
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted of a list. after: an execution; the list begins behind its place. count: whether the total matters."""

    page: int
    size: int
    sort: str
    after: str | None = None
    count: bool = True

    @property
    def column(self) -> str | None:
        """The columns to sort by, with their directions, unless the first is time."""
        wanted = [each.partition(":")[::2] for each in self.sort.split(",")]
        if wanted[0][0] not in _SORTS:
            return None
        orders = [f"{_SORTS.get(name, 'created_at')} {'ASC' if order == 'asc' else 'DESC'}" for name, order in wanted]
        return ", ".join((*orders, f"id {orders[0].rpartition(' ')[2]}"))

    @property
    def newest_first(self) -> bool:
        """The direction of the walks."""
        return self.sort.split(",")[0].partition(":")[2] != "asc" or self.column is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A range of an index. parts: the conditions that it is. rest: conditions of the execution, `e`, that are looked at on the way."""

    index: str
    parts: tuple[str, ...]
    values: tuple[Any, ...]
    rest: tuple[str, ...] = ()
    rest_values: tuple[Any, ...] = ()
    at: str = "e.created_at"
    id: str = "e.id"

    def keys(self, connection: sqlite3.Connection, *, newest_first: bool, most: int, look: int) -> Iterator[Key]:
        """What is found, at most so many, in order, read as far as it is asked for. look: executions that may be looked at."""
        order = "DESC" if newest_first else "ASC"
        place = f"WHERE {' AND '.join(self.parts)} ORDER BY {self.at} {order}, {self.id} {order} LIMIT ?"
        if not self.rest:
            return connection.execute(f"SELECT {self.at}, {self.id} FROM {self.index} {place}", (*self.values, most))
        source = self.index if self.id == "e.id" else f"{self.index} CROSS JOIN executions AS e ON e.id = {self.id}"
        return connection.execute(
            f"SELECT created_at, id FROM (SELECT {_COLUMNS} FROM {source} {place}) AS e WHERE {' AND '.join(self.rest)} LIMIT ?",
            (*self.values, look, *self.rest_values, most),
        )

    def horizon(self, connection: sqlite3.Connection, *, newest_first: bool, look: int) -> Key | None:
        """The last one that is looked at, when there are more behind it."""
        if not self.rest:
            return None
        order = "DESC" if newest_first else "ASC"
        found: Key | None = connection.execute(
            f"SELECT {self.at}, {self.id} FROM {self.index} WHERE {' AND '.join(self.parts)} ORDER BY {self.at} {order}, {self.id} {order}"
            " LIMIT 1 OFFSET ?", (*self.values, look - 1)
        ).fetchone()
        return found

    def count(self, connection: sqlite3.Connection, most: int = -1) -> int:
        """How many there are in the range, up to `most`."""
        query = f"SELECT count(*) FROM (SELECT 1 FROM {self.index} WHERE {' AND '.join(self.parts)} LIMIT ?)"
        return int(connection.execute(query, (*self.values, most)).fetchone()[0])


def find(connection: sqlite3.Connection, filters: Mapping[str, Any], asked: Asked) -> Page:
    """A page of a list. Orders other than by time sort the newest TOTAL_MAX that match, and have no others. A total counts from `after` on."""
    walks = walks_of(connection, filters)
    if asked.after:
        walks = [_behind(walk, _key_of(connection, asked.after), newest_first=asked.newest_first) for walk in walks]
    skip = (asked.page - 1) * asked.size
    column = asked.column
    looks = any(walk.rest for walk in walks)
    if looks or column:  # to look is what takes time: once
        every, horizon = _looked(connection, walks, newest_first=asked.newest_first)
        number, at_least = min(len(every), TOTAL_MAX), len(every) > TOTAL_MAX or horizon is not None
        ids = [key[1] for key in every[:TOTAL_MAX]]
        ids = _sorted(connection, ids, column) if column else ids
        ids = ids[skip : skip + asked.size]
        onward = horizon[1] if horizon and len(every) <= skip + asked.size else ids[-1] if ids and len(every) > skip + len(ids) else None
    else:
        ids = [key[1] for key in _plain_page(connection, walks, asked, skip)]
        number = _counted(connection, walks) if asked.count else 0
        at_least = number > TOTAL_MAX
        onward = ids[asked.size - 1] if len(ids) > asked.size else None
        ids = ids[: asked.size]
    found = [connection.execute("SELECT summary, record_path FROM executions WHERE id = ?", (each,)).fetchone() for each in ids]
    at_least = at_least and column is None
    seen = skip + len(ids) + (onward is not None) if ids else 0
    total = max(min(number, TOTAL_MAX), seen if at_least or not asked.count else 0)
    return Page(rows=[row for row in found if row is not None], total=total, at_least=at_least, next=None if column else onward)


def _plain_page(connection: sqlite3.Connection, walks: Sequence[Walk], asked: Asked, skip: int) -> list[Key]:
    """The keys of a page, and the next one."""
    most = skip + asked.size + 1
    merged = heapq.merge(
        *(walk.keys(connection, newest_first=asked.newest_first, most=most, look=0) for walk in walks), reverse=asked.newest_first
    )
    return list(islice(merged, skip, most))


def _looked(connection: sqlite3.Connection, walks: Sequence[Walk], *, newest_first: bool) -> tuple[list[Key], Key | None]:
    """Up to TOTAL_MAX and one more that match, and up to where was looked when that was not far enough to see all."""
    look = max(1, LOOKED_AT_MAX // max(1, len(walks)))
    horizons = [each for walk in walks if (each := walk.horizon(connection, newest_first=newest_first, look=look)) is not None]
    horizon = (max if newest_first else min)(horizons) if horizons else None
    merged = heapq.merge(
        *(walk.keys(connection, newest_first=newest_first, most=TOTAL_MAX + 1, look=look) for walk in walks), reverse=newest_first
    )
    every = list(islice(merged, TOTAL_MAX + 1))
    if horizon is not None:  # beyond it, not every walk was looked at
        every = [key for key in every if (key >= horizon if newest_first else key <= horizon)]
    return every, horizon


def _counted(connection: sqlite3.Connection, walks: Sequence[Walk]) -> int:
    number = 0
    for walk in walks:
        if number > TOTAL_MAX:
            break
        number += walk.count(connection, TOTAL_MAX + 1 - number)
    return number


def _behind(walk: Walk, key: Key, *, newest_first: bool) -> Walk:
    part = f"({walk.at}, {walk.id}) {'<' if newest_first else '>'} (?, ?)"
    return replace(walk, parts=(*walk.parts, part), values=(*walk.values, *key))


def _key_of(connection: sqlite3.Connection, execution_id: str) -> Key:
    """Its place in time, also when it is gone. Raises ValueError for what is no id."""
    row = connection.execute("SELECT created_at FROM executions WHERE id = ?", (execution_id,)).fetchone()
    return (row[0] if row else iso(id_created_at(execution_id)), execution_id)


def walks_of(connection: sqlite3.Connection, filters: Mapping[str, Any]) -> list[Walk]:
    """The walks that together find what the filters ask for, each execution once.

    filters: namespace (exactly, or and below), namespaces (those and below, None: all), flow_id, states, labels, query, after, before, parent,
    trigger_id, child (started by an execution, or not), where (base/lists/conditions). Only by its parent is an iteration found.
    """
    filters = _chosen(connection, filters)
    labels = dict(filters.get("labels") or {})
    label_parts, label_values = (_LABEL,) * len(labels), tuple(each for pair in labels.items() for each in pair)
    window, moments = _window(filters, "e.created_at")
    wanted, parent = str(filters.get("query") or ""), filters.get("parent")
    if wanted and connection.execute("SELECT 1 FROM executions WHERE id = ?", (wanted,)).fetchone():
        rest, values = _conditions({**filters, "query": None})
        return [_one(wanted, (*rest, *window, *label_parts), (*values, *moments, *label_values))]
    if parent:
        rest, values = _conditions({**filters, "parent": None})
        return [Walk(
            index="executions AS e INDEXED BY executions_by_trigger", parts=("e.trigger_execution_id = ?", *window), values=(parent, *moments),
            rest=(*rest[:-1], *label_parts), rest_values=(*values, *label_values),
        )]
    states = list(dict.fromkeys(filters.get("states") or ()))
    flows = flows_of(connection, filters, wanted)
    many = flows is not None and len(flows) * max(1, len(states)) > WALKS_MAX
    rest, values = _conditions({**filters, "states": None}) if many else _looked_at(filters)
    walks = [
        Walk(index=f"executions AS e INDEXED BY {index}", parts=("e.loop = 0", *parts, *window), values=(*range_values, *moments),
             rest=(*rest, *label_parts), rest_values=(*values, *label_values))
        for index, parts, range_values in _ranges(None if many else flows, states)
    ]
    return _by_label(connection, filters, labels, walks) if labels else walks


def _one(execution_id: str, rest: tuple[str, ...], values: tuple[Any, ...]) -> Walk:
    return Walk(index="executions AS e", parts=("e.id = ?",), values=(execution_id,), rest=rest, rest_values=values)


def flows_of(connection: sqlite3.Connection, filters: Mapping[str, Any], wanted: str) -> list[Key] | None:
    """The flows that a query names, by filters or by a text `wanted` in their names; None when it names none."""
    namespace, flow_id, chosen = filters.get("namespace"), filters.get("flow_id"), filters.get("chosen")
    if not (namespace or flow_id or wanted or filters.get("namespaces") is not None):
        return None if chosen is None else list(map(tuple, chosen))
    within, inside = below_any("namespace", filters.get("namespaces"))
    parts, values = [within], list[Any](inside)
    if namespace:
        parts.append("namespace = ?" if filters.get("exactly") else "(namespace = ? OR (namespace >= ? AND namespace < ?))")
        values.extend((namespace,) if filters.get("exactly") else (namespace, namespace + ".", namespace + "/"))
    if flow_id:
        parts.append("flow_id = ?")
        values.append(flow_id)
    if wanted:
        parts.append("(instr(lower(flow_id), lower(?)) OR instr(lower(namespace), lower(?)))")
        values.extend((wanted, wanted))
    if chosen is not None:
        parts.append("(namespace, flow_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))")
        values.append(json.dumps(chosen))
    return connection.execute(f"SELECT namespace, flow_id FROM execution_flows WHERE {' AND '.join(parts)}", values).fetchall()


def _chosen(connection: sqlite3.Connection, filters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The filters with the flows that their conditions on namespace and flow id leave, as `chosen`: there are few flows, so each is looked at."""
    conditions = pick(filters.get("where") or (), "namespace", "flowId")
    if not conditions:
        return filters
    budget = RegexBudget()
    rows = connection.execute("SELECT namespace, flow_id FROM execution_flows")
    return {**filters, "chosen": [row for row in rows if all_hold(conditions, {"namespace": row[0], "flowId": row[1]}, budget)]}


def _by_label(connection: sqlite3.Connection, filters: Mapping[str, Any], labels: Mapping[str, str], walks: list[Walk]) -> list[Walk]:
    """The walk along the rarest label, or those along flows and states when these are fewer executions."""
    window, moments = _window(filters, "l.created_at")
    by_label = [
        Walk(index="execution_labels AS l INDEXED BY labels_by_value", parts=("l.key = ?", "l.value = ?", "l.loop = 0", *window),
             values=(*pair, *moments), at="l.created_at", id="l.execution_id")
        for pair in labels.items()
    ]
    counts = [walk.count(connection, LOOKED_AT_MAX) for walk in by_label]
    rarest = counts.index(min(counts))
    rest, values = _conditions(filters)
    others = [pair for number, pair in enumerate(labels.items()) if number != rarest]
    if rest[:-1] and len(walks) <= FEW_WALKS and (
        counts[rarest] >= LOOKED_AT_MAX or sum(walk.count(connection, LOOKED_AT_MAX) for walk in walks) < counts[rarest]
    ):
        return walks
    rest = rest if rest[:-1] else ()  # the label says itself what is an iteration
    return [replace(
        by_label[rarest], rest=(*rest, *(_LABEL for _ in others)), rest_values=(*values, *(each for pair in others for each in pair)),
    )]


def _ranges(flows: list[Key] | None, states: Sequence[str]) -> list[tuple[str, tuple[str, ...], tuple[Any, ...]]]:
    """(index, conditions, values) of each range."""
    if flows is None:
        if not states:
            return [("executions_listed", (), ())]
        return [("executions_by_state", ("e.state = ?",), (state,)) for state in states]
    flow = ("e.namespace = ?", "e.flow_id = ?")
    if not states:
        return [("executions_by_flow", flow, pair) for pair in flows]
    return [("executions_by_flow_state", (*flow, "e.state = ?"), (*pair, state)) for pair in flows for state in states]


def _conditions(filters: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The same filters, but for time and labels, as conditions of a row. The last one leaves out iterations."""
    parts, values = list[str](), list[Any]()
    if namespace := filters.get("namespace"):
        parts.append("(e.namespace = ? OR (e.namespace >= ? AND e.namespace < ?))")
        values.extend((namespace, namespace + ".", namespace + "/"))
    if flow_id := filters.get("flow_id"):
        parts.append("e.flow_id = ?")
        values.append(flow_id)
    if states := list(filters.get("states") or ()):
        parts.append(f"e.state IN ({','.join('?' * len(states))})")
        values.extend(states)
    if wanted := filters.get("query"):
        parts.append("(instr(lower(e.flow_id), lower(?)) OR instr(lower(e.namespace), lower(?)))")
        values.extend((wanted, wanted))
    if parent := filters.get("parent"):
        parts.append("e.trigger_execution_id = ?")
        values.append(parent)
    if (namespaces := filters.get("namespaces")) is not None:
        within, inside = below_any("e.namespace", namespaces)
        parts.append(within)
        values.extend(inside)
    if (chosen := filters.get("chosen")) is not None:
        parts.append("(e.namespace, e.flow_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))")
        values.append(json.dumps(chosen))
    more, more_values = _looked_at(filters)
    return (*parts, *more, "e.loop = 0"), (*values, *more_values)


def _looked_at(filters: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """What no index has: the trigger, whether an execution started it, and conditions on neither flow nor state."""
    parts, values = list[str](), list[Any]()
    if trigger := filters.get("trigger_id"):
        parts.append("e.trigger_id = ?")
        values.append(trigger)
    if (child := filters.get("child")) is not None:
        parts.append(f"e.trigger_execution_id IS {'NOT ' if child else ''}NULL")
    more, more_values = row_conditions(filters.get("where") or ())
    return (*parts, *more), (*values, *more_values)


def _window(filters: Mapping[str, Any], column: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    bounds = ((f"{column} >= ?", filters.get("after")), (f"{column} < ?", filters.get("before")))
    found = [(part, iso(moment)) for part, moment in bounds if moment]
    return tuple(part for part, _ in found), tuple(moment for _, moment in found)


def _sorted(connection: sqlite3.Connection, ids: list[str], order: str) -> list[str]:
    rows = connection.execute(f"SELECT id FROM executions WHERE id IN (SELECT value FROM json_each(?)) ORDER BY {order}", (json.dumps(ids),))
    return [row[0] for row in rows]


def tally(connection: sqlite3.Connection, filters: Mapping[str, Any], edges: Sequence[str]) -> list[dict[str, int]]:
    """How many executions there are between each edge (moments, equally far apart) and the next, by state.

    Of all flows: one range of an index for each state and part. Of some: one pass along the index of flows, where these are; of more than half of
    them: all, but for the others.
    """
    flows = flows_of(connection, filters, "")
    if flows is None:
        return _tally_of_all(connection, edges)
    others = set(connection.execute("SELECT namespace, flow_id FROM execution_flows").fetchall()).difference(flows)
    if len(others) >= len(flows):
        return _tally_of(connection, flows, edges)
    found = _tally_of_all(connection, edges)
    for part, less in zip(found, _tally_of(connection, sorted(others), edges), strict=True):
        for state, number in less.items():
            part[state] -= number
    return [{state: number for state, number in part.items() if number} for part in found]


def _tally_of_all(connection: sqlite3.Connection, edges: Sequence[str]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = [{} for _ in edges[1:]]
    within = "FROM executions AS e INDEXED BY executions_by_state WHERE e.loop = 0 AND e.state = ? AND e.created_at >= ? AND e.created_at < ?"
    for state in STATES:
        if connection.execute(f"SELECT 1 {within} LIMIT 1", (state, edges[0], edges[-1])).fetchone():
            for part, (low, high) in zip(found, pairwise(edges), strict=True):
                if number := connection.execute(f"SELECT count(*) {within}", (state, low, high)).fetchone()[0]:
                    part[state] = number
    return found


def _tally_of(connection: sqlite3.Connection, flows: Sequence[Key], edges: Sequence[str]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = [{} for _ in edges[1:]]
    rows = connection.execute(
        "SELECT min(CAST((julianday(e.created_at) - julianday(?)) / (julianday(?) - julianday(?)) * ? AS INTEGER), ?) AS part, e.state, count(*)"
        " FROM json_each(?) AS f CROSS JOIN executions AS e INDEXED BY executions_by_flow_state"
        " ON e.loop = 0 AND e.namespace = f.value ->> 0 AND e.flow_id = f.value ->> 1"
        " WHERE e.created_at >= ? AND e.created_at < ? GROUP BY 1, 2",
        (edges[0], edges[-1], edges[0], len(found), len(found) - 1, json.dumps([list(each) for each in flows]), edges[0], edges[-1]),
    )
    for number, state, count in rows:
        found[number][state] = count
    return found
