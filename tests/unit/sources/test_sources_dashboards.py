"""Dashboards of a commit: a bad one harms nothing, its last good text stays, a name belongs to one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from podium.base.errors import LimitError
from podium.git.repo import Repository
from podium.sources.reading import dashboards
from podium.sources.reading.compare import check_files, compare_commits
from podium.sources.reading.dashboards import Dashboards, is_dashboard_path, read_dashboards

Commit = Callable[[Mapping[str, Any]], str]
BAD = "title: x\ncharts: [{id: a, type: Pi}]\n"


def board(title: str = "x", head: str = "") -> str:
    return f"{head}title: {title}\ncharts: [{{id: a, type: Markdown, content: hi}}]\n"


class World:
    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.known: dict[str, tuple[Any, ...]] = {}

    def read(self, commit: str, *, source: str = "main", folder: str = ".") -> Dashboards:
        every = [each for stored in self.known.values() for each in stored]
        found = read_dashboards(self.repository, commit, folder, source=source, known=every)
        self.known[source] = found.stored
        return found


@pytest.fixture
def world(repository: Repository) -> World:
    return World(repository)


def ids(found: Dashboards) -> list[tuple[str, str]]:
    return [(each["id"], each["path"]) for each in found.stored]


def codes(found: Dashboards) -> list[str]:
    return [f"{path}:{each.code}" for path, (_, problems) in found.refused.items() for each in problems]


def test_which_files_are_dashboards() -> None:
    assert [is_dashboard_path(each) for each in ("dashboards/a.yaml", "dashboards/x/a.YML", "x/dashboards/a.yaml", "dashboards/_a.yaml", "dashboards/a.json")] == [
        True, True, False, False, False,
    ]
    assert is_dashboard_path("flows/dashboards/a.yaml", "flows")
    assert is_dashboard_path("/x/dashboards/a.yaml", anywhere=True)


def test_dashboards_are_read_named_and_kept(world: World, commit: Commit) -> None:
    first = world.read(commit({"dashboards/one.yaml": board(), "dashboards/deep/two.yml": board(head="id: other\n"), "dashboards/grafana.yaml": "panels: []\n"}))
    assert ids(first) == [("other", "dashboards/deep/two.yml"), ("one", "dashboards/one.yaml")]
    assert first.changed
    assert not first.refused
    second = world.read(commit({"a.yaml": "x: 1\n"}))
    assert not second.changed
    assert second.stored == first.stored
    third = world.read(commit({"dashboards/one.yaml": board("new")}))
    assert third.changed
    assert third.stored[1]["text"] == board("new")


def test_a_bad_one_is_refused_and_its_last_good_text_stays(world: World, commit: Commit) -> None:
    world.read(commit({"dashboards/one.yaml": board(), "dashboards/two.yaml": board()}))
    found = world.read(commit({"dashboards/one.yaml": BAD, "dashboards/three.yaml": BAD, "dashboards/four.yaml": b"title: \xff\xfe"}))
    assert ids(found) == [("one", "dashboards/one.yaml"), ("two", "dashboards/two.yaml")]
    assert found.stored[0]["text"] == board()
    assert codes(found) == ["dashboards/four.yaml:file-unreadable", "dashboards/one.yaml:unknown-type", "dashboards/three.yaml:unknown-type"]
    assert not found.changed
    assert ids(world.read(commit({"dashboards/one.yaml": None, "dashboards/three.yaml": None, "dashboards/four.yaml": None}))) == [("two", "dashboards/two.yaml")]


def test_a_name_belongs_to_the_file_that_had_it(world: World, commit: Commit) -> None:
    world.read(commit({"dashboards/z.yaml": board(head="id: mine\n")}))
    found = world.read(commit({"dashboards/a.yaml": board(head="id: mine\n")}))
    assert ids(found) == [("mine", "dashboards/z.yaml")]
    assert codes(found) == ["dashboards/a.yaml:duplicate-dashboard"]
    other = world.read(commit({}), source="other")
    assert sorted(codes(other)) == ["dashboards/a.yaml:duplicate-dashboard", "dashboards/z.yaml:duplicate-dashboard"]
    assert not other.stored


def test_too_many_are_refused(world: World, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards, "DASHBOARD_FILES_MAX", 1)
    with pytest.raises(LimitError, match="2 dashboards, more than 1"):
        world.read(commit({"dashboards/one.yaml": board(), "dashboards/two.yaml": board()}))


def test_hooks_and_plan_see_the_same_mistakes(repository: Repository, commit: Commit, types: Any) -> None:
    assert [each.code for each in check_files({"dashboards/one.yaml": BAD.encode()}, folder=".", types=types)] == ["unknown-type"]
    old = commit({"dashboards/old.yaml": BAD})
    new = commit({"dashboards/new.yaml": BAD})
    assert [each.file for each in compare_commits(repository, old, new, folder=".", types=types).problems] == ["dashboards/new.yaml"]
