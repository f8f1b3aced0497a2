#!/usr/bin/env bash
# Makes .venv and installs the hashed lock given as the argument (runtime or dev), then the project itself.
# Safe to run again: does nothing when lock, project file and Python are those of the last time.
source "$(dirname "$0")/lib.sh"
kind=${1:?runtime or dev}
lock=requirements/$kind.txt

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
    if [[ -n $candidate ]] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "Python 3.11 or newer is needed: install it, or name it with PYTHON=/path/to/python3"
}

make_venv() {
  local python=$1
  "$python" -m venv .venv >"$state/log/venv.log" 2>&1 && return
  # Debian ships venv's pip in a package of its own.
  rm -rf .venv
  apt_install venv python3-venv || die "$python has no venv module: install the package python3-venv"
  quietly venv "$python" -m venv .venv
}

install() {
  local python want
  python=$(find_python)
  want="$kind $("$python" -V) $(cat "$lock" pyproject.toml setup.py $(find daemon/podium/runners/native daemon/podium/web/islands daemon/podium/web/strings.json -name "*.[ch]" -o -name build.py -o -name "*.ts" -o -name "*.json" | sort) | sha256sum | cut -d' ' -f1)"
  # The dev lock holds all of the runtime lock, so a tree that has it needs nothing more.
  if [[ -x .venv/bin/podium ]] && grep -qxF -e "$want" -e "dev${want#"$kind"}" .venv/.installed 2>/dev/null; then return; fi
  if ! .venv/bin/python -c '' 2>/dev/null; then
    say "virtual environment .venv ($("$python" -V))"
    make_venv "$python"
  fi
  say "packages of $lock"
  rm -f .venv/.installed
  quietly pip .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  quietly pip-podium .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
  printf '%s\n' "$want" >.venv/.installed
}

with_lock venv install
