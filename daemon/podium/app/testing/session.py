"""A whole run of flow tests: the cases of all suites, a few at a time, told in the order of the files; then what they did not come to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from podium.app.testing.case import Runner
from podium.app.testing.found import Found
from podium.app.testing.results import CaseResult, Coverage, Report, SuiteResult
from podium.base.globs import compile_globs
from podium.flows.model import Flow, ForEachItem, Task, all_tasks
from podium.flows.suites.load import Problem

Told = Callable[[SuiteResult, CaseResult], None]


async def run_all(
    runner: Runner, found: Sequence[Found], problems: Sequence[Problem], *, jobs: int, interrupted: asyncio.Event, told: Told,
    wanted: Callable[[str], bool] = lambda _: True,
) -> Report:
    """Run every wanted case, `jobs` at a time. told: is called with each result, in the order of the suites and their cases.

    wanted: by the full name `namespace.suite/case`. Once `interrupted` is set no further case begins, and those that run are ended.
    """
    began = asyncio.get_running_loop().time()
    report = Report(suites=[], problems=list(problems))
    places = asyncio.Semaphore(max(jobs, 1))

    async def run(each: Found, index: int) -> CaseResult | None:
        async with places:
            return None if interrupted.is_set() else await runner.run(each, index, interrupted)

    running: deque[tuple[SuiteResult, asyncio.Task[CaseResult | None]]] = deque()
    chosen: list[Found] = []
    for each in found:
        suite = each.parsed.suite
        assert suite is not None
        result = SuiteResult(
            id=suite.id, namespace=suite.namespace, flow_id=suite.flow_id, file=each.parsed.file, flow_file=str(each.flow.file)
        )
        indexes = [index for index, case in enumerate(suite.test_cases) if wanted(f"{suite.namespace}.{suite.id}/{case.id}")]
        if indexes:
            report.suites.append(result)
            chosen.append(each)
        running.extend((result, asyncio.create_task(run(each, index))) for index in indexes)
    try:
        while running:
            result, task = running[0]
            case = await task
            running.popleft()
            if case is not None:
                result.cases.append(case)
                told(result, case)
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
    report.interrupted = interrupted.is_set()
    report.coverage = coverage_of(chosen, report.suites)
    report.duration_s = asyncio.get_running_loop().time() - began
    return report


def name_filter(pattern: str | None) -> Callable[[str], bool]:
    """Whether a full name `namespace.suite/case` fits a glob; it may also be that of the suite or of the case alone. Raises FlowError."""
    if pattern is None:
        return lambda _: True
    matches = compile_globs([pattern])

    def fits(name: str) -> bool:
        suite, _, case = name.partition("/")
        return any(matches(each) for each in (name, suite, suite.rpartition(".")[2], case))

    return fits


def coverage_of(found: Sequence[Found], suites: Sequence[SuiteResult]) -> list[Coverage]:
    """Of each tested flow, the tasks that no case came to; those inside a mocked one are among them. Disabled tasks do not count."""
    flows: dict[str, Flow] = {}
    reached: dict[str, set[str]] = {}
    for each, suite in zip(found, suites, strict=True):
        assert each.flow.parsed.flow is not None
        name = f"{suite.namespace}.{suite.flow_id}"
        flows.setdefault(name, each.flow.parsed.flow)
        reached.setdefault(name, set()).update(*(case.reached for case in suite.cases))
    found_all = []
    for name, flow in flows.items():
        made_up = _made_up(flow)
        tasks = [task for task in all_tasks(flow, disabled=False) if task.id not in made_up]
        missed = tuple(task.id for task in tasks if not _is_reached(task, reached[name]))
        found_all.append(Coverage(flow=name, tasks=tuple(task.id for task in tasks), missed=missed))
    return found_all


def _made_up(flow: Flow) -> set[str]:
    """Tasks that nobody wrote: the three of which a ForEachItem is made."""
    batches = [task for task in all_tasks(flow) if isinstance(task, ForEachItem)]
    return {f"{task.id}_{part}" for task in batches for part in ("split", "items", "merge")}


def _is_reached(task: Task, reached: set[str]) -> bool:
    """A task that ran, or that holds one that did."""
    return task.id in reached or any(_is_reached(inner, reached) for tasks in task.lists_of_tasks().values() for inner in tasks)
