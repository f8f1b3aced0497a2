"""The message of a commit on the results branch: a subject for people, one line an execution, trailers for machines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from podium.base.ports import QueuedFile

EXECUTIONS_TRAILER, INSTANCE_TRAILER = "Podium-Executions", "Podium-Instance"
PREVIOUS_TRAILER = "Podium-Previous"
_GOOD = ("SUCCESS",)
_SUBJECT_CHARS_MAX = 100
_LINES_MAX = 50


def commit_message(files: Sequence[QueuedFile], *, instance: str) -> str:
    """Such as `3 executions: 2 SUCCESS, 1 FAILED (company.team.daily)`, what each was, and the trailers."""
    executions = list({file.summary["id"]: file.summary for file in files if file.kind == "execution"}.values())
    parts = [_executions(executions)] if executions else []
    for kind, word in (("sync", "sync"), ("state", "state file"), ("log", "log")):
        count = len({file.path for file in files if file.kind == kind})
        if count and not (executions and kind in ("log", "state")):
            parts.append(_counted(count, word))
    subject = "; ".join(parts) or _counted(len(files), "file")
    lines = [_line(summary) for summary in executions[:_LINES_MAX]]
    if len(executions) > _LINES_MAX:
        lines.append(f"… and {len(executions) - _LINES_MAX} more")
    trailers = [f"{EXECUTIONS_TRAILER}: {len(executions)}", f"{INSTANCE_TRAILER}: {_one_line(instance)}"]
    return "\n\n".join(part for part in (subject, "\n".join(lines), "\n".join(trailers)) if part) + "\n"


def root_message(branch: str, *, instance: str, previous: str | None, previous_tip: str | None, previous_count: int | None) -> str:
    """The message of the first commit of a branch. previous: the branch it continues."""
    body = "Executions of Podium, one JSON record each. See README.md."
    trailers = [f"{EXECUTIONS_TRAILER}: 0", f"{INSTANCE_TRAILER}: {_one_line(instance)}"]
    if previous:
        body = f"Continues {previous} ({previous_count} executions)."
        trailers.append(f"{PREVIOUS_TRAILER}: {previous} {previous_tip} {previous_count}")
    return f"Begin {branch}\n\n{body}\n\n" + "\n".join(trailers) + "\n"


def _executions(summaries: Sequence[Mapping[str, Any]]) -> str:
    states = Counter(str(summary.get("state")) for summary in summaries)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    text = f"{_counted(len(summaries), 'execution')}: {counted}"
    bad = [summary for summary in summaries if summary.get("state") not in _GOOD]
    named = _names(bad or summaries)
    return f"{text} ({named})" if len(text) + len(named) + 3 <= _SUBJECT_CHARS_MAX else text


def _names(summaries: Iterable[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(f"{summary.get('namespace')}.{summary.get('flowId')}" for summary in summaries))
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more flows" if len(names) > 2 else "")


def _line(summary: Mapping[str, Any]) -> str:
    return _one_line(f"{summary.get('state')} {summary.get('namespace')}.{summary.get('flowId')} {summary.get('id')}")


def _counted(count: int, word: str) -> str:
    plural = word if count == 1 else word + "s"
    return f"{count} {plural}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
