"""What `podium validate --output json` says of broken flows, word for word: tests/golden/validate/<mutant>.json.

Each mutant is a valid flow with one or two changes. After a wanted change of words: `python tests/unit/flows/test_flows_golden.py`.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from podium.cli.local.validate import validate

GOLDEN = Path(__file__).parents[2] / "golden" / "validate"

ETL = """\
id: etl
namespace: company.data
labels:
  team: data
inputs:
  - id: day
    type: DATE
    defaults: "2026-01-31"
  - id: mode
    type: SELECT
    values: [full, delta]
    defaults: full
  - id: rows
    type: INT
    min: 1
    max: 1000
    defaults: 100
    dependsOn:
      inputs: [mode]
      condition: "{{ inputs.mode == 'delta' }}"
concurrency:
  limit: 2
  behavior: QUEUE
tasks:
  - id: extract
    type: io.kestra.plugin.core.log.Log
    message: extract {{ inputs.day }}
    timeout: PT5M
    retry:
      type: exponential
      interval: PT1S
      maxInterval: PT1M
      maxAttempts: 3
  - id: branch
    type: io.kestra.plugin.core.flow.Switch
    value: "{{ inputs.mode }}"
    cases:
      full:
        - id: all
          type: io.kestra.plugin.core.debug.Return
          format: all
    defaults:
      - id: some
        type: io.kestra.plugin.core.debug.Return
        format: some
  - id: graph
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task:
          id: a
          type: io.kestra.plugin.core.debug.Return
      - task:
          id: b
          type: io.kestra.plugin.core.debug.Return
        dependsOn: [a]
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: [1, 2]
    concurrencyLimit: 0
    tasks:
      - id: item
        type: io.kestra.plugin.core.debug.Return
        format: "{{ taskrun.value }}"
  - id: child
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.data
    flowId: load
    inputs:
      day: "{{ inputs.day }}"
errors:
  - id: alarm
    type: io.kestra.plugin.core.log.Log
    level: ERROR
    message: failed
triggers:
  - id: nightly
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 2 * * *"
    timezone: Europe/Paris
    conditions:
      - type: io.kestra.plugin.core.condition.DayWeek
        dayOfWeek: MONDAY
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: abcdefgh
    verify:
      preset: github
      secret: "{{ secret('HOOK') }}"
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    preconditions:
      id: upstream
      flows:
        - namespace: company.raw
          flowId: fetch
          states: [SUCCESS]
      timeWindow:
        type: DAILY_TIME_DEADLINE
        deadline: "06:00:00"
pluginDefaults:
  - type: io.kestra.plugin.core.log
    values:
      level: INFO
outputs:
  - id: total
    type: INT
    value: "{{ outputs.all.value }}"
sla:
  - id: fast
    type: MAX_DURATION
    behavior: FAIL
    duration: PT1H
"""
NEW = """\
id: review
namespace: company.data
draft: false
inputs:
  - id: person
    type: FORM
    inputs:
      - id: name
        type: STRING
        defaults: Ada
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Approval
    onApprove:
      - id: yes
        type: io.kestra.plugin.core.debug.Return
  - id: loop
    type: io.kestra.plugin.core.flow.Loop
    values: [a, b]
    concurrencyLimit: 1
    tasks:
      - id: item
        type: io.kestra.plugin.core.debug.Return
        format: "{{ item.value }}"
triggers:
  - id: daily
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "@daily"
  - id: after
    type: io.kestra.plugin.core.trigger.Flow
    dependsOn:
      - namespace: company.data
        flowId: etl
    window:
      deadline: "06:00:00"
