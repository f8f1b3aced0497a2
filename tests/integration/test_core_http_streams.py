"""http.Download, http.SseRequest and http.Trigger against a real server."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from http_house import Context, Server, download, served

from podium.plugin import Result, TaskFailed
from podium.plugins.core.http.tasks import HttpTrigger, SseRequest, server_sent_events


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    with served(Server()) as running:
        yield running


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_outputs_of_a_download(ctx: Context, url: str) -> None:
    result = download(ctx, f"{url}/files/dir/data%20set.csv?x=1")
    assert set(result.outputs) == {"uri", "code", "length", "headers"}
    assert result.outputs["uri"].endswith("/data%20set.csv")
    assert (result.outputs["code"], result.outputs["length"]) == (200, 9)
    assert ctx.files.store.get(result.outputs["uri"]) == b"file data"
    assert [(each.name, each.value) for each in result.metrics] == [("response.length", 9)]
    assert not list(ctx.working_dir.iterdir())


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ("attachment; filename=report.pdf", "report.pdf"), ('attachment; filename="my report.pdf"', "my%20report.pdf"), ('attachment; filename="../../etc/passwd"', ".._.._etc_passwd"),
        ("attachment; filename*=UTF-8''%C3%A9t%C3%A9.csv", "%C3%A9t%C3%A9.csv"), ("attachment; filename=\"fallback.txt\"; filename*=UTF-8''real.txt", "real.txt"),
        ("attachment; filename*=nonsense''%41.txt", "named"), ("attachment", "named"), ('attachment; filename=""', "file"),
    ],
)
def test_the_name_of_a_download(ctx: Context, url: str, disposition: str, name: str) -> None:

    assert download(ctx, f"{url}/named?d={quote(disposition)}").outputs["uri"].rpartition("/")[2] == name


def test_a_download_may_be_named(ctx: Context, url: str) -> None:
    assert download(ctx, f"{url}/files/a.csv", saveAs="b.csv").outputs["uri"].endswith("/b.csv")


def test_downloads_of_all_kinds(ctx: Context, url: str) -> None:
    assert download(ctx, f"{url}/chunked").outputs["length"] == 7
    assert download(ctx, f"{url}/gzip").outputs["length"] == 1100
    assert ctx.files.store.get(download(ctx, f"{url}/bytes").outputs["uri"]) == b"\xff\xfe\x00"
    assert download(ctx, f"{url}/echo", method="POST", body="x").outputs["length"] > 10


def test_a_download_that_breaks_off_fails(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match=r"(?i)broke off"):
        download(ctx, f"{url}/short")


def test_an_empty_download_fails_unless_allowed(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match=r"^No response from server$"):
        download(ctx, f"{url}/empty")
    result = download(ctx, f"{url}/empty", failOnEmptyResponse=False)
    assert result.outputs["length"] == 0
    assert ctx.files.store.get(result.outputs["uri"]) == b""
    assert ctx.log.lines[-1][0] == "WARN"


def test_a_download_of_an_error_fails_unless_allowed(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="response code '404'"):
        download(ctx, f"{url}/nothing")
    assert download(ctx, f"{url}/nothing", allowFailed=True).outputs["code"] == 404


def test_a_download_stops_at_its_limit(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="over 1000 bytes"):
        download(ctx, f"{url}/large", options={"maxContentLength": 1000})


# ---- server-sent events


def sse(ctx: Context, uri: str, **properties: Any) -> Result:
    return SseRequest.model_validate({"id": "t", "type": SseRequest.TYPE, "uri": uri, **properties}).run(ctx)  # type: ignore[arg-type]


EVENTS = [
    {"id": "1", "name": "count", "data": {"count": 1}}, {"retry": 10, "data": "first\nsecond"}, {"data": {"count": 2}}, {"data": "tail"},
]


def test_events_are_collected(ctx: Context, server: Server, url: str) -> None:
    result = sse(ctx, f"{url}/events")
    assert result.outputs["events"] == EVENTS
    assert result.outputs["size"] == 4
    assert "result" not in result.outputs
    assert [json.loads(line) for line in ctx.files.store.get(result.outputs["uri"]).splitlines()] == EVENTS
    assert dict(server.seen[-1][2])["Accept"] == "text/event-stream"


def test_values_of_events_are_joined(ctx: Context, url: str) -> None:
    assert sse(ctx, f"{url}/events", concatJqExpression=".data.count", failedOnMissingJq=False).outputs["result"] == "12"
    with pytest.raises(TaskFailed, match=r"Failed to resolve JQ expression '\.data\.count' and value '\{\"retry\":10,\"data\":\"first"):
        sse(ctx, f"{url}/events", concatJqExpression=".data.count")
    with pytest.raises(TaskFailed, match="not a jq expression"):
        sse(ctx, f"{url}/events", concatJqExpression=".[")


def test_an_endless_stream_ends_at_its_limit(ctx: Context, url: str) -> None:
    result = sse(ctx, f"{url}/endless", maxEvents=3)
    assert [each["data"] for each in result.outputs["events"]] == [0, 1, 2]


def test_an_error_instead_of_events_fails(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="response code '500'"):
        sse(ctx, f"{url}/error")


def test_lines_of_an_event_stream() -> None:
    assert list(server_sent_events(["data:a", "", "data", "", ": c", "event: e", "", "id:5", "data: x", "data: y"])) == [
        {"data": "a"}, {"data": ""}, {"id": "5", "data": "x\ny"},
    ]


# ---- the trigger


def poll(ctx: Context, uri: str, **properties: Any) -> Any:
    return HttpTrigger.model_validate({"id": "t", "type": HttpTrigger.TYPE, "uri": uri, **properties}).poll(ctx)  # type: ignore[arg-type]


def test_the_trigger_fires_when_its_condition_holds(ctx: Context, url: str) -> None:
    found = poll(ctx, f"{url}/latin")
    assert set(found) == {"uri", "code", "headers", "body"}
    assert found["body"] == "é"
    assert poll(ctx, f"{url}/latin", responseCondition="{{ response.body == 'e' }}") is None
    assert poll(ctx, f"{url}/echo", responseCondition="{{ response.headers['X-CamelCase'][1] == 'Two' }}")["code"] == 200
    assert poll(ctx, f"{url}/nothing") is None
    assert poll(ctx, f"{url}/nothing", responseCondition="{{ response.statusCode == 404 }}")["code"] == 404


def test_the_trigger_polls_each_minute_unless_told_otherwise() -> None:
    trigger = HttpTrigger.model_validate({"id": "t", "type": HttpTrigger.TYPE, "uri": "http://x"})
    assert trigger.interval == dt.timedelta(minutes=1)


def test_a_trigger_whose_server_is_away_says_so(ctx: Context, free_port: int) -> None:
    with pytest.raises(TaskFailed, match="cannot connect"):
        poll(ctx, f"http://127.0.0.1:{free_port}/")
