#!/usr/bin/env bash
# Writes the lock files: every package that runs, tests or builds Podium, pinned with its hashes, naming no index.
source "$(dirname "$0")/lib.sh"
tool=$state/lock-venv
[[ -x $tool/bin/uv ]] || { .venv/bin/python -m venv "$tool"; quietly uv "$tool/bin/pip" install --quiet uv; }

compile() { # file, arguments
  local out=requirements/$1.txt
  shift
  quietly "lock-$(basename "$out" .txt)" "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --no-emit-index-url --no-annotate --upgrade "$@" pyproject.toml requirements/build.in --output-file "$out"
  ! grep -nE '://|^--' "$out" || die "$out names an index"
  say "$out: $(grep -c == "$out") packages"
}

compile runtime
compile dev --extra dev --constraint requirements/runtime.txt
