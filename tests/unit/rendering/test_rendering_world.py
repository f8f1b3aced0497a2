"""What expressions get from the outside."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from podium.base.errors import ExpressionError
from podium.rendering.renderer import Renderer, Scope
from podium.storage.files import FileStorage


@pytest.fixture
def say(renderer: Renderer, scope: Scope) -> Any:
    def _say(template: str, typed: bool = False, **variables: Any) -> Any:
        return renderer.value(template, variables, scope, typed=typed)

    return _say


def test_time_is_the_clocks(say: Any, clock: Any) -> None:
    assert say("{{ now() }}") == "2026-01-05T09:00:00.000000+01:00"
    clock.advance(60)
    assert say("{{ now(timeZone='UTC', format='HH:mm') }}") == "08:01"


def test_chance(say: Any) -> None:
    assert re.fullmatch(r"[0-9A-Za-z]{20,22}", say("{{ id() }}"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", say("{{ uuid() }}"))
    assert say("{{ uuid() }}") != say("{{ uuid() }}")
    assert say("{{ randomInt(3, 4) }}") == "3"
    assert {say("{{ randomInt(0, 3) }}") for _ in range(100)} == {"0", "1", "2"}
    assert 1024 < int(say("{{ randomPort() }}")) < 65536


def test_secrets_and_their_fields(say: Any, scope: Scope) -> None:
    assert say("{{ secret('token') }}") == "hunter2"
    assert say("{{ secret('JSON', subkey='user') }}") == "me"
    assert say("{{ secret('JSON', subkey='n') }}", typed=True) == 12345
    assert scope.redactor.text("hunter2 12345") == "******** ********"
    for template, why in (
        ("{{ secret('NOPE') }}", "Cannot find secret for key 'NOPE'"), ("{{ secret('JSON', subkey='x') }}", "Cannot find the subkey 'x'"),
        ("{{ secret('TOKEN', subkey='x') }}", "is not JSON"),
    ):
        with pytest.raises(ExpressionError, match=why):
            say(template)


def test_kv_values_keep_their_type_and_come_from_parents_too(say: Any, values: Any) -> None:
    values.values = {
        ("company.team", "n"): {"value": 5, "type": "NUMBER"}, ("company", "m"): {"value": {"field": "x"}, "type": "JSON"},
        ("company.team", "at"): {"value": "2026-01-05T08:00:00.000Z", "type": "DATETIME"}, ("other", "o"): {"value": "there", "type": "STRING"},
        ("company.team", "d"): {"value": "PT90S", "type": "DURATION"}, ("company.team", "day"): {"value": "2026-01-05", "type": "DATE"},
    }
    assert say("{{ kv('n') + 1 }}", typed=True) == 6
    assert say("{{ kv('m').field }}") == "x"
    assert say("{{ kv('at') | date('yyyy', timeZone='UTC') }}") == "2026"
    assert say("{{ kv('d') }} {{ kv('day') }}") == "PT1M30S 2026-01-05"
    assert say("{{ kv('o', 'other') }}") == "there"
    assert say("{{ kv('o', errorOnMissing=false) }}") == ""
    with pytest.raises(ExpressionError, match=r"The key 'o' does not exist in the namespace 'company\.team'\."):
        say("{{ kv('o', 'company.team', true) }}")


def test_files_by_path_and_uri(say: Any, files: FileStorage) -> None:
    assert say("{{ read('sql/a.sql') }}") == "select {{ 1 }}"
    assert say("{{ render(read('sql/a.sql')) }}") == "select 1"
    assert say("{{ fileURI('sql/a.sql') }}") == "kestra:///company/team/_files/sql/a.sql"
    assert say("{{ read(fileURI('sql/a.sql')) }}") == "select {{ 1 }}"
    assert say("{{ fileSize('sql/a.sql') }} {{ fileExists('sql/a.sql') }} {{ fileExists('none') }}") == "14 true false"
    uri = files.put("kestra:///company/team/etl/executions/EXEC1/tasks/t/r/out.txt", b"out")
    assert say("{{ read(u) }}", u=uri) == "out"
    assert say("{{ read('bin') }}", typed=True) == b"\xff\x00"


@pytest.mark.parametrize(
    "call", ["read('../x')", "read('/a/../../x')", "read('none')", "fileURI('../x')", "read('file:///etc/passwd')", "read('http://127.0.0.1/')"]
)
def test_what_may_not_be_read_is_an_error(say: Any, call: str) -> None:
    with pytest.raises(ExpressionError):
        say("{{ " + call + " }}")


def test_files_of_other_executions_only_when_handed_over(say: Any, files: FileStorage) -> None:
    uri = files.put("kestra:///company/team/etl/executions/OTHER/tasks/t/r/out.txt", b"theirs")
    with pytest.raises(ExpressionError, match="may not be read"):
        say("{{ read('" + uri + "') }}")
    assert say("{{ read(inputs.f) }}", inputs={"f": uri}) == "theirs"


def test_error_logs_and_subflow(say: Any) -> None:
    assert say("{{ errorLogs()[0].message }}") == "boom"
    with pytest.raises(ExpressionError, match="not possible here"):
        say("{{ subflow(namespace='a', id='b') }}")


def test_a_subflow_is_told_the_secrets_that_its_inputs_may_hold(renderer: Renderer, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(renderer, "_parts", replace(renderer._parts, subflow=lambda **options: asked.update(options) or {"outputs": {}}))
    renderer.value("{{ subflow(namespace='a', id='b', inputs={'x': secret('TOKEN')}) }}", {}, scope)
    assert (asked["inputs"], asked["masks"]) == ({"x": "hunter2"}, ("hunter2",))


class _Echo(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        content_type, status = "application/json", 200
        if self.path.startswith("/yaml"):
            text, content_type = "a: [1, x]\n", "application/yaml; charset=utf-8"
        elif self.path.startswith("/text"):
            text, content_type = "plain {\"a\": 1}", "text/plain"
        elif self.path.startswith("/error"):
            text, status = "{}", 503
        elif self.path.startswith("/broken"):
            text = "{"
        elif self.path.startswith("/large"):
            text = json.dumps("x" * 5000)
        else:
            text = json.dumps({"method": self.command, "path": self.path, "body": body, "headers": dict(self.headers.items())})
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 (the names the server calls)


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_http_gives_parsed_answers(say: Any, server: str) -> None:
    assert say("{{ http(s ~ '/x', query={'q': 'a b'}).path }}", s=server) == "/x?q=a+b"
    assert say("{{ http(s ~ '/yaml').a }}", typed=True, s=server) == [1, "x"]
    assert say("{{ http(s ~ '/text') }}", s=server) == 'plain {"a": 1}'
    sent = say("{{ http(s, method='POST', body={'a': 1}, headers={'X-One': 'h'}, accept='text/x') }}", typed=True, s=server)
    assert (sent["method"], json.loads(sent["body"])) == ("POST", {"a": 1})
    assert sent["headers"]["X-One"] == "h"
    assert sent["headers"]["Accept"] == "text/x"
    assert sent["headers"]["Content-Type"] == "application/json"
    form = say("{{ http(s, method='PUT', body={'a': 'b c'}, contentType='application/x-www-form-urlencoded') }}", typed=True, s=server)
    assert (form["method"], form["body"]) == ("PUT", "a=b+c")
    auth = say("{{ http(s, options={'auth': {'type': 'BEARER', 'token': 'T'}}) }}", typed=True, s=server)
    assert auth["headers"]["Authorization"] == "Bearer T"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("http(s ~ '/error')", "answered 503"), ("http(s ~ '/broken')", "not the application/json that it claims to be"), ("http('http://127.0.0.1:1/')", "cannot connect"),
        ("http('file:///etc/passwd')", "not an http or https URL"), ("http(s, options={'nope': 1})", r"options\.nope"),
        ("http(s ~ '/large', options={'maxContentLength': 100})", "over 100 bytes"),
    ],
)
def test_http_says_what_is_wrong(say: Any, server: str, call: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        say("{{ " + call + " }}", s=server)
