"""Reading a results branch back, checking it, and the command line on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from records_driver import execution

from podium.base.errors import NotFound
from podium.base.ports import QueuedFile
from podium.base.system import base62
from podium.cli.main import cli
from podium.git.repo import Repository
from podium.records.branch import Branch
from podium.records.layout import TRIGGERS, kv_path, log_path, record_path, sync_path
from podium.records.read import Found, ResultsReader
from podium.records.upkeep.verify import verify

RESULTS = "refs/heads/results"


def id_at(at: datetime, number: int = 0) -> str:
    """An id of that moment."""
    return base62.encode((int(at.timestamp() * 1000) << base62.TAIL_BITS) | (number + 1))


@dataclass
class Branched:
    """A branch that a test fills. Every execution is a record and a log."""

    repository: Repository
    branch: Branch
    seq: int = 0
    at: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    kept: dict[str, str] = field(default_factory=dict)

    def add(self, at: datetime, *, number: int = 0, flow: str = "daily", state: str = "SUCCESS", amend: int = 0, times: int = 1) -> list[str]:
        """Commit executions created at that moment; their ids."""
        made = [id_at(at, number + index) for index in range(times)]
        files = []
        for each in made:
            body, log = execution(each, flow, state)
            summary = {"id": each, "namespace": "etl", "flowId": flow, "state": state}
            files.append(self.file(record_path(each, "etl", flow, amend=amend), body, "execution", summary))
            files.append(self.file(log_path(each, "etl", flow, amend=amend), log, "log", summary))
        self.commit(*files)
        return made

    def file(self, path: str, body: bytes, kind: str, summary: dict[str, Any] | None = None) -> QueuedFile:
        self.seq += 1
        return QueuedFile(seq=self.seq, path=path, body=body, kind=kind, summary=summary or {})

    def commit(self, *files: QueuedFile) -> str:
        return self.branch.commit(files, self.at).commit


@pytest.fixture
def branched(tmp_path: Path) -> Iterator[Branched]:
    with Repository.init_bare(tmp_path / "results.git") as repository:
        yield Branched(repository, Branch(repository, branch="results", url=None, credentials=None, instance="test"))


NOON = datetime(2026, 1, 2, 12, 30, tzinfo=UTC)


def test_a_record_is_found_by_its_id_alone_in_any_chunk(branched: Branched) -> None:
    made = branched.add(NOON, times=600)
    other = branched.add(NOON, number=10_000, flow="hourly")
    reader = ResultsReader(branched.repository)
    chunks = set()
    for each in (made[0], made[300], made[-1], other[0]):
        found = reader.record(each)
        assert found
        chunks.add(found.place.chunk)
        assert found.data()["execution"]["id"] == each
        assert reader.record(each, namespace="etl", flow_id=found.place.flow_id) == found
        assert reader.log(each)
    assert chunks == {0, 19, 37}
    assert reader.record(id_at(NOON, 999_999)) is None
    with pytest.raises(NotFound):
        reader.record("not-an-id")


def test_the_last_amendment_counts(branched: Branched) -> None:
    (made,) = branched.add(NOON, state="FAILED")
    branched.add(NOON, state="FAILED", amend=1)
    branched.add(NOON, state="SUCCESS", amend=10)
    reader = ResultsReader(branched.repository)
    found = reader.record(made)
    assert found
    assert (found.place.amend, found.data()["execution"]["state"]["current"]) == (10, "SUCCESS")
    assert [item.place.amend for item in reader.newest(limit=9)] == [10]
    assert [item.place.amend for item in reader.every()] == [10]


def test_lists_are_newest_first_over_hours_days_and_periods(tmp_path: Path) -> None:
    with Repository.init_bare(tmp_path / "r.git") as repository:
        branched = Branched(repository, Branch(repository, branch="results", url=None, credentials=None, instance="test", rotate="monthly"))
        made = []
        for at in (NOON, NOON + timedelta(hours=1), NOON + timedelta(days=1), NOON + timedelta(days=40)):
            branched.at = at
            made += branched.add(at, times=2)
        (failed,) = branched.add(branched.at, number=50, flow="hourly")
        branched.add(NOON, amend=1)
        reader = ResultsReader(repository)
        assert [name for name, _ in reader.tips()] == ["results/2026-02", "results/2026-01"]
        expected = [failed, *reversed(made)]
        assert [item.place.execution_id for item in reader.newest(limit=99)] == expected
        assert [item.place.execution_id for item in reader.newest(limit=3)] == expected[:3]
        assert [item.place.execution_id for item in reader.newest(limit=3, before=expected[2])] == expected[3:6]
        assert [item.place.execution_id for item in reader.newest(limit=9, day="2026-01-02")] == expected[-4:]
        assert [item.place.execution_id for item in reader.newest(limit=9, flow_id="hourly")] == [failed]
        oldest = reader.record(made[0])
        assert oldest
        assert (oldest.branch, oldest.place.amend) == ("results/2026-02", 1)
        entered: dict[str, Found] = {}
        assert reader.rebuild(lambda found: entered.__setitem__(found.place.execution_id, found)) == 10
        assert len(entered) == 9
        assert entered[made[0]].place.amend == 1
        assert verify(repository).ok


def test_syncs_keys_and_triggers_are_read_back(branched: Branched) -> None:
    for number in range(3):
        body = json.dumps({"commit": f"{number}" * 40, "at": f"2026-01-0{number + 1}T00:00:00.000Z"}).encode()
        branched.commit(branched.file(sync_path(f"{number}" * 40, NOON + timedelta(days=number)), body, "sync"))
    branched.commit(branched.file(kv_path("etl.x"), b'{"a": {"value": 1}}', "state"), branched.file(TRIGGERS, b'{"t": 1}', "state"))
    reader = ResultsReader(branched.repository)
    assert [sync["commit"][0] for sync in reader.syncs(limit=2)] == ["2", "1"]
    assert reader.kv() == {"etl.x": {"a": {"value": 1}}}
    assert reader.triggers() == {"t": 1}


def test_an_empty_branch_has_nothing(branched: Branched) -> None:
    reader = ResultsReader(branched.repository)
    assert (reader.newest(limit=5), list(reader.every()), reader.syncs(limit=5), reader.kv(), reader.triggers()) == ([], [], [], {}, None)
    assert reader.record(id_at(NOON)) is None


# ---- verify


def tampered(branched: Branched, changes: dict[str, bytes | None], message: str = "Podium says\n\nPodium-Executions: 0\nPodium-Instance: x\n") -> list[str]:
    """What verify says after a commit of those changes, trailers and all."""
    repository = branched.repository
    repository.commit(ref=RESULTS, parent=repository.resolve(RESULTS), changes=changes, message=message, at=branched.at)
    return [finding.what for finding in verify(repository).findings]


def test_an_honest_branch_has_no_findings(branched: Branched) -> None:
    branched.add(NOON, times=300)
    branched.add(NOON, amend=1)
    branched.commit(branched.file(kv_path("etl"), b"{}", "state"))
    branched.commit(branched.file(kv_path("etl"), b'{"a":1}', "state"))
    repository = branched.repository
    note = repository.commit(ref=RESULTS, parent=repository.resolve(RESULTS), changes={"NOTES.md": b"x"}, message="By hand", at=branched.at)
    branched.branch.forget()
    branched.add(NOON, number=5_000)
    report = verify(repository)
    assert report.findings == []
    assert (report.records, report.commits, report.foreign) == (302, 7, [note])


def test_a_changed_record_is_found(branched: Branched) -> None:
    (made,) = branched.add(NOON, state="FAILED")
    body, _ = execution(made, "daily", "SUCCESS")
    assert tampered(branched, {record_path(made, "etl", "daily"): body}) == [f"changes {record_path(made, 'etl', 'daily')}, which must never change"]


def test_a_removed_record_is_found(branched: Branched) -> None:
    (made,) = branched.add(NOON)
    assert tampered(branched, {record_path(made, "etl", "daily"): None}) == [f"removes {record_path(made, 'etl', 'daily')}, which must never change"]


def test_a_record_of_somebody_else_is_found(branched: Branched) -> None:
    branched.add(NOON)
    forged = id_at(NOON, 77)
    body, _ = execution(forged)
    assert tampered(branched, {record_path(forged, "etl", "daily"): body}, "mine") == ["adds records but is not Podium's (no trailers)"]


def test_what_does_not_fit_together_is_found(branched: Branched) -> None:
    (made,) = branched.add(NOON)
    other = id_at(NOON, 5)
    body, _ = execution(other)
    path = record_path(made, "etl", "daily")
    folder = path.rpartition("/")[0]
    found = tampered(
        branched,
        {
            f"{folder}/0003/{made}.json": branched.repository.read_path(RESULTS, path),
            f"{folder}/{id_at(NOON, 6)}.json": body,
            f"{folder}/{id_at(NOON, 7)}.json": b"{}",
            f"{folder}/{id_at(NOON + timedelta(hours=3))}.json": body,
            "executions/stray.txt": b"",
        },
    )
    assert "says it has 0 executions and has 4" in found
    assert f"is there twice: also {folder}/0003/{made}.json" in found
    assert f"is the record of {other} etl daily" in found
    assert any(what.startswith("is no record: Object missing required field") for what in found)
    assert "lies in another hour than its id says" in found
    assert "does not belong in executions/" in found


def test_a_branch_without_the_demanded_signatures_is_found(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (tmp_path / "allowed").write_text(f"podium@localhost {key.with_suffix('.pub').read_text()}")
    with Repository.init_bare(tmp_path / "r.git") as repository:
        signed = Branched(repository, Branch(repository, branch="results", url=None, credentials=None, instance="test", signing_key=key))
        signed.add(NOON)
        assert verify(repository, allowed_signers=tmp_path / "allowed").findings == []
        signed.branch = Branch(repository, branch="results", url=None, credentials=None, instance="test")
        signed.add(NOON, number=9)
        assert [finding.what for finding in verify(repository, allowed_signers=tmp_path / "allowed").findings] == ["no signature of an allowed key"]


def test_damaged_objects_are_found_first(branched: Branched) -> None:
    branched.add(NOON)
    pack = max((branched.repository.git_dir / "objects" / "pack").glob("*.pack"), key=lambda path: path.stat().st_size)
    pack.chmod(0o644)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 0xFF
    pack.write_bytes(data)
    branched.repository.close()
    (finding,) = verify(branched.repository).findings
    assert "is damaged" in finding.what


# ---- the command line


def podium(*args: str) -> Result:
    return CliRunner().invoke(cli, args)


def test_log_and_show_print_what_is_there(branched: Branched) -> None:
    (made,) = branched.add(NOON, state="FAILED")
    repo = str(branched.repository.git_dir)
    listed = podium("results", "--repo", repo, "log")
    assert listed.exit_code == 0
    assert listed.output.split() == ["2026-01-02T03:04:05.678Z", "FAILED", made, "etl.daily"]
    (row,) = json.loads(podium("results", "--repo", repo, "log", "--output", "json", "--day", "2026-01-02").output)
    assert row["path"] == record_path(made, "etl", "daily")
    shown = podium("results", "--repo", repo, "show", made, "--commit")
    assert json.loads(shown.stdout)["execution"]["id"] == made
    assert "1 execution: 1 FAILED (etl.daily)" in shown.stderr
    assert json.loads(podium("results", "--repo", repo, "show", made, "--logs").stdout)["message"] == "hi"
    missing = podium("results", "--repo", repo, "show", id_at(NOON, 99))
    assert missing.exit_code == 1
    assert "no record" in missing.stderr
    assert podium("results", "--repo", repo, "log", "--day", "yesterday").exit_code == 2


def test_verify_fails_when_something_is_wrong(branched: Branched) -> None:
    (made,) = branched.add(NOON)
    repo = str(branched.repository.git_dir)
    fine = podium("results", "--repo", repo, "verify")
    assert (fine.exit_code, fine.output) == (0, "0 findings in 1 records, 2 commits: results\n")
    tampered(branched, {record_path(made, "etl", "daily"): b"{}"})
    wrong = podium("results", "--repo", repo, "verify", "--output", "json", "--no-objects")
    assert wrong.exit_code == 1
    assert not json.loads(wrong.stdout)["ok"]


def test_rebuild_enters_every_record_into_the_index(branched: Branched, tmp_path: Path) -> None:
    made = branched.add(NOON, times=3)
    branched.add(NOON, amend=1, state="FAILED")
    repo = str(branched.repository.git_dir)
    assert podium("results", "--repo", repo, "rebuild", "--dry-run").output == "3 records in the branch\n"
    config = tmp_path / "podium.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    done = podium("results", "--repo", repo, "--config", str(config), "rebuild")
    assert (done.exit_code, done.output) == (0, "3 records entered\n")
    from podium.store.db import Database
    from podium.store.views import Views

    database = Database.open(tmp_path / "home" / "journal.db")
    summary = Views(database).summary(made[0])
    database.close()
    assert summary
    assert summary["state"]["current"] == "FAILED"


def test_a_branch_becomes_a_period_here_and_at_the_remote(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Repository.init_bare(tmp_path / "remote.git") as remote, Repository.init_bare(home / "results.git") as repository:
        url = str(remote.git_dir)
        branched = Branched(repository, Branch(repository, branch="results", url=url, credentials=None, instance="test"))
        branched.add(NOON)
        tip = repository.resolve(RESULTS)
        assert tip
        branched.branch.push("results", tip, files=1)
        config = tmp_path / "podium.toml"
        config.write_text(f'home = "{home}"\n[results]\nurl = "{url}"\n')
        refused = podium("results", "--config", str(config), "rotate", "--yes")
        assert refused.exit_code == 1
        assert "monthly" in refused.stderr
        config.write_text(f'home = "{home}"\n[results]\nurl = "{url}"\nrotate = "monthly"\n')
        done = podium("results", "--config", str(config), "rotate", "--yes")
        assert (done.exit_code, done.output) == (0, "results/2026-01\n"), done.output
        assert remote.refs("refs/heads/") == repository.refs("refs/heads/") == {"refs/heads/results/2026-01": tip}
        monthly = Branch(repository, branch="results", url=url, credentials=None, instance="test", rotate="monthly")
        monthly.adopt(branched.at)
        assert monthly.unpushed() == []
        assert podium("results", "--config", str(config), "rotate", "--yes").output.startswith("nothing to do")


def test_old_periods_are_forgotten_on_command_only_when_the_remote_has_the_same(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Repository.init_bare(tmp_path / "remote.git") as remote, Repository.init_bare(home / "results.git") as repository:
        url = str(remote.git_dir)
        monthly = Branched(repository, Branch(repository, branch="results", url=url, credentials=None, instance="test", rotate="monthly"))
        made = []
        for month in (1, 2, 3, 4):
            monthly.at = NOON.replace(month=month)
            made += monthly.add(monthly.at, number=month)
        for name in monthly.branch.names()[:-1]:
            tip = repository.resolve(f"refs/heads/{name}")
            assert tip
            monthly.branch.push(name, tip, files=1)
        config = tmp_path / "podium.toml"
        config.write_text(f'home = "{home}"\n[results]\nurl = "{url}"\nrotate = "monthly"\nkeep_periods = 2\n')
        command = ("results", "--config", str(config), "forget")
        assert podium(*command, "--dry-run").output.split() == ["results/2026-01", "results/2026-02"]
        assert podium(*command, "--yes").exit_code == 0
        left = ["refs/heads/results/2026-03", "refs/heads/results/2026-04"]
        assert list(repository.refs("refs/heads/")) == left
        assert list(remote.refs("refs/heads/")) == left[:1]
        assert not [ref for ref in repository.refs("refs/podium/") if "2026-01" in ref or "2026-02" in ref]
        found = []
        ResultsReader(repository).rebuild(lambda record: found.append(record.place.execution_id))
        assert found == made[2:]
        assert verify(repository).ok
        assert podium(*command, "--yes").output.startswith("nothing to do")
        # The newest that was closed was never pushed: it stays, whatever is asked.
        refused = podium(*command, "--keep", "1", "--yes")
        assert refused.exit_code == 0, refused.stderr
        monthly.at = NOON.replace(month=5)
        monthly.add(monthly.at, number=5)
        refused = podium(*command, "--keep", "1", "--yes")
        assert refused.exit_code == 1
        assert "never pushed" in refused.stderr
        assert "refs/heads/results/2026-04" in repository.refs("refs/heads/")


def test_no_copy_of_the_branch_is_told_with_the_way_out(tmp_path: Path) -> None:
    config = tmp_path / "podium.toml"
    config.write_text(f'home = "{tmp_path / "home"}"\n')
    failed = podium("results", "--config", str(config), "log")
    assert failed.exit_code == 1
    assert "--repo" in failed.stderr
