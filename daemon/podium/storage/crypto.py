"""Encryption of secret values with the instance key: AES-256-GCM, base64(12-byte nonce + ciphertext + 16-byte tag).

Called by whoever puts a secret value into a journal, a record or the results branch, and by whoever takes it out again.
What always holds: a value made by another key or changed by a byte is an error, never a wrong plain text.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.base.errors import SettingsError, StorageError
from podium.base.redact import MASK
from podium.base.system.ids import random_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED_TYPE = "io.kestra.datatype:aes_encrypted"
"""What marks a sealed value in an execution: `{type: <this>, value: <text>}`."""
_NONCE_BYTES = 12


class Cipher:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: bytes) -> None:
        """key: 16, 24 or 32 bytes. Raises SettingsError for another length."""
        if len(key) not in (16, 24, 32):
            raise SettingsError(f"the encryption key has {len(key)} bytes", hint="use 32 random bytes, base64: openssl rand -base64 32")
        self._key = key

    @cached_property
    def _aes(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # heavy: 7 MB, and most daemons seal nothing for hours

        return AESGCM(self._key)

    @classmethod
    def from_text(cls, key: str) -> Cipher:
        """A cipher of a base64 key. Raises SettingsError when it is none."""
        try:
            return cls(base64.b64decode(key.strip(), validate=True))
        except binascii.Error as error:
            raise SettingsError("the encryption key is not base64", hint="make one with: openssl rand -base64 32") from error

    def encrypt(self, plain: str) -> str:
        """`plain` encrypted; each call gives another text."""
        nonce = random_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._aes.encrypt(nonce, plain.encode(), None)).decode()

    def decrypt(self, sealed: str) -> str:
        """The plain text. Raises StorageError when this key did not make it."""
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._aes.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None).decode()
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise StorageError("a secret value cannot be decrypted", hint="is the instance key the one it was stored with?") from error

    def seal(self, value: Any) -> dict[str, str]:
        """A value as it is kept in executions: marked and encrypted. Text stays text; anything else comes back as the JSON value it was."""
        if isinstance(value, str):
            return {"type": SEALED_TYPE, "value": self.encrypt(value)}
        return {"type": SEALED_TYPE, "value": self.encrypt(json.dumps(value)), "as": "json"}

    def unseal(self, sealed: Mapping[str, Any]) -> Any:
        """What `seal` was given. Raises StorageError."""
        plain = self.decrypt(str(sealed["value"]))
        return json.loads(plain) if sealed.get("as") == "json" else plain


def is_sealed(value: Any) -> bool:
    """Whether `value` is what `Cipher.seal` gives."""
    return isinstance(value, Mapping) and value.get("type") == SEALED_TYPE and isinstance(value.get("value"), str)


def masked(value: Any) -> Any:
    """`value` with a mask in the place of every sealed value in it. Maps and lists become new ones."""
    if is_sealed(value):
        return MASK
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, (list, tuple)) else value


def reveal(value: Any, cipher: Cipher, on_secret: Callable[[str], None]) -> Any:
    """`value` with every sealed value in it decrypted; each plain text is told to `on_secret` (a Redactor). Unchanged parts are shared."""
    if is_sealed(value):
        plain = cipher.unseal(value)
        on_secret(plain if isinstance(plain, str) else json.dumps(plain))
        return plain
    if isinstance(value, dict):
        shown = {key: reveal(item, cipher, on_secret) for key, item in value.items()}
        return value if all(shown[key] is item for key, item in value.items()) else shown
    if isinstance(value, list):
        items = [reveal(item, cipher, on_secret) for item in value]
        return value if all(one is other for one, other in zip(items, value, strict=True)) else items
    return value


def load_or_make_key(path: Path) -> bytes:
    """The instance key kept in the file `path`; a new one is made there (readable by its owner alone) when there is none yet."""
    import os

    try:
        return base64.b64decode(path.read_text().strip(), validate=True)
    except FileNotFoundError:
        pass
    except (OSError, binascii.Error, UnicodeDecodeError) as error:
        raise SettingsError(f"the instance key {path} cannot be read", hint="it holds 32 bytes as base64: restore your backup") from error
    key = random_bytes(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, base64.b64encode(key) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        return load_or_make_key(path)
    finally:
        draft.unlink(missing_ok=True)
    return key
