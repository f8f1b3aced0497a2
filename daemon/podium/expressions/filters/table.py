"""Every filter, by dialect and name."""

from __future__ import annotations

from podium.expressions.calls import by_dialect
from podium.expressions.filters import collections, data, moments, numbers, strings, texts

FILTERS = by_dialect(texts.FILTERS, strings.FILTERS, collections.FILTERS, numbers.FILTERS, data.FILTERS, moments.FILTERS)
