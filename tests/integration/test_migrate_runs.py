"""A migrated flow does what it did before: both are run, and what they give is compared."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.app.settings import load_settings
from podium.app.wiring.foreground import choose, open_foreground, start
from podium.flows.load import parse_flows
from podium.flows.migrate.driver import migrate

TYPES = load_types()

FLOWS = {
    "loops in loops": """
        id: loops
        namespace: a.b
        tasks:
          - id: outer
            type: io.kestra.plugin.core.flow.ForEach
            values: [x, y]
            tasks:
              - id: name
                type: io.kestra.plugin.core.debug.Return
                format: "<{{ taskrun.value }}>"
              - id: inner
                type: io.kestra.plugin.core.flow.EachSequential
                value: '["1", "{{ taskrun.value }}2"]'
                tasks:
                  - id: both
                    type: io.kestra.plugin.core.debug.Return
                    format: "{{ outputs.name[parent.taskrun.value].value }}{{ taskrun.value }}"
                  - id: keep
                    type: io.kestra.plugin.core.kv.Set
                    key: "k-{{ parent.taskrun.value }}-{{ taskrun.value }}"
                    value: "{{ currentEachOutput(outputs.both).value }}"
          - id: all
            type: io.kestra.plugin.core.output.OutputValues
            values: {all: ["{{ kv('k-x-1') }}", "{{ kv('k-x-x2') }}", "{{ kv('k-y-1') }}", "{{ kv('k-y-y2') }}"]}
        outputs:
          - {id: all, type: JSON, value: "{{ outputs.all.values }}"}
        """,
    "tasks of a loop in an If": """
        id: ifs
        namespace: a.b
        tasks:
          - id: each
            type: io.kestra.plugin.core.flow.ForEach
            concurrencyLimit: 0
            values: [{n: 1}, {n: 2}]
            tasks:
              - id: odd
                type: io.kestra.plugin.core.flow.If
                condition: "{{ json(taskrun.value).n == 1 }}"
                then:
                  - id: keep
                    type: io.kestra.plugin.core.kv.Set
                    key: one
                    value: "{{ json(parent.taskrun.value).n }} {{ parent.outputs.evaluationResult }}"
                else:
                  - id: keep2
                    type: io.kestra.plugin.core.kv.Set
                    key: two
                    value: "{{ json(parents[0].taskrun.value).n }}"
        outputs:
          - {id: all, type: STRING, value: "{{ kv('one') }} {{ kv('two') }}"}
        """,
    "everything at once": """
        id: atonce
        namespace: a.b
        tasks:
          - id: each
            type: io.kestra.plugin.core.flow.EachParallel
            value: [a, b]
            tasks:
              - id: one
                type: io.kestra.plugin.core.kv.Set
                key: "one-{{ taskrun.value }}"
                value: "1{{ taskrun.value }}"
              - id: two
                type: io.kestra.plugin.core.kv.Set
                key: "two-{{ taskrun.value }}"
                value: "2{{ taskrun.value }}"
        outputs:
          - {id: all, type: STRING, value: "{{ kv('one-a') }}{{ kv('two-a') }}{{ kv('one-b') }}{{ kv('two-b') }}"}
        """,
    "plug-in defaults": """
        id: defaults
        namespace: a.b
        pluginDefaults:
          - type: io.kestra.plugin.core.debug.Return
            values: {format: "{{ flow.id }}"}
          - type: io.kestra.plugin.core.output
            forced: true
            values: {values: {b: "2"}}
        tasks:
          - id: one
            type: io.kestra.plugin.core.debug.Return
          - id: two
            type: io.kestra.plugin.core.debug.Return
            format: own
          - id: three
            type: io.kestra.plugin.core.output.OutputValues
            values: {a: "{{ outputs.one.value }}", b: "1"}
        outputs:
          - {id: all, type: JSON, value: "{{ outputs.three.values }}"}
          - {id: two, type: STRING, value: "{{ outputs.two.value }}"}
        """,
    "what binds tighter": """
        id: binds
        namespace: a.b
        variables: {n: 3, s: v, j: '{"a": [1, "x"]}'}
        tasks:
          - id: values
            type: io.kestra.plugin.core.output.OutputValues
            values:
              a: "{{ vars.s ?? 'd' | upper }}"
              b: "{{ vars.gone ?? 'a' ~ 'b' }}"
              c: "{{ 1 + vars.gone ?? 2 }}"
              d: "{{ vars.n + vars.gone ?? vars.n * 2 }}"
              e: '{{ json(vars.j).a | json }}'
              f: "{% if 'x' == vars.gone ?? 'x' %}{{ vars.gone.at ?? vars.s ~ \\"!\\" }}{% endif %}"
        outputs:
          - {id: all, type: JSON, value: "{{ outputs.values.values }}"}
        """,
    "a pause with tasks": """
        id: paused
        namespace: a.b
        tasks:
          - id: wait
            type: io.kestra.plugin.core.flow.Pause
            delay: PT0.1S
            tasks:
              - id: later
                type: io.kestra.plugin.core.debug.Return
                format: "after {{ tasks.wait.state ?? '?' | length > 0 }}"
          - id: last
            type: io.kestra.plugin.core.debug.Return
            format: "{{ outputs.later.value }} last"
        outputs:
          - {id: all, type: STRING, value: "{{ outputs.last.value }}"}
        """,
    "inputs": """
        id: inputs
        namespace: a.b
        inputs:
          - {name: flag, type: BOOLEAN, defaults: true, required: false}
          - {id: pick, type: ENUM, values: [a, b], defaults: b}
          - {id: many, type: MULTISELECT, options: [a, b, c], defaults: [a, c]}
          - {id: flags, type: ARRAY, itemType: BOOLEAN, defaults: [true, false]}
        tasks:
          - id: none
            type: io.kestra.core.tasks.debugs.Echo
            format: "{{ inputs.flag }}"
        outputs:
          - {id: all, type: JSON, value: "{{ inputs }}"}
          - {id: flag, type: BOOLEAN, value: "{{ inputs.flag }}"}
        """,
    "state": """
        id: state
        namespace: a.b
        tasks:
          - {id: set, type: io.kestra.plugin.core.state.Set, name: n, data: {a: 1, b: [x]}}
          - {id: get, type: io.kestra.plugin.core.state.Get, name: n}
        outputs:
          - {id: all, type: JSON, value: "{{ outputs.get.data }}"}
        """,
    "until": """
        id: until
        namespace: a.b
        tasks:
          - id: loop
            type: io.kestra.plugin.core.flow.WaitFor
            condition: "{{ outputs.value.value == '3' }}"
            checkFrequency: {interval: PT0.05S}
            tasks:
              - id: value
                type: io.kestra.plugin.core.debug.Return
                format: "{{ (taskrun.iteration ?? 0) + 1 }}"
          - id: end
            type: io.kestra.plugin.core.debug.Return
            format: "{{ outputs.value.value }}"
            retry: {type: constant, interval: PT0.1S, maxAttempt: 2}
        outputs:
          - {id: all, type: STRING, value: "{{ outputs.end.value }}"}
        """,
    "batches": """
        id: batches
        namespace: a.b
        tasks:
          - id: file
            type: io.kestra.plugin.core.storage.Write
            content: "a\\nb\\nc\\n"
          - id: each
            type: io.kestra.plugin.core.flow.ForEachItem
            items: "{{ outputs.file.uri }}"
            batch: {rows: 2}
            namespace: a.b
            flowId: child
            inputs:
              text: "{{ read(taskrun.items) }}"
              number: "{{ taskrun.iteration }}"
        outputs:
          - {id: all, type: STRING, value: "{{ kv('batch-0') }} {{ kv('batch-1') }}"}
        ---
        id: child
        namespace: a.b
        inputs:
          - {id: text, type: STRING}
          - {id: number, type: STRING}
        tasks:
          - id: keep
            type: io.kestra.plugin.core.kv.Set
            key: "batch-{{ inputs.number }}"
            value: "{{ inputs.text | replace({'\\n': '.'}) }}"
        """,
    "a failure in a loop": """
        id: fails
        namespace: a.b
        tasks:
          - id: each
            type: io.kestra.plugin.core.flow.ForEach
            values: [a, b, c]
            allowFailure: true
            tasks:
              - id: keep
                type: io.kestra.plugin.core.kv.Set
                key: "seen-{{ taskrun.value }}"
                value: "yes"
              - id: fail
                type: io.kestra.plugin.core.execution.Fail
                runIf: "{{ taskrun.value == 'b' }}"
        outputs:
          - {id: all, type: STRING, value: "{{ kv('seen-a') }}{{ kv('seen-b') }}{{ kv('seen-c', errorOnMissing=false) ?? 'no' }}"}
        """,
}


async def run(text: str, place: Path) -> dict[str, Any]:
    """What `podium run` does, in this process."""
    place.mkdir()
    (place / "flow.yaml").write_text(text)
    chosen = choose(str(place / "flow.yaml"), place)
    async with open_foreground(load_settings(None, overrides={"runner.type": "process"}), chosen, secrets_file=None) as core:
        view = await start(core, chosen, {}, {})
        ended = await asyncio.wait_for(core.podium.wait(view["id"]), timeout=60)
    return {"state": ended["state"]["current"], "outputs": ended.get("outputs")}


@pytest.mark.parametrize("name", FLOWS)
async def test_both_forms_give_the_same(name: str, tmp_path: Path) -> None:
    text = dedent(FLOWS[name]).lstrip("\n")
    result = migrate(text, file="f.yaml", types=TYPES)
    assert result.changes != ()
    assert result.problems == ()
    assert [each.problems for each in parse_flows(result.text, file="f.yaml", types=TYPES)] == [()] * len(parse_flows(text, file="f.yaml", types=TYPES))
    before, after = await run(text, tmp_path / "before"), await run(result.text, tmp_path / "after")
    assert before["outputs"]
    assert after == before, result.text
