"""The Git hooks with real pushes and commits: what is wrong is refused with its place, trouble of our own never blocks."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from fake_orchestrator import FakeOrchestrator, Log, flow_text
from podium.cli.init import CLIENT_HOOKS, SERVER_HOOKS, hook_text
from podium.flows.types import Types
from podium.sources.source import Source
from podium.sources.watch import SourceWatcher

ROOT = Path(__file__).parents[2]
GOOD = "id: {id}\nnamespace: team\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: {message}\n"
BAD = "id: bad\nnamespace: team\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Lag\n    message: x\n"


def good(flow_id: str = "a", message: str = "hi", extra: str = "") -> str:
    return GOOD.format(id=flow_id, message=message) + extra


def run(*args: str | Path, cwd: Path | None = None, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(arg) for arg in args], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"{args} failed: {done.stdout}{done.stderr}")
    return done


def podium(*args: str | Path, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "podium", *args, cwd=cwd, check=check)


class Site:
    """A clone and the bare repository it pushes to, both made by `podium init`."""

    def __init__(self, root: Path) -> None:
        self.clone, self.bare, self.socket = root / "clone", root / "flows.git", root / "podium.sock"
        podium("init", self.clone, "--server", self.bare, "--socket", self.socket)
        self.git("push", "-q", "origin", "main", check=True)

    def git(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return run("git", *args, cwd=self.clone, check=check, **env)

    def write(self, files: dict[str, str | None]) -> None:
        for name, text in files.items():
            path = self.clone / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

    def commit(self, files: dict[str, str | None]) -> None:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "--allow-empty", "-m", "change")

    def push(self, *args: str, files: dict[str, str | None] | None = None) -> subprocess.CompletedProcess[str]:
        if files is not None:
            self.commit(files)
        return self.git("push", *(args or ("origin", "main")), check=False)

    def tip(self, ref: str = "main") -> str:
        return run("git", "rev-parse", "--verify", "-q", ref, cwd=self.bare, check=False).stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site to copy: making one takes a while."""
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test Person")
            patch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        Site(root)
    return root


@pytest.fixture
def site(made: Path, tmp_path: Path) -> Site:
    shutil.copytree(made, tmp_path / "site", symlinks=True)
    copied = Site.__new__(Site)
    root = tmp_path / "site"
    copied.clone, copied.bare, copied.socket = root / "clone", root / "flows.git", tmp_path / "d.sock"
    run("git", "remote", "set-url", "origin", copied.bare, cwd=copied.clone)
    run("git", "config", "podium.socket", copied.socket, cwd=copied.bare)
    return copied


@pytest.mark.parametrize("name", [*SERVER_HOOKS, *CLIENT_HOOKS])
def test_the_hooks_of_the_repository_are_those_that_init_installs(name: str) -> None:
    path = ROOT / "hooks" / name
    assert path.read_text() == hook_text(name)
    assert os.access(path, os.X_OK)
    run("sh", "-n", path)


class TestInit:
    """`podium init`."""

    def test_what_it_makes_is_valid_and_committed(self, site: Site) -> None:
        assert podium("validate", ".", cwd=site.clone).returncode == 0
        assert site.git("status", "--porcelain").stdout == ""
        assert site.tip() == site.git("rev-parse", "HEAD").stdout.strip()
        assert podium("run", "flows/hello.yaml", "--input", "name=Ada", "--output", "json", cwd=site.clone).stdout.count("Hello, Ada!")

    def test_again_changes_nothing(self, site: Site) -> None:
        def everything(root: Path) -> dict[str, bytes]:
            return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}

        (site.clone / "README.md").write_text("mine")
        (site.clone / "flows" / "hello.yaml").unlink()
        site.commit({})
        before = everything(site.clone) | everything(site.bare)
        again = podium("init", site.clone, "--server", site.bare)
        assert "everything was there already" in again.stdout
        assert everything(site.clone) | everything(site.bare) == before

    def test_files_and_hooks_of_others_stay(self, tmp_path: Path) -> None:
        run("git", "init", "-q", tmp_path / "r")
        (tmp_path / "r" / "README.md").write_text("mine")
        hook = tmp_path / "r" / ".git" / "hooks" / "pre-commit"
        hook.write_text("#!/bin/sh\nexit 0\n")
        said = podium("init", tmp_path / "r").stdout
        assert "podium hook pre-commit" in said
        assert hook.read_text() == "#!/bin/sh\nexit 0\n"
        assert (tmp_path / "r" / "README.md").read_text() == "mine"
        assert (tmp_path / "r" / "flows" / "hello.yaml").exists()

    def test_bare(self, tmp_path: Path) -> None:
        said = podium("init", tmp_path / "b.git", "--bare", "--branch", "trunk", "--source", "etl").stdout
        assert "podium serve" in said
        assert (tmp_path / "b.git" / "hooks" / "pre-receive").exists()
        assert run("git", "config", "podium.source", cwd=tmp_path / "b.git").stdout == "etl\n"
        assert podium("init", tmp_path / "b.git", "--bare", "--server", tmp_path / "x", check=False).returncode == 2


