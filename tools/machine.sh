#!/usr/bin/env bash
# Prepares this machine: a Docker Engine and images, and for tests a browser and systemd's tools. What cannot be had here
# is said plainly; with CI=true it is a failure. Writes .podium/runner: docker or process.
source "$(dirname "$0")/lib.sh"
purpose=${1:?demo or test}
strict=${CI:-}

lack() {
  [[ $strict == true || $strict == 1 ]] && die "$1"
  notice "$1"
}

images() {
  local log="$state/log/images.log"
  apt_install images debootstrap busybox-static || true
  .venv/bin/podium images get "$@" --write "$state/podium.toml" 2>&1 | tee "$log" | sed -u 's/^/· /'
}

docker_runner() {
  tools/engine.sh up && images "$@"
}

if [[ $purpose == demo ]]; then wanted=(shell python); else wanted=(busybox shell python node); fi
if docker_runner "${wanted[@]}"; then
  echo docker >"$state/runner"
else
  lack "tasks will run as processes of this machine, without containers: Docker or images are missing (see above)"
  echo process >"$state/runner"
fi

if [[ $purpose == test ]]; then
  apt_install browser chromium || command -v chromium >/dev/null || lack "no chromium: browser tests are skipped"
  apt_install systemd systemd || command -v systemd-analyze >/dev/null || lack "no systemd-analyze: its tests are skipped"
  apt_install programs openssh-client openssh-server nodejs wget || lack "no sshd, node or wget: their tests are skipped"
fi
