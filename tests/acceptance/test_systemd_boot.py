"""The service under a real systemd, booted in a container: ready, reload, restart, watchdog, socket, credentials, commands that outlive it."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podium.app import images as make

pytestmark = [pytest.mark.docker, pytest.mark.systemd, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
RECIPE = make.Recipe(
    name="systemd", tag="podium.local/systemd:bookworm", official="", stands_for=(),
    packages=("ca-certificates", "dbus", "git", "procps", "python3", "systemd", "systemd-sysv"),
)
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
    "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL",
    "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
)
"""In the order of their bits, as far as old engines know them."""

PROGRAM = "#!/bin/sh\nPYTHONPATH=/opt/podium/src:/opt/podium/site exec /usr/bin/python3 -m podium \"$@\"\n"
SETTINGS = '[runner]\ntype = "process"\n\n[sources.main]\nurl = "/srv/git/flows.git"\npoll_interval_s = 1\n'
DROP_IN = "[Service]\nReadWritePaths=/srv/git\nWatchdogSec=8\nTimeoutStopSec=20\n"
FLOWS = """id: slow
namespace: boot
tasks:
  - id: sleep
    type: io.kestra.plugin.scripts.shell.Commands
    commands: ["echo begin", "sleep 8", "echo end"]
---
id: secret
namespace: boot
tasks:
  - id: read
    type: io.kestra.plugin.core.debug.Return
    format: "{{ secret('GREETING') | length }}"
outputs:
  - id: length
    type: INT
    value: "{{ outputs.read.value }}"
"""


class Machine:
    """A booted container."""

    def __init__(self, container: Any) -> None:
        self.container = container

    def sh(self, command: str, *, check: bool = True) -> str:
        done = self.container.exec_run(["sh", "-c", command], environment={"GIT_CONFIG_COUNT": "0"})
        text = str(done.output.decode().strip())
        assert done.exit_code == 0 or not check, f"{command}: {done.exit_code}\n{text}\n{self.journal()}"
        return text

    def journal(self) -> str:
        out = self.container.exec_run(["sh", "-c", "systemctl status podium --no-pager -l; journalctl -u podium -u podium-standby --no-pager -n 60"]).output
        return str(out.decode("utf-8", "replace"))

    def show(self, name: str) -> str:
        return self.sh(f"systemctl show podium --property={name} --value")

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(text.encode()), mode
            tar.addfile(entry, io.BytesIO(text.encode()))
        self.container.put_archive("/", buffer.getvalue())

    def api(self, path: str, method: str = "GET") -> Any:
        code = (
            "import urllib.request,sys;"
            f"r=urllib.request.Request('http://127.0.0.1:8080{path}',method='{method}');"
            "sys.stdout.write(urllib.request.urlopen(r,timeout=30).read().decode())"
        )
        return json.loads(self.sh(f'python3 -c "{code}"'))

    def until(self, ready: Callable[[], Any], what: str, timeout_s: float = 120) -> Any:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if found := ready():
                return found
            time.sleep(0.2)
        raise AssertionError(f"waited {timeout_s} s for {what}\n{self.journal()}")

    def ended(self, execution_id: str) -> Any:
        def look() -> Any:
            found = self.api(f"/api/v1/executions/{execution_id}")
            return found if found["state"]["current"] in {"SUCCESS", "FAILED", "WARNING", "KILLED"} else None

        return self.until(look, f"execution {execution_id} to end")


def _capabilities() -> list[str]:
    bits = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")).split()[1], 16)
    return [name for number, name in enumerate(CAPABILITIES) if bits >> number & 1]


@pytest.fixture(scope="module")
def machine(docker_engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A Debian that has booted systemd, with Podium installed as docs/install.md says."""
    if sys.version_info[:2] != (3, 11) or os.geteuid() != 0:
        pytest.skip("needs root, and Python 3.11 as the container has it")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podium" / "images"
    make.build(docker_engine, RECIPE, cache=cache, say=lambda _: None)
    site = next(Path(each) for each in sys.path if each.endswith("site-packages"))
    container = docker_engine.containers.run(
        RECIPE.tag, ["sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd"], detach=True, cap_add=_capabilities(),
        security_opt=["seccomp=unconfined", "apparmor=unconfined"], cgroupns="private", environment={"container": "docker"},
        tmpfs={"/run": "", "/run/lock": "", "/tmp": ""}, network_mode="none", stop_signal="SIGRTMIN+3",
        volumes=[f"{ROOT}/daemon:/opt/podium/src:ro", f"{site}:/opt/podium/site:ro"],
    )
    try:
        yield _install(Machine(container))
    finally:
        container.remove(force=True, v=True)


