"""The function `http()` of expressions: one bounded call, JSON and YAML answers parsed. Source: expressions 11."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from podium.base.errors import ExpressionError
from podium.base.limits import BODY_BYTES_MAX, EXPRESSION_HTTP_TIMEOUT_S
from podium.expressions.formats.json_text import parse_json
from podium.expressions.formats.yaml_text import read_yaml
from podium.expressions.runtime import Meter
from podium.expressions.text import java_text, to_json
from podium.plugins.core.http.body import form_body
from podium.plugins.core.http.client import Body, Call, HttpError, call, content_type_of
from podium.plugins.core.http.options import HttpOptions
from podium.plugins.core.http.request import with_params

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "application/vnd.yaml"})


def fetch(
    uri: str, *, method: str | None = None, query: Mapping[str, Any] | None = None, body: Any = None, content_type: str | None = None,
    headers: Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None, accept: str | None = None,
) -> Any:
    """The answer's body: a value for JSON and YAML, else text. Raises ExpressionError for no answer, status 400 and up, or too large a one.

    body: text, or a value sent as JSON (as a form with that content type). options: as those of HTTP tasks.
    """
    try:
        checked = HttpOptions.model_validate(dict(options or {}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ExpressionError(f"http(): options.{'.'.join(map(str, first['loc']))}: {first['msg']}", hint="see docs/tasks.md") from error
    sent = {name: java_text(value) for name, value in (headers or {}).items()}
    if accept:
        sent["Accept"] = accept
    request = Call(
        uri=with_params(uri, query or {}), method=(method or ("GET" if body is None else "POST")).upper(), headers=sent,
        body=_body(body, content_type), options=checked, total_s=EXPRESSION_HTTP_TIMEOUT_S,
    )
    try:
        with call(request) as answer:
            data = answer.read(checked.max_content_length or BODY_BYTES_MAX)
            if answer.status >= 400 and not checked.allow_failed and answer.status not in checked.allowed_response_codes:
                raise ExpressionError(
                    f"http(): {request.method} {uri} answered {answer.status}", hint="check the address, or set options.allowFailed",
                    status=answer.status,
                )
            return _value(data, *content_type_of(answer.header("Content-Type") or ""))
    except HttpError as error:
        raise ExpressionError(f"http(): {error}", hint="is the server reachable from here?") from error


def _body(body: Any, content_type: str | None) -> Body | None:
    if body is None:
        return None
    media = content_type_of(content_type or "")[0]
    if isinstance(body, Mapping) and media == _FORM:
        return form_body(body, content_type)
    if isinstance(body, str):
        return Body.of(body.encode(), content_type or _JSON)
    return Body.of(to_json(body).encode(), content_type or _JSON)


def _value(data: bytes, media: str, charset: str | None) -> Any:
    try:
        text = data.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        raise ExpressionError(f"http(): the answer is no text in {charset or 'UTF-8'}", hint="download it with http.Download") from error
    try:
        if media == _JSON or media.endswith("+json"):
            return parse_json(text) if text.strip() else None
        if media in _YAML:
            return read_yaml(text, Meter())
    except ExpressionError as error:
        raise ExpressionError(f"http(): the answer is not the {media} that it claims to be: {error.what}", hint="check the server") from error
    return text
