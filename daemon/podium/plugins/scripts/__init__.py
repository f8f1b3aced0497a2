"""The scripts plug-in: commands and scripts in many languages, and the options of the built-in task runners. Entry point `scripts`."""

from __future__ import annotations

from podium.flows.model import TaskRunner
from podium.plugin import Task, Trigger
from podium.plugins.scripts.languages import TYPES
from podium.plugins.scripts.runners import Docker, Kubernetes, Process, Swarm

TASKS: list[type[Task]] = TYPES
TRIGGERS: list[type[Trigger]] = []
CONDITIONS: list[type] = []
RUNNERS: list[type[TaskRunner]] = [Docker, Process, Swarm, Kubernetes]
