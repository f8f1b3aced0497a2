"""The lines by which commands speak to Podium. Source: flow-language 8.3."""

from __future__ import annotations

import json

import pytest

from podium.base.limits import METRICS_MAX, OUTPUT_BYTES_MAX
from podium.plugin import Metric
from podium.workers.commands.protocol import Said


def take(*lines: str) -> tuple[Said, list[list[tuple[str, str]] | None]]:
    said = Said()
    return said, [said.take(line) for line in lines]


@pytest.mark.parametrize(
    "line", ["", "hello", ":: {}", "x::{}::", "::{}:: ", " ::{}::", "::{}", "::[]::", "::text::", ":::{}:::", "::{}::\n"]
)
def test_anything_else_is_an_ordinary_line(line: str) -> None:
    assert take(line)[1] == [None]


def test_outputs_are_merged_and_later_ones_win() -> None:
    said, entries = take('::{"outputs":{"a":1,"b":{"c":[null,"é"]}}}::', '::{ "outputs" : {"a": 2, "spaces": true} }::', "::{}::")
    assert entries == [[], [], []]
    assert said.vars == {"a": 2, "b": {"c": [None, "é"]}, "spaces": True}


def test_encrypted_outputs_are_kept_apart() -> None:
    said, _ = take('::{"encryptedOutputs":{"pw":"x"},"outputs":{"a":1}}::')
    assert (said.vars, said.secret_vars) == ({"a": 1}, {"pw": "x"})


def test_metrics_of_every_type() -> None:
    metrics = [
        {"name": "c", "type": "counter", "value": 2, "tags": {"a": "b", "n": 1, "t": True}}, {"name": "t", "type": "TIMER", "value": 1.5},
        {"name": "t", "type": "timer", "value": "PT2M"}, {"name": "g", "type": "gauge", "value": "0.25"},
    ]
    said, entries = take(f"::{json.dumps({'metrics': metrics})}::")
    assert entries == [[]]
    assert said.metrics == [
        Metric(name="c", type="counter", value=2.0, tags={"a": "b", "n": "1", "t": "True"}), Metric(name="t", type="timer", value=1.5),
        Metric(name="t", type="timer", value=120.0), Metric(name="g", type="gauge", value=0.25),
    ]


def test_logs_have_a_level_and_a_message() -> None:
    _, entries = take('::{"logs":[{"level":"warn","message":"w"},{"message":7},{"level":"LOUD","message":"l"},"text"]}::')
    assert entries == [[("WARN", "w"), ("INFO", "7"), ("INFO", "l"), ("WARN", "Invalid log '\"text\"'")]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("::{not json}::", "Invalid outputs '{not json}'"),
        ("::{\"outputs\":}::", "Invalid outputs"),
        ('::{"outputs":[1]}::', "a map is expected"),
        ('::{"metrics":{"name":"x"}}::', "a list is expected"),
        ('::{"metrics":[{"type":"counter","value":1}]}::', "Invalid metric"),
        ('::{"metrics":[{"name":"x","type":"counter","value":"many"}]}::', "Invalid metric"),
        ('::{"metrics":[{"name":"x","type":"other","value":1}]}::', "counter, timer or gauge"),
        ('::{"metrics":[7]}::', "Invalid metric"),
        ('::{"metrics":[{"name":"x","type":"counter","value":1,"tags":[1]}]}::', "Invalid metric"),
        ("::" + "{\"a\":" * 5_000 + "1" + "}" * 5_000 + "::", ""),
    ],
)
def test_what_is_wrong_is_a_warning_and_nothing_more(line: str, words: str) -> None:
    said, (entries,) = take(line)
    assert entries is not None
    assert all(level == "WARN" for level, _ in entries)
    assert words in "".join(text for _, text in entries)
    assert (said.vars, said.metrics) == ({}, [])


def test_there_are_limits() -> None:
    said, _ = take(*[f'::{{"outputs":{{"a{n}":"{"x" * 100_000}"}}}}::' for n in range(12)])
    assert said.too_large
    assert len(json.dumps(said.vars)) <= OUTPUT_BYTES_MAX + 100_000
    one = json.dumps({"metrics": [{"name": "x", "type": "counter", "value": 1}] * (METRICS_MAX + 5)})
    said, (entries,) = take(f"::{one}::")
    assert len(said.metrics) == METRICS_MAX
    assert entries is not None
    assert "METRICS_MAX" in entries[0][1]


def test_a_message_longer_than_any_line_may_be_is_too_large() -> None:
    said, entries = take('::{"outputs":{"a":"' + "x" * OUTPUT_BYTES_MAX)
    assert entries == [None]
    assert said.too_large
