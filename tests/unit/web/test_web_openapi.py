"""The OpenAPI document and the routes are one table; the user docs name every route."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from podium.web.routes import PREFIXES, document
from podium.web.server import API_ROUTES

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = document(API_ROUTES, version="0.1.0")


def test_every_route_is_in_the_document() -> None:
    listed = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    wanted = {
        (route.method, re.sub(r"\{(\w+)(:[^}]*)?\}", r"{\1}", route.path if route.root else PREFIXES[0] + route.path)) for route in API_ROUTES if not route.hidden
    }
    assert listed == wanted
    assert len(listed) > 70


def test_operations_have_names_of_their_own() -> None:
    names = Counter(operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values())
    assert [name for name, count in names.items() if count > 1] == []


def test_every_reference_leads_somewhere() -> None:
    for found in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)):
        target = DOCUMENT
        for part in found.split("/"):
            target = target[part]


def test_no_two_paths_differ_only_in_the_names_of_their_variables() -> None:
    shapes = Counter(re.sub(r"\{\w+\}", "{}", path) for path in DOCUMENT["paths"])
    assert [shape for shape, count in shapes.items() if count > 1] == []


def test_every_variable_of_a_path_is_a_parameter() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            assert {each["name"] for each in operation["parameters"] if each["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))


def test_the_user_docs_name_every_route() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    paths = [(route.method, re.sub(r"(\{execution):[^}]*", r"\1", route.path)) for route in API_ROUTES if not route.hidden]
    missing = [f"{method} {path}" for method, path in paths if path.split("{path")[0] not in text and "/by-" not in path]
    assert missing == []
