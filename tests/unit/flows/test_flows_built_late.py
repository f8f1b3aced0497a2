"""Models are built when they are first used, whoever comes first: flows are read by several threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydantic import ValidationError

from podium.flows.model import Model


def test_a_type_that_many_threads_use_first_at_once_is_whole_for_each() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):

            class Fresh(Model):
                count: int
                name: str = "x"

            assert not Fresh.__pydantic_complete__
            together = Barrier(6)

            def use(number: int, model: type[Fresh] = Fresh, together: Barrier = together) -> tuple[int, str, bool]:
                together.wait()
                made = model.model_validate({"count": number})
                try:
                    model.model_validate({"count": number, "other": 1})
                except ValidationError:
                    return made.count, made.name, True
                return made.count, made.name, False

            with ThreadPoolExecutor(6) as pool:
                assert list(pool.map(use, range(6))) == [(number, "x", True) for number in range(6)]
    finally:
        sys.setswitchinterval(interval)


def test_a_model_whose_fields_have_no_type_is_refused_when_it_is_made() -> None:
    with pytest.raises(Exception, match="non-annotated"):
        type("Wrong", (Model,), {"__module__": __name__, "count": 1})
