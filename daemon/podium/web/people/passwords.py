"""Passwords: argon2id, loaded at the first login, checked in a thread, a few at a time.

Called by identify and by `podium users`. What always holds: to check costs the same whether or not there is such a person; a password that was right
is remembered as a keyed digest for a few minutes, so that clients which send it with each call do not cost a hash each.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING

from podium.base.access.people import Person
from podium.base.system.clock import monotonic_s
from podium.base.system.ids import new_token, random_bytes

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB, ROUNDS, LANES = 64 * 1024, 3, 1
"""Hashes stand in a repository that many can read, so guessing must be dear: about 150 ms and 64 MiB each."""
AT_ONCE = 2
WAITING_MAX = 64
"""Passwords that wait to be checked, at most."""
REMEMBERED_S, REMEMBERED_MAX = 300.0, 1_000
CHARS_MIN, BYTES_MAX = 10, 1_024


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=LANES)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A hash to check when there is no such person."""
    return _hasher().hash(new_token())


def hash_password(password: str) -> str:
    """The hash to write in the file of access rules. Blocking, about 150 ms."""
    return _hasher().hash(password)


def is_right(hashed: str, password: str) -> bool:
    """Whether `password` is the one of `hashed`; "" is nobody's. Blocking."""
    from argon2.exceptions import InvalidHashError, VerificationError

    nobodys = _nobodys()  # made by the first of all, not by the first for nobody
    try:
        return _hasher().verify(hashed or nobodys, password) and bool(hashed)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(hashed: str) -> bool:
    """Whether a hash made now would be harder to guess."""
    return _hasher().check_needs_rehash(hashed)


_NOBODY = Person(name="")


class Passwords:
    """Checks passwords for one server."""

    def __init__(self) -> None:
        self._key = random_bytes(32)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Future[bool]] = {}

    def remembered(self, person: Person | None, password: str) -> bool:
        """Whether this password of this person was right a moment ago. The hash is part of what is remembered: another one ends it."""
        if person is None or not person.password:
            return False
        until = self._right.get(self._digest(person, password))
        return until is not None and until > monotonic_s()

    def under_way(self, person: Person | None, password: str) -> asyncio.Future[bool] | None:
        """The check of the same password of the same person that is going on: clients begin with several calls at once."""
        return self._under_way.get(self._digest(person, password)) if person is not None else None

    @property
    def busy(self) -> bool:
        """Whether so many wait that no more should."""
        return len(self._under_way) >= WAITING_MAX

    async def check(self, person: Person | None, password: str) -> bool:
        """Whether it is this person's password; takes as long for nobody."""
        key = self._digest(person or _NOBODY, password)
        done = self._under_way[key] = asyncio.get_running_loop().create_future()
        right = False
        try:
            right = await self._check(person, password)
        finally:
            if self._under_way.get(key) is done:
                del self._under_way[key]
            done.set_result(right)
        return right

    async def _check(self, person: Person | None, password: str) -> bool:
        if len(password.encode("utf-8", "surrogateescape")) > BYTES_MAX:
            password, person = "", None
        plain = password.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        async with self._slots:
            right = await asyncio.to_thread(is_right, person.password if person is not None else "", plain)
        if right and person is not None:
            self._right[self._digest(person, password)] = monotonic_s() + REMEMBERED_S
            while len(self._right) > REMEMBERED_MAX:
                self._right.popitem(last=False)
        return right and person is not None

    def _digest(self, person: Person, password: str) -> bytes:
        text = f"{person.name}\0{person.password}\0{password}"
        return hmac.new(self._key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
