"""All routes of this room, for the server."""

from __future__ import annotations

from podium.web.api.figures import metrics, stats, usages
from podium.web.routes import Route

ROUTES: tuple[Route, ...] = (*stats.ROUTES, *metrics.ROUTES, *usages.ROUTES)
