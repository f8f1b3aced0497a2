"""What an earlier life of the daemon had asked of the engine when it was killed is removed, whenever it comes to be; nothing else is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from remote_house import docker_runner

from podium.base.system.ids import new_id
from podium.runners.docker import reaper

pytestmark = pytest.mark.docker
INSTANCE = f"reaped-{os.getpid()}"
Made = Callable[..., str]


@pytest.fixture
def made(docker_engine: Any, images: Mapping[str, str]) -> Iterator[Made]:
    """Makes a container with these labels besides the instance's; its name."""
    names: list[str] = []

    def make(**labels: str) -> str:
        name = f"{INSTANCE}-{len(names)}"
        given = {"podium.instance": INSTANCE, **{f"podium.{key}": value for key, value in labels.items()}}
        docker_engine.api.create_container(images["busybox"], ["true"], name=name, labels=given)
        names.append(name)
        return name

    yield make
    for each in docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.instance={INSTANCE}"}):
        each.remove(force=True)


def there(engine: Any) -> set[str]:
    return {each.name for each in engine.containers.list(all=True, filters={"label": f"podium.instance={INSTANCE}"}, ignore_removed=True)}


async def test_a_supervised_container_is_an_attempts_by_its_claim_only(docker_engine: Any, made: Made, tmp_path: Path) -> None:
    live = new_id()
    made(life="earlier", attempt=live, supervised=new_id())
    plain = made(life="earlier", attempt=live)
    kept = made(life="earlier", attempt=new_id(), keep="true")
    made(life="earlier", attempt=new_id())
    runner = docker_runner("supervised", INSTANCE, tmp_path)
    assert await runner.reap({live}) == 2
    await runner.close()
    assert there(docker_engine) == {plain, kept}


async def test_what_comes_late_of_an_earlier_life_is_removed_and_nothing_of_this_one(
    docker_engine: Any, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "AGAIN_AFTER_S", (1.0,) * 60)
    live, runner = new_id(), docker_runner("supervised", INSTANCE, tmp_path)
    assert await runner.reap({live}) == 0
    late = made(life="earlier", attempt=live, supervised=new_id())
    ours = made(life=runner._life, attempt=new_id(), supervised=new_id())
    lives = made(life="earlier", attempt=live)
    async with asyncio.timeout(60):
        while late in await asyncio.to_thread(there, docker_engine):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)
    assert there(docker_engine) == {ours, lives}
    await runner.close()
