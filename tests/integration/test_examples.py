"""Every example flow of flows/ is valid, says what it shows, and runs to the end it promises, in real containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from podium.app.plugins import load_types
from podium.flows.load import parse_flows

FLOWS = Path(__file__).resolve().parents[2] / "flows"
EXAMPLES = sorted(path.stem for path in FLOWS.glob("*.yaml"))

ENDS: dict[str, dict[str, Any]] = {
    "after": {"inputs": {"greeting": "Hello"}, "outputs": {"heard": "Hello"}},
    "approval": {"state": "WARNING", "tasks": {"ask": "SUCCESS", "release": "WARNING", "report": "SUCCESS"}},
    "batches": {"options": ["--flows", "."], "outputs": {"count": 3, "taxes": '{"tax":50.0}\n{"tax":20.0}\n{"tax":10.0}'}},
    "branches": {"inputs": {"environment": "staging"}, "tasks": {"choose": "SUCCESS", "quick": "SUCCESS", "page-somebody": "SKIPPED"}},
    "child": {"inputs": {"amount": "250"}, "outputs": {"tax": 50.0}},
    "duckdb": {"outputs": {"first_total": 20.5, "days": 2}},
    "errors-and-retries": {"state": "WARNING", "tasks": {"flaky": "SUCCESS", "optional": "WARNING", "tidy": "SUCCESS"}},
    "etl": {"inputs": {"orders": "20"}, "tasks": {"extract": "SUCCESS", "transform": "SUCCESS", "load": "SUCCESS"}},
    "file-drop": {"inputs": {"file": "/srv/inbox/a.csv"}},
    "foreach": {"outputs": {"first": "Paris has 5 letters"}},
    "hello": {"inputs": {"name": "Ada"}, "outputs": {"greeting": "Hello, Ada, from Linux"}},
    "http": {"outputs": {"code": 200}},
    "inputs": {"outputs": {"answer": 42}},
    "loop": {"outputs": {"letters": [5, 4, 6]}},
    "key-value": {"outputs": {"runs": 1}},
    "node": {"outputs": {"lengths": 3}},
    "parallel": {"tasks": {"disk": "SUCCESS", "network": "SUCCESS", "query": "SUCCESS", "report": "SUCCESS"}},
    "parent": {"options": ["--flows", "."], "outputs": {"tax": 50.0}},
    "python-from-file": {"outputs": {"top": "the, dog, quick"}},
    "python-inline": {"outputs": {"mean": 3.875}},
    "schedule": {},
    "sqlite": {"inputs": {"name": "O'Hara"}, "outputs": {"newest": "O'Hara since 2026-01-06"}},
    "swarm": {"elsewhere": "tests/acceptance/test_daemon_swarm.py"},
    "kubernetes": {"elsewhere": "tests/acceptance/test_daemon_kubernetes.py"},
    "webhook": {"inputs": {"name": "Ada"}, "outputs": {"name": "Ada"}},
    "working-directory": {"outputs": {"text": "1: HELLO FROM THE FLOW"}},
}
"""Example → inputs and options given, and what its execution must show; or the test that runs it, when it needs a daemon."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, images: Mapping[str, str]) -> Path:
    """A Git work tree with the examples, and settings that map image names to what this machine has."""
    root = tmp_path_factory.mktemp("examples")
    shutil.copytree(FLOWS, root / "flows")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    stand_ins = {"ubuntu": images["debian"], "ubuntu:*": images["debian"], "python:*": images["python"], "node": images["node"], "node:*": images["node"]}
    table = "".join(f'"{name}" = "{image}"\n' for name, image in stand_ins.items() if image)
    (root / "podium.toml").write_text(f"[runner.images]\n{table}")
    return root


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An HTTP API to call."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"status": "UP"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/"
        listening.shutdown()


def run_flow(repository: Path, example: str, inputs: Mapping[str, str], options: Sequence[str] = ()) -> tuple[int, dict[str, Any], str]:
    argv = [sys.executable, "-m", "podium", "run", f"flows/{example}.yaml", "--output", "json", "--timeout", "120", *options]
    for name, value in inputs.items():
        argv += ["--input", f"{name}={value}"]
    done = subprocess.run(argv, cwd=repository, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=150)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_valid_and_says_what_it_shows(example: str) -> None:
    (parsed,) = parse_flows((FLOWS / f"{example}.yaml").read_text(), file=f"{example}.yaml", types=load_types())
    assert [str(problem) for problem in (*parsed.problems, *parsed.warnings)] == []
    assert parsed.flow is not None
    assert (parsed.namespace, parsed.flow_id) == ("examples", example)
    assert len(parsed.flow.description or "") > 60


def test_every_example_is_run() -> None:
    assert sorted(ENDS) == EXAMPLES


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize("example", [each for each in EXAMPLES if "elsewhere" not in ENDS[each]])
def test_example_ends_as_promised(example: str, repository: Path, server: str, images: Mapping[str, str]) -> None:
    want = ENDS[example]
    if example == "node" and not images["node"]:
        pytest.skip("no image with node here: podium images build node")
    inputs = want.get("inputs", {}) | ({"address": server} if example == "http" else {})
    code, execution, said = run_flow(repository, example, inputs, want.get("options", ()))
    assert execution.get("state", {}).get("current") == want.get("state", "SUCCESS"), said
    assert code == 0
    states = {run["taskId"]: run["state"]["current"] for run in execution["taskRunList"]}
    assert want.get("tasks", {}).items() <= states.items()
    got = {key: value.strip() if isinstance(value, str) else value for key, value in (execution.get("outputs") or {}).items()}
    assert want.get("outputs", {}).items() <= got.items()


@pytest.mark.docker
@pytest.mark.slow
def test_failing_example_runs_its_errors_and_its_finally(repository: Path) -> None:
    code, execution, _ = run_flow(repository, "errors-and-retries", {"fail": "true"})
    states = {run["taskId"]: run["state"]["current"] for run in execution["taskRunList"]}
    assert code == 1
    assert execution["state"]["current"] == "FAILED"
    assert {"stop-here": "FAILED", "tell": "SUCCESS", "tidy": "SUCCESS"}.items() <= states.items()


def test_wrong_input_is_refused_before_anything_runs(repository: Path) -> None:
    code, execution, said = run_flow(repository, "inputs", {"port": "99999"})
    assert code != 0
    assert execution == {}
    assert "port" in said
