"""HTTP Digest authentication (RFC 7616; MD5 and SHA-256, with and without `-sess`, qop `auth`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from podium.base.system.ids import random_bytes

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


def digest_header(challenge: str, username: str, password: str, method: str, path: str) -> str:
    """The Authorization header that answers a `WWW-Authenticate: Digest …` header. Raises ValueError for an unknown algorithm."""
    given = {name.lower(): quoted.replace('\\"', '"') if quoted else plain for name, quoted, plain in _PARAMETER.findall(challenge)}
    algorithm = given.get("algorithm", "MD5")
    hashed = _hash_of(algorithm)
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    client_nonce, count = random_bytes(8).hex(), "00000001"
    secret = hashed(f"{username}:{realm}:{password}")
    if algorithm.lower().endswith("-sess"):
        secret = hashed(f"{secret}:{nonce}:{client_nonce}")
    request = hashed(f"{method}:{path}")
    qop = "auth" if "auth" in re.split(r"[\s,]+", given.get("qop", "")) else ""
    proof = hashed(f"{secret}:{nonce}:{count}:{client_nonce}:{qop}:{request}") if qop else hashed(f"{secret}:{nonce}:{request}")
    fields = {"username": username, "realm": realm, "nonce": nonce, "uri": path, "response": proof}
    if "opaque" in given:
        fields["opaque"] = given["opaque"]
    text = ", ".join(f'{name}="{_quoted(value)}"' for name, value in fields.items()) + f", algorithm={algorithm}"
    return f'Digest {text}, qop={qop}, nc={count}, cnonce="{client_nonce}"' if qop else f"Digest {text}"


def _hash_of(algorithm: str) -> Callable[[str], str]:
    name = algorithm.lower().removesuffix("-sess")
    if name not in ("md5", "sha-256"):
        raise ValueError(f"the server asks for Digest with {algorithm}, which is not supported")
    return lambda text: hashlib.new(name.replace("-", ""), text.encode(), usedforsecurity=False).hexdigest()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
