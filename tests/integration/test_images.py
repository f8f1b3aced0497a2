"""Home-made images in a real Docker Engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from podium.app import images as make

pytestmark = pytest.mark.docker


def test_busybox_is_made_once_and_runs(docker_engine: Any, tmp_path: Path) -> None:
    """A second `make` must cost nothing, and the image must hold a shell."""
    recipe = make.Recipe(name="busybox", tag="podium.local/test-busybox:latest", official="", stands_for=())
    said: list[str] = []
    try:
        assert make.build(docker_engine, recipe, cache=tmp_path, say=said.append) is True
        assert make.build(docker_engine, recipe, cache=tmp_path, say=said.append) is False
        out = docker_engine.containers.run(recipe.tag, ["sh", "-c", "echo hello | tr a-z A-Z"], remove=True, network_mode="none")
        assert out == b"HELLO\n"
        assert said == ["making podium.local/test-busybox:latest"]
    finally:
        docker_engine.images.remove(recipe.tag, force=True)


def test_python_image_has_a_python_that_installs(docker_engine: Any, images: Mapping[str, str]) -> None:
    command = ["sh", "-c", "python -m venv --without-pip /tmp/v && python -m pip --version"]
    assert b"pip" in docker_engine.containers.run(images["python"], command, remove=True, network_mode="none")
