"""Talks to a server with OpenAI's chat API: a company's, or one's own (Ollama, llama.cpp, vLLM). Called by assistant.

What always holds: the key goes to the address of the settings only (no redirect is followed) and never into a message; an answer has a bound in
bytes and time; what goes wrong is told in words that say what to do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from podium.base.errors import PodiumError
from podium.base.redact import Redactor, redact_url

ANSWER_CHARS_MAX = 400_000
_ERROR_CHARS = 300
_LINE_BYTES = 1024 * 1024


class ProviderError(PodiumError):
    """The server with the model does not answer as it should. facts: status, retryAfterS."""

    code = "copilot-provider"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProviderSettings:
    """url: with the version, without /chat/completions: http://localhost:11434/v1. key: "" for none. timeout_s: of one answer."""

    url: str
    model: str
    key: str = ""
    timeout_s: float = 120.0
    max_tokens: int = 4_096
    headers: Mapping[str, str] = field(default_factory=dict)


class Provider:
    """One server."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._redactor = Redactor([settings.key, *settings.headers.values()] if settings.key else settings.headers.values())

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._settings.model

    @property
    def key(self) -> str:
        """The key, so that it is found in what somebody sends."""
        return self._settings.key

    async def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[str]:
        """The answer, piece by piece. Raises ProviderError."""
        settings = self._settings
        body = {"model": settings.model, "messages": list(messages), "stream": True, "max_tokens": settings.max_tokens, "temperature": 0.1}
        headers = {"Accept": "text/event-stream, application/json", **settings.headers}
        if settings.key:
            headers["Authorization"] = f"Bearer {settings.key}"
        timeout = aiohttp.ClientTimeout(total=settings.timeout_s, connect=min(10.0, settings.timeout_s))
        try:
            async with aiohttp.ClientSession(timeout=timeout, trust_env=True, read_bufsize=_LINE_BYTES) as session:
                address = f"{settings.url.rstrip('/')}/chat/completions"
                async with session.post(address, json=body, headers=headers, allow_redirects=False) as response:
                    if response.status != 200:
                        raise await self._refused(response)
                    async for piece in self._pieces(response):
                        yield piece
        except TimeoutError as error:
            hint = "try again, ask for less, or raise ai.timeout_s"
            raise ProviderError(f"the model did not answer within {settings.timeout_s:g} s", hint=hint, status=504) from error
        except aiohttp.ClientConnectorError as error:
            hint = "is the server running, and is ai.url right?"
            raise ProviderError(f"{redact_url(settings.url)} cannot be reached: {error.os_error.strerror or error.os_error}", hint=hint) from error
        except (aiohttp.ClientError, ConnectionError, ValueError, asyncio.IncompleteReadError) as error:
            raise ProviderError(f"the connection to the model broke off ({type(error).__name__})", hint="try again") from error

    async def _pieces(self, response: aiohttp.ClientResponse) -> AsyncIterator[str]:
        if response.content_type == "application/json":
            data = await _json(response)
            yield self._text(data, "message")
            return
        length, ended = 0, False
        async for raw in response.content:
            line = raw.decode("utf-8", "replace").strip()
            if not line.startswith("data:"):
                continue
            if line[5:].strip() == "[DONE]":
                ended = True
                break
            data = _parsed(line[5:])
            ended = ended or any(isinstance(each, dict) and each.get("finish_reason") for each in data.get("choices") or ())
            piece = self._text(data, "delta")
            length += len(piece)
            if length > ANSWER_CHARS_MAX:
                raise ProviderError(f"the answer has more than {ANSWER_CHARS_MAX} characters", hint="ask for less")
            if piece:
                yield piece
        if not ended:
            raise ProviderError("the answer of the model broke off in the middle", hint="try again")

    def _text(self, data: Mapping[str, Any], part: str) -> str:
        if data.get("error"):
            raise ProviderError(f"the model failed: {self._said(data)}", hint="try again")
        choices = data.get("choices")
        if not isinstance(choices, list):
            hint = "ai.url must end before /chat/completions"
            raise ProviderError("the server does not speak OpenAI's chat API: its answer has no choices", hint=hint)
        inner = choices[0].get(part) if choices and isinstance(choices[0], dict) else None
        text = inner.get("content") if isinstance(inner, dict) else None
        return text if isinstance(text, str) else ""

    async def _refused(self, response: aiohttp.ClientResponse) -> ProviderError:
        status = response.status
        said = self._said(_quiet((await response.content.read(20_000)).decode("utf-8", "replace")))
        after = f": {said}" if said else ""
        if status in (401, 403):
            hint = "set ai.key_file, ai.secret or PODIUM_AI__KEY"
            return ProviderError(f"the provider does not accept the key ({status})", hint=hint, status=status)
        if status == 429:
            wait = _seconds(response.headers.get("Retry-After"))
            hint = f"try again in {wait} s" if wait else "try again later"
            facts = {"retryAfterS": wait} if wait else {}
            return ProviderError(f"the provider takes no more for now (429){after}", hint=hint, status=status, **facts)
        if status == 404:
            return ProviderError(f"the provider has no such address or model (404){after}", hint="check ai.url and ai.model", status=status)
        if status in (301, 302, 307, 308):
            return ProviderError(f"the provider sends us elsewhere ({status})", hint="set ai.url to the address it means", status=status)
        if status in (400, 413, 422):
            hint = "check ai.model and ai.max_tokens, or ask for less"
            return ProviderError(f"the provider refuses the request ({status}){after}", hint=hint, status=status)
        return ProviderError(f"the provider failed ({status}){after}", hint="try again", status=status)

    def _said(self, data: Any) -> str:
        """The provider's own words, short, without our key."""
        error = data.get("error") if isinstance(data, dict) else data
        words = error.get("message") if isinstance(error, dict) else error
        text = " ".join(str(words or "").split())[:_ERROR_CHARS]
        return redact_url(self._redactor.text(text))


def _seconds(text: str | None) -> int | None:
    try:
        return max(1, min(86_400, round(float(text)))) if text else None
    except ValueError:
        return None


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        hint = "ai.url must be a server with OpenAI's chat API"
        raise ProviderError("the server does not speak OpenAI's chat API: a line of its answer is no JSON", hint=hint) from error
    return data if isinstance(data, dict) else {}


def _quiet(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text if "<" not in text[:20] else ""


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    raw = await response.content.read(ANSWER_CHARS_MAX * 4)
    return _parsed(raw.decode("utf-8", "replace"))
