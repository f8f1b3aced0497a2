"""One Docker Engine, as the other modules of this room see it: blocking calls in bounded threads, and two kinds of failure.

EngineAway: nobody answers; it may come back. EngineAnswer: it answered, and not with what was asked. docker-py is imported with the
first call, as it costs a third of a second.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from podium.base.errors import RunnerError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger

log = get_logger(__name__)
T = TypeVar("T")
CALL_TIMEOUT_S = 600
_THREADS_MAX = 32
_RETRY_FIRST_S, _RETRY_MAX_S, _REACH_S = 0.2, 5.0, 60.0
_FRESH_S = 1.0
"""How long an answer shows that somebody answers."""


class EngineAway(RunnerError):
    """The engine cannot be reached."""

    code = "runner-away"


class EngineAnswer(RunnerError):
    """The engine refused. status: of HTTP. text: its own words."""

    code = "runner-engine"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the Docker Engine answered: {text}", hint="see the engine's own log", status=status)
        self.status = status
        self.text = text


class Engine:
    """host: `unix://…`, `tcp://…`, `ssh://…`, or None for the one of DOCKER_HOST, else the local socket."""

    def __init__(self, host: str | None = None) -> None:
        self._host = host
        self._threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="docker")
        self._api: Any = None
        self._streams: set[LogStream] = set()
        self._answered_at = -_FRESH_S

    async def call(self, what: Callable[[Any], T]) -> T:
        """`what(api)` in a thread, where api is a docker.APIClient. Raises EngineAway, EngineAnswer."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._guarded, what)

    @property
    def reached(self) -> bool:
        """Whether it ever answered."""
        return self._api is not None

    async def reach(self) -> None:
        """Make sure that somebody answers. Raises EngineAway: at once when nobody ever did, else after a minute."""
        if monotonic_s() - self._answered_at < _FRESH_S:
            return
        if self._api is None:
            await self.call(lambda api: api.ping())
            return
        try:
            async with asyncio.timeout(_REACH_S):
                await self.patiently(lambda api: api.ping())
        except TimeoutError:
            await self.call(lambda api: api.ping())

    async def patiently(self, what: Callable[[Any], T]) -> T:
        """As `call`, but waits for an engine that is away, for ever: only for calls that may be repeated."""
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                return await self.call(what)
            except EngineAway as away:
                log.warning("docker_engine_away", host=self._host or "default", reason=away.what, retry_in_s=wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _RETRY_MAX_S)

    async def logs(self, container: str, *, since: int, follow: bool) -> LogStream:
        """The log of a container from `since` (Unix seconds) on, with time stamps, both streams. Raises as `call`."""
        parameters = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow), "since": since}

        def begin(api: Any) -> LogStream:
            url = f"{api.base_url}/v{api.api_version}/containers/{container}/logs"
            response = api.get(url, params=parameters, stream=True, timeout=(60, None))
            if response.status_code != 200:
                raise EngineAnswer(response.status_code, _message(response.text))
            return LogStream(response, self._streams)

        stream = await self.call(begin)
        self._streams.add(stream)
        return stream

    async def inspect(self, container: str) -> Mapping[str, Any] | None:
        """What the engine says of a container, or None when there is none of that name. Waits for an engine that is away."""
        try:
            return await self.patiently(lambda api: dict(api.inspect_container(container)))
        except EngineAnswer as answer:
            if answer.status == 404:
                return None
            raise

    async def close(self) -> None:
        """Break off what is being read; threads end by themselves."""
        for stream in tuple(self._streams):
            stream.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._api is not None:
            self._api.close()

    def _guarded(self, what: Callable[[Any], T]) -> T:
        import docker.errors
        import requests.exceptions

        try:
            done = what(self._client())
            self._answered_at = monotonic_s()
            return done
        except docker.errors.APIError as exc:
            raise EngineAnswer(exc.status_code or 500, exc.explanation or str(exc)) from exc
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as exc:
            raise EngineAway(
                f"the Docker Engine at {self._host or 'its usual place'} cannot be reached: {_first_line(exc)}",
                hint="is it running, and may this user use its socket? Set DOCKER_HOST, or use [runner] type = \"process\"",
            ) from exc

    def _client(self) -> Any:
        if self._api is None:
            import docker
            import docker.utils

            options: Any = {"base_url": self._host} if self._host else docker.utils.kwargs_from_env()
            self._api = docker.APIClient(version="auto", timeout=CALL_TIMEOUT_S, max_pool_size=256, **options)
        return self._api


class LogStream:
    """The bytes of one log request. `read` blocks; `close` from another thread ends it."""

    def __init__(self, response: Any, open_streams: set[LogStream]) -> None:
        self._response = response
        self._open_streams = open_streams

    def read(self) -> bytes:
        """What has come, at least one byte; empty at the end or once closed. Raises EngineAway when the connection breaks."""
        import requests.exceptions
        import urllib3.exceptions

        try:
            data: bytes = self._response.raw.read1(256 * 1024)
        except (urllib3.exceptions.HTTPError, requests.exceptions.RequestException, OSError, ValueError, AttributeError) as exc:
            raise EngineAway(f"the connection to the Docker Engine broke: {_first_line(exc)}", hint="it is taken up again") from exc
        return data

    def close(self) -> None:
        """Wake whoever reads, and give the connection back."""
        self._open_streams.discard(self)
        try:
            with socket.socket(fileno=socket.dup(self._response.raw.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
        except (OSError, ValueError, AttributeError):
            log.debug("docker_stream_closed_before")
        self._response.close()


def _message(text: str) -> str:
    import json

    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500]


def _first_line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0][:300]
