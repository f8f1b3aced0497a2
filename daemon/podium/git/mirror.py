"""Repositories of our own: made, cloned, shared, and cleared of what a killed process left. Called by repo.py.

A new one is made beside its place, checked, then moved there: a `kill -9` leaves a whole one or none.

Git's lock files do not say who made them. So every process that works on a repository of ours, and every git child it starts,
holds a shared flock on `podium.lock`; only whoever gets that lock alone knows that all owners are dead and may clear what they left.

Two repacks at once can drop objects that each believes the other has. So ours take `gc.pid`, the lock of `git gc` (its format: pid and
host name; git-gc's documentation, `--force`), and leave a repository alone while somebody else has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from podium.base.errors import GitError
from podium.base.system.clock import SystemClock, monotonic_s
from podium.base.system.ids import new_token
from podium.base.system.log import get_logger
from podium.git import process, remote
from podium.git.credentials import Credentials
from podium.git.objects import KEPT_BY_PODIUM, TEMPORARY_PREFIX, sync_folder

log = get_logger(__name__)
_LEFTOVER_FILES = (
    "tmp_pack_*",
    "tmp_idx_*",
    "tmp_rev_*",
    "tmp_mtimes_*",
    "tmp_bitmap_*",
    ".tmp-*",
    f"{TEMPORARY_PREFIX}*",
    "multi-pack-index.lock",
)

_ORPHANS_END_S = 5.0
_GC_LOCK_HOLDS_S = 12 * 3_600.0
"""How long git believes a `gc.pid` whose process lives."""
_GC_ASK_AGAIN_S = 0.5
_UNREACHABLE_KEPT = "2.hours.ago"
_SETTINGS = {
    "core.fsync": "committed,reference",
    "core.fsyncMethod": "batch",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "gc.reflogExpire": "never",
    "core.logAllRefUpdates": "false",
    "repack.writeBitmaps": "false",
    "core.multiPackIndex": "true",
}


def create(path: Path) -> None:
    """Make an empty bare repository with our settings at `path`, whole or not at all."""
    with _workshop(path) as new:
        if (path / "HEAD").is_file():
            return
        _initialise(new)
        new.rename(path)
        sync_folder(path.parent)


def settle(path: Path) -> None:
    """Give a repository of ours the settings that make its refs and packs durable and leave housekeeping to us."""
    lines = process.check(["config", "--list", "--local", "-z"], git_dir=path).decode(errors="replace").split("\0")
    have = dict(line.partition("\n")[::2] for line in lines if line)
    for key, value in _SETTINGS.items():
        if have.get(key.lower()) != value:
            process.check(["config", key, value], git_dir=path)


def ensure(path: Path, url: str, *, refspecs: Sequence[str], credentials: Credentials | None, timeout_s: float) -> None:
    """A usable repository at `path`: the one that is there if it is sound, else a fresh clone that takes its place at once.

    Raises GitError when neither works; what was there before then stays.
    """
    with _workshop(path) as new:
        if path.exists():
            if is_sound(path):
                return
            if any(path.iterdir()) and not (path / "objects").is_dir():
                raise GitError(
                    f"{path} is not a repository of ours", hint="move that folder away, or choose another home", reason="occupied"
                )
        _initialise(new)
        remote.fetch(new, url, refspecs=refspecs, credentials=credentials, timeout_s=timeout_s)
        process.check(["fsck", "--connectivity-only", "--no-dangling", "--no-progress"], git_dir=new, timeout_s=timeout_s)
        if path.exists():
            log.warning("git_mirror_replaced", path=str(path))
            _carry_pins(path, new)
            path.rename(_beside(path, "old"))
        new.rename(path)
        sync_folder(path.parent)


def put_aside(path: Path) -> None:
    """Replace a damaged repository of ours by an empty one. It is kept as `<name>.damaged` for whoever wants to look; one before it goes."""
    aside = path.with_name(path.name + ".damaged")
    log.error("git_repository_damaged", path=str(path), kept=str(aside))
    with _workshop(path) as new:
        _initialise(new)
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        new.rename(path)
        sync_folder(path.parent)


def is_sound(path: Path) -> bool:
    """Whether git can use the repository and every ref points at something readable."""
    if not (path / "HEAD").is_file():
        return False
    done = process.run(["for-each-ref", "--format=%(objecttype) %(refname)"], git_dir=path)
    return done.code == 0 and "broken ref" not in done.stderr


@contextlib.contextmanager
def _workshop(path: Path) -> Iterator[Path]:
    """A fresh name beside `path`, for one process at a time; what killed ones left is removed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
            _remove_beside(path)
            undo.callback(_remove_beside, path)
            yield _beside(path, "new")
    except OSError as exc:
        raise GitError(
            f"cannot make a repository at {path}: {exc.strerror}", hint="check free space and permissions there", reason="failed"
        ) from exc


