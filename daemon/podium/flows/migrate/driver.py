"""Language 1.x → 2.0: a text in, its rewriting out, with what was changed and what could not be. Called by `podium migrate`.

The text is read anew after each round of changes, until no rule wants any. So what is rewritten once is not rewritten again, and lines that
nothing concerns stay as they are, byte for byte. Rules: expressions first, then plug-in defaults, then all else, then what moves whole
tasks, as each stands on what the earlier ones leave.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from podium.flows.load import Parsed, Problem, parse_flows
from podium.flows.migrate.defaults import rewrite_defaults
from podium.flows.migrate.inputs import rewrite_flow, rewrite_inputs, rewrite_worker_groups
from podium.flows.migrate.items import merged_outputs, rewrite_items
from podium.flows.migrate.loops import in_loops, loops_of, rewrite_loops
from podium.flows.migrate.tasks import rewrite_tasks, rewrite_types, state_outputs
from podium.flows.migrate.text.editing import Draft, Left, Step
from podium.flows.migrate.text.source import Edit, Pair, Part, Source, documents
from podium.flows.migrate.text.templates import GENERAL, rewrite
from podium.flows.migrate.triggers import rewrite_triggers
from podium.flows.migrate.walking import DATA, in_its_loop, is_task, tasks_of
from podium.flows.reading.yaml import Document, Fields, parse_documents
from podium.flows.types import Types

_ROUNDS_MAX = 1_000
_NOT_RENDERED = frozenset({"description", "displayName", "id", "type"})
_BY_HAND = "write it out where the alias stands, and migrate again"
_OF_ITERATIONS = ("outputs", "breakWhen")
"""Properties of a Loop that are rendered in its iterations."""
_FLOW_KEYS = ("id", "namespace", "tasks")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was rewritten. line: of the original text, from 1."""

    line: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """The result. unreadable: why the text was not looked at. problems: why the result is no valid flow of 2.0, at places of the result."""

    text: str
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()
    problems: tuple[Problem, ...] = ()
    unreadable: tuple[Problem, ...] = ()


def migrate(text: str, *, file: str, types: Types, check: Callable[[str], Sequence[Parsed]] | None = None) -> Migrated:
    """Rewrite every flow of a text. A text with mistakes in its YAML, or without any flow, is given back as it is.

    check: reads a text in dialect 2.0, with what holds for the file beside its text; else the text stands alone.
    """
    read = parse_documents(text)
    if any(document.mistakes for document in read):
        problems = [
            Problem(file=file, line=each.line, column=each.column, path="", code=each.code, message=each.message, hint=each.hint)
            for document in read for each in document.mistakes
        ]
        return Migrated(text=text, unreadable=tuple(problems))
    if not any(map(_is_flow, read)):
        return Migrated(text=text)
    source = Source(text)
    changes: list[Change] = []
    left: dict[Left, None] = {}
    refused: set[tuple[int, str]] = set()
    for _ in range(_ROUNDS_MAX):
        draft = _round(source, types, refused)
        left.update(dict.fromkeys(draft.left))
        done = _chosen([step for step in draft.steps if (step.line, step.what) not in refused])
        if not done:
            break
        done, broken = _possible(source, done, [])
        source = source.edited([edit for step in done for edit in step.edits])
        if done:
            refused.clear()  # what was not possible may be now
        else:
            refused.update((step.line, step.what) for step in broken)
        changes += [Change(step.line, step.what) for step in done]
        left.update(dict.fromkeys(each for step in done for each in step.left))
    left.update(dict.fromkeys(Left(line, f"{what}: this cannot be edited, as an alias stands for it", _BY_HAND) for line, what in sorted(refused)))
    results = check(source.text) if check is not None else parse_flows(source.text, file=file, types=types, dialect="2.0")
    flows = [parsed for parsed, document in zip(results, parse_documents(source.text), strict=True) if _is_flow(document)]
    problems = [problem for parsed in flows for problem in parsed.problems]
    return Migrated(
        text=source.text, changes=tuple(sorted(changes, key=lambda each: each.line)), left=tuple(sorted(left, key=lambda each: each.line)),
        problems=tuple(problems),
    )


