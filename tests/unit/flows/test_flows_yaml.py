"""The YAML reader: what scalars mean, where things stand, and what no text may do."""

from __future__ import annotations

from typing import Any

import pytest

from podium.base.limits import FLOW_BYTES_MAX, YAML_DEPTH_MAX
from podium.flows.reading.yaml import Fields, Items, parse_documents, plain


def value(text: str) -> Any:
    (document,) = parse_documents(text)
    assert document.mistakes == []
    assert document.root is not None
    return plain(document.root)


def mistakes(text: str) -> list[str]:
    return [f"{each.line}:{each.column} {each.code} {each.message}" for document in parse_documents(text) for each in document.mistakes]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True), ("True", True), ("FALSE", False), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"),
        ("null", None), ("~", None), ("", None), ("Null", None), ("none", "none"),
        ("12", 12), ("-3", -3), ("+4", 4), ("010", 8), ("-010", -8), ("08", "08"), ("0x1F", 31), ("0b101", 5), ("1_000", 1000), ("0o7", "0o7"),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), ("-1.5e-2", -0.015), (".inf", ".inf"), (".nan", ".nan"), ("1e999", "1e999"),
        ("12:30", "12:30"), ("12:30:45.5", "12:30:45.5"), ("2026-01-31", "2026-01-31"), ("2026-01-31T08:30:00Z", "2026-01-31T08:30:00Z"),
        ("'5'", "5"), ('"true"', "true"), ("! 5", "5"), ("text", "text"), ("0b_", "0b_"), ("=", "="),
    ],
)
def test_a_plain_scalar_means_what_jackson_makes_of_yaml_1_1(written: str, meant: Any) -> None:
    found = value(f"key: {written}\n")["key"]
    assert found == meant
    assert type(found) is type(meant)


def test_keys_stay_text() -> None:
    assert value("on: 1\nyes: 2\n12:30: 3\n010: 4\ntrue: 5\nnull: 6\n") == {"on": 1, "yes": 2, "12:30": 3, "010": 4, "true": 5, "null": 6}


def test_the_text_of_a_number_is_kept() -> None:
    (document,) = parse_documents("a: 010\nb: 1.10\n")
    assert isinstance(document.root, Fields)
    assert document.root.text("a") == "010"
    assert document.root.text("b") == "1.10"


def test_positions_count_from_one_and_in_characters() -> None:
    (document,) = parse_documents("a: ü\nlist:\n  - x: 1\n    'ä y': 2\n")
    root = document.root
    assert isinstance(root, Fields)
    items = root.get("list")
    assert isinstance(items, Items)
    inner = items.items[0]
    assert isinstance(inner, Fields)
    entry = inner.entries["ä y"]
    assert (entry.line, entry.column) == (4, 5)
    assert (entry.node.line, entry.node.column) == (4, 12)


def test_a_duplicate_key_is_named_at_its_second_place_and_reading_goes_on() -> None:
    assert mistakes("a: 1\nb: {c: 1, c: 2}\na: 3\n") == [
        "2:11 duplicate-key Illegal flow yaml: Duplicate field 'c'",
        "3:1 duplicate-key Illegal flow yaml: Duplicate field 'a'",
    ]


@pytest.mark.parametrize("tag", ["!!str", "!!python/object/apply:os.system", "!custom", "!!binary"])
def test_tags_are_refused(tag: str) -> None:
    assert any("yaml-tag" in each for each in mistakes(f"a: {tag} x\n"))
    assert any("yaml-tag" in each for each in mistakes(f"a: {tag} [x]\n"))


def test_documents_are_told_apart_and_empty_ones_left_out() -> None:
    found = parse_documents("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n")
    assert [plain(each.root) for each in found if each.root is not None] == [{"a": 1}, {"b": 2}]


def test_a_good_document_before_a_broken_one_is_kept() -> None:
    good, bad = parse_documents("a: 1\n---\nb: [\n")
    assert good.root is not None
    assert bad.root is None
    assert bad.mistakes[0].code == "yaml-syntax"
    assert bad.mistakes[0].line == 4


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1\nb: 2\n", "2:2"), ("a: 'x\n", "2:1"), ("a: 1\n\tb: 2\n", "2:1"), ("a: b: c\n", "1:5"), ("a: @x\n", "1:4"), ("a: \x07\n", "1:4"), ("a: \ud800", "1:4")],
)
def test_broken_text_is_one_mistake_with_its_place(text: str, place: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(f"{place} yaml-syntax Illegal flow yaml: ")


def test_aliases_and_merges_are_followed() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {z: 3, x: 9}\na: *b\nmerged:\n  <<: [*b, *m]\n  y: 5\n"
    assert value(text)["merged"] == {"y": 5, "x": 1, "z": 3}
    assert value(text)["a"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: *b\n", "alias '*b' is not defined"), ("a: &x [*x]\n", "alias '*x' contains itself"), ("<<: 5\n", "what is merged by '<<' must be a map"),
        ("? [a, b]\n: 1\n", "a key must be text"), ("? {a: b}\n: 1\n", "a key must be text"), ("a: &k {}\n? *k\n: 1\n", "a key must be text"),
    ],
)
def test_what_aliases_and_keys_may_not_be(text: str, message: str) -> None:
    assert any(message in each for each in mistakes(text))


def test_fifty_thousand_brackets_are_a_mistake_not_a_crash() -> None:
    (found,) = mistakes("[" * 50_000)
    assert "nest" in found
    (found,) = mistakes("\n".join(f"{'  ' * depth}k:" for depth in range(200)))
    assert f"YAML_DEPTH_MAX ({YAML_DEPTH_MAX})" in found


def test_an_alias_bomb_is_a_mistake() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"] + [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    assert "YAML_NODES_MAX" in mistakes("\n".join(lines))[0]


def test_a_text_that_is_too_long_is_not_read() -> None:
    assert "FLOW_BYTES_MAX" in mistakes("a: " + "x" * FLOW_BYTES_MAX)[0]


def test_a_number_of_five_thousand_digits_stays_text() -> None:
    assert value("a: " + "9" * 5000)["a"] == "9" * 5000


def test_a_file_has_a_limited_number_of_documents() -> None:
    *good, last = parse_documents("id: a\n---\n" * 1_001)
    assert len(good) == 1_000
    assert last.root is None
    assert [(each.code, each.line) for each in last.mistakes] == [("limit-reached", 2_001)]
