"""An Approval: waits for a reviewer; the decision chooses the branch and how the task, or the execution, ends."""

from __future__ import annotations

import pytest
from engine_driver import Play, flow

from podium.base.errors import ConflictError
from podium.engine import commands as cmd
from podium.engine.decide.entry import pending


def log(task_id: str) -> str:
    return f"{{id: {task_id}, type: core.log.Log, message: x}}"


def approval(more: str = "", after: str = "") -> Play:
    branches = f"onWait: [{log('wait')}], onApprove: [{log('yes')}], onDeny: [{log('no')}]"
    return Play(flow(f"- {{id: ask, type: core.flow.Approval, {branches}{more}}}\n- {log('next')}", after)).run()


def decide(play: Play, decision: str, **more: object) -> Play:
    play.give(cmd.Review(decision=decision, **more))  # type: ignore[arg-type]
    return play.run()


def test_it_waits_after_on_wait_and_goes_on_when_approved() -> None:
    play = approval()
    assert (play.states(), play.state.state) == ({"ask": "PAUSED", "wait": "SUCCESS"}, "PAUSED")
    decide(play, "APPROVED", by="ann", comment="fine", inputs={"n": 1})
    assert play.states() == {"ask": "SUCCESS", "wait": "SUCCESS", "yes": "SUCCESS", "next": "SUCCESS"}
    outputs = play.run_of("ask").outputs
    assert {key: outputs[key] for key in ("decision", "auto", "by", "comment", "inputs")} == {
        "decision": "APPROVED", "auto": False, "by": "ann", "comment": "fine", "inputs": {"n": 1},
    }
    assert play.state.state == "SUCCESS"
    play.check()


@pytest.mark.parametrize(("behavior", "task", "execution", "goes_on"), [
    ("CONTINUE", "SUCCESS", "SUCCESS", True), ("WARN", "WARNING", "WARNING", True), ("FAIL", "FAILED", "FAILED", False),
    ("SUCCEED", "SUCCESS", "SUCCESS", False), ("CANCEL", "CANCELLED", "CANCELLED", False), ("KILL", "KILLED", "KILLED", False),
])
def test_a_behaviour_says_how_the_task_and_the_execution_end(behavior: str, task: str, execution: str, goes_on: bool) -> None:
    play = decide(approval(f", denyBehavior: {behavior}"), "DENIED")
    assert (play.run_of("ask").state, play.state.state, play.states().get("no")) == (task, execution, "SUCCESS")
    assert ("next" in play.states()) is goes_on
    play.check()


def test_what_is_not_decided_in_time_expires() -> None:
    play = approval(", timeout: PT1H, expireBehavior: WARN")
    timers = [each for each in pending(play.tree, play.state, play.now) if hasattr(each, "due")]
    assert [each.key.partition(":")[2] for each in timers] == ["expire"]
    assert play.run_of("ask").outputs["due"] == "2026-01-05T09:00:00.000Z"
    play.wait(3_601)
    assert (play.run_of("ask").outputs["decision"], play.state.state) == ("EXPIRED", "WARNING")
    assert not {"yes", "no"} & set(play.states())
    with pytest.raises(ConflictError):
        decide(play, "APPROVED")
    play.check()


def test_auto_approval_neither_waits_nor_runs_on_wait() -> None:
    play = approval(", autoApprove: '{{ true }}'")
    assert play.states() == {"ask": "SUCCESS", "yes": "SUCCESS", "next": "SUCCESS"}
    assert play.run_of("ask").outputs["auto"] is True


def test_a_comment_that_is_wanted_must_be_there() -> None:
    play = approval(", commentRequired: ON_DENY")
    with pytest.raises(ConflictError, match="wants a comment"):
        decide(play, "DENIED", comment=" ")
    assert decide(play, "DENIED", comment="no").state.state == "CANCELLED"


def test_a_failed_branch_is_never_masked() -> None:
    play = Play(flow(
        "- {id: ask, type: core.flow.Approval, approveBehavior: SUCCEED, onApprove: [{id: bad, type: core.execution.Fail}],\n"
        f"   errors: [{log('handler')}]}}"
    )).run()
    decide(play, "APPROVED")
    assert (play.state.state, play.states()["handler"]) == ("FAILED", "SUCCESS")


def test_an_error_before_the_wait_ends_it() -> None:
    play = Play(flow("- {id: ask, type: core.flow.Approval, onWait: [{id: bad, type: core.execution.Fail}]}")).run()
    assert play.state.state == "FAILED"


def test_it_is_killed_while_it_waits_and_asks_again_after_a_restart() -> None:
    play = approval()
    play.give(cmd.Kill())
    assert (play.state.state, play.run_of("ask").state) == ("KILLED", "KILLED")
    play.give(cmd.Restart())
    play.give(cmd.Begin(force=True))
    play.run()
    assert play.run_of("ask").state == "PAUSED"
    assert decide(play, "APPROVED").state.state == "SUCCESS"
    play.check()


def test_only_the_first_decision_counts() -> None:
    play = approval(", timeout: PT1H")
    decide(play, "APPROVED")
    with pytest.raises(ConflictError):
        decide(play, "DENIED")
    play.wait(4_000)
    assert (play.run_of("ask").outputs["decision"], play.state.state) == ("APPROVED", "SUCCESS")


def test_what_only_waits_beside_it_ends_when_the_decision_ends_the_execution() -> None:
    waits = "{id: p, type: core.flow.Pause}, {id: ask, type: core.flow.Approval, denyBehavior: CANCEL}"
    play = Play(flow(f"- {{id: g, type: core.flow.Parallel, tasks: [{waits}]}}")).run()
    ask = play.run_of("ask")
    decide(play, "DENIED", run_id=ask.id)
    assert (play.states()["p"], play.states()["ask"], play.state.state) == ("KILLED", "CANCELLED", "CANCELLED")
    play.check()


def test_a_resume_is_no_decision_and_is_told_what_to_do() -> None:
    play = approval()
    with pytest.raises(ConflictError) as refused:
        play.give(cmd.Resume())
    assert "review" in refused.value.hint
    assert play.run_of("ask").state == "PAUSED"


def test_two_approvals_wait_side_by_side_and_are_decided_one_by_one() -> None:
    play = Play(flow(
        "- {id: both, type: core.flow.Parallel, tasks: [{id: a, type: core.flow.Approval}, {id: b, type: core.flow.Approval, denyBehavior: WARN}]}"
    )).run()
    decide(play, "APPROVED")
    assert (play.states()["a"], play.states()["b"], play.state.state) == ("SUCCESS", "PAUSED", "PAUSED")
    decide(play, "DENIED")
    assert (play.states()["b"], play.state.state) == ("WARNING", "WARNING")
    play.check()


@pytest.mark.parametrize("behavior", ["SUCCEED", "CANCEL", "KILL"])
def test_a_decision_after_the_end_changes_nothing_of_the_execution(behavior: str) -> None:
    ask = f"{{id: ask, type: core.flow.Approval, approveBehavior: {behavior}}}"
    play = Play(flow("- {id: one, type: core.log.Log, message: x}", f"afterExecution: [{ask}]")).run()
    assert play.run_of("ask").state == "PAUSED"
    play.give(cmd.Review(decision="APPROVED"))
    assert (play.state.state, play.state.closed) == ("SUCCESS", True)
    assert [state for state, _ in play.state.history if state in ("SUCCESS", "KILLED", "CANCELLED")] == ["SUCCESS"]
    assert "cannot change the state" in play.engine_log[-1]
