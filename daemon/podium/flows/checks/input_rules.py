"""Rules of inputs and their defaults. Source: flow-language 2, flow-language-2 2 and 6."""

from __future__ import annotations

from collections.abc import Iterator

from podium.base.patterns import compile_java
from podium.flows.checks.rules import Checked, Rule, is_empty, maps_in, static_text
from podium.flows.checks.task_rules import find_cycle
from podium.flows.dynamic import has_expression
from podium.flows.models.inputs import INPUT_CLASSES, ObjectInput
from podium.flows.models.values import URI_SCHEMES, check_value, parse_value
from podium.flows.reading.problems import join, key_of
from podium.flows.reading.shape import Seen
from podium.flows.reading.yaml import Fields, Items, Node, Scalar, plain

_BOUND_TYPES = ("DATETIME", "DATE", "TIME")


def name_of(node: Fields) -> str | None:
    """The id of an input, or its older spelling `name`."""
    return node.text("id") or node.text("name")


def full_id(seen: Seen) -> str | None:
    """The id by which expressions know an input: children of a FORM are below it."""
    own = name_of(seen.node)
    if own is not None and seen.parent is not None and seen.parent.what == "input" and seen.parent.name == "FORM":
        return f"{full_id(seen.parent)}.{own}"
    return own


def groups(flow: Checked) -> Iterator[list[Seen]]:
    """The inputs that stand together: those of the flow, of each Pause, of each Approval; with the children of their forms."""
    found: dict[str, list[Seen]] = {}
    for each in flow.shaping.of("input"):
        outer = each
        while outer.parent is not None and outer.parent.what == "input":
            outer = outer.parent
        if each.parent is None or each.parent.what != "input" or each.parent.name == "FORM":
            found.setdefault(outer.path.rpartition("[")[0], []).append(each)
    yield from found.values()


def _depends(flow: Checked) -> None:
    for group in groups(flow):
        needs: dict[str, list[str]] = {}
        by_id = {own: each for each in group if (own := full_id(each)) is not None}
        for name, each in by_id.items():
            depends = each.node.get("dependsOn")
            wanted = depends.get("inputs") if isinstance(depends, Fields) else None
            for index, item in enumerate(wanted.items if isinstance(wanted, Items) else []):
                needed = static_text(item)
                if needed is None:
                    continue
                if needed not in by_id:
                    what = f"Input with id '{name}' depends on a non-existent input '{needed}'."
                    hint = f"inputs: {', '.join(other for other in by_id if other != name)}"
                    flow.problem(item, f"{each.path}.dependsOn.inputs[{index}]", "dependency", what, hint)
                else:
                    needs.setdefault(name, []).append(needed)
        cycle = find_cycle(needs)
        if cycle:
            first = by_id[cycle[0]]
            what = f"Cycle dependency detected for input with id '{cycle[0]}': [{', '.join(cycle)}]"
            flow.problem(key_of(first.node, "dependsOn"), join(first.path, "dependsOn"), "dependency", what, "remove one of these dependencies")


def _conflicts(flow: Checked) -> None:
    """`a` beside `a.b`: one of them cannot be seen."""
    for group in groups(flow):
        names = {own: each for each in group if each.name != "FORM" and (own := full_id(each)) is not None}
        for name, each in names.items():
            parts = name.split(".")
            outer = next((".".join(parts[:count]) for count in range(1, len(parts)) if ".".join(parts[:count]) in names), None)
            if outer is not None:
                what = f"Conflict at key: {outer}: an input cannot be a value and hold '{name}'"
                flow.warning(key_of(each.node, "id"), each.path, "input-conflict", what, "rename one of the two")


def _patterns(flow: Checked) -> None:
    for each in flow.shaping.of("input"):
        pattern = each.node.text("validator")
        if pattern is None or each.name not in ("STRING", "SECRET"):
            continue
        try:
            compile_java(pattern)
        except ValueError as error:
            at = each.node.get("validator") or each.node
            flow.problem(at, join(each.path, "validator"), "pattern", f"invalid pattern [{pattern}]", str(error))


