"""Following real repositories and directories: pushes deploy, trouble is shown and harms nothing that runs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fake_orchestrator import FakeOrchestrator, Log, flow_text
from podium.base.errors import AuthError, ConflictError, NotFound
from podium.flows.types import Types
from podium.git.repo import Repository
from podium.sources.source import Source
from podium.sources.watch import SourceWatcher

TYPES = Types.build(tasks=[Log])
SECRET = "a hook secret"


async def until(check: Callable[[], Any], what: str, *, timeout_s: float = 60) -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(timeout_s):
            while not check():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"never happened: {what}")


class Remote:
    """A bare repository that somebody pushes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repository = Repository.init_bare(path)

    def push(self, changes: Mapping[str, str | None], *, parent: str | None = "tip") -> str:
        tip = self.repository.resolve("refs/heads/main")
        if parent != "tip":
            self.repository.update_ref("refs/heads/main", None, tip)
            tip = parent
        return self.repository.commit(
            ref="refs/heads/main", parent=tip, message="change", at=datetime(2026, 1, 5, tzinfo=UTC),
            changes={path: body.encode() if body is not None else None for path, body in changes.items()},
        )

    def source(self, **options: Any) -> Source:
        given: dict[str, Any] = {"name": "main", "url": str(self.path), "poll_interval_s": 0} | options
        return Source(**given)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    made = Remote(tmp_path / "remote.git")
    yield made
    made.repository.close()


@pytest.fixture
def orchestrator(clock: Any) -> FakeOrchestrator:
    return FakeOrchestrator(clock)


Running = Callable[..., Any]


@pytest.fixture
def running(tmp_path: Path, orchestrator: FakeOrchestrator, clock: Any) -> Running:
    @asynccontextmanager
    async def run(*sources: Source, wait: bool = True, **options: Any) -> AsyncIterator[SourceWatcher]:
        watcher = SourceWatcher(sources, orchestrator, tmp_path / "home", TYPES, clock, **({"retry_s": 0.05, "debounce_s": 0.05} | options))  # type: ignore[arg-type]  # the fake has what sources use
        task = asyncio.create_task(watcher.run())
        try:
            if wait:
                await until(lambda: all(each.get("fetchedAt") or each.get("error") for each in watcher.status()), "the first look")
            yield watcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await watcher.close()

    return run


def deployed(orchestrator: FakeOrchestrator) -> dict[str, int]:
    return {flow_id: known.revision for (_, flow_id), known in orchestrator.known.items() if not known.deleted}


def only(watcher: SourceWatcher) -> dict[str, Any]:
    (status,) = watcher.status()
    return status


async def test_a_push_deploys_after_its_hook(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source()) as watcher:
        assert deployed(orchestrator) == {"a": 1}
        second = remote.push({"a.yaml": flow_text("a", message="2"), "b.yaml": flow_text("b")})
        answer = await watcher.notify("main", (), b"", trusted=True)
        assert answer.status == 200
        assert answer.body["commit"] == second
        assert deployed(orchestrator) == {"a": 2, "b": 1}
        assert second in watcher.repositories()["main"][0].pins()


async def test_polling_finds_a_push_nobody_told_of(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source(poll_interval_s=0.05)):
        remote.push({"b.yaml": flow_text("b")})
        await until(lambda: "b" in deployed(orchestrator), "the poll")


