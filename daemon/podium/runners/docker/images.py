"""Makes sure that an image is there, by the task's pull policy, and says exactly which one it is.

Called by the Docker runner before it creates a container. Pulls of one image wait for each other.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podium.base.errors import RunnerError, RunnerRefused
from podium.base.system.log import get_logger
from podium.runners.docker.engine import Engine, EngineAnswer

log = get_logger(__name__)
HUB = "docker.io"
"""The registry of names that say none."""
POLICIES = ("IF_NOT_PRESENT", "ALWAYS", "NEVER")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is on the engine. user: whom its containers run as unless told otherwise. arch: of its programs (amd64, arm64 …)."""

    name: str
    id: str
    digest: str | None
    user: str
    arch: str = ""

    def facts(self) -> dict[str, Any]:
        """For the record."""
        return {"image": self.name, "imageId": self.id} | ({"imageDigest": self.digest} if self.digest else {})


class Images:
    """The images of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pulls: dict[str, asyncio.Lock] = {}
        self._known: dict[str, Image] = {}

    def known(self, image_id: str) -> Image | None:
        """What was learnt of an image, by its id."""
        return self._known.get(image_id)

    async def ensure(self, name: str, options: Mapping[str, Any]) -> Image:
        """The image `name`, pulled if the policy asks for it. Raises RunnerRefused that names image and registry answer, RunnerError."""
        policy = options.get("pullPolicy") or "IF_NOT_PRESENT"
        if policy not in POLICIES:
            raise RunnerRefused(f"'{policy}' is not a pull policy", hint=f"use one of {', '.join(POLICIES)}", image=name)
        found = None if policy == "ALWAYS" else await self._find(name)
        if found is not None:
            return found
        if policy == "NEVER":
            raise RunnerRefused(
                f"image '{name}' is not on this machine, and pullPolicy NEVER forbids to fetch it",
                hint=f"docker pull {name}, or map the name to an image that is here in [runner.images]", image=name,
            )
        async with self._pulls.setdefault(name, asyncio.Lock()):
            found = None if policy == "ALWAYS" else await self._find(name)
            if found is None:
                await self._pull(name, options)
                found = await self._find(name)
        if found is None:
            raise RunnerError(f"image '{name}' was pulled and yet is not there", hint="look at the engine's log", image=name)
        return found

    async def _find(self, name: str) -> Image | None:
        try:
            seen = await self._engine.patiently(lambda api: dict(api.inspect_image(name)))
        except EngineAnswer as answer:
            if answer.status == 404:
                return None
            if answer.status == 400:
                what = f"'{name}' is not the name of an image: {answer.text}"
                raise RunnerRefused(what, hint="check containerImage", image=name) from answer
            raise
        digests = seen.get("RepoDigests") or [None]
        user, arch = (seen.get("Config") or {}).get("User") or "", seen.get("Architecture") or ""
        found = Image(name=name, id=seen["Id"], digest=digests[0], user=user, arch=arch)
        self._known[found.id] = found
        return found

    async def _pull(self, name: str, options: Mapping[str, Any]) -> None:
        log.info("image_pull", image=name)
        credentials = registry_login(name, options)
        tag = None if "@" in name or ":" in name.rpartition("/")[2] else "latest"

        def pull(api: Any) -> str | None:
            error = None
            for step in api.pull(name, tag=tag, stream=True, decode=True, auth_config=credentials):
                error = step.get("error") or error
            return error

        try:
            answer = await self._engine.patiently(pull)
        except EngineAnswer as exc:
            raise _cannot_pull(name, exc.text, credentials is not None) from exc
        if answer:
            raise _cannot_pull(name, answer, credentials is not None)


_TROUBLE = (
    "timeout", "no such host", "connection refused", "connection reset", "server misbehaving", "unreachable", "EOF", "i/o", "502", "503",
)


def _cannot_pull(name: str, answer: str, logged_in: bool) -> RunnerError:
    if any(word in answer for word in _TROUBLE):
        return RunnerError(
            f"image '{name}' is not on this machine and cannot be pulled: {answer}", image=name, answer=answer,
            hint="the registry cannot be reached: check network and proxy of the Docker Engine, load the image by hand (docker load), "
            "or map the name to an image that is here in [runner.images]",
        )
    advice = "check user and password of taskRunner.credentials" if logged_in else "a private registry needs taskRunner.credentials"
    return RunnerRefused(
        f"image '{name}' is not on this machine and cannot be pulled: {answer}", image=name, answer=answer,
        hint=f"check the name and tag in containerImage; {advice}; or map the name in [runner.images]",
    )


def registry_login(name: str, options: Mapping[str, Any]) -> dict[str, str] | None:
    """What to show the registry of image `name`: from `credentials`, else from `config` (a docker config.json), else None."""
    given = options.get("credentials")
    if given:
        return _login(given, given.get("registry") or registry_of(name))
    config = options.get("config")
    if not config:
        return None
    try:
        parsed = json.loads(config) if isinstance(config, str) else dict(config)
    except ValueError as exc:
        raise RunnerRefused("taskRunner.config is not a docker config.json", hint="give the file's JSON text, or a map") from exc
    auths = parsed.get("auths") or {}
    registry = registry_of(name)
    for key, entry in auths.items():
        if key.removeprefix("https://").removeprefix("http://").partition("/")[0] in (registry, "index." + registry):
            return _login(entry, key)
    return None


def registry_of(name: str) -> str:
    """The registry that an image name means."""
    first, slash, _ = name.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else HUB


def _login(given: Mapping[str, Any], registry: str) -> dict[str, str]:
    login = {"serveraddress": registry}
    names = {"username": "username", "password": "password", "registryToken": "registrytoken", "identityToken": "identitytoken"}
    login |= {ours: str(given[theirs]) for theirs, ours in names.items() if given.get(theirs)}
    login |= {key: str(given[key]) for key in ("identitytoken", "registrytoken") if given.get(key)}
    if given.get("auth"):
        user, _, password = base64.b64decode(str(given["auth"])).decode(errors="replace").partition(":")
        login |= {"username": user, "password": password}
    return login
