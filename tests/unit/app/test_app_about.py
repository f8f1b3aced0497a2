"""What the daemon says of its settings: origin, meaning, the file in use, and no secret."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from podium.app.settings import load_with_origins
from podium.app.wiring.about import About
from podium.base.system.clock import SystemClock


async def test_settings_have_their_origin_and_meaning_and_secrets_are_masked(tmp_path: Path) -> None:
    file = tmp_path / "podium.toml"
    file.write_text('[server]\nport = 9090\ntoken = "a-very-secret-token"\n[sources.main]\nurl = "https://bob:pass-word@git.example/x.git"\n')
    settings, origins = load_with_origins(file, {"PODIUM_TIMEZONE": "Europe/Paris"}, {"home": str(tmp_path)})
    podium = SimpleNamespace(standby=lambda: False)
    core = cast(Any, SimpleNamespace(clock=SystemClock(), zone="UTC", worker=SimpleNamespace(warm=2), podium=podium))
    about = About(core, settings, origins)
    rows = {each["key"]: each for each in await about.settings()}
    assert (rows["server.port"]["value"], rows["server.port"]["origin"], rows["server.port"]["changed"]) == (9090, f"{file}:2", True)
    assert "takes a free one" in rows["server.port"]["about"]
    assert "a path, an ssh" in rows["sources.main.url"]["about"]
    assert (rows["sources.main.url"]["section"], rows["runner.kubernetes.context"]["section"]) == ("sources.main", "runner.kubernetes")
    assert "TIMEZONE" in rows["timezone"]["origin"]
    assert rows["runner.type"]["origin"] == "default"
    assert not any(text in str(rows) for text in ("a-very-secret-token", "pass-word"))
    assert about.places()["file"] == str(file)
    facts = await about.facts()
    assert facts["process"]["residentBytes"] > 10_000_000
    assert facts["runner"]["warm"] == 2
    assert {"podium", "python", "sqlite", "aiohttp"} <= facts["versions"].keys()


async def test_every_setting_has_a_meaning_on_the_page(tmp_path: Path) -> None:
    settings, origins = load_with_origins(None, {}, {"home": str(tmp_path)})
    core = cast(Any, SimpleNamespace(clock=SystemClock()))
    rows = await About(core, settings, origins).settings()
    assert [each["key"] for each in rows if not each["about"] and each["key"] not in ("sources", "pools")] == []
