"""The file trigger on a real file system with real events: every complete file once, whatever happens."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import LimitError
from podium.base.system.clock import SystemClock
from podium.triggers.board import TriggerBoard
from podium.triggers.kinds import files as files_module
from podium.triggers.kinds import scan
from trigger_house import House, flow_with, until


class RealHouse(House):
    """A board with the machine's clock and bells."""

    def _board(self, **options: Any) -> TriggerBoard:
        return TriggerBoard(
            orchestrator=self.orchestrator, renderer=self.renderer, types=self.types, clock=self.clock, zone=self.zone, home=self.home,
            allowed_paths=[self.home], **options,
        )

    async def open(self, **options: Any) -> None:
        await super().open(**({"scan_s": 0.3} | (options or self.options)))

    def fired(self) -> list[dict[str, Any]]:
        return [(request.trigger or {})["variables"] for request in self.started]

    def names(self) -> list[str]:
        return sorted(each["name"] for each in self.fired())

    def content(self, index: int = -1) -> bytes:
        return self.orchestrator.uploads[self.fired()[index]["uri"]]

    async def quiet(self, seconds: float = 0.5) -> None:
        """Wait until nothing new has fired for a while."""
        count = -1
        while count != len(self.started):
            count = len(self.started)
            await asyncio.sleep(seconds)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RealHouse]:
    made = RealHouse(tmp_path, SystemClock())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    directory = tmp_path / "inbox"
    directory.mkdir()
    return directory


def trigger(inbox: Path, extra: str = "", settle: str = "PT0.1S") -> str:
    return flow_with(f"type: podium.files.Trigger\npath: {inbox}\nsettleTime: {settle}\n{extra}")


async def test_a_written_file_fires_once_with_a_copy_in_storage(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox, settle="PT10M"))
    (inbox / "a.csv").write_text("1,2")
    await until(lambda: house.started, "the closed file, long before it would settle")
    await house.quiet()
    (variables,) = house.fired()
    assert house.content() == b"1,2"
    assert variables | {"uri": "", "modifiedAt": ""} == {
        "path": str(inbox / "a.csv"), "name": "a.csv", "size": 3, "modifiedAt": "", "event": "CREATED", "uri": "",
    }
    assert variables["modifiedAt"].endswith("Z")


async def test_a_file_renamed_into_place_fires_once(house: RealHouse, inbox: Path, tmp_path: Path) -> None:
    await house.install(trigger(inbox, "glob: '*.csv'\n", settle="PT10M"))
    (inbox / "a.csv.part").write_text("x")
    (inbox / "a.csv.part").rename(inbox / "a.csv")
    await until(lambda: house.names() == ["a.csv"], "the renamed file")
    outside = tmp_path / "b.csv"
    outside.write_text("y")
    await house.quiet()
    assert house.names() == ["a.csv"]


async def test_a_file_from_elsewhere_fires_once_it_is_stable(house: RealHouse, inbox: Path, tmp_path: Path) -> None:
    await house.install(trigger(inbox))
    outside = tmp_path / "b.csv"
    outside.write_text("y")
    outside.rename(inbox / "b.csv")
    await until(lambda: house.names() == ["b.csv"], "the file moved in")


async def test_a_file_that_is_being_written_waits(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox, settle="PT2S"))
    with (inbox / "slow.csv").open("wb", buffering=0) as file:
        for _ in range(30):
            file.write(b"chunk,")
            await asyncio.sleep(0.1)
            assert house.started == []
    await until(lambda: house.started, "the finished file")
    assert house.content() == b"chunk," * 30
    await house.quiet()
    assert len(house.started) == 1


async def test_a_burst_of_a_thousand_files_fires_each_once(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox))
    await asyncio.to_thread(lambda: [(inbox / f"{number:04}.txt").write_text(str(number)) for number in range(1_000)])
    await until(lambda: len(house.started) >= 1_000, "all files", timeout_s=60)
    await house.quiet()
    assert Counter(house.names()).most_common(1)[0][1] == 1
    assert len(house.started) == 1_000


