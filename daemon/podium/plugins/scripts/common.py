"""What all script tasks share: their properties, and how commands become what a runner starts. Source: flow-language 8.1.

The lines go to the shell in a file of their own, not as an argument: no secret shows in the machine's process list, and a script
may be longer than the system allows an argument to be.
"""


import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar, Literal

from pydantic import Field

from podium.flows.model import AnyRunner, NamespaceFiles
from podium.plugin import CommandContext, CommandSpec, Dyn, Task
from podium.plugins.scripts.runners import DOCKER, PROCESS, DockerOptions

_SHELL_FLAG = re.compile(r"-[a-z]*c")
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"})
_POWERSHELLS = frozenset({"pwsh", "powershell", "pwsh.exe", "powershell.exe"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One row of the language table. run: the program that a script file is given to; empty: the interpreter itself reads the script."""

    name: str
    image: str
    run: Sequence[str] = ()
    extension: str = ""
    interpreter: Sequence[str] = ("/bin/sh", "-c")
    env: Mapping[str, str] = field(default_factory=dict)


class ScriptTask(Task):
    """Base of all script tasks. Other plug-ins that wrap a command line may extend `Commands` below with a LANGUAGE of their own."""

    KIND = "command"
    LANGUAGE: ClassVar[Language]

    task_runner: AnyRunner | None = None
    container_image: Dyn[str] | None = None
    before_commands: Dyn[list[str]] = []
    env: Dyn[dict[str, str]] = {}
    interpreter: Dyn[list[str]] | None = None
    fail_fast: Dyn[bool] = True
    warning_on_std_err: Dyn[bool] = True
    """Accepted and without effect: the exit code alone decides."""
    input_files: Dyn[dict[str, Any]] | None = None
    output_files: Dyn[list[str]] = []
    namespace_files: NamespaceFiles | None = None
    output_directory: Dyn[bool] = False
    target_os: Dyn[Literal["LINUX", "WINDOWS", "AUTO"]] = Field(default="AUTO", alias="targetOS")
    runner: Literal["DOCKER", "PROCESS"] | None = None
    docker: DockerOptions | None = None

    def runner_options(self) -> Mapping[str, Any] | None:
        """See Commanding. `runner` and `docker` are the old way to say it."""
        old = self.docker.as_options() if self.docker else {}
        if self.runner == "PROCESS":
            return {"type": PROCESS}
        if self.runner == "DOCKER":
            return {"type": DOCKER, **old}
        if self.task_runner is None:
            return {"type": DOCKER, **old} if self.docker else None
        kind = type(self.task_runner).TYPE or self.task_runner.type
        own = self.task_runner.model_dump(by_alias=True, exclude_none=True, exclude={"type"})
        return {"type": kind, **(old if kind == DOCKER else {}), **own}

    def command(self, ctx: CommandContext) -> CommandSpec:
        """See Commanding."""
        lines, script_files = self.lines(ctx)
        interpreter = list(self.interpreter or self.LANGUAGE.interpreter)
        argv, private_files = argument_vector(interpreter, self._text(interpreter, lines, ctx), ctx.places.private)
        options = self.runner_options() or {}
        image = self.container_image or (self.docker.image if self.docker else None) or self.LANGUAGE.image
        return CommandSpec(
            argv=argv, env={**self.LANGUAGE.env, **self.env}, image=image,
            runner={key: value for key, value in options.items() if key != "type"},
            input_files=self.input_files or {}, namespace_files=self.namespace_files, script_files=script_files, private_files=private_files,
            output_patterns=self.output_files, output_directory=self.output_directory or self.runner is not None,
            warning_on_stderr=False,
        )

    def lines(self, ctx: CommandContext) -> tuple[list[str], dict[str, str]]:
        """The lines for the interpreter that do the task's own work, and files they need in the working directory."""
        raise NotImplementedError

    def preparation(self, ctx: CommandContext) -> list[str]:
        """Lines that come before those that people write."""
        return []

    def _text(self, interpreter: Sequence[str], lines: Sequence[str], ctx: CommandContext) -> str:
        before = [ctx.local_copies(line) for line in self.before_commands]
        fail_fast = [_fail_fast(interpreter)] if self.fail_fast and self.target_os != "WINDOWS" else []
        return "\n".join([*filter(None, fail_fast), *self.preparation(ctx), *before, *lines])


class Commands(ScriptTask):
    """Runs lines of a shell."""

    commands: Dyn[list[str]]

    def lines(self, ctx: CommandContext) -> tuple[list[str], dict[str, str]]:
        """The commands."""
        return [ctx.local_copies(line) for line in self.commands], {}


class Script(ScriptTask):
    """Runs a script written in the flow."""

    script: Dyn[str]

    def lines(self, ctx: CommandContext) -> tuple[list[str], dict[str, str]]:
        """The script itself, or the call of its language with a file that holds it."""
        text = self.source(ctx.local_copies(self.script))
        if not self.LANGUAGE.run:
            return [text], {}
        name = f"script-{ctx.task_run_id[-8:]}-{ctx.attempt}{self.extension_of()}"
        return [self.call(ctx, f"{ctx.places.working}/{name}")], {name: text}

    def source(self, script: str) -> str:
        """What is written to the script's file."""
        return script

    def extension_of(self) -> str:
        """The ending of the script's file."""
        return self.LANGUAGE.extension

    def program(self, ctx: CommandContext) -> Sequence[str]:
        """The program that runs the script's file."""
        return self.LANGUAGE.run

    def call(self, ctx: CommandContext, path: str) -> str:
        """The line that runs the file at `path`."""
        if PurePath(self.LANGUAGE.interpreter[0]).name in _POWERSHELLS:
            return "& '" + path.replace("'", "''") + "'"
        return shlex.join([*self.program(ctx), path])


def argument_vector(interpreter: Sequence[str], text: str, private: str) -> tuple[list[str], dict[str, str]]:
    """The arguments that make `interpreter` run `text`, and the private files they name."""
    program = PurePath(interpreter[0]).name if interpreter else ""
    flag = interpreter[-1] if len(interpreter) > 1 else ""
    if program in _SHELLS and _SHELL_FLAG.fullmatch(flag):
        return [*interpreter, f". {shlex.quote(private + '/commands')}"], {"commands": text + "\n"}
    if program in _POWERSHELLS and flag.lower() in ("-command", "-c"):
        path = (private + "/commands.ps1").replace("'", "''")
        return [*interpreter, f". '{path}'"], {"commands.ps1": text + "\n"}
    return [*interpreter, text], {}


def _fail_fast(interpreter: Sequence[str]) -> str:
    program = PurePath(interpreter[0]).name if interpreter else ""
    if program in _POWERSHELLS:
        return "$ErrorActionPreference = 'Stop'"
    return "set -e" if program in _SHELLS else ""
