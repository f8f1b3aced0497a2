"""The pages of namespaces: what they show, and their forms, which work without a script."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from editing_house import House, editing_house, flow
from podium.storage.secrets import Secrets

EVIL = "<script>alert(1)</script>"
PROJECT = """# what all get
pluginDefaults:
  - type: io.kestra.plugin.core.log.Log
    values: {level: INFO}
namespaces:
  company:
    pluginDefaults:
      - type: io.kestra.plugin.core.log.Log
        forced: true
        values: {level: DEBUG}
"""
FILES = {
    "a.yaml": flow("a"), "b.yaml": flow("b", extra=f"description: \"{EVIL}\"\n"), "sub.yaml": flow("s", namespace="company.team.sub"), "o.yaml": flow("o", namespace="other"),
    "scripts/load.py": f"def load():  # {EVIL}\n    return 1\n", "pic.png": b"\x89PNG\0", "podium.yaml": PROJECT, "empty.txt": "",
}


async def page(house: House, path: str, status: int = 200) -> str:
    answered = await house.client.page(path)
    assert answered.status == status, answered.text[:2000]
    assert "<script>alert" not in answered.text
    return answered.text


async def send(house: House, path: str, fields: dict[str, str], status: int = 303) -> Any:
    answered = await house.client.post(path, data=fields, headers={"Accept": "text/html", "Origin": house.client.url})
    assert answered.status == status, answered.text[:3000]
    return answered


async def test_the_list_is_a_tree_with_counts(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES) as house:
        text = await page(house, "/namespaces")
        rows = re.findall(r'data-row="([^"]+)"', text)
        assert rows == ["company", "company.team", "company.team.sub", "other"]
        assert rows[:0] == re.findall(r'data-row="([^"]+)"', await page(house, "/namespaces?q=nothing"))
        assert re.findall(r'data-row="([^"]+)"', await page(house, "/namespaces?q=SUB")) == ["company.team.sub"]


async def test_without_a_flow_the_list_teaches(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {}) as house:
        assert "There is no namespace yet" in await page(house, "/namespaces")
        assert "No flow has this namespace" in await page(house, "/namespaces/company.team?tab=flows")
        assert "No files here" in await page(house, "/namespaces/company.team?tab=files")


@pytest.mark.parametrize("tab", ["overview", "flows", "files", "kv", "secrets", "variables"])
async def test_every_tab_is_there(tmp_path: Path, clock: Any, tab: str) -> None:
    async with editing_house(tmp_path, clock, FILES) as house:
        text = await page(house, f"/namespaces/company.team?tab={tab}")
        assert 'aria-current="page"' in text
        assert (await house.client.page("/namespaces/nobody.here?tab=" + tab)).status == 200
        assert (await house.client.page("/namespaces/company.team?tab=nonsense")).status == 404


async def test_files_are_browsed_and_shown_with_colours(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES) as house:
        text = await page(house, "/namespaces/company.team?tab=files")
        assert re.findall(r'id="[df]-([^"]+)"', text) == ["scripts", "a.yaml", "b.yaml", "empty.txt", "o.yaml", "pic.png", "podium.yaml", "sub.yaml"]
        text = await page(house, "/namespaces/company.team?tab=files&path=scripts/load.py")
        assert '<span class="y-key">def</span>' in text
        assert "/editor/main?path=scripts%2Fload.py" in text
        assert "This is no text" in await page(house, "/namespaces/company.team?tab=files&path=pic.png")
        assert "The file is empty" in await page(house, "/namespaces/company.team?tab=files&path=empty.txt")
        await page(house, "/namespaces/company.team?tab=files&path=nowhere", 404)
        await page(house, "/namespaces/company.team?tab=files&path=../../etc/passwd", 422)
        await page(house, "/namespaces/company.team?tab=files&path=_files/other", 422)


async def test_files_are_changed_by_forms(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES) as house:
        target = "/namespaces/company.team/files"
        form = aiohttp.FormData()
        for name, value in (("_do", "upload"), ("path", "jobs"), ("message", "Two jobs"), ("unpack", "yes")):
            form.add_field(name, value)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("in/z.txt", "z")
        form.add_field("files", b"1", filename="one.py")
        form.add_field("files", packed.getvalue(), filename="more.zip")
        answered = await house.client.post(target, data=form, headers={"Accept": "text/html", "Origin": house.client.url})
        assert answered.status == 303, answered.text
        assert answered.headers["Location"] == "/namespaces/company.team?tab=files&path=jobs"
        assert house.bare.subjects()[0] == "Two jobs"
        assert house.bare.text("_files/company.team/jobs/in/z.txt") == "z"
        assert "Uploaded: 2 files." in await page(house, answered.headers["Location"])
        await send(house, target, {"_do": "move", "path": "jobs/one.py", "to": "jobs/two.py"})
        assert house.bare.text("_files/company.team/jobs/two.py") == "1"
        await send(house, target, {"_do": "folder", "path": "", "name": "fresh"})
        assert (await send(house, target, {"_do": "remove", "path": "jobs/in/z.txt"})).headers["Location"].endswith("path=jobs"), "the folder is gone"
        await send(house, target, {"_do": "remove", "path": "jobs"})
        assert house.bare.files() == sorted([*FILES, "_files/company.team/fresh/.gitkeep"])
        for fields, status in (
            ({"_do": "remove", "path": "jobs"}, 404), ({"_do": "remove", "path": "../x"}, 422), ({"_do": "nonsense", "path": "a"}, 400),
            ({"_do": "move", "path": "a.yaml", "to": "b.yaml"}, 422), ({"_do": "folder", "path": "", "name": EVIL + "/../.."}, 422),
            ({"_do": "upload"}, 400), ({}, 422),
        ):
            answered = await send(house, target, fields, status)
            assert 'role="alert"' in answered.text
            assert "<script>alert" not in answered.text


async def test_keys_are_changed_by_forms(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES) as house:
        target = "/namespaces/company.team/kv"
        await send(house, target, {"key": "count", "type": "NUMBER", "value": "12", "ttl": "PT1H"})
        await send(house, target, {"key": "words", "type": "STRING", "value": f'"{EVIL}'})
        await send(house, target, {"key": "list", "type": "JSON", "value": '{"a": [1]}'})
        assert house.orchestrator.values["company.team", "count"]["value"] == 12
        text = await page(house, "/namespaces/company.team?tab=kv")
        assert re.findall(r'id="key-([^"]+)"', text) == ["count", "list", "words"]
        assert ">12<" in await page(house, "/namespaces/company.team?tab=kv&key=count") or "12</textarea>" in await page(house, "/namespaces/company.team?tab=kv&key=count")
        for fields in (
            {"key": "count", "type": "NUMBER", "value": "many"}, {"key": "no key!", "type": "STRING", "value": "x"}, {"key": "a", "type": "ODD", "value": "x"},
            {"key": "a", "type": "STRING", "value": "x", "ttl": "soon"}, {"key": "a", "type": "STRING", "value": "x", "ttl": "PT0S"},
        ):
            answered = await send(house, target, fields, 422)
            assert fields["value"] + "</textarea>" in answered.text, "what was typed is still there"
        await send(house, target, {"key": "count", "_do": "remove"})
        assert ("company.team", "count") not in house.orchestrator.values


async def test_secrets_have_names_only(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES, secrets=Secrets({"SECRET_TOKEN": "aHVzaA=="})) as house:
        text = await page(house, "/namespaces/company.team?tab=secrets")
        assert "TOKEN" in text
        assert "hush" not in text
        assert "aHVzaA" not in text


async def test_what_podium_yaml_gives_is_shown_with_its_line(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES) as house:
        text = await page(house, "/namespaces/company.team?tab=variables")
        assert "podium.yaml:8" in text
        assert "podium.yaml:3" in text
        assert text.index("podium.yaml:8") < text.index("podium.yaml:3"), "the nearest first"
        assert "gives this namespace nothing" not in text
        assert "podium.yaml:8" not in await page(house, "/namespaces/other?tab=variables")


async def test_hostile_names_and_contents_are_only_text(tmp_path: Path, clock: Any) -> None:
    name = "<img src=x onerror=alert(1)>\"'&.txt"
    files = {"a.yaml": flow("a"), name: f"\x1b[31m{EVIL}\x1b[0m\n" + "x" * 50_000, f"deep/{name}": "x"}
    async with editing_house(tmp_path, clock, files) as house:
        house.orchestrator.values["company.team", "evil"] = {"key": "evil", "value": f"\x1b[31m{EVIL}\x00</textarea>", "type": "STRING", "updateDate": None}
        listing = await page(house, "/namespaces/company.team?tab=files")
        assert "<img src=x" not in listing
        (address,) = re.findall(r'href="(/namespaces/company\.team\?tab=files&amp;path=%3Cimg[^"]*)"', listing)
        shown = await page(house, address.replace("&amp;", "&"))
        assert "<img src=x" not in shown
        assert "xxxxx" in shown
        for tab in ("kv", "kv&key=evil"):
            text = await page(house, f"/namespaces/company.team?tab={tab}")
            assert "</textarea>&lt;" not in text
            assert "\x00" not in text
        await send(house, "/namespaces/company.team/files", {"_do": "move", "path": name, "to": "tame.txt"})
        assert "tame.txt" in house.bare.files()
