"""What changes between two sets of flows."""

from __future__ import annotations

from collections.abc import Callable

from podium.flows.load import Parsed
from podium.flows.model import Flow
from podium.flows.plan import DETAILS_MAX, diff_flows

Parse = Callable[..., Parsed]
TEXT = "id: a\nnamespace: b\nlabels: {x: y}\ntasks:\n  - {id: one, type: core.log.Log, message: m}\n  - {id: two, type: core.log.Log, message: m}\ntriggers: [{id: t, type: core.trigger.Schedule, cron: '@daily'}]\n"


def flow(parse: Parse, text: str = TEXT) -> Flow:
    found = parse(text).flow
    assert found is not None
    return found


def changes(parse: Parse, before: str, after: str) -> list[tuple[str, str]]:
    (change,) = diff_flows({("b", "a"): flow(parse, before)}, {("b", "a"): flow(parse, after)})
    assert change.kind == "changed"
    return [(each.kind, each.path) for each in change.differences]


def test_added_and_removed_flows(parse: Parse) -> None:
    one = flow(parse)
    found = diff_flows({("b", "gone"): one}, {("a", "new"): one})
    assert [(each.key, each.kind, each.triggers) for each in found] == [(("a", "new"), "added", ("t",)), (("b", "gone"), "removed", ("t",))]


def test_comments_layout_revision_and_order_of_keys_are_no_change(parse: Parse) -> None:
    other = "# why\n" + TEXT.replace("id: one, type: core.log.Log", "type: core.log.Log, id: one") + "revision: 5\n"
    assert diff_flows({("b", "a"): flow(parse)}, {("b", "a"): flow(parse, other)}) == []


def test_what_is_different_is_named_by_path(parse: Parse) -> None:
    assert changes(parse, TEXT, TEXT.replace("message: m}\n  - {id: two", "message: n}\n  - {id: two")) == [("changed", "tasks.one.message")]
    assert changes(parse, TEXT, TEXT.replace("x: y", "x: z, w: v")) == [("changed", "labels.x"), ("added", "labels.w")]
    assert changes(parse, TEXT, TEXT.replace("'@daily'", "'@hourly'")) == [("changed", "triggers.t.cron")]
    assert changes(parse, TEXT, TEXT.replace("id: one", "id: first")) == [("removed", "tasks.one"), ("added", "tasks.first")]
    assert changes(parse, TEXT, TEXT.replace("cron: '@daily'", "cron: '@daily', disabled: true")) == [("changed", "triggers.t.disabled")]


def test_a_new_order_of_tasks_is_a_change(parse: Parse) -> None:
    swapped = TEXT.replace("id: one", "id: tmp").replace("id: two", "id: one").replace("id: tmp", "id: two")
    (change,) = diff_flows({("b", "a"): flow(parse)}, {("b", "a"): flow(parse, swapped)})
    assert [(each.path, each.before, each.after) for each in change.differences] == [("tasks", ["one", "two"], ["two", "one"])]


def test_changed_triggers_are_named(parse: Parse) -> None:
    (change,) = diff_flows({("b", "a"): flow(parse)}, {("b", "a"): flow(parse, TEXT.replace("@daily", "@weekly"))})
    assert change.triggers == ("t",)


def test_differences_are_limited(parse: Parse) -> None:
    many = TEXT + f"variables: {{{', '.join(f'v{n}: {n}' for n in range(DETAILS_MAX + 50))}}}\n"
    (change,) = diff_flows({("b", "a"): flow(parse)}, {("b", "a"): flow(parse, many)})
    assert len(change.differences) == DETAILS_MAX
