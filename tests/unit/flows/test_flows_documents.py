"""One flow of a file that holds several: found, replaced, removed, switched; everything else stays to the byte."""

from __future__ import annotations

import pytest

from podium.flows.reading.documents import NoSuchFlow, parts, removed, replaced, switched

A = "# first\nid: a\nnamespace: n  # here\ntasks: []\n"
B = "id: b\nnamespace: n\ndisabled: true # why\ntasks: []\n"
TWO = f"# top\n---\n{A}---\n{B}"


def test_documents_are_found_with_their_flows() -> None:
    assert [(each.namespace, each.id, TWO[each.start : each.end]) for each in parts(TWO)] == [("n", "a", A), ("n", "b", B)]
    assert [(each.namespace, each.id) for each in parts("id: [\n")] == [(None, None)]
    assert list(parts("")) == list(parts("---\n# nothing\n---\n")) == []
    assert [each.id for each in parts("--- {id: x, namespace: y}\n---\nid: z\nnamespace: y\n")] == ["x", "z"]


def test_one_is_replaced() -> None:
    new = "id: a\nnamespace: n\nx: 1"
    assert replaced(TWO, "n", "a", new) == f"# top\n---\n{new}\n---\n{B}"
    assert replaced(TWO, "n", "a", f"---\n{new}\n") == f"# top\n---\n{new}\n---\n{B}"
    assert replaced(A, "n", "a", new) == new
    with pytest.raises(NoSuchFlow):
        replaced(TWO, "n", "c", new)


def test_one_is_removed() -> None:
    assert removed(TWO, "n", "a") == f"# top\n---\n{B}"
    assert removed(TWO, "n", "b") == f"# top\n---\n{A}"
    assert removed(f"{A}---\n{B}", "n", "a") == B
    assert removed(A, "n", "a") is None


def test_one_is_switched() -> None:
    assert switched(TWO, "n", "a", disabled=True) == TWO.replace("# here\n", "# here\ndisabled: true\n")
    assert switched(TWO, "n", "b", disabled=False) == TWO.replace("disabled: true # why", "disabled: false # why")
    assert switched(TWO, "n", "a", disabled=False) == TWO
    assert switched(TWO, "n", "b", disabled=True) == TWO
    assert switched("id: a\nnamespace: n", "n", "a", disabled=True) == "id: a\nnamespace: n\ndisabled: true\n"
    assert switched("id: a\r\nnamespace: n\r\ntasks: []\r\n", "n", "a", disabled=True).count("disabled: true") == 1
    quoted = 'id: a\nnamespace: n\n"disabled": "true"\n'
    assert "disabled\": false" in switched(quoted, "n", "a", disabled=False)


@pytest.mark.parametrize("text", ["{id: a, namespace: n}\n", "id: a\nnamespace: n\ndisabled: [true]\n", "id: a\nnamespace: n\ndisabled: |\n  true\n"])
def test_what_is_written_oddly_is_left_to_a_person(text: str) -> None:
    with pytest.raises(NoSuchFlow):
        switched(text, "n", "a", disabled="true" not in text)
