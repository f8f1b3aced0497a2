"""The newer way to narrow a list: `filters[field][OP]=value`, `filters[labels][OP][key]=value` (flow-language 10).

Called by params.Query. What always holds: what is the same as a plain parameter becomes it; the rest becomes a Condition if the list says that it
knows the field; any other filter is refused by name, so that none is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from podium.base.lists.conditions import EQUALITY, MEMBERSHIP, ORDER, TEXT, Condition
from podium.web.errors import Refused

_FILTER = re.compile(r"filters\[(?P<field>\w+)\]\[(?P<op>[A-Z_]+)\](\[(?P<key>.+)\])?")
_NAMES = (*EQUALITY, *MEMBERSHIP, *TEXT, "REGEX", "PREFIX")
OPERATORS: dict[str, tuple[str, ...]] = {
    "q": ("EQUALS",), "scope": EQUALITY, "namespace": _NAMES, "flowId": _NAMES, "labels": (*EQUALITY, *MEMBERSHIP, "CONTAINS"),
    "state": (*EQUALITY, *MEMBERSHIP), "startDate": (*EQUALITY, *ORDER), "endDate": (*EQUALITY, *ORDER), "timeRange": ("EQUALS",),
    "triggerExecutionId": (*EQUALITY, *MEMBERSHIP, *TEXT), "triggerId": (*EQUALITY, *MEMBERSHIP, *TEXT), "childFilter": EQUALITY,
    "level": ("EQUALS", "GREATER_THAN_OR_EQUAL_TO"), "minLevel": ("EQUALS", "GREATER_THAN_OR_EQUAL_TO"), "workerId": ("EQUALS",),
    "kind": EQUALITY,
}
"""Field → its operators."""
_PLAIN = {
    ("namespace", "PREFIX"): "namespace", ("q", "EQUALS"): "q", ("state", "EQUALS"): "state", ("state", "IN"): "state",
    ("startDate", "GREATER_THAN_OR_EQUAL_TO"): "startDate", ("startDate", "GREATER_THAN"): "startDate",
    ("timeRange", "EQUALS"): "timeRange", ("level", "EQUALS"): "minLevel", ("minLevel", "EQUALS"): "minLevel",
    ("level", "GREATER_THAN_OR_EQUAL_TO"): "minLevel", ("minLevel", "GREATER_THAN_OR_EQUAL_TO"): "minLevel",
    ("triggerExecutionId", "EQUALS"): "triggerExecutionId", ("labels", "EQUALS"): "labels", ("scope", "EQUALS"): "scope",
    ("childFilter", "EQUALS"): "childFilter", ("workerId", "EQUALS"): "workerId", ("kind", "EQUALS"): "kind",
}
"""What is the same as a plain parameter, in every list."""
_LOOSE = {
    ("namespace", "EQUALS"): "namespace", ("namespace", "STARTS_WITH"): "namespace", ("flowId", "EQUALS"): "flowId",
    ("triggerId", "EQUALS"): "triggerId", ("startDate", "LESS_THAN_OR_EQUAL_TO"): "endDate", ("startDate", "LESS_THAN"): "endDate",
    ("endDate", "LESS_THAN_OR_EQUAL_TO"): "endDate", ("endDate", "LESS_THAN"): "endDate",
}
"""The same for lists that know no conditions on the field."""


def read_filter(name: str, value: str, known: Collection[str]) -> tuple[str, str] | Condition:
    """A parameter of that name as a plain one, or as a condition when the list knows its field. Raises Refused."""
    match = _FILTER.fullmatch(name)
    field, op, key = (match["field"], match["op"], match["key"]) if match else ("", "", None)
    field = {"flow": "flowId", "query": "q"}.get(field, field)
    if op not in OPERATORS.get(field, ()) or (key is None) is (field == "labels"):
        allowed = ", ".join(OPERATORS[field]) if field in OPERATORS else ", ".join(sorted(OPERATORS))
        kind = "its operators" if field in OPERATORS else "the fields"
        raise Refused(f"the filter '{name[:80]}' is not supported", hint=f"{kind}: {allowed}", path=name[:80])
    if (plain := _PLAIN.get((field, op))) is not None:
        return plain, f"{key}:{value}" if key else value
    if field in known:
        values = tuple(part.strip() for part in value.split(",") if part.strip()) if op in MEMBERSHIP else (value,)
        return Condition(field=field, op=op, values=values, key=key)
    if (plain := _LOOSE.get((field, op))) is not None:
        return plain, value
    raise Refused(f"the filter '{name[:80]}' is not supported by this list", hint="see docs/api.md for what it takes", path=name[:80])
