"""One HTTP call over urllib3, as the HTTP tasks and the function `http()` need it: blocking, bounded, header names kept as received.

What always holds: credentials do not follow a redirect to another origin; only http and https are spoken; every wait has an end.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from podium.base.redact import redact_url
from podium.base.system.clock import monotonic_s
from podium.plugins.core.http.digest import digest_header
from podium.plugins.core.http.options import Auth, HttpOptions, Proxy

if TYPE_CHECKING:
    import urllib3

_REDIRECTS_MAX = 20
_CHUNK_BYTES = 256 * 1024
_MOVED = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HttpError(Exception):
    """The call could not be made, or its answer broke off. The text names the URL without its password."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent. parts: gives the bytes anew for every attempt (a redirect may repeat the call)."""

    content_type: str | None
    length: int
    parts: Callable[[], Iterator[bytes]]

    @classmethod
    def of(cls, data: bytes, content_type: str | None) -> Body:
        """A body that is at hand."""
        return cls(content_type, len(data), lambda: iter((data,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. headers: name → value or values. total_s: the longest it may take altogether, None for no such limit."""

    uri: str
    method: str = "GET"
    headers: Mapping[str, str | list[str]] = field(default_factory=dict)
    body: Body | None = None
    options: HttpOptions = field(default_factory=HttpOptions)
    total_s: float | None = None


class Answer:
    """An answer whose body is still on its way."""

    def __init__(self, response: urllib3.BaseHTTPResponse, uri: str, deadline: float | None) -> None:
        self._response = response
        self._deadline = deadline
        self.status = response.status
        self.uri = uri
        self.headers: dict[str, list[str]] = {}
        for name, value in response.headers.iteritems():
            self.headers.setdefault(name, []).append(value)

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name."""
        return self._response.headers.get(name)

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names."""
        return content_type_of(self.header("Content-Type") or "")[1]

    @property
    def encoded(self) -> bool:
        """Whether the body came compressed, so that Content-Length counts other bytes than `chunks` gives."""
        return (self.header("Content-Encoding") or "identity").lower() != "identity"

    def chunks(self) -> Iterator[bytes]:
        """The body, decompressed, piece by piece. Raises HttpError when it breaks off or takes too long."""
        import urllib3.exceptions

        try:
            for chunk in self._response.stream(_CHUNK_BYTES, decode_content=True):
                if self._deadline is not None and monotonic_s() > self._deadline:
                    raise HttpError(f"{redact_url(self.uri)}: the answer took too long")
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HttpError(f"{redact_url(self.uri)}: the answer broke off: {_reason(error)}") from error

    def read(self, bytes_max: int) -> bytes:
        """The whole body. Raises HttpError for one of over `bytes_max` bytes."""
        data = bytearray()
        for chunk in self.chunks():
            data += chunk
            if len(data) > bytes_max:
                raise HttpError(f"{redact_url(self.uri)}: the answer has over {bytes_max} bytes (maxContentLength)")
        return bytes(data)

    def lines(self) -> Iterator[str]:
        """The body as UTF-8 lines without their ends, as they arrive."""
        import codecs

        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        for chunk in self._pieces():
            rest = (rest + decoder.decode(chunk)).replace("\r\n", "\n")
            *whole, rest = rest.split("\n")
            yield from whole
        if rest:
            yield rest

    def _pieces(self) -> Iterator[bytes]:
        """What has arrived so far, without waiting for a full buffer."""
        import urllib3.exceptions

        try:
            while chunk := self._response.read1(_CHUNK_BYTES, decode_content=True):
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise HttpError(f"{redact_url(self.uri)}: the stream broke off: {_reason(error)}") from error


@contextmanager
def call(request: Call) -> Iterator[Answer]:
    """Send a request and give its answer, whatever the status; the connection is closed after the block. Raises HttpError."""
    import urllib3.exceptions

    deadline = monotonic_s() + request.total_s if request.total_s is not None else None
    try:
        pool = _pool(request.options, request.uri)
        response, uri = _follow(pool, request, deadline)
    except (urllib3.exceptions.HTTPError, OSError, ValueError, ImportError) as error:
        raise HttpError(f"{request.method} {redact_url(request.uri)}: {_reason(error)}") from error
    try:
        yield Answer(response, uri, deadline)
    finally:
        response.close()
        pool.clear()


def content_type_of(header: str) -> tuple[str, str | None]:
    """Media type (lower case) and charset of a Content-Type header."""
    media, _, rest = header.partition(";")
    for parameter in rest.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip():
            return media.strip().lower(), value.strip().strip("\"'")
    return media.strip().lower(), None


def _follow(pool: urllib3.PoolManager, request: Call, deadline: float | None) -> tuple[urllib3.BaseHTTPResponse, str]:
    for _ in range(_REDIRECTS_MAX + 1):
        response = _authorised(pool, request, deadline)
        target = response.headers.get("Location")
        if not (request.options.follow_redirects and response.status in _MOVED and target):
            return response, request.uri
        response.drain_conn()
        response.close()
        request = _redirected(request, response.status, urljoin(request.uri, target))
    raise HttpError(f"{redact_url(request.uri)}: more than {_REDIRECTS_MAX} redirects")


def _redirected(request: Call, status: int, target: str) -> Call:
    """The request that a redirect asks for: as browsers do, a POST becomes a GET after 301, 302 and 303."""
    changed = replace(request, uri=target)
    if (status == 303 and request.method != "HEAD") or (status in (301, 302) and request.method == "POST"):
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("content-type", "content-length")}
        changed = replace(changed, method="GET", body=None, headers=headers)
    if _origin(target) != _origin(request.uri):
        private = ("authorization", "cookie", "proxy-authorization")
        headers = {name: value for name, value in changed.headers.items() if name.lower() not in private}
        anonymous = request.options.model_copy(update={"auth": None, "basic_auth_user": None})
        changed = replace(changed, headers=headers, options=anonymous)
    return changed


def _authorised(pool: urllib3.PoolManager, request: Call, deadline: float | None) -> urllib3.BaseHTTPResponse:
    auth = request.options.credentials()
    response = _send(pool, request, deadline, _simple_authorization(auth))
    challenge = response.headers.get("WWW-Authenticate", "")
    if auth is None or auth.type != "DIGEST" or response.status != 401 or not challenge.lower().startswith("digest"):
        return response
    response.drain_conn()
    response.close()
    parts = urlsplit(request.uri)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _send(pool, request, deadline, digest_header(challenge, auth.username or "", auth.password or "", request.method, path))


def _simple_authorization(auth: Auth | None) -> str | None:
    import base64

    if auth is None or auth.type == "DIGEST":
        return None
    if auth.type == "BEARER":
        return f"Bearer {auth.token or ''}"
    return "Basic " + base64.b64encode(f"{auth.username or ''}:{auth.password or ''}".encode()).decode()


def _send(pool: urllib3.PoolManager, request: Call, deadline: float | None, authorization: str | None) -> urllib3.BaseHTTPResponse:
    import urllib3

    if urlsplit(request.uri).scheme not in _DEFAULT_PORTS:
        raise HttpError(f"{redact_url(request.uri)} is not an http or https URL")
    headers = urllib3.HTTPHeaderDict()
    for name, value in {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "Podium", **_folded(request)}.items():
        for each in [value] if isinstance(value, str) else value:
            headers.add(name, each)
    if authorization is not None and "Authorization" not in headers:
        headers["Authorization"] = authorization
    if request.body is not None:
        headers["Content-Length"] = str(request.body.length)
        if request.body.content_type and "Content-Type" not in headers:
            headers["Content-Type"] = request.body.content_type
    elif request.method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = "0"
    left = None if deadline is None else max(deadline - monotonic_s(), 0.001)
    timeout = urllib3.Timeout(connect=_least(request.options.connect_s(), left), read=_least(request.options.read_s(), left))
    return pool.request(
        request.method, request.uri, headers=headers, body=request.body.parts() if request.body else None,
        timeout=timeout, retries=False, redirect=False, preload_content=False,
    )


def _folded(request: Call) -> dict[str, Any]:
    """The request's headers over those of the options; of names that differ only in case the later wins, also over our own."""
    names = {"accept": "Accept", "accept-encoding": "Accept-Encoding", "user-agent": "User-Agent"}
    folded: dict[str, Any] = {}
    for name, value in [*request.options.headers.items(), *request.headers.items()]:
        known = names.setdefault(name.lower(), name)
        folded[known] = value
    return folded


def _pool(options: HttpOptions, uri: str) -> urllib3.PoolManager:
    import urllib3

    context = ssl.create_default_context()
    if options.insecure():
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the flow says so on purpose
    proxy = options.via()
    if proxy is None:
        url = _environment_proxy(uri)
        return urllib3.ProxyManager(url, ssl_context=context) if url else urllib3.PoolManager(ssl_context=context)
    if proxy.type == "DIRECT":
        return urllib3.PoolManager(ssl_context=context)
    return _through(proxy, context)


def _through(proxy: Proxy, context: ssl.SSLContext) -> urllib3.PoolManager:
    import urllib3
    from urllib3.contrib.socks import SOCKSProxyManager

    if not proxy.address or not proxy.port:
        raise HttpError(f"a proxy of type {proxy.type} needs an address and a port")
    if proxy.type == "SOCKS":
        return SOCKSProxyManager(
            f"socks5h://{proxy.address}:{proxy.port}", username=proxy.username, password=proxy.password, ssl_context=context
        )
    headers = urllib3.make_headers(proxy_basic_auth=f"{proxy.username}:{proxy.password or ''}") if proxy.username else None
    return urllib3.ProxyManager(f"http://{proxy.address}:{proxy.port}", proxy_headers=headers, ssl_context=context)


def _environment_proxy(uri: str) -> str | None:
    """The proxy that the machine's environment names for this URL; never for this machine itself."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(uri)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _origin(uri: str) -> tuple[str, str, int | None]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _least(one: float | None, other: float | None) -> float | None:
    given = [each for each in (one, other) if each is not None]
    return min(given) if given else None


def _reason(error: Exception) -> str:
    import urllib3.exceptions

    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the host's name is unknown"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return f"cannot connect: {_last_part(error)}"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "cannot connect in time"
    if isinstance(error, (urllib3.exceptions.ReadTimeoutError, TimeoutError)):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return f"the connection broke: {error.args[-1] if error.args else error}"
    return redact_url(str(error)) or type(error).__name__


def _last_part(error: Exception) -> str:
    """What the system said, without the library's words around it."""
    return str(error.__cause__ or error).rpartition("] ")[2]
