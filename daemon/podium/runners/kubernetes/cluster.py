"""One Kubernetes cluster as the other modules of this room see it: blocking calls in bounded threads, and two kinds of failure.

ClusterAway: nobody answers, it may come back. ClusterAnswer: it answered, and not with what was asked. Objects are what the API server
says, as plain data. The client library comes with the extra `podium[kubernetes]`; it is imported with the first call: 0.3 s, 50 MB.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from podium.base.errors import RunnerError, RunnerRefused

T = TypeVar("T")
Thing = Mapping[str, Any]
"""An object of the API server."""
CALL_S = (10.0, 60.0)
"""Seconds to connect, and to wait for an answer."""
WATCH_S = 240
"""How long one watch is held; then it is asked for again."""
_THREADS_MAX = 16
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ClusterAway(RunnerError):
    """The API server cannot be reached."""

    code = "runner-away"


class ClusterAnswer(RunnerError):
    """The API server refused. status: of HTTP. text: its own words."""

    code = "runner-cluster"

    def __init__(self, status: int, text: str) -> None:
        hint = "check what the daemon may do: docs/runners.md has the Role" if status in (401, 403) else "see the cluster's own events"
        super().__init__(f"the Kubernetes API server answered: {text}", hint=hint, status=status)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to get to a cluster. kubeconfig, context: a file and one of its contexts, else the usual ones. inside: the daemon runs in the cluster,
    and where no kubeconfig is named its service account counts. connection: the `config` of a task, which names a cluster of its own."""

    inside: bool = False
    kubeconfig: Path | None = None
    context: str | None = None
    connection: Mapping[str, Any] | None = None


_CONNECTION = {
    "masterUrl", "namespace", "trustCerts", "disableHostnameVerification", "caCertData", "clientCertData", "clientKeyData", "oauthToken",
    "username", "password", "apiVersion", "clientKeyAlgo",
}


def check_connection(given: Mapping[str, Any]) -> None:
    """Raises RunnerRefused for what cannot be used here."""
    unknown = sorted(set(given) - _CONNECTION)
    if unknown:
        raise RunnerRefused(
            f"taskRunner.config has {', '.join(unknown)}, which Podium does not use",
            hint="give certificates as caCertData, clientCertData and clientKeyData, with secret('NAME'); or a token as oauthToken",
        )
    if not given.get("masterUrl"):
        raise RunnerRefused("taskRunner.config names no masterUrl", hint="write the address of the API server, https://…:6443")