class TestPreReceive:
    """What may be pushed."""

    def test_a_good_push_is_told_what_it_changes(self, site: Site) -> None:
        schedule = "triggers:\n  - id: nightly\n    type: io.kestra.plugin.core.trigger.Schedule\n    cron: '0 2 * * *'\n    timezone: UTC\n"
        done = site.push(files={"flows/a.yaml": good("a", extra=schedule), "flows/hello.yaml": None})
        assert done.returncode == 0
        assert "+ team.a  flows/a.yaml" in done.stderr
        assert "trigger nightly (Schedule): next 20" in done.stderr
        assert "T02:00:00Z" in done.stderr
        assert "- examples.hello" in done.stderr

    def test_a_bad_flow_is_refused_with_its_place_and_a_hint(self, site: Site) -> None:
        before = site.tip()
        done = site.push(files={"flows/bad.yaml": BAD, "flows/a.yaml": good()})
        assert done.returncode != 0
        assert "flows/bad.yaml:5:11: " in done.stderr
        assert "hint: " in done.stderr
        assert site.tip() == before
        assert site.push(files={"flows/bad.yaml": None}).returncode == 0

    def test_old_mistakes_in_other_files_do_not_block(self, site: Site) -> None:
        hook = site.bare / "hooks" / "pre-receive"
        hook.rename(site.bare / "aside")
        assert site.push(files={"flows/bad.yaml": BAD}).returncode == 0
        (site.bare / "aside").rename(hook)
        assert site.push(files={"flows/a.yaml": good()}).returncode == 0

    def test_a_flow_that_is_there_already_is_refused_naming_both(self, site: Site) -> None:
        assert site.push(files={"flows/a.yaml": good()}).returncode == 0
        done = site.push(files={"other/b.yaml": good(message="other")})
        assert done.returncode != 0
        assert "flows/a.yaml" in done.stderr
        assert "other/b.yaml" in done.stderr

    def test_other_branches_may_hold_anything(self, site: Site) -> None:
        site.commit({"flows/bad.yaml": BAD})
        assert site.push("origin", "HEAD:refs/heads/draft").returncode == 0

    def test_a_mistake_in_podium_yaml_is_refused(self, site: Site) -> None:
        done = site.push(files={"podium.yaml": "pluginDefault: []\n"})
        assert done.returncode != 0
        assert "podium.yaml:1:1: " in done.stderr

    def test_a_first_push_and_a_forced_one_are_checked_too(self, site: Site) -> None:
        run("git", "update-ref", "-d", "refs/heads/main", cwd=site.bare)
        assert site.push(files={"flows/bad.yaml": BAD}).returncode != 0
        assert site.push(files={"flows/bad.yaml": good("bad")}).returncode == 0
        site.git("commit", "--amend", "-q", "--no-verify", "-m", "other")
        assert site.push("--force", "origin", "main").returncode == 0

    def test_the_results_branch_is_added_to_and_never_rewritten(self, site: Site) -> None:
        site.git("checkout", "-q", "--orphan", "results")
        site.commit({"executions/1.json": "{}"})
        assert site.push("origin", "results").returncode == 0
        site.commit({"executions/2.json": "{}"})
        assert site.push("origin", "results").returncode == 0
        tip = site.tip("results")
        site.git("commit", "--amend", "-q", "--no-verify", "-m", "history, mended")
        refused = site.push("--force", "origin", "results")
        assert refused.returncode != 0
        assert "rewrite" in refused.stderr
        assert site.push("origin", ":results").returncode != 0
        assert site.tip("results") == tip

    def test_results_that_are_kept_elsewhere_may_be_renamed_and_old_periods_dropped(self, site: Site) -> None:
        site.git("checkout", "-q", "--orphan", "results")
        site.commit({"executions/1.json": "{}"})
        site.push("origin", "results")
        assert site.push("origin", "results:refs/podium/closed/2026-01").returncode == 0
        assert site.push("origin", ":results").returncode == 0
        assert site.push("origin", "results:refs/heads/results/2026-01").returncode == 0
        assert site.push("origin", ":results/2026-01").returncode == 0

    def test_the_folder_of_the_source_is_heeded(self, site: Site) -> None:
        run("git", "config", "podium.path", "flows", cwd=site.bare)
        assert site.push(files={"elsewhere/bad.yaml": BAD}).returncode == 0
        assert site.push(files={"flows/bad.yaml": BAD}).returncode != 0

    @pytest.mark.parametrize("command", ["/no/such/podium", "false", "sh -c 'exit 7'"])
    def test_a_podium_that_does_not_work_is_said_and_blocks_nobody(self, site: Site, command: str) -> None:
        run("git", "config", "podium.command", command, cwd=site.bare)
        done = site.push(files={"flows/bad.yaml": BAD})
        assert done.returncode == 0
        assert "podium: " in done.stderr

    def test_a_command_with_spaces_in_its_path_works(self, site: Site, tmp_path: Path) -> None:
        folder = tmp_path / "with space"
        folder.mkdir()
        script = folder / "podium"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m podium "$@"\n')
        script.chmod(0o755)
        run("git", "config", "podium.command", f"'{script}'", cwd=site.bare)
        assert site.push(files={"flows/bad.yaml": BAD}).returncode != 0


