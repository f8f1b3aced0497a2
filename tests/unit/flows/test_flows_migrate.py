"""Rewriting flows of 1.x as 2.0: what changes, what stays byte for byte, what is reported. Source: flow-language-2 7."""

from __future__ import annotations

from textwrap import dedent

import pytest

from podium.app.plugins import load_types
from podium.flows.load import parse_flows
from podium.flows.migrate.driver import Migrated, migrate

TYPES = load_types()
HEAD = "id: demo\nnamespace: company.team\n"
TASKS = "tasks:\n  - id: hello\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n"
CORE = "io.kestra.plugin.core"
DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"


def run(text: str) -> Migrated:
    result = migrate(text, file="f.yaml", types=TYPES)
    again = migrate(result.text, file="f.yaml", types=TYPES)
    assert again.text == result.text, "migrating twice is migrating once"
    assert again.changes == ()
    return result


def tasks(text: str, before: str = "") -> str:
    """The tasks of a flow, rewritten; the result must be valid."""
    result = run(HEAD + before + "tasks:\n" + dedent(text))
    assert [str(each) for each in result.problems] == []
    return result.text.partition("tasks:\n")[2]


def rest(text: str) -> str:
    """What stands behind the tasks, rewritten."""
    result = run(HEAD + TASKS + dedent(text))
    assert [str(each) for each in result.problems] == []
    return result.text.removeprefix(HEAD + TASKS)


def left(text: str) -> list[str]:
    return [f"{each.line}: {each.what}" for each in run(text).left]


def test_a_flow_without_marks_stays_byte_for_byte() -> None:
    text = "# c\r\n" + (HEAD + TASKS).replace("\n", "\r\n") + "\r\n\r\n# end"
    assert run(text).text == text


def test_only_what_changes_changes() -> None:
    text = dedent("""\
        # top
        id: demo    # the id

        namespace: "company.team"
        inputs:
          - {id: a, type: BOOLEAN, required: false, defaults: true}   # flow style
          - name: b   # old name

            type: ENUM
            # its values
            values: [x,   y]
            required: false
            defaults: x
          # removed with its line, the comment stays
          - id: c
            required: false # why
            type: INT
            defaults: 0x10

        tasks:
        - id: t
          type: io.kestra.core.tasks.log.Log
          message: >-
            folded  {{ inputs.a | json }}

            text
        """)
    wanted = text.replace("{id: a, type: BOOLEAN, required: false, defaults: true}", "{id: a, type: BOOL, defaults: true}")
    wanted = wanted.replace("- name: b ", "- id: b ").replace("type: ENUM", "type: SELECT").replace("    required: false\n    defaults: x", "    defaults: x")
    wanted = wanted.replace("    required: false # why\n", "    # why\n").replace("io.kestra.core.tasks.log.Log", f"{CORE}.log.Log").replace("| json", "| toJson")
    assert run(text).text == wanted


def test_lines_of_the_report_are_those_of_the_original() -> None:
    text = HEAD + "labels:\n  Owner: x\ninputs:\n  - id: a\n    required: false\n    defaults: 1\n    type: INT\n" + TASKS.replace("hi", "'{{ json(a) }}'")
    result = run(text)
    assert [(each.line, each.what) for each in result.changes] == [
        (7, "input: 'required: false' removed, as there are defaults"), (13, "function json() → fromJson()"),
    ]
    assert [each.line for each in result.left] == [4]
    assert [(each.line, each.code) for each in result.problems] == [(4, "label")]


def test_several_documents_and_what_is_no_flow() -> None:
    other = "---\nkind: {conditions: [a], name: x}\n"
    flow = HEAD + "inputs:\n  - name: a\n    type: BOOLEAN\n" + TASKS
    text = f"{flow}{other}---\n{flow.replace('demo', 'second')}"
    assert run(text).text == text.replace("name: a\n", "id: a\n").replace("BOOLEAN", "BOOL")


@pytest.mark.parametrize("text", ["id: [", "a: 1\na: 2\nid: x\n", "id: !!str x\n", "", "# nothing\n", "- a\n", "just text", "x: &a [*a]\nid: 1\n"])
def test_what_cannot_be_read_stays_as_it_is(text: str) -> None:
    result = migrate(text, file="f.yaml", types=TYPES)
    assert (result.text, result.changes) == (text, ())
    assert all(each.line >= 1 for each in result.unreadable)


