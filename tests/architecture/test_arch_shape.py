"""The house of ARCHITECTURE.md, checked by a machine: sizes, homes of outside things, words that must not be there."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "daemon" / "podium"
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
MODULES_PER_ROOM_MAX = 9
ROOMS_OF_COMMANDS = {"cli"}
"""One module a command group, however many commands there are."""

HOMES = {
    "sqlite3": ("store", "plugins"),
    "subprocess": ("runners", "git", "workers", "app/machine.py", "web/islands/build.py"),
    "psycopg": ("plugins/sql/postgres",),
    "duckdb": ("plugins/sql/duckdb.py",),
    "docker": ("runners", "app/images.py", "app/doctor.py"),
    "apscheduler": ("triggers",),
    "watchdog": ("triggers", "sources"),
    "git": ("git",),
    "jinja2": ("web",),
    "prometheus_client": ("web",),
    "pydantic_settings": ("app/settings.py",),
    "structlog": ("base/system",),
    "random": ("base/system",),
    "secrets": ("base/system",),
    "uuid": ("base/system", "rendering", "cli/local/expr.py"),
    "rich": ("cli",),
    "click": ("cli",),
    "yaml": ("flows", "plugins", "expressions", "sources", "storage", "rendering", "cli"),
}
"""Outside thing → the only rooms or modules that import it (style guide, section 1)."""

PURE = ("flows", "engine", "expressions")
OUTSIDE = {"os", "pathlib", "asyncio", "subprocess", "sqlite3", "socket", "random", "secrets", "time", "threading", "aiohttp", "requests", "tempfile"}


@cache
def modules() -> dict[str, str]:
    """Path below the package → source text."""
    return {str(path.relative_to(PACKAGE)): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def trees() -> dict[str, ast.Module]:
    """Path below the package → what Python makes of it."""
    return {name: ast.parse(text) for name, text in modules().items()}


@cache
def imports() -> dict[str, frozenset[str]]:
    """Path below the package → full names of what it imports, wherever in it, `if TYPE_CHECKING` included."""
    found: dict[str, set[str]] = {}
    for name, tree in trees().items():
        names = found.setdefault(name, set())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names.update(each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name: frozenset(names) for name, names in found.items()}


def functions() -> Iterator[tuple[str, int]]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_are_short() -> None:
    assert {name: lines for name, text in modules().items() if (lines := text.count("\n")) > MODULE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    assert {name: lines for name, lines in functions() if lines > FUNCTION_LINES_MAX} == {}


def test_rooms_are_small() -> None:
    rooms = Counter(str(Path(name).parent) for name in modules() if not name.endswith("__init__.py"))
    assert {room: count for room, count in rooms.items() if count > MODULES_PER_ROOM_MAX and room not in ROOMS_OF_COMMANDS} == {}


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in trees().items() if not ast.get_docstring(tree)] == []


@pytest.mark.parametrize("thing", sorted(HOMES))
def test_an_outside_thing_has_one_home(thing: str) -> None:
    users = [name for name, names in imports().items() if any(f"{found}.".startswith(f"{thing}.") for found in names)]
    assert [name for name in users if not name.startswith(HOMES[thing])] == []


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_touches_nothing_outside(room: str) -> None:
    found = {name: sorted(OUTSIDE & {each.split(".")[0] for each in names}) for name, names in imports().items() if name.startswith(f"{room}/")}
    assert {name: bad for name, bad in found.items() if bad} == {}


def test_the_environment_is_read_at_the_top() -> None:
    """Only faces and app read `os.environ`; the programs started elsewhere get what they need as arguments."""
    allowed = ("app/", "cli/", "runners/process/", "git/", "workers/", "storage/secrets", "runners/native/build", "web/islands/build")
    assert [name for name, text in modules().items() if "os.environ" in text and not name.startswith(allowed)] == []


def test_faces_of_packages_stay_empty() -> None:
    full = [name for name, tree in trees().items() if name.endswith("__init__.py") and len(tree.body) > 1]
    assert [name for name in full if not name.startswith("plugins/")] == []


def test_no_prints_and_nothing_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|HACK)\b")
    assert [name for name, text in modules().items() if later.search(text)] == []
    calls = [
        name for name, tree in trees().items() for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def committed() -> list[Path]:
    """Text files that Git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file() and not name.startswith("LICENSE")]


def test_no_committed_file_names_a_registry_or_this_machine() -> None:
    """Where packages and images come from is the machine's business; a lock that names an index breaks behind a mirror."""
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "registry" + ".npmjs", "docker" + ".io/", "ghcr" + ".io", "quay" + ".io")
    # Default images of the language, and the key under which Docker's own login file keeps the hub's password.
    exempt = ("daemon/podium/plugins/scripts/languages.py", "tests/unit/plugins/", "tests/unit/runners/test_runners_docker_config.py")
    wrong = []
    for path in committed():
        if str(path.relative_to(ROOT)).startswith(exempt):
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        wrong += [f"{path.relative_to(ROOT)}: {host}" for host in (*hosts, "/work" + "/main", "/work" + "/shared") if host in text]
    assert wrong == []
