"""Events as bytes: whatever is in them comes back, and what was written once can be read for ever (tests/golden/events)."""

from __future__ import annotations

import typing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.engine import codec
from podium.engine import events as ev

GOLDEN = Path(__file__).parents[1] / "golden" / "events"
KINDS = {kind.__struct_config__.tag: kind for kind in typing.get_args(ev.Event)}
AT = st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
)


def values(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Every event of a class."""
    hints = typing.get_type_hints(kind)
    made: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        plain = [each for each in typing.get_args(hint) if each is not type(None)] if type(None) in typing.get_args(hint) else [hint]
        found = _of(plain[0])
        made[field.name] = found if len(plain) == 1 and plain[0] is hint else st.none() | found
    return st.builds(kind, **made)


def _of(hint: Any) -> st.SearchStrategy[Any]:
    if hint is str:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(0, 2**31)
    if hint is datetime:
        return AT
    if typing.get_origin(hint) is list:
        return st.lists(_of(typing.get_args(hint)[0]), max_size=3)
    if typing.get_origin(hint) is dict:
        return st.dictionaries(st.text(max_size=5), _of(typing.get_args(hint)[1]), max_size=3)
    return JSON


@pytest.mark.parametrize("name", sorted(KINDS))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_event_comes_back_as_it_was(name: str, data: st.DataObject) -> None:
    fact = data.draw(values(KINDS[name]))
    assert codec.decode(codec.encode(fact)) == fact


def samples() -> list[tuple[str, bytes]]:
    return [(f"{path.stem}:{number}", line) for path in sorted(GOLDEN.glob("*.jsonl")) for number, line in enumerate(path.read_bytes().splitlines(), 1)]


@pytest.mark.parametrize(("name", "body"), samples(), ids=[name for name, _ in samples()])
def test_every_event_ever_written_can_be_read(name: str, body: bytes) -> None:
    """A sample is never changed: a new shape gets a line of its own, an old one an upcast in the codec."""
    fact = codec.decode(body)
    written, again = msgspec.json.decode(body), msgspec.json.decode(codec.encode(fact))
    assert again == written or written["kind"] in codec.UPCASTS, name


def test_there_is_a_sample_of_every_field_of_every_event() -> None:
    """A field that was added has no sample yet: add a line with it to the newest file of tests/golden/events."""
    there: dict[str, set[str]] = {}
    for _, body in samples():
        raw = msgspec.json.decode(body)
        there.setdefault(raw["kind"], set()).update(raw)
    missing = {name: fields for name, kind in KINDS.items() if (fields := {each.name for each in msgspec.structs.fields(kind)} - there.get(name, set()))}
    assert missing == {}
