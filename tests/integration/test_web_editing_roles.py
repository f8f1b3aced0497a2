"""Who may write what in a repository that several teams share: by the namespaces of the flows in a file, before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from editing_house import House, editing_house, flow
from people_house import bearer, door

FILES = {
    "company/a.yaml": flow("a"), "company/run.sh": "echo\n", "elsewhere/b.yaml": flow("b", namespace="elsewhere"), "elsewhere/run.sh": "echo\n",
    "both.yaml": flow("c") + "---\n" + flow("d", namespace="elsewhere"), "podium.yaml": "pluginDefaults: []\n", ".podium/secrets.age": "x",
    "_files/company.team/own.txt": "x", "_files/elsewhere/own.txt": "x", "README.md": "x",
}


async def write(house: House, who: str, path: str, text: str | None, **more: Any) -> int:
    body = {"message": "m", "changes": [{"path": path, "text": text}], **more}
    return (await house.client.post("/api/v1/edits/main", json=body, headers=bearer(who))).status


@pytest.mark.parametrize(("who", "path", "text", "status"), [
    ("editor", "company/a.yaml", flow("a", message="2"), 200),
    ("editor", "company/run.sh", "echo 2\n", 200),
    ("editor", "company/new/x.py", "x", 200),
    ("editor", "new.yaml", flow("new"), 200),
    ("editor", "_files/company.team/own.txt", "y", 200),
    ("editor", "elsewhere/b.yaml", flow("b", namespace="elsewhere", message="2"), 403),
    ("editor", "elsewhere/b.yaml", flow("b"), 403),  # takes over somebody else's file
    ("editor", "elsewhere/b.yaml", None, 403),
    ("editor", "elsewhere/run.sh", "rm -rf /\n", 403),
    ("editor", "elsewhere/new.yaml", flow("new", namespace="elsewhere"), 403),
    ("editor", "company/a.yaml", flow("a", namespace="elsewhere"), 403),  # smuggles a flow into another namespace
    ("editor", "company/a.yaml", flow("a") + "---\n" + flow("x", namespace="elsewhere"), 403),
    ("editor", "company/new.yaml", "id: [broken\nnamespace: elsewhere\n", 200),  # no flow, in its own folder
    ("editor", "both.yaml", flow("c") + "---\n" + flow("d", namespace="elsewhere"), 403),
    ("editor", "_files/elsewhere/own.txt", "y", 403),
    ("editor", "README.md", "y", 403),
    ("editor", "podium.yaml", "roles: {admin: [editor]}\n", 403),
    ("editor", "company/podium.yaml", "x: 1\n", 403),
    ("editor", ".podium/secrets.age", "y", 403),
    ("viewer", "company/a.yaml", flow("a", message="2"), 403),
    ("operator", "company/a.yaml", flow("a", message="2"), 403),
    ("near", "company/a.yaml", flow("a", message="2"), 403),
    ("deep", "company/a.yaml", flow("a", message="2"), 403),
    ("admin", "podium.yaml", "pluginDefaults: []\n# more\n", 200),
    ("admin", "both.yaml", flow("c"), 200),
])
async def test_who_may_write_a_file(tmp_path: Path, clock: Any, who: str, path: str, text: str | None, status: int) -> None:
    async with editing_house(tmp_path, clock, FILES, door=door()) as house:
        head = house.bare.head()
        assert await write(house, who, path, text) == status
        assert (house.bare.head() != head) is (status == 200)
        if status == 403:
            assert await write(house, who, path, text, newBranch="review") == 403


async def test_who_sees_what(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES, door=door()) as house:
        async def paths(who: str) -> set[str]:
            answered = await house.client.get("/api/v1/edits/main/tree", headers=bearer(who))
            assert answered.status == 200, answered.text
            return {each["path"] for each in answered.json["files"]}

        async def status(who: str, path: str) -> int:
            return (await house.client.get(f"/api/v1{path}", headers=bearer(who))).status

        hidden = {"elsewhere/b.yaml", "elsewhere/run.sh", "_files/elsewhere/own.txt", "podium.yaml", ".podium/secrets.age"}
        assert not await paths("viewer") & hidden
        assert {"company/a.yaml", "both.yaml"} <= await paths("viewer")
        assert await paths("all-viewer") == set(FILES) - {"podium.yaml", ".podium/secrets.age"}, "who has which password is for admins"
        assert await paths("admin") == set(FILES)
        assert await status("viewer", "/edits/main/file?path=elsewhere/b.yaml") in (404, 422)
        assert await status("viewer", "/edits/main/file?path=company/a.yaml") == 200
        assert await status("viewer", "/edits/place?namespace=elsewhere&id=b") == 403
        assert await status("other", "/namespaces/company.team/files/directory") == 403
        found = (await house.client.get("/api/v1/namespaces/company.team/files/search?q=", headers=bearer("viewer"))).json
        assert "/elsewhere/b.yaml" not in found
        assert await status("viewer", "/namespaces/company.team/files?path=elsewhere/b.yaml") == 404
        assert (await house.client.get("/namespaces?x=1", headers={**bearer("viewer"), "Accept": "text/html"})).text.count("elsewhere") == 0


async def test_flows_files_and_keys_need_an_editor(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, FILES, door=door()) as house:
        yaml = {"Content-Type": "application/x-yaml"}

        async def status(who: str, method: str, path: str, **more: Any) -> int:
            headers = {**bearer(who), **more.pop("headers", {})}
            return (await house.client(method, path, headers=headers, **more)).status

        head = house.bare.head()
        for who in ("viewer", "operator", "other", "near", "deep"):
            assert await status(who, "POST", "/api/v1/flows", data=flow("new"), headers=yaml) == 403, who
            assert await status(who, "PUT", "/api/v1/flows/company.team/a", data=flow("a"), headers=yaml) in (403, 404), who
            assert await status(who, "DELETE", "/api/v1/flows/company.team/a") in (403, 404), who
            assert await status(who, "POST", "/api/v1/flows/disable/by-ids", json=[{"namespace": "company.team", "id": "a"}]) in (403, 404), who
            assert await status(who, "DELETE", "/api/v1/namespaces/company.team/files?path=company/run.sh") == 403, who
            assert await status(who, "POST", "/namespaces/company.team/kv", data={"key": "a", "type": "STRING", "value": "b"}) == 403, who
            form = aiohttp.FormData()
            form.add_field("files", b"x", filename="x.txt")
            assert await status(who, "POST", "/namespaces/company.team/files", data=form) == 403, who
            form = aiohttp.FormData()
            form.add_field("fileUpload", flow("new").encode(), filename="x.yml")
            assert await status(who, "POST", "/api/v1/flows/import?failOnError=true", data=form) in (403, 422), who
        assert await status("editor", "DELETE", "/api/v1/flows/elsewhere/b") in (403, 404)
        assert await status("editor", "POST", "/api/v1/flows/bulk", data=flow("z", namespace="elsewhere"), headers=yaml) == 403
        assert await status("editor", "DELETE", "/api/v1/namespaces/company.team/files?path=elsewhere/run.sh") in (403, 404)
        assert house.bare.head() == head
        # what shares a file with another namespace is changed by who may write both
        assert await status("editor", "PUT", "/api/v1/flows/company.team/c", data=flow("c", message="2"), headers=yaml) == 403
        assert await status("editor", "DELETE", "/api/v1/flows/delete/by-query?q=a") == 403 or house.bare.head() == head
        assert await status("editor", "POST", "/api/v1/flows", data=flow("new"), headers=yaml) == 200
        commit = house.bare.repository.log("refs/heads/main", limit=1)[0]
        assert commit.author == "editor"
