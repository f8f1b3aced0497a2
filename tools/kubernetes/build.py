"""Writes a Go module that builds a Kubernetes release from the module proxy: python3 build.py FOLDER (see cluster.sh).

The release's own go.mod points its 30 staging modules at folders that are only in its repository. Here they point at the same modules as
published, of the same version; what only examples or generators need, and is not published for it, is an empty module.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

VERSION = "33.13"
_STAGING = f"v0.{VERSION}"
_OTHER = {"k8s.io/code-generator": "v0.33.0"}
_EMPTY = {"k8s.io/sample-apiserver", "k8s.io/sample-cli-plugin", "k8s.io/sample-controller"}


def write(folder: Path) -> None:
    """Make go.mod and go.sum in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@v1.{VERSION}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    release = Path(re.findall(r'"Dir": "([^"]+)"', told.stdout)[0])
    theirs = (release / "go.mod").read_text()
    needed = "\n".join(re.findall(r"^require \(.*?^\)", theirs, flags=re.MULTILINE | re.DOTALL))
    needed = re.sub(r"v0\.0\.0$", _STAGING, needed, flags=re.MULTILINE)
    needed = "\n".join(line for line in needed.splitlines() if not any(name in line for name in _EMPTY))
    replaced = []
    for name in sorted(set(re.findall(r"(k8s\.io/[\w-]+) => \./staging", theirs))):
        if name in _EMPTY:
            stub = folder / "empty" / name.partition("/")[2]
            stub.mkdir(parents=True, exist_ok=True)
            (stub / "go.mod").write_text(f"module {name}\n\ngo 1.24\n")
            replaced.append(f"\t{name} => ./empty/{stub.name}")
        else:
            replaced.append(f"\t{name} => {name} {_OTHER.get(name, _STAGING)}")
    language = re.findall(r"^go .*$", theirs, flags=re.MULTILINE)[0]
    lines = ["module podium.local/kubernetes", language, f"require k8s.io/kubernetes v1.{VERSION}", needed, "replace (", *replaced, ")"]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")
    (folder / "go.sum").write_bytes((release / "go.sum").read_bytes())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
