"""What reaches the models: text stays text where text is wanted, null means absent, other spellings are understood."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from podium.flows.load import Parsed
from podium.flows.model import Flow, Pause, Switch

Parse = Callable[..., Parsed]


def flow_of(parse: Parse, text: str) -> Flow:
    parsed = parse(text)
    assert parsed.problems == ()
    assert parsed.flow is not None
    return parsed.flow


def only_task(parse: Parse, properties: str) -> Any:
    return flow_of(parse, f"id: a\nnamespace: b\ntasks:\n  - id: x\n{properties}").tasks[0]


def test_text_properties_keep_what_was_written(parse: Parse) -> None:
    for written in ("010", "yes", "12:30", "1.10", "2026-01-31", "0x1F", "true", "1_000", "1e3"):
        assert only_task(parse, f"    type: core.log.Log\n    message: {written}\n").message == written
        assert only_task(parse, f"    type: core.log.Log\n    message: [{written}]\n").message == [written]
        assert only_task(parse, f"    type: scripts.shell.Commands\n    commands: [{written}]\n    env: {{A: {written}}}\n").env == {"A": written}


def test_untyped_values_are_typed(parse: Parse) -> None:
    flow = flow_of(parse, "id: a\nnamespace: b\nvariables: {a: 010, b: yes, c: true, d: 1.5, e: null, f: [1, '2']}\ntasks: [{id: x, type: core.debug.Return}]\n")
    assert flow.variables == {"a": 8, "b": "yes", "c": True, "d": 1.5, "e": None, "f": [1, "2"]}


def test_ids_and_labels_written_as_numbers_are_text(parse: Parse) -> None:
    flow = flow_of(parse, "id: 007\nnamespace: 1.10\nlabels: {a: 010, b: true, c: 1.50}\ntasks: [{id: 3, type: core.debug.Return}]\n")
    assert (flow.id, flow.namespace, flow.tasks[0].id) == ("007", "1.10", "3")
    assert flow.labels == {"a": "010", "b": "true", "c": "1.50"}


def test_labels_may_be_a_list_and_the_first_of_equal_keys_wins(parse: Parse) -> None:
    text = "id: a\nnamespace: b\nlabels: [{key: x, value: 1}, {key: y, value: true}, {key: x, value: 3}]\ntasks: [{id: x, type: core.debug.Return}]\n"
    assert flow_of(parse, text).labels == {"x": "1", "y": "true"}


def test_null_means_absent(parse: Parse) -> None:
    task = only_task(parse, "    type: core.log.Log\n    message: x\n    level: null\n    timeout: ~\n    runIf:\n    disabled: null\n")
    assert (task.level, task.timeout, task.run_if, task.disabled) == ("INFO", None, "true", False)


def test_switch_cases_are_text(parse: Parse) -> None:
    inner = "[{id: y, type: core.debug.Return}]"
    task = only_task(parse, f"    type: core.flow.Switch\n    value: x\n    cases: {{true: {inner.replace('y', 'z', 1)}, 010: {inner}}}\n")
    assert isinstance(task, Switch)
    assert list(task.cases) == ["true", "010"]


def test_durations_are_iso_or_seconds(parse: Parse) -> None:
    for written, seconds in (("PT1M30S", 90), ("P1D", 86400), ("15", 15), ("0.5", 0.5), ("'20'", 20), ("pt2s", 2)):
        assert only_task(parse, f"    type: core.debug.Return\n    timeout: {written}\n").timeout == timedelta(seconds=seconds)


def test_dynamic_properties_keep_expressions(parse: Parse) -> None:
    task = only_task(parse, "    type: core.flow.Pause\n    pauseDuration: '{{ inputs.x }}'\n    behavior: FAIL\n")
    assert isinstance(task, Pause)
    assert str(task.pause_duration) == "{{ inputs.x }}"
    assert task.behavior == "FAIL"


def test_booleans_may_be_quoted(parse: Parse) -> None:
    assert only_task(parse, "    type: core.debug.Return\n    disabled: 'true'\n    allowFailure: TRUE\n").allow_failure is True


def test_old_spellings_are_understood(parse: Parse) -> None:
    text = (
        "id: a\nnamespace: b\ninputs: [{name: old, type: STRING}]\ntaskDefaults: [{type: core.log, values: {level: WARN}}]\n"
        "tasks: [{id: x, type: core.log.Log, message: m, retry: {type: constant, interval: 1, maxAttempt: 3}}]\n"
        "triggers: [{id: t, type: core.trigger.Webhook, key: k, minLogLevel: WARN}]\nchecks: [{when: 'true', message: m}]\n"
    )
    flow = flow_of(parse, text)
    assert flow.inputs[0].id == "old"
    assert flow.tasks[0].retry is not None
    assert flow.tasks[0].retry.max_attempts == 3
    assert flow.triggers[0].log_level == "WARN"
    assert flow.checks[0].condition == "true"
    assert flow.tasks[0].level == "WARN"  # type: ignore[attr-defined] # a Log


def test_old_type_names_are_understood_and_kept(parse: Parse) -> None:
    parsed = parse("id: a\nnamespace: b\ntasks: [{id: x, type: io.kestra.core.tasks.log.Log, message: m}]\n")
    assert parsed.flow is not None
    assert parsed.flow.tasks[0].type == "io.kestra.core.tasks.log.Log"
    assert [each.message for each in parsed.warnings] == ["io.kestra.core.tasks.log.Log is replaced by io.kestra.plugin.core.log.Log"]


def test_a_map_that_stays_a_map_keeps_its_own_keys(parse: Parse) -> None:
    task = only_task(
        parse,
        "    type: core.flow.WorkingDirectory\n    namespaceFiles: {enabled: true, ifExists: WARN, include: ['*.sql']}\n"
        "    cache: {patterns: [a], ttl: PT1H}\n    tasks: [{id: y, type: core.debug.Return}]\n",
    )
    assert task.namespace_files == {"enabled": True, "ifExists": "WARN", "include": ["*.sql"]}
    assert task.cache == {"patterns": ["a"], "ttl": "PT1H"}


def test_the_revision_of_a_file_is_accepted(parse: Parse) -> None:
    assert flow_of(parse, "id: a\nnamespace: b\nrevision: 7\ntasks: [{id: x, type: core.debug.Return}]\n").revision == 7
