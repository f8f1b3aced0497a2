"""What all conversions share: a stored file comes in, another goes out, rows are counted. Source: plugins 4."""


import codecs
from datetime import tzinfo
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from podium.base.errors import SettingsError
from podium.base.system.zone import zone_of
from podium.plugin import Dyn, Metric, Result, RunContext, Task, TaskFailed
from podium.plugins.core.files.workfiles import fetched, stored_from

PREFIX = "io.kestra.plugin.serdes."


def one_character(text: str, what: str) -> str:
    """`text`, which must be a single character. Raises TaskFailed naming the property `what`."""
    if len(text) != 1:
        raise TaskFailed(f"{what}: a single character is expected, not {text!r}")
    return text


class Conversion(Task):
    """Makes a stored file of another format of a stored file. Outputs: uri, size (rows). Metric: records."""

    KIND = "process"
    IDEMPOTENT = True
    SUFFIX: ClassVar[str] = ".ion"
    from_: Dyn[str] = Field(alias="from")

    def convert(self, ctx: RunContext, source: Path, target: Path) -> int:
        """Write `target` from `source`; how many rows. Raises TaskFailed, StorageError."""
        raise NotImplementedError

    def suffix(self) -> str:
        """How the name of the new file ends."""
        return self.SUFFIX

    def run(self, ctx: RunContext) -> Result:
        """Fetch, convert, store."""
        with fetched(ctx, self.from_) as source, stored_from(ctx) as target:
            count = self.convert(ctx, source, target)
            uri = ctx.files.put(target, f"data{self.suffix()}")
        return Result(outputs={"uri": uri, "size": count}, metrics=[Metric(name="records", type="counter", value=count)])


def encoding_of(charset: str, *, reading: bool = False) -> str:
    """Python's name of a charset; reading: a byte order mark at the start of UTF-8 is no part of the text. Raises TaskFailed."""
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError) as error:
        raise TaskFailed(f"charset: {charset!r} is not known") from error
    return "utf-8-sig" if reading and name == "utf-8" else name


def zone_for(ctx: RunContext, name: str | None) -> tzinfo:
    """The zone named, else the instance's. Raises TaskFailed."""
    try:
        return zone_of(name) if name else ctx.zone
    except SettingsError as error:
        raise TaskFailed(f"timeZoneId: {error.what}") from error
