"""The unit files: systemd finds nothing wrong with them, and the service can do little harm."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.systemd

UNITS = Path(__file__).resolve().parents[2] / "systemd"
EXPOSURE_MAX = 2.5


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies whose program exists here, so that only the unit files are judged."""
    program = tmp_path / "podium"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in ("podium.service", "podium.socket"):
        text = (UNITS / name).read_text().replace("/opt/podium/bin/podium", str(program))
        (tmp_path / name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(units: Path, systemd_analyze: Path) -> None:
    names = [str(units / name) for name in ("podium.service", "podium.socket")]
    done = subprocess.run([systemd_analyze, "verify", "--man=no", *names], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "podium" in line]
    assert ours == []
    assert done.returncode == 0


def test_the_service_is_exposed_little_and_still_reaches_docker(units: Path, systemd_analyze: Path) -> None:
    argv = [systemd_analyze, "security", "--offline=true", "--no-pager", "--json=short", str(units / "podium.service")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    rows = json.loads(done.stdout)
    argv = [systemd_analyze, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX * 10:.0f}", str(units / "podium.service")]
    judged = subprocess.run(argv, capture_output=True, text=True, check=False)
    overall = re.search(r"exposure level for \S+: (\d+\.\d+)", judged.stdout + judged.stderr)
    assert overall, judged.stdout + judged.stderr
    assert float(overall[1]) <= EXPOSURE_MAX
    assert judged.returncode == 0
    assert rows
    assert "SupplementaryGroups=docker" in (UNITS / "podium.service").read_text().splitlines()


def test_restart_reload_watchdog_state_and_credentials_are_there() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    unit.read(UNITS / "podium.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert "HUP" in service["ExecReload"]
    assert service["Restart"] == "on-failure"
    assert service["StateDirectory"] == "podium"
    assert service["LoadCredential"].startswith("SECRET:")


def test_the_drop_in_of_a_standby_is_understood(units: Path, systemd_analyze: Path) -> None:
    """As docs/install.md says: a copy of the service, and the drop-in for both."""
    shutil.copy(units / "podium.service", units / "podium-standby.service")
    for name in ("podium", "podium-standby"):
        folder = units / f"{name}.service.d"
        folder.mkdir()
        text = (UNITS / "podium-standby.conf").read_text()
        assert "serve --standby" in text
        (folder / "standby.conf").write_text(text.replace("/opt/podium/bin/podium", str(units / "podium")))
    names = [str(units / name) for name in ("podium.service", "podium-standby.service", "podium.socket")]
    done = subprocess.run([systemd_analyze, "verify", "--man=no", *names], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if "podium" in line] == []


def test_users_file_is_understood(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not installed")
    (tmp_path / "etc").mkdir()
    argv = ["systemd-sysusers", f"--root={tmp_path}", "--inline", (UNITS / "podium.sysusers").read_text().splitlines()[-1]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "podium:" in (tmp_path / "etc" / "passwd").read_text()
