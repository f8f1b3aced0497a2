"""`podium gc` says and removes what is past its time: through the daemon, and on the home when none runs. Records stay."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import daemon_house, wait_for

SETTINGS = '[runner]\ntype = "process"\n[retention]\nexecutions_days = 1e-9\nlogs_days = 1e-9\nstorage_days = 1e-9\n'
FLOW = """id: f
namespace: n
tasks:
  - {id: say, type: core.log.Log, message: hello}
  - {id: file, type: core.storage.Write, content: "0123456789"}
"""


@pytest.mark.slow
def test_gc_through_the_daemon_and_without_one(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, SETTINGS) as house:
        house.push({"f.yaml": FLOW})
        wait_for(lambda: house.call("GET", "/api/v1/flows/n/f"), "the flow")
        ids = [house.call("POST", "/api/v1/executions/n/f?wait=true")["id"] for _ in range(3)]
        where = ("--home", str(house.home), "--config", str(house.config))
        wait_for(lambda: set(ids) <= set(house.records()) and not house.call("GET", "/health")["unpushed"]["count"], "their records")

        told = json.loads(house.podium("gc", "--dry-run", *where, "--output", "json").stdout)
        assert {name: told[name] for name in ("executions", "folders", "files", "bytes")} == {
            "executions": 3, "folders": 3, "files": 3, "bytes": 30
        }
        assert house.call("GET", "/api/v1/executions/search")["total"] == 3
        said = house.podium("gc", *where).stdout
        assert said.startswith("removed 3 executions in the index,"), said
        assert "3 stored files of 30 bytes" in said
        assert house.call("GET", "/api/v1/executions/search")["total"] == 0
        assert house.podium("gc", *where).stdout == "nothing is past its time\n"
        assert ids[0] in house.podium("results", "--repo", str(house.bare), "show", ids[0]).stdout

        last = house.call("POST", "/api/v1/executions/n/f?wait=true")["id"]
        wait_for(lambda: last in house.records() and not house.call("GET", "/health")["unpushed"]["count"], "its record")
        house.stop()
        assert "would remove 1 execution in the index" in house.podium("gc", "--dry-run", *where).stdout
        done = json.loads(house.podium("gc", *where, "--output", "json").stdout)
        assert (done["executions"], done["bytes"]) == (1, 10)
        house.start()
        assert house.call("GET", "/api/v1/executions/search")["total"] == 0
    refused = house.podium("gc", "--home", str(tmp_path / "none"), check=False)
    assert refused.returncode == 1
    assert "there is no home" in refused.stderr