@contextmanager
def answering(path: Path, *, hang: bool = False) -> Iterator[list[str]]:
    """A daemon on a socket that says it has deployed; hang: it takes the call, says nothing, and notes how long the caller waited."""
    calls: list[str] = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                calls.append(connection.recv(65536).decode().splitlines()[0])
                if hang:
                    began = time.monotonic()
                    connection.settimeout(60)
                    with suppress(TimeoutError):
                        connection.recv(1)
                    calls.append(f"{time.monotonic() - began}")
                    return
                body = b'{"name": "main", "commit": "0123456789abcdef", "flows": 7, "rejected": 1}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield calls
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(70)


class TestPostReceive:
    """Telling the daemon."""

    def test_the_daemon_is_told_and_its_answer_shown(self, site: Site) -> None:
        with answering(site.socket) as calls:
            done = site.push(files={"flows/a.yaml": good()})
        assert calls == ["POST /api/v1/hooks/main HTTP/1.1"]
        assert "deployed 0123456789: 7 flows" in done.stderr
        assert "1 file refused, see: podium flows rejected" in done.stderr

    def test_other_branches_tell_nobody(self, site: Site) -> None:
        site.commit({"x": "y"})
        with answering(site.socket) as calls:
            site.push("origin", "HEAD:refs/heads/other")
        assert calls == []

    def test_a_dead_daemon_holds_nothing_up(self, site: Site) -> None:
        site.socket.touch()
        done = site.push(files={"flows/a.yaml": good()})
        assert done.returncode == 0
        assert "does not answer" in done.stderr

    def test_a_daemon_that_hangs_is_left_after_two_seconds(self, site: Site) -> None:
        with answering(site.socket, hang=True) as calls:
            done = site.push(files={"flows/b.yaml": good("b")})
        assert done.returncode == 0
        assert "does not answer" in done.stderr
        assert calls[0] == "POST /api/v1/hooks/main HTTP/1.1"
        assert 1.5 < float(calls[1]) < 7

    async def test_from_push_to_deployed(self, site: Site, clock: Any, tmp_path: Path) -> None:
        from aiohttp import web

        orchestrator = FakeOrchestrator(clock)
        types = Types.build(tasks=[Log])
        watcher = SourceWatcher(
            [Source(name="main", url=str(site.bare), poll_interval_s=0)],
            orchestrator,  # type: ignore[arg-type]  # the fake has what sources use
            tmp_path / "home", types, clock,
        )

        async def hook(request: web.Request) -> web.Response:
            answer = await watcher.notify(request.match_info["source"], (), await request.read(), trusted=True)
            return web.json_response(answer.body, status=answer.status)

        app = web.Application()
        app.router.add_post("/api/v1/hooks/{source}", hook)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(site.socket)).start()
        following = asyncio.create_task(watcher.run())
        try:
            done = await asyncio.to_thread(site.push, files={"flows/a.yaml": flow_text("a")})
            assert done.returncode == 0
            assert f"deployed {site.tip()[:10]}: 2 flows" in done.stderr
            assert ("team", "a") in orchestrator.known
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await watcher.close()
            await runner.cleanup()