def _remove_beside(path: Path) -> None:
    for kind in ("new", "old"):
        for stale in path.parent.glob(f".{path.name}.{kind}-*"):
            shutil.rmtree(stale, ignore_errors=True)


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}-{new_token(6)}")


def _initialise(path: Path) -> None:
    process.check(["-c", "init.defaultBranch=main", "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(path)])
    (path / "objects" / "pack").mkdir(parents=True, exist_ok=True)
    settle(path)


def _carry_pins(old: Path, new: Path) -> None:
    done = process.run(["for-each-ref", "--format=%(objectname)", "refs/podium/pins/"], git_dir=old)
    for commit in done.stdout.decode().split() if done.code == 0 else []:
        if process.run(["cat-file", "-e", f"{commit}^{{commit}}"], git_dir=new).code == 0:
            process.check(["update-ref", f"refs/podium/pins/{commit}", commit], git_dir=new)
        else:
            log.warning("git_pin_lost", path=str(new), commit=commit)


class Ownership:
    """A share in a repository, held until `close`. The descriptor is inherited by git children."""

    def __init__(self, git_dir: Path) -> None:
        self._handle: int | None = os.open(git_dir / "podium.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._alone(git_dir):
            _clear(git_dir)
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def _alone(self, git_dir: Path) -> bool:
        """Whether nobody else is there. Children of a killed process get a moment to end, if something is left to clear."""
        assert self._handle is not None
        give_up_at = monotonic_s() + _ORPHANS_END_S
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if monotonic_s() > give_up_at or next(_leftovers(git_dir), None) is None:
                    return False
                time.sleep(0.05)
            else:
                return True

    def descriptors(self) -> tuple[int, ...]:
        """What a child must inherit to be counted as an owner."""
        return (self._handle,) if self._handle is not None else ()

    def close(self) -> None:
        """Give the share back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def packs_of(git_dir: Path) -> Path:
    """The folder of the packs."""
    return git_dir / "objects" / "pack"


def fold(git_dir: Path, *, urgent: bool, timeout_s: float, keep_open: Sequence[int]) -> bool:
    """Fold packs together so that each is at least twice the next; whether it did: not beside a `git gc`. Raises GitError.

    On one core and politely: looking for deltas takes twice as long as writing the records did, and makes them a fifth as large. Urgent:
    without that search, at the priority of the daemon, twenty times as fast. `process.interrupt(packs_of(git_dir))` ends it.
    """
    clear_older(git_dir, timeout_s)
    options = ["-c", "pack.threads=1", *(["-c", "pack.window=0"] if urgent else [])]
    command = process.argv([*options, "repack", "-d", "--geometric=2", "--write-midx", "--quiet", "--no-write-bitmap-index"], git_dir)
    polite = [] if urgent else ["nice", "-n", "19"]
    with _alone_at_gc(git_dir) as hand_over:
        if hand_over is None:
            return False
        done = process.run_program(
            [*polite, *command], timeout_s=timeout_s, keep_open=keep_open, interruptible=packs_of(git_dir), started=hand_over
        )
    if done.code != 0:
        raise process.failed("repack", done, git_dir)
    return True


def clear_older(git_dir: Path, age_s: float) -> None:
    """Remove what killed children left in a repository that lives on: unfinished packs, and the lock of the list of packs.

    age_s: longer than any child of ours may work. Without this the lock would end all folding until the next start.
    """
    before = SystemClock().now().timestamp() - age_s
    for pattern in _LEFTOVER_FILES:
        for path in packs_of(git_dir).glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    log.info("git_leftover_removed", path=str(path))
                    path.unlink()


def reclaim(git_dir: Path, *, timeout_s: float, keep_open: Sequence[int]) -> None:
    """Repack all that refs hold and drop the rest, if it is older than hours. Low priority. Raises GitError.

    Waits up to `timeout_s` for a `git gc`, or a folding of the daemon, to end.
    """
    give_up_at = monotonic_s() + timeout_s
    while True:
        with _alone_at_gc(git_dir) as hand_over:
            if hand_over is not None:
                return _reclaim(git_dir, timeout_s=timeout_s, keep_open=keep_open, started=hand_over)
        if monotonic_s() > give_up_at:
            raise GitError(f"{git_dir} is being repacked by somebody else", hint="try again when it has ended", reason="timeout")
        time.sleep(_GC_ASK_AGAIN_S)


def _reclaim(git_dir: Path, *, timeout_s: float, keep_open: Sequence[int], started: Callable[[int], None]) -> None:
    command = ["repack", "-A", "-d", f"--unpack-unreachable={_UNREACHABLE_KEPT}", "--write-midx", "--quiet", "--no-write-bitmap-index"]
    polite = ["nice", "-n", "19", *process.argv(command, git_dir)]
    done = process.run_program(polite, timeout_s=timeout_s, keep_open=keep_open, started=started)
    if done.code != 0:
        raise process.failed("repack", done, git_dir)
    process.check(["prune", f"--expire={_UNREACHABLE_KEPT}"], git_dir=git_dir, timeout_s=timeout_s, keep_open=keep_open)


@contextlib.contextmanager
def _alone_at_gc(git_dir: Path) -> Iterator[Callable[[int], None] | None]:
    """The lock of `git gc`, held within; None when somebody else has it.

    What it gives names the process that does the work: the lock holds for as long as that one lives, also when this one is killed.
    """
    holder, lock = git_dir / "gc.pid", git_dir / "gc.pid.lock"
    with contextlib.ExitStack() as held:
        try:
            lock.touch(0o644, exist_ok=False)
            held.callback(lock.unlink, missing_ok=True)
            free = not _gc_runs(holder)
            if free:
                lock.write_text(_name(os.getpid()))
                lock.rename(holder)
                held.callback(holder.unlink, missing_ok=True)
        except FileExistsError:
            free = False
        except OSError as exc:
            hint = "check free space and permissions there"
            raise GitError(f"cannot write in {git_dir}: {exc.strerror}", hint=hint, reason="failed") from exc
        yield (lambda pid: _rewrite(holder, _name(pid))) if free else None


def _name(pid: int) -> str:
    return f"{pid} {socket.gethostname()}"


def _rewrite(holder: Path, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: it names this process then
        new = holder.with_name("gc.pid.lock")
        new.write_text(text)
        new.rename(holder)


def _holder_of(holder: Path) -> tuple[str, str]:
    """Process and host that `gc.pid` names. Raises OSError, ValueError."""
    pid, host = holder.read_text().split(" ", 1)
    return pid, host


def _gc_runs(holder: Path) -> bool:
    """As git judges it: the lock is younger than twelve hours, and its process lives or is on another host."""
    try:
        pid, host = _holder_of(holder)
        age_s = SystemClock().now().timestamp() - holder.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return False
    if age_s > _GC_LOCK_HOLDS_S:
        return False
    return host != socket.gethostname() or Path("/proc", pid).exists()


def _gc_of_a_person(git_dir: Path) -> bool:
    """Whether the process that `gc.pid` names is a git: in a container the number of a killed daemon is soon that of the next."""
    with contextlib.suppress(OSError, ValueError):
        pid, _ = _holder_of(git_dir / "gc.pid")
        return Path("/proc", pid, "comm").read_text().startswith("git")
    return False


def _clear(git_dir: Path) -> None:
    for path in _leftovers(git_dir):
        log.info("git_leftover_removed", path=str(path))
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _leftovers(git_dir: Path) -> Iterator[Path]:
    for name in ("HEAD.lock", "config.lock", "packed-refs.lock", "packed-refs.new", "shallow.lock", "index.lock", "gc.pid.lock"):
        if (git_dir / name).exists():
            yield git_dir / name
    if (git_dir / "gc.pid").exists() and not _gc_of_a_person(git_dir):
        yield git_dir / "gc.pid"
    yield from list((git_dir / "refs").rglob("*.lock"))
    objects = git_dir / "objects"
    yield from list(objects.glob("tmp_objdir-*"))
    yield from list(objects.glob("[0-9a-f][0-9a-f]/tmp_obj_*"))
    yield from list(objects.glob("info/*.lock"))
    pack = objects / "pack"
    for pattern in _LEFTOVER_FILES:
        yield from list(pack.glob(pattern))
    for mark in list(pack.glob("pack-*.keep")):
        with contextlib.suppress(FileNotFoundError):
            if mark.read_text(errors="replace") == KEPT_BY_PODIUM:
                yield mark