# ---- loops


def test_loops_in_loops() -> None:
    assert tasks(f"""\
      - id: outer
        type: {CORE}.flow.ForEach
        values: [a, b]  # two
        tasks:
          - id: one
            type: {CORE}.debug.Return
            format: "{{{{ taskrun.value }}}} {{{{ taskrun.iteration }}}}"
          - id: inner
            type: {CORE}.flow.EachSequential
            value: "{{{{ outputs.one[taskrun.value].value }}}}"
            tasks:
              - id: two
                type: {CORE}.debug.Return
                format: "{{{{ parent.taskrun.value }}}}{{{{ taskrun.value }}}}{{{{ outputs.one[parent.taskrun.value].value }}}}"
              - id: three
                type: {CORE}.log.Log
                message: "{{{{ outputs.two[parent.taskrun.value][taskrun.value].value }}}} {{{{ currentEachOutput(outputs.two).value }}}}"
              - id: check
                type: {CORE}.flow.If
                condition: "{{{{ taskrun.value == 'x' }}}}"
                then:
                  - id: four
                    type: {CORE}.log.Log
                    message: "{{{{ parent.taskrun.value }}}} {{{{ parents[1].taskrun.value }}}} {{{{ parent.outputs.evaluationResult }}}} {{{{ tasks.two[item.value].state }}}}"
    """) == dedent(f"""\
      - id: outer
        type: {CORE}.flow.Loop
        values: [a, b]  # two
        concurrencyLimit: 1
        tasks:
          - id: one
            type: {CORE}.debug.Return
            format: "{{{{ item.value }}}} {{{{ item.index }}}}"
          - id: inner
            type: {CORE}.flow.Loop
            values: "{{{{ outputs.one.value }}}}"
            concurrencyLimit: 1
            tasks:
              - id: two
                type: {CORE}.debug.Return
                format: "{{{{ item.parent.value }}}}{{{{ item.value }}}}{{{{ outputs.one.value }}}}"
              - id: three
                type: {CORE}.log.Log
                message: "{{{{ outputs.two.value }}}} {{{{ outputs.two.value }}}}"
              - id: check
                type: {CORE}.flow.If
                condition: "{{{{ item.value == 'x' }}}}"
                then:
                  - id: four
                    type: {CORE}.log.Log
                    message: "{{{{ item.value }}}} {{{{ item.parent.value }}}} {{{{ outputs.check.evaluationResult }}}} {{{{ tasks.two.state }}}}"
    """)


def test_all_at_once_and_a_limit() -> None:
    assert tasks(f"""\
      - id: each
        type: {CORE}.flow.EachParallel
        value: [1, 2]
        concurrent: 2
        tasks:
          - id: one
            type: {CORE}.log.Log
            message: |
              {{{{ taskrun.value }}}}

              more
          - id: two
            type: {CORE}.log.Log
            message: x
      - id: free
        type: {CORE}.flow.ForEach
        concurrencyLimit: 0
        values: [1]
        tasks: [{{id: three, type: core.log.Log, message: x}}]
    """) == dedent(f"""\
      - id: each
        type: {CORE}.flow.Loop
        values: [1, 2]
        concurrencyLimit: 2
        tasks:
          - id: each_parallel
            type: {CORE}.flow.Parallel
            tasks:
              - id: one
                type: {CORE}.log.Log
                message: |
                  {{{{ item.value }}}}

                  more
              - id: two
                type: {CORE}.log.Log
                message: x
      - id: free
        type: {CORE}.flow.Loop
        concurrencyLimit: 0
        values: [1]
        tasks: [{{id: three, type: core.log.Log, message: x}}]
    """)


def test_what_is_not_known_about_a_loop_is_said() -> None:
    text = HEAD + dedent(f"""\
      tasks:
        - id: each
          type: {CORE}.flow.ForEach
          values: [a]
          tasks:
            - id: one
              type: {CORE}.debug.Return
              allowFailure: true
              format: "{{{{ outputs.one['a'].value }}}}"
            - id: lab
              type: {CORE}.execution.Labels
              labels: {{a: "{{{{ parents[3].taskrun.value }}}}"}}
          errors:
            - {{id: e, type: core.log.Log, message: x}}
        - id: after
          type: {CORE}.log.Log
          message: "{{{{ outputs.one['a'].value }}}}"
      """)
    assert left(text) == [
        "5: 'errors' of a Loop runs in each iteration, of a ForEach once for all",
        "5: a WARNING in an iteration does not make a Loop end WARNING",
        "5: the task 'lab' decides on labels of the iteration, which is an execution of its own",
        "11: outputs.one[…] looks at an iteration that may be another one, which is not seen in 2.0",
        "14: there is no value in this parent, so what it meant cannot be known",
        "19: outputs.one is of the loop 'each', and is not seen outside of it in 2.0",
    ]


