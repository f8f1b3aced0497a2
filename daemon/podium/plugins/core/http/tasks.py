"""http.Request, http.Download, http.SseRequest and the polling http.Trigger. Source: flow-language 6.4 and 7.5."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any, ClassVar

from podium.base.limits import DOWNLOAD_BYTES_MAX, OUTPUT_BYTES_MAX
from podium.expressions.text import java_text
from podium.plugin import Duration, Dyn, Metric, PollContext, Result, RunContext, Task, TaskFailed, Trigger
from podium.plugins.core.files.records import write_records
from podium.plugins.core.http.client import Answer
from podium.plugins.core.http.request import HttpProperties, file_name_of

_HTTP = "io.kestra.plugin.core.http."
_OLD = "io.kestra.plugin.fs.http."


class Request(HttpProperties, Task):
    """Calls a URL and keeps the answer's status, headers and text.

    Outputs: uri, code, headers (name → list), body; with encryptBody encryptedBody in place of body.
    """

    TYPE = _HTTP + "Request"
    ALIASES = (_OLD + "Request",)
    KIND = "process"
    PRELOAD: ClassVar[tuple[str, ...]] = ("urllib3",)
    allow_failed: Dyn[bool] = False
    encrypt_body: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Make the call."""
        with self.sent(ctx, lambda: ctx.working_dir, allow_failed=self.allow_failed or self.options.allow_failed) as answer:
            outputs = _outputs(self, answer)
        if "RESPONSE_BODY" in self.options.logs:
            ctx.log.log("INFO", f"response body: {outputs['body'][:2_000]}")
        if not self.encrypt_body:
            return Result(outputs=outputs)
        body = outputs.pop("body")
        return Result(outputs={**outputs, "encryptedBody": body}, secret_outputs=("encryptedBody",))


class Download(HttpProperties, Task):
    """Downloads a file into internal storage. Outputs: uri (of the stored file), code, length, headers. Metric: response.length."""

    TYPE = _HTTP + "Download"
    ALIASES = (_OLD + "Download",)
    KIND = "process"
    PRELOAD: ClassVar[tuple[str, ...]] = ("urllib3",)
    allow_failed: Dyn[bool] = False
    fail_on_empty_response: Dyn[bool] = True
    save_as: Dyn[str] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Make the call and store what comes."""
        target = Path(tempfile.mkdtemp(dir=ctx.working_dir, prefix=".download-")) / "file"
        with self.sent(ctx, lambda: ctx.working_dir, allow_failed=self.allow_failed or self.options.allow_failed) as answer:
            length = self._save(answer, target)
            if length == 0:
                if self.fail_on_empty_response:
                    raise TaskFailed("No response from server")
                ctx.log.log("WARN", f"The file at {answer.uri} is empty")
            expected = answer.header("Content-Length")
            if expected and expected.isdigit() and not answer.encoded and self.method.upper() != "HEAD" and int(expected) != length:
                raise TaskFailed(f"Invalid size, got '{length}', expected '{expected}'")
            name = self.save_as or file_name_of(answer)
        uri = ctx.files.put(target, name.replace("/", "_"))
        target.unlink()
        target.parent.rmdir()
        return Result(
            outputs={"uri": uri, "code": answer.status, "length": length, "headers": answer.headers},
            metrics=[Metric(name="response.length", type="counter", value=length)],
        )

    def _save(self, answer: Answer, target: Path) -> int:
        limit = self.options.max_content_length or DOWNLOAD_BYTES_MAX
        length = 0
        with target.open("wb") as out:
            for chunk in answer.chunks():
                length += len(chunk)
                if length > limit:
                    raise TaskFailed(f"the answer has over {limit} bytes (options.maxContentLength)")
                out.write(chunk)
        return length


class SseRequest(HttpProperties, Task):
    """Reads a stream of server-sent events until it ends, or maxEvents have come.

    Outputs: uri (the events, one per line), events (left out when large), size, result (what concatJqExpression finds in each, joined).
    """

    TYPE = _HTTP + "SseRequest"
    KIND = "process"
    PRELOAD: ClassVar[tuple[str, ...]] = ("urllib3",)
    concat_jq_expression: Dyn[str] | None = None
    failed_on_missing_jq: Dyn[bool] = True
    max_events: Dyn[int] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Read the stream."""
        found: list[str] = []
        events: list[dict[str, Any]] = []
        headers = {"Accept": "text/event-stream", **self.headers}
        extract = _jq(self.concat_jq_expression) if self.concat_jq_expression else None
        asking = self.model_copy(update={"headers": headers})
        with asking.sent(ctx, lambda: ctx.working_dir, allow_failed=self.options.allow_failed) as answer:
            for event in server_sent_events(answer.lines()):
                events.append(event)
                if extract:
                    found += self._found(extract(event), event)
                if self.max_events is not None and len(events) >= self.max_events:
                    break
        target = ctx.working_dir / ".sse-events.ion"
        write_records(target, events)
        uri = ctx.files.put(target, "events.ion")
        target.unlink()
        outputs: dict[str, Any] = {"uri": uri, "size": len(events)}
        if len(json.dumps(events)) <= OUTPUT_BYTES_MAX // 2:
            outputs["events"] = events
        else:
            ctx.log.log("WARN", "the events are too large for an output: read them from the file at `uri`")
        if extract:
            outputs["result"] = "".join(found)
        return Result(outputs=outputs)

    def _found(self, values: list[Any], event: Mapping[str, Any]) -> list[str]:
        present = [java_text(value) for value in values if value is not None]
        if not present and self.failed_on_missing_jq:
            shown = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            raise TaskFailed(f"Failed to resolve JQ expression '{self.concat_jq_expression}' and value '{shown}'")
        return present


