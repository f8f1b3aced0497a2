"""Stored templates of a source: found in `_templates/`, pinned with the flows that use them, and read again when only they change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from test_sources_loader import World, ids, messages, world  # noqa: F401 - the fixture

from fake_orchestrator import flow_text
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.compare import check_files, compare_commits
from podium.sources.reading.templates import is_template_path

Commit = Callable[[Mapping[str, Any]], str]
TEMPLATE = "id: shared\nnamespace: team\ntasks:\n  - {id: said, type: core.log.Log, message: one}\n"
USER = "id: user\nnamespace: team\ntasks:\n  - {id: t, type: core.flow.Template, namespace: team, templateId: shared}\n"


@pytest.mark.parametrize(
    ("path", "folder", "found"),
    [
        ("_templates/a.yaml", ".", True), ("_templates/deep/a.yml", ".", True), ("flows/_templates/a.yaml", "flows", True),
        ("flows/_templates/a.yaml", ".", False), ("_templates/a.txt", ".", False), ("_templates/.hidden/a.yaml", ".", False), ("a.yaml", ".", False),
    ],
)
def test_what_is_a_file_of_templates(path: str, folder: str, found: bool) -> None:
    assert is_template_path(path, folder) is found


async def test_a_change_of_the_template_alone_is_a_new_revision_of_the_flows_that_use_it(world: World, commit: Commit) -> None:  # noqa: F811
    """Otherwise executions would run on with the old tasks, or change under way."""
    first = await world.deploy(commit({"_templates/s.yaml": TEMPLATE, "user.yaml": USER, "other.yaml": flow_text("other")}))
    assert ids(first.accepted) == [("other", 1), ("user", 1)]
    assert [each["id"] for each in next(each for each in first.accepted if each.flow_id == "user").templates] == ["shared"]
    second = await world.deploy(commit({"_templates/s.yaml": TEMPLATE.replace("one", "two")}))
    assert ids(second.accepted) == [("user", 2)]
    (task,) = second.accepted[0].model.tasks
    assert task.tasks[0].message == "two"
    entry = json.loads(second.sync_body)["flows"][0]
    assert entry["templates"][0]["path"] == "_templates/s.yaml"
    assert "text" not in entry["templates"][0]
    moved = await world.deploy(commit({"_templates/s.yaml": None, "_templates/deep/s.yaml": TEMPLATE.replace("one", "two")}))
    assert ids(moved.moved) == [("user", 2)]
    assert not (await world.read(commit({"README.md": "x"}))).changed


async def test_a_template_that_is_gone_or_broken_keeps_the_last_good_revision(world: World, commit: Commit) -> None:  # noqa: F811
    await world.deploy(commit({"_templates/s.yaml": TEMPLATE, "user.yaml": USER}))
    broken = await world.deploy(commit({"_templates/s.yaml": TEMPLATE.replace("message", "mesage")}))
    assert not broken.removed
    assert [each.partition(": ")[0] for each in messages(broken)] == ["_templates/s.yaml:4:5", "_templates/s.yaml:4:36", "user.yaml:4:56"]
    gone = await world.deploy(commit({"_templates/s.yaml": None}))
    assert not gone.removed
    assert messages(gone) == ["user.yaml:4:56: Unable to find template 'team'.'shared'"]
    back = await world.deploy(commit({"_templates/s.yaml": TEMPLATE}))
    assert not back.accepted
    assert not back.rejected


async def test_two_templates_of_one_name_are_refused_both(world: World, commit: Commit) -> None:  # noqa: F811
    found = await world.deploy(commit({"_templates/a.yaml": TEMPLATE, "_templates/b.yaml": TEMPLATE, "user.yaml": USER}))
    assert "_templates/b.yaml:1:1: the template 'team.shared' is also in _templates/a.yaml:1" in messages(found)
    assert not found.accepted


def test_a_comparison_sees_what_a_template_changes(repository: Repository, types: Types, commit: Commit) -> None:
    old = commit({"_templates/s.yaml": TEMPLATE, "user.yaml": USER, "other.yaml": flow_text("other")})
    found = compare_commits(repository, old, commit({"_templates/s.yaml": TEMPLATE.replace("one", "two")}), folder=".", types=types)
    assert [(each.kind, each.key) for each in found.changes] == [("changed", ("team", "user"))]
    found = compare_commits(repository, old, commit({"_templates/s.yaml": None}), folder=".", types=types)
    assert [str(each) for each in found.problems] == ["user.yaml:4:56: tasks[0].templateId: Unable to find template 'team'.'shared'"]


def test_staged_files_are_checked_with_their_templates(types: Types) -> None:
    files = {"user.yaml": USER.encode(), "_templates/s.yaml": TEMPLATE.encode()}
    assert check_files(files, folder=".", types=types) == []
    (problem,) = check_files({"user.yaml": USER.encode()}, folder=".", types=types)
    assert problem.code == "template"
    found = check_files({**files, "_templates/s.yaml": b"id: shared\n"}, folder=".", types=types)
    assert {each.file for each in found} == {"user.yaml", "_templates/s.yaml"}