async def test_files_that_came_while_the_daemon_was_away_fire_once_and_older_ones_do_not(house: RealHouse, inbox: Path) -> None:
    (inbox / "before.csv").write_text("0")
    await house.install(trigger(inbox))
    await until(lambda: house.names() == ["before.csv"], "a file that lay there already")
    await house.close()
    (inbox / "meanwhile.csv").write_text("1")
    await house.open()
    await until(lambda: len(house.started) == 2, "the file that came meanwhile")
    await house.restart()
    await house.quiet()
    assert house.names() == ["before.csv", "meanwhile.csv"]


async def test_a_crash_between_start_and_ledger_fires_nothing_twice(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox))
    (inbox / "a.csv").write_text("1")
    await until(lambda: house.started, "the file")
    await house.close()
    house.orchestrator.states.clear()
    await house.open()
    await until(lambda: house.state().get("files"), "the file is dealt with again")
    await house.quiet()
    assert len(house.started) == 1


async def test_a_changed_file_fires_again_as_modified(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox))
    (inbox / "a.csv").write_text("1")
    await until(lambda: len(house.started) == 1, "the new file")
    (inbox / "a.csv").write_text("22")
    await until(lambda: len(house.started) == 2, "the changed file")
    assert [each["event"] for each in house.fired()] == ["CREATED", "MODIFIED"]
    assert house.content() == b"22"
    (inbox / "a.csv").unlink()
    (inbox / "a.csv").write_text("333")
    await until(lambda: len(house.started) == 3, "a new file of the same name")


@pytest.mark.parametrize(("events", "expected"), [("[CREATED]", ["CREATED"]), ("[MODIFIED]", ["MODIFIED"])])
async def test_only_the_events_asked_for(house: RealHouse, inbox: Path, events: str, expected: list[str]) -> None:
    await house.install(trigger(inbox, f"events: {events}\n"))
    seen: Any = None
    for content in ("1", "22"):
        (inbox / "a.csv").write_text(content)
        await until(lambda seen=seen: house.state().get("files") not in (None, seen), "the file is dealt with")  # type: ignore[misc]
        seen = house.state()["files"]
    await house.quiet()
    assert [each["event"] for each in house.fired()] == expected


async def test_the_scan_alone_is_enough(house: RealHouse, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module.Watch, "start", classmethod(lambda cls, *_, **__: cls(None)))
    await house.install(trigger(inbox))
    (inbox / "a.csv").write_text("1")
    await until(lambda: house.names() == ["a.csv"], "the scan")


async def test_names_hidden_files_and_folders(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox, "glob: '*.csv'\n"))
    (inbox / "sub").mkdir()
    for name in ("a.csv", "b.txt", ".hidden.csv", "sub/deep.csv"):
        (inbox / name).write_text("x")
    await until(lambda: house.started, "the file that is meant")
    await house.quiet()
    assert house.names() == ["a.csv"]


async def test_recursive_finds_files_of_new_folders(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox, "recursive: true\nglob: '*.csv'\n"))
    (inbox / "one" / "two").mkdir(parents=True)
    (inbox / "one" / "two" / "a.csv").write_text("x")
    await until(lambda: house.names() == ["a.csv"], "the file in the new folder")


