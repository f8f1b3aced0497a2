"""http.Request against a real server: outputs, bodies, redirects, credentials, mistakes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from http_house import Context, Server, request, served, told

from podium.base.errors import StorageError
from podium.plugin import TaskFailed


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


def test_outputs_of_a_request(ctx: Context, url: str) -> None:
    result = request(ctx, f"{url}/echo?q=1")
    assert set(result.outputs) == {"uri", "code", "headers", "body"}
    assert result.outputs["uri"] == f"{url}/echo?q=1"
    assert result.outputs["code"] == 200
    assert result.outputs["headers"]["X-CamelCase"] == ["One", "Two"]
    assert told(result)["method"] == "GET"
    assert not list(ctx.working_dir.iterdir())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "purge"])
def test_methods_and_bodies(ctx: Context, url: str, method: str) -> None:
    answer = told(request(ctx, url, method=method, body='{"é": 1}', contentType="application/json", headers={"X-Mine": "1", "x-number": 5}))
    assert (answer["method"], answer["body"]) == (method.upper(), '{"é": 1}')
    assert answer["headers"]["Content-Type"] == "application/json"
    assert (answer["headers"]["X-Mine"], answer["headers"]["x-number"]) == ("1", "5")


@pytest.mark.parametrize(
    ("body", "properties", "content_type"),
    [
        ("[1]", {}, "application/json"), ("plain", {}, "text/plain; charset=UTF-8"), ("<a/>", {"contentType": "text/xml"}, "text/xml; charset=UTF-8"),
        ("a", {"headers": {"content-type": "x/y"}}, "x/y"), ("a", {"contentType": "text/plain; charset=latin-1"}, "text/plain; charset=latin-1"),
    ],
)
def test_the_content_type_of_a_body(ctx: Context, url: str, body: str, properties: dict[str, Any], content_type: str) -> None:
    headers = {name.lower(): value for name, value in told(request(ctx, url, method="POST", body=body, **properties))["headers"].items()}
    assert headers["content-type"] == content_type


def test_a_body_in_another_charset(ctx: Context, server: Server, url: str) -> None:
    request(ctx, url, method="POST", body="é", contentType="text/plain; charset=latin-1")
    assert server.seen[-1][3] == b"\xe9"


def test_a_post_without_body_says_so(ctx: Context, url: str) -> None:
    assert told(request(ctx, url, method="POST"))["headers"]["Content-Length"] == "0"


def test_query_parameters_are_added(ctx: Context, url: str) -> None:
    assert told(request(ctx, f"{url}/echo?a=1", params={"b": "x y", "c": ["1", 2]}))["path"] == "/echo?a=1&b=x+y&c=1&c=2"


def test_a_form(ctx: Context, url: str) -> None:
    answer = told(request(ctx, url, method="POST", formData={"a": "x y&", "n": 5, "l": ["1", "2"], "t": True}))
    assert answer["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(answer["body"]) == {"a": ["x y&"], "n": ["5"], "l": ["1", "2"], "t": ["true"]}


def test_a_multipart_form_with_files(ctx: Context, server: Server, url: str, tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.write_bytes(b"\x00\xff" * 300_000)
    stored = ctx.files.put(source, "data.bin")
    request(
        ctx, url, method="POST", contentType="multipart/form-data",
        formData={"text": 'a"b\r\n', "file": stored, "named": {"name": "re\"port.csv", "content": stored}, "inline": {"name": "x.txt", "content": "hi"}, "obj": {"k": [1]}},
    )
    _, _, headers, body = server.seen[-1]
    head = dict(headers)
    assert int(head["Content-Length"]) == len(body)
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + head["Content-Type"].encode() + b"\r\n\r\n" + body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    contents = {name: part.get_payload(decode=True) for name, part in parts.items()}
    assert contents == {"text": b'a"b\r\n', "file": source.read_bytes(), "named": source.read_bytes(), "inline": b"hi", "obj": b'{"k": [1]}'}
    assert parts["file"].get_filename() == "data.bin"
    assert parts["named"].get_filename() == "re%22port.csv"
    assert parts["named"].get_content_type() == "text/csv"
    assert parts["obj"].get_content_type() == "application/json"


def test_a_file_that_may_not_be_read_is_not_uploaded(ctx: Context, server: Server, url: str) -> None:
    with pytest.raises(StorageError):
        request(ctx, url, method="POST", contentType="multipart/form-data", formData={"f": "kestra:///ns/flow/executions/OTHER/x"})
    assert server.seen == []


def test_an_error_status_fails_with_its_body(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match=r"^Failed http request with response code '500' and body:\n\{\"error\": \"it broke\"\}$"):
        request(ctx, f"{url}/error")
    with pytest.raises(TaskFailed, match=r"^Failed http request with response code '404'$"):
        request(ctx, f"{url}/nothing", method="HEAD")


@pytest.mark.parametrize("allowed", [{"allowFailed": True}, {"options": {"allowFailed": True}}, {"options": {"allowedResponseCodes": [404, 500]}}])
def test_an_error_status_may_be_allowed(ctx: Context, url: str, allowed: dict[str, Any]) -> None:
    result = request(ctx, f"{url}/nothing", **allowed)
    assert (result.outputs["code"], result.outputs["body"]) == (404, "no such page")


def test_text_in_other_charsets_and_compressed(ctx: Context, url: str) -> None:
    assert request(ctx, f"{url}/latin").outputs["body"] == "é"
    assert request(ctx, f"{url}/gzip").outputs["body"] == "compressed " * 100
    assert request(ctx, f"{url}/chunked").outputs["body"] == "one two"
    assert request(ctx, f"{url}/empty").outputs["body"] == ""
    assert request(ctx, f"{url}/bytes", options={"defaultCharset": "latin-1"}).outputs["body"] == "ÿþ\x00"


def test_a_body_that_is_no_text_fails(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match=r"no UTF-8 text; use http\.Download"):
        request(ctx, f"{url}/bytes")


def test_an_answer_that_is_too_long_fails(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="over 1000 bytes"):
        request(ctx, f"{url}/large", options={"maxContentLength": 1000})
    assert len(request(ctx, f"{url}/large").outputs["body"]) == 1_000_000


def test_an_encrypted_body_is_marked_as_secret(ctx: Context, url: str) -> None:
    result = request(ctx, f"{url}/latin", encryptBody=True)
    assert "body" not in result.outputs
    assert result.outputs["encryptedBody"] == "é"
    assert tuple(result.secret_outputs) == ("encryptedBody",)


# ---- redirects


@pytest.mark.parametrize(
    ("code", "method", "then", "keeps_body"),
    [(301, "GET", "GET", False), (302, "POST", "GET", False), (303, "PUT", "GET", False), (303, "HEAD", "HEAD", False), (307, "POST", "POST", True), (308, "PUT", "PUT", True), (301, "PUT", "PUT", True)],
)
def test_redirects_are_followed(ctx: Context, server: Server, url: str, code: int, method: str, then: str, keeps_body: bool) -> None:
    result = request(ctx, f"{url}/redirect?code={code}&to=/echo%3Fx%3D1", method=method, **({"body": "b"} if method in ("POST", "PUT") else {}))
    assert result.outputs["uri"] == f"{url}/echo?x=1"
    assert (server.seen[-1][0], server.seen[-1][3]) == (then, b"b" if keeps_body else b"")
    assert ("Content-Type" in dict(server.seen[-1][2])) is keeps_body


def test_redirects_can_be_refused(ctx: Context, url: str) -> None:
    assert request(ctx, f"{url}/redirect?code=302&to=/echo", options={"followRedirects": False}).outputs["code"] == 302


def test_endless_redirects_end(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="more than 20 redirects"):
        request(ctx, f"{url}/loop")


def test_credentials_do_not_follow_to_another_origin(ctx: Context, server: Server, url: str) -> None:
    with served(Server()) as other:
        target = f"http://127.0.0.1:{other.server_port}/echo"
        request(
            ctx, f"{url}/redirect?code=307&to={target}", headers={"Cookie": "c=1", "X-Keep": "k"},
            options={"auth": {"type": "BASIC", "username": "u", "password": "p"}},
        )
        first, then = dict(server.seen[-1][2]), dict(other.seen[-1][2])
    assert {"Authorization", "Cookie"} <= set(first)
    assert not {"Authorization", "Cookie"} & set(then)
    assert then["X-Keep"] == "k"
    request(ctx, f"{url}/redirect?code=307&to=/echo", headers={"Authorization": "mine"})
    assert dict(server.seen[-1][2])["Authorization"] == "mine"


def test_a_redirect_to_another_scheme_is_refused(ctx: Context, url: str) -> None:
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        with pytest.raises(TaskFailed, match="not an http or https URL"):
            request(ctx, f"{url}/redirect?code=302&to={target}")


# ---- credentials


@pytest.mark.parametrize(
    "options",
    [
        {"auth": {"type": "BASIC", "username": "usér", "password": "pa:ss"}}, {"auth": {"username": "usér", "password": "pa:ss"}},
        {"basicAuthUser": "usér", "basicAuthPassword": "pa:ss"},
    ],
)
def test_basic_authentication_in_the_old_and_the_new_shape(ctx: Context, url: str, options: dict[str, Any]) -> None:
    assert request(ctx, f"{url}/basic", options=options).outputs["body"] == "welcome"
    with pytest.raises(TaskFailed, match="401"):
        request(ctx, f"{url}/basic")


def test_bearer_authentication(ctx: Context, url: str) -> None:
    answer = told(request(ctx, url, options={"auth": {"type": "BEARER", "token": "T"}}))
    assert answer["headers"]["Authorization"] == "Bearer T"


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess", "SHA-256-sess"])
def test_digest_authentication(ctx: Context, url: str, algorithm: str) -> None:
    auth = {"type": "DIGEST", "username": "user", "password": "pass"}
    assert request(ctx, f"{url}/digest?a={algorithm}", method="POST", body="x", options={"auth": auth}).outputs["body"] == "digested"
    with pytest.raises(TaskFailed, match="401"):
        request(ctx, f"{url}/digest?a={algorithm}", options={"auth": {**auth, "password": "wrong"}})


def test_digest_with_an_unknown_algorithm_says_so(ctx: Context, url: str) -> None:
    with pytest.raises(TaskFailed, match="SHA-512"):
        request(ctx, f"{url}/digest?a=SHA-512", options={"auth": {"type": "DIGEST", "username": "u", "password": "p"}})


def test_logs_of_requests_hide_credentials(ctx: Context, url: str) -> None:
    request(
        ctx, f"{url}/echo", method="POST", body="the body", headers={"Authorization": "Bearer hunter2", "X-Shown": "yes"},
        options={"logs": ["REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS"]},
    )
    assert "X-Shown: yes" in ctx.log.text
    assert "the body" in ctx.log.text
    assert "X-CamelCase" in ctx.log.text
    assert "hunter2" not in ctx.log.text


# ---- when it goes wrong


def test_nobody_there(ctx: Context, free_port: int) -> None:
    with pytest.raises(TaskFailed, match="cannot connect: Connection refused"):
        request(ctx, f"http://user:hunter2@127.0.0.1:{free_port}/")
    with pytest.raises(TaskFailed) as found:
        request(ctx, f"http://user:hunter2@127.0.0.1:{free_port}/")
    assert "hunter2" not in str(found.value)
    with pytest.raises(TaskFailed, match="name is unknown"):
        request(ctx, "http://no-such-host.invalid/")


@pytest.mark.parametrize("options", [{"readTimeout": "PT0.1S"}, {"timeout": {"readIdleTimeout": "PT0.1S"}}, {"readIdleTimeout": 0.1}])
def test_a_slow_answer_is_given_up(ctx: Context, url: str, options: dict[str, Any]) -> None:
    with pytest.raises(TaskFailed, match="no answer in time"):
        request(ctx, f"{url}/slow", options=options)
    assert request(ctx, f"{url}/slow").outputs["body"] == "late"


def test_connecting_is_given_up(ctx: Context) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        with pytest.raises(TaskFailed, match=r"in time|cannot connect"):
            request(ctx, f"http://127.0.0.1:{full.getsockname()[1]}/", options={"timeout": {"connectTimeout": "PT0.2S", "readIdleTimeout": "PT0.2S"}})
        for each in waiting:
            each.close()


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "ftp://127.0.0.1/", "nonsense", "http://", "http://127.0.0.1:99999/", "http://[::1/"])
def test_what_is_no_web_address_is_refused(ctx: Context, uri: str) -> None:
    with pytest.raises(TaskFailed):
        request(ctx, uri)


@pytest.mark.parametrize("headers", [{"X-A": "a\r\nX-Evil: 1"}, {"X-A\r\nX-Evil": "1"}])
def test_headers_cannot_be_smuggled(ctx: Context, server: Server, url: str, headers: dict[str, str]) -> None:
    with pytest.raises(TaskFailed):
        request(ctx, url, headers=headers)
    assert server.seen == []


