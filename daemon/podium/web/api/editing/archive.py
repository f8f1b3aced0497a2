"""Flows and files as ZIP, out and in. Called by the handlers of this room.

What always holds: an archive that unpacks to too much, or that names places outside, is refused before anything of it is used.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import web

from podium.base import limits
from podium.base.errors import LimitError
from podium.base.ports import FlowRevision
from podium.web.errors import BadRequest
from podium.web.params import Form

EXPORT = {"type": "string", "format": "binary"}


async def exported(flows: Sequence[FlowRevision]) -> web.Response:
    """A ZIP with a file `<namespace>.<id>.yml` for each flow."""
    return await zip_answer({f"{each.namespace}.{each.flow_id}.yml": each.text.encode() for each in flows}, "flows.zip")


async def zip_answer(files: Mapping[str, bytes], name: str) -> web.Response:
    """These files as a ZIP to keep."""
    body = await asyncio.to_thread(packed, files)
    return web.Response(body=body, content_type="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def packed(files: Mapping[str, bytes]) -> bytes:
    """A ZIP, the same for the same files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path), body, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def unpacked(data: bytes | Path) -> list[tuple[str, bytes]]:
    """(path, content) of the files of a ZIP. Raises BadRequest, LimitError."""
    found: list[tuple[str, bytes]] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data) if isinstance(data, bytes) else data) as archive:
            entries = [each for each in archive.infolist() if not each.is_dir()]
            if len(entries) > limits.EDIT_FILES_MAX or sum(each.file_size for each in entries) > limits.EDIT_BYTES_MAX:
                raise _too_large()
            left = limits.EDIT_BYTES_MAX
            for entry in entries:
                with archive.open(entry) as file:
                    body = file.read(left + 1)  # what the entry says of its size need not be true
                left -= len(body)
                if left < 0:
                    raise _too_large()
                found.append((entry.filename, body))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        hint = "pack it again, without a password"
        raise BadRequest(f"the file is no ZIP that can be read: {str(error)[:200]}", hint=hint, path="fileUpload") from error
    return found


def _too_large() -> LimitError:
    return LimitError(
        f"the archive holds over {limits.EDIT_FILES_MAX} files or {limits.EDIT_BYTES_MAX} bytes", hint="push them with git", limit="EDIT_BYTES_MAX"
    )


def uploads(form: Form, *names: str) -> list[tuple[str, Path]]:
    """(file name, where it is) of the files that were sent under one of these names."""
    return [(Path(name.replace("\\", "/")).name, place) for part, name, place in form.files if part in names]
