"""Tasks of kind process, inline and delegate that misbehave in every way, for the tests of the worker."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from podium.plugin import Dyn, Metric, Request, Result, RunContext, Task, TaskFailed

PREFIX = "io.kestra.plugin.test."


class Probe(Task):
    """Does what `does` says, in a child process."""

    TYPE = PREFIX + "Probe"
    does: Dyn[str]
    value: Dyn[Any] = None

    def run(self, ctx: RunContext) -> Result:
        """Do it."""
        return getattr(self, f"_{self.does}")(ctx)  # type: ignore[no-any-return]

    def _echo(self, ctx: RunContext) -> Result:
        return Result(outputs={"value": self.value, "pid": os.getpid(), "session": os.getsid(0)})

    def _facts(self, ctx: RunContext) -> Result:
        return Result(outputs={
            "execution": ctx.execution_id, "run": ctx.task_run_id, "attempt": ctx.attempt, "namespace": ctx.namespace, "flow": ctx.flow_id,
            "input": ctx.variables["inputs"]["x"], "rendered": ctx.render({"{{ k }}": ["{{ inputs.x }}"]}, {"k": "key"}),
            "directory": ctx.working_dir.is_dir(), "secret": ctx.render("{{ secret('TOKEN') }}"),
        })

    def _kinds(self, ctx: RunContext) -> Result:
        moment = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
        values = {
            "moment": moment, "span": timedelta(minutes=90), "number": Decimal("1.5"), "whole": Decimal(3), "path": Path("/x"), "set": {1},
            "tuple": (1, 2), 3: "key", "big": 2**80, "bytes": b"b", "half": "\ud800", "none": None,
        }
        return Result(
            outputs=values, state="WARNING", metrics=[Metric(name="m", type="counter", value=1, tags={"a": "b"})],
            requests=[Request(kind="set_labels", body={"labels": {"a": "b"}})], facts={"fact": 1}, secret_outputs=["span"],
        )

    def _files(self, ctx: RunContext) -> Result:
        source = ctx.working_dir / "made.txt"
        source.write_text("made")
        uri = ctx.files.put(source, "sub/made.txt")
        ctx.files.fetch(uri, ctx.working_dir / "again.txt")
        ctx.files.fetch("nsfile:///lib.txt", ctx.working_dir / "lib.txt")
        ctx.files.namespace_put(ctx.namespace, "up.txt", source)
        names = [each.path for each in ctx.files.namespace_list(ctx.namespace)]
        outputs = {
            "uri": uri, "again": (ctx.working_dir / "again.txt").read_text(), "lib": (ctx.working_dir / "lib.txt").read_text(),
            "size": ctx.files.size(uri), "exists": ctx.files.exists(uri), "own": ctx.files.own_files(), "names": names,
            "gone": ctx.files.delete(uri) and not ctx.files.exists(uri), "removed": ctx.files.namespace_delete(ctx.namespace, "up.txt"),
        }
        return Result(outputs=outputs)

    def _missing(self, ctx: RunContext) -> Result:
        ctx.files.fetch("nsfile:///none.txt", ctx.working_dir / "x")
        return Result()

    def _query(self, ctx: RunContext) -> Result:
        ctx.query("kv", namespace="a", key="b")
        return Result()

    def _log(self, ctx: RunContext) -> Result:
        for level in ("ERROR", "WARN", "INFO", "DEBUG", "TRACE"):
            ctx.log.log(level, " ".join(["at", level, str(self.value)]))
        print("printed")
        print("complained", file=sys.stderr)
        subprocess.run(["sh", "-c", "echo from a child; printf end"], check=True)
        return Result()

    def _many(self, ctx: RunContext) -> Result:
        for number in range(20_000):
            ctx.log.log("INFO", str(number))
        return Result()

    def _threads(self, ctx: RunContext) -> Result:
        found: list[str] = []
        threads = [threading.Thread(target=lambda n=n: found.append(ctx.render("{{ n }}", {"n": n}))) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Result(outputs={"found": sorted(map(int, found))})

    def _fail(self, ctx: RunContext) -> Result:
        raise TaskFailed("on purpose", outputs={"kept": 1})

    def _crash(self, ctx: RunContext) -> Result:
        logging.getLogger("x").warning("about to crash")
        raise ZeroDivisionError("division by zero")

    def _segfault(self, ctx: RunContext) -> Result:
        os.kill(os.getpid(), 11)
        time.sleep(10)
        return Result()

    def _exit(self, ctx: RunContext) -> Result:
        os._exit(3)

    def _system_exit(self, ctx: RunContext) -> Result:
        sys.exit(4)

    def _hang(self, ctx: RunContext) -> Result:
        subprocess.Popen(["sh", "-c", "trap '' TERM; exec setsid sleep 300"])
        subprocess.Popen(["sleep", "300"])
        (Path(str(self.value)) / "pid").write_text(str(os.getpid()))
        ctx.log.log("INFO", "up")
        time.sleep(300)
        return Result()

    def _leave(self, ctx: RunContext) -> Result:
        child = subprocess.Popen(["setsid", "sleep", "300"])
        return Result(outputs={"left": child.pid})

    def _big(self, ctx: RunContext) -> Result:
        return Result(outputs={"big": "x" * 2_000_000})

    def _environment(self, ctx: RunContext) -> Result:
        return Result(outputs={"names": sorted(os.environ)})

    def _no_result(self, ctx: RunContext) -> Result:
        return None  # type: ignore[return-value]


class SafeProbe(Probe):
    """The same, and may be run again after a crash."""

    TYPE = PREFIX + "SafeProbe"
    IDEMPOTENT: ClassVar[bool] = True


class Inline(Task):
    """In the daemon's loop."""

    TYPE = PREFIX + "Inline"
    KIND = "inline"
    does: Dyn[str] = "echo"
    value: Dyn[Any] = None

    def run(self, ctx: RunContext) -> Result:
        """Do it."""
        ctx.log.log("WARN", " ".join(["inline", str(self.value)]))
        if self.does == "fail":
            raise TaskFailed("no", outputs={"kept": 2})
        if self.does == "query":
            return Result(outputs={"kv": ctx.query("kv", namespace=ctx.namespace, key="known")})
        if self.does == "secret":
            return Result(outputs={"open": 1, "pw": "hidden-value"}, secret_outputs=["pw"])
        return Result(outputs={"value": self.value, "rendered": ctx.render("{{ inputs.x }}")})


TASKS = [Probe, SafeProbe, Inline]