class TestPreCommit:
    """What may be committed."""

    def test_what_is_staged_counts(self, site: Site) -> None:
        site.write({"flows/bad.yaml": BAD})
        site.git("add", "-A")
        site.write({"flows/bad.yaml": good("bad")})
        refused = site.git("commit", "-q", "-m", "x", check=False)
        assert refused.returncode != 0
        assert "flows/bad.yaml:5:11: " in refused.stderr
        site.git("add", "-A")
        site.git("commit", "-q", "-m", "x")

    def test_commit_all_and_commit_of_one_file(self, site: Site) -> None:
        site.commit({"flows/a.yaml": good()})
        site.write({"flows/a.yaml": BAD})
        assert site.git("commit", "-q", "-a", "-m", "x", check=False).returncode != 0
        assert site.git("commit", "-q", "-m", "x", "--", "flows/a.yaml", check=False).returncode != 0
        assert site.git("commit", "-q", "-m", "x", "--no-verify", "-a").returncode == 0

    def test_other_files_are_not_looked_at(self, site: Site) -> None:
        site.write({"notes.txt": "x", "_drafts/bad.yaml": BAD})
        site.git("add", "-A")
        assert site.git("commit", "-q", "-m", "x").returncode == 0


class TestPlan:
    """`podium plan`."""

    def test_against_what_is_pushed(self, site: Site) -> None:
        site.commit({"flows/a.yaml": good(), "flows/hello.yaml": (site.clone / "flows" / "hello.yaml").read_text().replace("Hello, {{", "Hi, {{")})
        said = podium("plan", cwd=site.clone).stdout
        assert "+ team.a  flows/a.yaml" in said
        assert "~ examples.hello  flows/hello.yaml" in said
        assert "changed tasks.greet.message" in said

    def test_moves_comments_and_nothing(self, site: Site) -> None:
        assert "no flow changes" in podium("plan", cwd=site.clone).stdout
        site.git("mv", "flows/hello.yaml", "hello.yaml")
        site.commit({})
        assert "> examples.hello  hello.yaml (moved here, same revision)" in podium("plan", cwd=site.clone).stdout
        site.commit({"hello.yaml": "# why\n" + (site.clone / "hello.yaml").read_text()})
        assert "only comments or layout" in podium("plan", "--repo", site.clone).stdout

    def test_mistakes_and_json(self, site: Site) -> None:
        import json

        site.commit({"flows/bad.yaml": BAD, "flows/a.yaml": good()})
        done = podium("plan", "--output", "json", cwd=site.clone, check=False)
        assert done.returncode == 1
        data = json.loads(done.stdout)
        assert data["problems"][0]["file"] == "flows/bad.yaml"
        assert [each["kind"] for each in data["changes"]] == ["added"]
        assert podium("plan", "nonsense", cwd=site.clone, check=False).returncode == 1
