"""Taking results out of a directory, and reading output files as they grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.base.errors import LimitError
from podium.base.system.clock import SystemClock
from podium.runners.collect import Budget, copy_matching
from podium.runners.process import spawn, tail
from podium.runners.process.tail import LINES_AT_ONCE_MAX, Tail


def test_only_regular_files_inside_leave(tmp_path: Path) -> None:
    source, results = tmp_path / "s", tmp_path / "r"
    (source / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (source / "a.txt").write_text("a")
    (source / "sub/b.txt").write_text("b")
    (source / "out.txt").symlink_to(tmp_path / "secret")
    (source / "in.txt").symlink_to("a.txt")
    (source / "up").symlink_to(tmp_path)
    (source / "gone.txt").symlink_to("nothing")
    left_out = copy_matching(source, results, ["**"])
    assert {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()} == {"a.txt", "in.txt", "sub/b.txt"}
    assert left_out == ["out.txt"]
    assert copy_matching(source, tmp_path / "r2", ["up/*"]) == []
    assert copy_matching(source, tmp_path / "r3", ["../secret", "sub/../../secret"]) == []
    assert not (tmp_path / "r3").exists()


def test_a_budget_names_what_was_exceeded() -> None:
    with pytest.raises(LimitError) as files:
        Budget(files_max=0).take("a", 1)
    with pytest.raises(LimitError) as size:
        Budget(bytes_max=10).take("a", 11)
    assert (files.value.facts["limit"], size.value.facts["limit"]) == ("RESULT_FILES_MAX", "RESULT_BYTES_MAX")


def test_a_tail_gives_whole_lines_and_goes_on_from_its_cursor(tmp_path: Path) -> None:
    out = tmp_path / "stdout"
    reader = Tail(tmp_path, None, SystemClock())
    assert reader.read()[0] == []
    out.write_bytes(b"one\ntw")
    lines, cursor = reader.read()
    assert [line.text for line in lines] == ["one"]
    out.write_bytes(b"one\ntwo\n\nlast")
    again = Tail(tmp_path, cursor, SystemClock())
    assert [line.text for line in again.read()[0]] == ["two", ""]
    assert [line.text for line in again.read(final=True)[0]] == ["last"]
    assert again.read(final=True)[0] == []


def test_a_tail_ends_a_file_without_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "COMMAND_OUTPUT_BYTES_MAX", 10)
    (tmp_path / "stderr").write_text("x" * 11)
    with pytest.raises(LimitError, match="COMMAND_OUTPUT_BYTES_MAX"):
        Tail(tmp_path, None, SystemClock()).read()


def test_the_daemons_own_environment_stays_at_home() -> None:
    environ = {
        "PATH": "/bin", "HOME": "/h", "SECRET_X": "s", "PODIUM_SERVER__TOKEN": "t", "NOTIFY_SOCKET": "/n", "LISTEN_FDS": "1",
        "CREDENTIALS_DIRECTORY": "/c", "INVOCATION_ID": "i", "HTTPS_PROXY": "p",
    }
    assert spawn.foreign_environment(environ) == {"PATH": "/bin", "HOME": "/h", "HTTPS_PROXY": "p"}
    assert spawn.scope_prefix({"PATH": "/bin"}, attempt_id="a") == []


def test_a_flood_of_lines_comes_in_batches_and_whole(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(b"\n" * (LINES_AT_ONCE_MAX * 2) + b"last")
    reader, found = Tail(tmp_path, None, SystemClock()), []
    while batch := reader.read(final=True)[0]:
        assert len(batch) <= LINES_AT_ONCE_MAX
        found += [line.text for line in batch]
    assert found == [""] * (LINES_AT_ONCE_MAX * 2) + ["last"]
