"""Logging in and out: a name and a password, or a token, for a session cookie."""

from __future__ import annotations

from aiohttp import web

from podium.base.errors import LimitError
from podium.web.context import TRUST, context
from podium.web.errors import headers_for
from podium.web.pages.render import page, render, text_for
from podium.web.params import read_form
from podium.web.people.access import is_https, safe_next
from podium.web.people.identify import COOKIE
from podium.web.routes import Route

_FORM_BYTES = 64 * 1024


async def _page(request: web.Request, *, status: int = 200, target: str, user: str = "", wrong: str = "", token: bool = False) -> web.Response:
    people = context(request).door.roster.people
    return await render(
        request, "people/login.html", status=status, next=target, user=user, wrong=wrong, with_users=bool(people.persons), by_token=token,
    )


async def login_page(request: web.Request) -> web.StreamResponse:
    """The form."""
    context(request).access.check(request)
    target = safe_next(request.query.get("next"))
    if request[TRUST] is not None:
        raise web.HTTPSeeOther(target)
    return await _page(request, target=target, token="token" in request.query)


async def login(request: web.Request) -> web.StreamResponse:
    """Trade a password or a token for a cookie."""
    here = context(request)
    here.access.check(request)
    async with read_form(request, text_limit=_FORM_BYTES, file_limit=0) as form:
        user, secret, target = form.first("user").strip(), form.first("password") or form.first("token"), safe_next(form.first("next"))
        by_token = bool(form.first("token"))
    try:
        cookie = await here.door.login(request, user, secret, here.clock.now()) if secret else None
    except LimitError as error:
        response = await _page(request, status=429, target=target, user=user, wrong=f"{error.what}: {error.hint}", token=by_token)
        response.headers.update(headers_for(error, 429))
        return response
    if cookie is None:
        wrong = text_for("people.wrong_token" if by_token else "people.wrong_password")
        return await _page(request, status=401, target=target, user=user, wrong=wrong, token=by_token)
    response = web.HTTPSeeOther(target)
    response.set_cookie(
        COOKIE, cookie, max_age=here.door.sessions.length_s, httponly=True, samesite="Lax", path="/", secure=is_https(request, here.public_url),
    )
    raise response


async def logout(request: web.Request) -> web.StreamResponse:
    """Forget the cookie."""
    context(request).access.check(request)
    response = web.HTTPSeeOther("/login")
    response.del_cookie(COOKIE, path="/")
    raise response


ROUTES: tuple[Route, ...] = (
    page("GET", "/login", login_page, to_all=True),
    page("POST", "/login", login, to_all=True),
    page("POST", "/logout", logout, to_all=True),
)
