#!/usr/bin/env bash
# Finds a Docker Engine, or installs and starts one where that is possible (root, apt). Exit 0: an engine answers.
# Exit 1: there is none; the caller goes on with the process runner, or fails. A started engine goes on running:
# `make engine-stop` ends it.
source "$(dirname "$0")/lib.sh"
pid_file=$state/dockerd.pid

answers() {
  local socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
  if command -v docker >/dev/null; then
    timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
  else
    [[ $socket == unix://* && -S ${socket#unix://} && -w ${socket#unix://} ]]
  fi
}

wait_for_it() {
  local tries=$1
  while ((tries-- > 0)); do
    if answers; then return 0; fi
    kill -0 "${2:-$$}" 2>/dev/null || return 1
    sleep 0.5
  done
  return 1
}

start() {
  if [[ -d /run/systemd/system ]]; then
    quietly docker-start systemctl start docker && wait_for_it 60 && return
  fi
  say "starting dockerd"
  # Without the descriptor of our lock: it would be held for as long as the engine runs.
  setsid nohup dockerd --pidfile "$PWD/$pid_file" >"$state/log/dockerd.log" 2>&1 </dev/null 9>&- &
  wait_for_it 120 $! && return
  grep 'failed to start daemon' "$state/log/dockerd.log" >&2 || tail -n 5 "$state/log/dockerd.log" >&2
  return 1
}

engine() {
  answers && return
  can_apt || { notice "no Docker Engine answers, and installing one needs root and apt"; return 1; }
  command -v dockerd >/dev/null || apt_install docker docker.io iptables || { notice "Docker could not be installed"; return 1; }
  start || { notice "Docker is installed and does not start here (see $state/log/dockerd.log)"; return 1; }
}

stop() {
  [[ -s $pid_file ]] || return 0
  local pid
  pid=$(<"$pid_file")
  [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]] || { rm -f "$pid_file"; return 0; }
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
  rm -f "$pid_file"
}

case ${1:-up} in
  up) with_lock engine engine ;;
  stop) stop ;;
  *) die "up or stop" ;;
esac
