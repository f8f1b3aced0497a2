"""The editor's and the plug-ins' pages over real repositories: what is shown, what is saved, what is refused, hostile files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import web_demo
from editing_house import House, editing_house, flow
from people_house import bearer, door
from podium.app.plugins import load_types, load_vocabulary
from podium.flows.load import parse_flows
from podium.flows.schema import json_schema
from podium.flows.types import Types
from podium.sources.source import Source
from podium.web.pages.editor.blueprints import BLUEPRINTS, empty
from podium.web.pages.plugins.catalogue import catalogue_of

EVIL = "<script>alert('x')</script>"


FILES: dict[str, str | bytes | None] = {
    "flows/hello.yaml": flow("hello"), "team/two.yaml": flow("one") + "---\n" + flow("two"), "scripts/a.py": "print('a')\r\nprint('😀 <b>')\r\n",
    "a.txt": f"id: x\n# {EVIL} </script> & ' \" \u2028 \x1b[31m\n\tdescription: {{{{ \n", "bin.dat": b"\0\1\2", "latin.txt": b"caf\xe9", "empty.md": "",
    f"dir/{'n' * 80}.md": "# x",
    "long.yaml": "id: long\nnamespace: company.team\ntasks:\n" + "".join(
        f"  - id: t{number}\n    type: io.kestra.plugin.core.log.Log\n    message: m\n" for number in range(3_400)
    ),
}


@pytest.fixture
async def house(tmp_path: Path, clock: Any) -> AsyncIterator[House]:
    async with editing_house(tmp_path, clock, FILES) as made:
        yield made


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="editor-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None, text[-2000:]
    made: dict[str, Any] = json.loads(found[1])
    return made


async def saved(house: House, text: str, page: str, **more: str) -> Any:
    """Send the form of a page, as a browser without scripts does: with line ends as forms have them."""
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page[page.index('class="card plain-editor"') :]))
    path = data_of(page)["path"]
    form = {**fields, "path": path, "text": text.replace("\r\n", "\n").replace("\n", "\r\n"), "message": "", "new_branch": "", **more}
    return await house.client.post("/editor/main", data=form, headers={"Accept": "text/html"})


async def test_a_file_is_shown_saved_and_its_line_ends_stay(house: House) -> None:
    body = str(FILES["scripts/a.py"])
    page = (await house.client.page("/editor/main?path=scripts/a.py")).text
    assert data_of(page)["text"] == body
    assert data_of(page)["kind"] == "file"
    assert data_of(page)["why"] is None
    answer = await saved(house, body.replace("'a'", "'b'"), page, message="Say b")
    assert answer.status == 200, answer.text[-1500:]
    assert house.bare.text("scripts/a.py") == body.replace("'a'", "'b'")
    assert "Saved as commit" in answer.text


async def test_what_somebody_else_pushed_is_shown_and_kept(house: House) -> None:
    page = (await house.client.page("/editor/main?path=flows/hello.yaml")).text
    house.bare.push({"flows/hello.yaml": flow("hello", message="theirs")})
    answer = await saved(house, flow("hello", message="mine"), page)
    assert answer.status == 409
    assert "theirs" in answer.text
    assert "d-removed" in answer.text
    assert "mine" in data_of(answer.text)["text"]
    assert "theirs" in (house.bare.text("flows/hello.yaml") or "")
    again = await saved(house, flow("hello", message="both"), answer.text)
    assert again.status == 200
    assert "both" in (house.bare.text("flows/hello.yaml") or "")


async def test_the_editor_of_a_flow_is_that_of_its_file(house: House) -> None:
    answer = await house.client.page("/flows/company.team/two/edit")
    assert answer.status == 302
    assert answer.headers["Location"] == "/editor/main?path=team/two.yaml&flow=two"
    page = await house.client.page(answer.headers["Location"])
    assert data_of(page.text)["flow"] == ["company.team", "two"]
    assert data_of(page.text)["askedFlow"] == "two"
    assert (await house.client.page("/flows/company.team/none/edit")).status == 404


async def test_a_new_flow_begins_with_a_blueprint_at_the_place_it_would_get(house: House) -> None:
    chooser = await house.client.page("/editor/new?namespace=company.team&id=mine")
    assert all(each.title in chooser.text for each in BLUEPRINTS)
    page = (await house.client.page("/editor/new?namespace=company.team&id=mine&template=hello")).text
    data = data_of(page)
    assert data["isNew"]
    assert data["blob"] == ""
    assert data["text"].startswith("id: mine\nnamespace: company.team\n")
    assert (await saved(house, empty("company.team", "mine"), page)).status == 200
    assert house.bare.text(data["path"]) == empty("company.team", "mine")
    again = await saved(house, empty("company.team", "mine") + "# other\n", page)
    assert again.status == 409, "a file that came there meanwhile is not overwritten"


def test_every_blueprint_is_a_flow_without_a_mistake() -> None:
    for text in (*(each.filled("a.b", "c") for each in BLUEPRINTS), *(each.filled("", "") for each in BLUEPRINTS), empty("", "")):
        (parsed,) = parse_flows(text, file="f.yaml", types=load_types())
        assert [*parsed.problems, *parsed.warnings] == []


async def test_hostile_files_are_text_on_the_page_and_nothing_else(house: House) -> None:
    page = await house.client.page("/editor/main?path=a.txt")
    assert data_of(page.text)["text"] == FILES["a.txt"]
    assert EVIL not in page.text
    assert "This file is not text" in (await house.client.page("/editor/main?path=bin.dat")).text
    assert "This file is not text" in (await house.client.page("/editor/main?path=latin.txt")).text
    assert data_of((await house.client.page("/editor/main?path=empty.md")).text)["text"] == ""
    tree = await house.client.page("/editor/main")
    assert "bin.dat" in tree.text
    assert tree.status == 200
    for path in ("../etc/passwd", "/etc/passwd", ".git/config", "no/such", EVIL, "a.txt/b"):
        answer = await house.client.page(f"/editor/main?path={quote(path)}")
        assert answer.status in {404, 409, 422}, (path, answer.status)
        assert EVIL not in answer.text
    for path in ("../out.txt", ".git/hooks/x", "/abs"):
        answer = await saved(house, "x", (await house.client.page("/editor/main?path=a.txt")).text, path=path)
        assert answer.status in {400, 404, 409, 422}, (path, answer.status)
    assert (await house.client.page("/editor/none")).status == 404
    assert (await house.client.page("/editor/main?path=a.txt&branch=none")).status == 404


async def test_a_long_file_is_shown_in_time(house: House) -> None:
    answer = await house.client.page("/editor/main?path=long.yaml")
    assert data_of(answer.text)["text"] == FILES["long.yaml"]


async def test_the_schema_and_the_words_are_kept_by_their_tag(house: House) -> None:
    for path in ("/api/v1/plugins/schemas/flow", "/api/v1/plugins/expressions"):
        first = await house.client.get(path, headers={"Accept-Encoding": "identity"})
        assert first.status == 200
        assert first.json
        again = await house.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert again.status == 304
        assert again.body == b""
        packed = await house.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.json == first.json
    words = (await house.client.get("/api/v1/plugins/expressions")).json
    assert {"functions", "filters", "variables", "triggers", "outputs"} <= set(words)


async def test_plugins_are_listed_searched_and_described(house: House) -> None:
    everything = await house.client.page("/plugins")
    assert "core.flow" in everything.text
    assert "/plugins/io.kestra.plugin.core.log.Log" in everything.text
    found = await house.client.page("/plugins?q=parallel&kind=task")
    assert "Parallel" in found.text
    assert "core.log.Log" not in found.text
    assert "No type is like that" in (await house.client.page(f"/plugins?q={quote(EVIL)}")).text
    one = await house.client.page("/plugins/core.flow.ForEach")
    assert "concurrencyLimit" in one.text
    assert "What every task has" in one.text
    older = await house.client.page("/plugins/io.kestra.core.tasks.log.Log")
    assert older.status == 200
    missing = await house.client.page("/plugins/core.log.Lag")
    assert missing.status == 404
    assert "core.log.Log" in missing.text


def test_the_catalogue_knows_where_types_come_from_and_what_they_give() -> None:
    types = load_types()
    known = catalogue_of(json_schema(types, load_vocabulary()), types)
    request = known.find("core.http.Request", types)
    assert request is not None
    assert request.origin.startswith("podium ")
    assert request.outputs == ("uri", "code", "headers", "body")
    assert next(each for each in request.properties if each.name == "uri").required
    assert "method: POST" in request.example
    assert "io.kestra.plugin.fs.http.Request" in request.aliases
    kv = known.find("core.kv.Get", types)
    assert kv is not None
    assert kv.outputs == ("value",)
    flowable = known.find("core.flow.If", types)
    assert flowable is not None
    assert flowable.origin == "podium"


async def test_the_words_of_the_schema_are_packed(house: House) -> None:
    async with house.client.session.get(house.client.url + "/api/v1/plugins/schemas/flow", headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as answer:
        body = await answer.read()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["title"] == "Flow"


async def test_a_directory_is_written_where_it_lies(tmp_path: Path, clock: Any) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "hello.yaml").write_text(flow("here", namespace="local.team"), "utf-8")
    async with editing_house(tmp_path, clock, FILES, others=(Source(name="here", directory=folder, poll_interval_s=0),)) as house:
        answer = await house.client.page("/flows/local.team/here/edit")
        page = (await house.client.page(answer.headers["Location"])).text
        assert data_of(page)["directory"] is True
        assert "the file is written where it lies" in page
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
        text = flow("here", namespace="local.team", message="there")
        saved_page = await house.client.post("/editor/here", data={**fields, "path": "hello.yaml", "text": text}, headers={"Accept": "text/html"})
        assert saved_page.status == 200, saved_page.text[-1500:]
        assert (folder / "hello.yaml").read_text("utf-8") == text


async def test_who_may_not_write_reads_and_is_told_why(tmp_path: Path, clock: Any) -> None:
    async with editing_house(tmp_path, clock, {**FILES, "elsewhere/b.yaml": flow("b", namespace="elsewhere"), "podium.yaml": "pluginDefaults: []\n"}, door=door()) as house:
        async def page(who: str, path: str) -> Any:
            return await house.client.get(path, headers={**bearer(who), "Accept": "text/html"})

        viewer = await page("viewer", "/editor/main?path=flows/hello.yaml")
        assert viewer.status == 200
        assert "role editor for company.team" in data_of(viewer.text)["why"]
        assert "plain-text" not in viewer.text
        assert data_of((await page("editor", "/editor/main?path=flows/hello.yaml")).text)["why"] is None
        assert (await page("editor", "/editor/main?path=elsewhere/b.yaml")).status == 404, "its namespace is not theirs"
        assert "elsewhere" not in (await page("editor", "/editor/main")).text
        assert (await page("all-viewer", "/editor/main?path=podium.yaml")).status == 404, "it holds hashes: only admins read it"
        assert data_of((await page("admin", "/editor/main?path=podium.yaml")).text)["why"] is None
        form = {"path": "flows/hello.yaml", "text": flow("hello", message="no"), "base": "", "blob": "", "branch": "", "message": ""}
        answer = await house.client.post("/editor/main", data=form, headers={**bearer("viewer"), "Accept": "text/html"})
        assert answer.status == 403
        assert "no" not in (house.bare.text("flows/hello.yaml") or "").split("message: ")[1]


async def test_a_plugin_that_could_not_be_loaded_is_shown_with_its_error(tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_demo, "TYPES", Types.build(broken=[("acme-pumps", f"ImportError: no module {EVIL}")]))
    async with editing_house(tmp_path, clock, FILES) as house:
        page = (await house.client.page("/plugins")).text
        assert "acme-pumps could not be loaded" in page
        assert "ImportError: no module &lt;script&gt;" in page
        listed = (await house.client.get("/api/v1/plugins")).json
        assert next(each for each in listed if each["name"] == "acme-pumps")["error"].startswith("ImportError")
