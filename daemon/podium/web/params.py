"""Reading what a request says: query parameters, JSON bodies, forms with files. Every reader has a bound and names the part it refuses.

Called by the handlers of api/ and pages/. What always holds: no value is used before it is checked, and a request that
cannot be understood is a BadRequest (400), one with a value out of range is Refused (422).
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from podium.base import limits
from podium.base.durations import parse_duration
from podium.base.lists.conditions import NEGATIVE, Condition
from podium.expressions.text import encodable
from podium.flows.model import STATES
from podium.web.errors import BadRequest, BodyTooLarge, BodyTooSlow, Refused
from podium.web.filters import read_filter

T = TypeVar("T")
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on", ""}), frozenset({"false", "0", "no", "off"})
_PAGE_MAX = 1_000_000
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")


class Query:
    """The query of one request; also the newer `filters[field][OP]=value` spelling.

    filters: the fields on which the list takes any condition; they are in `conditions` unless they are the same as a plain parameter.
    """

    def __init__(self, request: web.Request, *, filters: Collection[str] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        self.conditions: list[Condition] = []
        for name, value in request.query.items():
            if "\0" in value or "\0" in name:
                raise Refused(f"'{name[:40]!r}' holds a character that no value has", hint="send text without NUL", path=repr(name[:40]))
            if not value and name.startswith("filters["):
                continue
            found = read_filter(name, value, filters) if name.startswith("filters[") else (name, value)
            if isinstance(found, Condition):
                dated = found.field in _DATED
                self.conditions.append(replace(found, moment=moment(value, path=name[:80])) if dated else found)
            else:
                self._values.setdefault(found[0], []).append(found[1])

    def text(self, name: str, default: str | None = None) -> str | None:
        """The value, or `default` when it is absent or empty."""
        return (self._values.get(name) or [""])[0] or default

    def required(self, name: str) -> str:
        """The value. Absent is an error."""
        value = self.text(name)
        if value is None:
            raise BadRequest(f"the query parameter '{name}' is missing", hint=f"add ?{name}=…", path=name)
        return value

    def integer(self, name: str, default: int | None = None, *, low: int = 1, high: int = 2**31 - 1) -> int | None:
        """A whole number from low to high."""
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise Refused(f"'{name}' is not a whole number: '{value[:40]}'", hint=f"write a number from {low} to {high}", path=name)
        number = int(value)
        if not low <= number <= high:
            raise Refused(f"'{name}' must be from {low} to {high}, not {number}", hint=f"write a number from {low} to {high}", path=name)
        return number

    def flag(self, name: str, *, default: bool = False) -> bool:
        """true or false; the bare name means true."""
        if name not in self._values:
            return default
        return boolean(self._values[name][0], path=name)

    def moment(self, name: str) -> datetime | None:
        """A date-time (UTC when it names no zone) or a date (its midnight, UTC)."""
        return None if (value := self.text(name)) is None else moment(value, path=name)

    def many(self, name: str) -> list[str]:
        """Every value, also those written as one list with commas."""
        return [part for value in self._values.get(name, []) for part in value.split(",") if part]

    def states(self, name: str = "state") -> list[str]:
        """States, checked."""
        found = [value.upper() for value in self.many(name)]
        for state in found:
            known_state(state, path=name)
        for each in [each for each in self.conditions if each.field == name]:
            named = {known_state(value.upper(), path=name) for value in each.values}
            found = [state for state in found or STATES if (state in named) != (each.op in NEGATIVE)] or [_NO_STATE]
        return found

    def chosen(self, name: str, choices: Sequence[str]) -> tuple[str | None, bool]:
        """The one of `choices` that is asked for, if any, and whether it is what is not wanted."""
        condition = next((each for each in self.conditions if each.field == name), None)
        value = (condition.value if condition is not None else self.text(name) or "").upper()
        if value and value not in choices:
            raise Refused(f"'{value[:40]}' is no {name}", hint=f"use one of {', '.join(choices)}", path=name)
        return value or None, condition is not None and condition.op in NEGATIVE

    def labels(self, name: str = "labels") -> dict[str, str]:
        """`labels=key:value`, repeated."""
        return parse_labels(self._values.get(name, []), path=name)

    def level(self, name: str = "minLevel") -> str:
        """A log level; default all."""
        value = (self.text(name) or "TRACE").upper()
        if value not in LEVELS:
            raise Refused(f"'{value[:40]}' is no log level", hint=f"use one of {', '.join(LEVELS)}", path=name)
        return value

    def page(self, *, size: int = 10, sorts: Collection[str] | None = None) -> Page:
        """The page asked for: `page` from 1, `size`, `sort=field:asc|desc`, repeated. sorts: the fields, default those of executions."""
        number = self.integer("page", 1, high=_PAGE_MAX) or 1
        return Page(number=number, size=self.integer("size", size, high=limits.PAGE_SIZE_MAX) or size, sort=self._sort(sorts or _SORTS))

    def _sort(self, sorts: Collection[str]) -> str | None:
        found = []
        for value in self._values.get("sort", []):
            for part in filter(None, value.split(",")):
                name, _, order = part.partition(":")
                name = {"current": "state"}.get(name.removeprefix("state."), name.removeprefix("state."))
                if name not in sorts or order.lower() not in {"", "asc", "desc"}:
                    hint = f"write field:asc or field:desc, field one of {', '.join(sorts)}"
                    raise Refused(f"cannot sort by '{part[:40]}'", hint=hint, path="sort")
                found.append(f"{name}:{order.lower() or 'asc'}")
        return ",".join(found[:_SORTS_MAX]) or None

    def window(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """`startDate` and `endDate`, or `timeRange` back from now."""
        start, end, span = self.moment("startDate"), self.moment("endDate"), self.text("timeRange")
        if span is None:
            return start, end
        if start is not None:
            raise Refused("'timeRange' and 'startDate' exclude each other", hint="give one of them", path="timeRange")
        try:
            return now - duration(span, path="timeRange"), end
        except OverflowError as error:
            raise Refused("'timeRange' reaches too far back", hint="write something like PT24H or P7D", path="timeRange") from error


_SORTS_MAX = 5
_NO_STATE = "-"
"""What an execution is never in: a list of no state at all would ask for all."""
_DATED = frozenset({"startDate", "endDate"})
_SORTS = ("startDate", "endDate", "duration", "state", "namespace", "flowId", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list: number from 1."""

    number: int
    size: int
    sort: str | None = None

    def order(self, items: Sequence[T], keys: Mapping[str, Callable[[T], Any]]) -> list[T]:
        """All items in the order asked for, by what each field's key gives; without an order as they are."""
        found = list(items)
        for part in reversed((self.sort or "").split(",")):
            name, _, order = part.partition(":")
            if name in keys:
                found.sort(key=keys[name], reverse=order == "desc")
        return found

    def cut(self, items: Sequence[Any]) -> list[Any]:
        """The items of this page out of all."""
        start = (self.number - 1) * self.size
        return list(items[start : start + self.size])


