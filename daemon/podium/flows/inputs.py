"""The values of inputs when an execution starts or a pause is resumed, and the types of a flow's outputs.

Called by the conductor before it decides. Nothing is read from outside but through the callbacks. Source: flow-language 2.3, 2.4, 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.base.errors import PodiumError
from podium.flows.dynamic import has_expression
from podium.flows.models.inputs import (
    ArrayInput,
    EnumInput,
    FormInput,
    Input,
    MultiselectInput,
    ObjectInput,
    Output,
    SelectInput,
    TableInput,
)
from podium.flows.models.values import URI_SCHEMES, check_value, parse_value, shown

Render = Callable[[Any, Mapping[str, Any]], Any]
"""Renders a value, typed, over the execution's variables and the given ones on top."""

_NO_SECRETS = "Unable to use a `SECRET` input/output as encryption is not configured"
_MASK = "******"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProblem:
    """What is wrong with one input's value. message is complete; detail is its part between the id and the value."""

    id: str
    message: str
    detail: str

    def __str__(self) -> str:
        return self.message


@dataclass(slots=True, kw_only=True)
class ResolvedInput:
    """One declared input (children of a FORM by their full id) and what became of it. value: None when disabled or wrong."""

    id: str
    declared: Input
    value: Any = None
    enabled: bool = True
    problems: list[InputProblem] = field(default_factory=list)
    choices: list[str] | None = None
    """The values of a SELECT or MULTISELECT, rendered."""


def resolve_inputs(
    declared: Sequence[Input],
    supplied: Mapping[str, Any],
    render: Render,
    *,
    encrypt: Callable[[str], Any] | None = None,
    store_file: Callable[[str, str], str] | None = None,
) -> tuple[dict[str, Any], list[InputProblem]]:
    """The values as expressions see them (dotted ids nested), and every problem.

    supplied: by id, or nested as in `inputs.a.b`; what is not declared is ignored. render: must give typed values.
    encrypt: makes what is stored of a SECRET; None: encryption is not configured. store_file(input id, path): keeps a file, gives its URI.
    """
    found = examine_inputs(declared, supplied, render, encrypt=encrypt, store_file=store_file)
    problems = [problem for each in found for problem in each.problems]
    values: dict[str, Any] = {}
    for each in found:
        if each.enabled and not each.problems:
            conflict = _put(values, each.id, each.value)
            if conflict:
                problems.append(_problem(each.declared, each.id, f"Conflict at key: {conflict}", each.value))
    return values, problems


def examine_inputs(
    declared: Sequence[Input],
    supplied: Mapping[str, Any],
    render: Render,
    *,
    encrypt: Callable[[str], Any] | None = None,
    store_file: Callable[[str, str], str] | None = None,
) -> list[ResolvedInput]:
    """What became of each input, for forms that show every mistake. Arguments as for resolve_inputs."""
    return _Resolver(declared, supplied, render, encrypt, store_file).all()


def values_of(found: Sequence[ResolvedInput]) -> dict[str, Any]:
    """The values of inputs that are enabled and right, as expressions see them."""
    values: dict[str, Any] = {}
    for each in found:
        if each.enabled and not each.problems:
            _put(values, each.id, each.value)
    return values


def undeclared_names(declared: Sequence[Input], supplied: Mapping[str, Any]) -> list[str]:
    """The supplied names that belong to no declared input; `a` belongs to one named `a.b`."""
    known = {name for name, _ in flatten(declared)}
    known |= {".".join(parts[:count]) for name in known for parts in [name.split(".")] for count in range(1, len(parts))}
    return [name for name in supplied if name not in known]


def coerce_output(declared: Output | str, value: Any) -> Any:
    """A rendered output as its type says (flow-language 3). A SECRET is text: encrypting it is the caller's part.

    declared: the output, or its type's name. Raises ValueError with the whole message.
    """
    kind = declared if isinstance(declared, str) else declared.type
    name = kind if isinstance(declared, str) else declared.id
    if value is None:
        if isinstance(declared, Output) and declared.required:
            raise ValueError(f"Invalid output for `{name}`, missing required output, but received `null`")
        return None
    if kind in ("FORM", "REUSABLE_INPUTS"):
        raise ValueError(f"Invalid output for `{name}`, an output cannot be of type `{kind}`, but received `{shown(value)}`")
    try:
        return parse_value(kind, value)
    except ValueError as error:
        raise ValueError(f"Invalid output for `{name}`, {error}, but received `{_MASK if kind == 'SECRET' else shown(value)}`") from error


