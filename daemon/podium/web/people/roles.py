"""Who calls, and what they may do: the caller of a request with the roles they have.

Called by the guard of the server, which makes the caller, and by handlers. What always holds: a role includes all below it; who has no role in a
namespace does not learn that it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from podium.base.access.people import Role, Roster, role_in
from podium.base.ports import Author
from podium.web.errors import RoleNeeded

__all__ = ["CALLER", "ROSTER", "Caller", "Role", "caller", "done_by", "require", "sees", "unchanged", "visible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a request is from. via: socket, token (of the instance), api_token, password, session or loopback.

    roles: namespace (with all below it) → role; "" is every namespace. account: the person's or API token's name, "" for who has none.
    """

    name: str
    email: str
    via: str
    roles: Mapping[str, Role] = field(default_factory=dict)
    account: str = ""
    kind: str = "root"
    """root (the instance itself: socket, loopback, its token), user or token."""

    def role(self, namespace: str) -> Role:
        """The highest role there: of the namespace itself or of one above it."""
        return role_in(self.roles, namespace)

    @property
    def highest(self) -> Role:
        """The highest role in any namespace."""
        return max(self.roles.values(), default=Role.NONE)

    def may(self, role: Role, namespace: str) -> bool:
        """Whether the caller has at least this role in the namespace; "" asks for the whole instance."""
        return self.role(namespace) >= role

    @property
    def seen(self) -> frozenset[str] | None:
        """The namespaces, each with all below it, that the caller may read; None: all."""
        return None if self.may(Role.VIEWER, "") else frozenset(name for name, role in self.roles.items() if role >= Role.VIEWER)

    @property
    def author(self) -> Author:
        """The caller as the author of a commit."""
        return Author(name=self.name, email=self.email)


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
ROSTER: web.AppKey[Roster] = web.AppKey("roster", Roster)


def caller(request: web.Request) -> Caller:
    """Who the request is from."""
    return request[CALLER]


def visible(request: web.Request) -> frozenset[str] | None:
    """The namespaces, each with all below it, that the caller may read; None: all."""
    return caller(request).seen


def sees(request: web.Request, namespace: str) -> bool:
    """Whether the caller may read in this namespace."""
    return caller(request).may(Role.VIEWER, namespace)


def unchanged(request: web.Request) -> Callable[[], bool]:
    """Whether access is as it was when this was called: asked by answers that take long. Nothing changes for the instance itself."""
    who, roster = request.get(CALLER), request.app[ROSTER]
    version = roster.version
    return lambda: who is None or who.kind == "root" or roster.version == version


def done_by(request: web.Request, claimed: str = "") -> str:
    """Who does it: the account, whatever the request claims; without an account what it claims."""
    return caller(request).account or claimed


def require(request: web.Request, role: Role, namespace: str) -> None:
    """Raises RoleNeeded unless the caller has this role in the namespace ("": the whole instance)."""
    if not caller(request).may(role, namespace):
        raise role_needed(role, namespace)


def role_needed(role: Role, namespace: str | None) -> RoleNeeded:
    """The refusal. namespace: "" is the whole instance, None any."""
    where = "in some namespace" if namespace is None else f"for namespace '{namespace[:200]}'" if namespace else "for the whole instance"
    return RoleNeeded(f"this needs the role {role.name.lower()} {where}", hint="ask an admin; `roles` of podium.yaml says who has which")
