"""What differs between two runs of a flow; what expressions on an execution can name; why it failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from podium.web.pages.executions.difference import CHANGES_MAX, difference
from podium.web.pages.executions.runs import as_lines, cause_of, compact, files_of, names_of, step

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SEALED = {"type": "io.kestra.datatype:aes_encrypted", "value": "c2VhbGVk"}


def state(current: str, seconds: float = 1, begin: str = "2026-01-05T08:00:00.000Z") -> dict[str, Any]:
    end = datetime.fromisoformat(begin).timestamp() + seconds
    text = datetime.fromtimestamp(end, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    histories = [{"state": "CREATED", "date": begin}, {"state": "RUNNING", "date": begin}, {"state": current, "date": text}]
    return {"current": current, "histories": histories, "startDate": begin, "endDate": text, "duration": f"PT{seconds}S"}


def run(task: str, current: str = "SUCCESS", seconds: float = 1, **more: Any) -> dict[str, Any]:
    return {"id": f"id-{task}-{more.get('value', '')}", "taskId": task, "state": state(current, seconds), "attempts": [{"state": state(current, seconds)}], **more}


def execution(*runs: dict[str, Any], current: str = "SUCCESS", **more: Any) -> dict[str, Any]:
    return {"id": "x", "namespace": "n", "flowId": "f", "state": state(current), "taskRunList": list(runs), **more}


def test_fields_that_differ_are_named_and_those_that_do_not_are_not() -> None:
    before = execution(run("a", outputs={"n": 1, "same": 0}), run("gone"), flowRevision=1, inputs={"day": "1", "deep": {"x": 1}}, labels=[{"key": "system.correlationId", "value": "1"}])
    after = execution(
        run("a", seconds=9, outputs={"n": 2, "same": 0}), run("b", value="v"), flowRevision=2, inputs={"day": "2", "deep": {"x": 1}, "new": True},
        labels=[{"key": "system.correlationId", "value": "2"}, {"key": "team", "value": "data"}],
    )
    found = {(each.group, each.name): (each.kind, each.before, each.after) for each in difference(before, after, NOW)}
    assert found == {
        ("run", "revision"): ("changed", "1", "2"), ("inputs", "day"): ("changed", "1", "2"), ("inputs", "new"): ("added", None, "true"),
        ("labels", "team"): ("added", None, "data"), ("tasks", "gone"): ("removed", "SUCCESS", None), ("tasks", "b[v]"): ("added", None, "SUCCESS"),
        ("durations", "a"): ("changed", "1 s", "9 s"), ("task outputs", "a.n"): ("changed", "1", "2"),
    }
    assert difference(before, before, NOW) == []


def test_what_is_encrypted_stays_so_and_much_is_cut() -> None:
    found = difference(execution(inputs={"key": SEALED}), execution(inputs={"key": "plain"}), NOW)
    assert [(each.before, each.after) for each in found] == [("********", "plain")]
    many = difference(execution(inputs={f"k{n}": 0 for n in range(1_000)}), execution(inputs={f"k{n}": "x" * 999 for n in range(1_000)}), NOW)
    assert len(many) == CHANGES_MAX
    assert len(str(many[0].after)) == 400


def test_the_cause_is_what_failed_first_without_a_part_that_did() -> None:
    group = run("group", "FAILED", 5)
    inner = run("inner", "FAILED", 2, parentTaskRunId=group["id"])
    inner["attempts"] = [{"state": state("FAILED"), "error": "\x1b[31mno\x1b[0m\nsecond line"}]
    found = cause_of(execution(group, inner, run("killed", "KILLED"), current="FAILED"))
    assert found is not None
    assert found[0]["taskId"] == "inner"
    assert found[1] == "no"
    assert cause_of(execution(run("a"))) is None


def test_names_are_those_of_expressions() -> None:
    names = names_of(execution(run("a", outputs={"n": {"my key": [1, 2]}}), run("b", value="v", outputs={"o": 1}), inputs={"day": 1, "pass": SEALED}, labels=[{"key": "team", "value": "x"}]))
    assert {"inputs.day", "inputs.pass", "outputs.a.n['my key'][1]", "outputs.b.v.o", "labels.team", "tasks.a.state", "execution.id"} <= set(names)
    assert not any("pass." in each for each in names)
    assert step("it's") == "['it\\'s']"
    assert step(3) == "[3]"
    assert step("ok") == ".ok"


def test_files_are_each_named_once() -> None:
    uri = "kestra:///n/f/executions/x/tasks/a/orders.csv"
    found = files_of(execution(run("a", outputs={"uri": uri, "files": {"orders.csv": uri}, "text": "kestra:/// no"}), inputs={"f": "kestra:///n/f/i.txt"}))
    assert [(each["name"], each["path"]) for each in found[:2]] == [("i.txt", "inputs.f"), ("orders.csv", "outputs.a.uri")]


def test_a_run_and_a_line_in_few_bytes() -> None:
    row = compact(run("a", "FAILED", 2, value={"x": 1}))
    assert row[1] == "a"
    assert row[3] == '{"x":1}'
    assert row[5] == "FAILED"
    assert row[8] - row[7] == 2_000
    assert row[9][0][0] == "FAILED"
    entry = {"seq": 7, "timestamp": "2026-01-05T08:00:00.000Z", "level": "ERROR", "message": "a\nb", "taskId": "t"}
    assert as_lines([entry]) == [(7, b'id: 7\nevent: line\ndata: [7,1767600000000,4,"t","",0,"a\\nb"]\n\n')]
