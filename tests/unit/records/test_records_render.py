"""The bytes of records, logs and commit messages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import podium.records
from podium.base.ports import QueuedFile
from podium.base.redact import MASK, Redactor
from podium.records import record
from podium.records.message import commit_message, root_message
from podium.records.render import OMITTED, render_log, render_record

FLOW = {"commit": "a" * 40, "path": "flows/daily.yaml", "blob": "b" * 40, "revision": 3}


def view(**more: Any) -> dict[str, Any]:
    state = {"current": "SUCCESS", "histories": [{"state": "CREATED", "date": "2026-01-02T03:04:05.678Z"}]}
    return {
        "id": "0" * 22, "namespace": "company.team", "flowId": "daily", "state": state,
        "taskRunList": [{"id": "1" * 22, "taskId": "hello", "state": state, "attempts": [{"state": state}], "outputs": {"value": "hi"}}],
    } | more


def rendered(execution: dict[str, Any], **options: Any) -> dict[str, Any]:
    body = render_record(execution, flow=FLOW, instance="here", version="0.1.0", **options)
    record.check(body)
    made: dict[str, Any] = json.loads(body)
    return made


def test_a_record_holds_the_execution_and_where_it_came_from() -> None:
    made = rendered(view(), images={"python:3.13-slim": "sha256:1"}, runner="docker")
    assert list(made) == ["schema", "execution", "flow", "images", "runner", "instance", "podium"]
    assert made["execution"] == view()
    assert made["flow"] == FLOW
    assert render_record(view(), flow=FLOW, instance="here", version="1").endswith(b"\n}\n")


def test_secrets_are_masked_in_records_and_logs() -> None:
    redactor = Redactor(["s3cr3t\"quoted"])
    made = rendered(view(inputs={"password": 's3cr3t"quoted', "plain": "x"}), redactor=redactor)
    assert made["execution"]["inputs"] == {"password": MASK, "plain": "x"}
    line = render_log([{"timestamp": "t", "level": "INFO", "message": 'it is s3cr3t"quoted'}], redactor=redactor)
    assert json.loads(line)["message"] == f"it is {MASK}"


def test_outputs_over_the_limit_give_way_to_their_digest() -> None:
    big = {"data": "x" * 5_000}
    made = rendered(view(taskRunList=[view()["taskRunList"][0] | {"outputs": big}, view()["taskRunList"][0]]), output_bytes_max=1_000)
    body = json.dumps(big, separators=(",", ":")).encode()
    assert made["execution"]["taskRunList"][0]["outputs"] == {OMITTED: {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}}
    assert made["execution"]["taskRunList"][1]["outputs"] == {"value": "hi"}


def test_a_record_over_its_limit_loses_its_largest_outputs() -> None:
    runs = [view()["taskRunList"][0] | {"outputs": {"data": "x" * size}} for size in (900, 100, 800, 700)]
    made = rendered(view(taskRunList=runs), record_bytes_max=2_500)
    assert [OMITTED in run["outputs"] for run in made["execution"]["taskRunList"]] == [True, False, True, False]


def test_what_json_cannot_hold_becomes_text() -> None:
    made = rendered(view(outputs={"half": "\ud800", "huge": 2**70, "nan": float("nan"), "path": Path("/x"), 5: "key"}))
    assert made["execution"]["outputs"] == {"half": "?", "huge": str(2**70), "nan": None, "path": "/x", "5": "key"}


def test_logs_keep_their_head_and_tail() -> None:
    entries = [{"timestamp": "t", "level": "INFO", "message": f"line {number:04}"} for number in range(1_000)]
    lines = [json.loads(line) for line in render_log(entries, cap_bytes=1_000, whole="kestra:///x").splitlines()]
    gap = next(index for index, line in enumerate(lines) if "omitted" in line)
    assert lines[0]["message"] == "line 0000"
    assert lines[-1]["message"] == "line 0999"
    assert lines[gap]["omitted"]["lines"] == 1_000 - (len(lines) - 1)
    assert lines[gap]["omitted"]["uri"] == "kestra:///x"
    whole = render_log(entries, cap_bytes=1_000_000)
    assert len(whole.splitlines()) == 1_000
    assert whole == render_log(entries, cap_bytes=len(whole) // 2 + 100)
    assert render_log([]) == b""


def test_one_line_over_the_cap_is_counted_not_kept() -> None:
    lines = render_log([{"message": "x" * 5_000}, {"message": "end"}], cap_bytes=100).splitlines()
    assert json.loads(lines[0])["omitted"]["lines"] == 1
    assert json.loads(lines[1]) == {"message": "end"}


def test_the_published_schema_is_that_of_the_code() -> None:
    published = Path(podium.records.__file__).with_name("record.schema.json")
    assert json.loads(published.read_text()) == record.json_schema()


@pytest.mark.parametrize(
    "spoil",
    [lambda made: made.pop("flow"), lambda made: made.update(schema=2), lambda made: made["execution"].pop("state"), lambda made: made["flow"].update(revision="x")],
)
def test_a_record_with_a_wrong_field_is_told_by_its_name(spoil: Any) -> None:
    made = rendered(view())
    spoil(made)
    with pytest.raises(ValueError, match=r"\$|required field|schema|Invalid enum"):
        record.check(json.dumps(made).encode())


def queued(seq: int, *, kind: str = "execution", state: str = "SUCCESS", flow: str = "daily") -> QueuedFile:
    return QueuedFile(seq=seq, path=f"p/{seq}", body=b"", kind=kind, summary={"id": f"id{seq}", "namespace": "etl", "flowId": flow, "state": state})


def test_a_subject_is_what_a_person_would_say() -> None:
    message = commit_message([queued(1), queued(2), queued(3, state="FAILED", flow="hourly"), queued(4, kind="log")], instance="here")
    subject, body, trailers = message.rstrip().split("\n\n")
    assert subject == "3 executions: 2 SUCCESS, 1 FAILED (etl.hourly)"
    assert body.splitlines()[2] == "FAILED etl.hourly id3"
    assert trailers == "Podium-Executions: 3\nPodium-Instance: here"
    assert commit_message([queued(1)], instance="x").startswith("1 execution: 1 SUCCESS (etl.daily)\n")


def test_subjects_of_other_files_and_of_many_flows() -> None:
    assert commit_message([queued(1, kind="sync")], instance="x").startswith("1 sync\n\nPodium-Executions: 0\n")
    assert commit_message([queued(1, kind="state"), queued(2, kind="state")], instance="x").startswith("2 state files\n")
    assert commit_message([queued(1, kind="sync"), queued(2)], instance="x").startswith("1 execution: 1 SUCCESS (etl.daily); 1 sync\n")
    many = commit_message([queued(number, flow=f"f{number}") for number in range(200)], instance="x")
    assert many.startswith("200 executions: 200 SUCCESS (etl.f0, etl.f1 and 198 more flows)\n")
    assert "… and 150 more" in many


def test_a_hostile_instance_name_adds_no_trailer() -> None:
    message = commit_message([queued(1)], instance="x\nSigned-off-by: me")
    assert message.endswith("Podium-Instance: x Signed-off-by: me\n")


def test_a_new_period_names_the_one_before() -> None:
    message = root_message("results/2026-02", instance="x", previous="results/2026-01", previous_tip="f" * 40, previous_count=7)
    assert message.endswith(f"Podium-Previous: results/2026-01 {'f' * 40} 7\n")
