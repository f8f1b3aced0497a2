"""What a flow says of itself, and its inputs: rewriting of 1.x to 2.0. Source: flow-language-2 1, 2, 6 and 7."""

from __future__ import annotations

import re
from collections.abc import Iterator

from podium.base.patterns import matches
from podium.flows.checks.rules import LABEL_KEY_2, RESERVED_IDS, is_worker_tag
from podium.flows.migrate.text.editing import Draft
from podium.flows.migrate.text.source import Part
from podium.flows.migrate.walking import tasks_of

_NOW = {"BOOLEAN": "BOOL", "ENUM": "SELECT"}


def rewrite_flow(draft: Draft, root: Part) -> None:
    """Properties of the flow itself."""
    name = root.pair("id")
    if name is not None and name.value.text in RESERVED_IDS:
        new = f"{name.value.text}-flow"
        draft.change(name.value, f"flow id {name.value.text} → {new}, as paths of the API use it", draft.write(name.value, new))
    checks = root.get("checks")
    for check in checks.maps() if checks is not None else ():
        pair = check.pair("condition")
        if pair is not None and check.pair("when") is None:
            draft.change(pair.key, "check: condition → when", draft.rename(pair, "when"))
    listeners = root.pair("listeners")
    if listeners is not None:
        todo = "move the tasks to afterExecution with runIf, or to a flow of their own with a Flow trigger"
        draft.cannot(listeners.key, "2.0 has no listeners", todo)
    _labels(draft, root.get("labels"))


def _labels(draft: Draft, labels: Part | None) -> None:
    keys: list[Part] = []
    if labels is not None and labels.kind == "map":
        keys = [pair.key for pair in labels.pairs]
    elif labels is not None:
        keys = [key for each in labels.maps() if (key := each.get("key")) is not None]
    for key in keys:
        if "{{" not in key.text and not matches(LABEL_KEY_2, key.text):
            draft.cannot(key, f"the label key '{key.text}' is refused by 2.0", "use lower-case letters, digits, - _ . and begin with a letter")


def rewrite_worker_groups(draft: Draft, root: Part) -> None:
    """workerGroup → workerSelector, of the flow, tasks and triggers."""
    triggers = root.get("triggers")
    for owner in (root, *(here.task for here in tasks_of(root)), *(triggers.maps() if triggers is not None else ())):
        pair = owner.pair("workerGroup")
        if pair is None:
            continue
        key, fallback = pair.value.string("key"), pair.value.string("fallback")
        if key is None or not is_worker_tag(key):
            what = "the key of a workerGroup becomes a tag, and this is none"
            draft.cannot(pair.key, what, "write workerSelector: {tags: [name]}, with lower-case letters, digits and hyphens")
            continue
        value = {"tags": [key], "fallback": fallback or "WAIT"}
        draft.change(pair.key, "workerGroup → workerSelector", draft.put(owner, pair, [("workerSelector", value)]))


def _inputs(part: Part | None) -> Iterator[Part]:
    for each in part.maps() if part is not None else ():
        yield each
        for inner in ("inputs", "properties", "columns"):
            yield from _inputs(each.get(inner))


def rewrite_inputs(draft: Draft, root: Part) -> None:
    """Inputs of the flow and of pauses, and outputs of the flow."""
    lists = [root.get("inputs")]
    asking = {"flow.Pause": "onResume", "flow.Approval": "inputs"}
    lists += [here.task.get(asking[here.kind]) for here in tasks_of(root) if here.kind in asking]
    for each in lists:
        for declared in _inputs(each):
            _input(draft, declared)
    outputs = root.get("outputs")
    for output in outputs.maps() if outputs is not None else ():
        kind = output.get("type")
        if kind is not None and kind.text in _NOW:
            draft.change(kind, f"output type {kind.text} → {_NOW[kind.text]}", draft.write(kind, _NOW[kind.text]))


def _input(draft: Draft, part: Part) -> None:
    name = part.pair("name")
    if name is not None and part.pair("id") is None:
        draft.change(name.key, "input: name → id", draft.rename(name, "id"))
    elif name is not None:
        draft.change(name.key, "input: name removed, as there is an id", draft.remove(part, name))
    for key in ("type", "itemType"):
        kind = part.get(key)
        if kind is not None and kind.text in _NOW:
            draft.change(kind, f"input {key} {kind.text} → {_NOW[kind.text]}", draft.write(kind, _NOW[kind.text]))
    options = part.pair("options")
    if options is not None and part.string("type") == "MULTISELECT" and part.pair("values") is None:
        draft.change(options.key, "MULTISELECT: options → values", draft.rename(options, "values"))
    required, defaults = part.pair("required"), part.pair("defaults")
    if required is not None and required.value.text.lower() == "false" and defaults is not None and _given(defaults.value):
        draft.change(required.key, "input: 'required: false' removed, as there are defaults", draft.remove(part, required))
    prefill = part.pair("prefill")
    if prefill is not None and defaults is not None and _given(defaults.value):
        draft.cannot(prefill.key, "an input with defaults cannot have a prefill", "keep one of them")
    extension = part.pair("extension")
    if extension is not None and part.string("type") == "FILE":
        _extension(draft, part)


def _extension(draft: Draft, part: Part) -> None:
    """The older property gave the stored file its ending; the newer one says which endings may be uploaded."""
    pair = part.pair("extension")
    assert pair is not None
    ending = pair.value.text
    if part.pair("allowedFileExtensions") is None and re.fullmatch(r"\.\w+", ending) and ending != ".upl":
        new = [("allowedFileExtensions", [ending])]
        draft.change(pair.key, "FILE: extension → allowedFileExtensions (other files are refused then)", draft.put(part, pair, new))
    else:
        draft.change(pair.key, "FILE: extension removed", draft.remove(part, pair))


def _given(part: Part) -> bool:
    return part.kind != "scalar" or part.is_set