async def test_a_restart_deploys_nothing_twice_and_catches_up(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a"), "bad.yaml": "id: bad\n"})
    async with running(remote.source()):
        pass
    async with running(remote.source()) as watcher:
        assert len(orchestrator.deployments) == 1
        assert only(watcher)["rejected"] == 1
    remote.push({"a.yaml": flow_text("a", message="2")})
    async with running(remote.source()):
        assert deployed(orchestrator) == {"a": 2}


async def test_a_missing_branch_is_shown_and_flows_run_on(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source()) as watcher:
        remote.repository.update_ref("refs/heads/main", None)
        await watcher.notify("main", (), b"", trusted=True)
        await until(lambda: only(watcher).get("error"), "the error")
        assert "main" in only(watcher)["error"]
        assert deployed(orchestrator) == {"a": 1}
        remote.push({"b.yaml": flow_text("b")})
        await until(lambda: deployed(orchestrator) == {"b": 1}, "the branch that came back is deployed by itself")
        assert "error" not in only(watcher)


async def test_a_forced_push_is_followed(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a"), "b.yaml": flow_text("b")})
    async with running(remote.source()) as watcher:
        remote.push({"a.yaml": flow_text("a", message="other history"), "b.yaml": flow_text("b")}, parent=None)
        await watcher.look("main")
        assert deployed(orchestrator) == {"a": 2, "b": 1}


async def test_a_remote_that_is_not_there_yet_is_tried_again(tmp_path: Path, orchestrator: FakeOrchestrator, running: Running) -> None:
    path = tmp_path / "later.git"
    async with running(Source(name="main", url=str(path), poll_interval_s=0)) as watcher:
        assert only(watcher)["error"]
        assert only(watcher)["hint"]
        remote = Remote(path)
        remote.push({"a.yaml": flow_text("a")})
        await until(lambda: deployed(orchestrator) == {"a": 1}, "the repository that came is deployed")
        remote.repository.close()


async def test_held_removals_wait_for_a_person(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({f"{name}.yaml": flow_text(name) for name in "abc"})
    async with running(remote.source()) as watcher:
        with pytest.raises(ConflictError):
            await watcher.confirm("main")
        last = remote.push({**{f"{name}.yaml": None for name in "abc"}, "README": "x"})
        status = await watcher.look("main")
        assert status["held"]
        assert len(deployed(orchestrator)) == 3
    async with running(remote.source()) as watcher:
        with pytest.raises(ConflictError):
            await watcher.confirm("main", commit="0" * 40)
        await watcher.confirm("main", commit=last)
        assert deployed(orchestrator) == {}
        assert "held" not in only(watcher)
        assert len({each.sync_path for each in orchestrator.deployments}) == len(orchestrator.deployments)


async def test_two_sources_of_one_commit_have_records_of_their_own(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"one/a.yaml": flow_text("a"), "two/b.yaml": flow_text("b", namespace="other")})
    async with running(remote.source(name="one", path="one"), remote.source(name="two", path="two")):
        assert deployed(orchestrator) == {"a": 1, "b": 1}
        assert len({each.sync_path for each in orchestrator.deployments}) == 2


async def test_flows_of_a_source_gone_from_the_settings_run_until_confirmed(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source(name="old")):
        pass
    async with running() as watcher:
        (orphan,) = watcher.status()
        assert orphan["name"] == "old"
        assert orphan["held"]
        await watcher.confirm("old")
        assert deployed(orchestrator) == {}
        assert watcher.status() == []


async def test_a_damaged_mirror_is_cloned_again(remote: Remote, orchestrator: FakeOrchestrator, running: Running, tmp_path: Path) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source()):
        pass
    shutil.rmtree(tmp_path / "home" / "mirrors" / "main" / "objects" / "pack")
    (tmp_path / "home" / "mirrors" / "main" / "objects" / "pack").mkdir()
    remote.push({"a.yaml": flow_text("a", message="2")})
    async with running(remote.source(), wait=False) as watcher:
        await until(lambda: deployed(orchestrator) == {"a": 2}, "the mirror is whole again")
        assert watcher.repositories()["main"][0].read_path(only(watcher)["commit"], "a.yaml")


async def test_one_broken_source_does_not_stop_another(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(Source(name="gone", url="/no/such/place"), remote.source()) as watcher:
        assert deployed(orchestrator) == {"a": 1}
        assert [bool(each.get("error")) for each in watcher.status()] == [True, False]


async def test_a_forge_must_sign_and_nothing_of_its_payload_is_used(remote: Remote, orchestrator: FakeOrchestrator, running: Running) -> None:
    remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source(hook_secrets=(SECRET, "")), remote.source(name="bare", path="none")) as watcher:
        body = b'{"ref": "refs/heads/elsewhere", "repository": {"clone_url": "ssh://evil"}}'
        good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", f"sha256={good}")]
        remote.push({"b.yaml": flow_text("b")})
        assert (await watcher.notify("main", headers, body)).status == 202
        await until(lambda: "b" in deployed(orchestrator), "the signed call causes a fetch")
        ping = [("X-GitHub-Event", "ping"), ("X-Hub-Signature-256", f"sha256={good}")]
        assert (await watcher.notify("main", ping, body)).status == 200
        for wrong in ([("X-GitHub-Event", "push")], [("X-GitHub-Event", "push"), ("X-Hub-Signature-256", "sha256=00")], [], headers[1:]):
            with pytest.raises(AuthError):
                await watcher.notify("main", wrong, body)
        with pytest.raises(AuthError):
            await watcher.notify("bare", headers, body)
        with pytest.raises(NotFound):
            await watcher.notify("nobody", headers, body)


async def test_commits_that_no_longer_run_are_let_go(remote: Remote, running: Running) -> None:
    first = remote.push({"a.yaml": flow_text("a")})
    async with running(remote.source()) as watcher:
        second = remote.push({"a.yaml": flow_text("a", message="2")})
        await watcher.look("main")
        third = remote.push({"a.yaml": flow_text("a", message="3")})
        await watcher.look("main")
        assert await watcher.release({"main": {second}}) == 1
        assert watcher.repositories()["main"][0].pins() == {second, third}
        assert first not in watcher.repositories()["main"][0].pins()


class TestWorkTree:
    """`podium serve --dir`."""

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Path:
        directory = tmp_path / "work"
        directory.mkdir()
        return directory

    @staticmethod
    def source(directory: Path, **options: Any) -> Source:
        given: dict[str, Any] = {"name": "dir", "directory": directory, "poll_interval_s": 0} | options
        return Source(**given)

    async def test_a_saved_file_deploys(self, directory: Path, orchestrator: FakeOrchestrator, running: Running) -> None:
        (directory / "a.yaml").write_text(flow_text("a"))
        async with running(self.source(directory)) as watcher:
            assert deployed(orchestrator) == {"a": 1}
            assert orchestrator.deployments[0].sync_body.find(b'"dirty": true') > 0
            (directory / "sub").mkdir()
            (directory / "sub" / "b.yaml").write_text(flow_text("b"))
            await until(lambda: deployed(orchestrator) == {"a": 1, "b": 1}, "the new file")
            saved = directory / "a.yaml.new"
            saved.write_text(flow_text("a", message="2"))
            saved.rename(directory / "a.yaml")
            await until(lambda: deployed(orchestrator)["a"] == 2, "the file renamed over another")
            repository, folder = watcher.repositories()["dir"]
            assert folder == "."
            assert b"message: 2" in (repository.read_path(only(watcher)["commit"], "a.yaml") or b"")
            (directory / "a.yaml").unlink()
            await until(lambda: "a" not in deployed(orchestrator), "the deleted file")

    async def test_the_scan_finds_what_no_event_told(
        self, directory: Path, orchestrator: FakeOrchestrator, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from podium.sources.worktree import WorkTree

        monkeypatch.setattr(WorkTree, "watch", lambda *_: False)
        async with running(self.source(directory, poll_interval_s=0.05)):
            (directory / "a.yaml").write_text(flow_text("a"))
            await until(lambda: deployed(orchestrator) == {"a": 1}, "the scan")

    async def test_nothing_changed_means_no_commit_also_after_a_restart(self, directory: Path, orchestrator: FakeOrchestrator, running: Running) -> None:
        (directory / "a.yaml").write_text(flow_text("a"))
        async with running(self.source(directory)) as watcher:
            first = only(watcher)["commit"]
            os.utime(directory / "a.yaml")
            assert (await watcher.look("dir"))["commit"] == first
        async with running(self.source(directory)) as watcher:
            assert only(watcher)["commit"] == first
        assert len(orchestrator.deployments) == 1

    async def test_ignored_files_stay_out_and_the_users_repository_is_untouched(self, directory: Path, running: Running) -> None:
        subprocess.run(["git", "init", "-q", str(directory)], check=True)
        (directory / ".gitignore").write_text("secret.txt\nbig/\n")
        (directory / "secret.txt").write_text("hush")
        (directory / "big").mkdir()
        (directory / "big" / "x.bin").write_text("x")
        (directory / "kept.sh").write_text("echo")
        (directory / "outside").symlink_to("/etc/hostname")
        before = subprocess.run(["git", "-C", str(directory), "status", "--porcelain", "-b"], check=True, capture_output=True).stdout
        async with running(self.source(directory)) as watcher:
            repository, _ = watcher.repositories()["dir"]
            assert sorted(repository.files(only(watcher)["commit"])) == [".gitignore", "kept.sh"]
        after = subprocess.run(["git", "-C", str(directory), "status", "--porcelain", "-b"], check=True, capture_output=True).stdout
        assert before == after

    async def test_a_directory_that_vanishes_is_an_error_and_flows_run_on(self, directory: Path, orchestrator: FakeOrchestrator, running: Running) -> None:
        (directory / "a.yaml").write_text(flow_text("a"))
        async with running(self.source(directory)) as watcher:
            shutil.rmtree(directory)
            assert "no directory" in (await watcher.look("dir"))["error"]
            assert deployed(orchestrator) == {"a": 1}

    async def test_too_much_in_the_directory_names_the_limit(self, directory: Path, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        from podium.sources import worktree

        monkeypatch.setattr(worktree, "WORK_TREE_FILES_MAX", 1)
        for name in "abc":
            (directory / f"{name}.txt").write_text("x")
        async with running(self.source(directory)) as watcher:
            assert "more than 1 files" in only(watcher)["error"]


