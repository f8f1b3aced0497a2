"""The garbage collector of a process that runs for long."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from podium.base.system.memory import loading


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_loaded_is_not_searched_for_garbage_and_what_comes_after_is() -> None:
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_garbage_is_collected_again_when_an_import_fails() -> None:
    with pytest.raises(ModuleNotFoundError), loading():
        import podium.nothing_of_that_name  # noqa: F401
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()
