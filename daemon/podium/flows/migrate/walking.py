"""Where the tasks of a flow stand: in which loops, below which tasks, in what kind of list. Called by the rules of tasks and loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from podium.flows.migrate.text.source import Part

SECTIONS = ("tasks", "errors", "finally", "afterExecution")
DATA = frozenset({
    "inputs", "outputs", "labels", "variables", "values", "value", "env", "retry", "taskRunner", "headers", "options", "onResume", "inputFiles",
    "namespaceFiles", "checkFrequency", "data",
})
"""Properties of a task in which a `type` means no task."""
_CORE = "io.kestra.plugin.core."
EACH = ("ForEach", "EachSequential", "EachParallel")
_LOOPS = frozenset(f"flow.{name}" for name in (*EACH, "Loop"))
_WITH_OUTPUTS = frozenset(f"flow.{name}" for name in ("If", "Switch", "LoopUntil", "WaitFor", "ForEachItem"))
_ORDERED = frozenset(f"flow.{name}" for name in ("Sequential", "AllowFailure", "If", "Switch", "LoopUntil", "WaitFor", *EACH, "Loop"))
_ORDERED -= {"flow.EachParallel"}


def core(name: str | None) -> str:
    """The type of a core plug-in without its prefix, like `flow.ForEach`, whatever name it is known by; otherwise empty."""
    if not name:
        return ""
    for old, new in (("io.kestra.core.tasks.flows.", "flow."), ("core.", "")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name.removeprefix(_CORE) if name.startswith(_CORE) else ""


@dataclass(frozen=True, slots=True)
class Above:
    """A task around another. loop: how many loops there are around the one whose value it carries; None when it carries none."""

    id: str
    loop: int | None
    has_outputs: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop: its id, and the ids of the tasks in it at any depth."""

    id: str
    inside: frozenset[str]


@dataclass(frozen=True, slots=True)
class Here:
    """A task and where it stands. loops, above: nearest first. direct: it is an item of a loop's own list, so it carries its value.

    items: the list it stands in; ordered: which is run one after the other; owner: the map that has the list, at `key`.
    """

    task: Part
    loops: tuple[Loop, ...]
    above: tuple[Above, ...]
    direct: bool
    items: Part | None
    ordered: bool
    section: str

    @property
    def kind(self) -> str:
        """See core()."""
        return core(self.task.string("type"))

    @property
    def id(self) -> str:
        return self.task.string("id") or ""


def in_its_loop(here: Here) -> Here:
    """Where the outputs of a Loop are rendered: in each iteration."""
    return replace(here, loops=(Loop(here.id, frozenset(_ids(here.task))), *here.loops))


def is_task(part: Part) -> bool:
    """Whether a map is meant as a task."""
    return part.kind == "map" and "." in (part.string("type") or "")


def tasks_of(root: Part) -> Iterator[Here]:
    """Every task of a flow, outer ones first."""
    for section in SECTIONS:
        yield from _in(root.get(section), (), (), direct=False, ordered=True, section=section)
    listeners = root.get("listeners")
    for listener in listeners.maps() if listeners is not None else ():
        yield from _in(listener.get("tasks"), (), (), direct=False, ordered=True, section="listeners")


def _in(
    part: Part | None, loops: tuple[Loop, ...], above: tuple[Above, ...], *, direct: bool, ordered: bool, section: str, items: Part | None = None
) -> Iterator[Here]:
    """The tasks in whatever list or map."""
    if part is None or part.kind == "scalar":
        return
    if part.kind == "list":
        for item in part.items:
            yield from _in(item, loops, above, direct=direct, ordered=ordered, section=section, items=part)
        return
    if not is_task(part):
        for pair in part.pairs:
            yield from _in(pair.value, loops, above, direct=direct, ordered=ordered, section=section)
        return
    here = Here(part, loops, above, direct, items, ordered and items is not None, section)
    yield here
    kind = here.kind
    inner_above = (Above(here.id, len(loops) - 1 if direct else None, kind in _WITH_OUTPUTS), *above)
    inner_loops = (Loop(here.id, frozenset(_ids(part))), *loops) if kind in _LOOPS else loops
    for pair in part.pairs:
        if pair.key.text not in DATA:
            own = kind in _LOOPS and pair.key.text == "tasks"
            inside = inner_loops if own or (kind == "flow.Loop" and pair.key.text in ("errors", "finally")) else loops
            yield from _in(
                pair.value, inside, inner_above, direct=own, ordered=kind in _ORDERED or pair.key.text in ("errors", "finally"), section=section
            )


def _ids(task: Part) -> Iterator[str]:
    """The ids of the tasks inside a task."""
    stack = [pair.value for pair in task.pairs if pair.key.text not in DATA]
    while stack:
        part = stack.pop()
        if is_task(part) and (name := part.string("id")):
            yield name
        stack += part.items
        stack += [pair.value for pair in part.pairs if pair.key.text not in DATA]
