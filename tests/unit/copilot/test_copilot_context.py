"""What the model is told: the right types, within bounds."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
import yaml

from podium.app.plugins import load_types, load_vocabulary
from podium.copilot.catalogue import Catalogue
from podium.copilot.made import kinds_of
from podium.copilot.prompts import CONTEXT_CHARS, Ask, build, flow_in, repair
from podium.flows.schema import json_schema

REQUESTS = yaml.safe_load(Path("tests/golden/copilot/requests.yaml").read_text("utf-8"))


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    types = load_types()
    return Catalogue(json_schema(types, load_vocabulary()), kinds_of(types))


def short(names: tuple[str, ...]) -> set[str]:
    return {name.removeprefix("io.kestra.plugin.") for name in names}


def test_every_type_is_in_the_catalogue() -> None:
    assert len(catalogue()) == len(kinds_of(load_types()))


@pytest.mark.parametrize("held_out", [False, True])
def test_the_types_that_a_request_needs_are_told_of_in_few_tokens(held_out: bool) -> None:
    asked = [each for each in REQUESTS if bool(each.get("heldOut")) is held_out]
    wanted = found = 0
    tokens = []
    for each in asked:
        context = build(Ask(prompt=each["request"]), catalogue())
        wanted += len(each["types"])
        found += len(set(each["types"]) & short(context.types))
        tokens.append(context.tokens)
    assert len(asked) >= (12 if held_out else 30)
    assert found / wanted >= (0.8 if held_out else 0.95)
    assert max(tokens) <= 8_500
    assert sum(tokens) / len(tokens) <= 6_500


def test_a_card_says_what_is_required_and_gives_an_example() -> None:
    (card,) = (each.card for each in catalogue().named(["core.http.Request"]))
    assert card.startswith("## task io.kestra.plugin.core.http.Request\nCalls a URL")
    assert "- uri* (text): Address to call." in card
    assert "- retry" not in card


def test_types_of_the_present_flow_are_told_of_whatever_is_asked() -> None:
    flow = "id: f\nnamespace: n\ntasks:\n  - id: a\n    type: io.kestra.plugin.jdbc.sqlite.Query\n  - {id: b, type: core.kv.Set}\n"
    context = build(Ask(prompt="make it nicer", flow=flow, namespace="n", flows=["x"], secrets=["DB"]), catalogue())
    assert "jdbc.sqlite.Query" in short(context.types)
    system, user = context.messages[0]["content"], context.messages[-1]["content"]
    assert "Names of secrets: DB" in system
    assert f"<flow>\n{flow.rstrip()}\n</flow>" in user


def test_the_context_is_bounded() -> None:
    context = build(Ask(prompt=" ".join(each["request"] for each in REQUESTS)[:9_000]), catalogue(), chars=5_000)
    assert sum(len(each["content"]) for each in context.messages) < 5_000 + 9_500 + 4_000
    assert CONTEXT_CHARS <= 24_000


def test_a_repair_names_the_mistakes_and_tells_of_the_type_that_was_meant() -> None:
    problems = [{
        "line": 5, "path": "tasks[0].type", "code": "unknown-type", "message": "Invalid type: io.kestra.plugin.core.kv.Sett",
        "hint": "did you mean io.kestra.plugin.core.kv.Set?",
    }]
    said = repair("answer", problems, catalogue(), ())[1]["content"]
    assert "line 5, tasks[0].type: Invalid type" in said
    assert "## task io.kestra.plugin.core.kv.Set\n" in said


FLOW = "id: a\nnamespace: n\ntasks: []\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (f"Here it is.\n```yaml\n{FLOW}```\nBye", "Here it is."), (f"```yml\n{FLOW}```", ""), (f"```\n{FLOW}", ""), (FLOW, ""),
        (f"<think>\n```yaml\nid: no\n```\n</think>Good\n```yaml\n{FLOW}```", "Good"),
        (f"First\n```yaml\nid: old\ntasks: []\n```\nno, better:\n```yaml\n{FLOW}```", "First"),
        ("  ```yaml\n" + "".join(f"  {line}\n" for line in FLOW.splitlines()) + "  ```", ""),
        (f"```bash\nls\n```\n```yaml\n{FLOW}```", "```bash\nls\n```"),
    ],
)
def test_the_flow_is_found_in_an_answer(answer: str, said: str) -> None:
    assert flow_in(answer) == (FLOW, said)


@pytest.mark.parametrize("answer", ["", "I cannot do that.", "```json\n{}\n```", "```yaml\njust: data\n```", "<think>id: x\ntasks: []"])
def test_an_answer_without_a_flow_has_none(answer: str) -> None:
    assert flow_in(answer)[0] == ""