class HttpTrigger(HttpProperties, Trigger):
    """Calls a URL every `interval` and starts the flow when `responseCondition` holds. `trigger.*`: uri, code, headers, body."""

    TYPE = _HTTP + "Trigger"
    ALIASES = (_OLD + "Trigger",)
    SECRET_VARIABLES: ClassVar[tuple[str, ...]] = ("encryptedBody",)
    interval: Duration = timedelta(seconds=60)
    response_condition: str = "{{ response.statusCode < 400 }}"
    encrypt_body: Dyn[bool] = False

    def poll(self, ctx: PollContext) -> Mapping[str, Any] | None:
        """One call. None when the condition does not hold. With encryptBody the variables have `encryptedBody` in place of `body`."""
        from podium.expressions.compile import truthy

        with tempfile.TemporaryDirectory() as scratch, self.sent(ctx, lambda: Path(scratch), allow_failed=True) as answer:
            outputs = _outputs(self, answer)
        response = {"statusCode": outputs["code"], "body": outputs["body"], "headers": outputs["headers"]}
        if not truthy(ctx.render(self.response_condition, {"response": response})):
            return None
        if self.encrypt_body:
            outputs["encryptedBody"] = outputs.pop("body")
        return outputs


def server_sent_events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The events of a text/event-stream: {id?, name?, comment?, retry?, data}; data is the JSON value it holds, else its text."""
    event: dict[str, Any] = {}
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield {**event, "data": _parsed("\n".join(data))}
            event, data = {}, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name in ("id", "event", ""):
            event[{"event": "name", "": "comment"}.get(name, name)] = value
        elif name == "retry" and value.isdigit():
            event["retry"] = int(value)
    if data:
        yield {**event, "data": _parsed("\n".join(data))}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _jq(expression: str) -> Callable[[Mapping[str, Any]], list[Any]]:
    from podium.expressions.jq.program import run_jq
    from podium.expressions.jq.syntax import parse_program
    from podium.expressions.runtime import Fault, Meter

    try:
        parse_program(expression)
    except Fault as error:
        raise TaskFailed(f"not a jq expression: {expression!r} ({error.what})") from error

    def extract(event: Mapping[str, Any]) -> list[Any]:
        try:
            return run_jq(expression, event, Meter(), zone=UTC, dialect="1.x")
        except Fault:
            return []

    return extract


def _outputs(task: HttpProperties, answer: Answer) -> dict[str, Any]:
    return {"uri": answer.uri, "code": answer.status, "headers": answer.headers, "body": task.text_of(answer)}
