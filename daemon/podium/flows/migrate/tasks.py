"""Tasks: types and properties that 2.0 names otherwise or does not have. Loops are in loops.py. Source: flow-language-2 7."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from podium.expressions.tokens import Token
from podium.flows.migrate.text.editing import Draft, Entries, Verbatim
from podium.flows.migrate.text.source import Part
from podium.flows.migrate.text.templates import Found, Swap, Trouble, around
from podium.flows.migrate.walking import Here, tasks_of
from podium.flows.reading.removed import GONE_TASKS
from podium.flows.types import PREFIX, Types

_CORE = "io.kestra.plugin.core."
_DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"
_NO_TYPES = frozenset({"inputs", "labels", "variables", "conditions", "scheduleConditions"})
"""Where a `type` is no plug-in's, or one of conditions, which 2.0 does not have."""
_SIMPLE_ID = re.compile(r"[a-z0-9][a-z0-9-]*")


def rewrite_types(draft: Draft, root: Part, types: Types) -> None:
    """Old names of types → current names, wherever a `type` stands in tasks and triggers."""
    for section in ("tasks", "errors", "finally", "afterExecution", "listeners", "triggers", "pluginDefaults", "taskDefaults"):
        for part in _maps(root.get(section)):
            kind = part.get("type")
            if kind is None or kind.kind != "scalar" or "." not in kind.text:
                continue
            current = types.canonical(kind.text)
            if current not in (kind.text, PREFIX + kind.text):
                draft.change(kind, f"type {kind.text} → {current}", draft.write(kind, current))
            elif kind.text.startswith("io.kestra.core.") and not section.endswith("Defaults"):
                draft.cannot(kind, f"{kind.text} has no place in 2.0, and its new name is not known", "look up the type that replaced it")


def _maps(part: Part | None) -> Iterator[Part]:
    if part is None:
        return
    if part.kind == "map":
        yield part
    for each in (*part.items, *(pair.value for pair in part.pairs if pair.key.text not in _NO_TYPES)):
        yield from _maps(each)


def rewrite_tasks(draft: Draft, root: Part) -> None:
    """Every task of the flow."""
    _retry(draft, root)
    for here in tasks_of(root):
        _retry(draft, here.task)
        if here.kind in GONE_TASKS or (here.task.string("type") or "") in GONE_TASKS:
            name = here.kind or here.task.string("type") or ""
            draft.cannot(here.task.get("type") or here.task, f"2.0 has no task {name}", GONE_TASKS[name])
        rule = _RULES.get(here.kind)
        if rule is not None:
            rule(draft, here, root)
        kind = here.task.string("type") or ""
        if "scripts." in kind:
            _script(draft, here)
        if here.kind.startswith("http."):
            _http(draft, here.task)
        if kind.endswith("plugin.fs.local.Delete") and here.task.pair("recursive") is None:
            _add(draft, here, "recursive: true, which was the default of 1.x", ("recursive", True))
    triggers = root.get("triggers")
    for trigger in triggers.maps() if triggers is not None else ():
        if (trigger.string("type") or "").endswith("core.http.Trigger"):
            _http(draft, trigger)


def _add(draft: Draft, here: Here, what: str, *entries: tuple[str, Any]) -> None:
    pair = here.task.pair("type")
    if pair is not None:
        draft.change(pair.key, what, draft.add(here.task, pair, entries))


def _retry(draft: Draft, owner: Part) -> None:
    retry = owner.get("retry")
    pair = retry.pair("maxAttempt") if retry is not None else None
    if pair is not None:
        draft.change(pair.key, "retry: maxAttempt → maxAttempts", draft.rename(pair, "maxAttempts"))


def _retype(draft: Draft, here: Here, name: str, *renames: tuple[str, str], but: Sequence[tuple[str, str]] = ()) -> None:
    """Another type, and other names of its properties."""
    kind = here.task.get("type")
    assert kind is not None
    pairs = [(here.task.pair(old), new) for old, new in renames]
    edits = [draft.rename(pair, new) for pair, new in pairs if pair is not None]
    draft.change(kind, f"{here.kind} → {name}", draft.write(kind, _CORE + name), *edits, but=but)


# ---- the core's own


def _echo(draft: Draft, here: Here, root: Part) -> None:
    _retype(draft, here, "log.Log", ("format", "message"))


def _template(draft: Draft, here: Here, root: Part) -> None:
    but = [("the Subflow needs a flow of that id", "make a flow of the template; its args are its inputs")]
    _retype(draft, here, "flow.Subflow", ("templateId", "flowId"), ("args", "inputs"), but=but)