def boolean(value: str, *, path: str) -> bool:
    """true or false as text."""
    lowered = value.lower()
    if lowered not in _TRUE | _FALSE:
        raise Refused(f"'{path}' is neither true nor false: '{value[:40]}'", hint="write true or false", path=path)
    return lowered in _TRUE


def moment(value: str, *, path: str) -> datetime:
    """A date-time with or without a zone (UTC), or a date, as an aware UTC moment."""
    text = value.strip().replace(" ", "+") if re.search(r"T.* \d\d:?\d\d$", value.strip()) else value.strip()
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(f"'{path}' is not a date: '{value[:40]}'", hint="write 2026-01-31 or 2026-01-31T08:00:00Z", path=path) from error


def duration(value: str, *, path: str) -> timedelta:
    """An ISO duration."""
    try:
        return parse_duration(value)
    except (ValueError, OverflowError) as error:
        raise Refused(f"'{path}' is not a duration: '{value[:40]}'", hint="write PT10S, PT1H30M or P1D", path=path) from error


def known_state(state: str, *, path: str) -> str:
    """A state's name, checked."""
    if state not in STATES:
        raise Refused(f"'{state[:40]}' is no state", hint=f"use one of {', '.join(STATES)}", path=path)
    return state


def parse_labels(texts: Sequence[str], *, path: str = "labels") -> dict[str, str]:
    """`key:value` texts as a map."""
    found = {}
    for text in texts:
        key, colon, value = text.partition(":")
        if not colon or not key.strip() or not value.strip():
            raise Refused(f"'{text[:80]}' is no label", hint="write labels=key:value", path=path)
        found[key.strip()] = value.strip()
    return found


def label_list(value: Any, *, path: str = "labels") -> dict[str, str]:
    """[{key, value}] or {key: value} as a map."""
    if isinstance(value, dict):
        value = [{"key": key, "value": item} for key, item in value.items()]
    if not isinstance(value, list):
        raise Refused(f"'{path}' is no list of labels", hint='write [{"key": "team", "value": "data"}]', path=path)
    found = {}
    for item in value:
        key, text = (item.get("key"), item.get("value")) if isinstance(item, dict) else (None, None)
        if not isinstance(key, str) or not key.strip() or not isinstance(text, (str, int, float, bool)) or text == "":
            raise Refused(f"an entry of '{path}' is no label", hint='write {"key": "team", "value": "data"}', path=path)
        found[key] = str(text).lower() if isinstance(text, bool) else str(text)
    return found


