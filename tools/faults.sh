#!/usr/bin/env bash
# Runs the fault tests: in CI size (two halves at a time, under four minutes), or with NIGHTLY=1 all of them, 200 rounds, one after the other.
source "$(dirname "$0")/lib.sh"
pytest=("$PWD/.venv/bin/pytest" -q --durations=5)
if [[ ${NIGHTLY:-} == 1 ]]; then
  FAULTS_NIGHTLY=1 nice "${pytest[@]}" -s tests/faults
  exit
fi
failed=0
halves=("test_faults_kill.py test_faults_power.py test_faults_disk.py test_faults_plants.py test_faults_remote.py" "test_faults_daemon.py test_faults_docker.py test_faults_clock.py")
pids=()
for number in 0 1; do
  # shellcheck disable=SC2086 -- words of a list
  (cd tests/faults && exec "${pytest[@]}" ${halves[number]}) >"$state/log/faults-$number.log" 2>&1 &
  pids+=($!)
done
for number in 0 1; do
  wait "${pids[number]}" || failed=1
  cat "$state/log/faults-$number.log"
done
exit $failed
