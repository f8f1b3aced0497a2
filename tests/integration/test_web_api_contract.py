"""What the OpenAPI document says is what is answered: every operation is called once as a client would, then fuzzed with schemathesis.

What would break if it failed: a client made from the document. Real daemon: tests/acceptance/test_api_contract_daemon.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis import checks

from api_seeds import PATHS, SEEDS, Seed, Served, served, streams
from podium.web.routes import PREFIXES, Route, document
from podium.web.server import API_ROUTES

VARIABLE = re.compile(r"\{(\w+)(:[^}]*)?\}")
DOCUMENT = document(API_ROUTES, version="0.1.0")
OPERATIONS = [route for route in API_ROUTES if not route.hidden]
EXAMPLES = 3
"""Calls that schemathesis makes up for each operation."""
NEEDS_GIT = "writes to, or reads from, the repository of a source"
NOT_HERE = {
    r"(GET|POST) /edits/.*": NEEDS_GIT, r"(POST|PUT|DELETE) /flows(/bulk|/import|/(enable|disable|delete)/.*|/{namespace}(/{id})?)?": NEEDS_GIT,
    r".* /namespaces/{namespace}/files.*": NEEDS_GIT, r".* /dashboards(/{dashboard}.*|/charts/.*)?": "dashboards come with a deployment",
    r".* /deliveries.*": "the log of deliveries is a file of the daemon", r"GET /instance.*": "what it says is of the daemon",
    r"POST /copilot/flow": "needs a model to ask", r"POST /account/.*": "needs somebody who logged in: test_web_auth",
}
"""Operations that cannot be a 2xx in this world, and why. With a real daemon: tests/acceptance/test_api_contract_daemon.py."""


def name_of(route: Route) -> str:
    """GET /executions/{execution}: without patterns."""
    return f"{route.method} " + VARIABLE.sub(r"{\1}", route.path)


@pytest.fixture(scope="module")
def house() -> Iterator[Served]:
    with served() as made:
        yield made


def call(house: Served, route: Route, seed: Seed) -> requests.Response:
    """The call that a seed describes."""
    names = {**PATHS, **seed.path}
    path = VARIABLE.sub(lambda match: requests.utils.quote(house.fill(names.get(match[1], match[1])), safe=""), route.path)
    more: dict[str, Any] = {"json": house.fill(seed.body)} if seed.kind == "application/json" and seed.body is not None else {}
    if seed.kind != "application/json":
        more = {"data": house.fill(seed.body).encode(), "headers": {"Content-Type": seed.kind}}
    url = house.url + ("" if route.root else PREFIXES[0]) + path
    return requests.request(route.method, url, params=house.fill(dict(seed.query)), timeout=30, allow_redirects=False, stream=streams(route), **more)


def test_every_operation_answers_as_the_document_says() -> None:
    """Each over a world of its own when it changes something."""
    failed, good = {}, set()
    with served() as shared:
        for route in OPERATIONS:
            name = name_of(route)
            if route.method == "GET":
                found = _conforms(shared, route, SEEDS.get(name, Seed()))
            else:
                with served() as fresh:
                    found = _conforms(fresh, route, SEEDS.get(name, Seed()))
            if found is None:
                good.add(name)
            else:
                failed[name] = found
    assert [f"{name}: {why}" for name, why in failed.items() if not any(re.fullmatch(each, name) for each in NOT_HERE)] == []
    assert len(good) / len(OPERATIONS) >= 0.75


def _conforms(house: Served, route: Route, seed: Seed) -> str | None:
    """None when the answer is a 2xx of the shape that the document has, else what it is."""
    with call(house, route, seed) as answered:
        if not 200 <= answered.status_code < 300:
            return f"{answered.status_code} {answered.text[:300]}"
        if answered.status_code not in route.answers:
            return f"{answered.status_code} is not in the document"
        schema = route.answers[answered.status_code]
        kind = answered.headers.get("Content-Type", "").partition(";")[0]
        if schema is None:
            return None if not answered.content else "no body was promised"
        if kind != route.content and not route.stream:
            return f"{kind} instead of {route.content}"
        if kind != "application/json":
            return None
        errors = list(Draft202012Validator({**schema, "components": DOCUMENT["components"]}).iter_errors(answered.json()))
        return f"{errors[0].json_path}: {errors[0].message[:300]}" if errors else None


SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
FUZZED = [each.ok() for each in SCHEMA.get_all_operations()]
SLOW = frozenset({"GET /events"})


@pytest.mark.parametrize("operation", FUZZED, ids=[f"{each.method.upper()} {each.path}" for each in FUZZED])
def test_no_made_up_call_breaks_it(house: Served, operation: Any) -> None:
    name = f"{operation.method.upper()} {operation.path.removeprefix(PREFIXES[0])}"
    route = next(each for each in OPERATIONS if name_of(each) == name)

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        for key in list(case.path_parameters or {}):
            if key in PATHS and len(str(case.path_parameters[key])) % 3:  # most calls are about what is there
                case.path_parameters[key] = house.fill(PATHS[key])
        if streams(route):
            with requests.request(case.method, house.url + case.formatted_path, params=case.query, stream=True, timeout=10) as answered:
                assert answered.status_code < 500
            return
        answered = case.call(base_url=house.url, timeout=30)
        case.validate_response(answered, checks=[
            checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance,
        ])

    run()
