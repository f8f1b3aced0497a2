# Shared by the scripts of this folder: quiet when all is well, the log's tail when something fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
state=.podium
mkdir -p "$state/log" "$state/stamps"

say() { printf '· %s\n' "$*"; }
notice() { printf '! %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# quietly NAME COMMAND… : run it with its output in a log that is shown only on failure.
quietly() {
  local log="$state/log/$1.log"
  shift
  if ! "$@" >"$log" 2>&1; then
    printf -- '--- the last lines of %s:\n' "$log" >&2
    tail -n 30 "$log" >&2
    return 1
  fi
}

# with_lock NAME COMMAND… : two makes at one time do not trip over each other.
with_lock() {
  local _lock="$state/stamps/$1.lock"
  shift
  if command -v flock >/dev/null; then
    (flock 9 && "$@") 9>"$_lock"
  else
    "$@"
  fi
}

can_apt() { [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; }

# apt_install NAME PACKAGE… : install what is missing; fails when that is not possible here.
apt_install() {
  local log=$1 missing=() package
  shift
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  can_apt || return 1
  say "apt: ${missing[*]}"
  quietly "apt-$log" apt_now "${missing[@]}"
}

apt_now() {
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get install -y -qq --no-install-recommends "$@"; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"
  fi
}
