"""Builds our own programs for containers while Podium is installed; everything else is in pyproject.toml.

A wheel gets them for every kind of machine, a development tree (`pip install -e .`) for its own. Where they cannot be built, Podium is
installed without: containers then run without supervisor, and `podium doctor` says so.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUILD = Path(__file__).resolve().parent / "daemon/podium/runners/native/build.py"


class BuildPrograms(build_py):
    """Compiles before it looks for what is to be packed."""

    def run(self) -> None:
        """See the class."""
        native = runpy.run_path(str(BUILD))
        try:
            native["build"]() if self.editable_mode else native["build"](arches=native["ARCHES"])
        except (RuntimeError, OSError, native["subprocess"].SubprocessError) as error:
            sys.stderr.write(f"warning: the programs of runners/native are not built: {error}\n")
        super().run()


setup(cmdclass={"build_py": BuildPrograms})
