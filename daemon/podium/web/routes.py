"""The shape of the route table of the API, how it is registered, and the OpenAPI document made from it: one truth for both.

The entries themselves stand beside their handlers in api/. Called by the server. What always holds: a route of the API
that answers is in the OpenAPI document (but for spellings kept for old clients), and both prefixes answer alike.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aiohttp import web

from podium.web.api.shapes.schemas import SCHEMAS
from podium.web.people.roles import Role

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Schema = Mapping[str, Any]

PREFIXES = ("/api/v1", "/api/v1/main")
TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
OBJECT: Schema = {"type": "object"}
LIST: Schema = {"type": "array", "items": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """A query parameter or header."""

    name: str
    schema: Schema = field(default_factory=lambda: TEXT)
    about: str = ""
    required: bool = False
    place: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a route reads as its body: content type → schema."""

    content: Mapping[str, Schema]
    required: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. path: below the prefix, or from the root when `root`. open: answers without a token.

    also: further paths below the prefix that answer the same (kept for clients written for them, not in the document).
    answers: status → schema of the JSON, or None for an answer without JSON.  stream: its time is not measured.
    """

    method: str
    path: str
    handler: Handler
    about: str
    tag: str
    query: Sequence[Param] = ()
    body: Body | None = None
    answers: Mapping[int, Schema | None] = field(default_factory=lambda: {200: OBJECT})
    content: str = "application/json"
    errors: Sequence[int] = (400, 404)
    also: Sequence[str] = ()
    root: bool = False
    open: bool = False
    hidden: bool = False
    stream: bool = False
    needs: Role | None = None
    """The role that a caller must have (in the namespace of the path, else in any): None is VIEWER for what reads, OPERATOR for the rest."""
    everywhere: bool = False
    """Whether the role must be one for the whole instance. ADMIN always must, where the path names no namespace."""

    @property
    def role(self) -> Role:
        """The role that a caller must have."""
        return self.needs if self.needs is not None else Role.VIEWER if self.method in {"GET", "HEAD"} else Role.OPERATOR

    @property
    def instance(self) -> bool:
        """Whether the role must be one for the whole instance."""
        return self.everywhere or (self.role is Role.ADMIN and not re.search(r"\{(namespace|ns|execution)\b", self.path))


def paged(item: Schema = OBJECT) -> Schema:
    """A page of a list."""
    return {"type": "object", "required": ["results", "total"], "properties": {"results": {"type": "array", "items": item}, "total": INTEGER}}


def ref(name: str) -> Schema:
    """A schema of the document's components."""
    return {"$ref": f"#/components/schemas/{name}"}


def register(app: web.Application, routes: Iterable[Route]) -> dict[Handler, Route]:
    """Add every route under both prefixes (or at the root); which route a handler belongs to."""
    by_handler: dict[Handler, Route] = {}
    last: LatePath | None = None
    for route in routes:
        paths = [route.path] if route.root else [prefix + path for path in (route.path, *route.also) for prefix in PREFIXES]
        for path in paths:
            resource = _resource(app.router, path, last)
            last = resource if isinstance(resource, LatePath) else None
            if route.method == "GET" and not route.stream:
                resource.add_route("HEAD", route.handler)
            resource.add_route(route.method, route.handler)
        by_handler[route.handler] = route
    return by_handler


def _resource(router: web.UrlDispatcher, path: str, last: LatePath | None) -> web.Resource:
    """Where the routes of a path are kept; `last` if that is its own, as aiohttp has it."""
    if "{" not in path:
        return router.add_resource(path)
    if last is not None and last.raw_match(path):
        return last
    made = LatePath(path)
    router.register_resource(made)
    return made


_VARIABLE = re.compile(r"\{(\w+)(:[^}]*)?\}")


class LatePath(web.Resource):
    """A path with variables whose pattern is compiled when a request first comes near it: all of them take 22 ms of a start."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._set(path)

    def _set(self, path: str) -> None:
        self._path = path
        self._tail = path.rpartition("}")[2]
        self._slashes = None if ":" in path else path.count("/")
        """How many there are, if no variable takes any."""
        self.__dict__.pop("_made", None)

    @cached_property
    def _made(self) -> web.DynamicResource:
        return web.DynamicResource(self._path)

    @property
    def canonical(self) -> str:
        """The path with the names of its variables."""
        return _VARIABLE.sub(r"{\1}", self._path)

    def _match(self, path: str) -> dict[str, str] | None:
        if not path.endswith(self._tail) or (self._slashes is not None and path.count("/") != self._slashes):
            return None
        return self._made._match(path)  # noqa: SLF001 - what every resource of aiohttp has for its base class

    def raw_match(self, path: str) -> bool:
        """See web.Resource."""
        return self._path == path

    def add_prefix(self, prefix: str) -> None:
        """Put `prefix` before the path."""
        self._set(prefix + self._path)

    def get_info(self) -> Any:
        """See web.Resource."""
        return self._made.get_info()

    def url_for(self, **parts: str) -> Any:
        """See web.Resource."""
        return self._made.url_for(**parts)


def document(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes that are not hidden."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.hidden:
            continue
        path = _VARIABLE.sub(r"{\1}", route.path if route.root else PREFIXES[0] + route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Podium", "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Every path below /api/v1 also answers below /api/v1/main. Errors have the schema Error.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"basic": []}, {"session": []}],
        "tags": [{"name": name} for name in sorted({route.tag for route in routes if not route.hidden})],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": SCHEMAS, "securitySchemes": _SECURITY, "responses": {"Error": _ERROR_RESPONSE}},
    }


def _operation(route: Route, path: str) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS.get(name, TEXT)} for name in re.findall(r"\{(\w+)\}", path)
    ]
    parameters += [
        {"name": param.name, "in": param.place, "required": param.required, "schema": dict(param.schema), "description": param.about}
        for param in route.query
    ]
    operation: dict[str, Any] = {
        "operationId": _operation_id(route), "summary": route.about, "tags": [route.tag], "parameters": parameters, "responses": _responses(route),
    }
    if route.open:
        operation["security"] = []
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body.required, "description": route.body.about,
            "content": {kind: {"schema": dict(schema)} for kind, schema in route.body.content.items()},
        }
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", _VARIABLE.sub(r"by \1", route.path))
    return route.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, schema in route.answers.items():
        found[str(status)] = {"description": _STATUS_TEXT[status]}
        if schema is not None:
            found[str(status)]["content"] = {route.content: {"schema": dict(schema)}}
    statuses = {*route.errors, 500} | (set() if route.open else {401, 403})
    statuses |= ({400, 413} if route.body else set()) | ({422} if route.query else set())
    for status in sorted(statuses):
        found.setdefault(str(status), {"$ref": "#/components/responses/Error"})
    return found


_STATUS_TEXT = {
    200: "Done", 202: "Accepted", 204: "Done, nothing to say", 206: "The part that was asked for", 302: "It is elsewhere", 303: "See the page",
    304: "As it was", 405: "Not possible", 503: "Not ready",
}
_PATH_SCHEMAS: Mapping[str, Schema] = {
    "page": INTEGER, "execution": {"type": "string", "pattern": "^[0-9A-Za-z]{22}$", "description": "an execution's id"},
    "namespace": {"type": "string", "minLength": 1}, "flow": {"type": "string", "minLength": 1}, "id": {"type": "string", "minLength": 1},
}
_SECURITY = {
    "token": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any user; the token is the password."},
    "session": {"type": "apiKey", "in": "cookie", "name": "podium_session"},
}
_ERROR_RESPONSE = {"description": "Refused or failed", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
