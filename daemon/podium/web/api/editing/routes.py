"""All routes of this room, for the server."""

from __future__ import annotations

from podium.web.api.editing import edits, flows
from podium.web.api.editing.namespaces import handlers, secrets
from podium.web.routes import Route

ROUTES: tuple[Route, ...] = (*edits.ROUTES, *flows.ROUTES, *handlers.ROUTES, *secrets.ROUTES)
