"""Rules of triggers and their conditions. Source: flow-language 7, flow-language-2 2 and 5, ruling 18."""

from __future__ import annotations

import re
from difflib import get_close_matches
from zoneinfo import available_timezones

from podium.flows.checks.input_rules import full_id
from podium.flows.checks.rules import Checked, Rule, is_empty, maps_in, static_text
from podium.flows.cron import Cron, parse_zone
from podium.flows.models.base import Condition, Trigger
from podium.flows.models.conditions import DateTimeBetween, DayWeek, DayWeekInMonth, MultipleCondition, TimeBetween
from podium.flows.reading.problems import join, key_of
from podium.flows.reading.shape import Seen
from podium.flows.reading.yaml import Fields, Items, Scalar
from podium.flows.triggers import FileTrigger, FlowTrigger, Schedule, ScheduleOnDates, Webhook

_WINDOW_KEYS = {
    "DURATION_WINDOW": ("window", "windowAdvance"), "SLIDING_WINDOW": ("window",), "DAILY_TIME_DEADLINE": ("deadline",),
    "DAILY_TIME_WINDOW": ("startTime", "endTime"),
}
_WINDOW_NEEDS = {"DAILY_TIME_DEADLINE": ("deadline",), "DAILY_TIME_WINDOW": ("startTime", "endTime")}
_GROUPS_2 = {"deadline": "deadline", "from": "from and to", "to": "from and to", "every": "every", "offset": "every", "lookback": "lookback"}
_WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_POSITIONS = ("FIRST", "LAST", "SECOND", "THIRD", "FOURTH")
_WORDS = ((DayWeek, "dayOfWeek", _WEEKDAYS), (DayWeekInMonth, "dayOfWeek", _WEEKDAYS), (DayWeekInMonth, "dayInMonth", _POSITIONS))
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d(:\d\d)?)?(\[[\w/+-]+\])?)?")


def _is(seen: Seen, *classes: type[Trigger | Condition]) -> bool:
    return seen.cls is not None and issubclass(seen.cls, classes)


def _schedules(flow: Checked) -> None:
    for each in flow.shaping.of("trigger"):
        if _is(each, Schedule):
            _cron(flow, each)
        if _is(each, Schedule, ScheduleOnDates):
            _zone(flow, each.node, each.path)
        if _is(each, ScheduleOnDates):
            dates = each.node.get("dates")
            for index, item in enumerate(dates.items if isinstance(dates, Items) else []):
                text = static_text(item)
                if text is not None and not _DATE_TIME.fullmatch(text):
                    what = f"Illegal flow yaml: '{text}' is no date-time"
                    flow.problem(item, f"{each.path}.dates[{index}]", "date", what, "write 2026-01-31T08:30:00+01:00")


def _cron(flow: Checked, seen: Seen) -> None:
    text, at = seen.node.text("cron"), key_of(seen.node, "cron")
    if text is None:
        return
    seconds = seen.node.get("withSeconds")
    try:
        cron = Cron.parse(text, isinstance(seconds, Scalar) and str(seconds.value).lower() == "true")
    except ValueError as error:
        hint = "minute hour day-of-month month day-of-week, like '30 8 * * MON-FRI'; with withSeconds: true the second comes first"
        flow.problem(seen.node.get("cron") or at, join(seen.path, "cron"), "cron", str(error), hint)
        return
    days, months = cron.days, cron.months
    longest = max(31 if month in (1, 3, 5, 7, 8, 10, 12) else 29 if month == 2 else 30 for month in months)
    if days is not None and cron.weekdays is None and min(days) > longest:
        what = f"the schedule '{text}' never fires: no month it names has a day {min(days)}"
        flow.warning(seen.node.get("cron") or at, join(seen.path, "cron"), "cron", what, "change the day or the month")


def _zone(flow: Checked, node: Fields, path: str) -> None:
    text = static_text(node.get("timezone"))
    if text is None:
        return
    try:
        parse_zone(text)
    except ValueError as error:
        close = get_close_matches(text, available_timezones(), n=1, cutoff=0.7) if flow.report.may_suggest() else []
        hint = f"did you mean '{close[0]}'?" if close else "use an id like Europe/Paris, or UTC"
        flow.problem(node.get("timezone") or node, join(path, "timezone"), "timezone", str(error), hint)


