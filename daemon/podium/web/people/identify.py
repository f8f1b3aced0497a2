"""Who makes a request: the socket's owner, a token, a person with a password or a session, a program of this machine, or nobody we know.

Called by the guard for each request, and by the login page. What always holds: tokens and passwords are compared in a time that says
nothing; guesses are throttled by address and by person; roles are looked up at each request, so that who loses an account or a role loses it at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import pwd
import socket
import struct
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from aiohttp import web

from podium.base.access.people import TOKEN_PREFIX, ApiToken, Person, Role, Roster, digest_of
from podium.base.errors import AuthError, LimitError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.web.people.access import SAFE_METHODS, Access, Page, is_local, is_unix
from podium.web.people.passwords import Passwords
from podium.web.people.roles import Caller
from podium.web.people.sessions import Sessions, Ticket
from podium.web.people.throttle import BY_ADDRESS, BY_BOTH, BY_USER, Limit, Throttle

log = get_logger(__name__)
COOKIE = "podium_session"
_EVERYTHING = {"": Role.ADMIN}


class TooManyGuesses(LimitError):
    """Too many wrong passwords or tokens came from here, or for this person."""

    code = "too-many-guesses"


@dataclass(slots=True, kw_only=True)
class Door:
    """Lets people in. token: the instance's own, an admin. local_login: whether programs of this machine are asked too."""

    access: Access
    roster: Roster = field(default_factory=Roster)
    sessions: Sessions = field(default_factory=Sessions)
    token: str | None = field(default=None, repr=False)
    local_login: bool = False
    instance: str = ""
    throttle: Throttle = field(default_factory=Throttle)
    passwords: Passwords = field(default_factory=Passwords)

    @property
    def has_accounts(self) -> bool:
        """Whether there is anything to log in with."""
        return self.token is not None or self.roster.people.anybody

    async def who(self, request: web.Request, now: datetime, *, at_an_open_route: bool = False) -> Caller | None:
        """The caller, None for a stranger. Raises NotAllowedHere for a foreign page or host name, TooManyGuesses.

        at_an_open_route: what is sent may be meant for a flow, so nothing counts as a guess, and no password is checked.
        """
        if is_unix(request):
            return self._root(_owner(request), "socket")
        page = self.access.check(request)
        given = given_credentials(request) if self.has_accounts else None
        if given is not None and at_an_open_route:
            return self.by_secret(given[1], now)
        if given is not None:
            return await self._by_header(request, given, now)
        if page is Page.ANY:
            return None
        if request.method in SAFE_METHODS or page in {Page.OURS, Page.NAMED}:
            ticket = self.sessions.read(request.cookies.get(COOKIE, ""), now)
            found = self._of_ticket(ticket, now) if ticket is not None else None
            if found is not None:
                return found
        return self._root("local", "loopback") if not self.local_login and is_local(request) else None

    def _root(self, name: str, via: str) -> Caller:
        return Caller(name=name, email=f"{name}@{self.instance or 'podium'}", via=via, roles=_EVERYTHING)

    def of_person(self, person: Person, via: str) -> Caller:
        """Somebody of the roster as a caller."""
        return Caller(
            name=person.title or person.name, email=person.email or f"{person.name.partition('@')[0]}@{self.instance or 'podium'}", via=via,
            roles=self.roster.people.roles_of(person.name), account=person.name, kind="user",
        )

    def _of_token(self, token: ApiToken, via: str) -> Caller:
        people = self.roster.people
        person = people.find(token.user) if token.user else None
        name, mail = (person.title or person.name, person.email) if person is not None else (token.name, "")
        return Caller(
            name=name, email=mail or f"{token.name}@{self.instance or 'podium'}", via=via, roles=people.roles_of_token(token), account=token.name,
            kind="token",
        )

    # ---- what is sent with each call

    async def _by_header(self, request: web.Request, given: tuple[str, str], now: datetime) -> Caller | None:
        user, secret = given
        person = self.roster.people.find(user) if user else None
        if self.passwords.remembered(person, secret):
            assert person is not None
            return self.of_person(person, "password")
        found, keys = self._of_api_token(secret, now), self.keys(request, user)
        if found is not None:  # too long to be guessed: who has one is not held up by others who guess
            return found
        self.refuse_when_throttled(keys)
        found = self.by_secret(secret, now)
        if found is None and user and self.roster.people.persons and not secret.startswith(TOKEN_PREFIX):
            return self.of_person(person, "password") if await self._is_right(request, keys, user, person, secret) and person is not None else None
        if found is None:
            self.wrong(request, keys, user)
        return found

    async def _is_right(self, request: web.Request, keys: dict[str, Limit], user: str, person: Person | None, secret: str) -> bool:
        """Whether this is the person's password. It counts as wrong until it is right: else many sent at once would all be taken."""
        if (going_on := self.passwords.under_way(person, secret)) is not None:
            return await asyncio.shield(going_on)
        if self.passwords.busy:
            raise TooManyGuesses("too many people log in just now", hint="try again in a moment", retry_after_s=2)
        self.throttle.failed(keys, monotonic_s())
        if not await self.passwords.check(person, secret):
            self.throttle.failed(keys, monotonic_s(), counted=True)
            self._tell(request, user)
            return False
        self.throttle.right(keys)
        return True

    def by_secret(self, secret: str, now: datetime) -> Caller | None:
        """Whose token this is."""
        return self._root("podium", "token") if self.is_root_token(secret) else self._of_api_token(secret, now)

    def _of_api_token(self, secret: str, now: datetime) -> Caller | None:
        token = self.roster.people.token(digest_of(secret), now) if secret.startswith(TOKEN_PREFIX) else None
        return self._of_token(token, "api_token") if token is not None else None

    def is_root_token(self, given: str) -> bool:
        """Whether `given` is the instance's token; in constant time."""
        if self.token is None:
            return False
        # Headers hold bytes that are no UTF-8 as half surrogates.
        given_digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given_digest, hashlib.sha256(self.token.encode()).digest())

    # ---- the login page

    async def login(self, request: web.Request, user: str, secret: str, now: datetime) -> str | None:
        """The cookie for who typed this; None when it is wrong. user: "" for a token. Raises TooManyGuesses."""
        keys = self.keys(request, user)
        self.refuse_when_throttled(keys)
        found, shown, person = self.by_secret(secret.strip(), now), secret.strip(), self.roster.people.find(user) if user else None
        if found is None and user and self.roster.people.persons:
            if not await self._is_right(request, keys, user, person, secret) or person is None:
                return None
            found, shown = self.of_person(person, "session"), person.password
        if found is None:
            self.wrong(request, keys, user)
            return None
        self.throttle.right(keys)
        log.info("logged_in", who=found.account or found.name, kind=found.kind, address=self.access.address_of(request))
        return self.sessions.issue(kind=found.kind, name=found.account, secret=shown if found.kind != "token" else digest_of(shown), now=now)

    def _of_ticket(self, ticket: Ticket, now: datetime) -> Caller | None:
        people = self.roster.people
        if ticket.kind == "root":
            return self._root("podium", "session") if self.token is not None and self.sessions.is_of(ticket, self.token) else None
        if ticket.kind == "user":
            person = people.find(ticket.name)
            return self.of_person(person, "session") if person is not None and self.sessions.is_of(ticket, person.password) else None
        token = next((each for each in people.tokens if each.name == ticket.name), None)
        if token is None or people.token(token.digest, now) is None or not self.sessions.is_of(ticket, token.digest):
            return None
        return self._of_token(token, "session")

    # ---- guesses

    def keys(self, request: web.Request, user: str) -> dict[str, Limit]:
        """What guesses of this request are counted by."""
        address, name = self.access.address_of(request), user.strip().lower()[:100]
        found = {f"address {address}": BY_ADDRESS}
        return found | {f"both {address} {name}": BY_BOTH, f"user {name}": BY_USER} if name else found

    def refuse_when_throttled(self, keys: dict[str, Limit]) -> None:
        """Raises TooManyGuesses while no further guess is taken."""
        wait = self.throttle.wait_s(keys, monotonic_s())
        if wait > 0:
            raise TooManyGuesses("too many wrong passwords or tokens came from here", hint=f"wait {max(1, round(wait))} s", retry_after_s=wait)

    def wrong(self, request: web.Request, keys: dict[str, Limit], user: str) -> None:
        """Count a wrong guess, and say so in the log."""
        self.throttle.failed(keys, monotonic_s())
        self._tell(request, user)

    def _tell(self, request: web.Request, user: str) -> None:
        log.warning("login_refused", user=user.strip()[:100] or None, address=self.access.address_of(request))


def given_credentials(request: web.Request) -> tuple[str, str] | None:
    """(user, secret) of the Authorization header: Bearer has no user. None when there is no such header."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return "", value.strip()
    if kind.lower() == "basic":
        try:
            user, _, secret = b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return user, secret
    return None


def given_token(request: web.Request) -> str | None:
    """The token in the Authorization header: Bearer, or the password of Basic. None when there is no such header."""
    given = given_credentials(request)
    return given[1] if given is not None else None


def unauthorised(door: Door) -> AuthError:
    """The error for a caller that is not known."""
    if not door.has_accounts:
        return AuthError("this server takes calls of this machine only", hint="set server.token to allow others, and send it as a Bearer token")
    hint = "send the header Authorization: Bearer <token>, or user and password as Basic, or log in at /login"
    return AuthError("a token is needed" if not door.roster.people.persons else "a login is needed", hint=hint)


def _owner(request: web.Request) -> str:
    """Who is at the other end of the Unix socket."""
    sock = request.transport.get_extra_info("socket") if request.transport else None
    try:
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))  # type: ignore[union-attr]
    except (OSError, AttributeError, struct.error, TypeError):
        uid = os.getuid()
    return _user_name(uid)


@lru_cache(maxsize=64)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
