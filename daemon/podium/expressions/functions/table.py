"""Every function, by dialect and name. `block` is the emitter's."""

from __future__ import annotations

from podium.expressions.calls import by_dialect
from podium.expressions.functions import crypto, moments, outside, rendering, values

FUNCTIONS = by_dialect(values.FUNCTIONS, rendering.FUNCTIONS, outside.FUNCTIONS, crypto.FUNCTIONS, moments.FUNCTIONS)