def _install(machine: Machine) -> Machine:
    machine.until(lambda: machine.sh("systemctl is-system-running --wait", check=False) in {"running", "degraded"}, "systemd to boot")
    units = ROOT / "systemd"
    for name in ("podium.service", "podium.socket"):
        machine.put(f"/etc/systemd/system/{name}", (units / name).read_text())
    machine.put("/etc/sysusers.d/podium.conf", (units / "podium.sysusers").read_text() + "g docker -\n")
    machine.put("/etc/systemd/system/podium.service.d/test.conf", DROP_IN)
    machine.put("/opt/podium/bin/podium", PROGRAM, 0o755)
    machine.put("/etc/podium/podium.toml", SETTINGS)
    machine.put("/etc/podium/secrets/GREETING", "hello\n", 0o600)
    machine.put("/root/work/flows.yaml", FLOWS)
    machine.sh(
        "systemd-sysusers && git init -q --bare -b main /srv/git/flows.git && cd /root/work && git init -q -b main . && git add . && "
        "git -c user.name=t -c user.email=t@localhost commit -qm flows && git push -q /srv/git/flows.git main && chown -R podium: /srv/git"
    )
    machine.sh("systemctl daemon-reload && systemctl start podium.socket podium.service")
    return machine


def test_starting_returns_when_the_daemon_serves(machine: Machine) -> None:
    assert machine.show("ActiveState") == "active"
    assert machine.show("StatusText") != ""
    assert machine.api("/health")["status"] in {"UP", "DEGRADED"}
    assert machine.sh("stat -c '%U %a' /var/lib/podium") == "podium 700"


def test_files_of_the_secrets_directory_are_secrets(machine: Machine) -> None:
    machine.until(lambda: "secret" in machine.sh("python3 -c \"import urllib.request as u;print(u.urlopen('http://127.0.0.1:8080/api/v1/flows/search').read())\"", check=False), "flows")
    execution = machine.ended(machine.api("/api/v1/executions/boot/secret", "POST")["id"])
    assert execution["outputs"]["length"] == 5
    assert machine.sh("su -s /bin/sh podium -c 'cat /etc/podium/secrets/GREETING' 2>&1 || true").endswith("Permission denied")


def test_reload_keeps_the_process(machine: Machine) -> None:
    before = machine.show("MainPID")
    machine.sh("systemctl reload podium")
    machine.until(lambda: machine.show("ActiveState") == "active", "the reload to end")
    assert machine.show("MainPID") == before


def test_a_command_outlives_a_restart_and_callers_wait_at_the_socket(machine: Machine) -> None:
    """During a restart no call is refused, and a running process task ends SUCCESS with each line once."""
    execution_id = machine.api("/api/v1/executions/boot/slow", "POST")["id"]
    machine.until(lambda: any(e["message"] == "begin" for e in machine.api(f"/api/v1/logs/{execution_id}")), "the task to begin")
    machine.put("/root/knock.py", (
        "import time,urllib.request\nend=time.time()+8\nn=0\n"
        "while time.time()<end:\n"
        "    urllib.request.urlopen('http://127.0.0.1:8080/health',timeout=30).read(); n+=1; time.sleep(.05)\n"
        "print(n)\n"
    ))
    machine.sh("(python3 /root/knock.py >/root/knock.out 2>&1; echo $? >/root/knock.rc) & sleep 1; systemctl restart podium")
    machine.until(lambda: machine.sh("cat /root/knock.rc 2>/dev/null", check=False), "the caller to finish")
    assert machine.sh("cat /root/knock.rc") == "0", machine.sh("cat /root/knock.out")
    execution = machine.ended(execution_id)
    assert execution["state"]["current"] == "SUCCESS"
    lines = [entry["message"] for entry in machine.api(f"/api/v1/logs/{execution_id}")]
    assert [line for line in lines if line in {"begin", "end"}] == ["begin", "end"]


