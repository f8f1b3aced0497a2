"""Edits, flows and namespace files over the API: every write is one commit in the caller's name, and what is refused changes nothing."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from editing_house import House, editing_house, flow
from podium.git.objects import object_id
from podium.storage.secrets import Secrets

YAML = {"Content-Type": "application/x-yaml"}
TWO = f"# both\n---\n# the first\n{flow('one')}---\n{flow('two')}"


def refused(answered: Any, status: int, *parts: str) -> dict[str, Any]:
    assert answered.status == status, answered.text
    for part in parts:
        assert part in answered.text
    found: dict[str, Any] = answered.json
    assert {"message", "code", "hint", "_embedded"} <= found.keys()
    return found


async def good(house: House, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answered = await house.client(method, f"/api/v1{path}", **more)
    assert answered.status == status, answered.text
    return answered.json if answered.body and "json" in answered.headers["Content-Type"] else answered.body


# ---- /edits


async def test_the_repositories_are_listed_read_and_written(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a"), "pic.png": b"\x89PNG\0", "run.sh": "#!/bin/sh\n"}) as house:
        (source,) = await good(house, "GET", "/edits")
        assert (source["source"], source["branch"], source["editable"], source["why"]) == ("main", "main", True, None)
        assert source["branches"] == {"main": house.bare.head()}
        tree = await good(house, "GET", "/edits/main/tree")
        assert tree["commit"] == house.bare.head()
        assert {each["path"]: each["kind"] for each in tree["files"]} == {"a.yaml": "flow", "pic.png": "file", "run.sh": "file"}
        seen = await good(house, "GET", "/edits/main/file?path=a.yaml")
        assert seen["text"] == flow("a")
        picture = await good(house, "GET", "/edits/main/file?path=pic.png")
        assert base64.b64decode(picture["base64"]) == b"\x89PNG\0"
        body = {
            "base": tree["commit"], "message": "Two at once",
            "changes": [{"path": "a.yaml", "text": flow("a", message="2"), "blob": seen["blob"]}, {"path": "run.sh", "text": None}],
        }
        made = await good(house, "POST", "/edits/main?wait=true", json=body)
        assert made["commit"] == house.bare.head()
        assert made["deployment"] == {"deployed": True, "commit": made["commit"], "rejected": []}
        assert house.bare.files() == ["a.yaml", "pic.png"]
        assert house.bare.subjects()[0] == "Two at once"


async def test_a_conflict_tells_all_three_texts(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.txt": "one"}) as house:
        base = house.bare.head()
        head = house.bare.push({"a.txt": "two"})
        answered = await house.client.post("/api/v1/edits/main", json={"base": base, "message": "m", "changes": [{"path": "a.txt", "text": "three"}]})
        body = refused(answered, 409)
        assert body["code"] == "edit-conflict"
        assert body["head"] == head
        (conflict,) = body["conflicts"]
        assert (conflict["base"], conflict["theirs"], conflict["ours"]) == ("one", "two", "three")
        made = await good(house, "POST", "/edits/main", json={"base": head, "message": "m", "changes": [{"path": "a.txt", "text": "three"}]})
        assert made["commit"] == house.bare.head()


async def test_a_branch_for_review(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.txt": "one"}) as house:
        base = house.bare.head()
        body = {"base": base, "newBranch": "try/it", "message": "m", "changes": [{"path": "a.txt", "text": "two"}]}
        made = await good(house, "POST", "/edits/main?wait=true", json=body)
        assert made == {"commit": house.bare.head("try/it"), "branch": "try/it"}
        assert house.bare.head() == base
        assert (await good(house, "GET", "/edits/main/file?path=a.txt&ref=try/it"))["text"] == "two"
        more = {"base": made["commit"], "branch": "try/it", "message": "m", "changes": [{"path": "b.txt", "base64": base64.b64encode(b"\0").decode()}]}
        await good(house, "POST", "/edits/main", json=more)
        assert house.bare.repository.read_path(house.bare.head("try/it"), "b.txt") == b"\0"


@pytest.mark.parametrize("body", [
    {}, {"changes": []}, {"changes": [{}]}, {"changes": [1]}, {"changes": [{"path": "a"}]}, {"changes": [{"path": "a", "text": 1}]},
    {"changes": [{"path": "a", "base64": "%"}]}, {"changes": [{"path": "../a", "text": "x"}]}, {"changes": [{"path": ".git/config", "text": "x"}]},
    {"changes": [{"path": "a", "text": "x", "blob": 5}]}, {"changes": [{"path": "a", "text": "x"}], "branch": 3},
    {"changes": [{"path": "a", "text": "x"}], "base": "f" * 40}, {"changes": [{"path": "a", "text": "x"}], "branch": "no such"},
    {"changes": [{"path": "a", "text": "x"}], "newBranch": "-x"}, {"changes": [{"path": "a.txt/b", "text": "x"}]},
])
async def test_bodies_that_are_no_edit_change_nothing(tmp_path: Path, clock: Any, body: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.txt": "one"}) as house:
        base = house.bare.head()
        answered = await house.client.post("/api/v1/edits/main", json=body)
        assert 400 <= answered.status < 500, answered.text
        assert house.bare.head() == base
        assert (await house.client.get("/api/v1/edits/nowhere/tree")).status == 404


async def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        body = {"changes": [{"path": "b.yaml", "text": flow("b").replace("log.Log", "log.Lgo")}]}
        (problem,) = (await good(house, "POST", "/edits/main/check", json=body))["problems"]
        assert (problem["file"], problem["line"], problem["code"]) == ("b.yaml", 5, "unknown-type")


# ---- flows


async def test_a_flow_is_added_and_answered_as_deployed(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"flows/team/one.yaml": flow("one")}, path="flows") as house:
        made = await good(house, "POST", "/flows", data=flow("new"), headers=YAML)
        assert (made["id"], made["revision"], made["source"]) == ("new", 1, flow("new"))
        assert made["git"]["path"] == "flows/team/new.yaml"
        assert made["git"]["commit"] == house.bare.head()
        assert house.bare.text("flows/team/new.yaml") == flow("new")
        assert house.bare.subjects()[0] == "Add flow company.team.new"
        refused(await house.client.post("/api/v1/flows", data=flow("new"), headers=YAML), 422, "Flow id already exists")


async def test_a_flow_with_mistakes_is_refused_with_their_places(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"one.yaml": flow("one")}) as house:
        head = house.bare.head()
        for text in (flow("bad").replace("log.Log", "log.Lgo"), "id: x\nnamespace: y\n", "id: [", "hello", "", "- a\n", flow("a") + "---\n" + flow("b")):
            body = refused(await house.client.post("/api/v1/flows", data=text, headers=YAML), 422)
        body = refused(await house.client.post("/api/v1/flows", data=flow("bad").replace("log.Log", "log.Lgo"), headers=YAML), 422, "Invalid entity")
        (error,) = body["_embedded"]["errors"]
        assert (error["line"], error["code"]) == (5, "unknown-type")
        assert house.bare.head() == head


async def test_a_flow_is_replaced_where_it_stands(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"both.yaml": TWO}) as house:
        first = await good(house, "GET", "/flows/company.team/two")
        made = await good(house, "PUT", "/flows/company.team/two", data=flow("two", message="changed"), headers=YAML)
        assert (made["revision"], made["git"]["path"]) == (2, "both.yaml")
        assert house.bare.text("both.yaml") == TWO.replace(flow("two"), flow("two", message="changed"))
        refused(await house.client("PUT", "/api/v1/flows/company.team/no", data=flow("no"), headers=YAML), 404)
        refused(await house.client("PUT", "/api/v1/flows/company.team/two", data=flow("other"), headers=YAML), 422, "Illegal id update")
        refused(await house.client("PUT", "/api/v1/flows/company.team/two", data=flow("two", namespace="x"), headers=YAML), 422, "Illegal namespace update")
        stale = {**YAML, "If-Match": f'"{first["git"]["blob"]}"'}
        body = refused(await house.client("PUT", "/api/v1/flows/company.team/two", data=flow("two", message="mine"), headers=stale), 409)
        assert body["code"] == "edit-conflict"
        again = await good(house, "PUT", "/flows/company.team/two", data=flow("two", message="changed"), headers=YAML)
        assert again["revision"] == 2


async def test_a_flow_is_removed_and_its_neighbours_stay(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"both.yaml": TWO, "three.yaml": flow("three")}) as house:
        await good(house, "DELETE", "/flows/company.team/one", status=204)
        assert house.bare.text("both.yaml") == f"# both\n---\n{flow('two')}"
        await good(house, "DELETE", "/flows/company.team/two", status=204)
        assert house.bare.files() == ["three.yaml"]
        refused(await house.client("DELETE", "/api/v1/flows/company.team/two"), 404)


async def test_a_namespace_is_replaced_in_one_commit(tmp_path: Path, clock: Any) -> None:
    files = {"a.yaml": flow("a"), "b.yaml": flow("b"), "else.yaml": flow("a", namespace="other")}
    async with editing_house(tmp_path, clock, files) as house:
        before = len(house.bare.subjects())
        body = flow("a", message="2") + "---\n" + flow("c")
        made = await good(house, "POST", "/flows/company.team", data=body, headers=YAML)
        assert [each["id"] for each in made] == ["a", "c"]
        assert house.bare.files() == ["a.yaml", "c.yaml", "else.yaml"]
        assert len(house.bare.subjects()) == before + 1
        refused(await house.client.post("/api/v1/flows/company.team", data=flow("a", namespace="x"), headers=YAML), 422, "Invalid namespace")
        await good(house, "POST", "/flows/bulk?delete=false", data=flow("d") + "---\n" + flow("e", namespace="fresh.one"), headers=YAML)
        assert house.bare.files() == ["a.yaml", "c.yaml", "d.yaml", "else.yaml", "fresh/one/e.yaml"]
        refused(await house.client.post("/api/v1/flows/bulk?namespace=company", data=flow("d"), headers=YAML), 422)
        await good(house, "POST", "/flows/bulk?delete=false&namespace=company&allowNamespaceChild=true", data=flow("d", message="2"), headers=YAML)


async def test_flows_are_switched_with_their_comments(tmp_path: Path, clock: Any) -> None:
    files = {"a.yaml": f"# mine\n{flow('a')}  # end\n", "b.yaml": flow("b", extra="disabled: true # off\n")}
    async with editing_house(tmp_path, clock, files) as house:
        ids = [{"namespace": "company.team", "id": each} for each in "ab"]
        assert await good(house, "POST", "/flows/disable/by-ids", json=ids) == {"count": 1}
        assert house.bare.text("a.yaml") == f"# mine\n{flow('a', extra='disabled: true' + chr(10))}  # end\n"
        assert (await good(house, "GET", "/flows/company.team/a"))["disabled"] is True
        assert await good(house, "POST", "/flows/enable/by-query?namespace=company") == {"count": 2}
        assert house.bare.text("b.yaml") == flow("b", extra="disabled: false # off\n")
        refused(await house.client.post("/api/v1/flows/enable/by-ids", json=[{"namespace": "x", "id": "y"}]), 404)
        refused(await house.client.post("/api/v1/flows/enable/by-ids", json={"a": 1}), 400)
        assert await good(house, "DELETE", "/flows/delete/by-query?q=nothing-like-it") == {"count": 0}
        assert await good(house, "DELETE", "/flows/delete/by-ids", json=ids[:1]) == {"count": 1}
        assert house.bare.files() == ["b.yaml"]


async def test_removing_most_flows_by_name_is_not_held_back_as_a_push_would_be(tmp_path: Path, clock: Any) -> None:
    files = {f"{name}.yaml": flow(name) for name in "abcde"}
    async with editing_house(tmp_path, clock, files) as house:
        ids = [{"namespace": "company.team", "id": each} for each in "abcd"]
        assert await good(house, "DELETE", "/flows/delete/by-ids", json=ids) == {"count": 4}
        assert [each.flow_id for each in house.orchestrator.flows()] == ["e"]
        assert not house.watcher.status()[0].get("held")
    async with editing_house(tmp_path / "other", clock, files) as house:
        house.bare.push({"a.yaml": None, "b.yaml": None, "c.yaml": None})  # somebody's push that is not deployed yet
        assert (await good(house, "DELETE", "/flows/delete/by-ids", json=ids[3:], status=202))["count"] == 1
        assert [each.flow_id for each in house.orchestrator.flows()] == ["a", "b", "c", "d", "e"], "held, as the push was somebody else's"


async def test_a_flow_that_a_push_moved_is_replaced_where_it_is_now(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"old.yaml": flow("a"), "b.yaml": flow("b")}) as house:
        house.bare.push({"old.yaml": None, "new/place.yaml": flow("a")})
        await good(house, "PUT", "/flows/company.team/a", data=flow("a", message="2"), headers=YAML)
        assert house.bare.files() == ["b.yaml", "new/place.yaml"]


async def test_the_branch_of_records_is_out_of_reach(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.txt": "one"}) as house:
        house.bare.push({"r.json": "{}"}, branch="results")
        (source,) = await good(house, "GET", "/edits")
        assert list(source["branches"]) == ["main"]
        head = house.bare.head("results")
        for branch in ("results", "results/2026-01", "results/new"):
            assert (await house.client.get(f"/api/v1/edits/main/tree?ref={branch}")).status == 404
            for key in ("branch", "newBranch"):
                body = {"message": "m", key: branch, "changes": [{"path": "a", "text": "x"}]}
                assert (await house.client.post("/api/v1/edits/main", json=body)).status in (404, 409)
        assert house.bare.head("results") == head


async def test_a_branch_may_come_where_another_was_a_folder(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.txt": "one"}) as house:
        made = house.bare.push({"x": "1"}, branch="try")
        assert (await good(house, "GET", "/edits/main/tree?ref=try"))["commit"] == made
        house.bare.repository.update_ref("refs/heads/try", None)
        made = house.bare.push({"x": "2"}, branch="try/it")
        assert (await good(house, "GET", "/edits/main/tree?ref=try/it"))["commit"] == made


async def test_flows_go_out_as_a_zip_and_come_back(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a"), "b.yaml": flow("b", namespace="other")}) as house:
        body = await good(house, "GET", "/flows/export/by-query?namespace=company")
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert {name: archive.read(name).decode() for name in archive.namelist()} == {"company.team.a.yml": flow("a")}
        assert zipfile.ZipFile(io.BytesIO(await good(house, "POST", "/flows/export/by-ids", json=[{"namespace": "other", "id": "b"}]))).namelist() == ["other.b.yml"]
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("x.yml", flow("a", message="from the zip"))
            archive.writestr("folder/new.yaml", flow("new"))
            archive.writestr("bad.yml", flow("bad").replace("log.Log", "log.Lgo"))
            archive.writestr("../../notes.txt", "no flow")
        form = aiohttp.FormData()
        form.add_field("fileUpload", target.getvalue(), filename="flows.zip")
        assert await good(house, "POST", "/flows/import", data=form) == ["company.team.bad"]
        assert house.bare.files() == ["a.yaml", "b.yaml", "new.yaml"]
        assert house.bare.text("a.yaml") == flow("a", message="from the zip")
        head = house.bare.head()
        form = aiohttp.FormData()
        form.add_field("fileUpload", (flow("z") + "---\n" + flow("bad").replace("log.Log", "x")).encode(), filename="two.yml")
        refused(await house.client.post("/api/v1/flows/import?failOnError=true", data=form), 422, "company.team.bad")
        assert house.bare.head() == head
        for name, data in (("a.txt", b"x"), ("a.zip", b"no zip")):
            form = aiohttp.FormData()
            form.add_field("fileUpload", data, filename=name)
            assert (await house.client.post("/api/v1/flows/import", data=form)).status in (400, 422)


async def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.base.limits.EDIT_BYTES_MAX", 10_000)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.yml", b"\n" * 1_000_000)
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        form = aiohttp.FormData()
        form.add_field("fileUpload", target.getvalue(), filename="flows.zip")
        refused(await house.client.post("/api/v1/flows/import", data=form), 429)


async def test_a_hook_that_refuses_is_answered_with_its_words(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        hook = house.bare.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho 'not on a Friday' >&2\nexit 1\n")
        hook.chmod(0o755)
        body = refused(await house.client.post("/api/v1/flows", data=flow("b"), headers=YAML), 422, "not on a Friday")
        assert body["code"] == "push-refused"


async def test_what_is_committed_and_not_deployed_yet_is_202(tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        monkeypatch.setattr("podium.web.api.editing.writing.WAIT_S", 0.2)
        monkeypatch.setattr(house.publisher, "deployed", lambda *_, **__: _late())
        made = await good(house, "POST", "/flows", data=flow("b"), headers=YAML, status=202)
        assert made["id"] == "b"
        assert made["deployment"][0]["error"] == "slow"
        assert house.bare.text("b.yaml") == flow("b")


async def _late() -> dict[str, Any]:
    return {"deployed": False, "commit": None, "rejected": [], "error": "slow"}


def test_object_ids_are_those_of_git() -> None:
    assert object_id("blob", b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


# ---- namespace files


FILES = "/namespaces/company.team/files"


async def test_namespace_files_are_read_from_the_deployed_commit(tmp_path: Path, clock: Any) -> None:
    files = {"a.yaml": flow("a"), "scripts/load.py": "print(1)\n", "_files/company.team/own.txt": "mine", "_files/other/no.txt": "x", "empty.txt": ""}
    async with editing_house(tmp_path, clock, files) as house:
        assert await good(house, "GET", f"{FILES}?path=/scripts/load.py") == b"print(1)\n"
        assert await good(house, "GET", f"{FILES}?path=own.txt") == b"mine"
        found = await good(house, "GET", f"{FILES}/directory")
        assert [(each["fileName"], each["type"], each["size"]) for each in found] == [
            ("scripts", "Directory", 0), ("a.yaml", "File", len(flow("a"))), ("empty.txt", "File", 0), ("own.txt", "File", 4),
        ]
        assert (await good(house, "GET", f"{FILES}/stats?path=/scripts/load.py"))["size"] == 9
        assert (await good(house, "GET", f"{FILES}/stats?path=/scripts"))["type"] == "Directory"
        assert await good(house, "GET", f"{FILES}/search?q=LOAD") == ["/scripts/load.py"]
        with zipfile.ZipFile(io.BytesIO(await good(house, "GET", f"{FILES}/export"))) as archive:
            assert archive.namelist() == ["a.yaml", "empty.txt", "own.txt", "scripts/load.py"]
        house.bare.push({"scripts/load.py": "print(2)\n"})
        assert await good(house, "GET", f"{FILES}?path=scripts/load.py") == b"print(1)\n", "not deployed yet"
        for path in ("../etc/passwd", "_files/other/no.txt", ".git/config", "no.txt", "scripts", "%00", "a//b"):
            assert (await house.client.get(f"/api/v1{FILES}?path={path}")).status in (404, 422), path
        assert (await house.client.get(f"/api/v1{FILES}/directory?path=/nowhere")).status == 404


async def upload(house: House, name: str, data: bytes, query: str = "", status: int = 200) -> Any:
    form = aiohttp.FormData()
    form.add_field("fileContent", data, filename=name)
    return await good(house, "POST", f"{FILES}{query}", status=status, data=form)


async def test_namespace_files_are_written_as_commits(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"flows/a.yaml": flow("a"), "flows/scripts/load.py": "1\n"}, path="flows") as house:
        made = await upload(house, "x.py", b"new\n", "?path=/jobs/new.py&message=A+new+job")
        assert made["files"] == ["/jobs/new.py"]
        assert made["commit"] == house.bare.head()
        assert house.bare.subjects()[0] == "A new job"
        await upload(house, "x", b"2\n", "?path=/scripts/load.py")
        assert house.bare.files() == ["flows/_files/company.team/jobs/new.py", "flows/a.yaml", "flows/scripts/load.py"]
        assert house.bare.text("flows/scripts/load.py") == "2\n"
        assert await good(house, "GET", f"{FILES}?path=jobs/new.py") == b"new\n"
        await good(house, "PUT", f"{FILES}?from=/jobs&to=/work/jobs")
        assert house.bare.text("flows/_files/company.team/work/jobs/new.py") == "new\n"
        assert (await house.client("PUT", f"/api/v1{FILES}?from=/work&to=/scripts/load.py")).status == 422
        assert (await house.client("PUT", f"/api/v1{FILES}?from=/work&to=/work/x")).status == 422
        assert (await house.client("PUT", f"/api/v1{FILES}?from=/no&to=/x")).status == 404
        await good(house, "POST", f"{FILES}/directory?path=/fresh")
        assert (await good(house, "GET", f"{FILES}/stats?path=/fresh"))["type"] == "Directory"
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("z/1.txt", "1")
            archive.writestr("z/2.txt", "2")
        await upload(house, "all.zip", target.getvalue(), "?path=/ignored")
        assert await good(house, "GET", f"{FILES}/search?q=z/") == ["/z/1.txt", "/z/2.txt"]
        await good(house, "DELETE", f"{FILES}?path=/z", status=204)
        await good(house, "DELETE", f"{FILES}?path=/scripts/load.py", status=204)
        assert "flows/scripts/load.py" not in house.bare.files()
        assert (await house.client("DELETE", f"/api/v1{FILES}?path=/z")).status == 404


async def test_a_zip_that_leads_outside_is_refused(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        head = house.bare.head()
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("../../evil.sh", "x")
        await upload(house, "x.zip", target.getvalue(), status=422)
        await upload(house, "x.yaml", b"id: a\nnamespace: company.team\ntasks: []\n", "?path=b.yaml", status=200)
        assert house.bare.text("_files/company.team/b.yaml"), "files of a namespace are no flows"
        assert house.bare.head() != head


async def test_what_a_task_uploaded_lies_over_git_until_a_person_says_otherwise(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a"), "data.csv": "git\n"}) as house:
        house.reader.namespace_put("company.team", "data.csv", b"task\n")
        house.reader.namespace_put("company.team", "made.csv", b"task\n")
        assert await good(house, "GET", f"{FILES}?path=data.csv") == b"task\n"
        found = await good(house, "GET", f"{FILES}/directory")
        assert {each["fileName"]: each["inGit"] for each in found} == {"a.yaml": True, "data.csv": False, "made.csv": False}
        await upload(house, "x", b"person\n", "?path=data.csv")
        assert await good(house, "GET", f"{FILES}?path=data.csv") == b"person\n"
        await good(house, "DELETE", f"{FILES}?path=made.csv", status=204)
        assert (await house.client.get(f"/api/v1{FILES}?path=made.csv")).status == 404


async def test_secrets_are_named_and_never_told(tmp_path: Path, clock: Any) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"TOP": "hush", "company": {"TEAM": "quiet"}, "other": {"NO": "x"}}')
    secrets = Secrets({"SECRET_ENV": "aHVzaA=="}, file=file)
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}, secrets=secrets) as house:
        found = await good(house, "GET", "/namespaces/company.team/secrets")
        assert found["results"] == [
            {"key": "ENV", "from": "environment"}, {"key": "TEAM", "from": "file", "namespace": "company"}, {"key": "TOP", "from": "file"},
        ]
        assert "hush" not in str(found)


@pytest.mark.parametrize("namespace", ["..x", "../../etc", ".git", "A", "a" * 151, "<script>", "a b"])
async def test_what_is_no_namespace_makes_no_path(tmp_path: Path, clock: Any, namespace: str) -> None:
    quoted = quote(namespace, safe="")
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        head = house.bare.head()
        for method, path, more in (
            ("GET", f"/namespaces/{quoted}/files?path=x", {}), ("POST", f"/namespaces/{quoted}/files/directory?path=x", {}),
            ("GET", f"/namespaces/{quoted}/secrets", {}), ("PUT", f"/namespaces/{quoted}/kv/x", {"json": 1}),
            ("GET", f"/edits/place?namespace={quoted}&id=x", {}), ("GET", "/edits/place?namespace=a&id=..%2Fx", {}),
            ("POST", "/flows", {"data": flow("x", namespace=f"'{namespace}'"), "headers": YAML}),
            ("POST", "/flows", {"data": flow("../x"), "headers": YAML}),
        ):
            refused(await house.client(method, f"/api/v1{path}", **more), 422)
        assert (await house.client.page(f"/namespaces/{quoted}")).status == 422
        assert house.bare.head() == head
        assert house.orchestrator.values == {}


async def test_an_empty_body_empties_no_namespace(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {"a.yaml": flow("a")}) as house:
        for path in ("/flows/company.team?delete=true", "/flows/bulk"):
            refused(await house.client.post(f"/api/v1{path}", data=b"", headers=YAML), 422)
        assert house.bare.files() == ["a.yaml"]
