"""Polling triggers: asked every interval, one execution for each answer."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from fake_orchestrator import Log
from podium.base.errors import LimitError
from podium.flows.types import Types
from podium.plugin import Duration, Dyn, PollContext, TaskFailed, Trigger
from trigger_house import House, flow_with, until

POLL = "type: test.Poll\nquestion: \"{{ vars.v }}?\"\n"
EXTRA = "variables:\n  v: anything new\n"


class Poll(Trigger):
    """Answers what the test put into `answers`."""

    TYPE = "test.Poll"
    answers: ClassVar[list[Any]] = []
    asked: ClassVar[list[str]] = []
    gate: ClassVar[threading.Event] = threading.Event()

    interval: Duration = timedelta(seconds=60)
    question: Dyn[str]

    def poll(self, ctx: PollContext) -> Mapping[str, Any] | None:
        assert self.gate.wait(10)
        self.asked.append(self.question)
        ctx.state["count"] = ctx.state.get("count", 0) + 1
        assert ctx.render("{{ trigger.id }}-{{ x }}", {"x": 1}) == "t-1"
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer == "file":
            source = Path(ctx.working_dir) / "f.txt"  # type: ignore[attr-defined]  # ours has it, as the context of a task
            source.write_text("found")
            return {"uri": ctx.files.put(source, "f.txt"), "count": ctx.state["count"]}
        return answer


@pytest.fixture
async def house(tmp_path: Path, clock: Any) -> AsyncIterator[House]:
    Poll.answers, Poll.asked, Poll.gate = [], [], threading.Event()
    Poll.gate.set()
    made = House(tmp_path, clock, types=Types.build(tasks=[Log], triggers=[Poll]))
    await made.open()
    yield made
    Poll.gate.set()
    await made.close()


async def test_it_is_asked_at_once_and_then_every_interval(house: House) -> None:
    await house.install(flow_with(POLL, extra=EXTRA))
    assert Poll.asked == ["anything new?"]
    await house.advance(59)
    assert len(Poll.asked) == 1
    await house.advance(1)
    assert len(Poll.asked) == 2
    assert house.started == []
    assert house.state()["poll"] == {"count": 2}


async def test_an_answer_starts_an_execution_and_the_next_question_waits_for_its_end(house: House) -> None:
    Poll.answers = [{"a": 1}, {"a": 2}]
    await house.install(flow_with(POLL, extra=EXTRA))
    assert (house.started[0].trigger or {})["variables"] == {"a": 1}
    await house.advance(60)
    assert len(Poll.asked) == 1
    await house.finish()
    assert len(house.started) == 2


async def test_what_it_remembers_is_stored_with_the_start(house: House) -> None:
    Poll.answers = ["file"]
    await house.install(flow_with(POLL, extra=EXTRA))
    assert house.started[0].cursor is not None
    assert house.started[0].cursor["poll"] == {"count": 1}
    uri = (house.started[0].trigger or {})["variables"]["uri"]
    assert house.renderer.file_reader.files.get(uri) == b"found"
    await house.restart()
    await house.finish()
    await house.advance(60)
    assert house.state()["poll"] == {"count": 2}


async def test_a_failing_poll_is_shown_and_asked_again(house: House) -> None:
    Poll.answers = [TaskFailed("no route"), ValueError("a bug"), {"a": 1}]
    await house.install(flow_with(POLL, extra=EXTRA))
    assert house.state()["error"] == "no route"
    await house.advance(60)
    assert house.state()["error"] == "ValueError: a bug"
    await house.advance(60)
    assert "error" not in house.state()
    assert len(house.started) == 1


async def test_fail_on_trigger_error_makes_a_failed_execution(house: House) -> None:
    Poll.answers = [TaskFailed("no route")]
    await house.install(flow_with(POLL + "failOnTriggerError: true\n", extra=EXTRA))
    assert "no route" in (house.started[0].failed_because or "")


async def test_properties_that_cannot_be_rendered_are_shown(house: House) -> None:
    await house.install(flow_with(POLL))
    assert "question" in house.state()["error"]
    assert Poll.asked == []


async def test_a_poll_that_hangs_holds_up_nothing_else_and_is_not_asked_twice(house: House) -> None:
    Poll.gate.clear()
    house.orchestrator.install(
        house.flow(flow_with(POLL, extra=EXTRA)),
        house.flow(flow_with("type: io.kestra.plugin.core.trigger.Schedule\ncron: '* * * * *'\n", flow_id="other")),
    )
    await until(lambda: house.state(flow="other"), "the other trigger is armed")
    house.clock.advance(60)
    await house.board.sweep()
    await until(lambda: len(house.started) == 1, "the schedule fires")
    state = await house.board.set_disabled("team", "f", "t", disabled=True)
    assert state["disabled"]
    await house.board.set_disabled("team", "f", "t", disabled=False)
    Poll.gate.set()
    await house.settle()
    assert len(Poll.asked) == 1


async def test_a_refused_start_asks_again_later(house: House) -> None:
    Poll.answers = [{"a": 1}, {"a": 1}]
    house.orchestrator.refuse = LimitError("full")
    await house.install(flow_with(POLL, extra=EXTRA))
    assert house.started == []
    house.orchestrator.refuse = None
    await house.advance(6)
    assert len(house.started) == 1


async def test_conditions_hold_for_answers_too(house: House) -> None:
    Poll.answers = [{"a": 1}, {"a": 2}]
    await house.install(flow_with(POLL + "when: \"{{ trigger.a == 2 }}\"\n", extra=EXTRA))
    assert house.started == []
    await house.advance(60)
    assert len(house.started) == 1
