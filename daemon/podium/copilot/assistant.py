"""Describe a flow, or a change, and get it: context → answer → our validator → repaired, ROUNDS_MAX rounds at most. See base/ports.CopilotControls.

Made by app/wiring, called by web. What always holds: nothing is sent that looks like a secret unless its writer let it be masked; what comes back is
text for a person to look at: it is parsed by the validator and never run, stored or committed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from podium.base.errors import InputError, LimitError
from podium.copilot.catalogue import Catalogue
from podium.copilot.guard import Found, Mask, find_secrets
from podium.copilot.prompts import FLOW_CHARS_MAX, NO_FLOW, PROMPT_CHARS_MAX, Ask, build, flow_in, repair
from podium.copilot.provider import Provider

ROUNDS_MAX = 3
AT_ONCE_MAX = 4
_TOLD_EVERY = 200
"""Characters of an answer between two pieces of progress."""
Check = Callable[[str], Sequence[Mapping[str, Any]]]


class SecretInPrompt(InputError):
    """What was to be sent holds something that must stay here. problems: [{message, path, line}], never the thing itself."""

    code = "secret-in-prompt"


class Copilot:
    """See the module's docstring. check: a text → its problems. secrets: (namespace) → name → value. make: the catalogue, when first needed."""

    def __init__(self, provider: Provider, *, check: Check, secrets: Callable[[str], Mapping[str, str]], make: Callable[[], Catalogue]) -> None:
        self._provider = provider
        self._check = check
        self._secrets = secrets
        self._make = make
        self._catalogue: Catalogue | None = None
        self._making = asyncio.Lock()
        self._busy = 0

    @property
    def model(self) -> str:
        """The name of the model that is asked."""
        return self._provider.model

    async def prepare(self, ask: Mapping[str, Any], *, mask: bool = False) -> AsyncIterator[dict[str, Any]]:
        """See base/ports.CopilotControls."""
        prompt, flow = str(ask.get("prompt") or ""), str(ask.get("flow") or "")
        if len(prompt) > PROMPT_CHARS_MAX or len(flow) > FLOW_CHARS_MAX:
            what = f"a request has at most {PROMPT_CHARS_MAX} characters, a flow {FLOW_CHARS_MAX}"
            raise LimitError(what, hint="ask for less at once", limit="PROMPT_CHARS_MAX")
        turns = [(str(each[0]), str(each[1])) for each in ask.get("turns") or ()]
        namespace = str(ask.get("namespace") or "")
        hidden = Mask()
        known = await asyncio.to_thread(self._known, namespace)
        texts = {"request": prompt, "flow": flow}
        for number, (request, answer) in enumerate(turns, 1):
            texts |= {f"request {number} before": request, f"answer {number} before": answer}
        found = {place: await asyncio.to_thread(find_secrets, text, place=place, known=known) for place, text in texts.items()}
        if any(found.values()) and not mask:
            raise _refusal([each for listed in found.values() for each in listed])
        texts = {place: hidden.hide(text, found[place]) for place, text in texts.items()}
        if self._busy >= AT_ONCE_MAX:
            raise LimitError(f"the copilot answers {AT_ONCE_MAX} requests at once", hint="try again in a moment", limit="AT_ONCE_MAX")
        asked = Ask(
            prompt=texts["request"], flow=texts["flow"], namespace=namespace, flows=list(ask.get("flows") or ()),
            secrets=list(ask.get("secrets") or ()),
            turns=[(texts[f"request {number} before"], texts[f"answer {number} before"]) for number in range(1, len(turns) + 1)],
        )
        return self._work(asked, hidden, masked=sum(map(len, found.values())))

    def _known(self, namespace: str) -> dict[str, str]:
        return {**self._secrets(namespace), **({"ai.key": self._provider.key} if self._provider.key else {})}

    async def catalogue(self) -> Catalogue:
        """Made once; takes some tenths of a second."""
        async with self._making:
            if self._catalogue is None:
                self._catalogue = await asyncio.to_thread(self._make)
        return self._catalogue

    async def _work(self, ask: Ask, hidden: Mask, *, masked: int) -> AsyncIterator[dict[str, Any]]:
        self._busy += 1
        try:
            catalogue = await self.catalogue()
            context = await asyncio.to_thread(build, ask, catalogue)
            yield {"kind": "context", "types": list(context.types), "tokens": context.tokens, "masked": masked}
            messages = list(context.messages)
            flow, said, problems = "", "", list[dict[str, Any]]()
            for number in range(1, ROUNDS_MAX + 1):
                yield {"kind": "round", "round": number, "of": ROUNDS_MAX}
                answer = ""
                async with aclosing(self._provider.answer(messages)) as pieces:  # type: ignore[type-var]  # an async generator behind its protocol
                    told = 0
                    async for piece in pieces:
                        answer += piece
                        if len(answer) - told >= _TOLD_EVERY:
                            told = len(answer)
                            yield {"kind": "text", "round": number, "chars": told}
                found, said_now = flow_in(answer)
                said = said_now or said
                flow = hidden.show(found) if found else flow
                problems = [dict(each) for each in (await asyncio.to_thread(self._check, hidden.show(found)) if found else NO_FLOW)]
                yield {"kind": "checked", "round": number, "problems": problems}
                if not problems:
                    break
                messages += await asyncio.to_thread(repair, answer, problems, catalogue, context.types)
            yield {"kind": "end", "source": flow, "problems": problems, "rounds": number, "said": hidden.show(said), "model": self.model}
        finally:
            self._busy -= 1


def _refusal(found: Sequence[Found]) -> SecretInPrompt:
    first = found[0].message
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    hint = "write {{ secret('NAME') }} instead, or send it with placeholders in their place (mask)"
    return SecretInPrompt(
        f"this is not sent to the model: {first}{more}", hint=hint,
        problems=[{"message": each.message, "path": each.place, "line": each.line} for each in found],
    )