def _possible(source: Source, steps: list[Step], others: list[Step]) -> tuple[list[Step], list[Step]]:
    """The steps that leave a text that can be read, made with `others`; and those that do not, by way of anchors and aliases."""
    if not steps or _is_readable(source.edited([edit for step in (*others, *steps) for edit in step.edits])):
        return steps, []
    if len(steps) == 1:
        return [], steps
    half = len(steps) // 2
    first, broken = _possible(source, steps[:half], others)
    second, more = _possible(source, steps[half:], [*others, *first])
    return [*first, *second], [*broken, *more]


def _is_readable(source: Source) -> bool:
    return not any(document.mistakes for document in parse_documents(source.text))


def _is_flow(document: Document) -> bool:
    return isinstance(document.root, Fields) and any(document.root.get(key) is not None for key in _FLOW_KEYS)


def _chosen(steps: list[Step]) -> list[Step]:
    """The steps that can be made together, the earlier ones first."""
    done: list[Step] = []
    taken: list[tuple[int, int]] = []
    for step in steps:
        if not any(_meets(edit, taken) for edit in step.edits):
            for edit in step.edits:
                insort(taken, (edit.start, edit.end))
            done.append(step)
    return done


def _meets(edit: Edit, taken: list[tuple[int, int]]) -> bool:
    """Whether an edit touches what others change. taken: their places, sorted; they do not overlap."""
    index = bisect_left(taken, (edit.start, -1))
    if index < len(taken) and (taken[index][0] == edit.start or taken[index][0] < edit.end):
        return True
    return index > 0 and taken[index - 1][1] > edit.start


def _round(source: Source, types: Types, refused: Set[tuple[int, str]]) -> Draft:
    """What the rules want next."""
    roots = documents(source.text)
    read = parse_documents(source.text)
    assert len(roots) == len(read)
    flows = [
        (root, document.root) for root, document in zip(roots, read, strict=True) if _is_flow(document) and isinstance(document.root, Fields)
    ]
    draft = Draft(source)
    phases: tuple[Callable[[Part, Fields], None], ...] = (
        lambda root, tree: _expressions(draft, root),
        lambda root, tree: rewrite_defaults(draft, root, tree, types),
        lambda root, tree: _rules(draft, root, types),
        lambda root, tree: rewrite_items(draft, root),
    )
    for phase in phases:
        for root, tree in flows:
            phase(root, tree)
        if any((step.line, step.what) not in refused for step in draft.steps):
            break
    return draft


def _rules(draft: Draft, root: Part, types: Types) -> None:
    rewrite_flow(draft, root)
    rewrite_worker_groups(draft, root)
    rewrite_inputs(draft, root)
    rewrite_types(draft, root, types)
    rewrite_tasks(draft, root)
    rewrite_triggers(draft, root)
    rewrite_loops(draft, root)


def _expressions(draft: Draft, root: Part) -> None:
    """Every text of the flow that is rendered: each with what is around its task."""
    loops, merged = loops_of(root), merged_outputs(root)
    states = state_outputs(frozenset(here.id for here in tasks_of(root) if here.kind == "state.Get"))
    seen: set[int] = set()
    for here in [*tasks_of(root), None]:
        for pair in here.task.pairs if here is not None else root.pairs:
            inner = here is not None and here.kind == "flow.Loop" and pair.key.text in _OF_ITERATIONS
            rewriters = (in_loops(in_its_loop(here) if here is not None and inner else here, loops), *GENERAL, merged, states)
            for scalar in _own_scalars(pair):
                if id(scalar) not in seen:
                    seen.add(id(scalar))
                    rewrite(draft, scalar, rewriters)


def _own_scalars(pair: Pair) -> Iterator[Part]:
    """The texts in the value of a pair, but not those of tasks inside."""
    if pair.key.text in DATA:
        yield from pair.value.scalars()
    elif pair.key.text not in _NOT_RENDERED:
        yield from _outside_tasks(pair.value)


def _outside_tasks(part: Part) -> Iterator[Part]:
    if part.kind == "scalar":
        yield part
    elif part.kind == "list":
        for item in part.items:
            if not is_task(item):
                yield from _outside_tasks(item)
    elif not is_task(part):
        for pair in part.pairs:
            yield from _own_scalars(pair)
