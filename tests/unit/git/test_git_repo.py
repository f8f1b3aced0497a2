"""What a Repository reads, commits and refuses. Real git."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podium.base.errors import GitError, GitMoved, GitRefused
from podium.git.commits import Blob
from podium.git.repo import Identity, Repository

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MAIN = "refs/heads/main"


@pytest.fixture
def repository(tmp_path: Path):
    with Repository.init_bare(tmp_path / "r.git") as made:
        yield made


def add(repository: Repository, parent: str | None, changes: dict[str, bytes | None], message: str = "m", ref: str = MAIN) -> str:
    return repository.commit(ref=ref, parent=parent, changes=changes, message=message, at=AT)


def worktree(path: Path, files: dict[str, str]) -> Path:
    path.mkdir()
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    subprocess.run(["git", "-C", str(path), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(path), "commit", "-qm", "first"], check=True)
    return path


def test_a_commit_changes_only_its_paths(repository: Repository) -> None:
    first = add(repository, None, {"flows/a.yaml": b"1", "flows/deep/er/b.yaml": b"2", "c": b"3"})
    second = add(repository, first, {"flows/a.yaml": b"9", "flows/deep/er/b.yaml": None, "new": b""})
    assert {path: repository.read(blob) for path, blob in repository.files(second).items()} == {"flows/a.yaml": b"9", "c": b"3", "new": b""}
    assert [(status, path) for status, path, _ in repository.changed(first, second)] == [
        ("M", "flows/a.yaml"), ("D", "flows/deep/er/b.yaml"), ("A", "new"),
    ]
    assert {path for _, path, _ in repository.changed(None, first, "flows")} == {"flows/a.yaml", "flows/deep/er/b.yaml"}
    assert repository.read_path(second, "flows/a.yaml") == b"9"
    assert repository.read_path(second, "flows") is None
    assert repository.read_path(second, "flows/deep/er/b.yaml") is None
    assert repository.folder(second, "flows").keys() == {"a.yaml"}
    assert repository.folder(second, ".")["flows"][0] == "folder"
    repository.fsck()


def test_a_commit_names_its_author_and_trailers(repository: Repository) -> None:
    person = Identity(name="Ada Lovelace", email="ada@example.org")
    repository.commit(ref=MAIN, parent=None, changes={"a": b"1"}, message="Subject\n\nBody: no\n\nPodium-X: 1", author=person, at=AT)
    (info,) = repository.log("main", limit=5)
    assert (info.author, info.email, info.subject, info.at) == ("Ada Lovelace", "ada@example.org", "Subject", AT)
    assert info.trailers == {"Podium-X": "1"}
    assert repository.log("nowhere", limit=5) == []


def test_a_commit_on_an_old_parent_is_refused_and_changes_nothing(repository: Repository) -> None:
    first = add(repository, None, {"a": b"1"})
    second = add(repository, first, {"a": b"2"})
    for stale in (first, None):
        with pytest.raises(GitMoved):
            add(repository, stale, {"a": b"3"})
    assert repository.resolve("main") == second
    add(repository, second, {"a": b"4"})


def test_two_threads_committing_lose_nothing(repository: Repository) -> None:
    """Compare-and-swap: whoever loses reads the tip again."""
    add(repository, None, {"start": b""})

    def work(name: str) -> None:
        for number in range(15):
            while True:
                try:
                    add(repository, repository.resolve("main"), {f"{name}/{number}": b"x"})
                    break
                except GitMoved:
                    continue

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(repository.files("main")) == 46
    repository.fsck()


def test_executable_files_stay_executable(tmp_path: Path) -> None:
    path = worktree(tmp_path / "w", {"run.sh": "echo"})
    (path / "run.sh").chmod(0o755)
    subprocess.run(["git", "-C", str(path), "commit", "-qam", "x"], check=True)
    with Repository.open(path) as repository:
        commit = add(repository, repository.resolve("main"), {"run.sh": b"echo 2"})
        assert repository.tree(commit)[0].executable


def test_files_follow_links_inside_the_commit_only(tmp_path: Path) -> None:
    path = worktree(tmp_path / "w", {"shared/a.yaml": "a", "flows/b.yaml": "b"})
    for name, target in {"in": "../shared/a.yaml", "chain": "in", "loop": "loop", "out": "/etc/passwd", "up": "../../x", "folder": "../shared"}.items():
        (path / "flows" / name).symlink_to(target)
    subprocess.run(["git", "-C", str(path), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(path), "commit", "-qm", "links"], check=True)
    with Repository.open(path / "flows") as repository:
        found = {name: repository.read(blob) for name, blob in repository.files("main", "flows").items()}
        assert found == {"flows/b.yaml": b"b", "flows/chain": b"a", "flows/in": b"a"}


def test_submodules_and_lfs_pointers_are_refused_by_name(tmp_path: Path) -> None:
    inner = worktree(tmp_path / "inner", {"x": "1"})
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    path = worktree(tmp_path / "w", {"flows/a.yaml": "a", "data/big.bin": pointer})
    head = subprocess.run(["git", "-C", str(inner), "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "-C", str(path), "update-index", "--add", "--cacheinfo", f"160000,{head},lib"], check=True)
    subprocess.run(["git", "-C", str(path), "commit", "-qm", "sub"], check=True)
    with Repository.open(path) as repository:
        assert [(item.path, item.kind) for item in repository.unsupported("main")] == [("data/big.bin", "lfs"), ("lib", "submodule")]
        assert "lib" not in repository.files("main")
        repository.refuse_unsupported("main", "flows")
        with pytest.raises(GitError) as caught:
            repository.refuse_unsupported("main")
        assert caught.value.facts["path"] == "data/big.bin"


def test_a_hooks_environment_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a hook GIT_DIR and others point at the hook's repository; ours must be read all the same."""
    with Repository.init_bare(tmp_path / "mine.git") as repository, Repository.init_bare(tmp_path / "theirs.git") as theirs:
        mine = add(repository, None, {"mine": b""}, "Mine")
        add(theirs, None, {"theirs": b""}, "Theirs")
        monkeypatch.setenv("GIT_DIR", str(theirs.git_dir))
        monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(theirs.git_dir / "objects"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
        repository.close()
        assert repository.files("main").keys() == {"mine"}
        assert [info.subject for info in repository.log("main", limit=2)] == ["Mine"]
        assert repository.resolve("HEAD") == mine


def test_a_quarantine_is_read_when_asked_for(tmp_path: Path) -> None:
    """A pre-receive hook must see objects that are not accepted yet."""
    with Repository.init_bare(tmp_path / "r.git") as repository, Repository.init_bare(tmp_path / "pushed.git") as pushed:
        commit = add(pushed, None, {"a": b"1"})
        with pytest.raises(GitError):
            repository.read(commit)
        quarantine = {"GIT_OBJECT_DIRECTORY": str(pushed.git_dir / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository.git_dir / "objects")}
        with Repository.open(tmp_path / "r.git", quarantine=quarantine) as inside:
            assert inside.files(commit).keys() == {"a"}


def test_revisions_resolve_to_commits_and_never_to_options(repository: Repository) -> None:
    commit = add(repository, None, {"a": b"1"})
    subprocess.run(["git", "--git-dir", str(repository.git_dir), "tag", "-am", "x", "v1", commit], check=True)
    assert repository.resolve("v1") == repository.resolve(commit[:10]) == repository.resolve("refs/heads/main") == commit
    for wrong in ("nothing", "", "--all", "-h", "main:a", "main..main", "main\nmain"):
        assert repository.resolve(wrong) is None


def test_pins_keep_a_commit_through_a_rewrite(repository: Repository) -> None:
    first = add(repository, None, {"a": b"1"})
    repository.pin(first)
    repository.pin(first)
    other = add(repository, None, {"b": b"1"}, ref="refs/heads/other")
    repository.update_ref(MAIN, other, first)
    subprocess.run(["git", "--git-dir", str(repository.git_dir), "-c", "gc.pruneExpire=now", "gc", "-q"], check=True)
    assert repository.pins() == {first}
    assert repository.read_path(first, "a") == b"1"
    repository.unpin(first)
    repository.unpin(first)
    assert repository.pins() == set()


def test_replay_puts_our_commits_on_a_new_tip(repository: Repository) -> None:
    base = add(repository, None, {"base": b""}, "Base")
    theirs = add(repository, base, {"theirs": b"t", "both": b"t"}, "Theirs", MAIN)
    repository.update_ref("refs/heads/ours", base)
    one = repository.commit(ref="refs/heads/ours", parent=base, changes={"dir/one": b"1", "both": b"o"}, message="One", at=AT)
    two = repository.commit(ref="refs/heads/ours", parent=one, changes={"dir/two": b"2", "base": None}, message="Two", at=AT)
    same = repository.commit(ref="refs/heads/ours", parent=two, changes={"theirs": b"t"}, message="Already there", at=AT)
    tip = repository.replay(ref="refs/heads/ours", old=same, onto=theirs)
    assert [info.subject for info in repository.log("refs/heads/ours", limit=9)] == ["Two", "One", "Theirs", "Base"]
    assert {path: repository.read(blob) for path, blob in repository.files(tip).items()} == {
        "theirs": b"t", "both": b"o", "dir/one": b"1", "dir/two": b"2",
    }
    repository.fsck()
    with pytest.raises(GitMoved):
        repository.replay(ref="refs/heads/ours", old=same, onto=theirs)


def test_replay_onto_a_branch_without_common_history_leaves_out_what_is_done(repository: Repository) -> None:
    """A remote whose history was rewritten must not get back what was removed from it."""
    removed = add(repository, None, {"removed": b""}, "Removed")
    ours = add(repository, removed, {"ours": b""}, "Ours")
    rewritten = add(repository, None, {"kept": b""}, "Rewritten", "refs/podium/remote")
    tip = repository.replay(ref=MAIN, old=ours, onto=rewritten, done=[removed])
    assert repository.files(tip).keys() == {"kept", "ours"}


def test_refs_move_together_or_not_at_all(repository: Repository) -> None:
    commit = add(repository, None, {"a": b"1"})
    with pytest.raises(GitMoved):
        repository.update_refs([("refs/podium/x", commit, ""), (MAIN, commit, "")])
    assert repository.refs("refs/podium/") == {}
    repository.update_refs([("refs/podium/x", commit, ""), (MAIN, commit, commit)])
    assert repository.refs("refs/podium/") == {"refs/podium/x": commit}


def test_a_held_ref_lock_is_an_error_that_can_be_retried(repository: Repository) -> None:
    commit = add(repository, None, {"a": b"1"})
    lock = repository.git_dir / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(GitError) as caught:
        add(repository, commit, {"a": b"2"})
    assert caught.value.facts["reason"] == "ref-locked"
    assert caught.value.retryable
    lock.unlink()
    add(repository, commit, {"a": b"2"})


def test_what_a_killed_process_left_is_cleared_only_when_it_is_dead(tmp_path: Path) -> None:
    """Git's locks do not name their owner; a lock of a living one must stay."""
    path = tmp_path / "r.git"
    first = Repository.init_bare(path)
    add(first, None, {"a": b"1"})
    left = [path / "refs" / "heads" / "main.lock", path / "packed-refs.lock", path / "objects" / "pack" / "tmp_pack_x", path / "config.lock"]
    for name in left:
        name.touch()
    reader = os.open(path / "podium.lock", os.O_RDONLY)
    import fcntl

    fcntl.flock(reader, fcntl.LOCK_SH)
    first.close()
    thread = threading.Timer(0.3, os.close, [reader])
    thread.start()
    with Repository.init_bare(path) as second:
        assert not any(name.exists() for name in left)
        (path / "refs" / "heads" / "main.lock").touch()
        from podium.git import mirror

        mirror._ORPHANS_END_S, before = 0.1, mirror._ORPHANS_END_S
        try:
            Repository.init_bare(path).close()
        finally:
            mirror._ORPHANS_END_S = before
        assert (path / "refs" / "heads" / "main.lock").exists()
        (path / "refs" / "heads" / "main.lock").unlink()
        assert second.files("main").keys() == {"a"}
    thread.join()


def test_folders_are_in_order_whatever_the_order_of_changes(repository: Repository) -> None:
    """A folder is only sorted when something was put before its last entry; git is strict about the order."""
    names = [f"{number:03}{kind}" for number in range(40) for kind in (".json", "/a", "x", "-", "0/b")]
    random.Random(5).shuffle(names)
    commit, there = None, {}
    for at in range(0, len(names), 7):
        changes: dict[str, bytes | None] = {f"f/{name}": name.encode() for name in names[at : at + 7]}
        there |= changes
        gone = sorted(there)[at % len(there)]
        if gone not in changes:
            changes[gone] = None
            del there[gone]
        commit = add(repository, commit, changes)
    assert commit
    assert {path: repository.read_path(commit, path) for path in repository.files(commit)} == there
    repository.fsck()


def test_reading_survives_a_repack_and_a_dead_child(repository: Repository) -> None:
    commit = None
    for number in range(12):
        commit = add(repository, commit, {f"f{number}": b"%d" % number})
    assert commit
    assert repository.read_path(commit, "f3") == b"3"
    assert repository.tidy(packs_max=5)
    assert not repository.tidy(packs_max=5)
    assert repository.packs() < 5
    assert repository.read_path(commit, "f4") == b"4"
    child = repository._objects._child
    assert child
    child.kill()
    child.wait()
    assert repository.read_path(commit, "f5") == b"5"
    repository.fsck()


def test_reading_many_keeps_the_order_and_names_what_is_missing(repository: Repository) -> None:
    commit = add(repository, None, {f"{number:04}": b"%d" % number * 50 for number in range(1_000)})
    blobs = list(repository.files(commit).values())
    assert [body for _, body in repository.read_many(blobs)] == [b"%d" % number * 50 for number in range(1_000)]
    with pytest.raises(GitError) as caught:
        list(repository.read_many([*blobs[:300], "1" * 40, *blobs]))
    assert caught.value.facts["object"] == "1" * 40
    with pytest.raises(GitError):
        repository.read("1" * 40)


def test_blobs_can_be_named_by_id(repository: Repository) -> None:
    first = add(repository, None, {"a": b"1"})
    second = repository.commit(ref=MAIN, parent=first, changes={"b": Blob(repository.files(first)["a"])}, message="m", at=AT)
    assert repository.read_path(second, "b") == b"1"


def test_opening_what_is_no_repository_says_so(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(GitError) as caught:
            Repository.open(path)
        assert caught.value.facts["reason"] == "no-repository"


def test_damage_is_found(repository: Repository) -> None:
    add(repository, None, {"a": b"1" * 100})
    (pack,) = (repository.git_dir / "objects" / "pack").glob("*.pack")
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[20] ^= 0xFF
    pack.write_bytes(data)
    repository.close()
    with pytest.raises(GitError) as caught:
        repository.fsck()
    assert caught.value.facts["reason"] == "corrupt"


def test_signed_commits_are_verified_by_git(repository: Repository, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    commit = repository.commit(ref=MAIN, parent=None, changes={"a": b"1"}, message="Signed\n\nBody", at=AT, signing_key=key)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"podium@localhost {key.with_suffix('.pub').read_text()}")
    assert repository.check_signature(commit, allowed)
    onto = add(repository, None, {"b": b"1"}, ref="refs/heads/other")
    moved = repository.replay(ref=MAIN, old=commit, onto=onto, signing_key=key)
    assert repository.check_signature(moved, allowed)
    assert not repository.check_signature(onto, allowed)
    (tmp_path / "nokey").write_text("nothing")
    with pytest.raises(GitError) as caught:
        repository.commit(ref=MAIN, parent=moved, changes={"a": b"2"}, message="x", at=AT, signing_key=tmp_path / "nokey")
    assert caught.value.facts["reason"] == "signing"


def test_a_fetch_of_a_vanished_branch_says_so(tmp_path: Path) -> None:
    with Repository.init_bare(tmp_path / "remote.git") as remote, Repository.init_bare(tmp_path / "r.git") as repository:
        add(remote, None, {"a": b"1"})
        with pytest.raises(GitRefused) as caught:
            repository.fetch(str(remote.git_dir), refspecs=["+refs/heads/gone:refs/heads/gone"])
        assert caught.value.facts["reason"] == "branch-gone"
        assert "'gone'" in caught.value.what


def test_a_repository_is_opened_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Repository.init_bare(tmp_path / "flows.git").close()
    monkeypatch.chdir(tmp_path)
    with Repository.open(Path("flows.git")) as repository:
        assert repository.git_dir == tmp_path / "flows.git"
