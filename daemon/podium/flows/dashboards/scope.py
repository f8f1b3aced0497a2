"""What part of the data a chart is drawn of, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from podium.flows.dashboards.model import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """start, end, now: aware, UTC; end is not part of it. visible: namespaces, each with all below it, that the reader may see; None: all.

    namespace (and all below it), flow_id: what the reader asked for.
    """

    start: datetime
    end: datetime
    now: datetime
    visible: frozenset[str] | None = None
    namespace: str | None = None
    flow_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of a chart by the keys of its columns. cut: there are more than CHART_ROWS_MAX. bucket: minute, hour, day, week or month."""

    rows: Sequence[Mapping[str, Any]]
    cut: bool = False
    bucket: str = "day"


class ChartReads(Protocol):
    """Dashboards as deployed, and the rows of their charts. Implemented by store/charts, called by web."""

    def stored(self) -> list[dict[str, Any]]:
        """By source and path: {id, source, path, blob, commit, text}. Little enough to be asked for each page."""
        ...

    async def rows(self, data: Data, scope: Scope) -> Rows:
        """The rows of a chart over executions, logs or metrics. Raises LimitError when it takes too long."""
        ...

    async def rows_of(self, data: Data, given: Sequence[Mapping[str, Any]], scope: Scope) -> Rows:
        """The same over rows that the caller has, by the names of fields: for flows and triggers."""
        ...
