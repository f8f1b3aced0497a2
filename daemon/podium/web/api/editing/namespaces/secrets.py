"""The names of a namespace's secrets and where each comes from; a value is never read."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from podium.web.api.editing.rights import check_names
from podium.web.context import context
from podium.web.params import Query
from podium.web.routes import FLAG, INTEGER, TEXT, Param, Route
from podium.web.wire import answer


async def secret_places(request: web.Request, namespace: str) -> list[dict[str, str]]:
    """[{key, from: environment|credential|file, namespace?: the section of the file}], sorted by name. Raises Refused."""
    check_names(namespace)
    secrets = context(request).secrets
    found = await asyncio.to_thread(secrets.places, namespace) if secrets is not None else {}
    return [
        {"key": name, "from": kind, **({"namespace": section} if section else {})} for name, (kind, section) in sorted(found.items())
    ]


async def _list(request: web.Request) -> web.Response:
    query = Query(request)
    wanted, page = (query.text("q") or "").lower(), query.page(size=100)
    found: list[dict[str, Any]] = [
        each for each in await secret_places(request, request.match_info["namespace"]) if wanted in each["key"].lower()
    ]
    return answer({"readOnly": True, "results": page.cut(found), "total": len(found)})


_SECRET = {"type": "object", "required": ["key", "from"], "properties": {"key": TEXT, "from": TEXT, "namespace": TEXT}}
ROUTES = [
    Route(
        method="GET", path="/namespaces/{namespace}/secrets", handler=_list, about="Names of secrets, and where they come from", tag="secrets",
        query=(Param(name="q"), Param(name="page", schema=INTEGER), Param(name="size", schema=INTEGER)), errors=(422,),
        answers={200: {
            "type": "object", "required": ["readOnly", "results", "total"],
            "properties": {"readOnly": FLAG, "results": {"type": "array", "items": _SECRET}, "total": INTEGER},
        }},
    ),
]
