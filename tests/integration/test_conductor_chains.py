"""Flow triggers over a real journal: which transitions fire, what is handed on, windows, and that a crash loses and doubles nothing."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import StoreError
from podium.base.limits import CHAIN_DEPTH_MAX
from podium.base.ports import Deployment
from podium.base.system.clock import SystemClock
from podium.conductor.chains import chains as chains_module
from podium.conductor.port import StartRequest
from podium.workers.work import Ended

COMMAND = "{id: a, type: scripts.shell.Commands, commands: [echo]}"
FLOW = "io.kestra.plugin.core.trigger.Flow"
CONDITION = "io.kestra.plugin.core.condition."


def upstream(flow_id: str = "up", more: str = "", namespace: str = "n") -> str:
    return f"id: {flow_id}\nnamespace: {namespace}\n{more}\ntasks:\n  - {COMMAND}\n"


def listener(trigger: str, flow_id: str = "down", more: str = "", namespace: str = "n") -> str:
    """A flow with one flow trigger `t`. trigger: lines of YAML of it."""
    lines = "".join(f"    {line}\n" for line in trigger.strip("\n").splitlines())
    return f"id: {flow_id}\nnamespace: {namespace}\n{more}\ntasks:\n  - {COMMAND}\ntriggers:\n  - id: t\n    type: {FLOW}\n{lines}"


AFTER_UP = "preconditions:\n  id: p\n  flows: [{namespace: n, flowId: up}]"


class Chain:
    """What tests ask of a house with flow triggers."""

    def __init__(self, h: House) -> None:
        self.h = h

    async def run(self, flow_id: str = "up", *, namespace: str = "n", end: bool = True, **more: Any) -> dict[str, Any]:
        """Start a flow and have it end, and everything after it."""
        view = await self.h.podium.start(StartRequest(namespace=namespace, flow_id=flow_id, **more))
        if end:
            view = await self.h.podium.wait(view["id"], timeout_s=60)
        await self.settle()
        return view

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        for _ in range(30_000):
            await asyncio.sleep(0.002)
            running = [each for each in self.h.conductor.in_flight.values() if each.state.state in ("RUNNING", "CREATED", "RESTARTED")]
            deciding = self.h.reads.turn is not None or self.h.conductor.queue_depth
            if not deciding and not self.h.documents.entries("chain") and not self.h.chains._queues and not running:
                return
        raise AssertionError("it does not come to rest")

    async def of(self, flow_id: str = "down", namespace: str = "n") -> list[dict[str, Any]]:
        """Executions of a flow, oldest first."""
        found, _ = await self.h.podium.executions(namespace=namespace, flow_id=flow_id, sort="startDate:asc", size=1000)
        return [await self.h.podium.execution(each["id"]) for each in found]

    async def count(self, flow_id: str = "down") -> int:
        return len(await self.of(flow_id))

    async def state(self, flow_id: str = "down") -> dict[str, Any]:
        return await self.h.podium.trigger_state("n", flow_id, "t") or {}


def told(states: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda work: states.get(work.flow_id, "SUCCESS")


def labels(view: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in view["labels"]}


# ---- what fires


async def test_the_end_of_one_flow_starts_the_other_with_inputs_out_of_its_outputs(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        outputs = "inputs: [{id: n, type: INT}]\noutputs: [{id: rows, type: INT, value: '{{ inputs.n * 2 }}'}]\nlabels: {team: blue}"
        down = listener(
            AFTER_UP + "\ninputs:\n  count: '{{ trigger.outputs.rows }}'\n  who: '{{ trigger.executionId }}'\n"
            "  nested: '{{ trigger.outputs.up.rows }}'\nlabels: {from: '{{ trigger.flowId }}', odd: '{{ nothing.here }}'}",
            more="inputs: [{id: count, type: INT}, {id: who, type: STRING}, {id: nested, type: INT}]\nlabels: {own: 'yes'}",
        )
        await h.deploy(upstream(more=outputs), down)
        first = await chain.run(inputs={"n": 21})
        (started,) = await chain.of()
        assert started["state"]["current"] == "SUCCESS"
        assert started["inputs"] == {"count": 42, "who": first["id"], "nested": 42}
        trigger = started["trigger"]
        assert (trigger["id"], trigger["type"]) == ("t", FLOW)
        assert trigger["variables"].items() >= {
            "executionId": first["id"], "state": "SUCCESS", "namespace": "n", "flowId": "up", "flowRevision": 1,
        }.items()
        assert labels(started) == {"own": "yes", "from": "up", "system.correlationId": first["id"]}
        assert (await h.podium.executions(trigger_execution_id=first["id"]))[1] == 1


@pytest.mark.parametrize(("written", "fires"), [
    ("", ["SUCCESS", "FAILED", "KILLED"]), ("states: [FAILED]\n", ["FAILED"]), ("states: [SUCCESS, WARNING]\n", ["SUCCESS"]),
    ("states: [KILLED]\n", ["KILLED"]), ("states: []\n", []),
])
async def test_states_say_which_transitions_fire(tmp_path: Path, written: str, fires: list[str]) -> None:
    state: dict[str, Any] = {}
    async with house(tmp_path, tell=told(state)) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(written + AFTER_UP))
        for each in ("SUCCESS", "FAILED"):
            state["up"] = each
            await chain.run()
        state["up"] = None
        started = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
        await asyncio.sleep(0.05)
        await h.podium.kill(started["id"])
        await h.podium.wait(started["id"], timeout_s=60)
        await chain.settle()
        assert [each["trigger"]["variables"]["state"] for each in await chain.of()] == fires


async def test_states_that_are_no_ends_fire_too_and_created_never(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        pause = "id: up\nnamespace: n\ntasks:\n  - {id: p, type: core.flow.Pause}\n"
        await h.deploy(pause, listener("states: [RUNNING, PAUSED, CREATED]\n" + AFTER_UP), listener(AFTER_UP, "paused"))
        started = await chain.run(end=False)
        assert sorted(each["trigger"]["variables"]["state"] for each in await chain.of()) == ["PAUSED", "RUNNING"]
        assert await chain.count("paused") == 1
        await h.podium.resume(started["id"])
        await h.podium.wait(started["id"], timeout_s=60)
        await chain.settle()
        assert sorted(each["trigger"]["variables"]["state"] for each in await chain.of()) == ["PAUSED", "RUNNING", "RUNNING"]
        assert sorted(each["trigger"]["variables"]["state"] for each in await chain.of("paused")) == ["PAUSED", "SUCCESS"]


async def test_a_restart_ends_again_and_fires_again(tmp_path: Path) -> None:
    state: dict[str, Any] = {"up": "FAILED"}
    async with house(tmp_path, tell=told(state)) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(AFTER_UP))
        first = await chain.run()
        state["up"] = "SUCCESS"
        await h.podium.restart(first["id"])
        await h.podium.wait(first["id"], timeout_s=60)
        await chain.settle()
        assert [each["trigger"]["variables"]["state"] for each in await chain.of()] == ["FAILED", "SUCCESS"]


async def test_a_flow_does_not_start_itself_and_no_narrowing_means_every_flow(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), upstream("other"), listener("states: [SUCCESS]"))
        await chain.run()
        await chain.run("other")
        assert [each["trigger"]["variables"]["flowId"] for each in await chain.of()] == ["up", "other"]


# ---- conditions


@pytest.mark.parametrize(("condition", "flows"), [
    ("{type: ExecutionFlow, namespace: n, flowId: up}", ["up"]),
    ("{type: ExecutionNamespace, namespace: n}", ["up", "other", "labelled"]),
    ("{type: ExecutionNamespace, namespace: n, prefix: true}", ["up", "other", "labelled", "deep"]),
    ("{type: ExecutionNamespace, namespace: n.deep, comparison: EQUALS}", ["deep"]),
    ("{type: ExecutionNamespace, namespace: deep, comparison: SUFFIX}", ["deep"]),
    ("{type: ExecutionStatus, in: [FAILED]}", ["other"]),
    ("{type: ExecutionStatus, notIn: [FAILED]}", ["up", "labelled", "deep"]),
    ("{type: ExecutionLabels, labels: {team: blue}}", ["labelled"]),
    ("{type: ExecutionLabels, labels: [{key: team, value: blue}, {key: x, value: '1'}]}", []),
    ("{type: ExecutionOutputs, expression: '{{ trigger.outputs.x == 1 }}'}", ["labelled"]),
    ("{type: Expression, expression: \"{{ execution.state == 'FAILED' }}\"}", ["other"]),
    ("{type: Expression, expression: \"{{ trigger.flowId == 'up' }}\"}", ["up"]),
    ("{type: Expression, expression: \"{{ flow.id == 'down' }}\"}", ["up", "other", "labelled", "deep"]),
    ("{type: Expression, expression: \"{{ vars.mine == 'v' and labels.team == 'blue' }}\"}", ["labelled"]),
    ("{type: HasRetryAttempt, in: [FAILED]}", ["deep"]),
    ("{type: FlowCondition, namespace: n, flowId: down}", ["up", "other", "labelled", "deep"]),
    ("{type: FlowNamespaceCondition, namespace: x, prefix: true}", []),
    ("{type: Not, conditions: [{type: condition.ExecutionFlow, namespace: n, flowId: up}]}", ["other", "labelled", "deep"]),
    ("{type: Or, conditions: [{type: condition.ExecutionFlow, namespace: n, flowId: up}, {type: condition.ExecutionStatus, in: [FAILED]}]}", ["up", "other"]),
])
async def test_every_condition_about_executions(tmp_path: Path, condition: str, flows: list[str]) -> None:
    state: dict[str, Any] = {"other": "FAILED", "deep": lambda: None}
    tries = {"count": 0}

    def tell(work: Any) -> Any:
        if work.flow_id == "deep":
            tries["count"] += 1
            return "FAILED" if tries["count"] == 1 else "SUCCESS"
        return state.get(work.flow_id, "SUCCESS")

    written = condition.replace("type: ", f"type: {CONDITION}", 1).replace("type: condition.", f"type: {CONDITION}")
    retried = "id: deep\nnamespace: n.deep\ntasks:\n  - {id: a, type: scripts.shell.Commands, commands: [x], retry: {type: constant, interval: PT0.01S, maxAttempts: 3}}\n"
    async with house(tmp_path, tell=tell) as h:
        chain = Chain(h)
        await h.deploy(
            upstream(), upstream("other"), upstream("labelled", "labels: {team: blue}\noutputs: [{id: x, type: INT, value: 1}]"), retried,
            listener(f"conditions:\n  - {written}", more="variables: {mine: v}"),
        )
        for each in ("up", "other", "labelled"):
            await chain.run(each)
        await chain.run("deep", namespace="n.deep")
        assert [each["trigger"]["variables"]["flowId"] for each in await chain.of()] == flows


async def test_old_names_of_conditions_and_triggers_work(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        old = "io.kestra.core.models.conditions.types."
        text = listener(
            f"conditions:\n  - {{type: {old}ExecutionFlowCondition, namespace: n, flowId: up}}\n"
            f"  - {{type: {old}VariableCondition, expression: \"{{{{ true }}}}\"}}\n"
            f"  - {{type: {CONDITION}ExecutionStatusCondition, in: [SUCCESS]}}",
        ).replace(FLOW, "io.kestra.core.models.triggers.types.Flow")
        await h.deploy(upstream(), text)
        await chain.run()
        assert await chain.count() == 1


async def test_a_condition_that_cannot_be_evaluated_does_not_hold_and_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(f"conditions:\n  - {{type: {CONDITION}Expression, expression: '{{{{ nothing.at.all }}}}'}}"))
        await chain.run()
        assert await chain.count() == 0
        assert "cannot be evaluated" in (await chain.state())["error"]


# ---- windows


TWO = "preconditions:\n  id: both\n  flows:\n    - {namespace: n, flowId: up, states: [SUCCESS]}\n    - {namespace: n, flowId: other, states: [SUCCESS]}\n"


async def test_two_upstreams_have_to_end_well_within_a_day(tmp_path: Path, clock: Any) -> None:
    state: dict[str, Any] = {}
    async with house(tmp_path, clock=clock, tell=told(state)) as h:
        chain = Chain(h)
        down = listener(
            TWO + "inputs:\n  a: '{{ trigger.outputs.a }}'\n  b: '{{ trigger.outputs.other.b }}'",
            more="inputs: [{id: a, type: STRING}, {id: b, type: STRING}]",
        )
        await h.deploy(
            upstream(more="outputs: [{id: a, type: STRING, value: A}]"), upstream("other", "outputs: [{id: b, type: STRING, value: B}]"), down,
        )
        first = await chain.run()
        assert await chain.count() == 0
        (window,) = (await chain.state())["windows"]
        assert (window["id"], window["needed"], window["missing"]) == ("preconditions.both", 2, ["n.other"])
        assert window["met"][0]["executionId"] == first["id"]
        state["other"] = "FAILED"
        await chain.run("other")
        assert await chain.count() == 0
        state["other"] = "SUCCESS"
        last = await chain.run("other")
        (started,) = await chain.of()
        assert started["inputs"] == {"a": "A", "b": "B"}
        assert started["trigger"]["variables"]["executionId"] == last["id"]
        assert labels(started)["system.correlationId"] == last["id"]
        assert (await chain.state())["windows"][0]["missing"] == ["n.up", "n.other"]
        await chain.run("other")
        assert await chain.count() == 1
        clock.advance(86_400)
        assert (await chain.state())["windows"][0]["missing"] == ["n.up", "n.other"]
        await chain.run()
        assert await chain.count() == 1


async def test_without_reset_each_later_match_of_the_window_fires_again(tmp_path: Path, clock: Any) -> None:
    async with house(tmp_path, clock=clock) as h:
        chain = Chain(h)
        await h.deploy(upstream(), upstream("other"), upstream("third"), listener(TWO + "  resetOnSuccess: false\n"))
        for name in ("up", "other", "up", "third", "other"):
            await chain.run(name)
        assert await chain.count() == 3
        clock.advance(86_400)
        await chain.run()
        assert await chain.count() == 3


@pytest.mark.parametrize("window", [
    "timeWindow: {window: PT1H}", "timeWindow: {type: SLIDING_WINDOW, window: PT1H}", "window: PT1H",
])
async def test_a_multiple_condition_holds_within_its_window(tmp_path: Path, clock: Any, window: str) -> None:
    async with house(tmp_path, clock=clock) as h:
        chain = Chain(h)
        multiple = (
            f"conditions:\n  - {{type: {CONDITION}ExecutionStatus, in: [SUCCESS]}}\n  - id: m\n    type: {CONDITION}MultipleCondition\n    {window}\n"
            f"    conditions:\n      a: {{type: {CONDITION}ExecutionFlow, namespace: n, flowId: up}}\n"
            f"      b: {{type: {CONDITION}ExecutionFlow, namespace: n, flowId: other}}\n"
        )
        await h.deploy(upstream(), upstream("other"), listener(multiple))
        await chain.run()
        clock.advance(3600)
        await chain.run("other")
        assert await chain.count() == 0
        clock.advance(600)
        await chain.run()
        assert await chain.count() == 1


async def test_outside_of_a_daily_window_nothing_counts(tmp_path: Path, clock: Any) -> None:
    async with house(tmp_path, clock=clock) as h:
        chain = Chain(h)
        await h.deploy(upstream(), upstream("other"), listener(TWO + "  timeWindow: {type: DAILY_TIME_WINDOW, startTime: '09:00:00', endTime: '10:00:00'}\n"))
        await chain.run()
        clock.set(datetime(2026, 1, 5, 9, 30, tzinfo=UTC))
        await chain.run("other")
        assert await chain.count() == 0
        await chain.run()
        assert await chain.count() == 1


@pytest.mark.parametrize(("filters", "operand", "flows"), [
    ("{field: FLOW_ID, type: EQUAL_TO, value: up}", "AND", ["up"]),
    ("{field: FLOW_ID, type: NOT_EQUAL_TO, value: up}", "AND", ["other"]),
    ("{field: FLOW_ID, type: IN, values: [up, x]}", "AND", ["up"]),
    ("{field: FLOW_ID, type: NOT_IN, values: [up, x]}", "AND", ["other"]),
    ("{field: FLOW_ID, type: STARTS_WITH, value: ot}", "AND", ["other"]),
    ("{field: FLOW_ID, type: ENDS_WITH, value: er}", "AND", ["other"]),
    ("{field: FLOW_ID, type: CONTAINS, value: the}", "AND", ["other"]),
    ("{field: FLOW_ID, type: REGEX, value: 'o.*'}", "AND", ["other"]),
    ("{field: FLOW_ID, type: REGEX, value: 'o'}", "AND", []),
    ("{field: FLOW_ID, type: IS_NOT_NULL}", "AND", ["up", "other"]),
    ("{field: NAMESPACE, type: EQUAL_TO, value: n}, {field: STATE, type: EQUAL_TO, value: FAILED}", "AND", ["other"]),
    ("{field: FLOW_ID, type: EQUAL_TO, value: up}, {field: STATE, type: EQUAL_TO, value: FAILED}", "OR", ["up", "other"]),
    ("{field: EXPRESSION, type: IS_TRUE, value: \"{{ labels.team == 'blue' }}\"}", "AND", ["up"]),
    ("{field: EXPRESSION, type: IS_FALSE, value: \"{{ (labels.team ?? '') == 'blue' }}\"}", "AND", ["other"]),
    ("{field: EXPRESSION, type: IS_NULL, value: '{{ execution.outputs.x ?? null }}'}", "AND", ["other"]),
    ("{field: EXPRESSION, type: IS_NOT_NULL, value: '{{ trigger.outputs.x ?? null }}'}", "AND", ["up"]),
])
async def test_every_filter_of_where(tmp_path: Path, filters: str, operand: str, flows: list[str]) -> None:
    async with house(tmp_path, tell=told({"other": "FAILED"})) as h:
        chain = Chain(h)
        await h.deploy(
            upstream(more="labels: {team: blue}\noutputs: [{id: x, type: STRING, value: x}]"), upstream("other"),
            listener(f"preconditions:\n  id: p\n  where:\n    - id: w\n      operand: {operand}\n      filters: [{filters}]"),
        )
        await chain.run()
        await chain.run("other")
        assert [each["trigger"]["variables"]["flowId"] for each in await chain.of()] == flows


async def test_labels_of_an_sla_and_of_upstream_flows_count(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        sla = "sla:\n  - {id: s, type: EXECUTION_ASSERTION, assert: '{{ false }}', behavior: NONE, labels: {sla: missed}}"
        await h.deploy(
            upstream(more=sla), upstream("other"),
            listener("preconditions:\n  id: p\n  flows: [{namespace: n, labels: {sla: missed}}]"),
        )
        await chain.run("other")
        await chain.run()
        assert [each["trigger"]["variables"]["flowId"] for each in await chain.of()] == ["up"]


async def test_windows_survive_a_restart_and_a_new_definition_begins_anew(tmp_path: Path, clock: Any) -> None:
    async with house(tmp_path, clock=clock) as h:
        await h.deploy(upstream(), upstream("other"), listener(TWO))
        await Chain(h).run()
    async with house(tmp_path, clock=clock) as h:
        chain = Chain(h)
        await chain.run("other")
        assert await chain.count() == 1
        await chain.run()
        await h.deploy(listener(TWO + "  timeWindow: {window: PT2H}\n"), revision=2)
        assert (await chain.state())["windows"][0]["met"] == []
        await chain.run("other")
        assert await chain.count() == 1
        clock.advance(60)
        await chain.run()
        (_, second) = await chain.of()
        assert second["flowRevision"] == 2


async def test_preconditions_of_both_kinds_have_to_hold_whatever_comes_first(tmp_path: Path, clock: Any) -> None:
    trigger = (
        "preconditions:\n  id: p\n  flows:\n    - {namespace: n, flowId: up, states: [SUCCESS, WARNING]}\n    - {namespace: n, flowId: other}\n"
        "  where:\n    - id: w1\n      filters:\n        - {field: FLOW_ID, type: EQUAL_TO, value: up}\n"
        "        - {field: EXPRESSION, type: IS_TRUE, value: \"{{ labels.some == 'label' }}\"}\n"
        "    - id: w2\n      filters: [{field: FLOW_ID, type: EQUAL_TO, value: other}, {field: NAMESPACE, type: ENDS_WITH, value: n}]\n"
    )
    async with house(tmp_path, clock=clock) as h:
        chain = Chain(h)
        await h.deploy(upstream(more="labels: {some: label}\noutputs: [{id: some, type: STRING, value: value}]"), upstream("other"), listener(trigger))
        for order in (("up", "other"), ("other", "up")):
            clock.advance(60)
            for name in order:
                await chain.run(name)
            started = (await chain.of())[-1]
            assert started["trigger"]["variables"]["outputs"]["some"] == "value"
        assert await chain.count() == 2


async def test_inputs_may_name_outputs_of_upstream_tasks(tmp_path: Path) -> None:
    def tell(work: Any) -> Any:
        now = SystemClock().now()
        return Ended(state="SUCCESS", started_at=now, ended_at=now, outputs={"value": work.execution_id})

    async with house(tmp_path, tell=tell) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(AFTER_UP + "\ninputs: {from-parent: '{{ outputs.a.value }}'}", more="inputs: [{id: from-parent, type: STRING}]"))
        first = await chain.run()
        (started,) = await chain.of()
        assert started["inputs"] == {"from-parent": first["id"]}


async def test_waiting_for_a_limit_is_a_state_that_counts(tmp_path: Path) -> None:
    state: dict[str, Any] = {"up": None}
    async with house(tmp_path, tell=told(state)) as h:
        chain = Chain(h)
        await h.deploy(upstream(more="concurrency: {limit: 1}"), listener("states: [QUEUED, RUNNING, KILLED]\n" + AFTER_UP))
        first = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
        second = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
        for execution in (first, second):
            for _ in range(5_000):
                if execution["id"] in h.conductor.in_flight and h.conductor.in_flight[execution["id"]].state.state == "RUNNING":
                    break
                await asyncio.sleep(0.005)
            await h.podium.kill(execution["id"])
            await h.podium.wait(execution["id"], timeout_s=60)
        await chain.settle()
        seen = sorted((each["trigger"]["variables"]["executionId"] == second["id"], each["trigger"]["variables"]["state"]) for each in await chain.of())
        assert seen == [(False, "KILLED"), (False, "RUNNING"), (True, "KILLED"), (True, "QUEUED"), (True, "RUNNING")]


async def test_the_order_of_dependencies_means_nothing_to_what_is_met(tmp_path: Path) -> None:
    one, two = "{namespace: n, flowId: up, states: [SUCCESS]}", "{namespace: n, flowId: up, labels: {team: blue}}"
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(f"dependsOn: [{one}, {two}]"))
        await chain.run()
        await h.deploy(listener(f"dependsOn: [{two}, {one}]"), upstream(more="labels: {team: blue}"), revision=2)
        assert len((await chain.state())["windows"][0]["met"]) == 1
        await chain.run()
        assert await chain.count() == 1


# ---- dialect 2.0


DEPENDS = "dependsOn:\n  - {namespace: n, flowId: up, states: [SUCCESS]}\n  - {namespace: n, flowId: other}\n  - {namespace: n, flowId: third}\n"


@pytest.mark.parametrize(("mode", "order", "fired"), [
    ("", ["up", "other", "up", "third", "third"], [0, 0, 0, 1, 1]),
    ("mode: ALL\n", ["third", "other", "up"], [0, 0, 1]),
    ("mode: ANY\n", ["up", "other", "up"], [1, 2, 3]),
    ("mode: AT_LEAST\nminSatisfied: 2\n", ["up", "up", "other", "third"], [0, 0, 1, 1]),
])
async def test_the_modes_of_depends_on(tmp_path: Path, mode: str, order: list[str], fired: list[int]) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), upstream("other"), upstream("third"), listener(DEPENDS + mode))
        counts = []
        for each in order:
            await chain.run(each)
            counts.append(await chain.count())
        assert counts == fired


async def test_variables_and_outputs_of_dialect_2(tmp_path: Path) -> None:
    async with house(tmp_path, tell=told({"other": "FAILED"})) as h:
        chain = Chain(h)
        down = listener(
            "dependsOn: [{namespace: n, flowId: up}, {namespace: n, flowId: other}]\n"
            "inputs:\n  a: '{{ trigger.outputs.up.x }}'\n  b: '{{ trigger.outputs.x ?? \"nested only\" }}'",
            more="inputs: [{id: a, type: STRING}, {id: b, type: STRING}]",
        )
        alone = listener("dependsOn: [{namespace: n, flowId: up}]\ninputs: {a: '{{ trigger.outputs.x }}{{ trigger.outputs.up.x }}'}", "alone",
                         more="inputs: [{id: a, type: STRING}]")
        await h.deploy(upstream(more="outputs: [{id: x, type: STRING, value: X}]"), upstream("other"), down, alone)
        await chain.run()
        failed = await chain.run("other")
        (started,) = await chain.of()
        assert started["inputs"] == {"a": "X", "b": "nested only"}
        variables = started["trigger"]["variables"]
        assert variables.items() >= {
            "executionId": failed["id"], "flowId": "other", "state": "FAILED", "firstFailedTaskId": "a", "lastTaskId": "a",
            "startDate": failed["state"]["startDate"],
        }.items()
        assert variables["outputs"]["up"] == {"x": "X"}
        assert variables["executionLabels"] == {"system.correlationId": failed["id"]}
        assert "endDate" in variables
        (one,) = await chain.of("alone")
        assert one["inputs"] == {"a": "XX"}
        assert one["trigger"]["variables"]["outputs"]["x"] == "X"


@pytest.mark.parametrize(("when", "flows"), [
    ("\"{{ flow.id == 'up' }}\"", ["up"]), ("\"{{ flow.namespace == 'n' }}\"", ["up", "other"]), ("\"{{ flowId == 'up' }}\"", ["up"]),
    ("\"{{ state == 'FAILED' }}\"", ["other"]), ("\"{{ labels.team == 'blue' }}\"", ["up"]), ("'{{ execution.outputs.x == 1 }}'", ["up"]),
    ("'{{ outputs.x == 1 }}'", ["up"]), ("'{{ hasRetryAttempt }}'", []), ("\"{{ namespace == 'n' }}\"", ["up", "other"]),
    ("'{{ trigger.outputs.x == 1 }}'", ["up"]),
])
async def test_when_sees_the_upstream_execution(tmp_path: Path, when: str, flows: list[str]) -> None:
    for number, trigger in enumerate((f"when: {when}", f"dependsOn: [{{namespace: n, when: {when}}}]")):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with house(folder, tell=told({"other": "FAILED"})) as h:
            chain = Chain(h)
            await h.deploy(upstream(more="labels: {team: blue}\noutputs: [{id: x, type: INT, value: 1}]"), upstream("other"), listener(trigger))
            await chain.run()
            await chain.run("other")
            assert [each["trigger"]["variables"]["flowId"] for each in await chain.of()] == flows


async def test_windows_of_dialect_2_have_a_zone(tmp_path: Path, clock: Any) -> None:
    async with house(tmp_path, clock=clock) as h:
        chain = Chain(h)
        window = "dependsOn: [{namespace: n, flowId: up}]\nwindow: {from: '09:00:00', to: '10:00:00', timezone: Europe/Paris}"
        await h.deploy(upstream(), listener(window))
        await chain.run()
        assert await chain.count() == 1
        clock.advance(3600)
        await chain.run()
        assert await chain.count() == 1


async def test_secrets_are_handed_on_and_stay_secret(tmp_path: Path) -> None:
    secret = "output: [{id: s, type: SECRET, value: 'very-hidden-value'}]".replace("output", "outputs")
    show = "tasks:\n  - {id: l, type: core.debug.Return, format: \"{{ trigger.outputs.s ?? inputs.s }}\"}\n  - " + COMMAND
    async with house(tmp_path) as h:
        chain = Chain(h)
        new = listener("dependsOn: [{namespace: n, flowId: up}]", "new").replace("tasks:\n  - " + COMMAND, show)
        old = listener(AFTER_UP + "\ninputs: {s: '{{ trigger.outputs.s }}'}", "old", "inputs: [{id: s, type: SECRET}]").replace(
            "tasks:\n  - " + COMMAND, show)
        await h.deploy(upstream(more=secret), new, old)
        await chain.run()
        for name in ("new", "old"):
            (started,) = await chain.of(name)
            work = next(each for each in h.worker.works if each.flow_id == name and each.task.id == "l")
            seen = work.variables
            assert "very-hidden-value" in (seen["trigger"].get("outputs") or seen["inputs"])["s"]
            assert "very-hidden-value" not in str(started)
        for each in await h.queue.pending(after_seq=0, limit=100):
            assert b"very-hidden-value" not in each.body


async def test_an_execution_that_is_refused_by_a_limit_fires_too(tmp_path: Path) -> None:
    async with house(tmp_path, tell=told({"up": None})) as h:
        chain = Chain(h)
        await h.deploy(upstream(more="concurrency: {limit: 1, behavior: CANCEL}"), listener("states: [CANCELLED]\n" + AFTER_UP))
        first = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
        second = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
        for _ in range(5_000):
            if await chain.count():
                break
            await asyncio.sleep(0.01)
        (started,) = await chain.of()
        assert started["trigger"]["variables"]["executionId"] == second["id"]
        await h.podium.kill(first["id"])


@pytest.mark.parametrize("broken", [
    "preconditions: {id: p, where: [{id: w, filters: [{field: FLOW_ID, type: REGEX, value: '('}]}]}",
    "dependsOn: [{namespace: n, flowId: up, when: '{{ 1 / 0 }}'}]",
    "dependsOn: [{namespace: n, flowId: up}]\nwindow: {every: P99999999D}",
])
async def test_a_trigger_that_cannot_be_evaluated_harms_no_other(tmp_path: Path, broken: str) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(broken), listener(AFTER_UP, "good"))
        await chain.run()
        assert [await chain.count(), await chain.count("good")] == [0, 1]
        assert (await chain.state())["error"]


async def test_a_condition_that_takes_long_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    heavy = "{% for i in range(1, 300) %}{% for j in range(1, 300) %}{% if i + j > 900 %}x{% endif %}{% endfor %}{% endfor %}"
    async with house(tmp_path) as h:
        chain, threads = Chain(h), []
        truthy = h.renderer.truthy

        def watched(*given: Any, **more: Any) -> bool:
            threads.append(threading.current_thread() is threading.main_thread())
            return truthy(*given, **more)

        h.renderer.truthy = watched  # type: ignore[method-assign]
        when = heavy + "{{ execution.state == 'SUCCESS' }}"
        await h.deploy(upstream(), listener(f"dependsOn: [{{namespace: n, flowId: up, when: \"{when}\"}}]"))
        await chain.run()
        assert await chain.count() == 1
        assert threads == [True, False], "tried on the loop, then on a thread"


async def test_trouble_of_the_journal_delays_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains_module, "_AGAIN_S", 0.01)
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(TWO), listener(AFTER_UP, "good"), upstream("other"))
        real, tries = h.documents.get, {"left": 4}

        def shaky(kind: str, namespace: str, key: str) -> Any:
            if kind == "trigger" and tries["left"]:
                tries["left"] -= 1
                raise StoreError("the disk is away", hint="wait")
            return real(kind, namespace, key)

        monkeypatch.setattr(h.documents, "get", shaky)
        await chain.run()
        await chain.run("other")
        assert [await chain.count(), await chain.count("good")] == [1, 1]
        assert tries["left"] == 0


# ---- bad inputs


async def test_bad_inputs_start_nothing_in_1x_and_a_failed_execution_in_2(tmp_path: Path) -> None:
    wanted = "inputs: [{id: n, type: INT}]"
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(
            upstream(), listener(AFTER_UP, more=wanted), listener(AFTER_UP + "\ninputs: {n: '{{ trigger.outputs.none }}'}", "unrendered", more=wanted),
            listener("dependsOn: [{namespace: n, flowId: up}]\ninputs: {n: word}", "new", more=wanted),
            listener("dependsOn: [{namespace: n, flowId: up}]\ninputs: {n: '{{ trigger.outputs.none }}'}", "new2", more=wanted),
        )
        await chain.run()
        assert [await chain.count(each) for each in ("down", "unrendered")] == [0, 0]
        assert "Failed to trigger flow n.down, invalid inputs" in (await chain.state())["error"]
        assert "Failed to trigger flow n.unrendered, invalid inputs" in (await chain.state("unrendered"))["error"]
        for name in ("new", "new2"):
            (failed,) = await chain.of(name)
            assert failed["state"]["current"] == "FAILED"
            assert await h.podium.logs(failed["id"])


async def test_killing_what_ended_leaves_what_it_triggered_alone(tmp_path: Path) -> None:
    async with house(tmp_path, tell=told({"down": None})) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(AFTER_UP))
        first = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
        await h.podium.wait(first["id"], timeout_s=60)
        for _ in range(5_000):
            if await chain.count():
                break
            await asyncio.sleep(0.01)
        await h.podium.kill(first["id"])
        (started,) = await chain.of()
        assert started["state"]["current"] == "RUNNING"
        await h.podium.kill(started["id"])


# ---- who listens


async def test_changes_count_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream())
        await chain.run()
        await h.deploy(listener(AFTER_UP))
        await chain.run()
        assert await chain.count() == 1
        await h.podium.remember_trigger("n", "down", "t", {"disabled": True})
        await chain.run()
        assert await chain.count() == 1
        await h.podium.remember_trigger("n", "down", "t", {"disabled": None})
        await chain.run()
        assert await chain.count() == 2
        for revision, text in enumerate((listener(AFTER_UP + "\ndisabled: true"), listener(AFTER_UP, more="disabled: true")), start=2):
            await h.deploy(text, revision=revision)
            await chain.run()
            assert await chain.count() == 2
        await h.deploy(listener(AFTER_UP), revision=4)
        await h.podium.remember_trigger("n", "down", "t", {"disabled": True})
        gone = h.library.known()["n", "down"]
        await h.podium.deploy(Deployment(
            source="main", commit="d" * 40, previous_commit="c" * 40, accepted=[], removed=[gone], moved=[], rejected=[], held=None,
            sync_path="syncs/x.json", sync_body=b"{}", at=h.clock.now(),
        ))
        await chain.run()
        assert await chain.count() == 2
        await h.deploy(listener(AFTER_UP), revision=6)
        await chain.settle()
        await chain.run()
        assert await chain.count() == 3


async def test_executions_of_loops_do_not_fire(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        loop = (
            "id: up\nnamespace: n\ntasks:\n  - id: l\n    type: io.kestra.plugin.core.flow.Loop\n    values: [a, b]\n    concurrencyLimit: 1\n"
            "    tasks:\n      - {id: x, type: core.log.Log, message: hi}\n"
        )
        await h.deploy(loop, listener(AFTER_UP))
        await chain.run()
        assert await chain.count() == 1


# ---- crashes


async def test_what_was_noted_is_looked_at_after_a_crash_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: Any, note: Any, stream: Any) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(chains_module.Chains, "_look", never)
        async with house(tmp_path) as h:
            await h.deploy(upstream(more="outputs: [{id: x, type: STRING, value: kept}]"), listener(
                AFTER_UP + "\ninputs: {x: '{{ trigger.outputs.x }}'}", more="inputs: [{id: x, type: STRING}]",
            ))
            first = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
            await h.podium.wait(first["id"], timeout_s=60)
            assert len(h.documents.entries("chain")) == 1
    for _ in range(2):
        async with house(tmp_path) as h:
            chain = Chain(h)
            await chain.settle()
            (started,) = await chain.of()
            assert started["inputs"] == {"x": "kept"}
            assert started["trigger"]["variables"]["executionId"] == first["id"]


async def test_what_happens_before_the_listeners_are_known_is_looked_at_once_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rebuild texts of flows come from repositories that are opened later; a crash in between loses nothing either."""
    async with house(tmp_path) as h:
        await h.deploy(upstream(), listener(AFTER_UP))
        with monkeypatch.context() as patch:
            patch.setattr(h.library, "mentioning", lambda word: [])
            patch.setattr(h.library, "waits_for_text", lambda: True)
            h.library.changed()
            first = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
            await h.podium.wait(first["id"], timeout_s=60)
            assert len(h.documents.entries("chain")) == 2
            await asyncio.sleep(0.05)
        chain = Chain(h)
        for _ in range(5_000):
            if await chain.count():
                break
            await asyncio.sleep(0.02)
        await chain.settle()
        assert await chain.count() == 1
    with monkeypatch.context() as patch:
        patch.setattr("podium.conductor.library.Library.mentioning", lambda self, word: [])
        patch.setattr("podium.conductor.library.Library.waits_for_text", lambda self: True)
        async with house(tmp_path) as h:
            second = await h.podium.start(StartRequest(namespace="n", flow_id="up"))
            await h.podium.wait(second["id"], timeout_s=60)
    async with house(tmp_path) as h:
        chain = Chain(h)
        await chain.settle()
        assert sorted(each["trigger"]["variables"]["executionId"] for each in await chain.of()) == sorted([first["id"], second["id"]])


