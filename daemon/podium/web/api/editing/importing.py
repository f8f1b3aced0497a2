"""Flows out of a text or an uploaded file. Called by the handlers of flows.

What always holds: a text that names no flow is refused with the validator's words, and nothing is written of an import that shall have no failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowError, PodiumError
from podium.flows.reading.documents import parts
from podium.web.api.editing.archive import unpacked, uploads
from podium.web.api.editing.rights import check_names
from podium.web.api.editing.writing import Wanted, refusal, save
from podium.web.context import context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, read_form

_YAML = (".yaml", ".yml")


async def flows_of(request: web.Request, text: str, *, one: bool) -> list[Wanted]:
    """The flows of a text. Raises Refused when it does not name them."""
    found = await asyncio.to_thread(lambda: list(parts(text)))
    if one and len(found) != 1:
        raise Refused(f"the body holds {len(found)} flows, not one", hint="send one YAML document; several go to /flows/bulk", path="flow")
    flows = []
    for each in found:
        body = text if len(found) == 1 else text[each.start : each.end]
        if not each.namespace or not each.id or not _are_names(each.namespace, each.id):
            await _say_what_is_wrong(request, body)
        assert each.namespace is not None
        assert each.id is not None
        flows.append(Wanted(namespace=each.namespace, id=each.id, text=body))
    names = [(each.namespace, each.id) for each in flows]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"flow '{'.'.join(twice)}' stands in the body twice", hint="send each flow once", path="flow.id")
    return flows


def _are_names(namespace: str, flow_id: str) -> bool:
    try:
        check_names(namespace, flow_id)
    except Refused:
        return False
    return True


async def _say_what_is_wrong(request: web.Request, text: str) -> None:
    problems = [
        problem.as_dict() for each in await asyncio.to_thread(context(request).check_flow, text, "flow.yaml") for problem in each.problems
    ]
    if problems:
        raise refusal(problems)
    raise Refused("the body is no flow", hint="a flow is a map with id, namespace and tasks", path="flow")


async def import_flows(request: web.Request) -> list[str]:
    """Write the flows of an uploaded file in one commit; the names of those that were not. Raises FlowError with failOnError."""
    query, here = Query(request), context(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=min(here.upload_limit, limits.EDIT_BYTES_MAX)) as form:
        sent = uploads(form, "fileUpload", "file")
        if len(sent) != 1:
            raise BadRequest("the form needs one file 'fileUpload'", hint="send multipart/form-data with a .yml or .zip", path="fileUpload")
        name, place = sent[0]
        if name.lower().endswith(".zip"):
            files = [(path, body) for path, body in await asyncio.to_thread(unpacked, place) if path.lower().endswith(_YAML)]
        elif name.lower().endswith(_YAML):
            files = [(name, await asyncio.to_thread(place.read_bytes))]
        else:
            raise Refused("cannot import file of another type than YAML or ZIP", hint="send a .yml, .yaml or .zip", path="fileUpload")
    good: list[Wanted] = []
    failed: dict[str, PodiumError] = {}
    for path, body in files:
        try:
            for flow in await flows_of(request, body.decode("utf-8"), one=False):
                if problem := await _first_problem(request, flow):
                    failed[f"{flow.namespace}.{flow.id}"] = FlowError(str(problem))
                else:
                    good.append(flow)
        except UnicodeDecodeError:
            failed[path] = Refused(f"{path} is not UTF-8 text", hint="save it as UTF-8")
        except PodiumError as error:
            failed[path] = error
    if failed and query.flag("failOnError"):
        first = next(iter(failed))
        raise FlowError(f"{len(failed)} could not be imported: {first}: {failed[first].what}", hint="nothing was written; see POST /flows/validate")
    if good:
        await save(request, good, message=query.text("message") or f"Import {len(good)} flows from {name[:100]}")
    return list(failed)


async def _first_problem(request: web.Request, flow: Wanted) -> Any:
    """A mistake of the flow by itself; what it needs of its source is found when all are checked together."""
    assert flow.text is not None
    parsed: Iterable[Any] = await asyncio.to_thread(context(request).check_flow, flow.text, f"{flow.id}.yml")
    return next((problem for each in parsed for problem in each.problems), None)