class Cluster:
    """See the module's docstring."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="kubernetes")
        self._api: Any = None
        self._default_namespace = "default"
        self._watches: set[Watching] = set()

    async def call(self, what: Callable[[Cluster], T]) -> T:
        """`what(self)` in a thread. Raises ClusterAway, ClusterAnswer."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, what, self)

    # ---- blocking, for threads of `call` and of the watches

    def namespace(self) -> str:
        """The one that kubeconfig or service account name, else `default`."""
        self._client()
        return self._default_namespace

    def create(self, kind: str, namespace: str, body: Thing) -> Thing:
        """kind: job, pod, secret or config_map. The object as it is now."""
        return _data(self._ask(kind, f"create_namespaced_{kind}", namespace, body=body))

    def read(self, kind: str, namespace: str, name: str) -> Thing | None:
        """None when there is none of that name."""
        try:
            return _data(self._ask(kind, f"read_namespaced_{kind}", name, namespace))
        except ClusterAnswer as answer:
            if answer.status == 404:
                return None
            raise

    def delete(self, kind: str, namespace: str, name: str, *, grace_s: int | None = None, uid: str | None = None) -> bool:
        """With what belongs to it, which goes a little later. Whether it was there."""
        body: dict[str, Any] = {"propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            self._ask(kind, f"delete_namespaced_{kind}", name, namespace, body=body)
        except ClusterAnswer as answer:
            if answer.status in (404, 409):
                return False
            raise
        return True

    def list(self, kind: str, namespace: str, *, labels: str = "", fields: str = "") -> tuple[list[Thing], str]:
        """All objects of a kind that have these labels, and as of when (for `watch`)."""
        found = _data(self._ask(kind, f"list_namespaced_{kind}", namespace, label_selector=labels, field_selector=fields))
        return list(found.get("items") or ()), str(found["metadata"].get("resourceVersion") or "")

    def watch(self, kind: str, namespace: str, *, labels: str, since: str) -> Watching:
        """What changes from `since` on."""
        response = self._ask(
            kind, f"list_namespaced_{kind}", namespace, label_selector=labels, resource_version=since, watch=True, allow_watch_bookmarks=True,
            timeout_seconds=WATCH_S, _request_timeout=(CALL_S[0], WATCH_S + 30.0),
        )
        watching = Watching(response, self._watches)
        self._watches.add(watching)
        return watching

    def close(self) -> None:
        """Break off what is being watched; threads end by themselves."""
        for watching in tuple(self._watches):
            watching.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._api is not None:
            self._api.close()
            _close_files(self._api.configuration)

    # ---- inside

    def _ask(self, kind: str, method: str, *arguments: Any, **named: Any) -> Any:
        """One request. Its answer, not read yet when it is a watch. Raises ClusterAway, ClusterAnswer."""
        from kubernetes import client
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        api = self._client()
        group = client.BatchV1Api(api) if kind == "job" else client.CoreV1Api(api)
        try:
            return getattr(group, method)(*arguments, _preload_content=False, **{"_request_timeout": CALL_S} | named)
        except ApiException as exc:
            if not exc.status:
                raise self._away(exc) from exc
            raise ClusterAnswer(exc.status, _message(exc.body, str(exc.reason))) from exc
        except AttributeError as exc:  # the library stumbles over its own error when TLS fails: that one has no body
            if not isinstance(exc.__context__, ApiException):
                raise
            raise self._away(exc.__context__) from exc
        except (HTTPError, OSError) as exc:
            raise self._away(exc) from exc

    def _away(self, exc: BaseException) -> ClusterAway:
        host = getattr(getattr(self._api, "configuration", None), "host", "") or "its usual place"
        return ClusterAway(
            f"the Kubernetes API server at {host} cannot be reached: {_first_line(exc)}",
            hint="is it running? See [runner.kubernetes] kubeconfig and context, or taskRunner.config",
        )

    def _client(self) -> Any:
        if self._api is None:
            try:
                from kubernetes import client, config
            except ImportError as exc:
                raise RunnerRefused(
                    "the client library of Kubernetes is not installed", hint="pip install 'podium[kubernetes]', then start the daemon again"
                ) from exc
            made = client.Configuration()
            try:
                if self._access.connection is not None:
                    _from_connection(self._access.connection, made)
                    self._default_namespace = str(self._access.connection.get("namespace") or "default")
                else:
                    self._default_namespace = _from_files(self._access, made, config)
            except (config.ConfigException, OSError, ValueError) as exc:
                raise RunnerRefused(
                    f"no Kubernetes cluster is known: {_first_line(exc)}", hint="set [runner.kubernetes] kubeconfig, or run the daemon in the cluster"
                ) from exc
            made.retries = False
            made.connection_pool_maxsize = _THREADS_MAX + 8
            self._api = client.ApiClient(made)
        return self._api


class Watching:
    """What the API server says of one watch, line by line. `lines` blocks; `close` from another thread ends it."""

    def __init__(self, response: Any, opened: set[Watching]) -> None:
        self._response = response
        self._opened = opened

    def lines(self) -> Iterator[bytes]:
        """Raises ClusterAway when the connection breaks."""
        from urllib3.exceptions import HTTPError

        rest = b""
        try:
            while data := self._response.read1(256 * 1024):
                *whole, rest = (rest + data).split(b"\n")
                yield from filter(None, whole)
        except (HTTPError, OSError, ValueError, AttributeError) as exc:
            raise ClusterAway(f"the connection to the Kubernetes API server broke: {_first_line(exc)}", hint="it is taken up again") from exc

    def close(self) -> None:
        """Wake whoever reads, and give the connection back."""
        self._opened.discard(self)
        with suppress(OSError, ValueError, AttributeError), socket.socket(fileno=socket.dup(self._response.fileno())) as connection:
            connection.shutdown(socket.SHUT_RDWR)
        self._response.close()


def _from_files(access: Access, made: Any, config: Any) -> str:
    """Fill a client configuration as the machine is set up; the namespace to work in."""
    if access.inside and access.kubeconfig is None and access.context is None:
        config.load_incluster_config(client_configuration=made)
        with suppress(OSError):
            return _NAMESPACE_FILE.read_text().strip()
        return "default"
    file = str(access.kubeconfig) if access.kubeconfig else None
    config.load_kube_config(config_file=file, context=access.context, client_configuration=made)
    contexts, active = config.list_kube_config_contexts(config_file=file)
    chosen = next((each for each in contexts if each["name"] == access.context), active)
    return str(chosen["context"].get("namespace") or "default")


def _from_connection(given: Mapping[str, Any], made: Any) -> None:
    """Fill a client configuration from a task's `config`."""
    check_connection(given)
    made.host = str(given["masterUrl"]).rstrip("/")
    made.verify_ssl = not _is_true(given.get("trustCerts"))
    if _is_true(given.get("disableHostnameVerification")):
        made.assert_hostname = False
    for key, attribute in (("caCertData", "ssl_ca_cert"), ("clientCertData", "cert_file"), ("clientKeyData", "key_file")):
        if given.get(key):
            setattr(made, attribute, _as_file(str(given[key]), key))
    if given.get("oauthToken"):
        made.api_key["authorization"] = f"Bearer {given['oauthToken']}"
    if given.get("username"):
        text = base64.b64encode(f"{given['username']}:{given.get('password') or ''}".encode()).decode()
        made.api_key["authorization"] = f"Basic {text}"


def _as_file(data: str, what: str) -> str:
    """PEM text, or its base64 as a kubeconfig has it, by the name of a file in memory: the library wants one, and no disk shall have it."""
    if "-----BEGIN" not in data:
        try:
            data = base64.b64decode(data, validate=True).decode()
        except ValueError as exc:
            raise RunnerRefused(f"taskRunner.config.{what} is neither PEM text nor its base64", hint="give it with secret('NAME')") from exc
    handle = os.memfd_create(what)
    os.write(handle, data.encode())
    return f"/proc/self/fd/{handle}"


def _close_files(made: Any) -> None:
    for path in (made.ssl_ca_cert, made.cert_file, made.key_file):
        if str(path).startswith("/proc/self/fd/"):
            os.close(int(str(path).rpartition("/")[2]))


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _data(response: Any) -> Thing:
    found: Thing = json.loads(response.data)
    return found


def _message(body: Any, reason: str) -> str:
    try:
        return str(json.loads(body)["message"])[:2000]
    except (ValueError, KeyError, TypeError):
        return (body.decode(errors="replace") if isinstance(body, bytes) else str(body or reason))[:500]


def _first_line(exc: BaseException) -> str:
    return (str(exc) or type(exc).__name__).splitlines()[0][:300]