async def read_pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes, without a limit: for whoever holds one."""
    while chunk := await _in_time(request.content.readany()):
        yield chunk


async def read_bytes(request: web.Request, *, limit: int) -> bytes:
    """The body, at most `limit` bytes."""
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    body = bytearray()
    while chunk := await _in_time(request.content.readany()):
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


async def _in_time(read: Awaitable[T]) -> T:
    """What `read` gives. A caller that sends nothing for too long, or nothing that can be unpacked, is refused."""
    try:
        async with asyncio.timeout(limits.BODY_PAUSE_S_MAX):
            return await read
    except TimeoutError as error:
        raise BodyTooSlow(f"nothing of the request's body came for {limits.BODY_PAUSE_S_MAX:g} s", hint="send it again") from error
    except RequestPayloadError as error:
        raise BadRequest(f"the body cannot be read: {str(error)[:200]}", hint="send it whole, and packed as Content-Encoding says") from error


def too_large(limit: int) -> BodyTooLarge:
    """The error for a body over `limit` bytes."""
    return BodyTooLarge(f"the request's body is over {limit} bytes", hint="send less, or raise the limit in the settings", limit=limit)


async def read_text(request: web.Request, *, limit: int) -> str:
    """The body as UTF-8 text."""
    try:
        return (await read_bytes(request, limit=limit)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8 text", hint="send it as UTF-8") from error


async def read_json(request: web.Request, *, limit: int) -> Any:
    """The body as JSON; None when it is empty."""
    text = await read_text(request, limit=limit)
    return None if not text.strip() else parse_json(text)


def parse_json(text: str) -> Any:
    """`text` as JSON. NaN and infinite numbers are no JSON; half of a surrogate pair becomes a question mark."""
    try:
        return encodable(json.loads(text, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {str(error)[:200]}", hint="send valid JSON") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


async def read_object(request: web.Request, *, limit: int) -> dict[str, Any]:
    """The body as a JSON object."""
    value = await read_json(request, limit=limit)
    if not isinstance(value, dict):
        raise BadRequest("the body is not a JSON object", hint="send {…} with content type application/json")
    return value


@dataclass(slots=True)
class Form:
    """A form: texts in order, names may repeat; files by part name, file name and where they are now."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, str, Path]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    """Typed values, when the body was JSON."""

    def first(self, name: str) -> str:
        """The first text of that name, or ""."""
        return next((value for key, value in self.texts if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every text of that name."""
        return [value for key, value in self.texts if key == name]


@asynccontextmanager
async def read_form(request: web.Request, *, text_limit: int, file_limit: int) -> AsyncIterator[Form]:
    """The body as a form: multipart (files go to a directory that is removed afterwards), URL-encoded, or a JSON object."""
    kind = request.content_type
    if kind == "multipart/form-data":
        with tempfile.TemporaryDirectory(prefix="podium-upload-", ignore_cleanup_errors=True) as folder:
            yield await _read_multipart(request, Path(folder), text_limit, file_limit)
        return
    form = Form()
    if kind == "application/x-www-form-urlencoded":
        form.texts = _urlencoded(await read_text(request, limit=text_limit))
    else:
        text = await read_text(request, limit=text_limit)
        if text.strip():
            value = parse_json(text)
            if not isinstance(value, dict):
                raise BadRequest("the body is neither a form nor a JSON object", hint="send multipart/form-data or a JSON object of inputs")
            form.values = value
    yield form


def _urlencoded(text: str) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=limits.FORM_FIELDS_MAX)
    except ValueError as error:
        raise Refused("the form has too many fields", hint=f"send at most {limits.FORM_FIELDS_MAX}") from error


async def _read_multipart(request: web.Request, folder: Path, text_limit: int, file_limit: int) -> Form:
    form = Form()
    text_left, file_left = text_limit, file_limit
    try:
        reader = await request.multipart()
        while (part := await _in_time(reader.next())) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise BadRequest("a part of the form has no name", hint="name each part: Content-Disposition: form-data; name=…")
            if len(form.texts) + len(form.files) >= limits.FORM_FIELDS_MAX:
                raise Refused("the form has too many parts", hint=f"send at most {limits.FORM_FIELDS_MAX}")
            if part.filename is None:
                body = await _part_bytes(part, text_left, text_limit)
                text_left -= len(body)
                form.texts.append((part.name, body.decode("utf-8", "replace")))
                continue
            target = folder / str(len(form.files))
            file_left -= await _part_to_file(part, target, file_left, file_limit)
            form.files.append((part.name, part.filename, target))
    except (ValueError, AssertionError, EOFError, HttpProcessingError) as error:
        raise BadRequest(f"the form cannot be read: {str(error)[:200]}", hint="send well-formed multipart/form-data") from error
    return form


async def _part_bytes(part: BodyPartReader, left: int, limit: int) -> bytes:
    body = bytearray()
    while chunk := await _in_time(part.read_chunk(64 * 1024)):
        body += chunk
        if len(body) > left:
            raise too_large(limit)
    return bytes(body)


async def _part_to_file(part: BodyPartReader, target: Path, left: int, limit: int) -> int:
    written = 0
    with target.open("wb") as file:
        while chunk := await _in_time(part.read_chunk(256 * 1024)):
            written += len(chunk)
            if written > left:
                raise too_large(limit)
            await asyncio.to_thread(file.write, chunk)
    return written
