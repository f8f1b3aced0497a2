#!/usr/bin/env bash
# Runs the fault tests, two halves at a time: in CI size (about five minutes), or with NIGHTLY=1 all of them and 200 rounds (under an hour).
source "$(dirname "$0")/lib.sh"
pytest=("$PWD/.venv/bin/pytest" -q --durations=5)
halves=("test_faults_kill.py test_faults_disk.py test_faults_plants.py test_faults_remote.py"
  "test_faults_standby.py test_faults_power.py test_faults_daemon.py test_faults_docker.py test_faults_clock.py")
limit=15m
if [[ ${NIGHTLY:-} == 1 ]]; then
  export FAULTS_NIGHTLY=1
  pytest=(nice "${pytest[@]}" -s)
  limit=60m
fi
failed=0
pids=()
for number in 0 1; do
  # shellcheck disable=SC2086 -- words of a list
  (cd tests/faults && exec timeout --kill-after=30 "$limit" "${pytest[@]}" ${halves[number]}) >"$state/log/faults-$number.log" 2>&1 &
  pids+=($!)
done
for number in 0 1; do
  wait "${pids[number]}" || failed=1
  cat "$state/log/faults-$number.log"
done
exit $failed
