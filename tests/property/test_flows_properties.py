"""What holds for every text, every flow and every schedule."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from podium.app.plugins import load_types
from podium.flows.cron import Cron
from podium.flows.load import parse_flows
from podium.flows.reading.yaml import parse_documents, plain

ZONES = [UTC, ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/St_Johns")]
CORE = "io.kestra.plugin.core"

letters = st.characters(exclude_categories=["Cc", "Cn", "Cs"], exclude_characters="\ufeff")
"""What YAML allows without an escape."""
identifiers = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,8}", fullmatch=True)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6), st.text(letters, max_size=12), st.just("{{ inputs.x }}"))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(letters, max_size=6), inner, max_size=3), max_leaves=8)
words = st.sampled_from(
    ["id", "type", "namespace", "tasks", "errors", "inputs", "triggers", "retry", "labels", "values", "cases", "then", "dependsOn", "conditions", "message",
     "taskRunner", "defaults", "pluginDefaults", "workerGroup", "sla", "cron", "preconditions", "window", "timeWindow", "required", "timeout"]
)
kinds = st.sampled_from(
    [f"{CORE}.log.Log", f"{CORE}.flow.Dag", f"{CORE}.flow.Switch", f"{CORE}.flow.WorkingDirectory", f"{CORE}.flow.Pause", f"{CORE}.trigger.Schedule",
     f"{CORE}.trigger.Flow", f"{CORE}.condition.Not", "STRING", "SELECT", "FORM", "MULTISELECT", "MAX_DURATION", "exponential", "no.Such"]
)
anything = st.recursive(
    scalars | kinds, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5), max_leaves=25
)


@given(st.text(max_size=300))
@example("? [\n")
@example("a: &a\n  b: *a\n")
@example("\ud800")
@settings(deadline=None)
def test_no_text_makes_the_reader_raise(text: str) -> None:
    for document in parse_documents(text):
        assert document.root is not None or document.mistakes


@given(values)
@settings(deadline=None)
def test_what_json_says_yaml_says_too(value: Any) -> None:
    assume(value is not None)
    assume("<<" not in json.dumps(value))  # a merge
    (document,) = parse_documents(json.dumps(value, ensure_ascii=False))
    assert document.mistakes == []
    assert document.root is not None
    assert plain(document.root) == value


@given(st.dictionaries(words, anything, max_size=8))
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_written_gives_a_flow_or_problems(written: dict[str, Any]) -> None:
    for parsed in parse_flows(json.dumps(written, ensure_ascii=False), file="f.yaml", types=load_types()):
        assert (parsed.flow is None) == bool(parsed.problems)
        for problem in (*parsed.problems, *parsed.warnings):
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.code
            assert problem.message
            assert "\n" not in problem.message


def task(name: str, kind: str, **properties: Any) -> dict[str, Any]:
    return {"id": name, "type": f"{CORE}.{kind}", **properties}


leaf = st.builds(lambda message, timeout: task("", "log.Log", message=message, timeout=timeout), st.text(letters, min_size=1, max_size=8), st.sampled_from(["PT5S", "P1D", 3]))
trees = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds(lambda tasks: task("", "flow.Sequential", tasks=tasks), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda tasks, n: task("", "flow.Parallel", tasks=tasks, concurrent=n), st.lists(inner, min_size=1, max_size=3), st.integers(0, 5)),
        st.builds(lambda tasks: task("", "flow.Switch", value="x", cases={"a": tasks}), st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda tasks: task("", "flow.Dag", tasks=[{"task": each} for each in tasks]), st.lists(inner, min_size=1, max_size=2)),
        st.builds(
            lambda tasks, items: task("", "flow.ForEach", tasks=tasks, values=items, retry={"type": "constant", "interval": "PT1S"}),
            st.lists(inner, min_size=1, max_size=2), st.lists(scalars, max_size=3),
        ),
    ),
    max_leaves=8,
)


def numbered(value: Any, count: list[int]) -> Any:
    """With an id of its own for every task."""
    if isinstance(value, list):
        return [numbered(each, count) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("id") == "":
        count[0] += 1
        value = {**value, "id": f"t{count[0]}"}
    return {key: numbered(each, count) for key, each in value.items()}


@given(st.lists(trees, min_size=1, max_size=3), identifiers, st.dictionaries(identifiers, values, max_size=2))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_parsing_what_was_printed_gives_the_same_flow(tasks: list[Any], name: str, variables: dict[str, Any]) -> None:
    written = {"id": name, "namespace": "company.team", "variables": variables, "tasks": numbered(tasks, [0])}
    (first,) = parse_flows(json.dumps(written, ensure_ascii=False), file="f.yaml", types=load_types())
    assert first.problems == ()
    assert first.flow is not None
    printed = first.flow.model_dump_json(by_alias=True, exclude_unset=True, exclude={"dialect"})
    (second,) = parse_flows(printed, file="f.yaml", types=load_types())
    assert second.problems == ()
    assert second.flow == first.flow


fields = st.tuples(
    st.sampled_from(["*", "0", "*/7", "30", "5-20/5", "0,15,59"]), st.sampled_from(["*", "2", "1,3", "*/5", "0-3"]), st.sampled_from(["*", "1", "*/9", "28-31", "25"]),
    st.sampled_from(["*", "3", "10", "2,11", "JAN-JUN"]), st.sampled_from(["*", "0", "7", "MON-FRI", "6"]),
)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone


@given(fields, moments, st.sampled_from(ZONES))
@settings(deadline=None, max_examples=60)
def test_next_and_previous_enclose_every_moment(parts: tuple[str, ...], moment: datetime, zone: Any) -> None:
    cron = Cron.parse(" ".join(parts))
    later, earlier = cron.next(moment, zone), cron.previous(moment, zone)
    assert later is not None
    assert earlier is not None
    assert earlier.astimezone(UTC) < moment < later.astimezone(UTC)
    at = moment if cron.previous(later, zone) == moment.astimezone(zone) else None
    between = cron.next(earlier, zone)
    assert between == later or (between is not None and at is not None)
    assert cron.previous(later + timedelta(seconds=1), zone) == later


@given(fields, moments, st.sampled_from(ZONES))
@settings(deadline=None, max_examples=40)
def test_it_fires_when_the_clock_fits_or_at_the_end_of_a_gap(parts: tuple[str, ...], moment: datetime, zone: Any) -> None:
    cron = Cron.parse(" ".join(parts))
    fires = cron.next(moment, zone)
    assert fires is not None
    fits = cron.fits_day(fires.date()) and fires.hour in cron.hours and fires.minute in cron.minutes and fires.second in cron.seconds
    before = (fires.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone)
    in_gap = (before.utcoffset() or timedelta()) < (fires.utcoffset() or timedelta())
    assert fits or in_gap
    assert fires.fold == 0