async def test_an_execution_started_twice_for_one_note_is_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(upstream(), listener(AFTER_UP))
        first = await chain.run()
        (started,) = await chain.of()
        note = chains_module.Note(
            place=("n", "down", "t"), execution_id=first["id"], number=2, state="SUCCESS",
            at=datetime.fromisoformat(first["state"]["histories"][-1]["date"]),
        )
        assert note.starts == started["id"]


# ---- what grows


async def test_a_circle_of_flows_is_stopped(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        chain = Chain(h)
        await h.deploy(
            listener("preconditions: {id: p, flows: [{namespace: n, flowId: b}]}", "a"),
            listener("preconditions: {id: p, flows: [{namespace: n, flowId: a}]}", "b"),
        )
        await chain.run("a")
        counted = await chain.count("a") + await chain.count("b")
        assert counted == CHAIN_DEPTH_MAX + 1
        assert "CHAIN_DEPTH_MAX" in str([(await chain.state("a")).get("error"), (await chain.state("b")).get("error")])
        assert max(each["trigger"]["depth"] for each in await chain.of("b")) in (CHAIN_DEPTH_MAX - 1, CHAIN_DEPTH_MAX)


async def test_a_circle_over_a_subflow_is_stopped_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains_module, "CHAIN_DEPTH_MAX", 5)
    async with house(tmp_path) as h:
        chain = Chain(h)
        sub = "id: s\nnamespace: n\ntasks:\n  - {id: c, type: core.flow.Subflow, namespace: n, flowId: leaf, wait: true}\n"
        trigger = f"triggers:\n  - {{id: t, type: {FLOW}, preconditions: {{id: p, flows: [{{namespace: n, flowId: leaf}}]}}}}\n"
        await h.deploy(upstream("leaf"), sub + trigger)
        await chain.run("s")
        assert await chain.count("s") == 6


async def test_a_circle_that_branches_is_stopped_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains_module, "CHAIN_STARTS_MAX", 40)
    async with house(tmp_path) as h:
        chain = Chain(h)
        every = "preconditions: {id: p, flows: [{namespace: n}]}"
        await h.deploy(*(listener(every, name) for name in "abc"))
        await chain.run("a")
        total = sum([await chain.count(name) for name in "abc"])
        assert total == 1 + 2 + 40
