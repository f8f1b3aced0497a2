"""Functions of their arguments and the variables alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.base.limits import RANGE_ITEMS_MAX
from podium.expressions.calls import VARIADIC, Args, Function, flag_arg, required, text, text_arg
from podium.expressions.formats.json_text import parse_json
from podium.expressions.operators import compare, is_number, type_name, value_range
from podium.expressions.runtime import Fault, Runtime

OLD, NEW = ("1.x",), ("2.0",)


def _max(rt: Runtime, args: Args) -> Any:
    return _extreme(args[VARIADIC], ">")


def _min(rt: Runtime, args: Args) -> Any:
    return _extreme(args[VARIADIC], "<")


def _extreme(values: list[Any], operator: str) -> Any:
    found: Any = None
    for value in values:
        if value is not None and not is_number(value):
            raise Fault(f"only numbers can be compared, not {type_name(value)}")
        if found is None or compare(operator, value, found, "1.x"):
            found = value
    return found


def _range(rt: Runtime, args: Args) -> Any:
    step = args.get("increment", 1)
    return value_range(rt, required(args, "start"), required(args, "end"), 1 if step is None else step, RANGE_ITEMS_MAX)


def _from_json(rt: Runtime, args: Args) -> Any:
    found = required(args, "json")
    if found is None:
        return None
    rt.meter.spend(len(text(found, "the argument 'json'")) >> 4)
    return parse_json(found)


def _from_ion(rt: Runtime, args: Args) -> Any:
    found = required(args, "ion")
    if found is None:
        return None
    if not isinstance(found, (str, bytes)):
        raise Fault(f"the argument 'ion' must be a string, not {type_name(found)}")
    from podium.expressions.formats.ion_text import read_ion

    return read_ion(found, rt.meter, all_rows=flag_arg(args, "allRows", default=False))


def _yaml(rt: Runtime, args: Args) -> Any:
    from podium.expressions.formats.yaml_text import read_yaml

    return read_yaml(text_arg(args, "yaml"), rt.meter)


def _context(rt: Runtime, args: Args) -> Any:
    return rt.visible()


def _variable(rt: Runtime, name: str) -> Any:
    return rt.visible().get(name)


def _current_each_output(rt: Runtime, args: Args) -> Any:
    found = required(args, "outputs")
    if not isinstance(found, Mapping):
        raise Fault(f"the argument 'outputs' must be a map, not {type_name(found)}")
    for parent in reversed(_variable(rt, "parents") or []):
        taskrun = parent.get("taskrun") if isinstance(parent, Mapping) else None
        if taskrun is not None:
            found = found.get(taskrun.get("value"))
            if not isinstance(found, Mapping):
                raise Fault("there are no outputs for the values of the enclosing loops")
    taskrun = _variable(rt, "taskrun")
    if not isinstance(taskrun, Mapping):
        raise Fault("there is no `taskrun` here")
    return found.get(taskrun.get("value"))


def _loop_outputs(rt: Runtime, args: Args) -> Any:
    iterations, name = required(args, "outputs"), text_arg(args, "name")
    if not isinstance(iterations, (list, tuple)):
        raise Fault(f"the argument 'outputs' must be a list, not {type_name(iterations)}")
    found = []
    for iteration in iterations:
        outputs = iteration.get("outputs") if isinstance(iteration, Mapping) else None
        found.append(outputs.get(name) if isinstance(outputs, Mapping) else None)
    return found


def _tasks_with_state(rt: Runtime, args: Args) -> Any:
    wanted = text_arg(args, "state").upper()
    tasks = _variable(rt, "tasks")
    found: list[dict[str, Any]] = []
    for task_id, task in tasks.items() if isinstance(tasks, Mapping) else ():
        for key, item in task.items() if isinstance(task, Mapping) else ():
            nested = isinstance(item, Mapping)
            state = item.get("state") if nested else item
            if (nested or key == "state") and isinstance(state, str) and state.upper() == wanted:
                found.append({"state": wanted, **({"value": key} if nested else {}), "taskId": task_id})
    return found


def _env(rt: Runtime, args: Args) -> Any:
    name = text_arg(args, "name")
    envs = _variable(rt, "envs")
    value = envs.get(name) if isinstance(envs, Mapping) else None
    return args.get("default") if value is None or value == "" else value


def _translation(rt: Runtime, args: Args) -> Any:
    raise Fault("there are no translations to look into")


def _parent(rt: Runtime, args: Args) -> Any:
    raise Fault("`parent()` works only in a block that overrides another, and templates here cannot extend others")


FUNCTIONS = (
    Function("max", _max, (VARIADIC,)),
    Function("min", _min, (VARIADIC,)),
    Function("range", _range, ("start", "end", "increment")),
    Function("fromJson", _from_json, ("json",)),
    Function("json", _from_json, ("json",), OLD),
    Function("fromIon", _from_ion, ("ion", "allRows"), fuel=10),
    Function("yaml", _yaml, ("yaml",), fuel=20),
    Function("printContext", _context, fuel=10),
    Function("fetchContext", _context, fuel=10),
    Function("currentEachOutput", _current_each_output, ("outputs",), OLD, fuel=10),
    Function("loopOutputs", _loop_outputs, ("outputs", "name"), NEW),
    Function("tasksWithState", _tasks_with_state, ("state",), fuel=20),
    Function("env", _env, ("name", "default"), NEW),
    Function("i18n", _translation, ("bundle", "key", "params")),
    Function("parent", _parent),
)
