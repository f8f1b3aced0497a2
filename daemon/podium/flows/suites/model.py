"""The models of a test file: one suite tests one flow by several cases, each with fixtures and assertions.

The language is Kestra's (`io.kestra.core.tests.flow.UnitTest`), with extensions of ours; docs/testing-flows.md says which. Source: flow-language 12.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from podium.flows.models.base import Duration, Labels, Model

UNIT_TEST = "io.kestra.core.tests.flow.UnitTest"
EndState = Literal["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "SKIPPED"]
"""What a mocked task may end in."""
Expected = Literal["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "PAUSED"]
"""What an execution may be expected to end in; PAUSED: it waits for somebody, and the test ends there."""
Name = Annotated[str, Field(min_length=1, max_length=256)]


class TaskFixture(Model):
    """A task that is not run: it ends at once in `state` with `outputs`."""

    id: Name = Field(description="The id of a task of the flow, however deep in it.")
    description: str | None = Field(default=None, description="Why it is mocked; for readers.")
    value: str | None = Field(default=None, description="Only the iteration of a loop with this value; without it all of them.")
    state: EndState = Field(default="SUCCESS", description="The state in which the task ends.")
    outputs: dict[str, Any] = Field(default={}, description="What `outputs.<task>` is afterwards; may hold expressions.")
    error: str | None = Field(default=None, description="With the state FAILED: the message of the failure. An extension of Podium.")
    assets: Any = Field(default=None, description="Accepted and without effect.")


class TriggerFixture(Model):
    """What started the execution: expressions see `variables` as `trigger`. No trigger fires."""

    id: Name = Field(description="The id of a trigger of the flow.")
    type: str | None = Field(default=None, description="The type of that trigger; by default as the flow says.")
    variables: dict[str, Any] = Field(default={}, description="What the trigger hands over; may hold expressions.")


class Fixtures(Model):
    """What a case starts from."""

    inputs: dict[str, Any] = Field(default={}, description="Inputs of the execution; may hold expressions such as `{{ files['a.csv'] }}`.")
    files: dict[str, str] = Field(
        default={}, description="Name → content, or the URI of a file (file://, nsfile://). Expressions find its URI as `files['name']`.",
    )
    tasks: list[TaskFixture] = Field(default=[], description="Tasks that are mocked.")
    trigger: TriggerFixture | None = Field(default=None, description="What started the execution.")
    kv: dict[str, Any] = Field(default={}, description="Keys and values of the flow's namespace. An extension of Podium.")
    secrets: dict[str, str] = Field(default={}, description="What `secret('NAME')` gives. An extension of Podium.")
    labels: Labels = Field(default={}, description="Labels of the execution. An extension of Podium.")


class Assertion(Model):
    """What must be true once the execution has ended. With several operators all must hold."""

    value: Any = Field(description="What is looked at, mostly an expression: `{{ outputs.load.rows }}`, `{{ execution.state }}`, `{{ logs.text }}`.")
    task_id: str | None = Field(default=None, description="Evaluate the expressions as this task would see them, with its `taskrun`.")
    description: str | None = Field(default=None, description="What is asserted, in words; shown when it fails.")
    error_message: str | None = Field(default=None, description="Shown when it fails, instead of what is made up.")
    equal_to: Any = Field(default=None, validation_alias=AliasChoices("equalTo", "equalsTo"), description="Equal to this.")
    not_equal_to: Any = Field(default=None, validation_alias=AliasChoices("notEqualTo", "notEqualsTo"), description="Not equal to this.")
    contains: Any = Field(default=None, description="This is part of the text, an element of the list, or a key of the map.")
    not_contains: Any = Field(default=None, description="The opposite of `contains`. An extension of Podium.")
    starts_with: str | None = Field(default=None, description="The text begins with this.")
    ends_with: str | None = Field(default=None, description="The text ends with this.")
    matches: str | None = Field(default=None, description="The whole text matches this regular expression. An extension of Podium.")
    greater_than: Any = Field(default=None, description="A number (or a date) above this.")
    greater_than_or_equal_to: Any = Field(default=None, description="A number (or a date) not below this.")
    less_than: Any = Field(default=None, description="A number (or a date) below this.")
    less_than_or_equal_to: Any = Field(default=None, description="A number (or a date) not above this.")
    in_: Any = Field(default=None, alias="in", description="One of this list.")
    not_in: Any = Field(default=None, description="None of this list.")
    is_null: bool | None = Field(default=None, description="true: there is no such value, or it is null. false: the opposite.")
    is_not_null: bool | None = Field(default=None, description="The opposite of `isNull`.")
    is_true: bool | None = Field(default=None, description="true: the value is true. An extension of Podium.")
    is_false: bool | None = Field(default=None, description="true: the value is false. An extension of Podium.")

    def operators(self) -> dict[str, Any]:
        """The operators that are written, by their names in the language, and what they expect."""
        return {name: value for field, name in OPERATORS.items() if (value := getattr(self, field)) is not None}


OPERATORS = {
    "equal_to": "equalTo", "not_equal_to": "notEqualTo", "contains": "contains", "not_contains": "notContains", "starts_with": "startsWith",
    "ends_with": "endsWith", "matches": "matches", "greater_than": "greaterThan", "greater_than_or_equal_to": "greaterThanOrEqualTo",
    "less_than": "lessThan", "less_than_or_equal_to": "lessThanOrEqualTo", "in_": "in", "not_in": "notIn", "is_null": "isNull",
    "is_not_null": "isNotNull", "is_true": "isTrue", "is_false": "isFalse",
}
"""Field of Assertion → operator as it is written."""


class Case(Model):
    """One execution of the flow, and what must be true of it."""

    id: Name = Field(description="The name of the case; one of its kind in the file.")
    type: str = Field(default=UNIT_TEST, description="The kind of test. There is only this one.")
    description: str | None = Field(default=None, description="What the case is about.")
    disabled: bool = Field(default=False, description="true: the case is skipped.")
    fixtures: Fixtures = Field(default=Fixtures(), description="What the case starts from.")
    assertions: list[Assertion] = Field(default=[], description="What must be true afterwards.")
    state: Expected | list[Expected] | None = Field(
        default=None, description="The state (or states) in which the execution must end. An extension of Podium.",
    )
    refused: bool | str | None = Field(
        default=None, description="The start must be refused for its inputs or a check; a text must be in the message. An extension of Podium.",
    )
    timeout: Duration | None = Field(default=None, description="How long the case may take. An extension of Podium.")

    @property
    def states(self) -> list[str]:
        """The end states that the case names."""
        return [] if self.state is None else [self.state] if isinstance(self.state, str) else list(self.state)


class Suite(Model):
    """The tests of one flow."""

    id: Name = Field(description="The name of the suite; one of its kind in the namespace.")
    namespace: Name = Field(description="The namespace of the flow.")
    flow_id: Name = Field(description="The id of the flow.")
    description: str | None = Field(default=None, description="What the suite is about.")
    test_cases: list[Case] = Field(min_length=1, description="The cases. Each has an execution, a key-value store and files of its own.")