def _webhooks(flow: Checked) -> None:
    for each in flow.shaping.of("trigger"):
        if not _is(each, Webhook):
            continue
        verify = each.node.get("verify")
        if isinstance(verify, Fields):
            _verify(flow, verify, join(each.path, "verify"))
        outputs, wait = each.node.get("returnOutputs"), each.node.get("wait")
        if isinstance(outputs, Scalar) and outputs.value is True and not (isinstance(wait, Scalar) and wait.value is True):
            what = "'returnOutputs' has no effect without 'wait: true'"
            flow.warning(key_of(each.node, "returnOutputs"), join(each.path, "returnOutputs"), "no-effect", what, "add wait: true")
    for each in flow.shaping.of("condition"):
        if _is(each, MultipleCondition) and each.parent is not None and _is(each.parent, Webhook):
            what = "invalid webhook: conditions of type MultipleCondition are not supported"
            flow.problem(key_of(each.node, "type"), each.path, "webhook", what, "use a Flow trigger, or other conditions")


def _verify(flow: Checked, verify: Fields, path: str) -> None:
    preset = verify.text("preset") or "none"
    if preset != "none" and is_empty(verify.get("secret")):
        what = f"must not be null: the preset '{preset}' needs 'secret'"
        flow.problem(verify, join(path, "secret"), "missing", what, "add secret: \"{{ secret('WEBHOOK_SECRET') }}\"")
    if preset == "hmac" and is_empty(verify.get("header")):
        what = "must not be null: the preset 'hmac' needs 'header'"
        flow.problem(verify, join(path, "header"), "missing", what, "name the header that carries the signature")


def _flow_triggers(flow: Checked) -> None:
    for each in flow.shaping.of("trigger"):
        if not _is(each, FlowTrigger):
            continue
        preconditions = each.node.get("preconditions")
        if isinstance(preconditions, Fields):
            _preconditions(flow, preconditions, join(each.path, "preconditions"))
        narrow = ("conditions", "preconditions", "dependsOn", "when")
        if all(is_empty(each.node.get(name)) for name in narrow):
            what = "This flow will be triggered for EVERY execution of EVERY flow on your instance. We recommend adding at least one condition"
            flow.warning(key_of(each.node, "type"), each.path, "every-execution", what, "add preconditions (1.x), or dependsOn or when (2.0)")
        _dependencies(flow, each)
        if "onMiss" in each.node.entries:
            what = "'onMiss' has no effect: nothing happens when a window ends unfulfilled"
            flow.warning(key_of(each.node, "onMiss"), join(each.path, "onMiss"), "no-effect", what, "leave it out; an SLA or a schedule notices")
        window = each.node.get("window")
        if isinstance(window, Fields):
            _window_2(flow, window, join(each.path, "window"))


def _preconditions(flow: Checked, node: Fields, path: str) -> None:
    if is_empty(node.get("flows")) and is_empty(node.get("where")):
        what = "preconditions without 'flows' and 'where' hold for every execution of every flow"
        flow.warning(node, path, "every-execution", what, "name the upstream flows: flows: [{namespace: …, flowId: …}]")
    for where, place in maps_in(node.get("where"), join(path, "where")):
        if is_empty(where.get("filters")) and "filters" in where.entries:
            flow.problem(key_of(where, "filters"), join(place, "filters"), "empty", "must not be empty", "add filters")
        for each, at in maps_in(where.get("filters"), join(place, "filters")):
            _filter(flow, each, at)
    window = node.get("timeWindow")
    if isinstance(window, Fields):
        _window(flow, window, join(path, "timeWindow"))


def _filter(flow: Checked, node: Fields, path: str) -> None:
    kind = node.text("type")
    value, values = node.get("value"), node.get("values")
    if kind in ("IN", "NOT_IN"):
        if is_empty(values):
            flow.problem(node, join(path, "values"), "missing", f"`values` must be set for a filter of type {kind}", "add values: [a, b]")
        if not is_empty(value):
            flow.problem(key_of(node, "value"), join(path, "value"), "filter", f"`value` cannot be set for a filter of type {kind}", "use values")
    elif kind is not None:
        needless = kind in ("IS_NULL", "IS_NOT_NULL", "IS_TRUE", "IS_FALSE") and node.text("field") != "EXPRESSION"
        if is_empty(value) and not needless:
            flow.problem(node, join(path, "value"), "missing", f"`value` must be set for a filter of type {kind}", "add value:")
        if not is_empty(values):
            flow.problem(key_of(node, "values"), join(path, "values"), "filter", f"`values` cannot be set for a filter of type {kind}", "use value")