def _subflow(draft: Draft, here: Here, root: Part) -> None:
    pair = here.task.pair("outputs")
    if pair is not None:
        but = [("a Subflow has no 'outputs' in 2.0", f"declare them as outputs of the flow {here.task.string('flowId') or 'it starts'}")]
        draft.change(pair.key, "Subflow: outputs removed", draft.remove(here.task, pair), but=but)


def _exit(draft: Draft, here: Here, root: Part) -> None:
    state = here.task.get("state")
    if state is not None and state.text == "CANCELED":
        draft.change(state, "state CANCELED → CANCELLED", draft.write(state, "CANCELLED"))


def _purge_kv(draft: Draft, here: Here, root: Part) -> None:
    pair = here.task.pair("expiredOnly")
    if pair is not None and here.task.pair("behavior") is None:
        value = Entries((("type", "key"), draft.verbatim(pair, flow=here.task.flow)))
        draft.change(pair.key, "PurgeKV: expiredOnly → behavior", draft.put(here.task, pair, [("behavior", value)]))


def _pause(draft: Draft, here: Here, root: Part) -> None:
    delay, tasks = here.task.pair("delay"), here.task.pair("tasks")
    if delay is not None and here.task.pair("pauseDuration") is None:
        draft.change(delay.key, "Pause: delay → pauseDuration", draft.rename(delay, "pauseDuration"))
    if tasks is None:
        return
    plain = all(here.task.pair(name) is None for name in ("errors", "finally", "runIf", "allowFailure", "allowWarning", "retry", "disabled"))
    items = here.items
    if not (here.ordered and plain and items is not None and not items.flow and tasks.value.kind == "list" and not tasks.value.flow):
        draft.cannot(tasks.key, "a Pause has no tasks in 2.0", "put them behind it; in a Parallel or Dag put both into a Sequential")
        return
    source = draft.source
    before_id = source.text[source.line_start(here.task.start) : here.task.start]
    column = before_id.find("-")
    if before_id.strip() != "-":
        draft.cannot(tasks.key, "a Pause has no tasks in 2.0", "put them behind it")
        return
    if not tasks.value.items:
        draft.change(tasks.key, "Pause: empty tasks removed", draft.remove(here.task, tasks))
        return
    first = tasks.value.items[0]
    begin = source.text.rfind("-", tasks.key.end, first.start)
    moved = draft.verbatim(Part("list", begin, tasks.value.end))
    at = source.line_end(here.task.end)
    indent = source.newline + " " * column
    text = "".join(indent + line if line else source.newline for line in moved.lines)
    if tasks.end == here.task.end:  # its last property: one edit, as both touch the same place
        start = source.line_start(tasks.start) if source.leads(tasks.start) else tasks.start
        head = source.comments(tasks.key.end, begin)
        before = start - len(source.newline)
        draft.change(tasks.key, "Pause: its tasks follow it", draft.cut(before, at, "".join(indent + each for each in head) + text))
    else:
        edits = [draft.remove(here.task, tasks, [("tasks", moved)]), draft.cut(at, at, text)]
        draft.change(tasks.key, "Pause: its tasks follow it", *edits)


# ---- state → kv


def _state(draft: Draft, here: Here, root: Part) -> None:
    kind = here.task.get("type")
    assert kind is not None
    task, flow_id = here.task, root.string("id") or ""
    name = task.string("name") or "default"
    shared = (task.string("namespace") or "false").lower()
    per_value = bool(here.loops) and (task.string("taskrunValue") or "true").lower() != "false"
    if "{{" in name or shared not in ("true", "false") or per_value or not _SIMPLE_ID.fullmatch(flow_id):
        draft.cannot(kind, f"2.0 has no task {here.kind}", "use the tasks of core.kv with a key of your own")
        return
    key = ("" if shared == "true" else f"{flow_id}_") + f"states_tasks-states_{name}"
    verb = here.kind.rpartition(".")[2]
    edits = [draft.write(kind, f"{_CORE}kv.{verb}")]
    written = task.pair("name")
    pair = task.pair("type")
    assert pair is not None
    if written is not None:
        edits.append(draft.put(task, written, [("key", key)]))
    else:
        edits.append(draft.add(task, pair, [("key", key)]))
    data = task.pair("data")
    if data is not None:
        edits.append(draft.rename(data, "value"))
    edits += [draft.remove(task, pair) for name in ("namespace", "taskrunValue") if (pair := task.pair(name)) is not None]
    todo = "run the flow once with a kv.Set of what the state holds, or begin anew"
    lost = "; kv.Set replaces the whole value, where state.Set merged" if verb == "Set" else ""
    but = [(f"what the state '{name}' holds is not in the key-value store{lost}", todo)]
    draft.change(kind, f"{here.kind} → kv.{verb}", *edits, but=but)


