"""From what somebody asks to the messages for the model, and from its answer to a flow. Pure.

What always holds: what is sent is bounded (CONTEXT_CHARS) and holds names of secrets and flows only, no values, logs or inputs; an answer
is only ever text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podium.copilot.catalogue import Catalogue
from podium.copilot.words import RULES

PROMPT_CHARS_MAX = 10_000
FLOW_CHARS_MAX = 200_000
CONTEXT_CHARS = 24_000
"""Characters of types in a prompt, at most: some 6,000 tokens."""
_NAMES_MAX = 60
_PROBLEMS_MAX = 20
_TURNS_MAX = 4
_CHARS_PER_TOKEN = 4
_BLOCK = re.compile(r"^[ \t]*```[ \t]*(?P<language>[a-zA-Z]*)[^\n]*\n(?P<text>.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_FLOW = re.compile(r"^(?:id|namespace|tasks)\s*:", re.MULTILINE)
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What somebody wants. flow: the present text, "" for a new one. flows, secrets: names in the namespace. turns: (request, answer) before."""

    prompt: str
    flow: str = ""
    namespace: str = ""
    flows: Sequence[str] = ()
    secrets: Sequence[str] = ()
    turns: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """messages: for the model. types: those that it is told of."""

    messages: list[dict[str, str]]
    types: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """About how many."""
        return sum(len(each["content"]) for each in self.messages) // _CHARS_PER_TOKEN


def build(ask: Ask, catalogue: Catalogue, *, chars: int = CONTEXT_CHARS) -> Context:
    """The messages of the first round."""
    entries = catalogue.about(f"{ask.prompt} {' '.join(turn[0] for turn in ask.turns)}", ask.flow, chars=chars)
    names = []
    if ask.namespace:
        names.append(f"Namespace: {ask.namespace}")
    if ask.flows:
        names.append(f"Flows there (for subflows and flow triggers): {', '.join(ask.flows[:_NAMES_MAX])}")
    if ask.secrets:
        names.append(f"Names of secrets: {', '.join(ask.secrets[:_NAMES_MAX])}")
    rest = ["# Names of the other types", catalogue.others(entries)]
    system = "\n".join([RULES, "\n".join(names), "# Types\n", *(each.card for each in entries), *rest])
    messages = [{"role": "system", "content": system}]
    for request, answer in ask.turns[-_TURNS_MAX:]:
        messages += [{"role": "user", "content": f"<request>\n{request}\n</request>"}, {"role": "assistant", "content": f"```yaml\n{answer}\n```"}]
    present = f"<flow>\n{ask.flow.rstrip()}\n</flow>\n" if ask.flow.strip() else "There is no flow yet: write a new one.\n"
    messages.append({"role": "user", "content": f"{present}<request>\n{ask.prompt.strip()}\n</request>"})
    return Context(messages=messages, types=tuple(each.name for each in entries))


def repair(answer: str, problems: Sequence[Mapping[str, object]], catalogue: Catalogue, told: Sequence[str]) -> list[dict[str, str]]:
    """What is said after an answer with mistakes. told: types that the model knows already."""
    lines = [
        f"- line {each.get('line')}, {each.get('path') or 'flow'}: {each.get('message')}" + (f" (hint: {each['hint']})" if each.get("hint") else "")
        for each in problems[:_PROBLEMS_MAX]
    ]
    hinted = re.findall(r"io\.kestra\.plugin\.[A-Za-z0-9_.]+", " ".join(str(each.get("hint") or "") for each in problems))
    wrong = " ".join(str(each.get("message")) for each in problems if each.get("code") == "unknown-type")
    more = [each for each in [*catalogue.named(hinted), *(catalogue.find(wrong, limit=3) if wrong else [])] if each.name not in told]
    cards = "\n# More types\n" + "\n".join(each.card for each in dict.fromkeys(more)) if more else ""
    listed = "\n".join(lines)
    text = f"The validator refuses this flow:\n<problems>\n{listed}\n</problems>\n{cards}\nAnswer with the whole corrected flow in one ```yaml block."
    return [{"role": "assistant", "content": answer}, {"role": "user", "content": text}]


NO_FLOW = ({
    "line": 1, "path": "", "code": "no-flow", "message": "the answer holds no ```yaml block with a flow", "hint": "answer with the whole flow",
},)


def flow_in(answer: str) -> tuple[str, str]:
    """(the flow, what was said before it) of an answer; an empty flow when there is none. The last block that looks like a flow counts."""
    bare = _THOUGHTS.sub("", answer)
    blocks = [match for match in _BLOCK.finditer(bare) if match["language"].lower() in ("", "yaml", "yml") and _FLOW.search(_plain(match["text"]))]
    if blocks:
        return _plain(blocks[-1]["text"]), bare[: blocks[0].start()].strip()[:2_000]
    start = _FLOW.search(bare)
    if start is not None and re.search(r"^tasks\s*:", bare, re.MULTILINE) and "```" not in bare:
        return bare[start.start() :].rstrip() + "\n", bare[: start.start()].strip()[:2_000]
    return "", bare.strip()[:2_000]


def _plain(text: str) -> str:
    """Without what all lines are indented by."""
    lines = text.rstrip().split("\n")
    pad = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[pad:] for line in lines) + "\n"
