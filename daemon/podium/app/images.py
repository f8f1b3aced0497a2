"""Container images without a registry: made from Debian packages under `podium.local/…` names (ADR-0009).

Called by `podium images` and by `make`. What comes in: names of recipes. What goes out: images in the Docker Engine and the
`[runner.images]` table that lets flows written for official images use them. What always holds: no image is imported under a
name that a registry owns; making one again is free while its recipe is the same.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitedTooLong
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.app import machine
from podium.base.errors import NotFound, RunnerError

SUITE = "bookworm"
LABEL = "podium.recipe"
MARKER = "# Written by `podium images get`; change podium.toml in the project's folder instead: it is read first.\n"
_VERSION = "1"
_DEBOOTSTRAP_S = 1800.0
_ANSWER_S = 15.0
_PULL_S = 900.0
_LEFT_OUT = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image. official: what is pulled where a registry answers. stands_for: image names it replaces (`*` matches any text)."""

    name: str
    tag: str
    official: str
    stands_for: tuple[str, ...]
    packages: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Changes when the image would come out different."""
        return hashlib.sha256(repr((_VERSION, SUITE, self.tag, self.packages)).encode()).hexdigest()[:16]


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="busybox", tag="podium.local/busybox:latest", official="busybox:latest",
            stands_for=("busybox", "busybox:*", "alpine", "alpine:*"),
        ),
        Recipe(
            name="shell", tag=f"podium.local/debian:{SUITE}", official="ubuntu:latest", packages=("ca-certificates",),
            stands_for=("ubuntu", "ubuntu:*", "debian", "debian:*"),
        ),
        Recipe(
            name="python", tag=f"podium.local/python:{SUITE}", official="python:3.13-slim",
            packages=("ca-certificates", "python3", "python3-pip", "python3-venv"),
            stands_for=("python", "python:*", "*/kestrapy", "*/kestrapy:*", "*/pydata", "*/pydata:*"),
        ),
        Recipe(
            name="node", tag=f"podium.local/node:{SUITE}", official="node:latest", packages=("ca-certificates", "nodejs"),
            stands_for=("node", "node:*"),
        ),
    )
}


def recipes(names: Iterable[str]) -> list[Recipe]:
    """The recipes of these names; all when there are none. Raises NotFound."""
    wanted = list(names) or list(RECIPES)
    for name in wanted:
        if name not in RECIPES:
            raise NotFound(f"no image recipe is called {name!r}", hint=f"there are: {', '.join(RECIPES)}", name=name)
    return [RECIPES[name] for name in wanted]


def connect() -> Any:
    """A client of the Docker Engine. Raises RunnerError when none answers."""
    import docker

    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, OSError) as exc:
        raise RunnerError("no Docker Engine answers", hint="start Docker, or check DOCKER_HOST and the group `docker`") from exc
    return client


def is_made(client: Any, recipe: Recipe) -> bool:
    """Whether the engine has this image, made from the same recipe."""
    import docker

    try:
        return bool(client.images.get(recipe.tag).labels.get(LABEL) == recipe.fingerprint)
    except docker.errors.ImageNotFound:
        return False


def build(client: Any, recipe: Recipe, *, cache: Path, say: Say) -> bool:
    """Make the image unless it is there; whether anything was done. cache: where root file systems are kept between runs."""
    if is_made(client, recipe):
        return False
    say(f"making {recipe.tag}")
    archive = _busybox(cache, recipe) if recipe.name == "busybox" else _debian(cache, recipe)
    changes = [f'LABEL {LABEL}="{recipe.fingerprint}"', 'ENV LANG="C.UTF-8"', f'CMD ["{"sh" if recipe.name == "busybox" else "bash"}"]']
    repository, _, tag = recipe.tag.rpartition(":")
    client.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)
    return True


def build_all(client: Any, wanted: Iterable[Recipe], *, cache: Path, say: Say) -> None:
    """Make several images, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done in [pool.submit(build, client, recipe, cache=cache, say=say) for recipe in wanted]:
            done.result()


def get(client: Any, wanted: list[Recipe], *, cache: Path, say: Say) -> dict[str, str]:
    """Pull the official images where a registry answers, else make our own; the `[runner.images]` table that is then needed."""
    made = [recipe for recipe in wanted if is_made(client, recipe)]
    missing = [recipe for recipe in wanted if recipe not in made and not _is_here(client, recipe.official)]
    if missing and _registry_answers(client):
        missing = [recipe for recipe in missing if not _pull(client, recipe.official, say, timeout_s=_PULL_S)]
    build_all(client, missing, cache=cache, say=say)
    return table([*made, *missing])