def test_batches_become_split_loop_and_subflow() -> None:
    assert tasks(f"""\
      - id: each-item
        type: {CORE}.flow.ForEachItem
        runIf: "{{{{ true }}}}"
        # what
        items: "{{{{ inputs.f }}}}" # here
        batch:
          # so many
          rows: 2
        namespace: company.team
        flowId: child
        # for each
        inputs:
          file: "{{{{ taskrun.items }}}}"
          n: "{{{{ taskrun.iteration }}}}"
        timeout: PT1H
    """) == dedent(f"""\
      - id: each-item
        type: {CORE}.flow.Sequential
        runIf: "{{{{ true }}}}"
        tasks:
          - id: each-item_split
            type: {CORE}.storage.Split
            # what
            from: "{{{{ inputs.f }}}}" # here
            # so many
            rows: 2
          - id: each-item_items
            type: {CORE}.flow.Loop
            values: "{{{{ outputs['each-item_split'].uris }}}}"
            concurrencyLimit: 0
            tasks:
              - id: each-item_item
                type: {CORE}.flow.Subflow
                namespace: company.team
                flowId: child
                # for each
                inputs:
                  file: "{{{{ item.value }}}}"
                  n: "{{{{ item.index }}}}"
        timeout: PT1H
    """)


def test_batches_in_a_loop_see_the_loop_around() -> None:
    found = tasks(f"""\
      - id: each
        type: {CORE}.flow.ForEach
        values: [a]
        tasks:
          - id: b
            type: {CORE}.flow.ForEachItem
            items: "{{{{ inputs.f }}}}"
            namespace: company.team
            flowId: child
            inputs:
              file: "{{{{ taskrun.items }}}} {{{{ taskrun.value }}}}"
    """)
    assert 'file: "{{ item.value }} {{ item.parent.value }}"' in found
    assert "rows: 1" in found


# ---- tasks


