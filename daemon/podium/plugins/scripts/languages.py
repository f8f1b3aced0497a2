"""The table of languages (flow-language 8.1), and from it the types `scripts.<language>.{Script,Commands}`."""

from __future__ import annotations

from collections.abc import Sequence

from podium.plugin import CommandContext, Dyn, Task
from podium.plugins.scripts.common import Commands, Language, Script
from podium.plugins.scripts.python import PythonCommands, PythonScript

_GITHUB = "ghcr" + ".io"  # in two parts: committed files name no registry (tests/architecture)
_POWERSHELL = ("pwsh", "-NoProfile", "-NonInteractive", "-Command")
LANGUAGES: tuple[Language, ...] = (
    Language(name="shell", image="ubuntu"),
    Language(name="node", image="node", run=("node",), extension=".js"),
    Language(name="r", image="r-base", run=("Rscript",), extension=".R"),
    Language(name="julia", image="julia", run=("julia",), extension=".jl"),
    Language(name="ruby", image="ruby", run=("ruby",), extension=".rb"),
    Language(
        name="powershell", image=f"{_GITHUB}/kestra-io/powershell:latest", run=("pwsh",), extension=".ps1", interpreter=_POWERSHELL
    ),
    Language(name="go", image="golang", run=("go", "run"), extension=".go"),
    Language(name="bun", image="oven/bun", run=("bun", "run"), extension=".ts"),
    Language(name="deno", image="denoland/deno", run=("deno", "run"), extension=".ts"),
    Language(name="perl", image="perl", run=("perl",), extension=".pl"),
    Language(name="php", image="php", run=("php",), extension=".php"),
    Language(name="lua", image="nickblah/lua", run=("lua",), extension=".lua"),
    Language(name="groovy", image="groovy", run=("groovy",), extension=".groovy"),
    Language(name="dotnet", image="mcr.microsoft.com/dotnet/sdk:10.0", run=("dotnet-script",), extension=".csx"),
)
"""Every language without properties of its own. Python and JBang have some."""
JBANG = Language(name="jbang", image="jbangdev/jbang-action", run=("jbang",), extension=".java")


class JBangCommands(Commands):
    """Runs lines of a shell in an image with JBang."""

    TYPE = "io.kestra.plugin.scripts.jbang.Commands"
    LANGUAGE = JBANG


class JBangScript(Script):
    """Runs a Java (or Kotlin, Groovy) script written in the flow. quiet: only the script's own output is logged."""

    TYPE = "io.kestra.plugin.scripts.jbang.Script"
    LANGUAGE = JBANG
    extension: Dyn[str] = ".java"
    quiet: Dyn[bool] = True

    def extension_of(self) -> str:
        """As written, with a dot."""
        return self.extension if self.extension.startswith(".") else f".{self.extension}"

    def program(self, ctx: CommandContext) -> Sequence[str]:
        """`jbang`."""
        return ("jbang", "--quiet") if self.quiet else ("jbang",)


def _types(language: Language) -> list[type[Task]]:
    made: list[type[Task]] = []
    for base, does in ((Commands, "Runs lines of a shell in an image with"), (Script, "Runs a script written in the flow with")):
        body = {
            "TYPE": f"io.kestra.plugin.scripts.{language.name}.{base.__name__}", "LANGUAGE": language, "__module__": __name__,
            "__qualname__": f"{language.name.capitalize()}{base.__name__}", "__doc__": f"{does} {language.name}.",
        }
        made.append(type(f"{language.name.capitalize()}{base.__name__}", (base,), body))
    return made


TYPES: list[type[Task]] = [
    PythonScript, PythonCommands, JBangScript, JBangCommands, *(each for language in LANGUAGES for each in _types(language)),
]
