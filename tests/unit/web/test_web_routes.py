"""A path whose pattern is compiled late is otherwise aiohttp's own, and the routes stand in aiohttp's order."""

from __future__ import annotations

import re

import pytest
from aiohttp import web

from podium.web.pages import routes as site
from podium.web.routes import PREFIXES, LatePath, register
from podium.web.server import API_ROUTES

ROUTES = [*API_ROUTES, *site.ROUTES]
PATHS = [
    path for route in ROUTES for each in (route.path, *route.also) for path in ([each] if route.root else [prefix + each for prefix in PREFIXES])
    if "{" in path
]


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_a_late_path_is_what_aiohttp_makes_of_it(path: str) -> None:
    late, made = LatePath(path), web.DynamicResource(path)
    assert late.canonical == made.canonical
    assert late.get_info() == made.get_info()
    assert late.raw_match(path)


def test_it_matches_what_aiohttp_matches() -> None:
    given = {re.sub(r"\{[^}]*\}", text, path) for path in PATHS for text in ("a", "a.b", "a/b", "search", "", "%2F", "a:b")}
    for path in sorted(set(PATHS)):
        late, made = LatePath(path), web.DynamicResource(path)
        assert [each for each in given if late._match(each) != made._match(each)] == [], path


def test_nothing_is_compiled_until_a_request_comes_near() -> None:
    app = web.Application()
    register(app, ROUTES)
    late = [each for each in app.router.resources() if isinstance(each, LatePath)]
    assert len(late) > 100
    assert [each.canonical for each in late if "_made" in vars(each)] == []
    assert not any(isinstance(each, web.DynamicResource) for each in app.router.resources())


def test_the_routes_are_those_of_aiohttp_in_their_order() -> None:
    ours, theirs = web.Application(), web.Application()
    register(ours, ROUTES)
    for route in ROUTES:
        for path in [route.path] if route.root else [prefix + each for each in (route.path, *route.also) for prefix in PREFIXES]:
            if route.method == "GET" and not route.stream:
                theirs.router.add_get(path, route.handler)
            else:
                theirs.router.add_route(route.method, path, route.handler)
    assert [shape(each) for each in ours.router.resources()] == [shape(each) for each in theirs.router.resources()]


def shape(resource: web.AbstractResource) -> tuple[str, list[tuple[str, object]]]:
    return resource.canonical, [(route.method, route.handler) for route in resource]


def test_a_path_with_a_prefix_is_compiled_anew() -> None:
    path = LatePath("/flows/{id}")
    assert str(path.url_for(id="a b")) == "/flows/a%20b"
    path.add_prefix("/at")
    assert str(path.url_for(id="a b")) == "/at/flows/a%20b"
    assert path.canonical == "/at/flows/{id}"
