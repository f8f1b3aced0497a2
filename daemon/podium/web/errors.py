"""From an error to an answer: the one place that knows which HTTP status an error has and what its JSON body looks like.

Called by the server's middleware and by handlers that refuse a request themselves. What always holds: every answer with a
status of 400 or more under /api has a JSON body {message, code, hint, _links, _embedded.errors} (flow-language 10), and an
unexpected error shows nothing of its inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from podium.base.errors import (
    AuthError,
    ConflictError,
    EditConflict,
    ExpressionError,
    FlowDisabled,
    FlowError,
    FlowNotFound,
    GitError,
    GitRefused,
    LimitError,
    NotFound,
    NothingToDo,
    PodiumError,
    StoreError,
)
from podium.base.redact import redact_url
from podium.web.wire import encode


class BadRequest(PodiumError):
    """A parameter or body is missing or is not what the route reads. `path` names the part."""

    code = "request-invalid"


class Refused(PodiumError):
    """A parameter or body can be read and has a value that is not allowed. `path` names the part."""

    code = "value-invalid"


class BodyTooLarge(LimitError):
    """A request's body is over its limit."""

    code = "body-too-large"


class BodyTooSlow(PodiumError):
    """Nothing more of a request's body came for too long."""

    code = "body-too-slow"


class MethodNotAllowed(PodiumError):
    """The path exists, this method does not."""

    code = "method-not-allowed"


class NotAllowedHere(AuthError):
    """The request comes from a page or under a host name that is not ours."""

    code = "origin-refused"


class RoleNeeded(AuthError):
    """The caller is known and may not do this."""

    code = "role-needed"


class Expired(NotFound):
    """It was there, and its time is over."""

    code = "expired"


class RangeNotThere(PodiumError):
    """The part of a file that is asked for is not there."""

    code = "range-not-there"


_STATUS: tuple[tuple[type[PodiumError], int], ...] = (
    (BadRequest, 400),
    (Expired, 410),
    (RangeNotThere, 416),
    (BodyTooSlow, 408),
    (NotAllowedHere, 403),
    (RoleNeeded, 403),
    (AuthError, 401),
    (MethodNotAllowed, 405),
    (NotFound, 404),
    (FlowNotFound, 404),
    (FlowDisabled, 409),
    (NothingToDo, 422),
    (ConflictError, 409),
    (BodyTooLarge, 413),
    (FlowError, 422),
    (ExpressionError, 422),
    (Refused, 422),
    (LimitError, 429),
    (StoreError, 503),
    (GitRefused, 422),
    (GitError, 502),
)
RETRY_AFTER_S = 1


