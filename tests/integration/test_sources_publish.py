"""A person's changes become commits of the source's repository: in their name, never over somebody else's, all or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import absent
from fake_orchestrator import FakeOrchestrator, Log, flow_text
from podium.base.errors import ConflictError, EditConflict, GitError, LimitError, NotFound, PodiumError
from podium.base.ports import Author, FileChange
from podium.flows.types import Types
from podium.git.credentials import Credentials
from podium.git.objects import object_id
from podium.git.repo import Content, Repository
from podium.sources.editing.state import EDITS, PathRefused
from podium.sources.publish import Publisher, PushRefused
from podium.sources.source import Source
from podium.sources.watch import SourceWatcher

TYPES = Types.build(tasks=[Log])
ADA = Author(name="Ada Lovelace", email="ada@example.org")


def blob(text: str) -> str:
    return object_id("blob", text.encode())


class Remote:
    """A bare repository that others push to as well."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repository = Repository.init_bare(path)

    def push(self, changes: dict[str, Any], branch: str = "main") -> str:
        ref = f"refs/heads/{branch}"
        return self.repository.commit(
            ref=ref, parent=self.repository.resolve(ref), message="change", at=datetime(2026, 1, 5, tzinfo=UTC),
            changes={path: body.encode() if isinstance(body, str) else body for path, body in changes.items()},
        )

    def text(self, path: str, branch: str = "main") -> str | None:
        commit = self.repository.resolve(f"refs/heads/{branch}")
        body = self.repository.read_path(commit, path) if commit else None
        return body.decode() if body is not None else None

    def head(self, branch: str = "main") -> str | None:
        return self.repository.resolve(f"refs/heads/{branch}")

    def hook(self, name: str, script: str) -> None:
        path = self.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    made = Remote(tmp_path / "remote.git")
    yield made
    made.repository.close()


class House:
    def __init__(self, orchestrator: FakeOrchestrator, watcher: SourceWatcher, publisher: Publisher) -> None:
        self.orchestrator, self.watcher, self.publisher = orchestrator, watcher, publisher

    async def save(self, *changes: FileChange, base: str, **more: Any) -> Any:
        return await self.publisher.publish("main", changes, base=base, message=more.pop("message", "why"), author=ADA, **more)


@asynccontextmanager
async def house(tmp_path: Path, clock: Any, *sources: Source, **options: Any) -> AsyncIterator[House]:
    orchestrator = FakeOrchestrator(clock)
    watcher = SourceWatcher(sources, orchestrator, tmp_path / "home", TYPES, clock, retry_s=0.05)  # type: ignore[arg-type]  # the fake has what sources use
    task = asyncio.create_task(watcher.run())
    try:
        async with asyncio.timeout(60):
            while not all(each.get("fetchedAt") or each.get("error") for each in watcher.status()):
                await asyncio.sleep(0.01)
        yield House(orchestrator, watcher, Publisher(watcher, orchestrator, TYPES, clock, **options))  # type: ignore[arg-type]  # as above
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await watcher.close()


def source(remote: Remote, **options: Any) -> Source:
    return Source(**({"name": "main", "url": str(remote.path), "poll_interval_s": 0} | options))