@pytest.mark.parametrize(("before", "after"), [
    ("type: core.flow.Pause\ndelay: PT1S  # c", "type: core.flow.Pause\npauseDuration: PT1S  # c"),
    (f"type: {CORE}.debug.Echo\nformat: x", f"type: {CORE}.log.Log\nmessage: x"),
    (f"type: {CORE}.flow.WaitFor\ncondition: x\ntasks: [{{id: i, type: core.log.Log, message: x}}]",
     f"type: {CORE}.flow.LoopUntil\ncondition: x\ntasks: [{{id: i, type: core.log.Log, message: x}}]"),
    (f"type: {CORE}.execution.Exit\nstate: CANCELED", f"type: {CORE}.execution.Exit\nstate: CANCELLED"),
    (f"type: {CORE}.debug.Return\nretry:\n  type: constant\n  interval: PT1S\n  maxAttempt: 3",
     f"type: {CORE}.debug.Return\nretry:\n  type: constant\n  interval: PT1S\n  maxAttempts: 3"),
    (f"type: {CORE}.kv.PurgeKV\nnamespaces: [a]\nexpiredOnly: false  # all",
     f"type: {CORE}.kv.PurgeKV\nnamespaces: [a]\nbehavior:\n  type: key\n  expiredOnly: false  # all"),
    ("type: io.kestra.plugin.fs.http.Request\nuri: http://x.y\nsslOptions: {insecureTrustAllCertificates: true}",
     f"type: {CORE}.http.Request\nuri: http://x.y\noptions:\n  ssl: {{insecureTrustAllCertificates: true}}"),
    (f"type: {CORE}.http.Request\nuri: http://x.y\noptions: {{basicAuthUser: a, basicAuthPassword: b, followRedirects: true}}",
     f"type: {CORE}.http.Request\nuri: http://x.y\noptions: {{auth: {{type: BASIC, username: a, password: b}}, followRedirects: true}}"),
    ("type: io.kestra.plugin.scripts.shell.Commands\ncommands: [ls]\nrunner: PROCESS",
     f"type: io.kestra.plugin.scripts.shell.Commands\ncommands: [ls]\ntaskRunner:\n  type: {CORE}.runner.Process"),
    ("type: io.kestra.plugin.scripts.shell.Commands\ncommands: [ls]\ndocker:\n  image: a:b  # i\n  user: root",
     f"type: io.kestra.plugin.scripts.shell.Commands\ncommands: [ls]\ntaskRunner:\n  type: {DOCKER}\n  user: root\ncontainerImage: a:b  # i"),
    (f"type: {CORE}.debug.Return\nworkerGroup: {{key: gpu}}", f"type: {CORE}.debug.Return\nworkerSelector:\n  tags:\n    - gpu\n  fallback: WAIT"),
    (f"type: {CORE}.log.Log\nmessage: 'it''s {{{{ json(''{{}}'') }}}}'", f"type: {CORE}.log.Log\nmessage: 'it''s {{{{ fromJson(''{{}}'') }}}}'"),
    (f'type: {CORE}.log.Log\nmessage: "a\\tb {{{{ json(\\"1\\") }}}}"', f'type: {CORE}.log.Log\nmessage: "a\\tb {{{{ fromJson(\\"1\\") }}}}"'),
    (f"type: {CORE}.log.Log\nmessage: ['{{{{ a ?? b ~ c }}}}', '{{{{ (a ?? b) ~ c }}}}', '{{{{ a ?? b }}}}', '{{{{ x + f(a)[1].b ?? not c | upper }}}}']",
     f"type: {CORE}.log.Log\nmessage: ['{{{{ (a ?? b) ~ c }}}}', '{{{{ (a ?? b) ~ c }}}}', '{{{{ a ?? b }}}}', '{{{{ x + (f(a)[1].b ?? not c) | upper }}}}']"),
    (f"type: {CORE}.log.Log\nmessage: \"{{% raw %}}{{{{ json(x) }}}}{{% endraw %}} json(x) {{{{ x is json }}}} {{{{ 'json(x)' }}}}\"",
     f"type: {CORE}.log.Log\nmessage: \"{{% raw %}}{{{{ json(x) }}}}{{% endraw %}} json(x) {{{{ x is json }}}} {{{{ 'json(x)' }}}}\""),
])  # fmt: skip
def test_a_task(before: str, after: str) -> None:
    def item(lines: str) -> str:
        return "- id: t\n" + "".join(f"  {line}\n" for line in lines.split("\n"))

    assert tasks(item(before)) == item(after)


def test_the_tasks_of_a_pause_follow_it() -> None:
    assert tasks(f"""\
      - id: p
        type: {CORE}.flow.Pause
        delay: PT1S
        tasks: # later
          - id: a
            type: {CORE}.log.Log
            message: |
              x
      - id: z
        type: {CORE}.log.Log
        message: z
    """) == dedent(f"""\
      - id: p
        type: {CORE}.flow.Pause
        pauseDuration: PT1S
      # later
      - id: a
        type: {CORE}.log.Log
        message: |
          x
      - id: z
        type: {CORE}.log.Log
        message: z
    """)


def test_state_becomes_keys() -> None:
    text = HEAD + dedent(f"""\
      tasks:
        - id: set
          type: {CORE}.state.Set
          name: n
          data:
            a: 1
        - id: get
          type: {CORE}.state.Get
          name: n
        - id: log
          type: {CORE}.log.Log
          message: "{{{{ outputs.get.data.a }}}} {{{{ outputs.get.count }}}}"
      """)
    result = run(text)
    assert "type: io.kestra.plugin.core.kv.Set\n    key: demo_states_tasks-states_n\n    value:\n      a: 1" in result.text
    assert "outputs.get.value.a" in result.text
    assert [each.what for each in result.left if "count" in each.what] == ["kv.Get has no output 'count'"]
    assert "merged" in result.left[0].what


