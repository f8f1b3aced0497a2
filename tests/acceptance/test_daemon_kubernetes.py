"""A daemon whose tasks run in a Kubernetes cluster is killed: each task starts once, every line and file is there once, nothing is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import daemon_house, wait_for

from kubernetes_house import Kubernetes

FLOW = (Path(__file__).resolve().parents[2] / "flows/kubernetes.yaml").read_text()


@pytest.mark.kubernetes
@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.parametrize("point", ["container-started", "mid-task"])
def test_a_task_in_a_cluster_survives_a_kill_of_the_daemon(point: str, tmp_path: Path, free_port: int, kubernetes: Kubernetes) -> None:
    settings = (
        f'[runner]\ntype = "process"\nremote_url = "http://{kubernetes.host_address}:{free_port}"\n'
        f'[runner.kubernetes]\nkubeconfig = "{kubernetes.kubeconfig}"\n[runner.images]\n"busybox*" = "{kubernetes.image}"\n'
    )
    beyond = {"PODIUM_SERVER__HOST": "0.0.0.0", "PODIUM_SERVER__TOKEN": "a-token-of-some-length"}
    with daemon_house(tmp_path, free_port, settings, start=False) as house:
        house.push({"kubernetes.yaml": FLOW})
        house.start(**beyond, **({} if point == "mid-task" else {"KILL_PODIUM_AT": point}))
        house.deployed("examples", "kubernetes")
        execution_id = house.execute("examples", "kubernetes")
        assert house.process is not None
        if point == "mid-task":
            wait_for(lambda: "step 2" in house.messages(execution_id), "the task's second line")
            house.kill()
        else:
            assert house.process.wait(60) == -9, "the fault point was not reached"
        house.start(**beyond)
        ended = house.ended(execution_id)
        assert ended["state"]["current"] == "SUCCESS", house.messages(execution_id)
        first_line, *others = house.messages(execution_id)
        assert first_line.startswith("as 1000 on podium-")
        assert others == ["step 1", "step 2", "step 3", "step 4", "no newline at the end"]
        (first,) = ended["taskRunList"]
        assert len(first["attempts"]) == 1
        assert ended["outputs"]["counted"] == "apple=2\npear=1\nplum=1\n"
        wait_for(lambda: not kubernetes.traces(f"{first['id']}-1"), "everything of the attempt to be gone")
