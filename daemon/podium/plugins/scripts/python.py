"""Python: packages installed before the run, and the names `true`, `false` and `null` that rendered JSON brings into a script.

Source: flow-language 8.1.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from podium.plugin import Cached, CommandContext, CommandSpec, Dyn
from podium.plugins.scripts.common import Commands, Language, Script, ScriptTask
from podium.plugins.scripts.runners import PROCESS

PYTHON = Language(
    name="python", image="python:3.13-slim", run=("python",), extension=".py",
    env={"PYTHONUNBUFFERED": "true", "PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
)
_NAMES = "true, false, null = True, False, None"
_DEPENDENCIES = "python-packages"


class _Python(ScriptTask):
    LANGUAGE = PYTHON
    dependencies: Dyn[list[str]] = []
    """Packages as pip names them. They are installed for this task alone and kept for its next run."""
    dependency_cache_enabled: Dyn[bool] = True
    python_version: Dyn[str] | None = None
    package_manager: Dyn[Literal["UV", "PIP"]] = "UV"
    """UV is used where the image has it, else PIP."""
    uv_auto_install_enabled: Dyn[bool] = True
    uv_installer_version: Dyn[str] | None = None
    uv_installer_sha256: Dyn[str] | None = None

    def command(self, ctx: CommandContext) -> CommandSpec:
        """See Commanding."""
        spec = super().command(ctx)
        if not self.dependencies or not self.dependency_cache_enabled:
            return spec
        wanted = [spec.image, ctx.runner_type, self.python_version, sorted(self.dependencies)]
        key = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:32]
        return replace(spec, cached=[Cached(name=_DEPENDENCIES, key=f"python-{key}")])

    def preparation(self, ctx: CommandContext) -> list[str]:
        """Install what is not there yet and make it importable."""
        if not self.dependencies:
            return []
        place = shlex.quote(f"{ctx.places.private}/{_DEPENDENCIES}")
        packages = shlex.join(self.dependencies)
        version = f" --python-version {shlex.quote(self.python_version)}" if self.python_version else ""
        by_pip = f"{shlex.join(interpreter_name(ctx))} -m pip install --quiet --target {place} {packages}"
        by_uv = f'uv pip install --quiet --python "$(command -v python || command -v python3)"{version} --target {place} {packages}'
        install = f"if command -v uv >/dev/null 2>&1; then {by_uv}; else {by_pip}; fi" if self.package_manager == "UV" else by_pip
        return [
            f"if [ ! -e {place}/.complete ]; then {{ {install}; }} || exit 1; touch {place}/.complete; fi",
            f"export PYTHONPATH={place}${{PYTHONPATH:+:$PYTHONPATH}}",
        ]


class PythonCommands(_Python, Commands):
    """Runs lines of a shell in an image with Python."""

    TYPE = "io.kestra.plugin.scripts.python.Commands"


class PythonScript(_Python, Script):
    """Runs a Python script written in the flow. Namespace files beside it can be imported."""

    TYPE = "io.kestra.plugin.scripts.python.Script"

    def source(self, script: str) -> str:
        """The script, with the names of JSON's constants defined."""
        return with_json_names(script)

    def program(self, ctx: CommandContext) -> Sequence[str]:
        """`python`."""
        return interpreter_name(ctx)


def interpreter_name(ctx: CommandContext) -> Sequence[str]:
    """`python`; `python3` on a machine that has only that (images always have the first)."""
    if ctx.runner_type == PROCESS and shutil.which("python") is None and shutil.which("python3"):
        return ("python3",)
    return ("python",)


def with_json_names(script: str) -> str:
    """`script` with `true`, `false` and `null` defined, on a line that is there already, so that line numbers in errors stay right.

    A script that does not parse here (a newer syntax, or a mistake) is left as it is.
    """
    try:
        body = ast.parse(script).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return script
    lines = script.split("\n")
    head = 0
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
        head = 1
    while head < len(body) and isinstance(body[head], ast.ImportFrom) and getattr(body[head], "module", "") == "__future__":
        head += 1
    if head:
        last = body[head - 1]
        return _insert(lines, (last.end_lineno or 1) - 1, last.end_col_offset or 0, f"; {_NAMES}")
    if not body:
        return script
    first = min([body[0].lineno, *(each.lineno for each in getattr(body[0], "decorator_list", ()))]) - 1
    if not isinstance(body[0], _COMPOUND):
        return _insert(lines, first, body[0].col_offset, f"{_NAMES}; ")
    blank = [row for row in range(first) if not lines[row].strip()]
    return _insert(lines, blank[-1], 0, _NAMES) if blank else _insert(lines, first, 0, f"{_NAMES}\n")


def _insert(lines: list[str], row: int, column: int, text: str) -> str:
    """The lines with `text` put in; column: in bytes of UTF-8, as the parser counts."""
    raw = lines[row].encode()
    return "\n".join([*lines[:row], (raw[:column] + text.encode() + raw[column:]).decode(), *lines[row + 1 :]])


_COMPOUND = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar,
    ast.Match,
)
