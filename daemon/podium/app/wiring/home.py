"""Who has a home: its lock, the sign of life beside it, and standing by for it.

Called by the daemon's life cycle and by commands that write a home. What always holds: one daemon has a home at a time. Who takes one
over from a daemon that hangs ends that one first (SIGKILL, which also ends what is stopped), and gets the lock only when it is dead. The
journal's epoch is the second guard (store/db.py): whoever lost a home without being ended ends at its next write, which is not made.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from podium.base.errors import SettingsError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger

log = get_logger(__name__)
LOOK_S = 0.1
"""A standby asks for the lock this often: a dead daemon loses it at once."""
BEAT_S = 1.0
STALLED_S = 3.0
"""A loop that does not turn for so long gives no sign of life."""
EXIT_HOME_TAKEN = 4
DESCRIPTORS = 65_536


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that has a home, as the lock file tells it. started: in clock ticks, so that a number used again is not taken for it.

    space: its PID namespace; in another one its number means somebody else.
    """

    pid: int
    started: str
    space: str

    @classmethod
    def here(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), _started(os.getpid()) or "", _space())

    @classmethod
    def read(cls, text: bytes) -> Owner | None:
        """From the lock file; None when nobody wrote it yet."""
        words = text.decode("ascii", "replace").split()
        return cls(int(words[0]), words[1], words[2]) if len(words) == 3 and words[0].isdecimal() else None

    def line(self) -> bytes:
        """As the lock file has it."""
        return f"{self.pid}\n{self.started} {self.space}\n".encode("ascii")

    def end(self) -> bool:
        """Kill it; False when that is not possible from here. Nobody else is killed, whoever has its number by now."""
        if self.space != _space():
            return False
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        try:
            if _started(self.pid) == self.started:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


def _started(pid: int) -> str | None:
    """When a process began, in clock ticks since the boot; None when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "-"


class Hold:
    """The lock of a home, ours until `close` or the end of this process."""

    def __init__(self, home: Path, handle: int) -> None:
        self.home = home
        self.handle = handle

    @property
    def lost(self) -> bool:
        """Whether the lock file is no longer the one we locked: it keeps nobody out any more."""
        try:
            return os.fstat(self.handle).st_ino != (self.home / "lock").stat().st_ino
        except FileNotFoundError:
            return True
        except OSError:  # the file system does not answer: every write will say so
            return False

    def close(self) -> None:
        """Let the next one have it."""
        os.close(self.handle)


def take_home(home: Path) -> Hold | None:
    """The lock of a home; None while another process has it. Raises SettingsError when the home cannot be used."""
    handle = _opened(home, "lock")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError as error:
        os.close(handle)
        raise _no_locks(home, error) from error
    hold = Hold(home, handle)
    if hold.lost:  # somebody deleted the file while we locked it
        hold.close()
        return None
    line = Owner.here().line()
    try:
        os.pwrite(handle, line, 0)  # over the old one, never an empty file: a standby may be reading
        os.ftruncate(handle, len(line))
    except OSError:
        hold.close()
        raise
    return hold


@contextmanager
def home_lock(home: Path) -> Iterator[Hold]:
    """Own `home` while the context is open. Raises SettingsError when another daemon does."""
    hold = take_home(home)
    if hold is None:
        owner = _owner(home)
        raise SettingsError(
            f"another daemon (process {owner.pid if owner else '?'}) uses the home {home}",
            hint="stop it, give this one its own `home`, or wait for it with `podium serve --standby`", exit_code=EXIT_HOME_TAKEN,
        )
    with contextlib.closing(hold):
        yield hold


def _opened(home: Path, name: str) -> int:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(home / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"the home {home} cannot be used: {error.strerror}", hint="see who owns it, or set `home`", path="home") from error


def _no_locks(home: Path, error: OSError) -> SettingsError:
    known = error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
    why = "its file system has no locks" if known else f"it cannot be locked: {error.strerror}"
    return SettingsError(
        f"the home {home} cannot be used: {why}", hint="put it on a local disk: nothing else keeps two daemons from writing one journal", path="home"
    )


def _owner(home: Path) -> Owner | None:
    try:
        return Owner.read((home / "lock").read_bytes())
    except OSError:
        return None


class Heart:
    """Shows standbys that this daemon lives: touches the lock file every second, from a thread, as long as the loop turns.

    Before the first `tick` and after `rest` (start and stop, where a long step may hold up the loop) only as long as the process lives.
    Nothing is written while nobody stands by.
    """

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._ticked: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="podium-heart", daemon=True)
        self.standby = False
        """Whether a standby waits for this home."""

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def tick(self) -> None:
        """The loop turns."""
        self._ticked = monotonic_s()

    def rest(self) -> None:
        """The loop is not to be judged any more."""
        self._ticked = None

    def _beat(self) -> None:
        handle = _opened(self._hold.home, "standby")
        try:
            while not self._ended.wait(BEAT_S):
                self.standby = _locked(handle)
                ticked = self._ticked
                if self.standby and (ticked is None or monotonic_s() - ticked < STALLED_S):
                    with contextlib.suppress(OSError):
                        os.utime(self._hold.handle)
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    """Whether somebody else has a lock on this file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False


class Watch:
    """Judges the daemon that has a home by its signs of life. silent_s: how long there may be none."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._seen: tuple[object, ...] = ()
        self._since = self._looked = monotonic_s()

    def hangs(self, *signs: object) -> bool:
        """Whether these signs have been the same for too long. A time in which we did not look ourselves (a machine that slept) does not count."""
        now = monotonic_s()
        if signs != self._seen or now - self._looked > BEAT_S:
            self._seen, self._since = signs, now
        self._looked = now
        return now - self._since >= self._silent_s


async def stand_by(home: Path, *, silent_s: float, waits: Callable[[Owner], None]) -> Hold:
    """Wait until `home` is free and take it. waits: told once when there is somebody to wait for.

    A daemon that gives no sign of life for `silent_s` is ended. Raises SettingsError when the home cannot be used.
    """
    if (hold := take_home(home)) is not None:
        return hold
    watch, told, stuck = Watch(silent_s), False, False
    handle = _opened(home, "standby")
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        while (hold := take_home(home)) is None:
            owner = _owner(home)
            if not told and owner is not None:
                waits(owner)
                told = True
            if owner is not None and watch.hangs(owner, _touched(home)):
                ended = owner.end()
                if ended or not stuck:
                    log.warning("home_owner_hangs", home=str(home), process=owner.pid, silent_s=silent_s, ended=ended)
                stuck = not ended
            await asyncio.sleep(LOOK_S)
        return hold
    finally:
        os.close(handle)


def _touched(home: Path) -> int:
    try:
        return (home / "lock").stat().st_mtime_ns
    except OSError:
        return 0


def end_fenced() -> None:
    """Another daemon has taken this home: end as a crash would. Nothing of ours may have an effect any more, not even an orderly stop."""
    log.error("home_taken", hint="another daemon has this home; this one ends without writing")
    os._exit(EXIT_HOME_TAKEN)


@contextmanager
def disk_trouble_told(home: Path) -> Iterator[None]:
    """A home that is full or cannot be written is the operator's to mend: say so instead of where we noticed. Raises SettingsError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        hint = "free some space or mount it for writing, then start again; nothing acknowledged is lost"
        raise SettingsError(f"the home {home} cannot be written: {error.strerror}", hint=hint, path="home") from error


def take_descriptors() -> None:
    """As many open files as the system lets us have: its usual 1,024 are fewer than the connections and commands of a busy day."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
