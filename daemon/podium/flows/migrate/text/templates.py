"""Rewrites inside expressions: what 1.x says and 2.0 says otherwise, wherever it stands. Called by the driver and the rules of loops.

A rewriter takes a template and its tokens and yields swaps and troubles. Only code is looked at, never the text around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from podium.expressions.tokens import Token, code_tokens
from podium.flows.migrate.text.editing import Draft
from podium.flows.migrate.text.source import Edit, Part

_TIGHTER = frozenset({"~", "+", "-", "*", "/", "%", ".."})
"""Operators that bind looser than `??` in 1.x and tighter in 2.0."""
_SAME = frozenset({"==", "!=", "<", ">", "<=", ">=", "equals"})
_COALESCE = frozenset({"??", "???", "isIn"})
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Swap:
    """Put `new` where template[at:end] stands. what: said about it."""

    at: int
    end: int
    new: str
    what: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a rewriter cannot do."""

    at: int
    what: str
    todo: str


Found = Swap | Trouble
Rewriter = Callable[[str, Sequence[Token]], Iterable[Found]]


def rewrite(draft: Draft, part: Part, rewriters: Sequence[Rewriter]) -> None:
    """Want what the rewriters find in a scalar."""
    if "{{" not in part.text and "{%" not in part.text:
        return
    body = _body(draft.source.text, part)
    template = part.text if body is None else draft.source.text[body : part.end - (1 if part.style in ("'", '"') else 0)]
    tokens = code_tokens(template)
    found = [each for rewriter in rewriters for each in rewriter(template, tokens)] if tokens else []
    swaps = [each for each in found if isinstance(each, Swap)]
    for trouble in found:
        if isinstance(trouble, Trouble):
            at = part.start if body is None else body + trouble.at
            draft.cannot(Part("scalar", at, at), trouble.what, trouble.todo)
    if body is not None:
        for swap in swaps:
            place = Part("scalar", body + swap.at, body + swap.end)
            draft.change(place, swap.what, Edit(place.start, place.end, swap.new))
    elif swaps:
        text = template
        done = len(template) + 1
        for swap in sorted(swaps, key=lambda each: (-each.at, -each.end)):
            if swap.end <= done and not (swap.at == swap.end == done):
                text, done = text[: swap.at] + swap.new + text[swap.end :], swap.at
        draft.change(part, "; ".join(dict.fromkeys(each.what for each in swaps)), draft.write(part, text))


def _body(text: str, part: Part) -> int | None:
    """Where the text of a scalar begins, when it stands there as it is but for indentation; None when it has escapes."""
    if part.alias:
        return None
    written = text[part.start : part.end]
    if part.style in ("|", ">"):
        return part.start + len(written.partition("\n")[0])
    if part.style == "'":
        return None if "''" in written[1:-1] else part.start + 1
    if part.style == '"':
        return None if "\\" in written else part.start + 1
    return part.start


def around(tokens: Sequence[Token], index: int) -> tuple[str, str]:
    """The values of the tokens before and after one; empty at the ends of the code."""
    before, after = tokens[index - 1] if index else None, tokens[index + 1] if index + 1 < len(tokens) else None
    return (
        before.value if before is not None and before.kind not in ("open", "close", "text") else "",
        after.value if after is not None and after.kind not in ("open", "close", "text") else "",
    )


def matching(tokens: Sequence[Token], index: int) -> int | None:
    """The index of the bracket that closes the one at `index`."""
    depth = 0
    for position in range(index, len(tokens)):
        token = tokens[position]
        if token.kind in ("open", "close"):
            return None
        if token.kind == "sign" and token.value in _OPENING:
            depth += 1
        elif token.kind == "sign" and token.value in _CLOSING:
            depth -= 1
            if depth == 0:
                return position
    return None


