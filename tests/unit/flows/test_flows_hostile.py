"""Texts that are written to take long: each is read in a moment, and refused or accepted for what it is."""

from __future__ import annotations

import time

import pytest

from podium.app.plugins import load_types
from podium.flows.load import parse_flows

TYPES = load_types()
HEAD = "id: a\nnamespace: b\n"
TASKS = "tasks:\n  - {id: t, type: core.log.Log, message: x}\n"
LAUGH = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(10))

HOSTILE = {
    "unknown properties": HEAD + TASKS + "".join(f"prop{i}{'x' * 20}: 1\n" for i in range(20_000)),
    "unknown types": HEAD + "tasks:\n" + "".join(f"  - {{id: t{i}, type: io.kestra.plugin.core.flow.Xy{i}}}\n" for i in range(8_000)),
    "unknown time zones": HEAD + TASKS + "triggers:\n" + "".join(
        f"  - {{id: t{i}, type: core.trigger.Schedule, cron: '@daily', timezone: Europe/Pars{i}}}\n" for i in range(4_000)),
    "the same key": HEAD + TASKS + "labels:\n" + "  k: v\n" * 80_000,
    "many documents": "id: a\n---\n" * 50_000,
    "the same id": HEAD + "tasks:\n" + "  - {id: t, type: core.log.Log, message: x}\n" * 8_000,
    "aliases of aliases": LAUGH,
    "a map merged everywhere": HEAD + "variables:\n  a: &a {" + ", ".join(f"k{i}: 1" for i in range(1_000)) + "}\n" + "".join(f"  b{i}: {{<<: *a}}\n" for i in range(400)) + TASKS,
    "calls in calls": HEAD + TASKS.replace("message: x", "message: '{{ " + "read(" * 20_000 + " }}'"),
    "brackets in brackets": HEAD + TASKS.replace("message: x", "message: '{{ " + "(" * 20_000 + " }}'"),
    "a circle of tasks": HEAD + "tasks:\n  - id: d\n    type: core.flow.Dag\n    tasks:\n" + "".join(
        f"      - {{task: {{id: t{i}, type: core.log.Log, message: x}}, dependsOn: [t{(i + 1) % 3000}]}}\n" for i in range(3_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_read_in_a_moment(name: str) -> None:
    begin = time.process_time()
    found = parse_flows(HOSTILE[name], file="f.yaml", types=TYPES)
    assert time.process_time() - begin < 5
    assert all(len(each.problems) <= 1_000 for each in found)
    assert sum(len(each.problems) + len(each.warnings) for each in found) > 0


def test_what_was_meant_is_told_for_the_first_mistakes() -> None:
    (parsed,) = parse_flows(HEAD + TASKS + "trigers: []\n" + "".join(f"inputz{i}: 1\n" for i in range(200)), file="f.yaml", types=TYPES)
    assert parsed.problems[0].hint == "did you mean 'triggers'?"
    assert parsed.problems[-1].hint == "use one of these properties, or remove it"