def state_outputs(ids: frozenset[str]) -> Callable[[str, Sequence[Token]], Iterator[Found]]:
    """A rewriter for what reads the outputs of state.Get tasks with these ids."""

    def rewriter(template: str, tokens: Sequence[Token]) -> Iterator[Found]:
        for index in range(len(tokens) - 4):
            words = [each.value for each in tokens[index : index + 5]]
            if words[0] == "outputs" and words[1] == "." and words[2] in ids and words[3] == "." and around(tokens, index)[0] != ".":
                if words[4] == "data":
                    yield Swap(tokens[index + 4].at, tokens[index + 4].end, "value", "output data of state.Get → value of kv.Get")
                elif words[4] == "count":
                    todo = f"write (outputs.{words[2]}.value | length)"
                    yield Trouble(tokens[index + 4].at, "kv.Get has no output 'count'", todo)

    return rewriter


# ---- http, scripts


def _http(draft: Draft, task: Part) -> None:
    options, ssl = task.pair("options"), task.pair("sslOptions")
    inner = options.value if options is not None and options.value.kind == "map" else None
    if ssl is not None:
        if inner is None and options is None:
            whole = ("options", Entries((draft.verbatim(ssl, key="ssl", flow=task.flow),)))
            draft.change(ssl.key, "sslOptions → options.ssl", draft.put(task, ssl, [whole]))
        elif inner is not None and inner.pairs and inner.pair("ssl") is None:
            moved = [draft.verbatim(ssl, key="ssl", flow=task.flow)]
            draft.change(ssl.key, "sslOptions → options.ssl", draft.remove(task, ssl, moved), draft.add(inner, inner.pairs[-1], moved))
        else:
            draft.cannot(ssl.key, "2.0 has no sslOptions", "write it as options.ssl")
    if inner is None:
        return
    timeout = inner.pair("connectionPoolIdleTimeout")
    if timeout is not None:
        draft.change(timeout.key, "options: connectionPoolIdleTimeout removed", draft.remove(inner, timeout))
    user, password = inner.pair("basicAuthUser"), inner.pair("basicAuthPassword")
    first = user or password
    if first is None or inner.pair("auth") is not None:
        return
    pairs = [(user, "username"), (password, "password")]
    value = Entries((("type", "BASIC"), *(draft.verbatim(pair, key=name, flow=inner.flow) for pair, name in pairs if pair is not None)))
    new = [("auth", value)]
    edits = [draft.put(inner, first, new)]
    if user is not None and password is not None:
        edits.append(draft.remove(inner, password, new))
    draft.change(first.key, "options: basicAuthUser, basicAuthPassword → auth", *edits)


def _script(draft: Draft, here: Here) -> None:
    task = here.task
    runner, docker = task.pair("runner"), task.pair("docker")
    options = docker.value if docker is not None and docker.value.kind == "map" else None
    if runner is None and options is None:
        return
    first = runner or docker
    assert first is not None
    given = task.pair("taskRunner")
    inside = [pair for pair in (options.pairs if options is not None else []) if pair.key.text != "image"]
    image = options.pair("image") if options is not None else None
    new: list[tuple[str, Any] | Verbatim] = []
    flow = options is not None and options.flow
    if runner is not None and runner.value.text == "PROCESS":
        new.append(("taskRunner", {"type": f"{_CORE}runner.Process"}))
        inside, image = [], None
    elif given is None or runner is not None:
        new.append(("taskRunner", Entries((("type", _DOCKER), *(draft.verbatim(pair, flow=flow) for pair in inside)))))
    elif inside:
        draft.cannot(first.key, "'docker' beside 'taskRunner' is no property of 2.0", "move its options into taskRunner")
        return
    if image is not None and task.pair("containerImage") is None:
        new.append(draft.verbatim(image, key="containerImage", flow=flow))
    if given is not None and runner is not None:
        draft.cannot(first.key, "'runner' beside 'taskRunner' is no property of 2.0", "keep taskRunner, and write the one that is meant")
        return
    edits = [draft.put(task, first, new) if new else draft.remove(task, first)]
    if runner is not None and docker is not None:
        edits.append(draft.remove(task, docker, new))
    draft.change(first.key, "runner, docker → taskRunner, containerImage", *edits)


Rule = Callable[[Draft, Here, Part], None]
_RULES: dict[str, Rule] = {
    "debug.Echo": _echo, "flow.Template": _template, "flow.Subflow": _subflow, "execution.Exit": _exit, "kv.PurgeKV": _purge_kv,
    "flow.Pause": _pause, "state.Get": _state, "state.Set": _state, "state.Delete": _state,
}
