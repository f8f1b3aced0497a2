"""From a form or a JSON body to the inputs of a start request; uploaded files are kept on the way.

Called by the execution routes and by the run form of the pages. What always holds: a path of the daemon's own machine is never
taken from a caller: a FILE input is an upload or names a stored file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.base import limits
from podium.base.errors import InputError
from podium.conductor.port import Orchestrator
from podium.flows.inputs import flatten
from podium.web.params import Form, too_large

STORED = ("kestra://", "nsfile://")
_LEGACY_PART = "files"


def prop(declared: Any, name: str, default: Any = None) -> Any:
    """A property of an input; not every type of input has each. None counts as absent."""
    value = getattr(declared, name, None)
    return default if value is None else value


async def inputs_of(form: Form, declared: Sequence[Any], *, orchestrator: Orchestrator, namespace: str, flow_id: str) -> dict[str, Any]:
    """The inputs that `form` gives. Raises InputError, BodyTooLarge."""
    known = {identifier: (str(item.type), item) for identifier, item in flatten(declared)}
    values: dict[str, Any] = dict(form.values)
    for name in dict.fromkeys(name for name, _ in form.texts):
        texts = form.all(name)
        values[name] = _one_or_many(texts, known.get(name, ("", None))[0])
    for part, filename, path in form.files:
        identifier = filename if part == _LEGACY_PART and part not in known else part
        kind = known.get(identifier, ("", None))[0]
        if not kind:
            continue
        if kind == "FILE":
            values[identifier] = await orchestrator.store_upload(namespace, flow_id, identifier, base_name(filename), path)
        else:
            values[identifier] = _as_text(path)
    for identifier, (kind, item) in known.items():
        for value in _given(values, identifier):
            _refuse_paths(identifier, kind, item, value)
    return values


def _one_or_many(texts: list[str], kind: str) -> Any:
    """A repeated part is a list where a list is wanted; one choice of several is a list of one, unless it is written as JSON."""
    if kind == "MULTISELECT" and len(texts) == 1 and texts[0].strip() and not texts[0].lstrip().startswith("["):
        return texts
    return texts if len(texts) > 1 and kind in {"MULTISELECT", "ARRAY"} else texts[-1]


def _given(values: Mapping[str, Any], identifier: str) -> list[Any]:
    """Every value that could be taken for the input: by its dotted id, and nested."""
    nested: Any = values
    for part in identifier.split("."):
        nested = nested.get(part) if isinstance(nested, Mapping) else None
    return [value for value in (values.get(identifier), nested) if value is not None and value != ""]


def _refuse_paths(identifier: str, kind: str, declared: Any, value: Any) -> None:
    """A text for a FILE must name a stored file. A list of FILEs may also come as JSON text."""
    texts: list[Any] = [value] if kind == "FILE" else []
    if str(prop(declared, "item_type", "")).upper() == "FILE":
        texts = _listed(value)
    if kind == "TABLE":
        files = [str(prop(column, "id")) for column in prop(declared, "columns", ()) if str(prop(column, "type")).upper() == "FILE"]
        texts = [row.get(name) for row in _listed(value) if isinstance(row, Mapping) for name in files if row.get(name)]
    for text in texts:
        if not str(text).startswith(STORED):
            raise InputError(
                f"{identifier}: Invalid input for `{identifier}`, a file must be uploaded or be a kestra:// URI, but received `{str(text)[:100]}`",
                hint=f"send the file itself: --input {identifier}=@file, or curl -F '{identifier}=@file'", path=identifier,
            )


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def base_name(filename: str) -> str:
    """The last part of a file name as a browser sent it, never empty."""
    name = "".join(char for char in filename.replace("\\", "/").rsplit("/", 1)[-1] if char.isprintable()).strip()[-200:]
    return name if name.strip(".") else "file"


def _as_text(path: Path) -> str:
    if path.stat().st_size > limits.BODY_BYTES_MAX:
        raise too_large(limits.BODY_BYTES_MAX)
    return path.read_text(encoding="utf-8", errors="replace")
