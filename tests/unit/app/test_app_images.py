"""Home-made images: names, table, settings file. The images themselves are made in tests/integration/test_images.py."""

from __future__ import annotations

import tarfile
import tomllib
from pathlib import Path

import pytest

from podium.app import images
from podium.app.settings import load_settings
from podium.base.errors import NotFound, RunnerError


def test_no_recipe_takes_a_name_that_a_registry_owns() -> None:
    assert all(recipe.tag.startswith("podium.local/") for recipe in images.RECIPES.values())


def test_an_unknown_recipe_is_named_with_the_known_ones() -> None:
    with pytest.raises(NotFound) as caught:
        images.recipes(["pyton"])
    assert "python" in caught.value.hint


def test_the_written_table_is_a_valid_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "podium.toml"
    images.write_settings(path, images.table(images.recipes(["python"])))
    images.write_settings(path, images.table(images.recipes(["python", "shell"])))
    found = load_settings(path, {}).runner.images
    assert found["python:*"] == "podium.local/python:bookworm"
    assert found["ubuntu"] == "podium.local/debian:bookworm"
    assert tomllib.loads(path.read_text())


def test_a_persons_settings_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "podium.toml"
    path.write_text("[server]\nport = 1\n")
    with pytest.raises(RunnerError, match="was not written by this command"):
        images.write_settings(path, {})
    assert path.read_text() == "[server]\nport = 1\n"


def test_another_package_makes_another_fingerprint() -> None:
    recipe = images.RECIPES["python"]
    other = images.Recipe(name="x", tag=recipe.tag, official="", stands_for=(), packages=(*recipe.packages, "git"))
    assert recipe.fingerprint != other.fingerprint


def test_busybox_is_one_program_and_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "busybox"
    program.write_text("#!/bin/sh\nprintf 'sh\\ncat\\nbusybox\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with tarfile.open(images._busybox(tmp_path / "cache", images.RECIPES["busybox"])) as tar:
        assert tar.getmember("bin/cat").linkname == "busybox"
        assert {"bin/busybox", "bin/sh", "tmp", "etc/passwd"} <= set(tar.getnames())
