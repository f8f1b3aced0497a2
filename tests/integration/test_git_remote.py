"""Remotes for real: over a path and over HTTP with a token, pushes refused, mirrors killed half way."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from podium.base.errors import GitError, GitMoved, GitRefused, SettingsError
from podium.git import process, remote
from podium.git.credentials import Credentials, access
from podium.git.repo import Repository

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MAIN = "refs/heads/main"
TOKEN = "t0ken-that-must-stay-secret"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Repository]:
    with Repository.init_bare(tmp_path / "srv" / "flows.git") as made:
        made.commit(ref=MAIN, parent=None, changes={"a.yaml": b"1"}, message="First", at=AT)
        yield made


class Forge(BaseHTTPRequestHandler):
    """A forge that wants a token: git's own HTTP server program behind basic authentication."""

    root: Path
    seen: list[str]

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *args: object) -> None:
        pass

    def _serve(self, body: bytes) -> None:
        self.seen += _command_lines()
        wanted = "Basic " + base64.b64encode(f"robot:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="forge"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        env = os.environ | {
            "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": "robot", "REMOTE_ADDR": "127.0.0.1",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True).stdout
        head, _, content = out.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n"))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.fixture
def forge(origin: Repository) -> Iterator[tuple[str, type[Forge]]]:
    handler = type("ThisForge", (Forge,), {"root": origin.git_dir.parent, "seen": []})
    subprocess.run(["git", "--git-dir", str(origin.git_dir), "config", "http.receivepack", "true"], check=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/flows.git", handler
    server.shutdown()
    server.server_close()
    thread.join()


def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def test_a_token_lets_in_and_is_on_no_command_line(tmp_path: Path, forge: tuple[str, type[Forge]]) -> None:
    url, handler = forge
    credentials = Credentials(token_file=token_file(tmp_path), username="robot")
    with Repository.mirror(tmp_path / "m.git", url, credentials=credentials) as mirror:
        tip = mirror.commit(ref=MAIN, parent=mirror.resolve("main"), changes={"b": b"2"}, message="Second", at=AT)
        mirror.push(url, f"{MAIN}:{MAIN}", credentials=credentials)
        assert remote.heads(url, credentials=credentials, timeout_s=60)[MAIN] == tip
    commands = [line for line in handler.seen if "git" in line]
    assert any("flows.git" in line for line in commands)
    assert not any(TOKEN in line for line in commands)
    assert not [path for path in (tmp_path / "m.git").rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_password_in_the_url_is_on_no_command_line_either(tmp_path: Path, forge: tuple[str, type[Forge]]) -> None:
    url, handler = forge
    with Repository.mirror(tmp_path / "m.git", url.replace("://", f"://robot:{TOKEN}@")) as mirror:
        assert mirror.files("main").keys() == {"a.yaml"}
    assert not any(TOKEN in line for line in handler.seen if "pytest" not in line)


def test_a_wrong_or_missing_token_is_refused_without_a_prompt(tmp_path: Path, forge: tuple[str, type[Forge]]) -> None:
    url, _ = forge
    (tmp_path / "wrong").write_text("wrong")
    for credentials in (None, Credentials(token_file=tmp_path / "wrong", username="robot")):
        with pytest.raises(GitRefused) as caught:
            Repository.mirror(tmp_path / "m.git", url, credentials=credentials)
        assert caught.value.facts["reason"] == "auth"
        assert not caught.value.retryable
    assert sorted(path.name for path in tmp_path.iterdir() if "m.git" in path.name) == [".m.git.lock"]


def test_secrets_are_bound_to_their_host_and_need_encryption(tmp_path: Path) -> None:
    credentials = Credentials(token_file=token_file(tmp_path))
    with pytest.raises(SettingsError):
        access("http://forge.example.org/x.git", credentials)
    url, env = access("https://me:pass%40word@forge.example.org:8443/x.git", None)
    assert url == "https://forge.example.org:8443/x.git"
    assert env["PODIUM_GIT_PASSWORD"] == "pass@word"
    assert env["GIT_CONFIG_KEY_1"] == "credential.https://forge.example.org:8443.helper"
    with pytest.raises(SettingsError):
        access("https://forge.example.org/x.git", Credentials(token_file=tmp_path / "absent"))


def test_ssh_uses_the_given_key_and_never_asks(tmp_path: Path) -> None:
    key = tmp_path / "my key"
    key.write_text("x")
    url, env = access("git@forge.example.org:flows.git", Credentials(ssh_key=key, known_hosts=key))
    assert url == "git@forge.example.org:flows.git"
    assert f"-i '{key}'" in env["GIT_SSH_COMMAND"]
    assert "BatchMode=yes" in env["GIT_SSH_COMMAND"]
    assert "StrictHostKeyChecking=yes" in env["GIT_SSH_COMMAND"]
    with pytest.raises(SettingsError):
        access("git@forge.example.org:flows.git", Credentials(ssh_key=tmp_path / "absent"))


@pytest.mark.parametrize("url", ["-oProxyCommand=touch x", "--upload-pack=touch x", "ext::touch x", "a\nb"])
def test_a_url_runs_nothing(tmp_path: Path, url: str) -> None:
    with Repository.init_bare(tmp_path / "r.git") as repository, pytest.raises(GitError):
        repository.fetch(url, refspecs=[MAIN])


def test_relative_paths_are_those_of_the_caller(tmp_path: Path, origin: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(origin.git_dir.parent)
    with Repository.mirror(tmp_path / "m.git", "flows.git") as mirror:
        assert mirror.resolve("main") == origin.resolve("main")


def test_remotes_that_are_away_or_absent_say_which(tmp_path: Path) -> None:
    with Repository.init_bare(tmp_path / "r.git") as repository:
        for url, reason in (
            ("http://127.0.0.1:9/x.git", "unreachable"), ("ssh://127.0.0.1:9/x.git", "unreachable"), (str(tmp_path / "none.git"), "no-repository"),
        ):
            with pytest.raises(GitError) as caught:
                repository.fetch(url, refspecs=[MAIN])
            assert caught.value.facts["reason"] == reason
            assert caught.value.retryable == (reason == "unreachable")


def test_a_remote_that_hangs_is_given_up_and_its_processes_end(tmp_path: Path) -> None:
    """A timeout must not leave a git child behind."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, Repository.init_bare(tmp_path / "r.git") as repository:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/hang.git"
        started = time.monotonic()
        with pytest.raises(GitError) as caught:
            repository.fetch(url, refspecs=[MAIN], timeout_s=0.5)
        assert caught.value.facts["reason"] == "timeout"
        assert time.monotonic() - started < 30, "the remote never answers"
        give_up_at = time.monotonic() + 30
        while left := [line for line in _command_lines() if url in line]:
            assert time.monotonic() < give_up_at, left
            time.sleep(0.02)


def test_a_push_onto_new_commits_is_refused_and_never_forced(tmp_path: Path, origin: Repository) -> None:
    url = str(origin.git_dir)
    with Repository.mirror(tmp_path / "m.git", url) as mirror:
        base = mirror.resolve("main")
        theirs = origin.commit(ref=MAIN, parent=base, changes={"t": b""}, message="Theirs", at=AT)
        mirror.commit(ref=MAIN, parent=base, changes={"o": b""}, message="Ours", at=AT)
        with pytest.raises(GitMoved):
            mirror.push(url, f"{MAIN}:{MAIN}")
        with pytest.raises(GitError):
            mirror.push(url, f"+{MAIN}:{MAIN}")
        assert origin.resolve("main") == theirs


def test_a_hooks_words_reach_the_reader(tmp_path: Path, origin: Repository) -> None:
    hook = origin.git_dir / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not on a Friday >&2\nexit 1\n")
    hook.chmod(0o755)
    with Repository.mirror(tmp_path / "m.git", str(origin.git_dir)) as mirror:
        mirror.commit(ref=MAIN, parent=mirror.resolve("main"), changes={"o": b""}, message="Ours", at=AT)
        with pytest.raises(GitRefused) as caught:
            mirror.push(str(origin.git_dir), f"{MAIN}:{MAIN}")
    assert caught.value.facts["reason"] == "hook"
    assert "not on a Friday" in caught.value.what


def test_a_damaged_mirror_is_replaced_and_keeps_its_pins(tmp_path: Path, origin: Repository) -> None:
    path = tmp_path / "m.git"
    with Repository.mirror(path, str(origin.git_dir)) as mirror:
        pinned = mirror.resolve("main")
        assert pinned
        mirror.pin(pinned)
    (path / "refs" / "heads").mkdir(exist_ok=True, parents=True)
    (path / "refs" / "heads" / "broken").write_text("1" * 40 + "\n")
    with Repository.mirror(path, str(origin.git_dir)) as again:
        assert again.pins() == {pinned}
        assert "refs/heads/broken" not in again.refs("refs/heads/")
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith(".m.git.")] == [".m.git.lock"]


def test_a_damaged_mirror_stays_when_the_remote_is_away(tmp_path: Path, origin: Repository) -> None:
    path = tmp_path / "m.git"
    Repository.mirror(path, str(origin.git_dir)).close()
    (path / "refs" / "heads" / "broken").write_text("1" * 40 + "\n")
    with pytest.raises(GitError):
        Repository.mirror(path, str(tmp_path / "away.git"))
    assert (path / "HEAD").exists()


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path, origin: Repository) -> None:
    path = tmp_path / "precious"
    path.mkdir()
    (path / "thesis.txt").write_text("x")
    with pytest.raises(GitError) as caught:
        Repository.mirror(path, str(origin.git_dir))
    assert caught.value.facts["reason"] == "occupied"
    assert (path / "thesis.txt").read_text() == "x"


@pytest.mark.slow
def test_a_mirror_killed_at_any_moment_is_whole_or_absent(tmp_path: Path, origin: Repository) -> None:
    """kill -9 during the first clone: the next start must find nothing or everything."""
    parent = origin.resolve("main")
    for number in range(20):
        parent = origin.commit(ref=MAIN, parent=parent, changes={f"{number}/{n}": os.urandom(2_000) for n in range(40)}, message="m", at=AT)
    path = tmp_path / "m.git"
    code = f"from pathlib import Path; from podium.git.repo import Repository; Repository.mirror(Path({str(path)!r}), {str(origin.git_dir)!r}); print('done')"
    outcomes = set()
    for delay in (0.08, 0.11, 0.14, 0.17, 0.2, 0.23, 0.26, 0.3):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(delay)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        outcomes.add(path.exists())
        if path.exists():
            done = process.run(["fsck", "--full"], git_dir=path)
            assert done.code == 0, done.stderr
            assert process.check(["rev-parse", MAIN], git_dir=path).decode().strip() == parent
            subprocess.run(["rm", "-rf", str(path)], check=True)
    with Repository.mirror(path, str(origin.git_dir)) as mirror:
        assert mirror.resolve("main") == parent
    assert sorted(found.name for found in tmp_path.iterdir() if found.name.startswith(".m.git")) == [".m.git.lock"]


def test_a_push_that_hangs_ends_when_it_is_interrupted(tmp_path: Path, origin: Repository) -> None:
    hook = origin.git_dir / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hangs\nexec sleep 60\n")
    hook.chmod(0o755)
    failed: list[GitError] = []
    with Repository.init_bare(tmp_path / "home" / "results.git") as ours:
        ours.commit(ref=MAIN, parent=None, changes={"b": b"1"}, message="Ours", at=AT)

        def push() -> None:
            try:
                ours.push(str(origin.git_dir), f"{MAIN}:refs/heads/results")
            except GitError as error:
                failed.append(error)

        pushing = threading.Thread(target=push)
        pushing.start()
        while not (origin.git_dir / "hangs").exists():
            time.sleep(0.01)
        process.interrupt(tmp_path / "elsewhere")
        assert pushing.is_alive()
        process.interrupt(tmp_path / "home")
        pushing.join(45)
    assert len(failed) == 1