def test_a_daemon_that_hangs_is_restarted(machine: Machine) -> None:
    before, restarts = machine.show("MainPID"), int(machine.show("NRestarts"))
    machine.sh(f"kill -STOP {before}")
    machine.until(lambda: int(machine.show("NRestarts")) > restarts and machine.show("ActiveState") == "active", "the watchdog")
    assert machine.show("MainPID") != before
    assert machine.api("/health")["status"] in {"UP", "DEGRADED"}


def test_the_record_reaches_the_repository(machine: Machine) -> None:
    machine.until(lambda: "executions/" in machine.sh("git -C /srv/git/flows.git -c safe.directory='*' ls-tree -r --name-only results", check=False), "records")


def test_a_machine_without_docker_is_not_asked_for_it(machine: Machine) -> None:
    """Tasks ran as processes; releasing them must not wait for an engine that will never come."""
    assert "docker_engine_away" not in machine.sh("journalctl -u podium --no-pager")


def test_a_standby_takes_over_and_nobody_is_refused(machine: Machine) -> None:
    """Installed as docs/install.md says. The daemon is killed: the standby answers those who wait at the socket, and the killed one stands by."""
    units = ROOT / "systemd"
    machine.put("/etc/systemd/system/podium-standby.service", (units / "podium.service").read_text())
    for name in ("podium", "podium-standby"):
        machine.put(f"/etc/systemd/system/{name}.service.d/standby.conf", (units / "podium-standby.conf").read_text())
    machine.put("/etc/systemd/system/podium-standby.service.d/test.conf", DROP_IN)
    machine.sh("systemctl daemon-reload && systemctl restart podium && systemctl start podium-standby")
    assert machine.sh("systemctl show podium-standby --property=StatusText --value").startswith("stands by")
    first = machine.show("MainPID")
    machine.put("/root/knock2.py", (  # a request that was being answered when the daemon died is cut off; none is refused
        "import time,urllib.request\nend=time.time()+8\ncut=0\n"
        "while time.time()<end:\n"
        "    try: urllib.request.urlopen('http://127.0.0.1:8080/health',timeout=30).read()\n"
        "    except ConnectionRefusedError: raise\n"
        "    except ConnectionError: cut+=1\n"
        "    time.sleep(.05)\n"
        "assert cut<=1, cut\n"
    ))
    machine.sh("(python3 /root/knock2.py >/root/knock.out 2>&1; echo $? >/root/knock.second) & sleep 1; kill -9 " + first)
    serves = machine.until(
        lambda: machine.sh("systemctl show podium-standby --property=StatusText --value", check=False).startswith("serves"), "the standby to serve"
    )
    assert serves
    assert machine.api("/health")["status"] in {"UP", "DEGRADED"}
    machine.until(lambda: machine.sh("cat /root/knock.second 2>/dev/null", check=False), "the caller to finish")
    assert machine.sh("cat /root/knock.second") == "0", machine.sh("cat /root/knock.out")
    machine.until(lambda: machine.show("StatusText").startswith("stands by"), "the killed one to stand by")
    assert machine.api("/health")["standby"] is True


def test_a_standby_ends_a_daemon_that_hangs(machine: Machine) -> None:
    """systemd's watchdog and the standby agree: whichever acts first, somebody serves."""
    hanging = machine.sh("systemctl show podium-standby --property=MainPID --value")
    machine.sh(f"kill -STOP {hanging}")
    machine.until(lambda: machine.show("StatusText").startswith("serves"), "the other one to serve")
    assert machine.api("/health")["status"] in {"UP", "DEGRADED"}


def test_stopping_leaves_nothing_running(machine: Machine) -> None:
    machine.sh("systemctl stop podium-standby.service podium.service podium.socket")
    assert machine.show("ActiveState") == "inactive"
    assert machine.sh("pgrep -u podium -a || true") == ""
