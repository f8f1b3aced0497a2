#!/usr/bin/env bash
# Runs the checks: fast (what one runs before each commit, under a minute) or all.
source "$(dirname "$0")/lib.sh"
kind=${1:?fast or all}
bin=$PWD/.venv/bin
failed=$state/failed
: >"$failed"

step() { # name, command…
  local started=$SECONDS name=$1
  shift
  if quietly "$name" "$@"; then
    say "$name ($((SECONDS - started)) s)"
  else
    echo "$name" >>"$failed"
  fi
}

present() { for path in "$@"; do [[ -e $path ]] && printf '%s\n' "$path"; done; }

step lint "$bin/ruff" check daemon tests tools benchmarks &
step types "$bin/mypy" &
wait
step imports "$bin/lint-imports"
step scripts "$bin/python" daemon/podium/web/islands/build.py --check
if [[ $kind == fast ]]; then
  mapfile -t folders < <(present tests/unit tests/property tests/architecture)
  step tests "$bin/pytest" -q -m 'not docker and not slow' "${folders[@]}"
else
  say "tests"
  "$bin/pytest" -q --durations=10 -m 'not faults' || echo tests >>"$failed"
  say "faults"
  NIGHTLY='' tools/faults.sh || echo faults >>"$failed"
fi
[[ ! -s $failed ]] || die "failed: $(paste -sd ' ' "$failed")"
say "all checks passed"