def renamed(template: str, tokens: Sequence[Token]) -> Iterator[Found]:
    """Filters, functions, variables and arguments with another name in 2.0."""
    for index, token in enumerate(tokens):
        if token.kind != "name":
            continue
        before, after = around(tokens, index)
        is_filter = before == "|" or (before == "filter" and index >= 2 and tokens[index - 2].kind == "open")
        if token.value == "json" and is_filter:
            yield Swap(token.at, token.end, "toJson", "filter json → toJson")
        elif token.value == "json" and after == "(" and before not in (".", "is"):
            yield Swap(token.at, token.end, "fromJson", "function json() → fromJson()")
        elif token.value == "schedule" and before != "." and after in (".", "["):
            yield Swap(token.at, token.end, "trigger", "schedule.* → trigger.*")
        elif token.value in ("read", "fileURI") and after == "(":
            end = matching(tokens, index + 1) or len(tokens)
            for inner in range(index + 2, end):
                if tokens[inner].kind == "name" and tokens[inner].value == "version" and around(tokens, inner)[1] == "=":
                    yield Swap(tokens[inner].at, tokens[inner].end, "revision", f"{token.value}(version=) → {token.value}(revision=)")
        elif token.value in ("parentOutput", "iterationOutput") and after == "(" and before != ".":
            what = f"the function {token.value}() does not exist in 2.0"
            yield Trouble(token.at, what, "read outputs.<task> directly: tasks before a loop and in the same iteration are both seen in it")
        elif token.value == "outputDir" and before != ".":
            what = "the variable outputDir has no place in 2.0"
            yield Trouble(token.at, what, "write into the working directory and list the files in outputFiles")


def bound_tighter(template: str, tokens: Sequence[Token]) -> Iterator[Found]:
    """`??`, `???` and `isIn` bind tighter in 1.x: parentheses keep the meaning where it would change."""
    index = 0
    while index < len(tokens):
        if tokens[index].kind not in ("sign",) or tokens[index].value not in _COALESCE:
            index += 1
            continue
        first, last = _operand_before(tokens, index), index
        while last < len(tokens) and tokens[last].kind == "sign" and tokens[last].value in _COALESCE:
            last = _operand_after(tokens, last + 1)
        before = tokens[first - 1] if first else None
        after = tokens[last] if last < len(tokens) else None
        changes = (before is not None and before.kind == "sign" and before.value in _TIGHTER | _SAME) or (
            after is not None and after.kind == "sign" and after.value in (*_TIGHTER, "|")
        )
        if changes:
            operator = tokens[index].value
            what = f"parentheses around '{operator}', which binds looser in 2.0"
            yield Swap(tokens[first].at, tokens[last - 1].end, f"({template[tokens[first].at : tokens[last - 1].end]})", what)
        index = max(last, index + 1)


def _operand_before(tokens: Sequence[Token], index: int) -> int:
    """The index of the first token of the operand that ends before `index`."""
    position = index - 1
    while position >= 0:
        token = tokens[position]
        if token.kind == "sign" and token.value in _CLOSING:
            depth = 1
            while depth and position > 0:
                position -= 1
                if tokens[position].kind == "sign":
                    depth += (tokens[position].value in _CLOSING) - (tokens[position].value in _OPENING)
        before = tokens[position - 1] if position else None
        if before is not None and before.kind == "sign" and before.value == ".":
            position -= 2
        elif tokens[position].kind == "sign" and tokens[position].value in ("(", "[") and before is not None and (
            before.kind in ("name", "text") or (before.kind == "sign" and before.value in (")", "]"))
        ):
            position -= 1
        else:
            break
    while position > 0 and tokens[position - 1].kind == "sign" and tokens[position - 1].value == "not":
        position -= 1
    return max(position, 0)


def _operand_after(tokens: Sequence[Token], index: int) -> int:
    """The index behind the operand that begins at `index`."""
    position = index
    while position < len(tokens) and tokens[position].kind == "sign" and tokens[position].value in ("not", "-", "+"):
        position += 1
    if position < len(tokens) and tokens[position].kind == "sign" and tokens[position].value in _OPENING:
        position = matching(tokens, position) or position
    position += 1
    while position < len(tokens) and tokens[position].kind == "sign":
        if tokens[position].value == ".":
            position += 2
        elif tokens[position].value in ("(", "["):
            position = (matching(tokens, position) or position) + 1
        else:
            break
    return min(position, len(tokens))


GENERAL: tuple[Rewriter, ...] = (renamed, bound_tighter)
