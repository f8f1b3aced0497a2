"""The run form: a field for every type of input, and a browser's answer as inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podium.base.errors import InputError
from podium.web.api.inputs import base_name, inputs_of
from podium.web.pages.flows.fields import Filled, fields_of, sent, wrong_inputs
from podium.web.params import Form
from web_demo import FORM
from web_fake import FakeOrchestrator, check_flow


@pytest.fixture
def declared() -> list[Any]:
    return list(check_flow(FORM, "x.yaml")[0].flow.inputs)


def test_every_type_has_its_control(declared: list[Any]) -> None:
    found = {field.id: field.control for field in fields_of(declared)}
    assert found == {
        "name": "text", "code": "text", "count": "number", "rate": "number", "loud": "select", "mood": "select", "size": "radio", "other": "list",
        "tags": "checks", "numbers": "area", "at": "datetime-local", "day": "date", "hour": "time", "span": "text", "file": "file", "json": "area",
        "yaml": "area", "link": "text", "password": "password", "mail": "email",
    }


def test_defaults_are_filled_in(declared: list[Any]) -> None:
    found = {field.id: field for field in fields_of(declared)}
    assert found["count"].value == "3"
    assert found["loud"].value == "false"
    assert found["tags"].values == ("green",)
    assert found["span"].value == "PT10M"
    assert found["name"].required
    assert not found["count"].required, "a default answers it"
    assert "From 1 to 10" in found["count"].note
    assert "[A-Z]{3}" in found["code"].note


def test_what_was_typed_is_shown_again_but_secrets(declared: list[Any]) -> None:
    filled = Filled(texts={"name": ["<b>"], "password": ["hunter2"], "tags": ["red", "blue"]}, errors={"name": ["wrong"]})
    found = {field.id: field for field in fields_of(declared, filled)}
    assert found["name"].value == "<b>"
    assert found["name"].errors == ("wrong",)
    assert found["password"].value == ""
    assert found["tags"].values == ("red", "blue")


def test_children_of_a_form_have_their_full_name() -> None:
    text = "id: a\nnamespace: b\ninputs:\n  - id: address\n    type: FORM\n    inputs:\n      - {id: city, type: STRING}\ntasks:\n  - {id: t, type: io.kestra.plugin.core.log.Log, message: x}\n"
    (parsed,) = check_flow(text, "x.yaml")
    assert parsed.flow is not None, parsed.problems
    assert [field.id for field in fields_of(parsed.flow.inputs)] == ["address.city"]


def test_empty_fields_and_our_own_are_left_out() -> None:
    form, filled = sent(Form(texts=[("name", "x"), ("rate", ""), ("_labels", "a:b"), ("_moment", "at"), ("at", "2026-01-05T08:00"), ("day", "2026-01-05")]))
    assert form.texts == [("name", "x"), ("at", "2026-01-05T08:00:00Z"), ("day", "2026-01-05")]
    assert filled.first("_labels") == "a:b"


def test_wrong_inputs_are_noted_at_their_field() -> None:
    filled = Filled()
    assert wrong_inputs([{"input": "a", "errors": [{"message": "no"}]}, {"input": "b", "enabled": False, "errors": [{"message": "off"}]}], filled)
    assert filled.errors == {"a": ["no"]}
    assert filled.disabled == {"b"}
    assert not wrong_inputs([{"input": "a", "errors": []}], Filled())


async def values(declared: list[Any], **form: Any) -> dict[str, Any]:
    return await inputs_of(Form(**form), declared, orchestrator=FakeOrchestrator(None), namespace="n", flow_id="f")


async def test_repeated_parts_are_a_list_where_one_is_wanted(declared: list[Any]) -> None:
    assert await values(declared, texts=[("tags", "red"), ("tags", "blue"), ("name", "a"), ("name", "b")]) == {"tags": ["red", "blue"], "name": "b"}
    assert await values(declared, texts=[("tags", "red")]) == {"tags": ["red"]}
    assert await values(declared, texts=[("tags", '["red"]')]) == {"tags": '["red"]'}


async def test_a_file_is_stored_and_an_old_client_names_it_by_its_file_name(declared: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "0"
    path.write_bytes(b"abc")
    found = await values(declared, files=[("file", "../../etc/pass wd", path)])
    assert found["file"].endswith("/file/pass wd")
    assert str((await values(declared, files=[("files", "file", path)]))["file"]).startswith("kestra://")
    assert await values(declared, files=[("json", "x.json", path)]) == {"json": "abc"}
    assert await values(declared, files=[("unknown", "x", path)]) == {}


@pytest.mark.parametrize("value", ["/etc/passwd", "file:///etc/passwd", "etc/passwd", {"a": 1}, 7])
async def test_a_path_of_the_daemons_machine_is_no_file(declared: list[Any], value: Any) -> None:
    with pytest.raises(InputError, match="uploaded"):
        await values(declared, values={"file": value})


async def test_a_stored_file_may_be_named(declared: list[Any]) -> None:
    assert (await values(declared, values={"file": "kestra:///a/b"}))["file"] == "kestra:///a/b"


async def test_paths_hidden_in_lists_and_maps_are_found() -> None:
    text = (
        "id: a\nnamespace: b\ninputs:\n  - {id: all, type: ARRAY, itemType: FILE, required: false}\n  - {id: deep.file, type: FILE, required: false}\n"
        "tasks:\n  - {id: t, type: io.kestra.plugin.core.log.Log, message: x}\n"
    )
    (parsed,) = check_flow(text, "x.yaml")
    inputs = list(parsed.flow.inputs)
    for wrong in ({"all": ["kestra:///x", "/etc/passwd"]}, {"all": '["/etc/passwd"]'}, {"all": "[NaN, '/etc/passwd'"}, {"deep": {"file": "/etc/passwd"}}, {"deep.file": "kestra:///x", "deep": {"file": "/etc/passwd"}}):
        with pytest.raises(InputError):
            await values(inputs, values=wrong)
    assert await values(inputs, values={"all": ["kestra:///x"], "deep": {"file": "nsfile:///x"}})


def test_file_names_lose_their_folders() -> None:
    assert [base_name(name) for name in ("a/b.txt", "C:\\x\\y.txt", "..", "", "a\0b")] == ["b.txt", "y.txt", "file", "file", "ab"]
