"""How often somebody may guess and call: what is counted, what is forgotten, and that nothing grows without bound."""

from __future__ import annotations

from podium.web.people.throttle import BY_ADDRESS, BY_BOTH, BY_USER, FORGOTTEN_S, KEYS_MAX, Buckets, Limit, Throttle

KEYS = {"address a": BY_ADDRESS, "both a ann": BY_BOTH, "user ann": BY_USER}


def test_after_some_wrong_guesses_each_further_one_doubles_the_wait() -> None:
    throttle = Throttle()
    waits = []
    for _ in range(9):
        throttle.failed(KEYS, 100.0)
        waits.append(throttle.wait_s(KEYS, 100.0))
    assert waits == [0, 0, 0, 0, 4, 8, 16, 32, 64]
    assert throttle.wait_s(KEYS, 165.0) <= 0
    for _ in range(40):
        throttle.failed(KEYS, 100.0)
    assert throttle.wait_s(KEYS, 100.0) == 300


def test_what_was_counted_before_only_begins_its_wait_anew() -> None:
    throttle = Throttle()
    for _ in range(5):
        throttle.failed(KEYS, 100.0)
    throttle.failed(KEYS, 110.0, counted=True)
    assert throttle.wait_s(KEYS, 110.0) == 4


def test_a_person_is_held_up_from_elsewhere_for_a_minute_at_most() -> None:
    throttle = Throttle()
    for number in range(500):
        throttle.failed({f"address {number}": BY_ADDRESS, "user ann": BY_USER}, 100.0)
    assert throttle.wait_s({"address z": BY_ADDRESS, "user ann": BY_USER}, 100.0) == 60
    assert throttle.wait_s({"address z": BY_ADDRESS, "user bob": BY_USER}, 100.0) == 0


def test_a_right_guess_and_time_forget() -> None:
    throttle = Throttle()
    for _ in range(6):
        throttle.failed(KEYS, 100.0)
    throttle.right(KEYS)
    assert throttle.wait_s(KEYS, 100.0) == 0
    for _ in range(4):
        throttle.failed(KEYS, 100.0)
    throttle.failed(KEYS, 101.0 + FORGOTTEN_S)
    assert throttle.wait_s(KEYS, 101.0 + FORGOTTEN_S) == 0


def test_very_many_addresses_cost_bounded_memory() -> None:
    throttle, buckets = Throttle(), Buckets(1.0, 1.0)
    for number in range(KEYS_MAX + 500):
        throttle.failed({f"address {number}": Limit(1)}, 0.0)
        buckets.take(str(number), 0.0)
    assert len(throttle._failed) == len(buckets._left) == KEYS_MAX
    assert throttle.wait_s({f"address {KEYS_MAX + 499}": Limit(1)}, 0.0) > 0


def test_a_bucket_fills_with_time() -> None:
    buckets = Buckets(2.0, 4.0)
    assert [buckets.take("a", 0.0) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert buckets.take("b", 0.0) == 0
    assert buckets.take("a", 0.5) == 0
    assert buckets.take("a", 0.5) > 0
    assert [buckets.take("a", 100.0) for _ in range(5)].count(0) == 4
