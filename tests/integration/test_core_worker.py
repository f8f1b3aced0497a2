"""Core tasks carried out by a real worker: in child processes, with timeouts, kept secrets and templated definitions."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_house import Server, served
from worker_bench import Bench

from podium.base.errors import TakesLong
from podium.storage.crypto import Cipher, is_sealed


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "home")
    yield made
    await made.close()


@pytest.fixture
def url() -> Iterator[str]:
    with served(Server()) as server:
        yield f"http://127.0.0.1:{server.server_port}"


async def test_a_request_in_a_child_process(bench: Bench, url: str) -> None:
    ended, _ = await bench.go("core.http.Request", uri="{{ u }}/echo", headers={"X-A": "{{ n }}"}, variables={"u": url, "n": 5})
    assert ended.state == "SUCCESS", ended.error
    assert json.loads(ended.outputs["body"])["headers"]["X-A"] == "5"
    ended, journal = await bench.go("core.http.Request", uri=f"{url}/error")
    assert ended.state == "FAILED"
    assert "Failed http request with response code '500'" in str(ended.error)
    assert any("response code '500'" in text for text in journal.texts("ERROR"))


async def test_an_encrypted_body_is_kept_sealed(bench: Bench, url: str) -> None:
    ended, _ = await bench.go("core.http.Request", uri=f"{url}/latin", encryptBody=True)
    assert is_sealed(ended.outputs["encryptedBody"])
    assert Cipher(b"k" * 32).unseal(ended.outputs["encryptedBody"]) == "é"


async def test_a_download_is_stored_below_its_task_run(bench: Bench, url: str) -> None:
    ended, _ = await bench.go("core.http.Download", uri=f"{url}/files/a.csv")
    assert ended.outputs["uri"].startswith("kestra:///company/team/flow-one/executions/")
    assert bench.stored(ended.outputs["uri"]) == b"file data"
    assert [(each.name, each.value) for each in ended.metrics] == [("response.length", 9)]


async def test_a_request_that_hangs_is_ended_by_its_timeout(bench: Bench) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        ended, _ = await bench.go("core.http.Request", uri=f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout="PT1S")
    assert ended.state == "FAILED"
    assert "Timeout after PT1S" in str(ended.error)
    assert time.monotonic() - began < 30


async def test_files_go_from_task_to_task(bench: Bench) -> None:
    work = bench.work(bench.task("core.storage.Write", content="1\n2\n3\n4\n", extension=".txt"))

    async def then(kind: str, **properties: Any) -> dict[str, Any]:
        from worker_bench import Journal

        following = bench.work(bench.task(kind, **properties), execution_id=work.execution_id)
        ended = await bench.worker.run(following, Journal())
        assert ended.state == "SUCCESS", ended.error
        return dict(ended.outputs)

    from worker_bench import Journal

    written = (await bench.worker.run(work, Journal())).outputs["uri"]
    parts = (await then("core.storage.Split", **{"from": written}, rows=3))["uris"]
    assert [bench.stored(uri) for uri in parts] == [b"1\n2\n3\n", b"4\n"]
    joined = (await then("core.storage.Concat", files=parts))["uri"]
    assert (await then("core.storage.Size", uri=joined))["size"] == 8
    assert bench.stored((await then("core.storage.Reverse", **{"from": joined}))["uri"]) == b"4\n3\n2\n1\n"
    kept = await then("core.storage.FilterItems", **{"from": joined}, filterCondition="{{ value > 2 }}")
    assert (kept["processedItemsTotal"], kept["droppedItemsTotal"]) == (4, 2)
    assert (await then("core.storage.Delete", uri=joined))["deleted"] is True
    assert written in (await then("core.storage.PurgeCurrentExecutionFiles"))["uris"]


async def test_a_file_of_another_execution_fails_the_task(bench: Bench) -> None:
    first, _ = await bench.go("core.storage.Write", content="secret")
    ended, _ = await bench.go("core.storage.Size", uri=first.outputs["uri"])
    assert ended.state == "FAILED"
    assert "may not be read by this execution" in str(ended.error)


@pytest.mark.parametrize(
    ("spec", "outputs"),
    [
        ("type: io.kestra.plugin.core.debug.Return\nformat: '{{ x }}'", {"value": "5"}),
        ("type: io.kestra.plugin.core.storage.Write\nid: w\ncontent: '{{ x }}'", None),
    ],
)
async def test_a_templated_task_of_any_kind(bench: Bench, spec: str, outputs: dict[str, Any] | None) -> None:
    ended, _ = await bench.go("core.templating.TemplatedTask", spec=spec, variables={"x": 5})
    assert ended.state == "SUCCESS", ended.error
    if outputs is not None:
        assert ended.outputs == outputs
    else:
        assert bench.stored(ended.outputs["uri"]) == b"5"


async def test_uploads_and_downloads_of_namespace_files(bench: Bench) -> None:
    (bench.repository / "a.sql").write_text("select 1")
    ended, journal = await bench.go("core.namespace.DownloadFiles", files="**/*.sql")
    assert bench.stored(ended.outputs["files"]["a.sql"]) == b"select 1"
    ended, journal = await bench.go("core.namespace.DeleteFiles", files=["a.sql"])
    assert any("is in Git and stays" in text for text in journal.texts("WARN"))


async def test_a_secret_used_by_a_task_is_masked_in_its_log(bench: Bench) -> None:
    ended, journal = await bench.go("core.log.Log", message="it is {{ secret('TOKEN') }}")
    assert ended.state == "SUCCESS"
    assert journal.texts() == ["it is ********"]
    ended, journal = await bench.go("core.execution.Fail", errorMessage="no {{ secret('TOKEN') }}")
    assert (ended.state, ended.error) == ("FAILED", "Fail always")
    assert "s3cr3t" not in "".join(journal.texts())


async def test_an_inline_task_that_takes_long_is_left_to_whoever_can_wait(bench: Bench) -> None:
    heavy = "{% for i in range(1, 60000) %}{% endfor %}{{ 1 }}"
    with pytest.raises(TakesLong):
        await bench.run(bench.task("core.debug.Return", format=heavy), at_once=True)
    with pytest.raises(TakesLong):
        await bench.run(bench.task("core.debug.Return", format="x", runIf=heavy), at_once=True)
    ended, _ = await bench.go("core.debug.Return", format=heavy)
    assert ended.outputs == {"value": "1"}
    ended, journal = await bench.go("core.execution.Assert", conditions=[heavy])
    assert (ended.state, journal.texts("ERROR")) == ("SUCCESS", [])
