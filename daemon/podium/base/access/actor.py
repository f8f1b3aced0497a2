"""In whose name something is done just now: set by the web for a caller with an account, read where it is written down who did a thing.

It goes along with what is awaited and into what is begun meanwhile: so it is read only where a command arrives, never in work that goes on by
itself. Nobody is "": the instance itself, a trigger, a program of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_actor: ContextVar[str] = ContextVar("actor", default="")


def who_acts() -> str:
    """The name of the account, "" for nobody's."""
    return _actor.get()


@contextmanager
def acting(name: str) -> Iterator[None]:
    """While this is open, what is done is done in this name."""
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)
