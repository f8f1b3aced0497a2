"""One execution in the foreground, without a daemon: `podium run`. Ruling 17.

A throw-away home; flows of a directory are deployed as they are on disk; triggers do not fire; the same engine, worker and runners as the daemon's.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from podium.app.plugins import load_types
from podium.app.settings import Settings
from podium.app.wiring.core import Core, open_core, secrets_of
from podium.base.errors import FlowError
from podium.base.ports import Deployment, FlowRevision
from podium.conductor.port import StartRequest
from podium.flows.load import Parsed, Problem, as_stored
from podium.sources.reading.parse import parse_with_defaults
from podium.sources.reading.project import nearest_project
from podium.sources.reading.tree import decode, inside_of, is_flow_path, is_test, looks_like_flow, yaml_files
from podium.storage.namespace import WorkTreeFiles

SOURCE = "worktree"


@dataclass(frozen=True, slots=True)
class Text:
    """A flow as it is on disk. defaults: those of podium.yaml that hold for it."""

    file: Path
    text: str
    parsed: Parsed
    defaults: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The flow to run, and those that stand beside it."""

    flow: Parsed
    texts: Sequence[Text]
    root: Path
    problems: Sequence[str]
    """Mistakes of other files: they are left out."""


def choose(target: str, flows: Path | None) -> Chosen:
    """Find the flow: a file (its first document runs) or `namespace.flow` among the files of `flows` (default: here).

    Raises FlowError with every mistake of the file, or when there is no such flow.
    """
    file = Path(target)
    if file.exists() and not file.is_dir():
        root = flows or root_of(file)
        found, wrong = _parse(file)
        bad = [*wrong, *(problem for each in found for problem in each.parsed.problems)]
        if bad:
            lines = "\n".join(f"{problem}" + (f" ({problem.hint})" if problem.hint else "") for problem in bad)
            raise FlowError(
                f"'{target}' is not a valid flow:\n{lines}", hint=f"check it with: podium validate {target}",
                problems=[each.as_dict() for each in bad],
            )
        if not found:
            raise FlowError(f"'{target}' holds no flow", hint="write one: see flows/hello.yaml")
        others, problems = _others(flows, skip=file) if flows else ([], [])
        return Chosen(flow=found[0].parsed, texts=[*found, *others], root=root, problems=problems)
    root = flows or Path.cwd()
    found, problems = _others(root, skip=None)
    for each in (text.parsed for text in found):
        if target in (f"{each.namespace}.{each.flow_id}", each.flow_id):
            return Chosen(flow=each, texts=found, root=root, problems=problems)
    raise FlowError(f"there is no file and no flow '{target}' in {root}", hint="give a file, or namespace.flow of a file in --flows DIR")


def _parse(file: Path) -> tuple[list[Text], Sequence[Problem]]:
    """The flows of a file, and what is wrong with the podium.yaml that holds for it."""
    try:
        text = decode(file.read_bytes())
    except (OSError, ValueError) as error:
        raise FlowError(f"cannot read '{file}': {error}", hint="flows are UTF-8 texts of at most 1 MiB") from error
    project = nearest_project(file, load_types())
    found = [Text(file, text, *each) for each in parse_with_defaults(text, str(file), load_types(), project)]
    return found, project.problems


def flows_under(root: Path) -> tuple[list[Text], list[Problem]]:
    """Every flow in the files of a directory, broken ones too (their `parsed.flow` is None); and files that cannot be read."""
    found: list[Text] = []
    unreadable: list[Problem] = []
    for file in yaml_files(root):
        inside = inside_of(root, file)
        if not is_flow_path(inside):
            continue
        try:
            text = decode(file.read_bytes())
        except (OSError, ValueError) as error:
            what, hint = f"the file cannot be read: {error}", "flows are UTF-8 texts of at most 1 MiB"
            unreadable.append(Problem(file=str(file), line=1, column=1, path="", code="file-unreadable", message=what, hint=hint))
            continue
        if looks_like_flow(text) and not is_test(inside, text):
            found += _parse(file)[0]
    return found, unreadable


def _others(root: Path, *, skip: Path | None) -> tuple[list[Text], list[str]]:
    """The good flows of a directory, and the mistakes of the others."""
    found, unreadable = flows_under(root)
    found = [each for each in found if skip is None or each.file.resolve() != skip.resolve()]
    problems = [*unreadable, *(problem for each in found if each.parsed.flow is None for problem in each.parsed.problems)]
    return [each for each in found if each.parsed.flow is not None], [str(problem) for problem in problems]


def root_of(file: Path) -> Path:
    """The top of the repository that holds `file`, else its folder."""
    folder = file.resolve().parent
    for above in (folder, *folder.parents):
        if (above / ".git").exists():
            return above
    return folder


@asynccontextmanager
async def open_foreground(settings: Settings, chosen: Chosen, *, secrets_file: Path | None = None) -> AsyncIterator[Core]:
    """The middle of the house over a throw-away home, with the flows deployed."""
    import os

    with tempfile.TemporaryDirectory(prefix="podium-run-", ignore_cleanup_errors=True) as folder:
        files = WorkTreeFiles(chosen.root)
        mine = throw_away(settings, Path(folder), f"run-{os.getpid()}")
        async with open_core(mine, namespace_files=files, secrets=secrets_of(settings, os.environ, secrets_file), results=False) as core:
            await core.podium.deploy(deployment_of(chosen.texts, core.clock.now()))
            yield core


def throw_away(settings: Settings, home: Path, instance: str) -> Settings:
    """These settings for a home that is removed afterwards: nothing is kept anywhere else either."""
    return settings.model_copy(update={"home": home, "instance": instance, "storage": settings.storage.model_copy(update={"url": ""})})


def deployment_of(texts: Sequence[Text], at: datetime) -> Deployment:
    """These flows, as if a commit had brought them."""
    accepted: dict[tuple[str, str], FlowRevision] = {}
    for each in texts:
        key = (str(each.parsed.namespace), str(each.parsed.flow_id))
        accepted.setdefault(key, FlowRevision(
            namespace=key[0], flow_id=key[1], revision=1, source=SOURCE, commit="", path=str(each.file), blob="", text=each.text,
            parse=partial(getattr, each.parsed, "flow"), deployed_at=at, defaults=each.defaults,
            templates=[as_stored(template) for template in each.parsed.templates],
        ))
    return Deployment(
        source=SOURCE, commit="", previous_commit=None, accepted=list(accepted.values()), removed=[], moved=[], rejected=[], held=None,
        sync_path="syncs/run.json", sync_body=b"{}", at=at,
    )


async def start(core: Core, chosen: Chosen, inputs: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Start the chosen flow; its view. Raises InputError, FlowDisabled."""
    return await core.podium.start(StartRequest(
        namespace=str(chosen.flow.namespace), flow_id=str(chosen.flow.flow_id), inputs=inputs, labels=labels,
    ))