def _choices(flow: Checked) -> None:
    for each in flow.shaping.of("input"):
        node, path = each.node, each.path
        if each.name in ("SELECT", "MULTISELECT"):
            given = [name for name in ("values", "options", "expression") if not is_empty(node.get(name))]
            if "values" in given and "options" in given:
                what = "you can't define both `values` and `options`"
                flow.problem(key_of(node, "options"), join(path, "options"), "input", what, "'options' is the older name: keep values")
            elif not given:
                what = "you must define `values` or `expression`"
                flow.problem(node, join(path, "values"), "input", what, "add values: [a, b]")
            elif "expression" in given and len(given) > 1:
                what = "'values' has no effect beside 'expression'"
                flow.warning(key_of(node, "values"), join(path, "values"), "no-effect", what, "keep one of them")
        if each.name == "ENUM" and "values" in node.entries and is_empty(node.get("values")):
            flow.problem(key_of(node, "values"), join(path, "values"), "empty", "must not be empty", "add the values")
        kind = node.text("itemType")
        if each.name == "ARRAY" and kind == "ARRAY":
            flow.problem(key_of(node, "itemType"), join(path, "itemType"), "input", "`itemType` cannot be `ARRAY`", "use JSON for nested lists")
        elif each.name == "ARRAY" and kind in ("FORM", "REUSABLE_INPUTS", "OBJECT", "TABLE", "MULTISELECT"):
            what = f"`itemType` cannot be `{kind}`"
            flow.problem(key_of(node, "itemType"), join(path, "itemType"), "input", what, "use JSON for nested lists")


def _bounds(flow: Checked) -> None:
    """Limits that can be read, and leave something between them."""
    for each in flow.shaping.of("input"):
        for name in ("after", "before"):
            text = each.node.text(name)
            if text is None or each.name not in _BOUND_TYPES:
                continue
            try:
                parse_value(each.name, text)
            except ValueError as error:
                flow.problem(key_of(each.node, name), join(each.path, name), "input", f"Illegal flow yaml: {error}", "")
        rows = each.node.get("rows")
        if each.name == "TABLE" and isinstance(rows, Fields):
            least, most = rows.get("min"), rows.get("max")
            counts = [number.value for number in (least, most) if isinstance(number, Scalar) and isinstance(number.value, int)]
            if len(counts) == 2 and counts[0] > counts[1]:
                what = f"no table can have at least {counts[0]} and at most {counts[1]} rows: 'min' is more than 'max'"
                flow.problem(key_of(rows, "max"), join(each.path, "rows.max"), "input", what, "swap min and max")
        low, high = each.node.get("min"), each.node.get("max")
        if isinstance(low, Scalar) and isinstance(high, Scalar) and each.name in ("INT", "FLOAT"):
            numbers = [each.value for each in (low, high) if isinstance(each.value, (int, float)) and not isinstance(each.value, bool)]
            if len(numbers) == 2 and numbers[0] > numbers[1]:
                what = f"no value can be both more than {low.text} and less than {high.text}"
                flow.problem(high, join(each.path, "max"), "input", what, "swap min and max")


def _defaults(flow: Checked) -> None:
    for each in flow.shaping.of("input"):
        defaults, prefill = each.node.get("defaults"), each.node.get("prefill")
        at, path = key_of(each.node, "defaults"), join(each.path, "defaults")
        if is_empty(defaults) and not isinstance(defaults, (Items, Fields)):
            continue
        assert defaults is not None
        if each.name == "FORM":
            continue
        if not is_empty(prefill):
            what = "Inputs with a default value cannot also have a prefill."
            flow.problem(key_of(each.node, "prefill"), join(each.path, "prefill"), "input", what, "keep defaults or prefill")
        required = each.node.get("required")
        if isinstance(required, Scalar) and required.value is False:
            what = "Inputs with a default value must be required, since the default is always applied."
            tell = flow.problem if flow.dialect == "2.0" else flow.warning
            tell(key_of(each.node, "required"), join(each.path, "required"), "input", what, "remove 'required: false'")
        if each.name == "FILE":
            text = static_text(defaults)
            if text is not None and not text.startswith(URI_SCHEMES):
                what = "no `defaults` can be set for inputs of type 'FILE'"
                flow.problem(at, path, "input", what, "only nsfile:///path or file:///path can be a default")
            continue
        _static_default(flow, each, defaults, path)


