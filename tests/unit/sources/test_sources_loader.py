"""The loader: what a commit changes, and that one bad file harms only itself (I4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fake_orchestrator import FakeOrchestrator, flow_text
from podium.base.ports import Deployment
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.reading.loader import Known, Reading, read_commit, remove_source
from podium.sources.source import Source

AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
Commit = Callable[[Mapping[str, Any]], str]


class World:
    """Reads and deploys commits one after the other."""

    def __init__(self, repository: Repository, types: Types, clock: Any, *names: str) -> None:
        self.repository, self.types = repository, types
        self.orchestrator = FakeOrchestrator(clock)
        self.names = frozenset(names or ("main",))
        self.previous: dict[str, str] = {}

    def known(self, source: str) -> Known:
        last = next((each for each in reversed(self.orchestrator.deployments) if each.source == source), None)
        return Known(
            flows=dict(self.orchestrator.known), current=dict(self.orchestrator.current), sources=self.names,
            rejected=frozenset(each["path"] for each in self.orchestrator.rejected() if each["source"] == source),
            held=bool(last and last.held),
        )

    async def read(self, commit: str, *, source: str = "main", path: str = ".", confirmed: bool = False) -> Reading:
        reading = read_commit(
            Source(name=source, url="/nowhere", path=path), self.repository, commit, known=self.known(source), types=self.types, at=AT,
            previous_commit=self.previous.get(source), confirmed=confirmed,
        )
        await self.orchestrator.deploy(reading.deployment)
        self.previous[source] = commit
        return reading

    async def deploy(self, commit: str, **options: Any) -> Deployment:
        return (await self.read(commit, **options)).deployment


@pytest.fixture
def world(repository: Repository, types: Types, clock: Any) -> World:
    return World(repository, types, clock)


def ids(flows: Any) -> list[tuple[str, int]]:
    return sorted((each.flow_id, each.revision) for each in flows)


def messages(deployment: Deployment) -> list[str]:
    return [f"{each['file']}:{each['line']}:{each['column']}: {each['message']}" for item in deployment.rejected for each in item["problems"]]


async def test_new_changed_and_unchanged_flows_are_told_apart(world: World, commit: Commit) -> None:
    first = await world.deploy(commit({"a.yaml": flow_text("a"), "b.yml": flow_text("b")}))
    assert ids(first.accepted) == [("a", 1), ("b", 1)]
    second = await world.deploy(commit({"a.yaml": flow_text("a", message="changed")}))
    assert ids(second.accepted) == [("a", 2)]
    assert not second.removed
    assert not second.moved


async def test_a_commit_without_flow_changes_changes_nothing(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    reading = await world.read(commit({"scripts/run.sh": "echo"}))
    assert not reading.changed
    assert reading.flows == 1


async def test_a_bad_flow_is_refused_with_its_place_and_the_last_good_runs_on(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a"), "b.yaml": flow_text("b")}))
    second = await world.deploy(commit({"a.yaml": "id: a\nnamespace: team\ntasks:\n  - id: say\n    type: no.such.Type\n", "b.yaml": flow_text("b", message="2")}))
    assert ids(second.accepted) == [("b", 2)]
    assert not second.removed
    assert messages(second)[0].startswith("a.yaml:5:")
    assert "no.such.Type" in messages(second)[0]
    assert world.orchestrator.known["team", "a"].revision == 1


@pytest.mark.parametrize("body", ["id: a\nnamespace: team\ntasks: [\n", b"\xff\xfe\x00id: a", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"])
async def test_an_unreadable_file_removes_nothing(world: World, commit: Commit, body: Any) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    second = await world.deploy(commit({"a.yaml": body}))
    assert not second.removed
    assert len(second.rejected) == 1


async def test_a_refused_file_is_accepted_once_it_is_mended(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    await world.deploy(commit({"a.yaml": "id: a\nnamespace: team\n"}))
    third = await world.deploy(commit({"a.yaml": flow_text("a", message="mended")}))
    assert ids(third.accepted) == [("a", 2)]
    assert not third.rejected


async def test_going_back_to_the_good_text_is_no_new_revision(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    await world.deploy(commit({"a.yaml": "id: a\nnamespace: team\n"}))
    third = await world.deploy(commit({"a.yaml": flow_text("a")}))
    assert not third.accepted
    assert not third.rejected
    assert world.orchestrator.known["team", "a"].revision == 1


async def test_a_renamed_file_moves_its_flow_without_a_new_revision(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    second = await world.deploy(commit({"a.yaml": None, "sub/other.yaml": flow_text("a")}))
    assert ids(second.moved) == [("a", 1)]
    assert second.moved[0].path == "sub/other.yaml"
    assert not second.removed
    assert not second.accepted


async def test_a_flow_moved_and_changed_is_the_next_revision(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    second = await world.deploy(commit({"a.yaml": None, "b.yaml": flow_text("a", message="2")}))
    assert ids(second.accepted) == [("a", 2)]
    assert not second.removed


async def test_deleting_is_a_revision_and_coming_back_counts_on(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    second = await world.deploy(commit({"a.yaml": None}))
    assert ids(second.removed) == [("a", 1)]
    third = await world.deploy(commit({"a.yaml": flow_text("a")}))
    assert ids(third.accepted) == [("a", 3)]


async def test_one_id_in_two_files_names_both_and_keeps_what_ran(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    second = await world.deploy(commit({"copy.yaml": flow_text("a", message="other")}))
    assert [item["path"] for item in second.rejected] == ["copy.yaml"]
    assert "a.yaml" in messages(second)[0]
    assert "copy.yaml" in messages(second)[0]
    assert world.orchestrator.known["team", "a"].path == "a.yaml"
    third = await world.deploy(commit({"a.yaml": flow_text("a", message="2"), "copy.yaml": flow_text("a", message="3")}))
    assert [item["path"] for item in third.rejected] == ["a.yaml", "copy.yaml"]
    assert not third.removed
    assert world.orchestrator.known["team", "a"].revision == 1
    fourth = await world.deploy(commit({"copy.yaml": None}))
    assert ids(fourth.accepted) == [("a", 2)]
    assert not fourth.rejected


async def test_an_identical_copy_is_a_duplicate_too(world: World, commit: Commit) -> None:
    deployment = await world.deploy(commit({"a.yaml": flow_text("a"), "b.yaml": flow_text("a"), "c.yaml": flow_text("c")}))
    assert ids(deployment.accepted) == [("c", 1)]
    assert [item["path"] for item in deployment.rejected] == ["a.yaml", "b.yaml"]


async def test_a_file_may_hold_several_flows_and_a_bad_one_harms_only_itself(world: World, commit: Commit) -> None:
    first = await world.deploy(commit({"all.yaml": f"---\n{flow_text('a')}---\n{flow_text('b')}"}))
    assert ids(first.accepted) == [("a", 1), ("b", 1)]
    second = await world.deploy(commit({"all.yaml": f"---\n{flow_text('a')}---\n{flow_text('b', message='2')}"}))
    assert ids(second.accepted) == [("b", 2)]
    assert ids(second.moved) == [("a", 1)]
    third = await world.deploy(commit({"all.yaml": f"---\n{flow_text('a', message='3')}---\nid: b\nnamespace: team\ntasks: 7\n"}))
    assert ids(third.accepted) == [("a", 2)]
    assert not third.removed
    assert messages(third)[0].startswith("all.yaml:")


async def test_an_id_changed_in_its_file_is_one_flow_gone_and_one_new(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    second = await world.deploy(commit({"a.yaml": flow_text("z")}))
    assert ids(second.accepted) == [("z", 1)]
    assert ids(second.removed) == [("a", 1)]


async def test_files_that_are_no_flows_are_left_alone(world: World, commit: Commit) -> None:
    reading = await world.read(commit({
        "a.yaml": flow_text("a"), "podium.yaml": "pluginDefaults: []\n", "_files/x.yaml": "id: [", "a.test.yaml": "id: [", "compose.yaml": "services: {}\n",
        ".github/workflows/ci.yaml": "id: [", "dashboards/d.yaml": "id: [", "data.json": "{}",
        "chart/templates/x.yaml": "{{- if .Values.x }}\nkind: Pod\n{{- end }}\n",
    }))
    assert ids(reading.deployment.accepted) == [("a", 1)]
    assert not reading.deployment.rejected
    assert sorted(reading.ignored) == ["chart/templates/x.yaml", "compose.yaml"]


async def test_only_the_folder_of_the_source_counts(world: World, commit: Commit) -> None:
    deployment = await world.deploy(commit({"flows/a.yaml": flow_text("a"), "b.yaml": flow_text("b"), "flows2/c.yaml": flow_text("c")}), path="flows")
    assert ids(deployment.accepted) == [("a", 1)]
    assert deployment.accepted[0].path == "flows/a.yaml"


async def test_a_namespace_of_another_source_is_refused_naming_both_files(repository: Repository, types: Types, clock: Any, commit: Commit) -> None:
    world = World(repository, types, clock, "main", "other")
    await world.deploy(commit({"one/a.yaml": flow_text("a")}), path="one")
    second = await world.deploy(commit({"two/b.yaml": flow_text("b"), "two/c.yaml": flow_text("c", namespace="free")}), source="other", path="two")
    assert ids(second.accepted) == [("c", 1)]
    assert "main" in messages(second)[0]
    assert "one/a.yaml" in messages(second)[0]
    assert "two/b.yaml" in messages(second)[0]


async def test_flows_of_a_source_that_is_gone_can_be_taken_over(repository: Repository, types: Types, clock: Any, commit: Commit) -> None:
    world = World(repository, types, clock, "old")
    first = commit({"a.yaml": flow_text("a")})
    await world.deploy(first, source="old")
    world.names = frozenset({"new"})
    second = await world.deploy(first, source="new")
    assert ids(second.moved) == [("a", 1)]
    assert world.orchestrator.known["team", "a"].source == "new"


async def test_removing_most_flows_at_once_is_held_until_confirmed(world: World, commit: Commit) -> None:
    await world.deploy(commit({f"{name}.yaml": flow_text(name) for name in "abcde"}))
    emptied = commit({"a.yaml": None, "b.yaml": None, "c.yaml": None, "d.yaml": flow_text("d", message="2")})
    held = await world.deploy(emptied)
    assert held.held is not None
    assert "3 of 5" in held.held
    assert not held.removed
    assert ids(held.accepted) == [("d", 2)]
    assert not (await world.read(emptied)).changed
    confirmed = await world.deploy(emptied, confirmed=True)
    assert ids(confirmed.removed) == [("a", 1), ("b", 1), ("c", 1)]
    assert confirmed.held is None


async def test_two_of_three_flows_may_go_without_asking(world: World, commit: Commit) -> None:
    await world.deploy(commit({f"{name}.yaml": flow_text(name) for name in "abc"}))
    assert ids((await world.deploy(commit({"a.yaml": None, "b.yaml": None}))).removed) == [("a", 1), ("b", 1)]


async def test_an_emptied_repository_is_held(world: World, commit: Commit) -> None:
    await world.deploy(commit({f"{name}.yaml": flow_text(name) for name in "abc"}))
    assert (await world.deploy(commit({**{f"{name}.yaml": None for name in "abc"}, "README.md": "x"}))).held


async def test_plugin_defaults_of_the_repository_hold_for_its_flows(world: World, commit: Commit) -> None:
    bare = "id: a\nnamespace: team.x\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n"
    defaults = "pluginDefaults:\n  - type: io.kestra.plugin.core.log.Log\n    values: {message: common}\n"
    first = await world.deploy(commit({"a.yaml": bare, "podium.yaml": defaults}))
    assert first.accepted[0].model.tasks[0].message == "common"
    near = f"{defaults}namespaces:\n  team:\n    pluginDefaults:\n      - type: io.kestra.plugin.core.log.Log\n        values: {{message: near}}\n"
    second = await world.deploy(commit({"podium.yaml": near}))
    assert ids(second.moved) == [("a", 1)]
    assert second.moved[0].model.tasks[0].message == "near"
    broken = await world.deploy(commit({"podium.yaml": "pluginDefault: []\n"}))
    assert messages(broken)[0].startswith("podium.yaml:1:1: ")
    assert not broken.moved


async def test_the_sync_record_is_the_ledger_of_revisions(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a"), "b.yaml": flow_text("b")}))
    last = commit({"a.yaml": flow_text("a", message="2"), "b.yaml": None, "c.yaml": "id: c\n"})
    deployment = await world.deploy(last)
    assert deployment.sync_path == f"syncs/2026/01/05/{last}.json"
    body = json.loads(deployment.sync_body)
    assert [(each["id"], each["revision"], each["verdict"]) for each in body["flows"]] == [("a", 2, "accepted"), ("b", 2, "deleted")]
    assert body["flows"][0]["blob"] == deployment.accepted[0].blob
    assert body["flows"][0]["commit"] == last
    assert body["rejected"][0]["path"] == "c.yaml"
    assert body["source"] == "main"


async def test_a_source_gone_from_the_settings_can_be_removed(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    deployment = remove_source("main", known=world.known("main"), at=AT)
    assert ids(deployment.removed) == [("a", 1)]


async def test_many_files_are_refused_by_a_limit_that_is_named(world: World, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.base.errors import LimitError
    from podium.sources.reading import tree

    monkeypatch.setattr(tree, "SOURCE_FLOW_FILES_MAX", 2)
    with pytest.raises(LimitError) as caught:
        await world.read(commit({f"{name}.yaml": flow_text(name) for name in "abc"}))
    assert caught.value.facts["limit"] == "SOURCE_FLOW_FILES_MAX"


async def test_known_flows_of_a_deleted_source_do_not_count_as_mine(world: World, commit: Commit) -> None:
    await world.deploy(commit({"a.yaml": flow_text("a")}))
    world.orchestrator.known["team", "x"] = replace(world.orchestrator.known["team", "a"], flow_id="x", source="elsewhere")
    assert not (await world.deploy(commit({"b.yaml": flow_text("b")}))).removed


async def test_names_that_cannot_be_shown_and_files_that_are_too_large_harm_only_themselves(world: World, commit: Commit) -> None:
    await world.deploy(commit({"big.yaml": flow_text("big")}))
    deployment = await world.deploy(commit({
        "a.yaml": flow_text("a"), "bad\udcff.yaml": flow_text("b"), "new\nline.yaml": flow_text("c"),
        "big.yaml": flow_text("big") + "#" * (1024 * 1024),
    }))
    assert ids(deployment.accepted) == [("a", 1)]
    assert not deployment.removed
    assert [item["path"] for item in deployment.rejected] == ["bad\\udcff.yaml", "big.yaml", "new\\nline.yaml"]
    json.loads(deployment.sync_body)
    assert not (await world.read(world.previous["main"])).changed


async def test_a_mistake_of_ours_with_one_file_harms_no_other(world: World, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.sources.reading import parse

    real = parse.parse_flows

    def crashing(text: str, **options: Any) -> Any:
        if "boom" in text:
            raise RecursionError
        return real(text, **options)

    monkeypatch.setattr(parse, "parse_flows", crashing)
    deployment = await world.deploy(commit({"a.yaml": flow_text("a"), "b.yaml": flow_text("b", message="boom")}))
    assert ids(deployment.accepted) == [("a", 1)]
    assert "RecursionError" in messages(deployment)[0]