def test_defaults_are_written_into_the_tasks() -> None:
    before = dedent(f"""\
      pluginDefaults:
        - type: {CORE}.log
          values:
            level: WARN
        - type: {CORE}.http.Request
          forced: true
          values:
            method: POST
            headers: {{a: "1"}}
      """)
    found = tasks(f"""\
      - id: a
        type: {CORE}.log.Log # t
        message: x
      - id: b
        type: {CORE}.log.Log
        level: ERROR
        message: x
      - id: c
        type: {CORE}.http.Request
        uri: http://x.y
        method: GET  # m
        headers:
          b: "010"
    """, before)
    assert found == dedent(f"""\
      - id: a
        type: {CORE}.log.Log # t
        level: WARN
        message: x
      - id: b
        type: {CORE}.log.Log
        level: ERROR
        message: x
      - id: c
        type: {CORE}.http.Request
        uri: http://x.y
        # m
        method: POST
        headers:
          b: "010"
          a: "1"
    """)


def test_a_reserved_id_and_checks() -> None:
    result = run("id: pause\nnamespace: a\nchecks:\n  - condition: '{{ true }}'\n    message: m\n" + TASKS)
    assert result.text.startswith("id: pause-flow\nnamespace: a\nchecks:\n  - when: '{{ true }}'\n")
    assert result.problems == ()


# ---- triggers


CONDITIONS = {
    "type: core.condition.DayWeek\ndayOfWeek: MONDAY": "dayOfWeek(trigger.date) == 'MONDAY'",
    "type: io.kestra.core.models.conditions.types.WeekendCondition": "isWeekend(trigger.date)",
    "type: core.condition.PublicHoliday\ncountry: FR": "isPublicHoliday(trigger.date, 'FR')",
    "type: core.condition.PublicHoliday\ncountry: DE\nsubDivision: BY": "isPublicHoliday(trigger.date, 'DE', 'BY')",
    "type: core.condition.DayWeekInMonth\ndayOfWeek: MONDAY\ndayInMonth: FIRST": "isDayWeekInMonth(trigger.date, 'MONDAY', 'FIRST')",
    'type: core.condition.DateTimeBetween\nafter: "2024-01-01T00:00:00Z"\nbefore: "2025-01-01T00:00:00Z"':
        "trigger.date | timestamp > '2024-01-01T00:00:00Z' | timestamp and trigger.date | timestamp < '2025-01-01T00:00:00Z' | timestamp",
    'type: core.condition.TimeBetween\nafter: "08:00:00+02:00"': "trigger.date | date('HH:mm:ss', timeZone='+02:00') > '08:00:00'",
    'type: core.condition.Expression\nexpression: "{{ trigger.date is defined }}"': "trigger.date is defined",
    'type: core.condition.DayWeek\ndate: "{{ now() }}"\ndayOfWeek: "{{ vars.d }}"': "dayOfWeek(now()) == vars.d",
    "type: core.condition.Not\nconditions:\n  - type: core.condition.Weekend\n  - type: core.condition.DayWeek\n    dayOfWeek: FRIDAY":
        "not (isWeekend(trigger.date) or dayOfWeek(trigger.date) == 'FRIDAY')",
    "type: core.condition.Or\nconditions:\n  - type: core.condition.Weekend\n  - type: core.condition.DayWeek\n    dayOfWeek: FRIDAY":
        "isWeekend(trigger.date) or dayOfWeek(trigger.date) == 'FRIDAY'",
    "type: core.condition.FlowCondition\nnamespace: company.team\nflowId: demo": "true",
    "type: core.condition.FlowNamespaceCondition\nnamespace: company\nprefix: true": "true",
    "type: core.condition.FlowNamespaceCondition\nnamespace: company": "false",
}  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_of_a_schedule(condition: str) -> None:
    lines = condition.replace("\n", "\n        ")
    text = f"triggers:\n  - id: s\n    type: {CORE}.trigger.Schedule\n    cron: '@daily'\n    conditions:\n      - {lines}\n"
    found = rest(text)
    when = found.partition("    when: ")[2].strip()
    assert when[1:-1].strip("{} ") == CONDITIONS[condition]
    assert "conditions" not in found


