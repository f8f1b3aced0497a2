"""A World that answers from a table, and shortcuts for rendering."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest

from podium.base.errors import NotFound
from podium.expressions.compile import compile_template


class TableWorld:
    """Answers from what a test puts in; remembers what it was asked."""

    def __init__(self) -> None:
        self.zone: tzinfo = UTC
        self.moment = datetime(2024, 3, 5, 14, 7, 9, 123456, tzinfo=UTC)
        self.secrets: dict[str, str] = {"TOKEN": "s3cret"}
        self.values: dict[tuple[str | None, str], Any] = {(None, "count"): 3, ("other", "count"): 4}
        self.files: dict[str, str | bytes] = {"a.txt": "héllo", "empty.txt": ""}
        self.asked: list[tuple[Any, ...]] = []
        self.ids = 0

    def now(self) -> datetime:
        return self.moment

    def new_id(self) -> str:
        self.ids += 1
        return f"id{self.ids:020d}"

    def uuid(self) -> str:
        self.ids += 1
        return f"00000000-0000-4000-8000-{self.ids:012d}"

    def random_int(self, low: int, high: int) -> int:
        self.asked.append(("random_int", low, high))
        return high - 1

    def random_bytes(self, count: int) -> bytes:
        return bytes(range(count))

    def random_port(self) -> int:
        return 4711

    def secret(self, key: str, *, namespace: str | None = None, subkey: str | None = None, full: bool = False) -> Any:
        self.asked.append(("secret", key, namespace, subkey, full))
        if key not in self.secrets:
            raise NotFound(f"Cannot find secret for key '{key}'.", hint="set it")
        return {"value": self.secrets[key]} if full else self.secrets[key]

    def kv(self, key: str, *, namespace: str | None = None, error_on_missing: bool = True) -> Any:
        self.asked.append(("kv", key, namespace, error_on_missing))
        if (namespace, key) not in self.values:
            if error_on_missing:
                raise NotFound(f"no value '{key}'")
            return None
        return self.values[namespace, key]

    def read(self, path: str, *, namespace: str | None = None) -> str | bytes:
        self.asked.append(("read", path, namespace))
        if path not in self.files:
            raise NotFound(f"no file '{path}'")
        return self.files[path]

    def file_uri(self, path: str, *, namespace: str | None = None) -> str:
        return f"kestra:///{(namespace or 'my.ns').replace('.', '/')}/_files/{path}"

    def file_size(self, path: str, *, namespace: str | None = None) -> int:
        found = self.read(path, namespace=namespace)
        return len(found.encode() if isinstance(found, str) else found)

    def file_exists(self, path: str, *, namespace: str | None = None) -> bool:
        return path in self.files

    def http(self, uri: str, **options: Any) -> Any:
        self.asked.append(("http", uri, options))
        return {"ok": True}

    def error_logs(self) -> list[dict[str, Any]]:
        return [{"taskId": "t", "message": "boom"}]

    def subflow(self, **options: Any) -> Any:
        self.asked.append(("subflow", options))
        return {"out": 1}


@pytest.fixture
def world() -> TableWorld:
    return TableWorld()


@pytest.fixture
def render(world: TableWorld) -> Callable[..., str]:
    """render(template, context={}, dialect="1.x") -> text"""

    def run(template: str, context: Any = None, dialect: str = "1.x") -> str:
        return compile_template(template, dialect=dialect).render(context if context is not None else {}, world)

    return run


@pytest.fixture
def evaluate(world: TableWorld) -> Callable[..., Any]:
    """evaluate(template, context={}, dialect="1.x") -> typed value"""

    def run(template: str, context: Any = None, dialect: str = "1.x") -> Any:
        return compile_template(template, dialect=dialect).evaluate(context if context is not None else {}, world)

    return run
