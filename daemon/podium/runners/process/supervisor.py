"""The process that stands over one local command. Run as a script of its own: `python -I -S supervisor.py <directory>`.

It reads the job (JSON: argv, cwd, env) from standard input, makes the file `started` (once, ever), runs the command with its
output appended to the files `stdout` and `stderr`, waits, ends every descendant, and writes `exit` (JSON: code, killed). So
whatever becomes of the daemon, the output and the end are in files. Signals: USR2 asks the command to end (TERM to all of its
processes), USR1 ends it (KILL). A file `killed` made before the start means that it never starts.

Imports nothing of Podium: it must start in milliseconds. Exit status: 0 done, 64 no job, 75 the attempt was started before.
"""

# ruff: noqa: PTH104, PTH108, PTH110, PTH118, PTH120, PTH208
# because importing pathlib costs milliseconds at every start
from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
NOT_FOUND, NOT_EXECUTABLE, NO_JOB, STARTED_BEFORE = 127, 126, 64, 75
_prctl = ctypes.CDLL(None).prctl


def parent_of(pid: int) -> int:
    """The parent of a process; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def started_at(pid: int) -> str:
    """When a process started, in the kernel's ticks: with the pid, it names the process for good. Empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def boot_id() -> str:
    """Names the run of the machine."""
    with open("/proc/sys/kernel/random/boot_id") as boot:
        return boot.read().strip()


def descendants() -> list[int]:
    """Every process below this one."""
    found, queue = [], [os.getpid()]
    try:
        while queue:
            below = _children_of(queue.pop())
            found.extend(below)
            queue.extend(below)
    except FileNotFoundError:
        return _descendants_by_search()
    return found


def _children_of(pid: int) -> list[int]:
    """The children of a process, as the kernel lists them. Raises FileNotFoundError where it does not."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as children:
                found.extend(map(int, children.read().split()))
        except (FileNotFoundError, ProcessLookupError):
            if os.path.exists(f"/proc/{pid}/task/{thread}"):
                raise FileNotFoundError from None
    return found


def _descendants_by_search() -> list[int]:
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            parents.setdefault(parent_of(int(name)), []).append(int(name))
    found, queue = [], [os.getpid()]
    while queue:
        below = parents.get(queue.pop(), [])
        found.extend(below)
        queue.extend(below)
    return found


def signal_all(number: int) -> bool:
    """Send a signal to every descendant; whether there was one that may be signalled."""
    sent = False
    for pid in descendants():
        try:
            os.kill(pid, number)
            sent = True
        except (ProcessLookupError, PermissionError):
            continue
    return sent


def write_whole(path: str, text: str) -> None:
    """Write a file so that a reader sees all of it or none, also after a power loss."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


def write_once(path: str, text: str) -> bool:
    """Make a file unless it is there; whether this call made it."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    sync_directory(os.path.dirname(path))
    return True


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def run_command(job: dict[str, Any], outputs: tuple[int, int], supervisor: int) -> NoReturn:
    """In the forked child: become the command."""
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:
        os._exit(137)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    code, reason = NOT_EXECUTABLE, ""
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        os.chdir(job["cwd"])
        os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606 -- the command itself, no shell is meant
    except FileNotFoundError as error:
        code, reason = NOT_FOUND, error.strerror or ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    os.write(2, f"{job['argv'][0]}: {reason}\n".encode(errors="replace"))
    os._exit(code)


def supervise(directory: str, job: dict[str, Any]) -> int:
    """Run the job to its end; the exit status of this process."""
    killed = False

    def end_now(_number: int, _frame: FrameType | None) -> None:
        nonlocal killed
        killed = True
        signal_all(signal.SIGKILL)

    def ask_to_end(_number: int, _frame: FrameType | None) -> None:
        nonlocal killed
        killed = True
        signal_all(signal.SIGTERM)

    signal.signal(signal.SIGUSR1, end_now)
    signal.signal(signal.SIGUSR2, ask_to_end)
    _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    own = os.getpid()
    if not write_once(os.path.join(directory, "started"), json.dumps({"pid": own, "at": started_at(own), "boot": boot_id()})):
        return STARTED_BEFORE
    exit_path = os.path.join(directory, "exit")
    if os.path.exists(os.path.join(directory, "killed")):
        write_whole(exit_path, json.dumps({"code": 137, "killed": True}))
        return 0
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    outputs = (os.open(os.path.join(directory, "stdout"), flags, 0o600), os.open(os.path.join(directory, "stderr"), flags, 0o600))
    command = os.fork()
    if command == 0:
        run_command(job, outputs, own)
    if killed:
        signal_all(signal.SIGKILL)
    pid, status = os.waitpid(-1, 0)
    while pid != command:
        pid, status = os.waitpid(-1, 0)
    end_descendants()
    for output in outputs:  # an exit code that outlives a loss of power must not stand without the lines before it
        os.fsync(output)
    code = os.waitstatus_to_exitcode(status)
    write_whole(exit_path, json.dumps({"code": code if code >= 0 else 128 - code, "killed": killed}))
    return 0


def end_descendants() -> None:
    """What the command left running ends with it: this process is the parent of all orphans below it."""
    while signal_all(signal.SIGKILL):
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def main() -> int:
    """Read the job and run it."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        job = json.loads(sys.stdin.buffer.read())
    except ValueError:
        return NO_JOB
    return supervise(sys.argv[1], job)


if __name__ == "__main__":
    sys.exit(main())
