"""What HTTP tasks and the HTTP trigger have in common: the properties of a request, and making the call from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

from podium.base.limits import BODY_BYTES_MAX
from podium.base.redact import MASK
from podium.base.system.ids import new_id
from podium.expressions.text import java_text
from podium.plugin import Dyn, FileStore, Logger, Model, TaskFailed
from podium.plugins.core.http.body import form_body, multipart_body, text_body
from podium.plugins.core.http.client import Answer, Body, Call, HttpError, call, content_type_of
from podium.plugins.core.http.options import HttpOptions, Ssl

_PRIVATE_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_SHOWN_BODY_CHARS = 2_000


class Caller(Protocol):
    """What of a RunContext a request needs."""

    @property
    def log(self) -> Logger: ...
    @property
    def files(self) -> FileStore: ...


class HttpProperties(Model):
    """The properties of a request. Source: flow-language 6.4."""

    uri: Dyn[str]
    method: Dyn[str] = "GET"
    params: Dyn[dict[str, Any]] = {}
    body: Dyn[str] | None = None
    form_data: Dyn[dict[str, Any]] | None = None
    content_type: Dyn[str] | None = None
    headers: Dyn[dict[str, Any]] = {}
    options: HttpOptions = HttpOptions()
    ssl_options: Ssl | None = None

    def bytes_max(self) -> int:
        """The longest body that is read into memory."""
        return self.options.max_content_length or BODY_BYTES_MAX

    @contextmanager
    def sent(self, caller: Caller, scratch: Callable[[], Path], *, allow_failed: bool) -> Iterator[Answer]:
        """The answer to the request; scratch: gives a directory for copies of uploaded files.

        Raises TaskFailed when there is none, or when it is an error (status 400 and up) that is not allowed.
        """
        request = self._call(caller, scratch)
        self._log_request(caller.log, request)
        try:
            with call(request) as answer:
                self._log_headers(caller.log, "RESPONSE_HEADERS", f"{answer.status} {answer.uri}", answer.headers)
                if answer.status >= 400 and not allow_failed and answer.status not in self.options.allowed_response_codes:
                    raise TaskFailed(self._failure(answer))
                yield answer
        except HttpError as error:
            raise TaskFailed(str(error)) from error

    def text_of(self, answer: Answer) -> str:
        """The body as text. Raises TaskFailed when it is none in its charset."""
        charset = answer.charset or self.options.default_charset
        try:
            return answer.read(self.bytes_max()).decode(charset)
        except (UnicodeDecodeError, LookupError) as error:
            raise TaskFailed(f"the body of the answer is no {charset} text; use http.Download for files ({error})") from error

    def _call(self, caller: Caller, scratch: Callable[[], Path]) -> Call:
        options = self.options
        if options.ssl is None and self.ssl_options is not None:
            options = options.model_copy(update={"ssl": self.ssl_options})
        headers = {name: _header_value(value) for name, value in self.headers.items() if value is not None}
        own_type = next((value for name, value in headers.items() if name.lower() == "content-type" and isinstance(value, str)), None)
        return Call(
            uri=with_params(self.uri, self.params), method=self.method.upper(), headers=headers, options=options,
            body=self._body(self.content_type or own_type, caller, scratch),
        )

    def _body(self, content_type: str | None, caller: Caller, scratch: Callable[[], Path]) -> Body | None:
        if self.form_data is not None:
            if content_type_of(content_type or "")[0] != "multipart/form-data":
                return form_body(self.form_data, content_type)

            def fetch(uri: str) -> Path:
                copy = scratch() / f".upload-{new_id()}"
                caller.files.fetch(uri, copy)
                return copy

            return multipart_body(self.form_data, fetch)
        return text_body(self.body, content_type, self.options.default_charset) if self.body is not None else None

    def _failure(self, answer: Answer) -> str:
        text = f"Failed http request with response code '{answer.status}'"
        shown = answer.read(self.bytes_max()).decode(answer.charset or "utf-8", "replace").strip()
        return f"{text} and body:\n{shown[:_SHOWN_BODY_CHARS]}" if shown else text

    def _log_request(self, log: Logger, request: Call) -> None:
        self._log_headers(log, "REQUEST_HEADERS", f"{request.method} {request.uri}", {**self.options.headers, **request.headers})
        if "REQUEST_BODY" in self.options.logs and request.body is not None:
            shown = self.body if self.body is not None else f"({request.body.length} bytes, {request.body.content_type})"
            log.log("INFO", f"request body: {shown[:_SHOWN_BODY_CHARS]}")

    def _log_headers(self, log: Logger, what: str, line: str, headers: Mapping[str, Any]) -> None:
        if what in self.options.logs:
            shown = {name: MASK if name.lower() in _PRIVATE_HEADERS else value for name, value in headers.items()}
            log.log("INFO", f"{what.lower().replace('_', ' ')}: {line}" + "".join(f"\n{name}: {value}" for name, value in shown.items()))


def file_name_of(answer: Answer) -> str:
    """The name of a downloaded file: what Content-Disposition says, else the last part of the URL."""
    disposition = answer.header("Content-Disposition") or ""
    extended = re.search(r"filename\*\s*=\s*([\w-]*)'[\w-]*'([^;\s]+)", disposition, re.IGNORECASE)
    if extended:
        try:
            return unquote(extended[2], encoding=extended[1] or "utf-8")
        except LookupError:
            pass
    plain = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', disposition, re.IGNORECASE)
    if plain:
        return re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else plain[2]
    return unquote(urlsplit(answer.uri).path).rstrip("/").rpartition("/")[2] or "download"


def _header_value(value: Any) -> str | list[str]:
    return [java_text(each) for each in value] if isinstance(value, list) else java_text(value)


def with_params(uri: str, params: Mapping[str, Any]) -> str:
    """`uri` with query parameters added; a list gives its name several values."""
    if not params:
        return uri
    pairs = [(name, java_text(each)) for name, value in params.items() for each in (value if isinstance(value, list) else [value])]
    parts = urlsplit(uri)
    query = "&".join(part for part in (parts.query, urlencode(pairs)) if part)
    return urlunsplit(parts._replace(query=query))
