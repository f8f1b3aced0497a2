"""Variables and labels that podium.yaml gives the flows of a namespace."""

from __future__ import annotations

import pytest

from fake_orchestrator import Log
from podium.flows.types import Types
from podium.sources.editing.in_force import in_force
from podium.sources.reading.parse import parse_body
from podium.sources.reading.project import parse_project

TYPES = Types.build(tasks=[Log])
PROJECT = b"""variables: {region: eu, tier: {name: gold}}
labels: {team: everybody}
namespaces:
  company:
    variables: {region: us}
    labels: {team: data, cost: "17"}
  company.team:
    variables: {bucket: b}
"""
FLOW = f"id: f\nnamespace: company.team\nlabels: {{cost: mine}}\ntasks:\n  - id: say\n    type: {Log.TYPE}\n    message: hi\n"


def test_the_nearer_wins_and_the_flows_own_labels_over_all() -> None:
    project = parse_project(PROJECT, path="podium.yaml")
    assert project.problems == ()
    (claim,) = parse_body(FLOW.encode(), path="f.yaml", blob="", types=TYPES, project=project).claims
    assert claim.flow.given_variables == {"region": "us", "tier": {"name": "gold"}, "bucket": "b"}
    assert claim.flow.labels == {"team": "data", "cost": "mine"}
    other = FLOW.replace("company.team", "elsewhere")
    (claim,) = parse_body(other.encode(), path="f.yaml", blob="", types=TYPES, project=project).claims
    assert claim.flow.given_variables == {"region": "eu", "tier": {"name": "gold"}}
    assert "given_variables" not in claim.flow.model_dump()


def test_a_flow_cannot_give_itself_variables_of_its_namespace() -> None:
    for name in ("given_variables", "givenVariables"):
        parsed = parse_body(f"{FLOW}{name}: {{a: 1}}\n".encode(), path="f.yaml", blob="", types=TYPES, project=parse_project(b"", path="podium.yaml"))
        assert parsed.problems, name


@pytest.mark.parametrize(("text", "line"), [
    ("labels: {a: [1]}\n", 1), ("labels: {system.x: y}\n", 1), ("labels: 3\n", 1), ("variables: [1]\n", 1), ("namespaces:\n  a:\n    labels: {b: }\n", 3),
    ("concurrency: {limit: 1}\n", 1),
])
def test_mistakes_have_their_place(text: str, line: int) -> None:
    (problem,) = parse_project(text.encode(), path="podium.yaml").problems
    assert (problem.line, problem.code) == (line, "project-invalid")


def test_what_is_in_force_is_told_with_its_line() -> None:
    found = in_force(PROJECT, path="podium.yaml", namespace="company.team")
    assert [(each["kind"], each["name"], each["namespace"], each["line"]) for each in found] == [
        ("variables", "bucket", "company.team", 8), ("variables", "region", "company", 5), ("labels", "team", "company", 6), ("labels", "cost", "company", 6),
        ("variables", "region", "", 1), ("variables", "tier", "", 1), ("labels", "team", "", 2),
    ]
    for body in (b"\xff", b"", b"- a\n", b"namespaces: 3\n", b"{"):
        assert in_force(body, path="podium.yaml", namespace="a.b") == []