def _problem(declared: Input, name: str, detail: str, value: Any) -> InputProblem:
    received = _MASK if declared.type == "SECRET" and value is not None else shown(value)
    detail = detail.replace(f"`{shown(value)}`", f"`{received}`") if declared.type == "SECRET" and value is not None else detail
    return InputProblem(id=name, detail=detail, message=f"Invalid input for `{name}`, {detail}, but received `{received}`")


def _put(values: dict[str, Any], name: str, value: Any) -> str:
    """Set a dotted id; the key in the way when an input is both a value and a map, else nothing."""
    *outer, last = name.split(".")
    for part in outer:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            return part
        values = inner
    if last in values:
        return last
    values[last] = value
    return ""


def flatten(declared: Sequence[Input], prefix: str = "") -> Iterator[tuple[str, Input]]:
    """Each input with its full id; a FORM gives its children."""
    for each in declared:
        if isinstance(each, FormInput):
            yield from flatten(each.inputs, f"{prefix}{each.id}.")
        else:
            yield prefix + each.id, each


class _Resolver:
    """Resolves inputs in the order that their dependencies ask for."""

    def __init__(
        self, declared: Sequence[Input], supplied: Mapping[str, Any], render: Render, encrypt: Callable[[str], Any] | None,
        store_file: Callable[[str, str], str] | None,
    ) -> None:
        self._declared = dict(flatten(declared))
        self._supplied = supplied
        self._render = render
        self._encrypt = encrypt
        self._store_file = store_file
        self._done: dict[str, ResolvedInput] = {}
        self._open: set[str] = set()
        self._secrets: dict[str, str] = {}
        """The text of each SECRET, for the conditions that look at it: what is stored is encrypted."""

    def all(self) -> list[ResolvedInput]:
        return [self._resolve(name) for name in self._declared]

    def _resolve(self, name: str) -> ResolvedInput:
        if name in self._done:
            return self._done[name]
        declared = self._declared[name]
        result = ResolvedInput(id=name, declared=declared)
        if name in self._open:  # a cycle, which validation refuses
            result.problems.append(_problem(declared, name, "Cycle dependency detected", None))
            return result
        self._open.add(name)
        try:
            visible = self._visible(result)
            if result.enabled:
                self._value(result, visible)
        finally:
            self._open.discard(name)
        self._done[name] = result
        return result

    def _visible(self, result: ResolvedInput) -> dict[str, Any]:
        """The inputs that the condition and the expression may see; decides whether the input is enabled."""
        depends = result.declared.depends_on
        if depends is None:
            return {"inputs": {}}
        inputs: dict[str, Any] = {}
        for name in depends.inputs:
            if name not in self._declared:
                continue
            needed = self._resolve(name)
            result.enabled = result.enabled and needed.enabled
            _put(inputs, name, self._secrets.get(name, needed.value))
        if result.enabled and depends.condition is not None:
            try:
                result.enabled = self._render(depends.condition, {"inputs": inputs}) is True
            except PodiumError as error:
                result.enabled = False
                result.problems.append(_problem(result.declared, result.id, f"Invalid condition: {error.what}", None))
        return {"inputs": inputs}

    def _raw(self, name: str) -> Any:
        """What was supplied for an id: under the whole id, or nested."""
        if name in self._supplied:
            return self._supplied[name]
        value: Any = self._supplied
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value

    def _value(self, result: ResolvedInput, visible: Mapping[str, Any]) -> None:
        declared = result.declared
        value: Any = None
        try:
            result.choices = self._choices(declared, visible)
            value = self._given(result, visible)
            if value is None:
                if declared.required:
                    result.problems.append(_problem(declared, result.id, "missing required input", None))
                return
            result.value = self._parsed(result, value)
        except PodiumError as error:
            result.problems.append(_problem(declared, result.id, error.what, value))
        except ValueError as error:
            result.problems.append(_problem(declared, result.id, str(error), value))

    def _given(self, result: ResolvedInput, visible: Mapping[str, Any]) -> Any:
        declared = result.declared
        value = self._raw(result.id)
        if value == "" and not declared.required and declared.type not in ("STRING", "SECRET", "EMAIL"):
            value = None  # an empty field of a form
        if value is None and declared.defaults is not None:
            value = self._render(declared.defaults, visible) if _dynamic(declared.defaults) else declared.defaults
        if value is None and result.choices and getattr(declared, "auto_select_first", False):
            value = [result.choices[0]] if isinstance(declared, MultiselectInput) else result.choices[0]
        return value

    def _choices(self, declared: Input, visible: Mapping[str, Any]) -> list[str] | None:
        if isinstance(declared, EnumInput):
            return declared.values
        if not isinstance(declared, (SelectInput, MultiselectInput)):
            return None
        if declared.expression is None:
            options = declared.options if isinstance(declared, MultiselectInput) else None
            return declared.values if declared.values is not None else options
        try:
            found = self._render(declared.expression, visible)
        except PodiumError as error:
            raise ValueError(f"Cannot render 'expression'. Cause: {error.what}") from error
        if isinstance(found, str) and found.lstrip().startswith("["):
            found = parse_value("ARRAY", found)
        if not isinstance(found, (list, tuple)):
            raise ValueError(f"Invalid expression result. Expected a list of strings, but received {shown(found)}")
        return [shown(each) for each in found]

    def _parsed(self, result: ResolvedInput, value: Any) -> Any:
        declared = result.declared
        if declared.type == "REUSABLE_INPUTS":
            raise ValueError("REUSABLE_INPUTS is an Enterprise Edition functionality")
        item_type = declared.item_type if isinstance(declared, (ArrayInput, MultiselectInput)) else "STRING"
        parsed = parse_value(declared.type, value, item_type=item_type)
        if parsed is None:
            return None
        if isinstance(declared, ObjectInput):
            return _members(declared.properties, parsed)
        if isinstance(declared, TableInput):
            return _table(declared, parsed)
        wrong = check_value(declared, parsed, result.choices)
        if wrong:
            raise ValueError("; ".join(wrong))
        if declared.type == "FILE":
            return self._file(result.id, parsed)
        if declared.type == "SECRET":
            if self._encrypt is None:
                raise ValueError(_NO_SECRETS)
            self._secrets[result.id] = parsed
            return self._encrypt(parsed)
        return parsed

    def _file(self, name: str, value: str) -> str:
        if value.startswith(URI_SCHEMES):
            return value
        if self._store_file is None:
            raise ValueError("a file must be uploaded, or given as a kestra:// URI")
        return self._store_file(name, value)


