"""One example of each type of the language: for editors, forms and documentation. YAML by the type's full name, or by the model's name.

A test parses each with the validator. Read when a schema or a page of documentation is made, never by the daemon's own work.
"""

from __future__ import annotations

_FLOW = "io.kestra.plugin.core.flow."
_CONDITION = "io.kestra.plugin.core.condition."
_TRIGGER = "io.kestra.plugin.core.trigger."

_FLOWABLES = {
    "Sequential": "{id: steps, type: core.flow.Sequential, tasks: [{id: one, type: core.log.Log, message: first}, "
    "{id: two, type: core.log.Log, message: second}]}",
    "AllowFailure": "{id: optional, type: core.flow.AllowFailure, tasks: [{id: try, type: core.http.Request, uri: 'https://example.org/maybe'}]}",
    "Parallel": "{id: together, type: core.flow.Parallel, concurrent: 2, tasks: [{id: left, type: core.log.Log, message: left}, "
    "{id: right, type: core.log.Log, message: right}]}",
    "Dag": "{id: graph, type: core.flow.Dag, tasks: [{task: {id: extract, type: core.log.Log, message: extract}}, "
    "{task: {id: load, type: core.log.Log, message: load}, dependsOn: [extract]}]}",
    "If": "{id: check, type: core.flow.If, condition: '{{ inputs.amount > 100 }}', then: [{id: large, type: core.log.Log, message: large}], "
    "else: [{id: small, type: core.log.Log, message: small}]}",
    "Switch": "{id: route, type: core.flow.Switch, value: '{{ inputs.region }}', cases: {EU: [{id: eu, type: core.log.Log, message: Europe}], "
    "US: [{id: us, type: core.log.Log, message: America}]}, defaults: [{id: other, type: core.log.Log, message: elsewhere}]}",
    "ForEach": "{id: each, type: core.flow.ForEach, values: [a, b, c], concurrencyLimit: 2, "
    "tasks: [{id: show, type: core.log.Log, message: '{{ taskrun.value }}'}]}",
    "EachSequential": "{id: each, type: core.flow.EachSequential, value: '[\"a\", \"b\"]', "
    "tasks: [{id: show, type: core.log.Log, message: '{{ taskrun.value }}'}]}",
    "EachParallel": "{id: each, type: core.flow.EachParallel, value: '[\"a\", \"b\"]', concurrent: 2, "
    "tasks: [{id: show, type: core.log.Log, message: '{{ taskrun.value }}'}]}",
    "Loop": "{id: loop, type: core.flow.Loop, values: '{{ inputs.names }}', concurrencyLimit: 5, "
    "tasks: [{id: show, type: core.log.Log, message: '{{ item.index }}: {{ item.value }}'}]}",
    "LoopUntil": "{id: wait, type: core.flow.LoopUntil, condition: '{{ outputs.ask.code == 200 }}', "
    "checkFrequency: {interval: PT10S, maxIterations: 30}, "
    "tasks: [{id: ask, type: core.http.Request, uri: 'https://example.org/ready', options: {allowFailed: true}}]}",
    "Pause": "{id: approve, type: core.flow.Pause, pauseDuration: PT2H, behavior: FAIL, onResume: [{id: reason, type: STRING}]}",
    "Approval": "{id: review, type: core.flow.Approval, commentRequired: ON_DENY, denyBehavior: FAIL, "
    "onApprove: [{id: go, type: core.log.Log, message: approved}]}",
    "Subflow": "{id: child, type: core.flow.Subflow, namespace: company.team, flowId: load, inputs: {day: '{{ trigger.date ?? now() }}'}, "
    "wait: true, transmitFailed: true}",
    "ForEachItem": "{id: batches, type: core.flow.ForEachItem, items: '{{ inputs.file }}', batch: {rows: 1000}, namespace: company.team, "
    "flowId: load, inputs: {rows: '{{ taskrun.items }}'}}",
    "Template": "{id: shared, type: core.flow.Template, namespace: company.team, templateId: notify, args: {channel: '#data'}}",
    "WorkingDirectory": "{id: build, type: core.flow.WorkingDirectory, inputFiles: {data.csv: '{{ inputs.file }}'}, outputFiles: ['*.json'], "
    "cache: {patterns: ['node_modules/**'], ttl: P1D}, tasks: [{id: read, type: scripts.shell.Commands, commands: ['wc -l data.csv']}]}",
}

_CONDITIONS = {
    "DateTimeBetween": "{type: core.condition.DateTimeBetween, after: '2026-01-01T00:00:00Z', before: '2027-01-01T00:00:00Z'}",
    "DayWeek": "{type: core.condition.DayWeek, dayOfWeek: MONDAY}",
    "DayWeekInMonth": "{type: core.condition.DayWeekInMonth, dayOfWeek: MONDAY, dayInMonth: FIRST}",
    "TimeBetween": "{type: core.condition.TimeBetween, after: '08:00:00Z', before: '18:00:00Z'}",
    "Weekend": "{type: core.condition.Weekend}",
    "PublicHoliday": "{type: core.condition.PublicHoliday, country: FR}",
    "ExecutionFlow": "{type: core.condition.ExecutionFlow, namespace: company.team, flowId: extract}",
    "ExecutionNamespace": "{type: core.condition.ExecutionNamespace, namespace: company, comparison: PREFIX}",
    "ExecutionStatus": "{type: core.condition.ExecutionStatus, in: [FAILED, WARNING]}",
    "ExecutionLabels": "{type: core.condition.ExecutionLabels, labels: {team: data}}",
    "ExecutionOutputs": "{type: core.condition.ExecutionOutputs, expression: '{{ trigger.outputs.rows > 0 }}'}",
    "Expression": "{type: core.condition.Expression, expression: '{{ trigger.state == \"SUCCESS\" }}'}",
    "HasRetryAttempt": "{type: core.condition.HasRetryAttempt, in: [FAILED]}",
    "FlowCondition": "{type: core.condition.FlowCondition, namespace: company.team, flowId: load}",
    "FlowNamespaceCondition": "{type: core.condition.FlowNamespaceCondition, namespace: company, prefix: true}",
    "Not": "{type: core.condition.Not, conditions: [{type: core.condition.Weekend}]}",
    "Or": "{type: core.condition.Or, conditions: [{type: core.condition.DayWeek, dayOfWeek: MONDAY}, {type: core.condition.Weekend}]}",
    "MultipleCondition": "{type: core.condition.MultipleCondition, id: both, timeWindow: {type: DURATION_WINDOW, window: P1D}, conditions: "
    "{orders: {type: core.condition.ExecutionFlow, namespace: company.team, flowId: orders}, "
    "customers: {type: core.condition.ExecutionFlow, namespace: company.team, flowId: customers}}}",
}