def _window(flow: Checked, node: Fields, path: str) -> None:
    kind = node.text("type") or "DURATION_WINDOW"
    own = _WINDOW_KEYS.get(kind)
    if own is None:
        return
    for name in ("window", "windowAdvance", "deadline", "startTime", "endTime"):
        if name not in own and not is_empty(node.get(name)):
            what = f"Time window of type {kind} cannot have a {name}"
            flow.problem(key_of(node, name), join(path, name), "time-window", what, f"it has {', '.join(own)}")
    for name in _WINDOW_NEEDS.get(kind, ()):
        if is_empty(node.get(name)):
            what = f"Time window of type {kind} must have a {name}"
            flow.problem(node, join(path, name), "time-window", what, f"add {name}: '09:00:00'")
    for name in ("deadline", "startTime", "endTime"):
        _clock(flow, node, name, path)


def _clock(flow: Checked, node: Fields, name: str, path: str) -> None:
    text = static_text(node.get(name))
    if text is not None and not _CLOCK.fullmatch(text):
        flow.problem(key_of(node, name), join(path, name), "time", f"Illegal flow yaml: '{text}' is no time of day", "write '09:00:00'")


def _dependencies(flow: Checked, seen: Seen) -> None:
    node, mode, least = seen.node, seen.node.text("mode"), seen.node.get("minSatisfied")
    listed = node.get("dependsOn")
    count = len(listed.items) if isinstance(listed, Items) else 0
    if mode == "AT_LEAST" and is_empty(least):
        what = "must not be null: mode AT_LEAST needs 'minSatisfied'"
        flow.problem(key_of(node, "mode"), join(seen.path, "minSatisfied"), "missing", what, "add minSatisfied: 1")
    if isinstance(least, Scalar) and isinstance(least.value, int) and least.value > count:
        what = f"'minSatisfied' is {least.value}, but there are {count} dependencies"
        flow.problem(least, join(seen.path, "minSatisfied"), "dependency", what, f"use at most {count}")


def _window_2(flow: Checked, node: Fields, path: str) -> None:
    groups = {_GROUPS_2[name]: name for name in node.entries if name in _GROUPS_2}
    if len(groups) != 1:
        what = f"a window is one of deadline, from and to, every, lookback; this one has {', '.join(groups) or 'none of them'}"
        hint = "keep one of them" if groups else "add one of them, or leave the window out: it is a day then"
        flow.problem(key_of(node, list(groups.values())[1]) if groups else node, path, "time-window", what, hint)
    for one, other in (("from", "to"), ("to", "from")):
        if one in node.entries and other not in node.entries:
            flow.problem(node, join(path, other), "time-window", f"must not be null: '{one}' needs '{other}'", f"add {other}: '17:00:00'")
    if "offset" in node.entries and "every" not in node.entries:
        flow.warning(key_of(node, "offset"), join(path, "offset"), "time-window", "'offset' without 'every' shifts a window of one day", "add every:")
    for name in ("deadline", "from", "to"):
        _clock(flow, node, name, path)
        text = static_text(node.get(name))
        if text is not None and _CLOCK.fullmatch(text) and re.search(r"[Z+-]", text):
            what = f"'{name}' has an offset: Kestra takes a local time here, in the zone that 'timezone' names"
            flow.warning(key_of(node, name), join(path, name), "time-window", what, "leave the offset out, and set timezone")
    _zone(flow, node, path)