def _static_default(flow: Checked, seen: Seen, defaults: Node, path: str) -> None:
    """A default without expressions is read as it will be when an execution starts."""
    value = defaults.text if isinstance(defaults, Scalar) and seen.name in ("STRING", "SELECT", "ENUM", "SECRET") else plain(defaults)
    if seen.cls is None or _dynamic(value) or seen.name in ("OBJECT", "TABLE", "REUSABLE_INPUTS"):
        return
    try:
        parsed = parse_value(seen.name, value, item_type=seen.node.text("itemType") or "STRING")
    except KeyError:  # the type of the items is wrong, and reported
        return
    except ValueError as error:
        flow.problem(defaults, path, "input", f"Illegal flow yaml: the default cannot be read: {error}", f"write a value of type {seen.name}")
        return
    choices = seen.node.get("values") if not is_empty(seen.node.get("values")) else seen.node.get("options")
    known = [each.text for each in choices.items if isinstance(each, Scalar)] if isinstance(choices, Items) else None
    try:
        declared = INPUT_CLASSES[seen.name].model_validate({**_own(seen), "id": "x", "type": seen.name})
        wrong = check_value(declared, parsed, known)
    except ValueError:  # what is wrong with the input itself is reported elsewhere
        return
    for detail in wrong:
        flow.warning(defaults, path, "input", f"the default is refused when it is used: {detail}", "change the default or the rule")


def _own(seen: Seen) -> dict[str, object]:
    names = ("min", "max", "after", "before", "values", "options", "allowCustomValue", "itemType")
    own = {name: plain(node) for name in names if (node := seen.node.get(name)) is not None and seen.name not in ("JSON", "YAML")}
    if seen.name in ("SELECT", "ENUM", "MULTISELECT"):
        own = {name: value for name, value in own.items() if name != "options"} | {"values": []}
    if pattern := seen.node.text("validator"):
        own["validator"] = pattern
    return own


def _dynamic(value: object) -> bool:
    if isinstance(value, str):
        return has_expression(value)
    if isinstance(value, dict):
        return any(_dynamic(each) for each in value.values())
    return isinstance(value, list) and any(_dynamic(each) for each in value)


def _forms(flow: Checked) -> None:
    for each in flow.shaping.of("input"):
        outer = each.parent if each.parent is not None and each.parent.what == "input" else None
        if each.name == "FORM":
            own = next((name for name in ("defaults", "prefill") if _is_given(each.node.get(name))), None)
            if own is not None:
                what = "A FORM input groups other inputs and cannot declare a default value or a prefill."
                flow.problem(key_of(each.node, own), each.path, "input", what, "set them on the inputs inside")
            if is_empty(each.node.get("inputs")) and "inputs" in each.node.entries:
                flow.problem(key_of(each.node, "inputs"), join(each.path, "inputs"), "empty", "must not be empty", "add inputs")
            if outer is not None:
                what = "A FORM input cannot contain another FORM input; grouping is limited to a single level."
                flow.problem(key_of(each.node, "type"), each.path, "input", what, "move the inner inputs out")
        if each.name == "REUSABLE_INPUTS":
            what = "REUSABLE_INPUTS is an Enterprise Edition functionality"
            flow.problem(key_of(each.node, "type"), each.path, "enterprise", what, "write the inputs out")
        if outer is not None and outer.name in ("OBJECT", "TABLE"):
            _inside_object(flow, each, outer.name)


def _is_given(node: Node | None) -> bool:
    """Whether something is written there, be it empty."""
    return node is not None and not (isinstance(node, Scalar) and node.value is None)


def _inside_object(flow: Checked, seen: Seen, outer: str) -> None:
    if seen.name in ObjectInput.NOT_INSIDE:
        what = f"an input of type {outer} cannot hold one of type {seen.name}"
        flow.problem(key_of(seen.node, "type"), seen.path, "input", what, "use JSON for nested values")
    for name in ("defaults", "prefill", "dependsOn", "expression"):
        if not is_empty(seen.node.get(name)):
            what = f"'{name}' cannot stand inside an input of type {outer}"
            flow.problem(key_of(seen.node, name), join(seen.path, name), "input", what, "set it on the whole input")


def _deprecated(flow: Checked) -> None:
    for each in flow.shaping.of("input") if flow.dialect != "2.0" else ():
        if "name" in each.node.entries:
            flow.warning(each.node.entries["name"], join(each.path, "name"), "deprecated", "'name' of an input is deprecated", "write id:")
        now = {"BOOLEAN": "BOOL", "ENUM": "SELECT"}.get(each.name)
        if now is not None:
            flow.warning(key_of(each.node, "type"), each.path, "deprecated", f"the input type {each.name} is deprecated", f"use {now}")
    for node, path in maps_in(flow.root.get("outputs"), "outputs"):
        kind = node.text("type")
        if kind in ("FORM", "REUSABLE_INPUTS"):
            flow.problem(key_of(node, "type"), join(path, "type"), "output", f"an output cannot be of type {kind}", "use JSON")


RULES: tuple[Rule, ...] = (_depends, _conflicts, _patterns, _choices, _bounds, _defaults, _forms, _deprecated)
