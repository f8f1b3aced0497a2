"""Puts the copilot together from plain settings. Called by app/wiring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podium.copilot.assistant import Copilot
from podium.copilot.catalogue import Catalogue
from podium.copilot.provider import Provider, ProviderSettings
from podium.flows.load import parse_flows
from podium.flows.types import Types


def kinds_of(types: Types) -> dict[str, str]:
    """Type → what it is, in the words of the catalogue."""
    return {
        **dict.fromkeys(types.tasks, "task"), **dict.fromkeys(types.triggers, "trigger"), **dict.fromkeys(types.conditions, "condition"),
        **dict.fromkeys(types.runners, "task runner"),
    }


def make_copilot(
    settings: ProviderSettings, *, types: Types, schema: Callable[[], Mapping[str, Any]], secrets: Callable[[str], Mapping[str, str]]
) -> Copilot:
    """schema: of flows/schema. secrets: (namespace) → name → value, of all that must not be sent."""

    def check(text: str) -> list[dict[str, Any]]:
        found = parse_flows(text, file="flow.yaml", types=types)
        problems = [problem.as_dict() for each in found for problem in each.problems]
        if not found:
            problems = [{"line": 1, "column": 1, "path": "", "code": "empty", "message": "there is no flow", "hint": "write id, namespace and tasks"}]
        return problems

    return Copilot(Provider(settings), check=check, secrets=secrets, make=lambda: Catalogue(schema(), kinds_of(types)))
