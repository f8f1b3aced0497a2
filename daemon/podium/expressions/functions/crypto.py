"""`encrypt` and `decrypt`: AES-GCM with a key of the caller's. Text form: base64 of 12 bytes IV, the ciphertext and a 16-byte tag."""

from __future__ import annotations

import base64
from typing import Any

from podium.expressions.calls import Args, Function, required, text, text_arg
from podium.expressions.runtime import Fault, Runtime

_IV_BYTES = 12
_TAG_BYTES = 16


def _cipher(key: str) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(base64.b64decode(key, validate=True))
    except ValueError as exc:
        raise Fault("the key is not 16, 24 or 32 bytes in base64") from exc


def _encrypt(rt: Runtime, args: Args) -> Any:
    key, plain = text_arg(args, "key"), required(args, "plaintext")
    if plain is None or plain == "":
        return plain
    iv = rt.world.random_bytes(_IV_BYTES)
    sealed = _cipher(key).encrypt(iv, text(plain, "the argument 'plaintext'").encode("utf-8", "replace"), None)
    return base64.b64encode(iv + sealed).decode()


def _decrypt(rt: Runtime, args: Args) -> Any:
    from cryptography.exceptions import InvalidTag

    key, sealed = text_arg(args, "key"), required(args, "encrypted")
    if sealed is None or sealed == "":
        return sealed
    try:
        data = base64.b64decode(text(sealed, "the argument 'encrypted'"), validate=True)
        if len(data) < _IV_BYTES + _TAG_BYTES:
            raise Fault("the encrypted text is too short")
        plain: bytes = _cipher(key).decrypt(data[:_IV_BYTES], data[_IV_BYTES:], None)
    except InvalidTag as exc:
        raise Fault("the text was not encrypted with this key") from exc
    except ValueError as exc:
        raise Fault("the encrypted text is not base64") from exc
    return plain.decode("utf-8", "replace")


FUNCTIONS = (
    Function("encrypt", _encrypt, ("key", "plaintext"), pure=False, fuel=50),
    Function("decrypt", _decrypt, ("key", "encrypted"), fuel=50),
)
