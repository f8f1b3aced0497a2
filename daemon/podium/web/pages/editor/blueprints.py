"""Flows to start from: one for each thing that people begin with. Called by the editor's page.

What always holds (a test): each is a flow without a mistake, under whatever namespace and id it is filled with.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """key: in the address. text: a flow whose namespace and id are NAMESPACE and FLOW."""

    key: str
    title: str
    about: str
    text: str

    def filled(self, namespace: str, flow_id: str) -> str:
        """The text with these names, or the blueprint's own where they are empty."""
        return self.text.replace("NAMESPACE", namespace or "company.team", 1).replace("FLOW", flow_id or self.key, 1)


_HEAD = "id: FLOW\nnamespace: NAMESPACE\n"
BLUEPRINTS: tuple[Blueprint, ...] = (
    Blueprint(
        key="hello", title="Hello", about="One task that writes to the log, with an input.",
        text=_HEAD + """description: Says hello.

inputs:
  - id: name
    type: STRING
    defaults: world

tasks:
  - id: hello
    type: core.log.Log
    message: Hello, {{ inputs.name }}!
""",
    ),
    Blueprint(
        key="nightly-script", title="A script every night",
        about="A Python script in a container, started by a schedule; its numbers go on to the next task.",
        text=_HEAD + """
tasks:
  - id: work
    type: scripts.python.Script
    script: |
      import json

      rows = 42
      print("::" + json.dumps({"outputs": {"rows": rows}}) + "::")
  - id: report
    type: core.log.Log
    message: "{{ outputs.work.vars.rows }} rows"

triggers:
  - id: nightly
    type: core.trigger.Schedule
    cron: "0 3 * * *"
    timezone: Europe/Paris
""",
    ),
    Blueprint(
        key="on-webhook", title="Started by a webhook", about="Another system calls a URL; the body of its request is at hand.",
        text=_HEAD + """
tasks:
  - id: show
    type: core.log.Log
    message: "{{ trigger.body | toJson }}"

triggers:
  - id: call
    type: core.trigger.Webhook
    # Whoever knows the key can start the flow: choose one that cannot be guessed, or name a secret.
    key: "{{ secret('WEBHOOK_KEY') }}"
""",
    ),
    Blueprint(
        key="call-an-api", title="Call an API", about="Asks a web service, tries again when it fails, reads its answer.",
        text=_HEAD + """
inputs:
  - id: url
    type: URI
    defaults: https://example.org/api/orders

tasks:
  - id: ask
    type: core.http.Request
    uri: "{{ inputs.url }}"
    retry:
      type: exponential
      interval: PT2S
      maxInterval: PT1M
      maxAttempts: 5
  - id: show
    type: core.log.Log
    message: "{{ outputs.ask.code }}: {{ outputs.ask.body }}"
""",
    ),
    Blueprint(
        key="for-each", title="For each value", about="The same tasks for many values, some at a time.",
        text=_HEAD + """
inputs:
  - id: regions
    type: ARRAY
    itemType: STRING
    defaults: [north, south, east, west]

tasks:
  - id: each
    type: core.flow.ForEach
    values: "{{ inputs.regions }}"
    concurrencyLimit: 2
    tasks:
      - id: load
        type: scripts.shell.Commands
        commands:
          - echo "loading {{ taskrun.value }}"
""",
    ),
    Blueprint(
        key="approval", title="Wait for an approval", about="Stops until somebody decides, then goes one way or the other.",
        text=_HEAD + """
tasks:
  - id: prepare
    type: core.log.Log
    message: Ready to ship
  - id: approve
    type: core.flow.Pause
    timeout: P1D
    onResume:
      - id: ship
        type: BOOL
        description: Ship it?
  - id: decide
    type: core.flow.If
    condition: "{{ outputs.approve.onResume.ship }}"
    then:
      - id: deploy
        type: core.log.Log
        message: Shipping
    else:
      - id: keep
        type: core.log.Log
        message: Not this time
""",
    ),
    Blueprint(
        key="handle-errors", title="Handle errors", about="What happens when a task fails, and what happens in any case.",
        text=_HEAD + """
tasks:
  - id: risky
    type: scripts.shell.Commands
    commands:
      - "false"
    retry:
      type: constant
      interval: PT10S
      maxAttempts: 3

errors:
  - id: alert
    type: core.log.Log
    level: ERROR
    message: "{{ flow.id }} failed in {{ execution.id }}"

finally:
  - id: clean
    type: core.log.Log
    message: Cleaning up
""",
    ),
    Blueprint(
        key="query-files", title="Query with SQL", about="DuckDB counts rows; the next task has them.",
        text=_HEAD + """
tasks:
  - id: count
    type: jdbc.duckdb.Query
    sql: |
      SELECT region, count(*) AS orders
      FROM (VALUES ('north'), ('south'), ('north')) AS orders(region)
      GROUP BY region
    fetchType: FETCH
  - id: show
    type: core.log.Log
    message: "{{ outputs.count.rows | toJson }}"
""",  # noqa: S608  # a text that nobody runs here
    ),
    Blueprint(
        key="subflows", title="Flows that call flows", about="Starts another flow, waits for it, and uses what it gives back.",
        text=_HEAD + """
tasks:
  - id: inner
    type: core.flow.Subflow
    namespace: company.team
    flowId: hello
    wait: true
    transmitFailed: true
    inputs:
      name: "{{ flow.id }}"
""",
    ),
)


def blueprint(key: str) -> Blueprint | None:
    """The blueprint of that key."""
    return next((each for each in BLUEPRINTS if each.key == key), None)


def empty(namespace: str, flow_id: str) -> str:
    """The least that is a flow."""
    names = f"id: {flow_id or 'my-flow'}\nnamespace: {namespace or 'company.team'}\n"
    return names + "\ntasks:\n  - id: first\n    type: core.log.Log\n    message: Hello\n"