def status_of(error: PodiumError) -> int:
    """The HTTP status for `error`: by its class, else 500."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def details_of(error: PodiumError) -> list[dict[str, Any]]:
    """The single mistakes behind `error`: [{message, path}], from its facts `errors` or `problems`, else the error itself."""
    listed = error.facts.get("errors") or error.facts.get("problems")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return [{"message": error.what, "path": str(error.facts.get("path") or error.facts.get("input") or "")}]
    return [_detail(item) for item in listed]


def _detail(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        path = item.get("path") or item.get("input") or item.get("id") or ""
        more = {key: item[key] for key in ("file", "line", "column", "code", "hint") if item.get(key)}
        return {"message": str(item.get("message", item)), "path": str(path), **more}
    path = getattr(item, "path", None) or getattr(item, "input", None) or getattr(item, "id", None) or ""
    return {"message": str(getattr(item, "message", item)), "path": str(path)}


def body_of(error: PodiumError, *, path: str, status: int) -> dict[str, Any]:
    """The JSON body for `error` answered at `path`. Facts that are no JSON-like data are left out."""
    details = details_of(error)
    message = error.what
    if status == 422 and isinstance(error, FlowError):
        # The reference reports the first mistake, by its input; all are in _embedded.
        first = details[0]
        message = first["message"] if not first["path"] or first["message"].startswith(first["path"]) else f"{first['path']}: {first['message']}"
        message = f"Invalid entity: {message}"
    plain: dict[str, Any] = {key: value for key, value in error.facts.items() if isinstance(value, (str, int, float, bool))}
    if isinstance(error, EditConflict):
        plain["conflicts"] = error.facts.get("conflicts")
    if "invalids" in error.facts:
        plain["invalids"] = error.facts["invalids"]
    return {
        **plain,
        "message": redact_url(message),
        "code": error.code,
        "hint": error.hint,
        "_links": {"self": {"href": path, "templated": False}},
        "_embedded": {"errors": [{**each, "message": redact_url(each["message"])} for each in details]},
    }


_CODES = {400: "request-invalid", 401: "auth", 404: "not-found", 409: "conflict", 413: "body-too-large", 422: "value-invalid", 429: "limit-reached"}


def error_body(status: int, said: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    """The body every error has, for a refusal that another room worded: {message, code?, hint?}."""
    message = redact_url(str(said["message"]))
    return {
        **said,
        "message": message,
        "code": said.get("code") or _CODES.get(status, "podium"),
        "hint": said.get("hint") or "",
        "_links": {"self": {"href": path, "templated": False}},
        "_embedded": {"errors": [{"message": message, "path": ""}]},
    }


PROBLEM = "application/problem+json"
PROBLEM_TYPES = "https://kestra.io/docs/api-reference/problems/"
"""What the type of a problem begins with (Kestra 2.0); what follows is our code."""


def problem_of(body: Mapping[str, Any], *, status: int) -> dict[str, Any]:
    """An error's body as RFC 9457 has it, which is how clients of Kestra 2.0 read errors."""
    code = str(body["code"])
    listed = [{"detail": each["message"], "field": each.get("path") or None} for each in body["_embedded"]["errors"]]
    more = {key: value for key, value in body.items() if key not in {"_links", "_embedded", "message"}}
    return {
        "type": f"{PROBLEM_TYPES}{code}", "title": code.replace("-", " ").capitalize(), "status": status, "detail": body["message"],
        "instance": body["_links"]["self"]["href"], "errors": listed, **more,
    }


def answer_for(error: PodiumError, request: web.Request) -> web.Response:
    """The JSON answer for `error`: as a problem (RFC 9457) to who accepts that."""
    status = status_of(error)
    if PROBLEM in request.headers.get("Accept", ""):
        problem = problem_of(body_of(error, path=request.path, status=status), status=status)
        return web.Response(status=status, body=encode(problem), content_type=PROBLEM, charset="utf-8", headers=headers_for(error, status))
    return web.Response(
        status=status, body=encode(body_of(error, path=request.path, status=status)), content_type="application/json", charset="utf-8",
        headers=headers_for(error, status),
    )


def headers_for(error: PodiumError, status: int) -> CIMultiDict[str]:
    """Headers that go with a status: Retry-After with 429 and 503, WWW-Authenticate with 401."""
    headers: CIMultiDict[str] = CIMultiDict()
    if status in {429, 503}:
        wait = error.facts.get("retry_after_s", RETRY_AFTER_S)
        headers["Retry-After"] = str(max(1, round(float(str(wait)))))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="podium"'
    return headers


def from_http(error: web.HTTPException, request: web.Request) -> PodiumError | None:
    """aiohttp's own refusals as errors of ours, or None for an answer that is no error."""
    if error.status < 400:
        return None
    if error.status == 404:
        hint = "see /api/v1/openapi.json for every route" if request.path.startswith("/api") else "go on from the overview"
        return NotFound(f"nothing is at {request.path}", hint=hint)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(f"{request.method} is not possible at {request.path}", hint=f"use {' or '.join(sorted(error.allowed_methods))}")
    if error.status == 413:
        return BodyTooLarge("the request's body is too large", hint="send less, or raise limits.body_bytes_max")
    return BadRequest(error.reason or "the request cannot be read", hint="see /api/v1/openapi.json")
