"""In whose name: the label of an execution and the lines of its log say which account started, killed, replayed it; lists within namespaces."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import house

from podium.base.access.actor import acting
from podium.conductor.port import StartRequest

COMMAND = "{id: a, type: scripts.shell.Commands, commands: [echo]}"


def flow(tasks: str) -> str:
    return f"id: f\nnamespace: n\ntasks:\n{tasks}"


def request(**more: object) -> StartRequest:
    return StartRequest(**{"namespace": "n", "flow_id": "f", **more})  # type: ignore[arg-type]


def labels(view: dict[str, object]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in view["labels"]}  # type: ignore[attr-defined, index]


async def test_who_starts_and_kills_is_written_down(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: None) as h:
        await h.deploy(flow("  - " + COMMAND))
        with acting("ann"):
            started = await h.podium.start(request())
        assert labels(started)["system.username"] == "ann"
        with acting("bob"):
            await h.podium.kill(started["id"])
        assert {"Started by ann", "Killed by bob"} <= {each["message"] for each in await h.podium.logs(started["id"])}


async def test_a_replay_is_of_who_asked_for_it_and_a_trigger_of_nobody(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy(flow("  - {id: l, type: core.log.Log, message: x}"))
        with acting("ann"):
            first = await h.podium.start(request())
            fired = await h.podium.start(request(trigger={"id": "t", "type": "Schedule", "variables": {}}))
        await h.podium.wait(first["id"], timeout_s=60)
        assert "system.username" not in labels(fired)
        with acting("bob"):
            again = await h.podium.replay(first["id"])
        assert labels(again)["system.username"] == "bob"
        assert "system.username" not in labels(await h.podium.start(request()))


async def test_lists_within_namespaces(tmp_path: Path) -> None:
    texts = [flow("  - {id: l, type: core.log.Log, message: x}").replace("namespace: n\n", f"namespace: {each}\n") for each in ("a.b", "a.bc", "a.b.c", "d")]
    async with house(tmp_path) as h:
        await h.deploy(*texts)
        ids = {}
        for each in ("a.b", "a.bc", "a.b.c", "d"):
            ids[each] = (await h.podium.start(request(namespace=each)))["id"]
            await h.podium.wait(ids[each], timeout_s=60)
        for within, seen in (({"a.b"}, {"a.b", "a.b.c"}), ({"a"}, {"a.b", "a.bc", "a.b.c"}), ({"d", "a.bc"}, {"d", "a.bc"}), (set(), set()), (None, set(ids))):
            for more in ({}, {"states": ["SUCCESS"]}, {"query": "f"}, {"sort": "state:asc"}):
                found, total = await h.podium.executions(namespaces=within, **more)
                assert ({each["namespace"] for each in found}, total) == (seen, len(seen)), (within, more)
            lines, number = await h.podium.search_logs(namespaces=within)
            assert {each["namespace"] for each in lines} == seen
            assert number == len(seen)
            assert {each["namespace"] for each in (await h.podium.search_logs(namespaces=within, query="l"))[0]} == seen
        assert (await h.podium.executions(namespaces={"a.b"}, query=ids["d"]))[1] == 0, "an id that is known by chance"
        assert await h.podium.namespace_of(ids["d"]) == "d"
        assert await h.podium.namespace_of("0" * 22) is None
