"""Structured logging of the daemon itself (not of tasks). One line an event: constant name and facts."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from podium.base.redact import redact_url


@contextmanager
def _as_if_absent(package: str) -> Iterator[None]:
    """Import what uses `package` only if it is installed, without it. Anybody else can import it afterwards."""
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment] # how Python itself marks what is not there
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]


with _as_if_absent("rich"):  # 60 ms and 4 MB, to draw tracebacks that are text already when they get there
    import structlog


def get_logger(name: str) -> Any:
    """A logger whose calls read `log.info("task_ended", execution_id=…)`."""
    return structlog.get_logger(name)


def _mask_urls(_logger: Any, _method: str, event: Any) -> Any:
    return {key: redact_url(value) if isinstance(value, str) else value for key, value in event.items()}


def configure_logging(*, level: str = "INFO", json_lines: bool = False) -> None:
    """Send the daemon's log to standard error, as text for people or as a JSON object a line."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    # watchdog says so when a folder is made while it walks the one above: the watch is the same.
    warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)
    renderer: Any = structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _mask_urls,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
