"""Types by name: prefix, aliases, old names, suggestions; plug-ins that cannot be loaded."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from podium.app.plugins import load_types, types_of
from podium.flows.model import Parallel, Task, WorkingDirectory
from podium.flows.models.conditions import Expression
from podium.flows.triggers import FileTrigger, FlowTrigger, Schedule
from podium.flows.types import OLD_NAMES, Types


def test_the_prefix_may_be_left_out(types: Types) -> None:
    assert types.task("io.kestra.plugin.core.flow.Parallel") is Parallel
    assert types.task("core.flow.Parallel") is Parallel
    assert types.task("Parallel") is None
    assert types.trigger("podium.files.Trigger") is FileTrigger
    assert types.canonical("core.flow.Parallel") == "io.kestra.plugin.core.flow.Parallel"


def test_aliases_and_old_names(types: Types) -> None:
    assert types.task("io.kestra.core.tasks.flows.Worker") is WorkingDirectory
    assert types.trigger("io.kestra.core.models.triggers.types.Schedule") is Schedule
    assert types.trigger("io.kestra.core.models.triggers.types.Flow") is FlowTrigger
    assert types.condition("io.kestra.core.models.conditions.types.VariableCondition") is Expression
    assert types.canonical("io.kestra.core.tasks.log.Log") == "io.kestra.plugin.core.log.Log"
    assert types.canonical("a.B") == "a.B"


def test_each_kind_has_its_own_names(types: Types) -> None:
    assert types.task("core.trigger.Schedule") is None
    assert types.trigger("core.flow.Parallel") is None
    assert types.condition("core.flow.Parallel") is None
    assert types.any("core.trigger.Schedule") is Schedule


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("io.kestra.plugin.core.flow.Paralel", "io.kestra.plugin.core.flow.Parallel"), ("core.flow.parallel", "io.kestra.plugin.core.flow.Parallel"),
        ("Switch", "io.kestra.plugin.core.flow.Switch"), ("io.kestra.core.Log", "io.kestra.plugin.core.log.Log"), ("completely.Different", None),
    ],
)
def test_suggestions(types: Types, name: str, meant: str | None) -> None:
    assert types.suggest(name, "task") == meant


def test_two_classes_cannot_have_one_name() -> None:
    class Other(Task):
        TYPE = Parallel.TYPE

    with pytest.raises(ValueError, match="both claim the type"):
        Types.build([Other])


def test_a_class_needs_a_name() -> None:
    class Nameless(Task):
        pass

    with pytest.raises(ValueError, match="has no TYPE"):
        Types.build([Nameless])


def test_every_old_name_leads_to_an_installed_type() -> None:
    types = load_types()
    assert [old for old in OLD_NAMES if types.any(old) is None] == []


class Point(EntryPoint):
    def load(self) -> Any:
        offered = OFFERED[self.name]
        if isinstance(offered, Exception):
            raise offered
        return offered


class Good(Task):
    TYPE = "test.Good"


class Listed(Task):
    TYPE = "test.Listed"


OFFERED: dict[str, Any] = {
    "broken": ImportError("no module named x"), "clash": SimpleNamespace(TASKS=[type("Clash", (Task,), {"TYPE": "test.Good"})]),
    "a-good": SimpleNamespace(TASKS=[Good]), "list": [Listed], "wrong": SimpleNamespace(TASKS=[int]),
}


def test_a_broken_plug_in_is_named_and_the_others_work() -> None:
    types = types_of([Point(name=name, value=f"{name}.module", group="podium.plugins") for name in OFFERED])
    assert types.task("test.Good") is Good
    assert types.task("test.Listed") is Listed
    assert [name for name, _ in types.broken] == ["broken", "clash", "wrong"]
    assert "no module named x" in types.broken[0][1]


def test_every_installed_plug_in_loads() -> None:
    assert load_types().broken == ()