async def test_a_saved_file_is_a_commit_in_the_persons_name_and_is_deployed(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.yaml": flow_text("a")})
    async with house(tmp_path, clock, source(remote)) as here:
        seen = await here.publisher.read("main", "a.yaml")
        assert seen["commit"] == base
        made = await here.save(
            FileChange(path="a.yaml", data=flow_text("a", message="2").encode(), blob=seen["blob"]), base=base, message="Say two\n\nBecause."
        )
        told = await here.publisher.deployed("main", made.commit, timeout_s=30)
        assert told == {"deployed": True, "commit": made.commit, "rejected": []}
        assert here.orchestrator.known["team", "a"].revision == 2
    (commit,) = remote.repository.log("refs/heads/main", limit=1)
    assert (commit.id, commit.author, commit.email, commit.subject) == (made.commit, "Ada Lovelace", "ada@example.org", "Say two")
    assert commit.parents == (base,)
    shown = subprocess.run(["git", "-C", str(remote.path), "show", "-s", "--format=%cn", made.commit], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "Podium"
    remote.repository.fsck()


async def test_changes_go_on_top_of_a_branch_that_moved_in_other_files(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.yaml": flow_text("a"), "run.sh": Content(b"#!/bin/sh\n", executable=True)})
    async with house(tmp_path, clock, source(remote)) as here:
        theirs = remote.push({"b.yaml": flow_text("b")})
        made = await here.save(FileChange(path="run.sh", data=b"#!/bin/sh\necho\n", blob=blob("#!/bin/sh\n")), base=base)
        assert remote.repository.log("refs/heads/main", limit=1)[0].parents == (theirs,)
        assert made.commit == remote.head()
        assert remote.text("b.yaml") is not None
        entry = next(each for each in remote.repository.tree(made.commit) if each.path == "run.sh")
        assert entry.executable


async def test_a_file_that_somebody_else_changed_is_a_conflict_with_all_three_texts(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n", "gone.txt": "old\n", "pic": b"\0\1"})
    async with house(tmp_path, clock, source(remote)) as here:
        head = remote.push({"a.txt": "two\n", "gone.txt": None, "pic": b"\0\2"})
        with pytest.raises(EditConflict) as caught:
            await here.save(
                FileChange(path="a.txt", data=b"three\n", blob=blob("one\n")), FileChange(path="gone.txt", data=b"new\n", blob=blob("old\n")),
                FileChange(path="pic", data=b"\0\3", blob=object_id("blob", b"\0\1")), FileChange(path="new.txt", data=b"x", blob=""), base=base,
            )
        assert remote.head() == head, "nothing of it was written"
        assert caught.value.facts["head"] == head
        conflicts: Any = caught.value.facts["conflicts"]
        assert conflicts == [
            {"path": "a.txt", "base": "one\n", "theirs": "two\n", "ours": "three\n", "blob": blob("two\n")},
            {"path": "gone.txt", "base": "old\n", "theirs": None, "ours": "new\n", "blob": ""},
            {"path": "pic", "base": None, "theirs": None, "ours": None, "blob": object_id("blob", b"\0\2"), "binary": True},
        ]
        with pytest.raises(EditConflict):
            await here.save(FileChange(path="a.txt", data=None, blob=blob("one\n")), base=base)
        with pytest.raises(EditConflict):
            await here.save(FileChange(path="a.txt", data=b"new", blob=""), base=base)


async def test_the_same_change_made_twice_is_one_commit(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        change = FileChange(path="a.txt", data=b"two\n", blob=blob("one\n"))
        first = await here.save(change, base=base)
        again = await here.save(change, base=base)
        assert again.commit == first.commit == remote.head()


async def test_a_new_branch_for_review_leaves_the_deployed_one_alone(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        change = FileChange(path="a.txt", data=b"two\n", blob=blob("one\n"))
        made = await here.save(change, base=base, branch="ada/try", new_branch=True)
        assert (made.branch, remote.head("ada/try"), remote.head()) == ("ada/try", made.commit, base)
        assert list(await here.publisher.branches("main")) == ["main", "ada/try"]
        assert (await here.publisher.read("main", "a.txt", "ada/try"))["data"] == b"two\n"
        clock.advance(1)  # at the same moment it would be the same commit, and no trouble
        with pytest.raises(ConflictError, match="is there already"):
            await here.save(change, base=base, branch="ada/try", new_branch=True)
        more = await here.save(FileChange(path="a.txt", data=b"three\n", blob=blob("two\n")), base=made.commit, branch="ada/try")
        assert remote.head("ada/try") == more.commit
        for name in ("-x", "a..b", "refs/heads/x", "HEAD", "a b", "x.lock", "\x07"):
            with pytest.raises(PodiumError):
                await here.save(change, base=base, branch=name, new_branch=True)


async def test_a_hook_that_refuses_is_heard_in_its_own_words_and_leaves_nothing(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        remote.hook("pre-receive", "echo 'a.txt:1: no such thing' >&2; echo 'ask the owner' >&2; exit 1")
        with pytest.raises(PushRefused, match="no such thing") as caught:
            await here.save(FileChange(path="a.txt", data=b"two\n", blob=blob("one\n")), base=base)
        assert caught.value.facts["words"] == "a.txt:1: no such thing\nask the owner"
        assert remote.head() == base
        assert here.watcher.origin("main").repository.refs(EDITS) == {}


async def test_a_protected_branch_refuses_and_another_takes_it(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    remote.hook("update", 'test "$1" != refs/heads/main || { echo "GH006: Protected branch update failed" >&2; exit 1; }')
    async with house(tmp_path, clock, source(remote)) as here:
        change = FileChange(path="a.txt", data=b"two\n", blob=blob("one\n"))
        with pytest.raises(PushRefused, match="Protected branch"):
            await here.save(change, base=base)
        assert (await here.save(change, base=base, branch="review", new_branch=True)).commit == remote.head("review")


async def test_many_people_saving_at_once_lose_nothing(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({f"{number}.txt": "old\n" for number in range(6)} | {"shared.txt": "old\n"})
    async with house(tmp_path, clock, source(remote)) as here, house(tmp_path / "other", clock, source(remote)) as elsewhere:
        async def save(number: int) -> Any:
            publisher = (here.publisher, elsewhere.publisher)[number % 2]
            change = FileChange(path=f"{number}.txt", data=b"new\n", blob=blob("old\n"))
            return await publisher.publish("main", [change], base=base, message="m", author=ADA)

        async def fight(number: int) -> bool:
            publisher = (here.publisher, elsewhere.publisher)[number % 2]
            change = FileChange(path="shared.txt", data=f"{number}\n".encode(), blob=blob("old\n"))
            try:
                await publisher.publish("main", [change], base=base, message="m", author=ADA)
            except EditConflict:
                return False
            return True

        made = await asyncio.gather(*(save(number) for number in range(6)))
        assert {remote.text(f"{number}.txt") for number in range(6)} == {"new\n"}
        assert len({each.commit for each in made}) == 6
        assert sum(await asyncio.gather(*(fight(number) for number in range(4)))) == 1
    remote.repository.fsck()


async def test_a_branch_that_was_forced_elsewhere_is_not_overwritten(remote: Remote, tmp_path: Path, clock: Any) -> None:
    first = remote.push({"a.txt": "one\n"})
    second = remote.push({"secret.txt": "must go"})
    async with house(tmp_path, clock, source(remote)) as here:
        remote.repository.update_ref("refs/heads/main", first, second)
        await here.save(FileChange(path="a.txt", data=b"two\n", blob=blob("one\n")), base=second)
        assert remote.text("secret.txt") is None, "what was taken away stays away"


async def test_what_a_crash_left_before_the_push_is_forgotten(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        here.watcher.origin("main").repository.update_ref(EDITS + "left", base, "")
    async with house(tmp_path, clock, source(remote)) as here:
        assert here.watcher.origin("main").repository.refs(EDITS) == {}
        assert remote.head() == base


async def test_the_answer_of_a_push_that_was_lost_is_looked_up(remote: Remote, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        real = Repository.push

        def lost(self: Repository, *arguments: Any, **more: Any) -> None:
            real(self, *arguments, **more)
            raise GitError("cannot reach it: early EOF", reason="unreachable")

        monkeypatch.setattr(Repository, "push", lost)
        made = await here.save(FileChange(path="a.txt", data=b"two\n", blob=blob("one\n")), base=base)
        assert made.commit == remote.head()


HOSTILE: Sequence[str] = (
    "/etc/passwd", "../x", "a/../../x", "a//b", ".", "", "a/", ".git/config", "a/.GIT/hooks/x", ".git. /x", "git~1/x", "a\nb", "a\0b", "x\\y",
    "\u202egnp.exe", " a", "a ", "b" * 256, "c/" * 600 + "d",
)


@pytest.mark.parametrize("path", HOSTILE)
async def test_paths_that_lead_elsewhere_are_refused(remote: Remote, tmp_path: Path, clock: Any, path: str) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        with pytest.raises(PathRefused):
            await here.save(FileChange(path=path, data=b"x"), base=base)
        with pytest.raises(NotFound):
            await here.publisher.read("main", path)
        assert remote.head() == base


async def test_nothing_is_written_through_a_link_or_in_the_place_of_a_folder(tmp_path: Path, clock: Any, remote: Remote) -> None:
    work = tmp_path / "work"
    for command in (["init", "-q", "-b", "main", str(work)], ["-C", str(work), "config", "user.email", "a@b"], ["-C", str(work), "config", "user.name", "a"]):
        subprocess.run(["git", *command], check=True)
    (work / "real").mkdir()
    (work / "real" / "a.txt").write_text("one\n")
    (work / "link").symlink_to("/etc")
    (work / "file-link").symlink_to("real/a.txt")
    subprocess.run(["git", "-C", str(work), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(work), "commit", "-qm", "x"], check=True)
    subprocess.run(["git", "-C", str(work), "push", "-q", str(remote.path), "main"], check=True)
    base = remote.head()
    assert base
    async with house(tmp_path, clock, source(remote)) as here:
        for path in ("link/passwd", "link", "file-link", "real", "real/a.txt/b"):
            with pytest.raises(PathRefused):
                await here.save(FileChange(path=path, data=b"x"), base=base)
        with pytest.raises(NotFound, match=r"is a link to 'real/a\.txt'"):
            await here.publisher.read("main", "file-link")
        assert {each["path"]: each["kind"] for each in await here.publisher.tree("main")} == {
            "real/a.txt": "file", "link": "link", "file-link": "link",
        }
        await here.save(FileChange(path="link", data=None), base=base)
        assert await here.publisher.tree("main") != []


async def test_too_much_for_one_commit_is_refused(remote: Remote, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    base = remote.push({"a.txt": "one\n"})
    monkeypatch.setattr("podium.sources.editing.state.EDIT_FILE_BYTES_MAX", 10)
    monkeypatch.setattr("podium.sources.editing.state.EDIT_BYTES_MAX", 15)
    monkeypatch.setattr("podium.sources.editing.state.EDIT_FILES_MAX", 2)
    async with house(tmp_path, clock, source(remote)) as here:
        for changes in (
            [FileChange(path="a", data=b"x" * 11)], [FileChange(path="a", data=b"x" * 9), FileChange(path="b", data=b"x" * 9)],
            [FileChange(path=name, data=b"x") for name in "abc"],
        ):
            with pytest.raises(LimitError):
                await here.save(*changes, base=base)
        with pytest.raises(ConflictError):
            await here.save(base=base)
        with pytest.raises(ConflictError, match="twice"):
            await here.save(FileChange(path="a", data=b"1"), FileChange(path="a", data=b"2"), base=base)


async def test_the_first_file_of_an_empty_repository(remote: Remote, tmp_path: Path, clock: Any) -> None:
    async with house(tmp_path, clock, source(remote)) as here:
        assert await here.publisher.tree("main") == []
        place = await here.publisher.place("company.team", "hello")
        assert place == {"source": "main", "path": "company/team/hello.yaml", "commit": ""}
        made = await here.save(FileChange(path=place["path"], data=flow_text("hello", namespace="company.team").encode(), blob=""), base="")
        assert (await here.publisher.deployed("main", made.commit, timeout_s=30))["deployed"]
        assert here.orchestrator.known["company.team", "hello"].revision == 1


async def test_mistakes_are_found_as_the_deployment_would(remote: Remote, tmp_path: Path, clock: Any) -> None:
    remote.push({"flows/a.yaml": flow_text("a"), "flows/podium.yaml": "pluginDefaults: []\n"})
    async with house(tmp_path, clock, source(remote, path="flows")) as here:
        async def problems(path: str, text: str | None) -> list[tuple[str, int, str]]:
            change = FileChange(path=path, data=text.encode() if text is not None else None)
            return [(each["file"], each["line"], each["code"]) for each in await here.publisher.check("main", [change])]

        assert await problems("flows/b.yaml", flow_text("b")) == []
        assert await problems("flows/b.yaml", flow_text("a")) == [("flows/b.yaml", 1, "duplicate-flow")]
        assert await problems("flows/a.yaml", flow_text("a", message="2")) == []
        assert [code for _, _, code in await problems("flows/b.yaml", "id: b\nnamespace: team\ntasks:\n  - id: x\n    type: nonsense\n")] == ["unknown-type"]
        assert await problems("flows/podium.yaml", "what: is this\n") == [("flows/podium.yaml", 1, "project-invalid")]
        assert await problems("elsewhere/b.yaml", "id: b\n") == []
        assert await problems("flows/a.yaml", None) == []
        defaults = f"pluginDefaults:\n  - type: {Log.TYPE}\n    values: {{message: hi}}\n"
        bare = f"id: c\nnamespace: team\ntasks:\n  - id: x\n    type: {Log.TYPE}\n"
        assert await problems("flows/c.yaml", bare) != []
        changes = [FileChange(path="flows/podium.yaml", data=defaults.encode()), FileChange(path="flows/c.yaml", data=bare.encode())]
        assert await here.publisher.check("main", changes) == []


async def test_a_new_flow_goes_where_those_of_its_namespace_are(remote: Remote, tmp_path: Path, clock: Any) -> None:
    remote.push({
        "etl/one.yml": flow_text("one", namespace="company.data"), "etl/two.yml": flow_text("two", namespace="company.data"),
        "team.web/x.yaml": flow_text("x", namespace="team.web"), "team.app/x.yaml": flow_text("x", namespace="team.app"), "etl/taken.yml": "a: 1\n",
    })
    async with house(tmp_path, clock, source(remote)) as here:
        async def path(namespace: str, flow_id: str) -> str:
            return str((await here.publisher.place(namespace, flow_id))["path"])

        assert await path("company.data", "three") == "etl/three.yml"
        assert await path("company.data", "taken") == "etl/company.data.taken.yml"
        assert await path("team.new", "y") == "team.new/y.yml"
        there = await here.publisher.place("company.data", "one")
        assert there["path"] == "etl/one.yml"
        assert there["blob"]


async def test_a_remote_that_is_away_can_be_read_from_what_is_here_and_not_written(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    async with house(tmp_path, clock, source(remote)) as here:
        remote.path.rename(tmp_path / "away.git")
        assert (await here.publisher.read("main", "a.txt"))["data"] == b"one\n"
        with pytest.raises(GitError):
            await here.save(FileChange(path="a.txt", data=b"two\n", blob=blob("one\n")), base=base)


# ---- a directory


async def test_a_directory_is_saved_where_it_lies_and_its_repository_is_not_touched(tmp_path: Path, clock: Any) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a.yaml").write_text(flow_text("a"))
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    before = sorted((work / ".git").rglob("*"))
    async with house(tmp_path, clock, Source(name="main", directory=work, poll_interval_s=0)) as here:
        assert here.publisher.editable("main") is None
        seen = await here.publisher.read("main", "a.yaml")
        assert [*await here.publisher.branches("main")] == ["main"]
        made = await here.save(
            FileChange(path="a.yaml", data=flow_text("a", message="2").encode(), blob=seen["blob"]),
            FileChange(path="run.sh", data=b"#!/bin/sh\necho\n", blob=blob("#!/bin/sh\n")), FileChange(path="new/b.yaml", data=flow_text("b").encode(), blob=""),
            base=seen["commit"],
        )
        assert (await here.publisher.deployed("main", made.commit, timeout_s=30))["deployed"]
        assert here.orchestrator.known["team", "a"].revision == 2
        assert here.orchestrator.known["team", "b"].path == "new/b.yaml"
        assert (work / "run.sh").stat().st_mode & 0o777 == 0o755
        # ---- somebody saved it in their own editor meanwhile
        (work / "a.yaml").write_text(flow_text("a", message="theirs"))
        with pytest.raises(EditConflict) as caught:
            await here.save(
                FileChange(path="zzz.txt", data=b"x", blob=""), FileChange(path="a.yaml", data=b"mine", blob=blob(flow_text("a", message="2"))),
                base=made.commit,
            )
        conflicts: Any = caught.value.facts["conflicts"]
        assert (conflicts[0]["theirs"], conflicts[0]["base"]) == (flow_text("a", message="theirs"), flow_text("a", message="2"))
        assert not (work / "zzz.txt").exists()
        await here.save(FileChange(path="new/b.yaml", data=None, blob=blob(flow_text("b"))), base=made.commit)
        assert not (work / "new/b.yaml").exists()
        with pytest.raises(ConflictError, match="no branches"):
            await here.save(FileChange(path="c.txt", data=b"x"), base=made.commit, branch="other", new_branch=True)
    assert sorted((work / ".git").rglob("*")) == before


async def test_nothing_is_written_out_of_a_directory(tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    (work / "a.txt").write_text("one")
    (work / "b.txt").write_text("one")
    (work / "link").symlink_to(outside)
    (outside / "secret").write_text("s")
    (work / "file-link").symlink_to(outside / "secret")
    async with house(tmp_path, clock, Source(name="main", directory=work, poll_interval_s=0)) as here:
        for path in ("link/x", "link", "file-link", "../outside/x", ".git/config", "a.txt/b"):
            with pytest.raises(PathRefused):
                await here.save(FileChange(path=path, data=b"x"), base="")
        assert (outside / "secret").read_text() == "s"
        assert sorted(each.name for each in outside.iterdir()) == ["secret"]
        real = Path.replace

        def full(self: Path, target: Path) -> Path:
            if target.name == "b.txt":
                raise OSError(28, "No space left on device")
            return real(self, target)

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(GitError, match="No space left"):
            await here.save(FileChange(path="a.txt", data=b"two"), FileChange(path="b.txt", data=b"two"), base="")
        assert ((work / "a.txt").read_text(), (work / "b.txt").read_text()) == ("one", "one")
        assert not [each for each in work.iterdir() if each.name.endswith(".podium")]
    async with house(tmp_path, clock, Source(name="main", directory=tmp_path / "nowhere", poll_interval_s=0)) as here:
        assert "there is no directory" in str(here.publisher.editable("main"))


# ---- ways in, and who vouches


def _keygen(path: Path, comment: str = "k") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True)


@pytest.fixture
def ssh(tmp_path: Path, free_port: int) -> Iterator[tuple[str, Path]]:
    """A server of ssh for this test: (host part of a URL, the key that it lets in)."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None or shutil.which("ssh") is None:
        absent("sshd is not installed")
    folder = tmp_path / "ssh"
    folder.mkdir()
    _keygen(folder / "host")
    _keygen(folder / "client")
    (folder / "config").write_text(
        f"Port {free_port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/client.pub\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPidFile none\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True, mode=0o755)  # where sshd of root locks itself in
    child = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=(folder / "log").open("wb"))
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", free_port), 1):
                break
            if child.poll() is not None:
                absent(f"sshd does not start: {(folder / 'log').read_text('utf-8', 'replace')[-300:]}")
            time.sleep(0.1)
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{free_port}", folder / "client"
    finally:
        child.terminate()
        child.wait(30)


async def test_over_ssh_with_the_key_of_the_source(remote: Remote, tmp_path: Path, clock: Any, ssh: tuple[str, Path]) -> None:
    host, key = ssh
    base = remote.push({"a.txt": "one\n"})
    _keygen(tmp_path / "stranger")
    let_in = source(remote, url=f"{host}{remote.path}", credentials=Credentials(ssh_key=key))
    async with house(tmp_path, clock, let_in) as here:
        made = await here.save(FileChange(path="a.txt", data=b"two\n", blob=blob("one\n")), base=base)
        assert (remote.text("a.txt"), remote.head()) == ("two\n", made.commit)
        remote.hook("pre-receive", "echo 'closed on Fridays' >&2; exit 1")
        with pytest.raises(PushRefused, match="closed on Fridays"):
            await here.save(FileChange(path="a.txt", data=b"three\n", blob=blob("two\n")), base=made.commit)
    stranger = source(remote, name="other", url=f"{host}{remote.path}", credentials=Credentials(ssh_key=tmp_path / "stranger"))
    async with house(tmp_path / "s", clock, stranger) as here:
        with pytest.raises(GitError) as caught:
            await here.publisher.publish("other", [FileChange(path="a.txt", data=b"x")], base="", message="m", author=ADA)
        assert caught.value.facts["reason"] == "auth"


async def test_commits_are_signed_with_the_key_that_signs_records(remote: Remote, tmp_path: Path, clock: Any) -> None:
    base = remote.push({"a.txt": "one\n"})
    _keygen(tmp_path / "sign", "podium")
    signers = tmp_path / "signers"
    signers.write_text(f"podium@localhost {(tmp_path / 'sign.pub').read_text()}")
    async with house(tmp_path, clock, source(remote), signing_key=tmp_path / "sign") as here:
        made = await here.save(FileChange(path="a.txt", data=b"two\n", blob=blob("one\n")), base=base)
    assert remote.repository.check_signature(made.commit, signers)
    assert not remote.repository.check_signature(base, signers)


async def test_a_repository_of_sha256_is_refused_in_words(tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "sha256.git"
    subprocess.run(["git", "init", "-q", "--bare", "--object-format=sha256", str(path)], check=True)
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(work)], check=True)
    (work / "a.txt").write_text("one")
    for command in (["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"], ["push", "-q", str(path), "HEAD:main"]):
        subprocess.run(["git", "-C", str(work), *command], check=True)
    async with house(tmp_path, clock, Source(name="main", url=str(path), poll_interval_s=0)) as here:
        (status,) = here.watcher.status()
        assert "SHA-256" in status["error"]
        with pytest.raises(GitError, match="SHA-256"):
            await here.save(FileChange(path="a.txt", data=b"two"), base="")