def table(made: Iterable[Recipe]) -> dict[str, str]:
    """Which image names these images replace."""
    return {pattern: recipe.tag for recipe in made for pattern in recipe.stands_for}


def write_settings(path: Path, images: Mapping[str, str]) -> None:
    """Keep the table in a settings file of our own. Raises RunnerError rather than change a file that a person wrote."""
    if path.exists() and not path.read_text("utf-8").startswith(MARKER):
        raise RunnerError(f"{path} was not written by this command", hint="add the table of `podium images list` by hand", path=str(path))
    lines = [f'"{pattern}" = "{tag}"\n' for pattern, tag in images.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(MARKER + "[runner.images]\n" + "".join(lines), "utf-8")


# ---- registries


def _is_here(client: Any, name: str) -> bool:
    import docker

    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def _registry_answers(client: Any) -> bool:
    """Whether the smallest official image can be pulled at once."""
    return _pull(client, RECIPES["busybox"].official, lambda _: None, timeout_s=_ANSWER_S)


def _pull(client: Any, name: str, say: Say, *, timeout_s: float) -> bool:
    import docker

    pool = ThreadPoolExecutor(max_workers=1)
    try:
        say(f"pulling {name}")
        pool.submit(client.images.pull, name).result(timeout=timeout_s)
    except (docker.errors.DockerException, OSError, WaitedTooLong):
        return False
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return True


# ---- root file systems


def _busybox(cache: Path, recipe: Recipe) -> Path:
    program = shutil.which("busybox")
    if program is None:
        raise RunnerError("busybox is not installed", hint="apt-get install busybox-static")
    applets = machine.ask([program, "--list"], timeout_s=10).output.split()
    archive = cache / f"busybox-{recipe.fingerprint}.tar"
    cache.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            tar.addfile(_entry(folder, kind=tarfile.DIRTYPE, mode=mode))
        tar.add(program, "bin/busybox", recursive=False)
        for applet in applets:
            if applet != "busybox":
                tar.addfile(_entry(f"bin/{applet}", kind=tarfile.SYMTYPE, target="busybox"))
        users = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
        for name, body in (("etc/passwd", users), ("etc/group", b"root:x:0:\nnogroup:x:65534:\n")):
            entry = _entry(name, mode=0o644)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return archive


def _entry(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o777, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = kind, mode, target
    return entry


def _debian(cache: Path, recipe: Recipe) -> Path:
    """A tar of a minimal Debian with the recipe's packages, from the cache or made now."""
    archive = cache / f"{recipe.name}-{recipe.fingerprint}.tar"
    if archive.exists():
        return archive
    if os.geteuid() != 0:
        raise RunnerError("making images from Debian packages needs root", hint="run it once with sudo, or let Docker reach a registry")
    if not machine.has("debootstrap"):
        raise RunnerError("debootstrap is not installed", hint="apt-get install debootstrap (on Ubuntu also debian-archive-keyring)")
    debs = cache / "debs" / recipe.name
    debs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="podium-image-", ignore_cleanup_errors=True) as folder:
        root = Path(folder, "root")
        options = ["--variant=minbase", f"--include={','.join(recipe.packages)}", f"--cache-dir={debs.absolute()}"]
        answer = machine.ask(["debootstrap", *options, SUITE, str(root)], timeout_s=_DEBOOTSTRAP_S)
        if not answer.ok:
            last = "\n".join(answer.output.splitlines()[-5:])
            raise RunnerError(f"debootstrap failed for {recipe.tag}:\n{last}", hint="check that a Debian mirror is reachable")
        _trim(root)
        half = archive.with_suffix(".tar.half")
        with tarfile.open(half, "w") as tar:
            tar.add(root, ".")
        half.rename(archive)
    shutil.rmtree(debs, ignore_errors=True)
    return archive


def _trim(root: Path) -> None:
    """Leave out what no task needs; let `python` and `pip install` work as in the official image."""
    for folder in _LEFT_OUT:
        shutil.rmtree(root / folder, ignore_errors=True)
    for python in sorted(root.glob("usr/lib/python3.*/EXTERNALLY-MANAGED")):
        python.unlink()
    if (root / "usr/bin/python3").exists():
        (root / "usr/bin/python").unlink(missing_ok=True)
        (root / "usr/bin/python").symlink_to("python3")
