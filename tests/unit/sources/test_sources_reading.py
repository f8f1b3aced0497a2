"""Which files are flows, and what differs between two commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fake_orchestrator import flow_text
from podium.base.errors import SettingsError
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.forge import forge_of, is_ping
from podium.sources.reading.compare import check_files, compare_commits
from podium.sources.reading.parse import parse_body
from podium.sources.reading.project import Project, parse_project
from podium.sources.reading.tree import decode, documents, identities, is_flow_path, is_test, looks_like_flow
from podium.sources.source import Source

Commit = Callable[[Mapping[str, Any]], str]


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("a.yaml", ".", True), ("a.yml", ".", True), ("A.YAML", ".", True), ("x/y/a.yaml", ".", True), ("a.json", ".", False),
        ("podium.yaml", ".", False), ("flows/podium.yaml", "flows", False), ("a.test.yaml", ".", False), ("a.test.yml", ".", False),
        ("test.yaml", ".", True), ("_files/a.yaml", ".", False), ("x/_draft/a.yaml", ".", False), ("_a.yaml", ".", True),
        (".github/a.yaml", ".", False), (".a.yaml", ".", False), ("dashboards/a.yaml", ".", False), ("x/dashboards/a.yaml", ".", True),
        ("flows/a.yaml", "flows", True), ("flowsX/a.yaml", "flows", False), ("a.yaml", "flows", False), ("flows/a/b.yaml", "flows/a", True),
    ],
)
def test_which_paths_are_flow_files(path: str, folder: str, expected: bool) -> None:
    assert is_flow_path(path, folder) is expected


SUITE = "id: a\nnamespace: n\nflowId: f\ntestCases: []\n"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.test.yaml", "", True), ("x/a.TEST.yml", "id: a\n", True), ("tests/a.yaml", SUITE, True), ("x/tests/y/a.yml", SUITE, True),
        ("tests/a.yaml", "{id: a, testCases: []}", True), ("tests/a.yaml", "id: a\ntasks: []\n", False), ("a.yaml", SUITE, False),
        ("tests.yaml", SUITE, False), ("_tests/a.test.yaml", SUITE, False), (".x/tests/a.yaml", SUITE, False), ("tests/a.json", SUITE, False),
        ("tests/a.yaml", "tasks:\n  - testCases: []\n", False),
    ],
)
def test_which_files_are_flow_tests(path: str, text: str, expected: bool) -> None:
    assert is_test(path, text) is expected


def test_flow_tests_are_no_flows_and_their_mistakes_refuse_no_push() -> None:
    for path in ("tests/a.yaml", "tests/deep/a.yml"):
        parsed = parse_body(SUITE.encode() + b"odd: 1\n", path=path, blob="", types=Types.build([], [], [], []), project=Project())
        assert parsed.ignored
        assert not parsed.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: a\n", True), ("tasks: []\n", True), ("\"namespace\": x\n", True), ("{id: a, tasks: []}", True), ("", False), ("# id: a\n", False),
        ("services:\n  id: x\n", False), ("- id: a\n", False), ("{{- if .x }}\nkind: Pod\n", False), ("ideas: x\n", False),
    ],
)
def test_what_looks_like_a_flow(text: str, expected: bool) -> None:
    assert looks_like_flow(text) is expected


def test_documents_and_their_ids_are_found_without_parsing() -> None:
    text = "# head\n---\nid: a\nnamespace: 'x.y'  # why\n---\n\n---\nnamespace: \"z\"\nid: b\ntext: |\n  ---\n  id: no\n---\nkind: other\n"
    assert len(documents(text)) == 3
    assert identities(text) == [("x.y", "a"), ("z", "b")]


@pytest.mark.parametrize("body", [b"\xff", b"x" * (1024 * 1024 + 1), b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_text_of_a_flow_says_why(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"LFS|bytes|UTF-8"):
        decode(body)


def test_a_byte_order_mark_is_left_out() -> None:
    assert decode(b"\xef\xbb\xbfid: a") == "id: a"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x: 1\n", 1), ("pluginDefaults: {}\n", 1), ("pluginDefaults:\n  - values: {}\n", 2), ("pluginDefaults:\n  - type: a\n    value: {}\n", 3),
        ("namespaces:\n  a:\n    label: {}\n", 3), ("namespaces: [a]\n", 1), ("- a\n", 1), ("pluginDefaults: [\n", 2), ("a: 1\na: 2\n", 2),
    ],
)
def test_mistakes_of_podium_yaml_have_a_place(text: str, line: int) -> None:
    project = parse_project(text.encode(), path="podium.yaml")
    assert any(problem.line == line for problem in project.problems), [str(problem) for problem in project.problems]
    assert project.defaults("a") == ()


def test_the_nearest_namespace_comes_first() -> None:
    def default(name: str) -> str:
        return f"[{{type: {name}, values: {{}}}}]"

    text = f"pluginDefaults: {default('all')}\nnamespaces:\n  a: {{pluginDefaults: {default('a')}}}\n  a.b: {{pluginDefaults: {default('ab')}}}\n"
    project = parse_project(text.encode(), path="podium.yaml")
    assert [each["type"] for each in project.defaults("a.b.c")] == ["ab", "a", "all"]
    assert [each["type"] for each in project.defaults("ax")] == ["all"]
    assert [each["type"] for each in project.defaults(None)] == ["all"]


class TestComparing:
    """compare_commits."""

    def test_kinds_of_changes(self, repository: Repository, types: Types, commit: Commit) -> None:
        old = commit({name: flow_text(name[0]) for name in ("a.yaml", "b.yaml", "c.yaml", "d.yaml")})
        new = commit({"a.yaml": flow_text("a", message="2"), "b.yaml": None, "x/c.yaml": flow_text("c"), "c.yaml": None, "e.yaml": flow_text("e"), "n.yaml": "x: 1\n"})
        found = compare_commits(repository, old, new, folder=".", types=types)
        assert [(change.kind, change.key[1]) for change in found.changes] == [("changed", "a"), ("removed", "b"), ("moved", "c"), ("added", "e")]
        assert found.ignored == ("n.yaml",)
        assert not found.problems

    def test_flow_tests_are_neither_flows_nor_worth_a_word(self, repository: Repository, types: Types, commit: Commit) -> None:
        old = commit({"a.yaml": flow_text("a"), "tests/a.yaml": SUITE})
        new = commit({"b.yaml": flow_text("b"), "tests/a.yaml": SUITE + "odd: 1\n", "b.test.yaml": "nonsense", "tests/b.yaml": SUITE.replace("id: a", "id: b")})
        found = compare_commits(repository, old, new, folder=".", types=types)
        assert [(change.kind, change.key[1]) for change in found.changes] == [("added", "b")]
        assert found.ignored == ()
        assert not found.problems

    def test_a_suite_may_have_the_id_of_its_flow(self, repository: Repository, types: Types, commit: Commit) -> None:
        """Its file does not change, so it is only skimmed for ids."""
        suite = SUITE.replace("namespace: n", "namespace: team")
        old = commit({"tests/a.yaml": suite})
        found = compare_commits(repository, old, commit({"a.yaml": flow_text("a")}), folder=".", types=types)
        assert not found.problems

    def test_everything_is_new_without_a_base(self, repository: Repository, types: Types, commit: Commit) -> None:
        found = compare_commits(repository, None, commit({"a.yaml": flow_text("a")}), folder=".", types=types)
        assert [change.kind for change in found.changes] == ["added"]

    def test_a_broken_file_removes_nothing(self, repository: Repository, types: Types, commit: Commit) -> None:
        old = commit({"a.yaml": flow_text("a"), "b.yaml": flow_text("b")})
        new = commit({"a.yaml": "id: a\nnamespace: team\n", "b.yaml": "id: [\n"})
        found = compare_commits(repository, old, new, folder=".", types=types)
        assert not found.changes
        assert {problem.file for problem in found.problems} == {"a.yaml", "b.yaml"}

    def test_a_changed_podium_yaml_reads_every_flow_again(self, repository: Repository, types: Types, commit: Commit) -> None:
        bare = "id: a\nnamespace: team\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n"
        defaults = "pluginDefaults:\n  - type: io.kestra.plugin.core.log.Log\n    values: {message: common}\n"
        old = commit({"a.yaml": bare, "podium.yaml": defaults})
        assert not compare_commits(repository, None, old, folder=".", types=types).problems
        found = compare_commits(repository, old, commit({"podium.yaml": defaults.replace("common", "other")}), folder=".", types=types)
        assert [change.kind for change in found.changes] == ["changed"]
        found = compare_commits(repository, old, commit({"podium.yaml": None}), folder=".", types=types)
        assert {problem.file for problem in found.problems} == {"a.yaml"}

    def test_duplicates_are_found_in_files_that_did_not_change(self, repository: Repository, types: Types, commit: Commit) -> None:
        old = commit({"a.yaml": flow_text("a"), "z.yaml": flow_text("z")})
        found = compare_commits(repository, old, commit({"copy.yaml": flow_text("a")}), folder=".", types=types)
        (problem,) = found.problems
        assert problem.code == "duplicate-flow"
        assert "a.yaml" in problem.message

    def test_files_alone_are_checked_with_their_defaults(self, types: Types) -> None:
        assert not check_files({"a.yaml": flow_text("a").encode()}, folder=".", types=types)
        problems = check_files({"a.yaml": flow_text("a").encode(), "b.yaml": flow_text("a").encode(), "_x/c.yaml": b"id: ["}, folder=".", types=types)
        assert [problem.file for problem in problems] == ["a.yaml", "b.yaml"]
        assert check_files({"podium.yaml": b"x: 1"}, folder=".", types=types)[0].file == "podium.yaml"


@pytest.mark.parametrize("wrong", [{"name": "a/b", "url": "x"}, {"name": "a"}, {"name": "a", "url": "x", "path": "../b"}, {"name": "a", "url": "x", "path": "/b"}])
def test_a_source_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        Source(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_password_in_a_url_is_never_shown() -> None:
    assert "hush" not in Source(name="a", url="https://me:hush@example.invalid/x.git").shown_url()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-Forgejo-Event", "push"), ("X-Gitea-Event", "push"), ("X-GitHub-Event", "push")], "forgejo"),
        ([("X-Gitea-Event", "push"), ("X-GitHub-Event", "push")], "gitea"), ([("X-Gitlab-Event", "Push Hook")], "gitlab"),
        ([("X-Event-Key", "repo:push")], "bitbucket"), ([("x-github-event", "push")], "github"), ([("webhook-signature", "v1,x")], "standard"),
        ([("Accept", "*/*")], None),
    ],
)
def test_forges_are_told_by_their_headers(headers: list[tuple[str, str]], expected: str | None) -> None:
    assert forge_of(headers) == expected
    assert is_ping([("X-GitHub-Event", "ping")])
    assert not is_ping(headers)
