"""Filters that turn values into JSON, Ion and YAML, and `jq`."""

from __future__ import annotations

from typing import Any

from podium.expressions.calls import Args, Filter, text_arg
from podium.expressions.formats.json_text import parse_json
from podium.expressions.runtime import Runtime
from podium.expressions.text import to_json


def _to_json(rt: Runtime, value: Any, args: Args) -> Any:
    return to_json(value, zone=rt.world.zone, dialect=rt.dialect, meter=rt.meter)


def _to_ion(rt: Runtime, value: Any, args: Args) -> Any:
    from podium.expressions.formats.ion_text import to_ion

    return to_ion(value, rt.meter)


def _yaml(rt: Runtime, value: Any, args: Args) -> Any:
    from podium.expressions.formats.yaml_text import write_yaml

    return "null" if value is None else write_yaml(value, rt.meter, zone=rt.world.zone, dialect=rt.dialect)


def _jq(rt: Runtime, value: Any, args: Args) -> Any:
    from podium.expressions.jq.program import run_jq

    expression = text_arg(args, "expression")
    if value is None:
        return None
    rt.meter.spend(len(value) >> 4 if isinstance(value, str) else 1)
    data = parse_json(value) if isinstance(value, str) else value
    return run_jq(expression, data, rt.meter, zone=rt.world.zone, dialect=rt.dialect)


FILTERS = (
    Filter("json", _to_json, (), ("1.x",)),
    Filter("toJson", _to_json),
    Filter("toIon", _to_ion, fuel=5),
    Filter("yaml", _yaml, fuel=20),
    Filter("jq", _jq, ("expression",), fuel=40),
)
