"""All routes of this room that begin with fixed words, for the server. Those of `eval` come apart."""

from __future__ import annotations

from podium.web.api.looks import finding, names, taskruns, together
from podium.web.routes import Route

ROUTES: tuple[Route, ...] = (*finding.ROUTES, *names.ROUTES, *taskruns.ROUTES, *together.ROUTES)
