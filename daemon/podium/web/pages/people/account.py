"""My account: who I am and what I may, my tokens, a new one, and ending my sessions. Also who has what, for admins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from podium.base.access.people import EVERYBODY, ROLES, Role
from podium.base.errors import ConflictError, NotFound, PodiumError
from podium.base.ports import FileChange, Published
from podium.flows.reading.documents import one_line, with_entry
from podium.web.api.people.routes import account_view, end_sessions, made_token, people_view
from podium.web.context import context
from podium.web.errors import Refused
from podium.web.pages.render import page, render
from podium.web.params import read_form
from podium.web.people.identify import COOKIE
from podium.web.people.passwords import is_outdated
from podium.web.people.roles import caller
from podium.web.routes import Route

_FORM_BYTES = 64 * 1024


async def account_page(request: web.Request) -> web.StreamResponse:
    """The account of the caller."""
    return await _account(request)


async def _account(request: web.Request, *, status: int = 200, **more: Any) -> web.Response:
    here, who = context(request), caller(request)
    roster = here.door.roster
    person = roster.people.find(who.account) if who.kind == "user" else None
    old = person is not None and bool(person.password) and await _outdated(person.password)
    values: dict[str, Any] = {
        "me": account_view(who, roster.people), "may_make": who.kind != "token" and who.highest > Role.NONE, "origin": roster.origin,
        "roles_to_give": [name for name, role in ROLES.items() if role <= who.highest], "sessions": who.via == "session" or who.kind != "root",
        "asks_for_login": here.door.has_accounts, "old_hash": old, "may_commit": may_commit(request),
        "wrong": None, "made": None, "form": {},
    }
    return await render(request, "people/account.html", status=status, **(values | more))


async def _outdated(hashed: str) -> bool:
    return await asyncio.to_thread(is_outdated, hashed)


async def make_token(request: web.Request) -> web.StreamResponse:
    """A token and its entry, shown once."""
    async with read_form(request, text_limit=_FORM_BYTES, file_limit=0) as form:
        wanted = {name: form.first(name).strip() for name in ("name", "role", "namespaces", "expires")}
        form_says_commit = form.first("commit") == "true"
    try:
        names = [each for each in wanted["namespaces"].replace(",", " ").split() if each]
        token, entry = made_token(caller(request), {**wanted, "namespaces": names})
    except Refused as error:
        return await _account(request, status=422, wrong=error, form=wanted)
    made = {"token": token, "entry": f"tokens:\n  - {one_line(entry)}\n", "name": entry["name"], "commit": None, "trouble": None}
    if form_says_commit and may_commit(request):
        try:
            made["commit"] = (await _commit(request, entry)).commit
        except PodiumError as error:
            made["trouble"] = error
    return await _account(request, made=made)


def may_commit(request: web.Request) -> bool:
    """Whether the caller may write the file that defines access from here."""
    here, people = context(request), context(request).door.roster.people
    if here.edits is None or not people.source or not people.path or not caller(request).may(Role.ADMIN, ""):
        return False
    try:
        return here.edits.editable(people.source) is None
    except NotFound:
        return False


async def _commit(request: web.Request, entry: Mapping[str, Any]) -> Published:
    """One more token in the file. Raises ConflictError for a file that only a person can change, and what publishing raises."""
    edits, people = context(request).edits, context(request).door.roster.people
    assert edits is not None
    found = await edits.read(people.source, people.path)
    text = with_entry(found["data"].decode("utf-8", "replace"), "tokens", entry)
    if text is None:
        raise ConflictError(f"{people.path} is not written with one token a line", hint="add the entry by hand")
    change = FileChange(path=people.path, data=text.encode(), blob=str(found["blob"]))
    if problems := await edits.check(people.source, [change]):
        raise ConflictError(str(problems[0].get("message")), hint="mend the file first")
    return await edits.publish(
        people.source, [change], base=str(found["commit"]), message=f"Add API token {entry['name']}", author=caller(request).author
    )


async def logout_everywhere(request: web.Request) -> web.StreamResponse:
    """End every session of the caller."""
    try:
        await end_sessions(request)
    except ConflictError as error:
        return await _account(request, status=409, wrong=error)
    response = web.HTTPSeeOther("/login")
    response.del_cookie(COOKIE, path="/")
    raise response


async def people_page(request: web.Request) -> web.StreamResponse:
    """Who has what where, and where that is written."""
    here = context(request)
    roster = here.door.roster
    view = people_view(roster.people)
    places = {each["name"]: each for each in here.sources.status()}
    commit_page = (places.get(roster.people.source) or {}).get("commitPage")
    commit = roster.people.commit
    return await render(
        request, "people/people.html", people=view, roster=roster, everybody=EVERYBODY, has_token=here.door.token is not None,
        local_login=here.door.local_login, commit_url=commit_page.replace("{commit}", commit) if commit_page and commit else None,
    )


ROUTES: tuple[Route, ...] = (
    page("GET", "/account", account_page, needs=Role.NONE),
    page("POST", "/account/token", make_token, needs=Role.NONE),
    page("POST", "/account/logout-everywhere", logout_everywhere, needs=Role.NONE),
    page("GET", "/people", people_page, needs=Role.ADMIN),
)
