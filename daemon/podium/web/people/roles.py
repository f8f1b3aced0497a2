"""Who calls, and what they may do: the roles, and the caller of a request with the roles they have.

Called by the guard of the server, which makes the caller, and by handlers. What always holds: a role includes all below it; who has no role in a
namespace does not learn that it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from aiohttp import web

from podium.base.ports import Author
from podium.web.errors import RoleNeeded


class Role(IntEnum):
    """What a person may do in a namespace, least first."""

    NONE = 0
    VIEWER = 1
    """Read."""
    OPERATOR = 2
    """And start, stop, resume executions, switch triggers."""
    EDITOR = 3
    """And change flows, files and keys."""
    ADMIN = 4
    """And what concerns the whole instance: pausing everything, settings, people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a request is from. via: socket, token, session or loopback. roles: namespace (with all below it) → role; "" is every namespace."""

    name: str
    email: str
    via: str
    roles: Mapping[str, Role] = field(default_factory=dict)

    def role(self, namespace: str) -> Role:
        """The highest role there: of the namespace itself or of one above it."""
        found = self.roles.get("", Role.NONE)
        parts = namespace.split(".")
        for end in range(1, len(parts) + 1):
            found = max(found, self.roles.get(".".join(parts[:end]), Role.NONE))
        return found

    @property
    def highest(self) -> Role:
        """The highest role in any namespace."""
        return max(self.roles.values(), default=Role.NONE)

    def may(self, role: Role, namespace: str) -> bool:
        """Whether the caller has at least this role in the namespace; "" asks for the whole instance."""
        return self.role(namespace) >= role if namespace else self.roles.get("", Role.NONE) >= role

    @property
    def author(self) -> Author:
        """The caller as the author of a commit."""
        return Author(name=self.name, email=self.email)


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)


def caller(request: web.Request) -> Caller:
    """Who the request is from."""
    return request[CALLER]


def require(request: web.Request, role: Role, namespace: str) -> None:
    """Raises RoleNeeded unless the caller has this role in the namespace ("": the whole instance)."""
    if not caller(request).may(role, namespace):
        where = f"namespace '{namespace}'" if namespace else "the whole instance"
        raise RoleNeeded(f"this needs the role {role.name.lower()} for {where}", hint="ask an admin; `roles` of podium.yaml says who has which")
