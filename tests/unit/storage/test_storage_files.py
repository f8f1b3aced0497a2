"""Internal storage on a directory and on another file system: whole files or none, bounded reads, no way out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.base.errors import LimitError, NotFound, StorageError
from podium.base.system.ids import new_id
from podium.storage.files import FileStorage


@pytest.fixture(params=["directory", "file-url", "memory", "other-file-system"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStorage]:
    root = tmp_path / "store"
    if request.param == "other-file-system":
        (tmp_path / "base").mkdir()
        yield FileStorage("dir://store", options={"target_protocol": "file", "path": str(tmp_path / "base")})
        return
    yield FileStorage({"directory": str(root), "file-url": root.as_uri(), "memory": f"memory://{new_id()}"}[request.param])


def test_what_is_put_can_be_read_in_every_way(files: FileStorage, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"\x00data\xff" * 1000)
    uri = files.put("kestra:///a/b/x.bin", source)
    assert uri == "kestra:///a/b/x.bin"
    assert files.get(uri) == source.read_bytes()
    assert files.size(uri) == 6000
    assert files.exists(uri)
    with files.open(uri) as stream:
        assert stream.read(5) == b"\x00data"
    files.copy_to(uri, tmp_path / "new" / "copy.bin")
    assert (tmp_path / "new" / "copy.bin").read_bytes() == source.read_bytes()
    assert files.modified_at(uri).tzinfo is not None


def test_a_file_is_replaced_by_one_of_the_same_name(files: FileStorage) -> None:
    files.put("kestra:///a/x", b"one")
    files.put("kestra:///a/x", b"two, longer")
    assert files.get("kestra:///a/x") == b"two, longer"
    files.put("kestra:///a/x", b"")
    assert files.size("kestra:///a/x") == 0


def test_a_missing_file_is_not_found(files: FileStorage, tmp_path: Path) -> None:
    files.put("kestra:///a/x", b"")
    for call in (files.get, files.open, files.size, files.modified_at):
        with pytest.raises(NotFound, match="kestra:///a/missing"):
            call("kestra:///a/missing")
    with pytest.raises(NotFound):
        files.copy_to("kestra:///a/missing", tmp_path / "x")
    assert not files.exists("kestra:///a/missing")
    assert not files.exists("kestra:///a")
    assert not files.exists("kestra:///a/x/below-a-file")
    assert files.delete("kestra:///a/missing") is False
    assert files.delete("kestra:///a") is False


def test_a_read_stops_at_its_limit(files: FileStorage) -> None:
    files.put("kestra:///a/x", b"12345")
    assert files.get("kestra:///a/x", bytes_max=5) == b"12345"
    with pytest.raises(LimitError, match="over 4 bytes"):
        files.get("kestra:///a/x", bytes_max=4)


def test_listing_and_deleting_a_folder(files: FileStorage) -> None:
    for path in ("e1/tasks/a b.txt", "e1/tasks/deep/c", "e1/x", "e10/y"):
        files.put(f"kestra:///ns/{path}", b"x")
    assert files.list("kestra:///ns/e1/") == ["kestra:///ns/e1/tasks/a%20b.txt", "kestra:///ns/e1/tasks/deep/c", "kestra:///ns/e1/x"]
    assert files.list("kestra:///ns/e1") == files.list("kestra:///ns/e1/")
    assert files.list("kestra:///nothing/here") == []
    assert files.delete("kestra:///ns/e1/x") is True
    assert files.delete_prefix("kestra:///ns/e1/") == 2
    assert files.list("kestra:///ns") == ["kestra:///ns/e10/y"]
    assert files.delete_prefix("kestra:///ns/e1/") == 0


@pytest.mark.parametrize("uri", ["kestra:///../x", "kestra:///a/%2e%2e/%2e%2e/x", "kestra:///", "file:///tmp/x"])
def test_no_call_takes_a_uri_that_leads_out(files: FileStorage, uri: str, tmp_path: Path) -> None:
    for call in (files.get, files.open, files.size, files.exists, files.delete, files.list, files.delete_prefix, files.modified_at):
        with pytest.raises(StorageError):
            call(uri)
    with pytest.raises(StorageError):
        files.put(uri, b"x")
    with pytest.raises(StorageError):
        files.copy_to(uri, tmp_path / "x")


def test_a_link_or_pipe_left_by_a_task_is_not_stored(files: FileStorage, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host secret")
    link = tmp_path / "link"
    link.symlink_to(secret)
    with pytest.raises(StorageError):
        files.put("kestra:///a/x", link)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="not a regular file"):
        files.put("kestra:///a/x", tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises((StorageError, NotFound)):
        files.put("kestra:///a/x", tmp_path / "folder")
    assert not files.exists("kestra:///a/x")


def test_links_inside_the_root_are_not_followed(tmp_path: Path) -> None:
    files = FileStorage(tmp_path / "store")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("secret")
    (tmp_path / "store" / "ns").symlink_to(outside)
    (tmp_path / "store" / "y").symlink_to(outside / "x")
    for uri in ("kestra:///ns/x", "kestra:///y"):
        with pytest.raises(StorageError):
            files.get(uri)
        with pytest.raises(StorageError):
            files.put(uri, b"overwritten")
        with pytest.raises(StorageError):
            files.delete(uri)
    with pytest.raises(StorageError):
        files.delete_prefix("kestra:///ns")
    assert (outside / "x").read_text() == "secret"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """A reader never sees half a file: nothing is written in place."""
    files = FileStorage(tmp_path / "store")
    files.put("kestra:///a/x", b"old")
    drafts = tmp_path / "store" / ".drafts"
    drafts.rmdir()
    drafts.write_text("in the way")
    with pytest.raises(StorageError):
        files.put("kestra:///a/x", b"new")
    drafts.unlink()
    assert files.get("kestra:///a/x") == b"old"
    assert files.list("kestra:///a") == ["kestra:///a/x"]


def test_no_draft_stays_behind(tmp_path: Path) -> None:
    files = FileStorage(tmp_path / "store")
    files.put("kestra:///a/x", b"x")
    assert list((tmp_path / "store" / ".drafts").iterdir()) == []
    assert files.list("kestra:///a") == ["kestra:///a/x"]


def test_puts_and_deletes_of_neighbours_at_once_lose_nothing(tmp_path: Path) -> None:
    """Deleting the last file of a folder removes the folder, also while another file is moved into it."""
    files = FileStorage(tmp_path / "store")
    errors: list[Exception] = []

    def work(name: str) -> None:
        try:
            for _ in range(100):
                files.put(f"kestra:///a/b/{name}", b"x")
                assert files.get(f"kestra:///a/b/{name}") == b"x"
                files.delete(f"kestra:///a/b/{name}")
        except Exception as error:  # noqa: BLE001 (told to the test)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == []


def test_an_unknown_kind_of_storage_says_so() -> None:
    with pytest.raises(StorageError) as found:
        FileStorage("nosuchscheme://user:hunter2@host/x")
    assert "hunter2" not in found.value.what
