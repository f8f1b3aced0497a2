"""The stored templates of a source: YAML files in `_templates/` of its folder, each with id, namespace and tasks.

Read with every commit that is deployed, checked or compared, so that all of them agree; a flow that names one has it in its place.
Source: flow-language 5.14.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from podium.base.errors import LimitError
from podium.base.limits import SOURCE_FLOW_FILES_MAX
from podium.flows.load import Problem, StoredTemplate, parse_templates
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.tree import decode, is_text_name, is_yaml_in, yaml_files

FOLDER = "_templates"


@dataclass(frozen=True, slots=True)
class Templates:
    """stored: every template with a name, broken ones marked. refused: path → its blob and problems."""

    stored: tuple[StoredTemplate, ...] = ()
    refused: Mapping[str, tuple[str, Sequence[Problem]]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def problems(self) -> list[Problem]:
        """All of them, by file."""
        return [each for _, (_, found) in sorted(self.refused.items()) for each in found]

    def blobs(self) -> dict[str, str]:
        """`namespace.id` → what tells one text of a template from another."""
        return {f"{each.namespace}.{each.id}": f"{each.path}:{each.blob}:{each.trouble}" for each in self.stored}


def is_template_path(path: str, folder: str = ".", *, anywhere: bool = False) -> bool:
    """Whether `path` (in the repository) is a file of templates of a source whose folder is `folder`. anywhere: of whatever folder."""
    return is_yaml_in(path, folder, FOLDER, anywhere=anywhere)


def read_templates(repository: Repository, commit: str, folder: str, types: Types, defaults: Sequence[Mapping[str, Any]] = ()) -> Templates:
    """The templates of a commit. Raises GitError, LimitError when there are too many."""
    place = FOLDER if folder == "." else f"{folder}/{FOLDER}"
    if place.rpartition("/")[2] not in repository.folder(commit, folder):
        return Templates()
    files = {path: blob for path, blob in repository.files(commit, place).items() if is_template_path(path, folder) and is_text_name(path)}
    if len(files) > SOURCE_FLOW_FILES_MAX:
        hint = "remove some, or split the repository"
        raise LimitError(f"{len(files)} files of templates, more than {SOURCE_FLOW_FILES_MAX}", hint=hint, limit="SOURCE_FLOW_FILES_MAX")
    return parse_template_files(((path, blob, _read(repository, blob)) for path, blob in sorted(files.items())), types, defaults)


def _read(repository: Repository, blob: str) -> bytes | str:
    try:
        return repository.read(blob)
    except LimitError as error:
        return error.what


def near_templates(file: Path, types: Types, defaults: Sequence[Mapping[str, Any]] = ()) -> Templates:
    """Those that hold for a file on disk: of the nearest folder above it that has `_templates/`, up to the top of its repository."""
    for folder in file.resolve().parents:
        if (folder / FOLDER).is_dir():
            return parse_template_files(((shown(each), "", each.read_bytes()) for each in yaml_files(folder / FOLDER)), types, defaults)
        if (folder / ".git").exists():
            break
    return Templates()


def shown(path: Path) -> str:
    """A path on disk as messages show it."""
    near = os.path.relpath(path)
    return str(path) if near.startswith("..") else near


def parse_template_files(files: Iterable[tuple[str, str, bytes | str]], types: Types, defaults: Sequence[Mapping[str, Any]] = ()) -> Templates:
    """From (path, blob, content or why it cannot be read)."""
    reader = _Reader(types, defaults)
    for path, blob, body in files:
        reader.take(path, blob, body)
    return Templates(tuple(each for _, each in sorted(reader.stored.items())), reader.refused, tuple(reader.warnings))


class _Reader:
    """Collects templates and what is wrong with them, file by file."""

    def __init__(self, types: Types, defaults: Sequence[Mapping[str, Any]]) -> None:
        self._types = types
        self._defaults = defaults
        self._places: dict[tuple[str, str], str] = {}
        self.stored: dict[tuple[str, str], StoredTemplate] = {}
        self.refused: dict[str, tuple[str, list[Problem]]] = {}
        self.warnings: list[Problem] = []

    def take(self, path: str, blob: str, body: bytes | str) -> None:
        """One file."""
        try:
            if isinstance(body, str):
                raise ValueError(body)
            text = decode(body)
        except ValueError as error:
            hint = "commit the file itself, as UTF-8 text"
            self._refuse(path, blob, [Problem(file=path, line=1, column=1, path="", code="file-unreadable", message=str(error), hint=hint)])
            return
        for parsed in parse_templates(text, file=path, types=self._types, defaults=self._defaults):
            self.warnings += parsed.warnings
            problems = list(parsed.problems)
            if parsed.namespace and parsed.id:
                template = StoredTemplate(namespace=parsed.namespace, id=parsed.id, path=path, blob=blob, text=text)
                problems += self._name(template, parsed.line, problems)
            self._refuse(path, blob, problems)

    def _refuse(self, path: str, blob: str, problems: Sequence[Problem]) -> None:
        if problems:
            self.refused.setdefault(path, (blob, []))[1].extend(problems)

    def _name(self, template: StoredTemplate, line: int, problems: Sequence[Problem]) -> list[Problem]:
        """Enter a template under its name; the problem when that is taken. No flow can have a broken one."""
        key = (template.namespace, template.id)
        twice = []
        if key in self.stored:
            what = f"the template '{'.'.join(key)}' is also in {self._places[key]}"
            twice.append(Problem(
                file=template.path, line=line, column=1, path="id", code="duplicate-template", message=what, hint="give each template its own id",
            ))
        broken = [*problems, *twice]
        self._places.setdefault(key, f"{template.path}:{line}")
        self.stored[key] = replace(template, text="", trouble=str(broken[0])) if broken else template
        return twice
