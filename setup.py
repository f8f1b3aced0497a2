"""Builds our own programs for containers and the scripts of the pages while Podium is installed; everything else is in pyproject.toml.

A wheel gets them for every kind of machine, a development tree (`pip install -e .`) for its own. Where they cannot be built, Podium is
installed without: containers then run without supervisor, pages do not move, and `podium doctor` says so.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "daemon/podium/runners/native/build.py"
SCRIPTS = HERE / "daemon/podium/web/islands/build.py"


class BuildPrograms(build_py):
    """Compiles before it looks for what is to be packed."""

    def run(self) -> None:
        """See the class."""
        native = runpy.run_path(str(PROGRAMS))
        try:
            native["build"]() if self.editable_mode else native["build"](arches=native["ARCHES"])
        except (RuntimeError, OSError, native["subprocess"].SubprocessError) as error:
            sys.stderr.write(f"warning: the programs of runners/native are not built: {error}\n")
        scripts = runpy.run_path(str(SCRIPTS))
        try:
            scripts["build"]()
        except (RuntimeError, OSError, scripts["subprocess"].SubprocessError) as error:
            sys.stderr.write(f"warning: the scripts of the pages are not built: {error}\n")
        super().run()


setup(cmdclass={"build_py": BuildPrograms})
