"""`podium expr`: renders a template over a context of the caller's, for trying out expressions and for conformance tests.

It knows no flows: `secret`, `kv`, `read` and their like answer with an error that says so. `--batch` reads a line of JSON
`{"id","template","context","dialect"?}` a case and answers a line each, `{"id","result"}` or `{"id","error"}`, in order.
"""

from __future__ import annotations

import json
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

import click

from podium.base.durations import parse_duration
from podium.base.errors import ExpressionError, NotFound, PodiumError
from podium.base.system import ids
from podium.base.system.clock import SystemClock
from podium.cli.main import EXIT_USAGE
from podium.expressions.compile import compile_template
from podium.expressions.dates import as_written
from podium.expressions.text import to_json

_MARKERS: dict[str, Callable[[Any], Any]] = {
    "$instant": lambda value: as_written(value).astimezone(UTC),
    "$zoned": as_written,
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$time": time.fromisoformat,
    "$duration": parse_duration,
    "$float": float,
    "$bigdecimal": lambda value: Decimal(str(value)),
    "$long": int,
}


class LocalWorld:
    """A World without flows: clock and chance of this machine, zone UTC, nothing else. namespace: the flow's, if the context has one."""

    zone: tzinfo = UTC

    def __init__(self, context: Mapping[str, Any]) -> None:
        flow = context.get("flow")
        namespace = flow.get("namespace") if isinstance(flow, dict) else None
        self.namespace = namespace if isinstance(namespace, str) else None

    def now(self) -> datetime:
        """The current moment."""
        return SystemClock().now()

    def new_id(self) -> str:
        """A new id."""
        return ids.new_id()

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(bytes=ids.random_bytes(16), version=4))

    def random_int(self, low: int, high: int) -> int:
        """A number with low <= n < high."""
        return low + int.from_bytes(ids.random_bytes(16), "big") % max(1, high - low)

    def random_bytes(self, count: int) -> bytes:
        """Random bytes."""
        return ids.random_bytes(count)

    def random_port(self) -> int:
        """A free port of this machine."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def secret(self, key: str, *, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> Any:
        """None here."""
        _absent(f"the secret '{key}'")

    def kv(self, key: str, *, namespace: str | None = None, error_on_missing: bool = True) -> Any:
        """None here."""
        if not error_on_missing:
            return None
        _absent(f"the value '{key}'")

    def read(self, path: str, *, namespace: str | None = None) -> str | bytes:
        """None here."""
        _absent(f"the file '{path}'")

    def file_uri(self, path: str, *, namespace: str | None = None) -> str:
        """The URI that a namespace file would have; without a flow in the context the namespace must be named."""
        owner = namespace or self.namespace
        if owner is None:
            _absent("the namespace of a flow")
        if ".." in path.split("/"):
            raise ExpressionError(f"the path '{path}' must not hold '..'")
        return f"kestra:///{owner.replace('.', '/')}/_files/{path.removeprefix('/')}"

    def file_size(self, path: str, *, namespace: str | None = None) -> int:
        """None here."""
        _absent(f"the file '{path}'")

    def file_exists(self, path: str, *, namespace: str | None = None) -> bool:
        """None here."""
        _absent(f"the file '{path}'")

    def http(self, uri: str, **options: Any) -> Any:
        """None here."""
        _absent("HTTP")

    def error_logs(self) -> list[dict[str, Any]]:
        """None here."""
        _absent("an execution")

    def subflow(self, **options: Any) -> Any:
        """None here."""
        _absent("a flow")


def _absent(what: str) -> NoReturn:
    raise NotFound(f"{what} is not there: this expression is rendered outside of an execution", hint="try it with: podium run")


def _read_context(text: str) -> dict[str, Any]:
    """The variables: JSON as given, or of the file named."""
    source = text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
    found = json.loads(source)
    if not isinstance(found, dict):
        raise ValueError("it must be a JSON object")
    return found


def _unmark(value: Any) -> Any:
    """`{"$instant": "2024-…"}` and its like as the values they stand for."""
    if isinstance(value, dict):
        if len(value) == 1 and (convert := _MARKERS.get(next(iter(value)))):
            return convert(next(iter(value.values())))
        return {key: _unmark(item) for key, item in value.items()}
    return [_unmark(item) for item in value] if isinstance(value, list) else value


def _answer(line: str) -> dict[str, Any]:
    """The answer to one case of --batch."""
    case_id: Any = None
    try:
        case = json.loads(line)
        case_id = case.get("id")
        template = compile_template(case["template"], dialect=case.get("dialect") or "1.x")
        context = _unmark(case.get("context") or {})
        return {"id": case_id, "result": template.render(context, LocalWorld(context))}
    except PodiumError as exc:
        return {"id": case_id, "error": exc.what}
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as exc:
        return {"id": case_id, "error": f"not a case: {type(exc).__name__}: {exc}"}


def _batch() -> None:
    for line in sys.stdin:
        if line.strip():
            sys.stdout.write(json.dumps(_answer(line)) + "\n")
            sys.stdout.flush()


@click.command()
@click.argument("template", required=False)
@click.option("--context", "context", default="{}", metavar="JSON|FILE", help="The variables: a JSON object, or a file that holds one.")
@click.option("--dialect", type=click.Choice(["1.x", "2.0"]), default="1.x", show_default=True, help="The language version.")
@click.option("--typed", is_flag=True, help="Print the value as JSON with its type kept, instead of text.")
@click.option("--batch", is_flag=True, help="Read cases from standard input, a line of JSON each, and answer a line each.")
def expr(template: str | None, context: str, dialect: str, typed: bool, batch: bool) -> None:
    """Render TEMPLATE, such as '{{ inputs.name | upper }}', and print the result."""
    if batch:
        _batch()
        return
    if template is None:
        raise click.UsageError("name a TEMPLATE, or use --batch")
    try:
        variables = _read_context(context)
    except (OSError, ValueError) as exc:
        click.echo(f"error: the context cannot be read: {exc}", err=True)
        sys.exit(EXIT_USAGE)
    compiled, world = compile_template(template, dialect=dialect), LocalWorld(variables)
    click.echo(to_json(compiled.evaluate(variables, world)) if typed else compiled.render(variables, world))