def test_conditions_are_joined_and_their_comments_stay() -> None:
    assert rest(f"""\
      triggers:
        - id: s
          type: {CORE}.trigger.Schedule
          cron: '@daily'
          minLogLevel: WARN
          # when
          conditions:
            - type: {CORE}.condition.Weekend  # free
            - type: {CORE}.condition.Or
              conditions: [{{type: {CORE}.condition.DayWeek, dayOfWeek: SUNDAY}}, {{type: {CORE}.condition.DayWeek, dayOfWeek: MONDAY}}]
          scheduleConditions:
            - type: {CORE}.condition.Expression
              expression: "{{{{ inputs.a == 'b' }}}}"
          backfill: {{}}
      """) == dedent(f"""\
      triggers:
        - id: s
          type: {CORE}.trigger.Schedule
          cron: '@daily'
          logLevel: WARN
          # when
          # free
          when: "{{{{ isWeekend(trigger.date) and (dayOfWeek(trigger.date) == 'SUNDAY' or dayOfWeek(trigger.date) == 'MONDAY') and inputs.a == 'b' }}}}"
      """)


def flow_trigger(text: str) -> str:
    body = dedent(text).replace("\n", "\n    ").rstrip(" ")
    found = rest(f"triggers:\n  - id: f\n    type: {CORE}.trigger.Flow\n    {body}")
    return dedent(found.partition("trigger.Flow\n")[2])


def test_conditions_of_a_flow_trigger() -> None:
    assert flow_trigger("""\
      conditions:
        - type: core.condition.ExecutionFlow
          namespace: a
          flowId: b
        - type: core.condition.ExecutionStatus
          in: [SUCCESS, WARNING]
          notIn: [WARNING]
        - type: core.condition.ExecutionLabels
          labels: {k: v}
        - type: core.condition.ExecutionOutputs
          expression: "{{ trigger.outputs.x > 1 }}"
        - type: core.condition.ExecutionNamespace
          namespace: com
          prefix: true
      """) == dedent("""\
      dependsOn:
        - namespace: a
          flowId: b
          states:
            - SUCCESS
          labels:
            k: v
          when: "{{ execution.outputs.x > 1 and flow.namespace | startsWith('com') }}"
      """)


def test_a_choice_of_flows() -> None:
    assert flow_trigger("""\
      conditions:
        - type: core.condition.Or
          conditions:
            - {type: core.condition.ExecutionFlow, namespace: a, flowId: b}
            - {type: core.condition.ExecutionFlow, namespace: a, flowId: c}
      """) == "dependsOn:\n  - namespace: a\n    flowId: b\n  - namespace: a\n    flowId: c\nmode: ANY\n"


@pytest.mark.parametrize(("window", "new"), [
    ("type: DURATION_WINDOW\nwindow: PT6H", "window:\n  every: PT6H\n"), ("window: PT6H\nwindowAdvance: PT1H", "window:\n  every: PT6H\n  offset: PT1H\n"),
    ("type: SLIDING_WINDOW\nwindow: PT1H", "window:\n  lookback: PT1H\n"), ("type: DURATION_WINDOW", ""),
    ('type: DAILY_TIME_DEADLINE\ndeadline: "09:00:00"', 'window:\n  deadline: "09:00:00"\n'),
    ('type: DAILY_TIME_WINDOW\nstartTime: "09:00:00Z"\nendTime: "10:30Z"', 'window:\n  from: "09:00:00"\n  to: "10:30:00"\n  timezone: UTC\n'),
])  # fmt: skip
def test_preconditions(window: str, new: str) -> None:
    lines = window.replace("\n", "\n    ")
    found = flow_trigger(f"""\
preconditions:
  id: p
  flows:
    - namespace: a
      flowId: b
      states: [SUCCESS]
  where:
    - id: w
      filters:
        - {{field: NAMESPACE, type: EQUAL_TO, value: c}}
        - {{field: FLOW_ID, type: IN, values: [d, e]}}
  timeWindow:
    {lines}
""")
    assert found == (
        "dependsOn:\n  - namespace: a\n    flowId: b\n    states:\n      - SUCCESS\n"
        "  - namespace: c\n    when: \"{{ (flow.id isIn ['d', 'e']) }}\"\n" + new
    )


def test_conditions_beside_preconditions_and_multiple_conditions() -> None:
    assert flow_trigger("""\
      conditions:
        - {type: core.condition.ExecutionNamespace, namespace: com, comparison: SUFFIX}
        - type: core.condition.MultipleCondition
          id: m
          window: P2D
          conditions:
            one: {type: core.condition.ExecutionFlow, namespace: a, flowId: b}
            two: {type: core.condition.ExecutionStatus, in: [FAILED]}
      """) == dedent("""\
      when: "{{ flow.namespace | endsWith('com') }}"
      dependsOn:
        - namespace: a
          flowId: b
        - states:
            - FAILED
      window:
        every: P2D
      """)


