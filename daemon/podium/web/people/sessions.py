"""Sessions of people in browsers: a signed cookie that says who, since when and until when; nothing is kept per session.

Called by identify and by the pages of login. What always holds: the cookie holds neither token nor password; it ends when the
password or token behind it changes or is gone, when the person logs out everywhere, and when its time is up.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.errors import SettingsError
from podium.base.system.ids import new_token, random_bytes

SESSION_S = 14 * 24 * 3600
_BYTES_MAX = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a cookie says. kind: `root` (server.token), `user` or `token`. issued, expires: milliseconds since 1970.

    epoch: mark of the password or token it was given for.
    """

    kind: str
    name: str
    issued: int
    expires: int
    epoch: str


class Sessions:
    """Makes and reads the cookies of one home. path: where the key and the ends of sessions are kept; None keeps them in memory."""

    def __init__(self, path: Path | None = None, *, length_s: float = SESSION_S) -> None:
        self._path = path
        self.length_s = int(length_s)
        self._key, self._ended = self._load()

    def issue(self, *, kind: str, name: str, secret: str, now: datetime) -> str:
        """The value of a cookie for who showed `secret` (a hash or token; only a mark of it goes in)."""
        at = _milliseconds(now)
        body = json.dumps([kind, name, at, at + self.length_s * 1000, self._epoch(secret), new_token(9)], separators=(",", ":")).encode()
        text = urlsafe_b64encode(body).decode().rstrip("=")
        return f"{text}.{self._sign(text)}"

    def read(self, cookie: str, now: datetime) -> Ticket | None:
        """What a cookie says, if we signed it and its time is not up."""
        text, _, signature = cookie.rpartition(".")
        if not text or len(cookie) > _BYTES_MAX or not cookie.isascii() or not hmac.compare_digest(signature.encode(), self._sign(text).encode()):
            return None
        try:
            kind, name, issued, expires, epoch, _ = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except ValueError:
            return None
        at = _milliseconds(now)
        if expires <= at or issued <= self._ended.get(f"{kind}:{name}", -1):
            return None
        return Ticket(kind=kind, name=name, issued=issued, expires=expires, epoch=epoch)

    def is_of(self, ticket: Ticket, secret: str) -> bool:
        """Whether the ticket was given for this secret."""
        return bool(secret) and hmac.compare_digest(ticket.epoch, self._epoch(secret))

    def end_all(self, *, kind: str, name: str, now: datetime) -> None:
        """Log out everywhere: no cookie given up to now is taken any more. Blocking."""
        self._ended[f"{kind}:{name}"] = _milliseconds(now)
        oldest = _milliseconds(now) - self.length_s * 1000
        self._ended = {key: at for key, at in self._ended.items() if at >= oldest}
        self._save()

    def _epoch(self, secret: str) -> str:
        return hmac.new(self._key, b"epoch\0" + secret.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:24]

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, b"session\0" + text.encode(), hashlib.sha256).hexdigest()

    def _load(self) -> tuple[bytes, dict[str, int]]:
        if self._path is not None:
            try:
                found: Any = json.loads(self._path.read_text("utf-8"))
                return bytes.fromhex(found["key"]), {str(key): int(at) for key, at in found["ended"].items()}
            except FileNotFoundError:
                pass
            except (ValueError, KeyError, TypeError, AttributeError):
                pass  # damaged: everybody logs in anew
            except OSError as error:
                raise SettingsError(f"cannot read {self._path}: {error.strerror}", hint="see who owns it", path="home") from error
        key, ended = random_bytes(32), dict[str, int]()
        self._key, self._ended = key, ended
        self._save()
        return key, ended

    def _save(self) -> None:
        if self._path is None:
            return
        body = json.dumps({"key": self._key.hex(), "ended": self._ended}).encode()
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, body)
            os.fsync(handle)
        finally:
            os.close(handle)
        beside.replace(self._path)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
