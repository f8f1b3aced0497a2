"""The garbage collector of a process that runs for long."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 20)
"""Objects made before a look at the young, young looks before one at the older, older before one at all."""


def settle() -> None:
    """Leave out of all later looks what is there by now (modules, models): a look at all of it stands still for a tenth of a second."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