"""

MUTANTS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "id-missing": (ETL, (("id: etl\n", ""),)),
    "id-with-space": (ETL, (("id: etl\n", "id: e t l\n"),)),
    "namespace-upper-case": (ETL, (("namespace: company.data\nlabels", "namespace: Company.data\nlabels"),)),
    "tasks-removed": (ETL, (("tasks:\n  - id: extract", "steps:\n  - id: extract"),)),
    "label-of-the-system": (ETL, (("team: data", "system.team: data"),)),
    "tab-in-indentation": (ETL, (("  team: data", "\tteam: data"),)),
    "colon-in-plain-text": (ETL, (("message: failed", "message: failed: badly"),)),
    "bracket-not-closed": (ETL, (("values: [1, 2]", "values: [1, 2"),)),
    "key-twice": (ETL, (("    level: ERROR\n", "    level: ERROR\n    level: WARN\n"),)),
    "tag": (ETL, (("values: [1, 2]", "values: !!set [1, 2]"),)),
    "alias-not-defined": (ETL, (("message: failed", "message: *failed"),)),
    "type-misspelt": (ETL, (("io.kestra.plugin.core.flow.ForEach", "io.kestra.plugin.core.flow.ForEech"),)),
    "type-of-another-kind": (ETL, (("io.kestra.plugin.core.trigger.Webhook", "io.kestra.plugin.core.log.Log"),)),
    "type-missing": (ETL, (("    type: io.kestra.plugin.core.log.Log\n    level: ERROR", "    level: ERROR"),)),
    "property-misspelt": (ETL, (("concurrencyLimit: 0", "concurencyLimit: 0"),)),
    "property-in-snake-case": (ETL, (("flowId: load", "flow_id: load"),)),
    "property-missing": (ETL, (("    message: failed\n", ""),)),
    "property-null": (ETL, (("message: failed", "message:"),)),
    "level-unknown": (ETL, (("level: ERROR", "level: WARNING"),)),
    "duration-in-words": (ETL, (("timeout: PT5M", "timeout: 5 minutes"),)),
    "number-as-text": (ETL, (("limit: 2", "limit: two"),)),
    "number-too-small": (ETL, (("limit: 2", "limit: 0"),)),
    "list-instead-of-text": (ETL, (("flowId: load", "flowId: [load]"),)),
    "text-instead-of-list": (ETL, (("values: [full, delta]", "values: full"),)),
    "map-instead-of-list": (ETL, (("      - id: all\n", "        id: all\n"), ("          type: io.kestra.plugin.core.debug.Return\n          format: all", "        type: io.kestra.plugin.core.debug.Return\n        format: all"))),
    "boolean-yes": (ETL, (("    timeout: PT5M\n", "    timeout: PT5M\n    disabled: yes\n"),)),
    "task-id-twice": (ETL, (("- id: some", "- id: all"), ("- id: alarm", "- id: extract"))),
    "trigger-id-twice": (ETL, (("- id: hook", "- id: nightly"),)),
    "input-id-twice": (ETL, (("- id: mode", "- id: day"),)),
    "retry-interval-too-long": (ETL, (("interval: PT1S", "interval: PT2M"),)),
    "retry-kind-unknown": (ETL, (("type: exponential", "type: linear"),)),
    "retry-incomplete": (ETL, (("      maxInterval: PT1M\n", ""),)),
    "switch-without-tasks": (ETL, (("    cases:\n      full:\n        - id: all\n          type: io.kestra.plugin.core.debug.Return\n          format: all\n    defaults:\n      - id: some\n        type: io.kestra.plugin.core.debug.Return\n        format: some\n", ""),)),
    "dag-unknown-dependency": (ETL, (("dependsOn: [a]", "dependsOn: [aa]"),)),
    "dag-cycle": (ETL, (("          id: a\n          type: io.kestra.plugin.core.debug.Return\n", "          id: a\n          type: io.kestra.plugin.core.debug.Return\n        dependsOn: [b]\n"),)),
    "each-without-tasks": (ETL, (("    tasks:\n      - id: item\n        type: io.kestra.plugin.core.debug.Return\n        format: \"{{ taskrun.value }}\"\n", ""),)),
    "flow-calls-itself": (ETL, (("flowId: load", "flowId: etl"),)),
    "input-type-unknown": (ETL, (("type: SELECT", "type: SELEKT"),)),
    "input-default-of-other-type": (ETL, (("defaults: 100", "defaults: many"),)),
    "input-depends-on-nothing": (ETL, (("inputs: [mode]", "inputs: [mood]"),)),
    "input-depends-on-itself": (ETL, (("    values: [full, delta]", "    values: [full, delta]\n    dependsOn: {inputs: [rows]}"),)),
    "input-bounds-swapped": (ETL, (("min: 1\n", "min: 2000\n"),)),
    "cron-with-four-fields": (ETL, (("0 2 * * *", "0 2 * *"),)),
    "cron-out-of-range": (ETL, (("0 2 * * *", "0 25 * * *"),)),
    "time-zone-unknown": (ETL, (("Europe/Paris", "Europe/Pariss"),)),
    "condition-unknown": (ETL, (("condition.DayWeek\n", "condition.DayOfWeek\n"),)),
    "weekday-in-lower-case": (ETL, (("dayOfWeek: MONDAY", "dayOfWeek: monday"),)),
    "webhook-without-key": (ETL, (("    key: abcdefgh\n", ""),)),
    "webhook-without-secret": (ETL, (("      secret: \"{{ secret('HOOK') }}\"\n", ""),)),
    "window-of-another-type": (ETL, (("DAILY_TIME_DEADLINE", "SLIDING_WINDOW"),)),
    "upstream-state-unknown": (ETL, (("states: [SUCCESS]", "states: [SUCCEEDED]"),)),
    "default-without-values": (ETL, (("    values:\n      level: INFO\n", ""),)),
    "default-misspelt": (ETL, (("type: io.kestra.plugin.core.log\n    values:\n      level", "type: io.kestra.plugin.core.log.Log\n    values:\n      levl"),)),
    "default-of-wrong-type": (ETL, (("      level: INFO\n", "      level: INFO\n      timeout: soon\n"), ("    timeout: PT5M\n", ""))),
    "output-without-value": (ETL, (("    value: \"{{ outputs.all.value }}\"\n", ""),)),
    "sla-without-duration": (ETL, (("    duration: PT1H\n", ""),)),
    "worker-group": (ETL, (("    timeout: PT5M\n", "    workerGroup: {key: big}\n"),)),
    "two-mistakes-in-one-task": (ETL, (("core.log.Log\n    message: extract", "core.log.Logger\n    message: extract"), ("timeout: PT5M", "timeout: soon"))),
    "form-with-default": (NEW, (("    type: FORM\n", "    type: FORM\n    defaults: x\n"),)),
    "input-without-value-for-schedule": (NEW, (("        defaults: Ada\n", ""),)),
    "optional-with-default": (NEW, (("        defaults: Ada\n", "        defaults: Ada\n        required: false\n"),)),
    "loop-without-tasks": (NEW, (("    tasks:\n      - id: item\n        type: io.kestra.plugin.core.debug.Return\n        format: \"{{ item.value }}\"\n", ""),)),
    "window-with-two-meanings": (NEW, (("      deadline: \"06:00:00\"\n", "      deadline: \"06:00:00\"\n      lookback: PT1H\n"),)),
    "trigger-property-of-1-x-misspelt": (NEW, (("    cron: \"@daily\"\n", "    cron: \"@daily\"\n    condition: []\n"),)),
    "reserved-id": (NEW, (("id: review", "id: resume"),)),
    "quotas": (NEW, (("draft: false", "quotas: [{duration: PT1H, limit: 1, behavior: FAIL}]"),)),
}


def mutant(name: str) -> str:
    text, changes = MUTANTS[name]
    for before, after in changes:
        assert text.count(before) == 1, (name, before)
        text = text.replace(before, after)
    return text


def answer(text: str, folder: Path) -> tuple[int, Any]:
    """Exit code and JSON of `podium validate --output json flow.yaml`, run in `folder`."""
    (folder / "flow.yaml").write_text(text, "utf-8")
    with contextlib.chdir(folder):
        result = CliRunner().invoke(validate, ["flow.yaml", "--output", "json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("text", [ETL, NEW], ids=["etl", "review"])
def test_the_flows_themselves_are_valid(text: str, tmp_path: Path) -> None:
    assert answer(text, tmp_path) == (0, [])


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_refused_with_the_golden_answer(name: str, tmp_path: Path) -> None:
    code, problems = answer(mutant(name), tmp_path)
    assert code == 1
    assert problems == json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    for each in problems:
        assert list(each) == ["file", "line", "column", "path", "code", "message", "hint"]


def test_there_are_enough_and_no_leftovers() -> None:
    assert len(MUTANTS) >= 40
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(MUTANTS)


if __name__ == "__main__":
    import tempfile

    for each in MUTANTS:
        with tempfile.TemporaryDirectory() as made:
            _, found = answer(mutant(each), Path(made))
        (GOLDEN / f"{each}.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