_TRIGGERS = {
    "Schedule": "{id: nightly, type: core.trigger.Schedule, cron: '0 3 * * *', timezone: Europe/Paris, recoverMissedSchedules: LAST}",
    "ScheduleOnDates": "{id: releases, type: core.trigger.ScheduleOnDates, dates: ['2026-12-01T08:00:00+01:00', '2027-01-04T08:00:00+01:00']}",
    "Flow": "{id: after, type: core.trigger.Flow, preconditions: {id: loaded, timeWindow: {type: DAILY_TIME_DEADLINE, deadline: '09:00:00'}, "
    "flows: [{namespace: company.team, flowId: orders, states: [SUCCESS]}, {namespace: company.team, flowId: customers, states: [SUCCESS]}]}}",
    "Webhook": "{id: pushed, type: core.trigger.Webhook, key: '{{ secret(\"WEBHOOK_KEY\") }}', "
    "verify: {preset: github, secret: '{{ secret(\"WEBHOOK_SECRET\") }}'}}",
}

_INPUTS = {
    "StringInput": "{id: name, type: STRING, defaults: world, validator: '[a-z]+'}",
    "SecretInput": "{id: token, type: SECRET}",
    "IntInput": "{id: amount, type: INT, min: 1, max: 100, defaults: 10}",
    "FloatInput": "{id: ratio, type: FLOAT, min: 0, max: 1, defaults: 0.5}",
    "BooleanInput": "{id: dryRun, type: BOOL, defaults: false}",
    "SelectInput": "{id: region, type: SELECT, values: [EU, US], defaults: EU}",
    "EnumInput": "{id: region, type: ENUM, values: [EU, US]}",
    "MultiselectInput": "{id: days, type: MULTISELECT, values: [MON, TUE, WED], defaults: [MON]}",
    "ArrayInput": "{id: numbers, type: ARRAY, itemType: INT, defaults: [1, 2, 3]}",
    "DatetimeInput": "{id: since, type: DATETIME, after: '2020-01-01T00:00:00Z'}",
    "DateInput": "{id: day, type: DATE, defaults: '2026-01-31'}",
    "TimeInput": "{id: at, type: TIME, before: '18:00:00'}",
    "DurationInput": "{id: wait, type: DURATION, min: PT1S, max: PT1H}",
    "FileInput": "{id: file, type: FILE, allowedFileExtensions: ['.csv']}",
    "PlainInput": "{id: settings, type: JSON, defaults: '{\"retries\": 3}'}",
    "FormInput": "{id: person, type: FORM, inputs: [{id: first, type: STRING}, {id: last, type: STRING}]}",
    "ObjectInput": "{id: person, type: OBJECT, properties: [{id: name, type: STRING}, {id: age, type: INT}]}",
    "TableInput": "{id: people, type: TABLE, rows: {max: 10}, columns: [{id: name, type: STRING}, {id: age, type: INT}]}",
}

_PARTS = {
    "Flow": """
id: hello
namespace: company.team
description: Says hello.
inputs:
  - {id: name, type: STRING, defaults: world}
tasks:
  - {id: hello, type: core.log.Log, message: 'Hello, {{ inputs.name }}!'}
triggers:
  - {id: daily, type: core.trigger.Schedule, cron: '@daily'}
""",
    "Retry": "{type: exponential, interval: PT10S, maxInterval: PT10M, maxAttempts: 5}",
    "TaskCache": "{enabled: true, ttl: PT1H}",
    "Concurrency": "{limit: 1, behavior: QUEUE}",
    "Sla": "{id: quick, type: MAX_DURATION, duration: PT1H, behavior: FAIL, labels: {sla: missed}}",
    "Check": "{condition: '{{ inputs.amount < 1000 }}', message: At most 1000, style: ERROR, behavior: BLOCK_EXECUTION}",
    "PluginDefault": "{type: core.log.Log, values: {level: WARN}}",
    "Output": "{id: total, type: INT, value: '{{ outputs.count.value }}'}",
}

EXAMPLES: dict[str, str] = {
    **{_FLOW + name: text for name, text in _FLOWABLES.items()},
    **{_CONDITION + name: text for name, text in _CONDITIONS.items()},
    **{_TRIGGER + name: text for name, text in _TRIGGERS.items()},
    "podium.files.Trigger": "{id: dropped, type: podium.files.Trigger, path: /srv/inbox, glob: '*.csv', action: MOVE, moveTo: /srv/done}",
    **_INPUTS, **_PARTS,
}
"""Type, or name of a model → YAML."""