def _dynamic(value: Any) -> bool:
    if isinstance(value, str):
        return has_expression(value)
    if isinstance(value, Mapping):
        return any(_dynamic(key) or _dynamic(each) for key, each in value.items())
    return isinstance(value, (list, tuple)) and any(_dynamic(each) for each in value)


def _members(declared: Sequence[Input], given: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an OBJECT or the cells of a TABLE's row, each by its own type. Raises ValueError."""
    values: dict[str, Any] = {}
    for each in declared:
        value = given.get(each.id)
        if value is None:
            if each.required:
                raise ValueError(f"missing required property `{each.id}`")
            values[each.id] = None
            continue
        item_type = each.item_type if isinstance(each, (ArrayInput, MultiselectInput)) else "STRING"
        parsed = parse_value(each.type, value, item_type=item_type)
        choices = each.values if isinstance(each, (EnumInput, SelectInput, MultiselectInput)) else None
        wrong = check_value(each, parsed, choices)
        if wrong:
            raise ValueError(f"`{each.id}`: {'; '.join(wrong)}")
        values[each.id] = parsed
    return values


def _table(declared: TableInput, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = declared.rows
    if rows is not None and rows.min is not None and len(given) < rows.min:
        raise ValueError(f"it must have at least `{rows.min}` rows")
    if rows is not None and rows.max is not None and len(given) > rows.max:
        raise ValueError(f"it must have at most `{rows.max}` rows")
    return [_members(declared.columns, row) for row in given]
