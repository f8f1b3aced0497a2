"""The log of deliveries: what is kept, what is masked, and that it never grows past its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podium.base import limits
from podium.base.inbound.deliveries import Delivered, Judged
from podium.base.redact import MASK
from podium.base.system.ids import new_id
from podium.store.deliveries.log import StoredDeliveries


@pytest.fixture
def kept(tmp_path: Path, clock: Any) -> Iterator[StoredDeliveries]:
    made = StoredDeliveries(tmp_path / "deliveries.db", clock, days=30).open()
    yield made
    made.close()


def delivered(clock: Any, verdict: str = "ACCEPTED", **more: Any) -> Delivered:
    judged = Judged(verdict=verdict, trigger_id="t", verified=more.pop("verified", verdict != "BAD_SIGNATURE"), masks=more.pop("masks", ()))
    more.setdefault("body_bytes", len(more.get("body", b"")))
    return Delivered(**{"id": new_id(), "at": clock.now(), "namespace": "team", "flow_id": "f", "judged": judged, "status": 200, **more})


async def test_a_delivery_is_read_as_soon_as_it_was_noted(kept: StoredDeliveries, clock: Any) -> None:
    one = delivered(clock, body=b'{"a": 1}', headers=[("X-A", "1"), ("X-A", "2")], query=[("q", "\ud800")], execution_id="e", remote="1.2.3.4", path="a/b")
    kept.note(one)
    found = await kept.one(one.id)
    assert found is not None
    assert (found.body, found.headers, found.query, found.execution_id, found.at) == (one.body, one.headers, one.query, "e", one.at)
    assert found.cannot_resend == ""
    assert await kept.one("nothing") is None


async def test_the_list_is_newest_first_and_filtered(kept: StoredDeliveries, clock: Any) -> None:
    for number in range(6):
        clock.advance(60)
        kept.note(delivered(clock, "FILTERED" if number % 2 else "ACCEPTED", namespace="team" if number < 4 else "team.sub", flow_id=f"f{number}"))
    names = lambda found: [each.flow_id for each in found[0]]  # noqa: E731
    assert names(await kept.find()) == ["f5", "f4", "f3", "f2", "f1", "f0"]
    assert (names(await kept.find(page=2, size=2)), (await kept.find(size=2))[1]) == (["f3", "f2"], 6)
    assert names(await kept.find(verdicts=["FILTERED"], namespace="team.sub")) == ["f5"]
    assert names(await kept.find(namespaces={"team.sub"})) == ["f5", "f4"]
    assert names(await kept.find(namespaces={"tea", "team.su"})) == []
    assert names(await kept.find(namespaces=set())) == []
    assert names(await kept.find(flow_id="f1", trigger_id="t")) == ["f1"]
    found, _ = await kept.find(after=clock.now())
    assert [each.flow_id for each in found] == ["f5"]
    assert found[0].body == b""


async def test_secrets_never_reach_the_disk(kept: StoredDeliveries, clock: Any, tmp_path: Path) -> None:
    one = delivered(
        clock, body=b'{"note": "open-sesame"}', headers=[("Authorization", "Bearer abc"), ("X-Odd", "open-sesame")], query=[("token", "abc")], masks=["open-sesame"],
    )
    kept.note(one)
    found = await kept.one(one.id)
    assert found is not None
    assert found.headers == [("Authorization", MASK), ("X-Odd", MASK)]
    assert found.query == [("token", MASK)]
    assert (found.body, found.cannot_resend) == (b'{"note": "********"}', "not_again_masked")
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"open-sesame" not in stored
    assert b"Bearer abc" not in stored


async def test_what_cannot_be_sent_again_says_why(kept: StoredDeliveries, clock: Any) -> None:
    long = delivered(clock, body=b"x" * (limits.DELIVERY_BODY_BYTES_MAX + 1))
    wrong = delivered(clock, "BAD_SIGNATURE", body=b"x")
    for each in (long, wrong):
        kept.note(each)
    found = [await kept.one(each.id) for each in (long, wrong)]
    assert [each.cannot_resend for each in found if each] == ["not_again_cut", "not_again_unproved"]
    assert found[0] is not None
    assert len(found[0].body) == limits.DELIVERY_BODY_BYTES_MAX


async def test_rows_bytes_and_days_are_bounded(kept: StoredDeliveries, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DELIVERIES_MAX", 20)
    monkeypatch.setattr(limits, "UNPROVED_DELIVERIES_MAX", 5)
    for number in range(30):
        kept.note(delivered(clock, flow_id=f"f{number}", body=b"x" * 1_000))
    for _ in range(30):
        kept.note(delivered(clock, "BAD_SIGNATURE"))
    await kept.find()
    kept.prune()
    found, total = await kept.find(size=100)
    assert total == 25
    assert sorted({each.flow_id for each in found}) == sorted({"f", *(f"f{number}" for number in range(10, 30))})
    monkeypatch.setattr(limits, "DELIVERIES_BYTES_MAX", 1)
    kept.prune()
    assert (await kept.find())[1] == 0
    monkeypatch.setattr(limits, "DELIVERIES_BYTES_MAX", 10**9)
    kept.note(delivered(clock))
    await kept.find()
    clock.advance(31 * 86_400)
    kept.note(delivered(clock, flow_id="new"))
    await kept.find()
    kept.prune()
    assert [each.flow_id for each in (await kept.find())[0]] == ["new"]


async def test_what_comes_too_fast_is_counted_and_nobody_waits(kept: StoredDeliveries, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DELIVERIES_WAITING_MAX", 10)
    monkeypatch.setattr(kept, "_enter", lambda batch: None)
    started = asyncio.get_running_loop().time()
    for _ in range(10_000):
        kept.note(delivered(clock))
    assert asyncio.get_running_loop().time() - started < 5
    assert kept.facts()["dropped"] > 0


async def test_a_disk_that_fails_stops_nothing(kept: StoredDeliveries, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    enter = kept._enter

    def fails(batch: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(kept, "_enter", fails)
    kept.note(delivered(clock, flow_id="lost"))
    assert await kept.find() == ([], 0)
    monkeypatch.setattr(kept, "_enter", enter)
    kept.note(delivered(clock, flow_id="kept"))
    assert [each.flow_id for each in (await kept.find())[0]] == ["kept"]


async def test_it_outlives_a_restart_and_a_broken_file_is_begun_anew(tmp_path: Path, clock: Any) -> None:
    path = tmp_path / "deliveries.db"
    first = StoredDeliveries(path, clock, days=30).open()
    first.note(delivered(clock))
    first.close()
    second = StoredDeliveries(path, clock, days=30).open()
    assert (await second.find())[1] == 1
    assert second.facts()["rows"] == 1
    second.close()
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    path.write_bytes(b"not a database" * 1_000)
    third = StoredDeliveries(path, clock, days=30).open()
    assert (await third.find())[1] == 0
    third.close()