def _files(flow: Checked) -> None:
    for each in flow.shaping.of("trigger"):
        if not _is(each, FileTrigger):
            continue
        if each.node.text("action") == "MOVE" and is_empty(each.node.get("moveTo")):
            what = "must not be null: action MOVE needs 'moveTo'"
            flow.problem(key_of(each.node, "action"), join(each.path, "moveTo"), "missing", what, "add moveTo: /path/to/done")
        if each.node.text("path") == "":
            flow.problem(key_of(each.node, "path"), join(each.path, "path"), "empty", "must not be blank", "name a directory")
        if isinstance(events := each.node.get("events"), Items) and not events.items:
            flow.problem(events, join(each.path, "events"), "empty", "must not be empty", "use [CREATED, MODIFIED]")


def _conditions(flow: Checked) -> None:
    for each in flow.shaping.of("condition"):
        if _is(each, DateTimeBetween, TimeBetween):
            _between(flow, each)
        for cls, name, known in _WORDS:
            text = static_text(each.node.get(name)) if _is(each, cls) else None
            if text is not None and text not in known:
                what = f"Illegal flow yaml: '{text}' is not one of the values accepted: [{', '.join(known)}]"
                flow.problem(key_of(each.node, name), join(each.path, name), "not-allowed", what, "write it in upper case")
        if "conditions" in each.node.entries and is_empty(each.node.get("conditions")):
            flow.problem(key_of(each.node, "conditions"), join(each.path, "conditions"), "empty", "must not be empty", "add conditions")
        window = each.node.get("timeWindow")
        if isinstance(window, Fields) and _is(each, MultipleCondition):
            _window(flow, window, join(each.path, "timeWindow"))
        on_schedule = each.parent is not None and _is(each.parent, Schedule, ScheduleOnDates)
        if on_schedule and getattr(each.cls, "NEEDS", "") == "execution":
            what = f"{each.name} looks at an execution, and a schedule has none"
            flow.warning(key_of(each.node, "type"), each.path, "condition", what, "use it on a Flow trigger")


def _between(flow: Checked, seen: Seen) -> None:
    if is_empty(seen.node.get("after")) and is_empty(seen.node.get("before")):
        what = f"{seen.name.rpartition('.')[2]} needs 'after' or 'before'"
        flow.problem(seen.node, seen.path, "condition", what, "add one of them")
    for name in ("after", "before"):
        text = static_text(seen.node.get(name))
        pattern = _DATE_TIME if _is(seen, DateTimeBetween) else _CLOCK
        if text is not None and not pattern.fullmatch(text):
            what = f"Illegal flow yaml: '{text}' is no {'date-time' if pattern is _DATE_TIME else 'time of day'}"
            hint = "write 2026-01-31T08:30:00Z" if pattern is _DATE_TIME else "write 08:30:00Z"
            flow.problem(key_of(seen.node, name), join(seen.path, name), "date", what, hint)


def _required_inputs(flow: Checked) -> None:
    """Dialect 2.0: a trigger that nobody watches must give every input that has no other value."""
    if flow.dialect != "2.0":
        return
    for each in flow.shaping.of("trigger"):
        if not _is(each, Schedule, ScheduleOnDates, Webhook):
            continue
        given = each.node.get("inputs")
        missing = [name for name in _needed(flow) if not _gives(given, name)]
        if missing:
            kind = "Webhook" if _is(each, Webhook) else "Schedule"
            listed = ", ".join(f"'{name}'" for name in missing)
            what = f"Invalid Flow: Missing inputs for {kind} Trigger '{each.node.text('id')}', missing inputs: {listed}"
            flow.problem(key_of(each.node, "inputs"), join(each.path, "inputs"), "missing", what, "give them in the trigger's inputs, or defaults")


def _needed(flow: Checked) -> list[str]:
    names: list[str] = []
    for each in flow.shaping.of("input"):
        own_flow = each.section == "inputs" and (each.parent is None or each.parent.name == "FORM")
        required = each.node.get("required")
        optional = isinstance(required, Scalar) and required.value is False
        if own_flow and each.name != "FORM" and not optional and is_empty(each.node.get("defaults")):
            names.append(full_id(each) or "")
    return names


def _gives(given: object, name: str) -> bool:
    if not isinstance(given, Fields):
        return False
    if name in given.entries:
        return True
    first, _, rest = name.partition(".")
    return bool(rest) and _gives(given.get(first), rest)


RULES: tuple[Rule, ...] = (_schedules, _webhooks, _flow_triggers, _files, _conditions, _required_inputs)
