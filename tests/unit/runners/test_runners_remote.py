"""What comes from containers on other machines: nothing is believed that could lose, double or misplace something."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import LimitError, RunnerRefused
from podium.base.limits import LISTING_BYTES_MAX, RESULT_BYTES_MAX
from podium.base.ports import Answer
from podium.runners.docker.config import Policy
from podium.runners.port import Job
from podium.runners.remote import parcel
from podium.runners.remote.desk import Desk
from podium.runners.remote.program import Program
from podium.runners.swarm import spec


def job(home: Path, **extra: Any) -> Job:
    base = home / "attempts" / "a1"
    for name in ("work", "results", "private"):
        (base / name).mkdir(parents=True, exist_ok=True)
    return Job(attempt_id="a1", argv=["true"], directory=base / "work", results=base / "results", private=base / "private", **extra)


def listing(*entries: tuple[str, str, str]) -> bytes:
    return b"".join(f"{kind} 644 3 {path}\0{target}\0".encode() for kind, path, target in entries)


def archive(files: Mapping[str, bytes], *, code: int = 0) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in {"result": json.dumps({"code": code}).encode(), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


def plan(made: Job, *entries: tuple[str, str, str], code: int = 0) -> parcel.Plan:
    return parcel.plan(made, parcel.read_listing(listing(*entries)), code=code)


def test_only_what_matches_is_asked_for(tmp_path: Path) -> None:
    made = plan(job(tmp_path, output_patterns=["*.csv"], unwanted=["x.csv"]), ("F", "work/a.csv", ""), ("F", "work/x.csv", ""), ("F", "work/b", ""), ("D", "work/d.csv", ""))
    assert made.sources() == ["work/a.csv"]
    assert made.left_out == []


def test_links_are_followed_within_the_directory_only(tmp_path: Path) -> None:
    made = plan(
        job(tmp_path, output_patterns=["*"]),
        ("F", "work/real", ""), ("L", "work/good", "real"), ("L", "work/absolute", "/podium/work/real"), ("L", "work/up", "../private/key"),
        ("L", "work/out", "/etc/passwd"), ("L", "work/self", "self"), ("F", "private/key", ""), ("L", "work/folder", "."),
    )
    assert made.results == {"work/real": ["real", "good", "absolute"]}
    assert sorted(made.left_out) == ["folder", "out", "self", "up"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "work/../../x", "work//x", "./work/x"])
def test_a_listing_cannot_name_places_elsewhere(path: str) -> None:
    with pytest.raises(ValueError, match=r"x|passwd"):
        parcel.read_listing(listing(("F", path, "")))


def test_a_listing_that_was_cut_off_is_an_error() -> None:
    with pytest.raises(LimitError):
        parcel.read_listing(b"\0" * (LISTING_BYTES_MAX + 1))


def test_more_than_may_be_kept_is_an_error(tmp_path: Path) -> None:
    entries = [parcel.Entry("F", 0o644, RESULT_BYTES_MAX, f"work/{name}", "") for name in "ab"]
    with pytest.raises(LimitError):
        parcel.plan(job(tmp_path, output_patterns=["*"]), entries, code=0)


def test_a_shared_directory_gets_nothing_through_a_link(tmp_path: Path) -> None:
    """A listing may call one path a link and a folder: what follows must stay inside."""
    made = job(tmp_path, write_back=True)
    wanted = plan(made, ("L", "work/b", "."), ("F", "work/b/evil", ""), ("L", "work/out", "/etc"), ("L", "work/up", "../.."))
    sent = tmp_path / "result.tar"
    sent.write_bytes(archive({"work/b/evil": b"bad", "work/not-asked": b"bad", "../escaped": b"bad"}))
    with pytest.raises(Exception, match="results cannot be written"):
        parcel.place(made, wanted, sent, tmp_path / "staging")
    assert not list(tmp_path.rglob("escaped"))
    assert not list(tmp_path.rglob("not-asked"))


def test_caches_are_kept_after_success_only(tmp_path: Path) -> None:
    made = job(tmp_path, caches={"venv": tmp_path / "cache"})
    assert plan(made, ("F", "private/venv/x", ""), code=0).sources() == ["private/venv/x"]
    assert plan(made, ("F", "private/venv/x", ""), code=1).sources() == []


async def began(desk: Desk, made: Job, by: str = "c1") -> str:
    token = desk.open(made)
    given = await desk.input("a1", by)
    assert not isinstance(given, Answer)
    given.close()
    return token


async def test_the_first_container_that_asks_runs_the_attempt_and_no_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    token = await began(desk, job(tmp_path))
    assert desk.admit("a1", token) is None
    again, other = await desk.input("a1", "c1"), await desk.input("a1", "c2")
    assert not isinstance(again, Answer), "an answer that got lost is given again"
    again.close()
    assert isinstance(other, Answer)
    assert other.status == 409
    reborn = Desk(tmp_path)
    reborn.register(job(tmp_path))
    after = await reborn.input("a1", "c2")
    assert isinstance(after, Answer)
    assert after.status == 409, "a restart of the daemon changes nothing about it"


async def test_who_has_no_token_gets_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    token = await began(desk, job(tmp_path))
    for attempt, given, status in (("a1", token + "x", 401), ("a1", "", 401), ("a1", "\udcff", 401), ("a2", token, 410), ("../a1", token, 410)):
        answer = desk.admit(attempt, given)
        assert answer is not None
        assert answer.status == status


async def test_output_is_kept_once_by_its_offset(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await began(desk, job(tmp_path))
    sent = [(0, b"one\n", 200), (0, b"one\n", 200), (4, b"two\n", 200), (12, b"four\n", 409), (8, b"three\n", 200)]
    for offset, data, status in sent:
        assert (await desk.output("a1", "c1", "stdout", offset, data)).status == status
    assert (desk.folder("a1") / "stdout").read_bytes() == b"one\ntwo\nthree\n"
    lost = await desk.output("a1", "c1", "stdout", 4, b"two\n")
    assert (lost.status, lost.body) == (409, "14"), "it is told where to go on"
    assert (await desk.output("a1", "c2", "stdout", 14, b"x")).status == 410
    assert (await desk.output("a1", "c1", "../x", 0, b"x")).status == 400


async def test_a_result_that_broke_off_does_not_count(tmp_path: Path) -> None:
    desk, whole = Desk(tmp_path), archive({"work/a": b"x" * 2000}, code=3)
    await began(desk, job(tmp_path))
    for data, size in ((whole[:-600], len(whole)), (b"no archive", 10), (whole, None)):
        assert (await desk.result("a1", "c1", pieces(data), size)).status in (413, 503)
        assert desk.ended("a1") is None
    assert (await desk.result("a1", "c2", pieces(whole), len(whole))).status == 410
    assert (await desk.result("a1", "c1", pieces(whole), len(whole))).status == 200
    assert (await desk.result("a1", "c1", pieces(b"again"), 5)).status == 200, "whoever asks again has done so already"
    arrived = desk.ended("a1")
    assert arrived is not None
    assert parcel.result_of(arrived)["code"] == 3
    assert [path.name for path in desk.folder("a1").glob("result*")] == ["result.tar"]


async def test_an_order_arrives_at_once_and_survives_the_daemon(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await began(desk, job(tmp_path))
    waiting = asyncio.create_task(desk.orders("a1", "c1"))
    await asyncio.sleep(0)
    await desk.kill("a1", grace_s=2.5)
    assert (await asyncio.wait_for(waiting, 30)).body == "kill 2.5"
    assert (await Desk(tmp_path).orders("a1", "c1")).body == "kill 2.5"
    desk.forget("a1")
    assert (await desk.orders("a1", "c1")).status == 410, "an attempt that is over ends its container"


async def test_what_was_killed_before_it_began_gets_no_files(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.open(job(tmp_path))
    await desk.kill("a1", grace_s=0)
    answer = await desk.input("a1", "c1")
    assert isinstance(answer, Answer)
    assert answer.status == 410
    assert not desk.began("a1")


def test_a_program_that_was_not_built_is_said_so(tmp_path: Path) -> None:
    for path in (None, tmp_path / "missing"):
        with pytest.raises(RunnerRefused) as caught:
            Program.read(path)
        assert caught.value.hint


FOUND = {"Id": "sha256:abc", "RepoDigests": ["r/x@sha256:def"], "Config": {"User": "app"}}


@pytest.mark.parametrize(
    ("policy", "found", "name"),
    [
        ("IF_NOT_PRESENT", FOUND, "r/x@sha256:def"), ("IF_NOT_PRESENT", {**FOUND, "RepoDigests": []}, "sha256:abc"), ("IF_NOT_PRESENT", None, "x:1"),
        ("ALWAYS", FOUND, "x:1"), ("NEVER", FOUND, "sha256:abc"),
    ],
)
def test_nodes_run_the_image_that_the_manager_knows(policy: str, found: Mapping[str, Any] | None, name: str) -> None:
    assert spec.choose_image("x:1", policy, found).name == name


def test_changing_the_user_takes_two_capabilities_and_an_unknown_one_memory(tmp_path: Path) -> None:
    def made(found: Mapping[str, Any] | None, **options: Any) -> dict[str, Any]:
        image = spec.choose_image("x:1", "IF_NOT_PRESENT", found)
        body = spec.service(
            job(tmp_path, options=options), instance="i", image=image, argv=["/p"], config=("c", "c"), secret=("s", "s"), secrets={}, policy=Policy(),
            constraints=[],
        )
        container: dict[str, Any] = body["TaskTemplate"]["ContainerSpec"]
        return container

    assert made(FOUND)["CapabilityAdd"] == ["CAP_SETGID", "CAP_SETUID"]
    plain = made({**FOUND, "Config": {}})
    assert "CapabilityAdd" not in plain
    assert (plain["User"], plain["CapabilityDrop"], plain["Secrets"][0]["File"]["Mode"]) == ("0:0", ["ALL"], 0o400)
    unknown = made(None)
    assert "User" not in unknown
    assert unknown["Mounts"][0]["Type"] == "tmpfs"
    assert "Mounts" not in made(None, user="1000")
