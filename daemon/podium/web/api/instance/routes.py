"""The daemon itself over the API, for admins: its settings with their origin, the process and its home, what its doctor finds."""

from __future__ import annotations

from aiohttp import web

from podium.base.errors import NotFound
from podium.web.api.instance.port import InstanceReads
from podium.web.context import context
from podium.web.people.roles import Role
from podium.web.routes import LIST, OBJECT, Route
from podium.web.wire import answer


def about(request: web.Request) -> InstanceReads:
    """What the daemon knows of itself. Raises NotFound where nobody told the server."""
    found = context(request).about
    if found is None:
        raise NotFound("this server knows nothing of a daemon", hint="ask one that `podium serve` runs")
    return found


async def _facts(request: web.Request) -> web.Response:
    here = context(request)
    return answer({"instance": here.instance, "version": here.version, **await about(request).facts()})


async def _settings(request: web.Request) -> web.Response:
    return answer(await about(request).settings())


async def _doctor(request: web.Request) -> web.Response:
    return answer(await about(request).checks())


ROUTES = [
    Route(
        method="GET", path="/instance", handler=_facts, about="The process, its home, runner and versions", tag="system", needs=Role.ADMIN,
        answers={200: OBJECT}, errors=(404,),
    ),
    Route(
        method="GET", path="/instance/settings", handler=_settings, about="Every setting in force, with its origin; secrets are masked", tag="system",
        needs=Role.ADMIN, answers={200: LIST}, errors=(404,),
    ),
    Route(
        method="GET", path="/instance/doctor", handler=_doctor, about="What `podium doctor` finds on this machine; takes seconds", tag="system",
        needs=Role.ADMIN, answers={200: LIST}, errors=(404,),
    ),
]
