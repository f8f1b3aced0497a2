"""Which task, trigger, condition and task-runner types there are, by name. Built once by app/plugins and passed to whoever parses.

A name may be written without the prefix `io.kestra.plugin.`, by an alias of its class, or by one of the old names of flow-language 6.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from podium.flows.models.base import Condition, Model, Task, Trigger
from podium.flows.models.conditions import CONDITIONS
from podium.flows.models.tasks import FLOWABLES
from podium.flows.triggers import TRIGGERS

PREFIX = "io.kestra.plugin."
_CORE = PREFIX + "core."
_TASKS = "io.kestra.core.tasks."
_SAME = {
    "log": ("Log", "Fetch"), "debugs": ("Return", "Echo"), "executions": ("Fail", "Labels"), "states": ("Get", "Set", "Delete"),
    "storages": ("Concat", "DeduplicateItems", "Delete", "FilterItems", "LocalFiles", "Reverse", "Size", "Split"),
    "templating": ("TemplatedTask",), "trigger": ("Toggle",),
}
_ROOMS = {"debugs": "debug", "executions": "execution", "states": "state", "storages": "storage"}
OLD_NAMES: dict[str, str] = {
    **{f"{_TASKS}{old}.{name}": f"{_CORE}{_ROOMS.get(old, old)}.{name}" for old, names in _SAME.items() for name in names},
    f"{_TASKS}executions.Counts": f"{_CORE}execution.Count",
    f"{_TASKS}storages.Purge": f"{_CORE}execution.PurgeExecutions",
    f"{_CORE}storage.Purge": f"{_CORE}execution.PurgeExecutions",
    f"{_TASKS}storages.PurgeExecution": f"{_CORE}storage.PurgeCurrentExecutionFiles",
    f"{_CORE}storage.PurgeExecution": f"{_CORE}storage.PurgeCurrentExecutionFiles",
    **{f"{PREFIX}fs.http.{name}": f"{_CORE}http.{name}" for name in ("Request", "Download", "Trigger")},
}
"""Old name → current name, beside the aliases that classes declare themselves."""

K = TypeVar("K", bound=Model)


_SHARED_NAMES = frozenset({"Commands", "Script", "Trigger", "RealtimeTrigger", "Query"})


def short_type(name: str) -> str:
    """The type as people see it: `Log`; with its folder where the last name alone says nothing: `shell.Commands`, `files.Trigger`."""
    *folder, last = name.split(".")
    return f"{folder[-1]}.{last}" if folder and last in _SHARED_NAMES else last


@dataclass(frozen=True)
class Types:
    """The known types. Lookups give the class or None. broken: plug-ins that could not be loaded, and why."""

    tasks: Mapping[str, type[Task]]
    triggers: Mapping[str, type[Trigger]]
    conditions: Mapping[str, type[Condition]]
    runners: Mapping[str, type[Model]]
    aliases: Mapping[str, str]
    """Other name → current name."""
    broken: tuple[tuple[str, str], ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    """Current name → the package that offers it, and its version; what is not named belongs to the language."""
    _found: dict[tuple[str, str], type[Model]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        tasks: Iterable[type[Task]] = (),
        triggers: Iterable[type[Trigger]] = (),
        conditions: Iterable[type[Condition]] = (),
        runners: Iterable[type[Model]] | Mapping[str, type[Model]] = (),
        *,
        broken: Iterable[tuple[str, str]] = (),
        origins: Mapping[str, str] | None = None,
    ) -> Types:
        """The given types and those of the language itself. Raises ValueError when two classes claim one name, or one has none."""
        aliases = dict(OLD_NAMES)
        by_task = _by_name((*FLOWABLES, *tasks), aliases)
        by_trigger = _by_name((*TRIGGERS, *triggers), aliases)
        by_condition = _by_name((*CONDITIONS, *conditions), aliases)
        by_runner = dict(runners) if isinstance(runners, Mapping) else _by_name(runners, aliases)
        return cls(by_task, by_trigger, by_condition, by_runner, aliases, tuple(broken), dict(origins or {}))

    def task(self, name: str) -> type[Task] | None:
        """The class of a task type."""
        return self._find("task", self.tasks, name)

    def trigger(self, name: str) -> type[Trigger] | None:
        """The class of a trigger type."""
        return self._find("trigger", self.triggers, name)

    def condition(self, name: str) -> type[Condition] | None:
        """The class of a condition type."""
        return self._find("condition", self.conditions, name)

    def runner(self, name: str) -> type[Model] | None:
        """The class of a task runner's options."""
        return self._find("runner", self.runners, name)

    def any(self, name: str) -> type[Model] | None:
        """The class of a plug-in of whatever kind."""
        return self.task(name) or self.trigger(name) or self.condition(name) or self.runner(name)

    def canonical(self, name: str) -> str:
        """The current, full name of a type; `name` itself when it is not known."""
        for known in (self.tasks, self.triggers, self.conditions, self.runners):
            found = self._name_in(known, name)
            if found is not None:
                return found
        return name

    def suggest(self, name: str, kind: str | None = None) -> str | None:
        """The known type that `name` was probably meant to be. kind: task, trigger, condition or runner."""
        groups = {"task": self.tasks, "trigger": self.triggers, "condition": self.conditions, "runner": self.runners}
        known = list(groups[kind]) if kind in groups else [each for group in groups.values() for each in group]
        *folders, last = name.lower().split(".")
        shared = {each.lower() for each in _SHARED_NAMES}
        if last in shared:  # says nothing by itself: `jdbc.mysql.Query` is not another database's
            by_folder = {each.split(".")[-2].lower(): each for each in known if each.rpartition(".")[2].lower() == last}
            close = get_close_matches(folders[-1] if folders else "", by_folder, n=1, cutoff=0.7)
            return by_folder[close[0]] if close else None
        by_last: dict[str, str] = {}
        for each in known:
            by_last.setdefault(each.rpartition(".")[2].lower(), each)
        full = name if name.startswith(("io.", "podium.")) else PREFIX + name
        close = get_close_matches(full, known, n=1, cutoff=0.9)
        if close:
            return close[0]
        if last in by_last:
            return by_last[last]
        close = get_close_matches(last, by_last, n=1, cutoff=0.75)
        return by_last[close[0]] if close else None

    def _find(self, kind: str, known: Mapping[str, type[K]], name: str) -> type[K] | None:
        key = (kind, name)
        if key not in self._found:
            found = self._name_in(known, name)
            if found is None:  # not remembered: what people may write has no end
                return None
            self._found[key] = known[found]
        return self._found[key]  # type: ignore[return-value] # stored under the kind that `known` is of

    def _name_in(self, known: Mapping[str, type[Model]], name: str) -> str | None:
        for spelling in (name, PREFIX + name):
            if spelling in known:
                return spelling
            alias = self.aliases.get(spelling)
            if alias in known:
                return alias
        return None


def _by_name(classes: Iterable[type[K]], aliases: dict[str, str]) -> dict[str, type[K]]:
    known: dict[str, type[K]] = {}
    for each in classes:
        name = getattr(each, "TYPE", "")
        if not name:
            raise ValueError(f"{each.__module__}.{each.__qualname__} has no TYPE")
        if known.setdefault(name, each) is not each:
            raise ValueError(f"{each.__module__}.{each.__qualname__} and {known[name].__qualname__} both claim the type {name}")
        for alias in getattr(each, "ALIASES", ()):
            aliases[alias] = name
    return known
