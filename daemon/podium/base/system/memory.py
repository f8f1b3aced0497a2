"""The garbage collector of a process that runs for long."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (20_000, 20, 20)
"""Objects made before a look at the young, young looks before one at the older, older before one at all."""


@contextmanager
def loading() -> Iterator[None]:
    """Around the imports of such a process: no search for garbage meanwhile, and none ever again in what was loaded.

    They make a hundred thousand objects and hardly any garbage, and would be searched for it 250 times, a tenth of their time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was:
            gc.enable()


def settle() -> None:
    """Leave out of all later looks what is there by now (modules, models): a look at all of it stands still for a tenth of a second."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
