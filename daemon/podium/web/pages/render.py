"""Making a page: the templates, the words they use for dates and durations, and what every page shows around its own content.

Called by every page. What always holds: templates escape all they print; a page never fails
because a fact that may be absent (of a view, of a banner) is absent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web
from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

from podium.base.system.disk import readable
from podium.flows.model import STATES, TERMINAL
from podium.flows.types import short_type
from podium.storage.crypto import is_sealed
from podium.web.context import TRUST, context
from podium.web.pages.banners import banners
from podium.web.pages.icons import icon
from podium.web.pages.navigation import FLASH_COOKIE, flashed, navigation
from podium.web.pages.text import breakable, first_line, plain, with_files
from podium.web.pages.timeline import ago, clock_text, length_of_time, moment_of, took
from podium.web.people.roles import CALLER, Role
from podium.web.routes import Handler, Route
from podium.web.wire import encode, pretty

HERE = Path(__file__).parent.parent
TAG = "pages"
PAGE_SIZE = 25
_SHORT_CHARS = 80
"""JSON up to this length stays on one line."""
ACTIVE = tuple(state for state in STATES if state not in TERMINAL)


def page(method: str, path: str, handler: Handler, *, to_all: bool = False, needs: Role | None = None, everywhere: bool = False) -> Route:
    """The route of a page. to_all: strangers may see it. needs, everywhere: see Route."""
    return Route(
        method=method, path=path, handler=handler, about="", tag=TAG, root=True, hidden=True, open=to_all, needs=needs, everywhere=everywhere
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates with everything they may call."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True,
        auto_reload=False
    )
    found.tests["in_system"] = lambda key: str(key).startswith("system.")
    found.globals |= {
        "t": text_for, "icon_of": icon, "asset": asset, "flow_url": flow_url, "execution_url": execution_url, "link": link, "states": STATES,
        "terminal": TERMINAL,
    }
    found.filters |= {
        "clock": clock_text, "length_of_time": length_of_time, "pretty": _shown, "bytes": readable, "plain": plain, "with_files": with_files,
        "short": lambda text: str(text)[:8],
        "state_word": state_word, "first_line": first_line, "breakable": breakable, "short_type": short_type,
    }
    return found


@lru_cache(maxsize=1)
def strings() -> Mapping[str, Mapping[str, str]]:
    """Every English text of the pages, by section and name; the scripts have the same file."""
    found: Mapping[str, Mapping[str, str]] = json.loads((HERE / "strings.json").read_text("utf-8"))
    return found


def text_for(key: str, **values: Any) -> str:
    """The text `section.name` of strings.json with `{name}` replaced by values. A key that is not there is a mistake of ours: KeyError."""
    section, _, name = key.partition(".")
    text = strings()[section][name]
    return text.format(**values) if values else text


def state_word(state: Any) -> str:
    """What people call a state."""
    return strings()["state"].get(str(state).lower(), str(state).capitalize())


def asset(name: str) -> str:
    """The address of a file of assets/, with a mark that changes when the file does."""
    return f"/assets/{name}?v={digest(name)}"


@lru_cache(maxsize=256)
def digest(name: str) -> str:
    """A short digest of a file of assets/; "" for a script that was not built (`podium doctor` says so)."""
    path = HERE / "assets" / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.exists() else ""


def flow_url(namespace: str, flow_id: str, **query: Any) -> str:
    """The page of a flow."""
    return link(f"/flows/{quote(str(namespace), safe='')}/{quote(str(flow_id), safe='')}", **query)


def execution_url(execution_id: str, **query: Any) -> str:
    """The page of an execution."""
    return link(f"/executions/{quote(str(execution_id), safe='')}", **query)


def link(path: str, /, **query: Any) -> str:
    """`path` with those query values that are not empty; lists repeat."""
    kept = {name.rstrip("_"): value for name, value in query.items() if value not in (None, "", [], ())}
    return f"{path}?{urlencode(kept, doseq=True, errors='replace')}" if kept else path


def _shown(value: Any) -> str:
    """A value as text for people; what is encrypted is only named."""
    hidden = hide(value)
    if isinstance(hidden, str):
        return hidden
    line = encode(hidden).decode()
    return line if len(line) <= _SHORT_CHARS else pretty(hidden)


def hide(value: Any) -> Any:
    """`value` with each encrypted value in it replaced by a mask."""
    if is_sealed(value):
        return "********"
    if isinstance(value, Mapping):
        return {key: hide(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide(item) for item in value]
    return value


def _since(value: Any, now: datetime) -> Markup:
    moment = value if isinstance(value, datetime) else moment_of(value)
    if moment is None:
        return Markup("–")
    return Markup('<time datetime="{0}Z" title="{0} UTC">{1}</time>').format(moment.strftime("%Y-%m-%dT%H:%M:%S"), ago(moment, now))


def fragment(request: web.Request, template: str, **values: Any) -> Markup:
    """A piece of a page, with what every page may print, without what stands around it."""
    here = context(request)
    now = here.clock.now()
    text = environment().get_template(template).render(
        **values, since=lambda value: _since(value, now), now=now, took=lambda state: took(state, now), instance=here.instance, version=here.version,
        path=request.path, who=request.get(CALLER),
    )
    return Markup(text)  # noqa: S704  # a template escapes what it prints


async def render(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page. Around it: what is refused, held back and not pushed."""
    here = context(request)
    now, who = here.clock.now(), request.get(CALLER)
    inside = bool(request.get(TRUST)) and who is not None

    def since(value: Any) -> Markup:
        return _since(value, now)

    text = environment().get_template(template).render(
        **values, since=since, now=now, took=lambda state: took(state, now), instance=here.instance, version=here.version, path=request.path,
        banners=await banners(request, text_for) if inside else [], trusted=inside, session=request.get(TRUST) == "session", flash=flashed(request),
        navigation=await navigation(request) if inside else (), person=who.name if who else "", person_mail=who.email if who else "", who=who,
    )
    response = web.Response(status=status, body=text.encode("utf-8", "replace"), content_type="text/html", charset="utf-8")
    if FLASH_COOKIE in request.cookies:
        response.del_cookie(FLASH_COOKIE, path="/")
    return response


async def form_page(request: web.Request) -> web.Response:
    """To the page with the form: a form that was sent with mistakes is shown at the address it was sent to, which cannot be read."""
    place, _, _ = request.rel_url.raw_path.rpartition("/")
    raise web.HTTPFound(f"{place}?tab=run" if "flow" in request.match_info else place)
