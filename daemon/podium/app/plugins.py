"""Which task, trigger, condition and runner types are installed: the entry points of the group `podium.plugins`.

An entry point is a module that offers lists named TASKS, TRIGGERS, CONDITIONS and RUNNERS, or a list of classes. A plug-in that
cannot be loaded is named in `Types.broken` and skipped, and whoever starts shows it; the others work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import podium
from podium.flows.model import Condition, Model, Task, Trigger
from podium.flows.models.words import Vocabulary
from podium.flows.types import Types

GROUP = "podium.plugins"
_LISTS = ("TASKS", "TRIGGERS", "CONDITIONS", "RUNNERS")


@cache
def load_types() -> Types:
    """Every type that the installed plug-ins offer, and those of the language itself. Loaded once."""
    return types_of(entry_points(group=GROUP))


def reader() -> str:
    """Names the code that reads flows: another text when Podium, a plug-in or one of their files is another."""
    facts = [(point.name, point.value, point.dist.name, point.dist.version) for point in entry_points(group=GROUP) if point.dist is not None]
    root = Path(podium.__file__).parent
    newest = max(file.stat().st_mtime_ns for room in ("flows", "plugins", "expressions") for file in (root / room).rglob("*.py"))
    return sha256(repr((sorted(facts), newest)).encode()).hexdigest()


def load_vocabulary() -> Vocabulary:
    """What the installed plug-ins say about themselves: WORDS and EXAMPLES of the module `words` in a plug-in's package, if it has one."""
    words: dict[str, dict[str, str]] = {}
    examples: dict[str, str] = {}
    broken = {name for name, _ in load_types().broken}
    for point in entry_points(group=GROUP):
        plugin = import_module(point.module) if point.name not in broken else None
        if not hasattr(plugin, "__path__") or find_spec(f"{point.module}.words") is None:
            continue
        module = import_module(f"{point.module}.words")
        words[f"{point.module}."] = dict(getattr(module, "WORDS", {}))
        examples.update(getattr(module, "EXAMPLES", {}))
    return Vocabulary(words, examples)


def types_of(points: Iterable[EntryPoint]) -> Types:
    """The types of these entry points. One that fails to load, or claims a name that is taken, is skipped and named."""
    good: list[type[Any]] = []
    origins: dict[str, str] = {}
    broken: list[tuple[str, str]] = []
    for point in sorted(points, key=lambda each: each.name):
        try:
            classes = _classes_of(point.load())
            _build([*good, *classes], ())
        except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way; the others must go on
            broken.append((point.name, f"{type(error).__name__}: {error}"))
        else:
            good.extend(classes)
            offered = f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
            origins |= {str(getattr(each, "TYPE", "")): offered for each in classes}
    return _build(good, broken, origins)


def _build(classes: list[type[Any]], broken: Iterable[tuple[str, str]], origins: Mapping[str, str] | None = None) -> Types:
    chosen = list(dict.fromkeys(classes))
    known = (Task, Trigger, Condition)
    return Types.build(
        [each for each in chosen if issubclass(each, Task)],
        [each for each in chosen if issubclass(each, Trigger)],
        [each for each in chosen if issubclass(each, Condition)],
        [each for each in chosen if not issubclass(each, known)],
        broken=broken, origins=origins,
    )


def _classes_of(offered: Any) -> list[type[Any]]:
    lists = [offered] if isinstance(offered, (list, tuple)) else [getattr(offered, name, ()) for name in _LISTS]
    classes = [each for offer in lists for each in offer]
    wrong = [each for each in classes if not (isinstance(each, type) and issubclass(each, Model))]
    if wrong:
        raise TypeError(f"not a task, trigger, condition or runner class: {wrong[0]!r}")
    return classes
