"""Plug-in defaults: what they match, how they merge, who wins, and what is wrong in them. Source: flow-language 1.4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podium.flows.load import Parsed

Parse = Callable[..., Parsed]
LOG = "io.kestra.plugin.core.log.Log"


def flow(defaults: str, tasks: str = f"  - {{id: a, type: {LOG}, message: x}}\n") -> str:
    return f"id: a\nnamespace: b\npluginDefaults:\n{defaults}tasks:\n{tasks}"


def task_of(parse: Parse, text: str, **options: Any) -> Any:
    parsed = parse(text, **options)
    assert parsed.problems == ()
    assert parsed.flow is not None
    return parsed.flow.tasks[0]


@pytest.mark.parametrize(
    "kind", [LOG, "io.kestra.plugin.core.log", "io.kestra.plugin.core.lo", "io.kestra", "core.log.Log", "core.l", "io.kestra.core.tasks.log.Log"]
)
def test_a_default_matches_a_type_its_beginning_and_its_aliases(parse: Parse, kind: str) -> None:
    assert task_of(parse, flow(f"  - {{type: {kind}, values: {{level: WARN}}}}\n")).level == "WARN"


@pytest.mark.parametrize("kind", ["io.kestra.plugin.core.log.Logger", "log.Log", "Log", "io.kestra.plugin.scripts"])
def test_a_default_matches_nothing_else(parse: Parse, kind: str) -> None:
    assert task_of(parse, flow(f"  - {{type: {kind}, values: {{level: WARN}}}}\n")).level == "INFO"


def test_the_task_wins_over_a_default_and_a_forced_default_over_the_task(parse: Parse) -> None:
    own = f"  - {{id: a, type: {LOG}, message: x, level: ERROR}}\n"
    assert task_of(parse, flow(f"  - {{type: {LOG}, values: {{level: WARN}}}}\n", own)).level == "ERROR"
    assert task_of(parse, flow(f"  - {{type: {LOG}, forced: true, values: {{level: WARN}}}}\n", own)).level == "WARN"


def test_the_longer_type_wins_then_the_earlier(parse: Parse) -> None:
    text = "  - {type: io.kestra, values: {level: DEBUG}}\n  - {type: core.log, values: {level: WARN}}\n  - {type: core.log, values: {level: TRACE}}\n"
    assert task_of(parse, flow(text)).level == "WARN"


def test_among_forced_defaults_the_earlier_wins_and_the_instance_has_the_last_word(parse: Parse) -> None:
    text = flow(f"  - {{type: {LOG}, forced: true, values: {{level: WARN}}}}\n  - {{type: {LOG}, forced: true, values: {{level: DEBUG}}}}\n")
    assert task_of(parse, text).level == "WARN"
    assert task_of(parse, text, defaults=[{"type": LOG, "forced": True, "values": {"level": "ERROR"}}]).level == "ERROR"


def test_the_flow_wins_over_the_instance(parse: Parse) -> None:
    outer = [{"type": LOG, "values": {"level": "WARN", "allowFailure": True}}]
    task = task_of(parse, flow(f"  - {{type: {LOG}, values: {{level: DEBUG}}}}\n"), defaults=outer)
    assert (task.level, task.allow_failure) == ("DEBUG", True)


def test_maps_merge_lists_join_and_null_changes_nothing(parse: Parse) -> None:
    shell = "  - {id: a, type: scripts.shell.Commands, commands: [own], env: {A: own, B: own}, taskRunner: null}\n"
    values = "{commands: [default], env: {A: default, C: default}, taskRunner: {type: scripts.runner.docker.Docker}}"
    task = task_of(parse, flow(f"  - {{type: scripts.shell, values: {values}}}\n", shell))
    assert task.commands == ["default", "own"]
    assert task.env == {"A": "own", "C": "default", "B": "own"}
    assert task.task_runner.type == "scripts.runner.docker.Docker"
    forced = task_of(parse, flow(f"  - {{type: scripts.shell, forced: true, values: {values}}}\n", shell))
    assert forced.commands == ["own", "default"]
    assert forced.env == {"A": "default", "B": "own", "C": "default"}


def test_defaults_reach_every_depth_and_kind_of_plug_in(parse: Parse) -> None:
    text = flow(
        f"  - {{type: {LOG}, values: {{message: given}}}}\n  - {{type: io.kestra.plugin.scripts.runner, values: {{pullPolicy: NEVER}}}}\n"
        "  - {type: core.trigger.Schedule, values: {timezone: Europe/Paris}}\n  - {type: core.condition.DayWeek, values: {dayOfWeek: MONDAY}}\n",
        f"  - {{id: p, type: core.flow.Parallel, tasks: [{{id: a, type: {LOG}}}]}}\n"
        "  - {id: s, type: scripts.shell.Commands, commands: [], taskRunner: {type: scripts.runner.docker.Docker}}\n"
        "triggers: [{id: t, type: core.trigger.Schedule, cron: '@daily', conditions: [{type: core.condition.DayWeek}]}]\n",
    )
    parsed = parse(text)
    assert parsed.problems == ()
    found: Any = parsed.flow
    assert found.tasks[0].tasks[0].message == "given"
    assert found.tasks[1].task_runner.pull_policy == "NEVER"
    assert found.triggers[0].timezone == "Europe/Paris"
    assert found.triggers[0].conditions[0].day_of_week == "MONDAY"


def test_what_a_default_brings_gets_its_own_defaults(parse: Parse) -> None:
    text = flow(
        "  - {type: scripts.shell, values: {taskRunner: {type: scripts.runner.docker.Docker}}}\n  - {type: scripts.runner, values: {volumes: [a]}}\n",
        "  - {id: s, type: scripts.shell.Commands, commands: []}\n",
    )
    assert task_of(parse, text).task_runner.volumes == ["a"]


def test_a_property_that_a_matched_plug_in_does_not_have_is_left_out(parse: Parse) -> None:
    assert task_of(parse, flow("  - {type: io.kestra.plugin, values: {pullPolicy: NEVER, level: WARN}}\n")).level == "WARN"


def test_a_default_fills_a_required_property(parse: Parse) -> None:
    assert task_of(parse, flow(f"  - {{type: {LOG}, values: {{message: given}}}}\n", f"  - {{id: a, type: {LOG}}}\n")).message == "given"


def test_a_default_with_ref_is_for_those_that_name_it(parse: Parse) -> None:
    defaults = f"  - {{type: {LOG}, ref: loud, values: {{level: ERROR}}}}\n"
    assert task_of(parse, flow(defaults)).level == "INFO"
    assert task_of(parse, flow(defaults, f"  - {{id: a, type: {LOG}, message: x, pluginDefaultsRef: loud}}\n")).level == "ERROR"


def test_input_types_match_too(parse: Parse) -> None:
    parsed = parse(flow("  - {type: STRING, values: {description: given}}\n") + "inputs: [{id: i, type: STRING}]\n")
    assert parsed.flow is not None
    assert parsed.flow.inputs[0].description == "given"


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        (f"  - {{type: {LOG}}}\n", "pluginDefaults[0].values: No 'values' provided"),
        (f"  - {{type: {LOG}, values: null}}\n", "pluginDefaults[0].values: No 'values' provided"),
        (f"  - {{type: {LOG}, values: {{level: null}}}}\n", "pluginDefaults[0].values.level: No value provided for key 'level'"),
        (
            f"  - {{type: {LOG}, values: {{levl: WARN}}}}\n",
            f"pluginDefaults[0].values.levl: Invalid Plugin Default: No property 'levl' exists in plugin '{LOG}'",
        ),
        ("  - {values: {a: b}}\n", "pluginDefaults[0].type: must not be null: missing type id property 'type'"),
        ("  - {type: '', values: {a: b}}\n", "pluginDefaults[0].type: must not be blank"),
        (f"  - {{type: {LOG}, values: [a]}}\n", "pluginDefaults[0].values: Illegal flow yaml: a map is expected, not a list"),
        (f"  - {{type: {LOG}, force: true, values: {{level: WARN}}}}\n", 'pluginDefaults[0].force: Unrecognized field "force"'),
    ],
)
def test_what_is_wrong_with_defaults(parse: Parse, defaults: str, message: str) -> None:
    found = [f"{each.path}: {each.message}" for each in parse(flow(defaults)).problems]
    assert any(each.startswith(message) for each in found), found


def test_a_bad_value_is_told_where_the_default_stands(parse: Parse) -> None:
    (problem,) = parse(flow(f"  - type: {LOG}\n    values:\n      level: LOUD\n")).problems
    assert (problem.line, problem.column, problem.path) == (6, 14, "tasks[0].level")
    (problem,) = parse(f"id: a\nnamespace: b\ntasks:\n  - id: a\n    type: {LOG}\n    message: x\n", defaults=[{"type": LOG, "values": {"level": "LOUD"}}]).problems
    assert (problem.line, problem.column, problem.path) == (5, 5, "tasks[0].level")


def test_defaults_that_bring_themselves_end(parse: Parse) -> None:
    text = flow("  - {type: core.flow.Sequential, values: {tasks: [{id: x, type: core.flow.Sequential}]}}\n", "  - {id: s, type: core.flow.Sequential}\n")
    assert any(each.code == "limit-reached" for each in parse(text).problems)


def test_malformed_defaults_of_the_instance_are_left_out(parse: Parse) -> None:
    assert task_of(parse, flow(f"  - {{type: {LOG}, values: {{level: WARN}}}}\n"), defaults=[{}, {"type": LOG}, {"type": 5, "values": {}}]).level == "WARN"