async def test_links_are_not_followed(house: RealHouse, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush")
    (inbox / "link").symlink_to(tmp_path / "secret")
    (inbox / "pipe").mkdir()
    os.mkfifo(inbox / "fifo")
    await house.install(trigger(inbox))
    await house.quiet()
    assert house.started == []


async def test_a_link_put_in_the_place_of_a_file_at_the_last_moment_gives_nothing_away(
    house: RealHouse, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("hush")
    real = house.orchestrator.store_upload

    async def swapped(namespace: str, flow_id: str, input_id: str, filename: str, data: Any) -> str:
        data.unlink(missing_ok=True)
        data.symlink_to(tmp_path / "secret")
        return await real(namespace, flow_id, input_id, filename, data)

    monkeypatch.setattr(house.orchestrator, "store_upload", swapped)
    await house.install(trigger(inbox))
    (inbox / "a.csv").write_text("1")
    await house.quiet()
    assert house.started == []
    assert house.orchestrator.uploads == {}


async def test_a_file_that_changes_while_it_is_copied_fires_as_it_is_in_the_end(
    house: RealHouse, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = house.orchestrator.store_upload
    changes = ["second", "third and last"]

    async def racing(namespace: str, flow_id: str, input_id: str, filename: str, data: Any) -> str:
        uri = await real(namespace, flow_id, input_id, filename, data)
        if changes:
            data.write_text(changes.pop(0))
        return uri

    monkeypatch.setattr(house.orchestrator, "store_upload", racing)
    await house.install(trigger(inbox, "action: DELETE\n"))
    (inbox / "a.csv").write_text("first")
    await until(lambda: house.started, "the file")
    await house.quiet()
    assert len(house.started) == 1
    assert house.content() == b"third and last"
    assert house.fired()[0]["size"] == len(b"third and last")


async def test_a_link_in_the_place_of_the_directory_leads_nowhere(house: RealHouse, inbox: Path) -> None:
    await house.install(trigger(inbox))
    await until(lambda: house.state(), "the trigger is armed")
    inbox.rmdir()
    inbox.symlink_to("/etc")
    await until(lambda: "leads to /etc" in house.state().get("error", ""), "the error")
    assert house.started == []


class TestActions:
    """MOVE and DELETE, after the execution is durable."""

    async def test_delete(self, house: RealHouse, inbox: Path) -> None:
        await house.install(trigger(inbox, "action: DELETE\n"))
        (inbox / "a.csv").write_text("1")
        await until(lambda: not (inbox / "a.csv").exists(), "the file is gone")
        assert house.content() == b"1"

    async def test_move_never_overwrites(self, house: RealHouse, inbox: Path) -> None:
        await house.install(trigger(inbox, f"action: MOVE\nmoveTo: {inbox}/done\nrecursive: true\n"))
        for content in ("1", "2"):
            (inbox / "a.csv").write_text(content)
            await until(lambda: not (inbox / "a.csv").exists(), "the file is moved")
        assert {each.name: each.read_text() for each in (inbox / "done").iterdir()} == {"a.csv": "1", "a-1.csv": "2"}
        await house.quiet()
        assert len(house.started) == 2

    async def test_a_move_that_fails_is_shown_and_tried_again_without_a_second_start(
        self, house: RealHouse, inbox: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("podium.triggers.runner.RETRY_S", 0.2)
        (inbox / "done").write_text("in the way")
        await house.install(trigger(inbox, f"action: MOVE\nmoveTo: {inbox}/done\nglob: '*.csv'\n"))
        (inbox / "a.csv").write_text("1")
        await until(lambda: "error" in house.state(), "the error")
        assert (inbox / "a.csv").exists()
        await house.restart()
        (inbox / "done").unlink()
        await until(lambda: (inbox / "done" / "a.csv").exists(), "the move")
        assert len(house.started) == 1
        await until(lambda: "error" not in house.state(), "the error is gone")

    async def test_nothing_is_deleted_that_started_nothing(self, house: RealHouse, inbox: Path) -> None:
        condition = "conditions:\n  - type: io.kestra.plugin.core.condition.Expression\n    expression: \"{{ trigger.name == 'go.csv' }}\"\n"
        await house.install(trigger(inbox, f"action: DELETE\nevents: [CREATED]\n{condition}"))
        (inbox / "stay.csv").write_text("1")
        (inbox / "go.csv").write_text("1")
        await until(lambda: not (inbox / "go.csv").exists(), "the one that holds")
        (inbox / "stay.csv").write_text("22")
        await house.quiet()
        await house.restart()
        await house.quiet()
        assert (inbox / "stay.csv").exists()
        assert house.names() == ["go.csv"]

    async def test_a_file_changed_meanwhile_is_not_deleted(self, inbox: Path) -> None:
        file = inbox / "a"
        file.write_text("1")
        stamp = scan.stamp_of(file)
        assert stamp is not None
        file.write_text("22")
        assert not scan.remove(file, stamp)
        assert not scan.move(file, stamp, inbox / "done")
        assert file.read_text() == "22"


class TestTrouble:
    """What goes wrong is shown, and mends itself when it can."""

    async def test_a_directory_that_is_not_allowed_is_refused(self, house: RealHouse) -> None:
        await house.install(trigger(Path("/etc")))
        await until(lambda: "error" in house.state(), "the error")
        assert "/etc" in house.state()["error"]
        assert house.started == []

    async def test_dots_do_not_lead_out(self, house: RealHouse, inbox: Path) -> None:
        await house.install(trigger(Path(f"{inbox}/../../../../etc")))
        await until(lambda: "error" in house.state(), "the error")

    async def test_a_directory_may_come_later_and_be_made_anew(self, house: RealHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("podium.triggers.runner.RETRY_S", 0.1)
        later = tmp_path / "later"
        await house.install(trigger(later))
        await until(lambda: "error" in house.state(), "the error")
        for name in ("one", "two"):
            later.mkdir()
            (later / name).write_text("x")
            await until(lambda name=name: name in house.names(), name)
            await until(lambda: "error" not in house.state(), "the error is gone")
            shutil.rmtree(later)

    async def test_a_full_queue_delays_and_loses_nothing(self, house: RealHouse, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("podium.triggers.runner.RETRY_S", 0.1)
        house.orchestrator.refuse = LimitError("full")
        await house.install(trigger(inbox))
        for number in range(40):
            (inbox / f"{number}").write_text("x")
        await until(lambda: "error" in house.state(), "the error")
        house.orchestrator.refuse = None
        await until(lambda: len(house.started) == 40, "all files")
        await house.quiet()
        assert len(house.started) == 40

    async def test_a_directory_that_is_away_for_a_while_fires_nothing_again(self, house: RealHouse, inbox: Path, tmp_path: Path) -> None:
        await house.install(trigger(inbox))
        (inbox / "a.csv").write_text("1")
        await until(lambda: house.started, "the file")
        await house.quiet()
        inbox.rename(tmp_path / "away")
        inbox.mkdir()
        await house.quiet()
        inbox.rmdir()
        (tmp_path / "away").rename(inbox)
        await house.quiet()
        assert len(house.started) == 1

    async def test_another_inode_with_the_same_content_is_the_same_file(self, house: RealHouse, inbox: Path) -> None:
        await house.install(trigger(inbox))
        (inbox / "a.csv").write_text("1")
        await until(lambda: house.started, "the file")
        await house.quiet()
        facts = (inbox / "a.csv").stat()
        other = inbox / ".a"
        other.write_text("1")
        os.utime(other, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        other.rename(inbox / "a.csv")
        await house.quiet()
        assert len(house.started) == 1

    async def test_too_large_a_file_is_a_failed_execution(self, house: RealHouse, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files_module, "UPLOAD_BYTES_MAX", 10)
        await house.install(trigger(inbox, "action: DELETE\n"))
        (inbox / "a.csv").write_text("x" * 11)
        await until(lambda: house.started, "the execution")
        assert "UPLOAD_BYTES_MAX" in (house.started[0].failed_because or "")
        await house.quiet()
        assert (inbox / "a.csv").exists()

    async def test_too_many_files_name_the_limit(self, house: RealHouse, inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scan, "WATCHED_FILES_MAX", 2)
        for name in "abc":
            (inbox / name).write_text("x")
        await house.install(trigger(inbox))
        await until(lambda: "error" in house.state(), "the error")
        assert "more than 2 files" in house.state()["error"]

    async def test_a_disabled_trigger_fires_what_came_when_it_is_enabled(self, house: RealHouse, inbox: Path) -> None:
        await house.install(trigger(inbox))
        await house.board.set_disabled("team", "f", "t", disabled=True)
        (inbox / "a.csv").write_text("1")
        await house.quiet()
        assert house.started == []
        await house.board.set_disabled("team", "f", "t", disabled=False)
        await until(lambda: house.started, "the file")

    async def test_another_glob_does_not_fire_old_files_again(self, house: RealHouse, inbox: Path) -> None:
        await house.install(trigger(inbox, "glob: '*.csv'\n"))
        (inbox / "a.csv").write_text("1")
        (inbox / "b.txt").write_text("1")
        await until(lambda: house.started, "the file")
        await house.quiet()
        house.orchestrator.dedupe.clear()
        await house.install(trigger(inbox, "glob: '*.{csv,txt}'\n"))
        await until(lambda: house.names() == ["a.csv", "b.txt"], "the file that is meant now")
        await house.quiet()
        assert house.names() == ["a.csv", "b.txt"]
