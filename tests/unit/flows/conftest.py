"""A small registry of types, and short ways to look at what parsing says."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from podium.flows.dynamic import Dyn
from podium.flows.load import Parsed, parse_flows
from podium.flows.model import AnyRunner, ForEachItem, Task, TaskRunner, Trigger
from podium.flows.types import Types


class Log(Task):
    TYPE = "io.kestra.plugin.core.log.Log"
    KIND = "inline"
    message: str | list[str]
    level: Dyn[Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]] = "INFO"


class Return(Task):
    TYPE = "io.kestra.plugin.core.debug.Return"
    format: str | None = None


class Shell(Task):
    TYPE = "io.kestra.plugin.scripts.shell.Commands"
    commands: Dyn[list[str]]
    env: dict[str, str] = Field(default_factory=dict)
    count: Dyn[int] = 1
    ratio: float = 0.5
    fail_fast: Dyn[bool] = True
    task_runner: AnyRunner | None = None


class Docker(TaskRunner):
    TYPE = "io.kestra.plugin.scripts.runner.docker.Docker"
    pull_policy: Literal["ALWAYS", "NEVER"] | None = None
    volumes: list[str] = Field(default_factory=list)


class Poll(Trigger):
    TYPE = "io.kestra.plugin.core.http.Trigger"
    uri: str
    interval: Annotated[int | None, Field(ge=1)] = None


@pytest.fixture(scope="session")
def types() -> Types:
    return Types.build([Log, Return, Shell, ForEachItem], [Poll], runners=[Docker])


@pytest.fixture
def parse(types: Types) -> Callable[..., Parsed]:
    """The one document of a text."""

    def parse_one(text: str, **options: Any) -> Parsed:
        (parsed,) = parse_flows(dedent(text), file="flow.yaml", types=types, **options)
        return parsed

    return parse_one


FLOW = """\
id: demo
namespace: company.team
tasks:
  - id: hello
    type: io.kestra.plugin.core.log.Log
    message: hi
"""


@pytest.fixture
def check(parse: Callable[..., Parsed]) -> Callable[[str], list[str]]:
    """The problems of a flow with one Log task and the given text after it, each `path: message`."""

    def look(text: str, *, start: str = FLOW) -> list[str]:
        return [f"{each.path}: {each.message}" for each in parse(start + text).problems]

    return look


@pytest.fixture
def warn(parse: Callable[..., Parsed]) -> Callable[[str], list[str]]:
    """As `check`, for warnings; the flow must be valid."""

    def look(text: str) -> list[str]:
        parsed = parse(FLOW + text)
        assert parsed.problems == ()
        return [f"{each.path}: {each.message}" for each in parsed.warnings]

    return look
