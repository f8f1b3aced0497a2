"""The API under calls that nobody means well: odd encodings, huge pages, deep JSON, wrong content types, names with slashes.

What would break if it failed: the daemon, or the trust that every refusal has the body of an error.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from api_seeds import PATHS, SEEDS, Seed, Served, served, streams
from podium.web.routes import PREFIXES, Route
from podium.web.server import API_ROUTES

VARIABLE = re.compile(r"\{(\w+)(:[^}]*)?\}")
ROUTES = [route for route in API_ROUTES if not streams(route)]
NAMES = ("..%2f..%2fetc%2fpasswd", "%00", "%ff%fe", "a%2Fb", "%252e%252e", "é%CC%81", "x" * 3_000, "%F0%9F%92%A5", "'%20OR%201=1--", "%0d%0aX:%20y", "%ED%A0%80", ".", "%7B%7B7*7%7D%7D")
QUERIES = (
    "page=1000000&size=1000", "page=0", "size=99999999999999999999", "sort=id:desc&" * 300, "sort=__class__:asc", "q=%ff%fe", "q=%00", "q=%ED%A0%80", "labels=" + "a" * 5_000,
    "labels=a:b&" * 500, "state=" + "FAILED," * 3_000, "startDate=9999-12-31T23:59:59.999Z", "startDate=0001-01-01", "endDate=0001-01-01T00:00:00%2B23:59", "timeRange=P999999999D",
    "timeRange=PT1H&startDate=2026-01-01", "timeRange=-PT1H", "filters[flowId][REGEX]=(a%2B)%2B$", "filters[flowId][REGEX]=(", "filters[namespace][IN]=" + "x," * 3_000,
    "filters[labels][EQUALS][" + "k" * 3_000 + "]=v", "filters[__proto__][EQUALS]=x", "filters[labels][EQUALS][]=x", "filters[]=x", "filters[flowId]=x", "filters[startDate][EQUALS]=soon",
    "filters[endDate][LESS_THAN]=0001-01-01", "revision=-1", "revision=999999999999999999", "path=kestra:///../../etc/passwd", "path=%00", "path=file:///etc/passwd", "encoding=rot13", "maxRows=-5",
    "minLevel=FATAL", "attempt=-1", "afterSeq=99999999999999999999", "waitSeconds=999999999", "scheduleDate=never", "aggregation=sum;drop", "field=password", "newStatus=x&status=x", "after=%00%01",
    "after=zzzzzzzzzzzzzzzzzzzzzz", "disabled=maybe", "deleteLogs=perhaps",
)
DEEP = "[" * 100_000 + "]" * 100_000
BODIES: tuple[tuple[str, bytes], ...] = (
    ("application/json", b""), ("application/json", b"null"), ("application/json", b"1"), ("application/json", b'"x"'), ("application/json", b"[null]"), ("application/json", b"[[]]"),
    ("application/json", b"{}"), ("application/json", b'{"a": NaN}'), ("application/json", b"{"), ("application/json", b'{"a": 1e999}'), ("application/json", b'["\\ud800"]'),
    ("application/json", DEEP.encode()), ("application/json", b'{"a":' * 5_000 + b"1" + b"}" * 5_000), ("application/json", b"\xff\xfe{\x00}\x00"), ("application/json", b"9" * 10_000),
    ("application/json; charset=utf-16", '{"a": 1}'.encode("utf-16")), ("application/json; charset=nonsense", b"{}"), ("application/json", b'{"__class__": "x", "constructor": {}}'),
    ("application/json", json.dumps(["x" * 22] * 2_000).encode()), ("application/json", json.dumps({"namespace": {"a": 1}, "flowId": [], "triggerId": 5, "keys": [1], "prompt": []}).encode()),
    ("application/json", b'{"startDate": "9999-12-31T23:59:59Z", "endDate": "0001-01-01", "executionsId": {}, "executionLabels": 5, "flows": 7, "triggers": {"a": 1}, "changes": [1], "chart": 3}'),
    ("multipart/form-data", b"x"), ("multipart/form-data; boundary=", b"--\r\n"), ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"../../a\"; filename=\"../../../etc/passwd\"\r\n\r\nv\r\n--x--\r\n"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Dis"), ("multipart/mixed; boundary=x", b"--x--"), ("application/x-www-form-urlencoded", b"a=%ff&b=%ED%A0%80&=&&&=x"),
    ("text/html", b"<script>alert(1)</script>"), ("application/x-yaml", b"a: &a [*a, *a]\n"), ("application/x-yaml", b"? [a]\n: {b: c}\n---\n--- !!python/object:os.system x\n"),
    ("application/x-yaml", b"x: " + b"[" * 3_000), ("application/xml", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"), ("text/plain", b"\x00\xff{{ 7*7 }}"), ("", b"x"),
    ("application/x-yaml", b"id: a\nnamespace: " + b"a." * 5_000 + b"a\ntasks: []\n"), ("text/plain", b"{{ " + b"(" * 5_000),
)


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    with served() as made:
        yield made


class Wire:
    """Sends what is given as it is."""

    def __init__(self, house: Served) -> None:
        self._place = urlsplit(house.url).netloc
        self._open = http.client.HTTPConnection(self._place, timeout=30)

    def __call__(self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        for _ in range(2):
            try:
                self._open.putrequest(method, target, skip_accept_encoding=True)
                for name, value in {**(headers or {}), **({} if body is None else {"Content-Length": str(len(body))})}.items():
                    self._open.putheader(name, value)
                self._open.endheaders(body)
                answered = self._open.getresponse()
                return answered.status, answered.headers.get("Content-Type", ""), answered.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._open.close()
                self._open = http.client.HTTPConnection(self._place, timeout=30)
        raise AssertionError(f"the connection was lost twice: {method} {target[:200]}")


def _path(house: Served, route: Route, names: dict[str, str], prefix: str = PREFIXES[0]) -> str:
    known = {**PATHS, **SEEDS.get(f"{route.method} " + VARIABLE.sub(r"{\1}", route.path), Seed()).path}
    filled = VARIABLE.sub(lambda match: names.get(match[1]) or quote(house.fill(known.get(match[1], match[1])), safe=""), route.path)
    return filled if route.root else prefix + filled


def _check(answered: tuple[int, str, bytes], what: str) -> list[str]:
    status, kind, body = answered
    if status >= 500:
        return [f"{status}: {what[:300]}: {body[:200]!r}"]
    if status >= 400 and kind.startswith("application/json"):
        said = json.loads(body)
        if not {"message", "code", "hint", "_links", "_embedded"} <= set(said):
            return [f"no body of an error: {what[:300]}: {body[:200]!r}"]
    return []


def test_odd_names_in_paths(house: Served) -> None:
    wire, wrong = Wire(house), list[str]()
    for route in ROUTES:
        for variable in dict.fromkeys(match[1] for match in VARIABLE.finditer(route.path)):
            for name in NAMES:
                target = _path(house, route, {variable: name.encode("ascii", "ignore").decode() or "x"})
                wrong += _check(wire(route.method, target), f"{route.method} {target}")
    assert not wrong, "\n".join(wrong[:30])


def test_odd_queries(house: Served) -> None:
    wire, wrong = Wire(house), list[str]()
    for number, route in enumerate(ROUTES):
        if "/system/" in route.path or route.path == "/executions/{namespace}/{flow}":
            continue
        for query in QUERIES if route.query else QUERIES[number % 5 :: 5]:
            target = f"{_path(house, route, {})}?{query}"
            wrong += _check(wire(route.method, target), f"{route.method} {target}")
    assert not wrong, "\n".join(wrong[:30])


def test_odd_bodies(house: Served) -> None:
    wire, wrong = Wire(house), list[str]()
    for number, route in enumerate(ROUTES):
        if route.method in {"GET", "HEAD"} or "/system/" in route.path:
            continue
        for kind, body in BODIES[number % 3 :: 3] if "/by-" in route.path else BODIES:
            target = _path(house, route, {}, PREFIXES[1])
            headers = {"Content-Type": kind} if kind else {}
            wrong += _check(wire(route.method, target, body, headers), f"{route.method} {target} {kind} {body[:60]!r}")
    assert not wrong, "\n".join(wrong[:30])


@pytest.mark.parametrize("headers", [
    {"Range": "bytes=99999999999999999999-"}, {"Range": "bytes=0-" + "9" * 300}, {"If-Range": "\x7f"}, {"Accept": "*/*;q=" + "9" * 4_000}, {"Idempotency-Key": "\xe9" * 200},
    {"Last-Event-ID": "9" * 200}, {"Authorization": "Basic " + "A" * 3_000}, {"Authorization": "Bearer \xff"}, {"Cookie": "podium_session=" + "=;" * 1_000}, {"Content-Encoding": "gzip"},
    {"If-None-Match": '"' * 3_000}, {"Origin": "null"}, {"X-Forwarded-For": "::1, evil"}, {"Content-Type": "application/json; " + "a=b;" * 900},
])
def test_odd_headers(house: Served, headers: dict[str, str]) -> None:
    wire, identifier = Wire(house), house.world.ids["success"]
    uri = f"kestra:///company/analytics/daily-sales/executions/{identifier}/tasks/extract/orders.csv"
    for method, path, body in (
        ("GET", f"/executions/{identifier}/file?path={uri}", None), ("GET", "/executions/search", None), ("GET", "/plugins/schemas/flow", None),
        ("POST", "/executions/company.team/hello", b"{}"), ("PUT", "/namespaces/company.team/kv/x", b"1"),
    ):
        raw = {name: value.encode("latin-1").decode("latin-1") for name, value in headers.items()}
        assert _check(wire(method, PREFIXES[0] + path, body, raw), f"{method} {path} {headers}") == []


def test_a_small_body_that_unpacks_to_very_much_is_refused(house: Served) -> None:
    bomb = gzip.compress(b"[" + b" " * 80_000_000 + b"]", 9)
    status, _, body = Wire(house)("POST", f"{PREFIXES[0]}/executions/latest", bomb, {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    assert status in {400, 413}, body[:200]


@pytest.mark.parametrize("ttl", ["P99999999999D", "PT0S", "-PT1H", "soon", "\xe9", "P1Y" * 500, "1e400"])
def test_odd_lifetimes_of_keys(house: Served, ttl: str) -> None:
    status, _, _ = Wire(house)("PUT", f"{PREFIXES[0]}/namespaces/company.team/kv/x", b"1", {"ttl": ttl, "Content-Type": "application/json"})
    assert status in {400, 422}, ttl


def test_unknown_methods(house: Served) -> None:
    for method in ("TRACE", "BREW", "CONNECT", "OPTIONS", "PROPFIND"):
        status, _, _ = Wire(house)(method, f"{PREFIXES[0]}/executions/search")
        assert status < 500, method


def test_it_still_works_after_all_of_that(house: Served) -> None:
    status, _, body = Wire(house)("GET", f"{PREFIXES[0]}/flows/search")
    assert (status, json.loads(body)["total"]) == (200, 5)