@pytest.mark.parametrize(("text", "what"), [
    ("conditions:\n      - {type: core.condition.HasRetryAttempt, in: [FAILED]}", "the condition HasRetryAttempt has no equivalent in 2.0"),
    ("preconditions:\n      id: p\n      flows: [{namespace: a}]\n      resetOnSuccess: false", "resetOnSuccess: false has no equivalent"),
    ("conditions:\n      - type: core.condition.Not\n        conditions: [{type: core.condition.ExecutionStatus, in: [FAILED]}]", "the state of an execution is not known in `when`"),
])  # fmt: skip
def test_what_a_flow_trigger_cannot_say_in_2_0(text: str, what: str) -> None:
    found = left(HEAD + TASKS + f"triggers:\n  - id: f\n    type: {CORE}.trigger.Flow\n    {text}\n")
    assert any(what in each for each in found)


def test_an_alias_is_rewritten_at_its_anchor() -> None:
    text = HEAD + dedent(f"""\
      variables:
        x: &retry
          type: constant
          interval: PT1S
          maxAttempt: 2
      tasks:
        - id: a
          type: {CORE}.debug.Echo
          format: x
          retry: *retry
        - id: b
          type: {CORE}.log.Log
          message: x
          retry:
            <<: *retry
      """)
    result = run(text)
    assert result.text == text.replace("maxAttempt", "maxAttempts").replace("debug.Echo", "log.Log").replace("format", "message")
    assert result.problems == ()


def test_the_result_is_2_0_where_it_has_marks() -> None:
    result = run(HEAD + f"tasks:\n  - id: e\n    type: {CORE}.flow.ForEach\n    values: [1]\n    tasks: [{{id: l, type: core.log.Log, message: x}}]\n")
    (parsed,) = parse_flows(result.text, file="f", types=TYPES)
    assert (parsed.dialect, parsed.problems) == ("2.0", ())


def test_deep_loops_and_long_flows_take_no_time() -> None:
    text = HEAD + "tasks:\n"
    for depth in range(25):
        text += dedent(f"""\
            - id: t{depth}
              type: {CORE}.flow.EachParallel
              value: [1]
              tasks:
            """).replace("- id", "  - id", 1).replace("\n  ", "\n    ").replace("\n", "\n" + "  " * depth).rstrip(" ").replace("  - id", "  " * depth + "  - id", 1)
    text += "  " * 25 + "  - {id: z, type: core.log.Log, message: '{{ parents[3].taskrun.value }}'}\n"
    assert "item.parents[3].value" in run(text).text
    many = HEAD + "tasks:\n" + "".join(f"  - {{id: t{number}, type: {CORE}.debug.Echo, format: x}}\n" for number in range(1_000))
    assert len(migrate(many, file="f.yaml", types=TYPES).changes) == 1_000


def test_what_an_alias_stands_for_is_not_torn_apart() -> None:
    text = HEAD + dedent(f"""\
      pluginDefaults:
        - type: {CORE}.log
          values: &v {{level: WARN}}
      variables:
        v: *v
      """) + TASKS
    result = run(text)
    assert result.text == text
    assert [(each.line, each.what) for each in result.left] == [
        (3, "pluginDefaults written into the 1 plug-ins they were for: this cannot be edited, as an alias stands for it")
    ]


def test_what_an_alias_stood_for_goes_when_the_alias_is_gone() -> None:
    text = HEAD + dedent(f"""\
      tasks:
        - id: one
          type: {CORE}.flow.Subflow
          namespace: a
          flowId: b
          outputs: &out
            x: "{{{{ outputs.x }}}}"
        - id: two
          type: {CORE}.flow.Subflow
          namespace: a
          flowId: b
          outputs: *out
      """)
    result = run(text)
    assert "outputs" not in result.text
    assert result.problems == ()


def test_states_beside_preconditions() -> None:
    assert flow_trigger("""\
      conditions:
        - {type: core.condition.ExecutionStatus, in: [SUCCESS, FAILED]}
        - {type: core.condition.ExecutionStatus, notIn: [FAILED]}
      preconditions:
        id: p
        flows: [{namespace: a, flowId: b}]
      """) == "states:\n  - SUCCESS\ndependsOn:\n  - namespace: a\n    flowId: b\n"
