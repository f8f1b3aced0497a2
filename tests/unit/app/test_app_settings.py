"""Settings: order of layers, origins, mistakes, masking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from podium.app.layers import leaves, origin_of
from podium.app.settings import Settings, load_settings, load_with_origins
from podium.base.errors import SettingsError
from podium.base.redact import MASK
from podium.cli.main import cli


@pytest.fixture(autouse=True)
def _no_settings_file_here(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout may hold settings of its own (.podium/podium.toml)."""
    monkeypatch.chdir(tmp_path_factory.mktemp("nowhere"))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "podium.toml"
    path.write_text(text)
    return path


def problems(path: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ or {}, overrides)
    found = caught.value.facts["problems"]
    assert isinstance(found, list)
    return {each["key"]: f"{each['origin']}: {each['message']}" for each in found}


def test_defaults_need_no_file_at_all() -> None:
    settings = load_settings(None, {"HOME": "/home/ann"})
    assert settings.home == Path("/home/ann/.local/state/podium")
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.runner.type == "docker"
    assert settings.runner.allow_volumes is False


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"STATE_DIRECTORY": "/var/lib/podium:/var/lib/other", "HOME": "/h"}, "/var/lib/podium"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/podium"),
        ({"PODIUM_HOME": "/mine", "STATE_DIRECTORY": "/var/lib/podium"}, "/mine"),
    ],
)
def test_home_follows_systemd_then_xdg(environ: dict[str, str], home: str) -> None:
    assert load_settings(None, environ).home == Path(home)


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nport = 1\nhost = "127.0.0.9"\n[telemetry]\nlog_level = "DEBUG"\n')
    environ = {"PODIUM_SERVER__PORT": "2", "PODIUM_SERVER__HOST": "127.0.0.8"}
    settings, stack = load_with_origins(path, environ, {"server.port": 3, "server.host": None})
    assert (settings.server.port, settings.server.host, settings.telemetry.log_level) == (3, "127.0.0.8", "DEBUG")
    assert origin_of(("server", "port"), stack) == "flag"
    assert origin_of(("server", "host"), stack) == "environment PODIUM_SERVER__HOST"
    assert origin_of(("telemetry", "log_level"), stack) == f"{path}:5"
    assert origin_of(("results", "branch"), stack) == "default"


def test_sources_merge_by_name_across_layers(tmp_path: Path) -> None:
    path = write(tmp_path, '[sources.main]\nurl = "/srv/flows.git"\n[sources.other]\nurl = "/srv/other.git"\n')
    settings = load_settings(path, {"PODIUM_SOURCES__MAIN__BRANCH": "prod"})
    assert settings.sources["main"].branch == "prod"
    assert settings.sources["main"].url == "/srv/flows.git"
    assert list(settings.sources) == ["main", "other"]


def test_sources_may_be_written_as_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, '[[sources]]\nname = "a"\nurl = "/a"\n\n[[sources]]\nname = "b"\nurl = "/b"\nbrnch = "x"\n')
    assert problems(path) == {"sources.b.brnch": f"{path}:8: no such setting; did you mean branch?"}
    settings = load_settings(write(tmp_path, '[[sources]]\nname = "a"\nurl = "/a"\n'), {})
    assert settings.sources["a"].url == "/a"


def test_two_listed_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"sources\[1\] has no name of its own"):
        load_settings(write(tmp_path, '[[sources]]\nname = "a"\nurl = "/a"\n[[sources]]\nname = "a"\nurl = "/b"\n'), {})


def test_all_mistakes_are_named_at_once_with_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nprot = 80\nport = "eighty"\n\n[runner]\nmemory = "2x"\n')
    found = problems(path, {"PODIUM_RESULTS__ROTATE": "dayly"}, {"timezone": "Mars/Base"})
    assert found["server.prot"] == f"{path}:2: no such setting; did you mean port?"
    assert found["server.port"].startswith(f"{path}:3: should be a valid integer")
    assert found["runner.memory"].startswith(f"{path}:6: should be a number of bytes")
    assert found["results.rotate"].startswith("environment PODIUM_RESULTS__ROTATE: should be 'never', 'monthly' or 'weekly'")
    assert found["timezone"].startswith("flag: is no time zone")


@pytest.mark.parametrize("name", ["PODIUM_SERVR__PORT", "PODIUM_TIMZONE"])
def test_a_misspelt_variable_is_an_error(name: str) -> None:
    (message,) = problems(None, {name: "1"}).values()
    assert "did you mean" in message


def test_variables_that_a_cluster_sets_are_left_alone() -> None:
    assert load_settings(None, {"PODIUM_PORT": "tcp://10.0.0.1:80", "PODIUM_SERVICE_HOST": "10.0.0.1"}).server.port == 8080


