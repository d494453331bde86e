"""One steers at a time, a dead holder loses it, and who did what cannot be changed."""

import threading
from contextlib import suppress

import pytest

from her2sr_acq.accounts.lease import Lease
from her2sr_acq.accounts.roles import Actor, Role
from her2sr_acq.engine.fence import Fence
from her2sr_acq.errors import LeaseError, LeaseHeldError, StorageError

ANN = Actor("ann", Role.OPERATOR, "session", "s-ann")
BOB = Actor("bob", Role.ADMIN, "token", "t-bob")


def test_a_dead_holders_lease_runs_out_and_the_next_fence_is_larger(lease, hand):
    first = lease.take(ANN, ttl_s=30)
    with pytest.raises(LeaseHeldError, match="ann steers"):
        lease.take(BOB)
    hand.pass_s(31)
    second = lease.take(BOB)
    assert second.fence > first.fence
    with pytest.raises(LeaseError, match="bob steers"):
        lease.require(ANN, first.fence)


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_neither_ends_a_lease_nor_prolongs_it(lease, hand, hours):
    fence = lease.take(ANN, ttl_s=30).fence
    hand.is_set_by(hours)
    hand.pass_s(20)
    lease.require(ANN, fence)
    hand.pass_s(11)
    with pytest.raises(LeaseError, match="nobody holds"):
        lease.require(ANN, fence)
    assert lease.take(BOB).fence > fence


@pytest.mark.parametrize("hours", [-2, 0, 2])
def test_a_service_that_starts_anew_takes_no_stamp_that_no_lease_could_have(
    lease, hand, database, audit, hours
):
    fence = lease.take(ANN, ttl_s=30).fence
    hand.is_set_by(hours)
    anew = Lease(database, audit, now=hand, clock=lambda: hand.passed_s)
    if hours:
        assert anew.take(BOB).fence > fence
        return
    anew.require(ANN, fence)
    with pytest.raises(LeaseHeldError):
        anew.take(BOB)


def test_who_prolongs_a_lease_keeps_its_fence(lease, hand):
    fence = lease.take(ANN, ttl_s=30).fence
    hand.pass_s(20)
    assert lease.take(ANN, ttl_s=30).fence == fence
    hand.pass_s(20)
    lease.require(ANN, fence)


def test_an_order_without_a_lease_or_with_an_old_one_is_refused(lease, hand):
    with pytest.raises(LeaseError, match="nobody holds"):
        lease.require(ANN, None)
    old = lease.take(ANN).fence
    hand.pass_s(31)
    lease.take(ANN)
    for fence in (old, None, 10**9):
        with pytest.raises(LeaseError, match="the one that counts"):
            lease.require(ANN, fence)


def test_a_lease_given_back_is_free_and_a_strangers_is_not_given_back(lease):
    fence = lease.take(ANN).fence
    lease.give_back(BOB)
    lease.require(ANN, fence)
    lease.give_back(ANN)
    assert lease.take(BOB).fence > fence


def test_a_lease_that_is_taken_over_stands_in_the_audit(lease, audit):
    lease.take(ANN)
    assert lease.take(BOB, force=True).holder == "bob"
    assert audit.lines()[0].data == {"by": "bob", "of": "ann"}


def test_of_many_who_ask_at_once_one_gets_the_lease(lease):
    got, start = [], threading.Barrier(8)

    def ask(number: int) -> None:
        start.wait()
        with suppress(LeaseHeldError):
            got.append(lease.take(Actor("a", Role.ADMIN, "token", f"{number}")))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_the_hardware_process_refuses_a_fence_that_another_has_followed():
    fence = Fence()
    for allowed in (None, 3, 3, 7, None):
        fence.require(allowed)
    with pytest.raises(LeaseError, match="lease 7 has followed"):
        fence.require(3)


HARMS = [
    pytest.param("UPDATE audit SET line = replace(line, 'b1', 'bX')", id="changed"),
    pytest.param("DELETE FROM audit WHERE sequence = 1", id="removed"),
    pytest.param("UPDATE audit SET line = '{' WHERE sequence = 1", id="destroyed"),
    pytest.param("UPDATE audit SET sequence = 9 WHERE sequence = 2", id="moved"),
]


@pytest.mark.parametrize("harm", HARMS)
def test_an_audit_that_was_touched_says_so(audit, database, harm):
    for number in range(4):
        audit.add("deed", by=f"b{number}")
    assert audit.check() == 4
    database.rows(harm)
    with pytest.raises(StorageError, match="not whole"):
        audit.check()
