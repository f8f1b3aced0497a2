"""taskCache over executions: the second run of a task with the same properties is not made, and nobody notices but the log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from podium.app.settings import Settings
from podium.app.wiring.core import Core
from podium.app.wiring.foreground import choose, open_foreground
from podium.conductor.port import StartRequest

FLOW = """\
id: f
namespace: n
inputs:
  - {id: name, type: STRING, defaults: ada}
  - {id: code, type: INT, defaults: 0}
tasks:
  - id: made
    type: scripts.shell.Commands
    taskRunner: {type: core.runner.Process}
    taskCache: {enabled: true, ttl: %s}
    outputFiles: ["out/*.txt"]
    commands:
      - echo once >> %s
      - mkdir -p out && echo "{{ inputs.name }}" > out/name.txt
      - echo '::{"outputs":{"name":"{{ inputs.name }}"}}::'
      - exit {{ inputs.code }}
  - {id: read, type: core.debug.Return, format: "{{ outputs.made.vars.name }} {{ read(outputs.made.outputFiles['out/name.txt']) | trim }}"}
outputs:
  - {id: read, type: STRING, value: "{{ outputs.read.value }}"}
"""


async def run(core: Core, **inputs: Any) -> dict[str, Any]:
    view = await core.podium.start(StartRequest(namespace="n", flow_id="f", inputs=inputs))
    return dict(await core.podium.wait(view["id"], timeout_s=60))


def written(tmp_path: Path, ttl: str) -> tuple[str, Path]:
    ran = tmp_path / "ran"
    (tmp_path / "f.yaml").write_text(FLOW % (ttl, ran), "utf-8")
    return str(tmp_path / "f.yaml"), ran


def times(ran: Path) -> int:
    return len(ran.read_text("utf-8").splitlines())


async def test_a_run_with_the_same_properties_gives_the_outputs_of_the_earlier_one(tmp_path: Path) -> None:
    file, ran = written(tmp_path, "PT1H")
    async with open_foreground(Settings(), choose(file, None)) as core:
        first, second = await run(core), await run(core)
        assert times(ran) == 1
        assert [each["state"]["current"] for each in (first, second)] == ["SUCCESS", "SUCCESS"]
        assert first["outputs"] == second["outputs"] == {"read": "ada ada"}
        uris = [each["taskRunList"][0]["outputs"]["outputFiles"]["out/name.txt"] for each in (first, second)]
        assert first["id"] in uris[0]
        assert second["id"] in uris[1]
        logs = [each["message"] for each in await core.podium.logs(second["id"])]
        assert any(each.startswith("taskCache: the task did not run") and first["id"] in each for each in logs)
        other = await run(core, name="bob")
        assert other["outputs"] == {"read": "bob bob"}
        assert times(ran) == 2


async def test_an_earlier_run_whose_files_are_gone_is_made_again(tmp_path: Path) -> None:
    file, ran = written(tmp_path, "PT1H")
    async with open_foreground(Settings(), choose(file, None)) as core:
        first = await run(core)
        core.renderer.file_reader.files.delete(first["taskRunList"][0]["outputs"]["outputFiles"]["out/name.txt"])
        assert (await run(core))["outputs"] == {"read": "ada ada"}
        assert times(ran) == 2


async def test_nothing_is_kept_of_a_failure_and_nothing_lasts_longer_than_its_time(tmp_path: Path) -> None:
    file, ran = written(tmp_path, "PT0.2S")
    async with open_foreground(Settings(), choose(file, None)) as core:
        for _ in range(2):
            assert (await run(core, code=3))["state"]["current"] == "FAILED"
        assert times(ran) == 2
        await run(core)
        await asyncio.sleep(0.3)
        await run(core)
        assert times(ran) == 4
