"""The inputs that a flow, a Pause or an Approval declares: one model per input type. Values are resolved in flows/inputs.

Source: flow-language 2, flow-language-2 6. Import these names from podium.flows.model.
"""


from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, SerializeAsAny, ValidationInfo, WrapValidator

from podium.flows.models.base import Duration, Model, Typed, unknown_type

INPUT_ID_PATTERN = r"^[a-zA-Z0-9][.a-zA-Z0-9_-]*"
DISPLAY_NAME_CHARS_MAX = 64

InputType = Literal[
    "STRING", "INT", "FLOAT", "BOOLEAN", "BOOL", "SELECT", "ENUM", "MULTISELECT", "ARRAY", "DATETIME", "DATE", "TIME", "DURATION", "FILE",
    "JSON", "YAML", "URI", "SECRET", "EMAIL", "FORM", "REUSABLE_INPUTS", "ION", "OBJECT", "TABLE",
]
ItemType = Literal[
    "STRING", "INT", "FLOAT", "BOOLEAN", "BOOL", "SELECT", "ENUM", "DATETIME", "DATE", "TIME", "DURATION", "FILE", "JSON", "YAML", "URI",
    "SECRET", "EMAIL", "ION",
]
OutputType = InputType


class DependsOn(Model):
    """When the input is asked for at all. Source: flow-language 2.4."""

    inputs: list[str] = []
    condition: str | None = None


class Input(Model):
    """What every input has."""

    id: str = Field(pattern=INPUT_ID_PATTERN + "$", validation_alias=AliasChoices("id", "name"))
    type: InputType
    description: str | None = None
    display_name: str | None = None
    required: bool = True
    defaults: Any = None
    prefill: Any = None
    depends_on: DependsOn | None = None


class StringInput(Input):
    """Text."""

    type: Literal["STRING"]
    defaults: str | None = None
    prefill: str | None = None
    validator: str | None = None


class SecretInput(Input):
    """Text that is encrypted before it is stored, and masked in logs."""

    type: Literal["SECRET"]
    defaults: str | None = None
    prefill: str | None = None
    validator: str | None = None


class IntInput(Input):
    """A whole number of 64 bits."""

    type: Literal["INT"]
    min: int | None = None
    max: int | None = None


class FloatInput(Input):
    """A number."""

    type: Literal["FLOAT"]
    min: float | None = None
    max: float | None = None


class BooleanInput(Input):
    """true or false."""

    type: Literal["BOOLEAN", "BOOL"]


class SelectInput(Input):
    """One of a list of texts."""

    type: Literal["SELECT"]
    defaults: str | None = None
    prefill: str | None = None
    values: list[str] | None = None
    expression: str | None = None
    allow_custom_value: bool = False
    is_radio: bool = False
    auto_select_first: bool = False


class EnumInput(Input):
    """One of a list of texts; the older form of SELECT."""

    type: Literal["ENUM"]
    defaults: str | None = None
    prefill: str | None = None
    values: list[str]


class MultiselectInput(Input):
    """Some of a list of texts."""

    type: Literal["MULTISELECT"]
    defaults: str | list[str] | None = None
    prefill: str | list[str] | None = None
    values: list[str] | None = None
    options: list[str] | None = None
    expression: str | None = None
    item_type: ItemType = "STRING"
    allow_custom_value: bool = False
    auto_select_first: bool = False


class ArrayInput(Input):
    """A list of values of one type."""

    type: Literal["ARRAY"]
    item_type: InputType


class DatetimeInput(Input):
    """A date-time with its offset, like 2026-01-31T08:30:00Z."""

    type: Literal["DATETIME"]
    defaults: str | None = None
    prefill: str | None = None
    after: str | None = None
    before: str | None = None


class DateInput(Input):
    """A date, like 2026-01-31."""

    type: Literal["DATE"]
    defaults: str | None = None
    prefill: str | None = None
    after: str | None = None
    before: str | None = None


class TimeInput(Input):
    """A time of day, like 08:30:00."""

    type: Literal["TIME"]
    defaults: str | None = None
    prefill: str | None = None
    after: str | None = None
    before: str | None = None


class DurationInput(Input):
    """A length of time in ISO-8601, like PT1H30M."""

    type: Literal["DURATION"]
    defaults: str | None = None
    prefill: str | None = None
    min: Duration | None = None
    max: Duration | None = None


class FileInput(Input):
    """A file; expressions see its URI."""

    type: Literal["FILE"]
    extension: str | None = None
    allowed_file_extensions: list[str] | None = None


class PlainInput(Input):
    """An input whose type has no property of its own."""

    type: Literal["JSON", "YAML", "URI", "EMAIL", "ION"]


class ReusableInputs(Input):
    """Inputs kept elsewhere (Kestra's Enterprise Edition); refused."""

    type: Literal["REUSABLE_INPUTS"]
    ref: str
    namespace: str | None = None
    revision: int | None = None


INPUT_CLASSES: dict[str, type[Input]] = {
    "STRING": StringInput, "SECRET": SecretInput, "INT": IntInput, "FLOAT": FloatInput, "BOOLEAN": BooleanInput, "BOOL": BooleanInput,
    "SELECT": SelectInput, "ENUM": EnumInput, "MULTISELECT": MultiselectInput, "ARRAY": ArrayInput, "DATETIME": DatetimeInput,
    "DATE": DateInput, "TIME": TimeInput, "DURATION": DurationInput, "FILE": FileInput, "JSON": PlainInput, "YAML": PlainInput,
    "URI": PlainInput, "EMAIL": PlainInput, "ION": PlainInput, "REUSABLE_INPUTS": ReusableInputs,
}
"""Input type → its model. FORM, OBJECT and TABLE are added below, as they hold inputs themselves."""


def input_class(name: str) -> type[Input] | None:
    """The model of an input type."""
    return INPUT_CLASSES.get(name)


def _by_type(value: Any, handler: Callable[[Any], Any], info: ValidationInfo) -> Any:
    if not isinstance(value, Mapping):
        return handler(value)
    name = value.get("type")
    if not isinstance(name, str):
        return handler(value)
    found = INPUT_CLASSES.get(name)
    if found is None:
        raise unknown_type(name, "input", {**value, "type": "STRING"}, handler)
    return found.model_validate(value, context=info.context)


AnyInput = SerializeAsAny[Annotated[Input, WrapValidator(_by_type), Typed("input")]]
"""An input of any type."""


class FormInput(Input):
    """Groups inputs: `inputs.<form>.<child>`."""

    type: Literal["FORM"]
    inputs: list[AnyInput]


class ObjectInput(Input):
    """A map with known keys: `inputs.<object>.<property>`."""

    type: Literal["OBJECT"]
    properties: list[AnyInput]

    NOT_INSIDE: ClassVar[frozenset[str]] = frozenset({"OBJECT", "TABLE", "ARRAY", "FORM", "FILE", "SECRET", "JSON", "ION", "YAML"})


class Rows(Model):
    """How many rows a table may have."""

    min: Annotated[int | None, Field(ge=0)] = None
    max: Annotated[int | None, Field(ge=0)] = None


class TableInput(Input):
    """A list of maps with known keys."""

    type: Literal["TABLE"]
    columns: list[AnyInput]
    rows: Rows | None = None


INPUT_CLASSES.update({"FORM": FormInput, "OBJECT": ObjectInput, "TABLE": TableInput})


class Output(Model):
    """What a flow gives back. Source: flow-language 3."""

    id: str = Field(pattern=INPUT_ID_PATTERN + "$")
    type: OutputType
    value: Any
    description: str | None = None
    display_name: str | None = None
    required: bool = True