@pytest.mark.parametrize("text", ["not toml", "[server\n", 'home = "a"\nhome = "b"\n'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"podium\.toml: not valid TOML: .*line"):
        load_settings(write(tmp_path, text), {})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such settings file"):
        load_settings(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match="there is no such settings file"):
        load_settings(None, {"PODIUM_CONFIG": str(tmp_path / "none.toml")})


def test_the_file_is_looked_for_in_the_working_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    user = tmp_path / "config" / "podium"
    user.mkdir(parents=True)
    (user / "podium.toml").write_text("[server]\nport = 1\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert load_settings(None, environ).server.port == 1
    (tmp_path / ".podium").mkdir()
    (tmp_path / ".podium" / "podium.toml").write_text("[server]\nport = 2\n")
    assert load_settings(None, environ).server.port == 2
    write(tmp_path, "[server]\nport = 3\n")
    assert load_settings(None, environ).server.port == 3


@pytest.mark.parametrize(("text", "bytes_count"), [("65536", 65536), ("64k", 65536), ("512MiB", 512 * 1024**2), ("1.5g", 1536 * 1024**2)])
def test_sizes_may_carry_a_unit(text: str, bytes_count: int) -> None:
    assert load_settings(None, {"PODIUM_RUNNER__MEMORY": text}).runner.memory == bytes_count


def test_lists_and_tables_fit_into_variables() -> None:
    environ = {
        "PODIUM_RUNNER__PASS_ENV": "HTTPS_PROXY, NO_PROXY", "PODIUM_SERVER__ALLOWED_HOSTS": '["a", "b"]',
        "PODIUM_RUNNER__IMAGES": "python:*=local/python,ubuntu=local/debian", "PODIUM_GLOBALS": '{"team": {"name": "data"}}',
    }
    settings = load_settings(None, environ)
    assert settings.runner.pass_env == ("HTTPS_PROXY", "NO_PROXY")
    assert settings.server.allowed_hosts == ("a", "b")
    assert settings.runner.images == {"python:*": "local/python", "ubuntu": "local/debian"}
    assert settings.globals == {"team": {"name": "data"}}


def test_a_table_variable_replaces_the_files_table_as_a_whole(tmp_path: Path) -> None:
    path = write(tmp_path, '[runner.images]\n"python:3.11-slim" = "x"\n')
    settings, stack = load_with_origins(path, {})
    assert settings.runner.images == {"python:3.11-slim": "x"}
    assert origin_of(("runner", "images", "python:3.11-slim"), stack) == f"{path}:2"
    assert load_settings(path, {"PODIUM_RUNNER__IMAGES": "a=b"}).runner.images == {"a": "b"}


def test_listening_beyond_loopback_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="beyond loopback"):
        load_settings(None, {"PODIUM_SERVER__HOST": "0.0.0.0"})
    token = tmp_path / "token"
    token.write_text("sesame-open\nsecond line\n")
    settings = load_settings(None, {"PODIUM_SERVER__HOST": "0.0.0.0", "PODIUM_SERVER__TOKEN_FILE": str(token)})
    assert settings.token() == "sesame-open"


def test_an_empty_token_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        load_settings(None, {"PODIUM_SERVER__TOKEN_FILE": str(tmp_path / "token")}).token()


@pytest.mark.parametrize("value", ["--upload-pack=evil", "", "  "])
def test_a_source_address_cannot_be_an_option_of_git(value: str) -> None:
    assert "sources.main.url" in problems(None, {"PODIUM_SOURCES__MAIN__URL": value})


def test_a_source_path_stays_inside_the_repository() -> None:
    assert "sources.main.path" in problems(None, {"PODIUM_SOURCES__MAIN__URL": "/x", "PODIUM_SOURCES__MAIN__PATH": "../etc"})


def test_a_wrong_secret_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    path = write(tmp_path, '[sources.main]\nurl = ["https://ann:hunter22@host/x"]\nwebhook_secret = 55555\n')
    texts = " ".join(problems(path).values())
    assert "hunter22" not in texts
    assert "55555" not in texts


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(None, {}).server.port = 1  # type: ignore[misc]  # that is the test


def test_config_show_masks_secrets_and_names_origins(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\ntoken = "hunter22"\n[sources.main]\nurl = "https://ann:hunter33@git.example/x"\n')
    done = CliRunner().invoke(cli, ["config", "show", "--config", str(path), "--output", "json"])
    assert done.exit_code == 0
    assert "hunter" not in done.output
    rows = {row["key"]: row for row in json.loads(done.output)}
    assert rows["server.token"] == {"key": "server.token", "value": MASK, "origin": f"{path}:2"}
    assert rows["sources.main.url"]["value"] == f"https://ann:{MASK}@git.example/x"
    assert rows["sources.main.branch"]["origin"] == "default"
    text = CliRunner().invoke(cli, ["config", "show", "--config", str(path), "--changed"]).output
    assert [line.split(" = ")[0].strip() for line in text.splitlines()] == ["server.token", "sources.main.url"]


def test_config_check_exits_1_and_says_what_is_wrong(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["config", "check", str(write(tmp_path, "[server]\nprt = 1\n"))])
    assert done.exit_code == 1
    assert "did you mean port?" in done.output


def test_every_default_is_shown() -> None:
    settings, stack = load_with_origins(None, {})
    assert {origin_of(key, stack) for key, _ in leaves(settings.model_dump())} == {"default"}
    assert set(settings.model_dump()) == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"runner.type": "swarm"}, "runner.remote_url"),
        ({"runner.remote_url": "https://podium.example"}, "http://host:port"),
        ({"runner.remote_url": "10.0.0.1:8080"}, "http://host:port"),
    ],
)
def test_nodes_must_be_able_to_reach_the_daemon(overrides: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={}, overrides=overrides)
    assert words in str(caught.value)


def test_an_address_for_nodes_needs_no_slash_at_its_end() -> None:
    settings = load_settings(environ={}, overrides={"runner.type": "swarm", "runner.remote_url": "http://10.0.0.1:8080/"})
    assert settings.runner.remote_url == "http://10.0.0.1:8080"
