"""A template in a repository, from the push to the record: pinned while executions run, over a restart, and on a new machine."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import DaemonHouse, daemon_house, wait_for

TEMPLATE = """\
id: shared
namespace: company.team
tasks:
  - {{id: nap, type: core.flow.Sleep, duration: PT{seconds}S}}
  - {{id: said, type: core.debug.Return, format: "{word} {{{{ parent.outputs.args.name }}}}"}}
"""
FLOW = """\
id: user
namespace: company.team
tasks:
  - {id: t, type: core.flow.Template, namespace: company.team, templateId: shared, args: {name: ada}}
outputs:
  - {id: said, type: STRING, value: "{{ outputs.said.value }}"}
"""


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[DaemonHouse]:
    with daemon_house(tmp_path, free_port) as made:
        yield made


def test_an_execution_keeps_the_template_of_its_commit(house: DaemonHouse) -> None:
    house.push({"_templates/shared.yaml": TEMPLATE.format(word="old", seconds=4), "user.yaml": FLOW})
    house.deployed("company.team", "user")
    first = house.execute("company.team", "user")
    refused = house.push({"_templates/shared.yaml": None}, check=False)
    assert refused.returncode != 0
    assert "user.yaml:4:64: tasks[0].templateId: Unable to find template 'company.team'.'shared'" in refused.stderr
    house.git("reset", "--quiet", "--hard", "origin/main")
    pushed = house.push({"_templates/shared.yaml": TEMPLATE.format(word="new", seconds=0)})
    assert "company.team.user" in pushed.stderr
    house.deployed("company.team", "user", revision=2)
    house.kill()
    house.start()
    ended = house.ended(first)
    assert (ended["state"]["current"], ended["flowRevision"], ended["outputs"]) == ("SUCCESS", 1, {"said": "old ada"})
    second = house.ended(house.execute("company.team", "user"))
    assert (second["flowRevision"], second["outputs"]) == (2, {"said": "new ada"})
    wait_for(lambda: {first, second["id"]} <= set(house.records()), "the records")
    house.stop()
    shutil.rmtree(house.home)
    house.start()
    house.deployed("company.team", "user", revision=2)
    again = house.call("POST", f"/api/v1/executions/{first}/replay")
    assert house.ended(again["id"])["outputs"] == {"said": "old ada"}
