"""Accounts over the API: who I am and what I may, tokens of mine, ending my sessions; who has what, for admins; what clients of Kestra ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.access.people import ROLES, TOKEN_PREFIX, People, Role, digest_of, is_name, is_namespace
from podium.base.errors import ConflictError
from podium.base.moments import to_text
from podium.base.system.ids import new_token
from podium.base.system.log import get_logger
from podium.web.context import context
from podium.web.errors import MethodNotAllowed, Refused
from podium.web.params import read_object
from podium.web.people.identify import COOKIE
from podium.web.people.roles import Caller, caller
from podium.web.routes import LIST, OBJECT, TEXT, Body, Route
from podium.web.wire import answer

log = get_logger(__name__)
_ACCOUNT = {
    "type": "object", "required": ["name", "kind", "via", "roles"],
    "properties": {
        "name": TEXT, "account": TEXT, "email": TEXT, "kind": {"enum": ["root", "user", "token"]}, "via": TEXT,
        "roles": {"type": "array", "items": {"type": "object", "properties": {"namespace": TEXT, "role": TEXT}}}, "tokens": LIST,
    },
}


def account_view(who: Caller, people: People) -> dict[str, Any]:
    """The caller as the API and the page show them. A namespace "" is the whole instance."""
    mine = [each for each in people.tokens if who.kind == "user" and each.user == who.account]
    return {
        "name": who.name, "account": who.account, "email": who.email, "kind": who.kind, "via": who.via,
        "roles": [{"namespace": name, "role": role.name.lower()} for name, role in sorted(who.roles.items())],
        "tokens": [token_view(each) for each in mine],
    }


def token_view(token: Any) -> dict[str, Any]:
    """A token without what it is."""
    return {
        "name": token.name, "role": token.role.name.lower(), "namespaces": list(token.namespaces), "user": token.user or None, "line": token.line,
        "expires": to_text(token.expires) if token.expires else None,
    }


def people_view(people: People) -> dict[str, Any]:
    """Who has what where, and from which line of the file."""
    return {
        "source": people.source or None, "path": people.path or None, "commit": people.commit or None,
        "users": [
            {
                "name": each.name, "email": each.email, "title": each.title, "disabled": each.disabled, "password": bool(each.password),
                "line": each.line,
                "roles": [
                    {"role": grant.role.name.lower(), "namespace": grant.namespace, "through": grant.who, "line": grant.line}
                    for grant in people.grants_of(each.name)
                ],
            }
            for each in sorted(people.persons.values(), key=lambda person: person.name)
        ],
        "groups": [{"name": name, "members": list(members)} for name, members in sorted(people.groups.items())],
        "tokens": [token_view(each) for each in people.tokens],
    }


async def _account(request: web.Request) -> web.Response:
    return answer(account_view(caller(request), context(request).door.roster.people))


async def end_sessions(request: web.Request) -> None:
    """Log the caller out everywhere. Raises ConflictError for who cannot log in."""
    here, who = context(request), caller(request)
    if who.kind == "root" and here.door.token is None:
        raise ConflictError("there is no session to end", hint="programs of this machine do not log in")
    await asyncio.to_thread(here.door.sessions.end_all, kind=who.kind, name=who.account, now=here.clock.now())
    here.door.roster.version += 1  # what is being followed ends too
    log.info("logged_out_everywhere", who=who.account or who.name)


async def _logout_everywhere(request: web.Request) -> web.Response:
    await end_sessions(request)
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


def made_token(who: Caller, wanted: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """A new token and its entry for the file. Nobody makes one that can do more than they. Raises Refused."""
    name, role_name = str(wanted.get("name") or "").strip().lower(), str(wanted.get("role") or "viewer").lower()
    if not is_name(name):
        what = f"'{name[:80]}' is no name for a token" if name else "the token needs a name"
        raise Refused(what, hint="use letters, digits, . _ @ + -", path="name")
    if role_name not in ROLES:
        raise Refused(f"'{role_name[:80]}' is no role", hint=f"roles are {', '.join(ROLES)}", path="role")
    namespaces = wanted.get("namespaces") or []
    if not isinstance(namespaces, list) or not all(isinstance(each, str) and is_namespace(each) for each in namespaces):
        raise Refused("'namespaces' is no list of namespaces", hint='send ["company.team"], or none for all that you may', path="namespaces")
    if who.kind == "token":
        raise Refused("a token makes no tokens", hint="log in as a person", path="name")
    if not namespaces and who.highest < ROLES[role_name]:
        raise Refused(f"you have no role {role_name} anywhere", hint="ask an admin", path="role")
    for namespace in namespaces:
        if not who.may(ROLES[role_name], namespace):
            raise Refused(f"you are no {role_name} in '{namespace}' yourself", hint="ask for less", path="namespaces")
    entry: dict[str, Any] = {"name": name, "role": role_name}
    entry |= {"namespaces": namespaces} if namespaces else {}
    entry |= {"expires": expires} if (expires := _expiry(wanted.get("expires"))) else {}
    entry |= {"user": who.account} if who.kind == "user" else {}
    token = TOKEN_PREFIX + new_token()
    return token, {"name": name, "hash": digest_of(token), **entry}


def _expiry(value: Any) -> str | None:
    if value in (None, ""):
        return None
    text = str(value).strip()
    try:
        found = datetime.combine(date.fromisoformat(text), time.max) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"'{text[:80]}' is no date", hint="write 2027-01-31", path="expires") from error
    return text if found.tzinfo is not None or len(text) == 10 else to_text(found.replace(tzinfo=UTC))


async def _token(request: web.Request) -> web.Response:
    token, entry = made_token(caller(request), await read_object(request, limit=limits.BODY_BYTES_MAX))
    return answer({"token": token, "entry": entry})


async def _people(request: web.Request) -> web.Response:
    roster = context(request).door.roster
    return answer({**people_view(roster.people), "origin": roster.origin or None, "problems": [dict(each) for each in roster.problems]})


async def _no_problems(request: web.Request) -> web.Response:
    return answer([])


class PeopleComeFromGit(MethodNotAllowed):
    """Accounts are changed by a commit, not over the API."""

    code = "people-come-from-git"


async def _refuse(request: web.Request) -> web.Response:
    origin = context(request).door.roster.origin
    hint = f"change {origin}: podium users add" if origin else "name a source in security.access_source, or a file in security.access_file"
    raise PeopleComeFromGit("people and their passwords are written in a file, not over the API", hint=hint)


_TOKEN = {
    "type": "object", "required": ["name"],
    "properties": {"name": TEXT, "role": {"enum": list(ROLES)}, "namespaces": {"type": "array", "items": TEXT}, "expires": TEXT},
}
ROUTES = [
    Route(
        method="GET", path="/account", handler=_account, about="Who calls, and their roles", tag="account", also=("/me",), needs=Role.NONE,
        answers={200: _ACCOUNT}, errors=(),
    ),
    Route(
        method="POST", path="/account/logout-everywhere", handler=_logout_everywhere, about="End every session of the caller", tag="account",
        needs=Role.NONE, body=Body(content={"application/json": OBJECT}), answers={204: None}, errors=(409,),
    ),
    Route(
        method="POST", path="/account/token", handler=_token, about="Make an API token and its entry for the file; nothing is stored", tag="account",
        needs=Role.NONE, body=Body(content={"application/json": _TOKEN}, required=True), errors=(400, 422),
        answers={200: {"type": "object", "required": ["token", "entry"], "properties": {"token": TEXT, "entry": OBJECT}}},
    ),
    Route(method="GET", path="/people", handler=_people, about="Users, groups, tokens and what each may", tag="account", needs=Role.ADMIN, errors=()),
    Route(
        method="GET", path="/basicAuthValidationErrors", handler=_no_problems, about="For clients of Kestra: nothing is wrong", tag="account",
        needs=Role.NONE, answers={200: LIST}, errors=(), hidden=True,
    ),
    Route(
        method="POST", path="/basicAuth", handler=_refuse, about="Refused: people come from Git", tag="account", needs=Role.VIEWER, hidden=True,
        errors=(405,),
    ),
]
