"""What every queue does, run on each kind: a file of SQLite and a real PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from backhaul.sync.progress import LogStamp
from backhaul.unattended.queue.decision import Decision
from backhaul.unattended.queue.entry import Entry, Item, Key, QueueState, Reason
from backhaul.unattended.queue.sql_queue import SqlQueue

from .conftest import Place, Time

_OLD, _NEW = LogStamp(100, 1), LogStamp(200, 2)
_REASON = Reason("timed-out", "No byte moved.", "Wait.")


def _entry(name: str = "a", **changes: object) -> Entry:
    base = Entry(Path(f"/runs/offline-run-1-{name}/run-{name}.wandb"), stamp=_OLD)
    return replace(base, **changes)  # type: ignore[arg-type]


def _take(queue: SqlQueue, owner: str = "one", host: str = "here", limit: int = 10) -> list[Item]:
    return list(queue.take(owner, host, limit=limit, lease=60))


def _only(queue: SqlQueue) -> Item:
    (item,) = queue.items()
    return item


def test_what_is_put_in_comes_out_as_it_was(queue: SqlQueue, time: Time) -> None:
    """Every field of an entry survives, names of bytes that are no text among them."""
    odd = Path("/runs/\udcff gr\u00fcn/offline-run-1-x/run-x.wandb")
    entry = Entry(odd, "https://w", "e", "p", "host", QueueState.BLOCKED, _OLD, time() + 9.5, _REASON)
    queue.add([entry])
    assert _only(queue) == Item(entry, 0, 0, 0, False, time(), "", 0.0)


def test_the_same_again_changes_nothing(queue: SqlQueue, time: Time) -> None:
    """A run is one row, however often it is found."""
    queue.add([_entry()])
    before = _only(queue)
    time.passes(10)
    queue.add([_entry(), _entry()])
    assert _only(queue) == before


def test_the_longest_due_is_taken_first_and_what_is_not_due_stays(queue: SqlQueue, time: Time) -> None:
    """The order is that of the due times, not that of the names."""
    queue.add([_entry("b", due_at=time() - 5), _entry("a", due_at=time() - 1), _entry("c", due_at=time() + 1)])
    assert [item.entry.directory.run_id_hint for item in _take(queue)] == ["b", "a"]
    time.passes(1)
    assert [item.entry.directory.run_id_hint for item in _take(queue)] == ["c"]


def test_no_more_than_the_limit_is_taken(queue: SqlQueue) -> None:
    """The rest is there for others."""
    queue.add([_entry(name) for name in "abcde"])
    assert [len(_take(queue, owner, limit=3)) for owner in ("one", "two", "three")] == [3, 2, 0]


@pytest.mark.parametrize("state", [QueueState.RECORDING, QueueState.VERIFIED, QueueState.QUARANTINED])
def test_only_what_waits_is_taken(queue: SqlQueue, state: QueueState) -> None:
    """A run that is recorded, home or set aside is nobody's work."""
    queue.add([_entry(state=state)])
    assert _take(queue) == []


def test_a_lease_that_is_over_goes_to_another_and_is_counted(queue: SqlQueue, time: Time) -> None:
    """A dead worker's run is taken by another; that its worker was not heard of again is remembered."""
    queue.add([_entry()])
    (mine,) = _take(queue, "dead")
    time.passes(59)
    assert _take(queue, "heir") == []
    time.passes(1)
    (its,) = _take(queue, "heir")
    assert (mine.crashes, its.crashes, its.owner) == (0, 1, "heir")


def test_a_lease_that_is_extended_stays(queue: SqlQueue, time: Time) -> None:
    """Who shows that he lives keeps what he has in hand."""
    queue.add([_entry()])
    _take(queue, "alive")
    time.passes(59)
    assert queue.extend("alive", [_entry().key], lease=60, words="well") == {_entry().key}
    time.passes(59)
    assert _take(queue, "heir") == []
    assert [(worker.owner, worker.words, worker.seen_at) for worker in queue.workers()] == [
        ("alive", "well", time() - 59)
    ]


def test_what_a_worker_was_given_without_hearing_of_it_is_let_go(queue: SqlQueue) -> None:
    """The line broke after the queue had given it, before he heard so: he lives on, and would keep it for ever."""
    queue.add([_entry("a"), _entry("b")])
    _take(queue, "one", limit=1)
    _take(queue, "one")
    assert queue.extend("one", [_entry("a").key], lease=60, words="") == {_entry("a").key}
    (item,) = _take(queue, "two")
    assert (item.entry.directory.run_id_hint, item.crashes) == ("b", 0)


def test_a_worker_hears_what_is_no_longer_his(queue: SqlQueue, time: Time) -> None:
    """He was cut off for longer than his lease; what others have by now he must not touch."""
    queue.add([_entry("a"), _entry("b")])
    held = [item.key for item in _take(queue, "cut off")]
    time.passes(60)
    _take(queue, "heir", limit=1)
    assert queue.extend("cut off", held, lease=60, words="") == {_entry("b").key}
    assert _take(queue, "third") == []


def test_nobody_takes_what_he_has_already(queue: SqlQueue, time: Time) -> None:
    """Whose lease ran out unnoticed still has the runs in hand: to take them again would be to have them twice."""
    queue.add([_entry()])
    _take(queue, "one")
    time.passes(61)
    assert _take(queue, "one") == []
    assert len(_take(queue, "two")) == 1


def test_who_was_cut_off_and_comes_back_has_not_crashed(queue: SqlQueue, time: Time) -> None:
    """A network that fails five times must not look like a run that kills its workers."""
    queue.add([_entry()])
    (lost,) = _take(queue, "cut off")
    time.passes(60)
    (held,) = _take(queue, "heir")
    assert held.crashes == 1
    assert not queue.settle(lost, Decision(QueueState.BLOCKED, reason=_REASON))
    assert (_only(queue).crashes, _only(queue).owner) == (0, "heir")


def test_what_comes_of_a_run_taken_from_its_owner_is_not_kept(queue: SqlQueue, time: Time) -> None:
    """Only who has a run in hand says what became of it."""
    queue.add([_entry()])
    (lost,) = _take(queue, "slow")
    time.passes(60)
    (held,) = _take(queue, "heir")
    assert not queue.settle(lost, Decision(QueueState.VERIFIED))
    assert queue.settle(held, Decision(QueueState.BLOCKED, time() + 5, 3, _REASON))
    assert not queue.settle(held, Decision(QueueState.VERIFIED))
    item = _only(queue)
    assert (item.state, item.attempts, item.crashes, item.owner, item.entry.reason) == (
        QueueState.BLOCKED, 3, 0, "", _REASON,
    )  # fmt: skip


def test_parts_of_one_run_are_in_one_hand(queue: SqlQueue) -> None:
    """Another part of a run waits until the part in hand is settled, whoever asks; together they may be taken."""
    first = _entry()
    second = replace(first, log=Path("/runs/offline-run-2-a/run-a.wandb"))
    queue.add([first, second])
    (one,) = _take(queue, "one", limit=1)
    assert _take(queue, "two") == []
    queue.settle(one, Decision(QueueState.VERIFIED))
    assert len(_take(queue, "two")) == 1
    queue.replace([first])
    assert _take(queue, "one") == []
    queue.leave("two")
    assert len(_take(queue, "one")) == 2


def test_a_run_on_a_hosts_own_disk_is_for_that_host(queue: SqlQueue) -> None:
    """The same path on two hosts is two runs; one on a shared disk is for any host."""
    queue.add([_entry(host="h1"), _entry(host="h2"), _entry("shared")])
    assert sorted(item.key for item in _take(queue, "one", "h1")) == sorted(
        [_entry(host="h1").key, _entry("shared").key]
    )
    assert [item.entry.host for item in _take(queue, "two", "h3")] == []


def test_a_run_that_grows_while_it_is_in_hand_is_due_again(queue: SqlQueue) -> None:
    """Nothing that came in during a try is lost, even when the try went well."""
    queue.add([_entry()])
    (item,) = _take(queue)
    queue.add([_entry(stamp=_NEW)])
    queue.settle(item, Decision(QueueState.VERIFIED, stamp=_OLD))
    assert (_only(queue).state, _only(queue).entry.stamp) == (QueueState.PENDING, _NEW)
    assert len(_take(queue)) == 1


def test_a_run_that_is_asked_for_while_it_is_in_hand_is_due_again(queue: SqlQueue) -> None:
    """Also when nothing of it has changed."""
    queue.add([_entry()])
    (item,) = _take(queue)
    assert queue.ask([item.key]) == 1
    queue.settle(item, Decision(QueueState.VERIFIED, stamp=_OLD))
    assert _only(queue).state is QueueState.PENDING


def test_a_verified_run_that_grows_is_sent_again(queue: SqlQueue) -> None:
    """A resumed run goes on in the same log."""
    queue.add([_entry()])
    (item,) = _take(queue)
    queue.settle(item, Decision(QueueState.VERIFIED, stamp=_OLD))
    queue.add([_entry()])
    assert _only(queue).state is QueueState.VERIFIED
    queue.add([_entry(stamp=_NEW)])
    assert _only(queue).state is QueueState.PENDING


def test_what_came_of_a_run_stays_while_its_log_is_as_it_was(queue: SqlQueue, time: Time) -> None:
    """Being found again gives no fresh attempts; a changed log does."""
    queue.add([_entry()])
    (item,) = _take(queue)
    queue.settle(item, Decision(QueueState.BLOCKED, time() + 500, 7, _REASON))
    queue.add([_entry()])
    assert (_only(queue).attempts, _take(queue)) == (7, [])
    queue.add([_entry(stamp=_NEW)])
    assert (_only(queue).attempts, len(_take(queue))) == (0, 1)


def test_a_run_whose_recording_has_ended_is_due(queue: SqlQueue) -> None:
    """A killed job changes nothing of its log: what was judged of it does."""
    queue.add([_entry(state=QueueState.RECORDING)])
    queue.add([_entry()])
    assert len(_take(queue)) == 1


def test_asking_gives_a_run_fresh_attempts_at_once(queue: SqlQueue) -> None:
    """Whatever came of it before."""
    queue.add([_entry()])
    (item,) = _take(queue)
    queue.settle(item, Decision(QueueState.QUARANTINED, attempts=4, reason=_REASON))
    assert queue.ask([item.key, Key("", Path("/not/there"))]) == 1
    assert (_only(queue).attempts, len(_take(queue))) == (0, 1)


def test_what_is_dropped_is_not_noticed_anew(queue: SqlQueue) -> None:
    """Neither found again nor grown; asked for it comes back."""
    queue.add([_entry()])
    key = _entry().key
    assert queue.drop([key]) == 1
    queue.add([_entry(stamp=_NEW)])
    assert (_only(queue).state, _take(queue)) == (QueueState.DROPPED, [])
    queue.ask([key])
    assert len(_take(queue)) == 1


def test_what_is_in_hand_is_neither_dropped_nor_forgotten(queue: SqlQueue) -> None:
    """Somebody will say what became of it."""
    queue.add([_entry()])
    (item,) = _take(queue)
    assert (queue.drop([item.key]), queue.forget([item.key])) == (0, 0)
    queue.settle(item, Decision(QueueState.VERIFIED))
    assert (queue.forget([item.key]), queue.items()) == (1, [])


def test_nothing_is_taken_while_the_queue_is_paused(place: Place, queue: SqlQueue) -> None:
    """Every worker sees it, also one that comes later."""
    queue.add([_entry("a"), _entry("b")])
    assert queue.pause() == 2
    other = place.opened()
    assert (other.paused, _take(other)) == (True, [])
    other.pause(on=False)
    assert (queue.paused, len(_take(queue))) == (False, 2)


def test_a_paused_run_is_passed_over(queue: SqlQueue) -> None:
    """The others go on."""
    queue.add([_entry("a"), _entry("b")])
    assert queue.pause([_entry("a").key]) == 1
    assert [item.entry.directory.run_id_hint for item in _take(queue)] == ["b"]
    queue.pause([_entry("a").key], on=False)
    assert [item.entry.directory.run_id_hint for item in _take(queue)] == ["a"]


def test_who_leaves_lets_go_without_an_attempt(queue: SqlQueue) -> None:
    """Others need not wait for the lease to end, and the worker is no longer told of."""
    queue.add([_entry()])
    _take(queue, "one")
    queue.extend("one", [_entry().key], lease=60, words="")
    queue.leave("one")
    (item,) = _take(queue, "two")
    assert (item.attempts, item.crashes, [worker.owner for worker in queue.workers()]) == (0, 0, [])


def test_rebuilding_takes_the_disk_for_the_truth(queue: SqlQueue) -> None:
    """Attempts, reasons and what was dropped are forgotten; where a run is to go is not."""
    queue.add([_entry("a", to="https://w", project="p"), _entry("b")])
    (item, _) = sorted(_take(queue), key=lambda item: item.key)
    queue.settle(item, Decision(QueueState.QUARANTINED, attempts=4, reason=_REASON))
    queue.replace([_entry("a", state=QueueState.VERIFIED), _entry("b", state=QueueState.VERIFIED)])
    rows = {each.entry.directory.run_id_hint: each for each in queue.items()}
    assert (rows["a"].state, rows["a"].attempts, rows["a"].entry.to) == (QueueState.VERIFIED, 0, "https://w")
    assert rows["b"].state is QueueState.SENDING


def test_where_a_run_is_to_go_is_kept_when_it_is_found_again(queue: SqlQueue) -> None:
    """Who finds it says nothing about that; who says something else is heard."""
    queue.add([_entry(to="https://w", entity="e", project="p")])
    queue.add([_entry(stamp=_NEW)])
    assert _only(queue).entry.project == "p"
    queue.add([_entry(stamp=_NEW, project="q")])
    assert (_only(queue).entry.to, _only(queue).entry.project) == ("", "q")


def test_items_are_told_by_state(queue: SqlQueue) -> None:
    """In the order in which they came in."""
    queue.add([_entry("b"), _entry("a", state=QueueState.VERIFIED), _entry("c")])
    assert [item.entry.directory.run_id_hint for item in queue.items([QueueState.PENDING])] == ["b", "c"]


def test_of_many_who_take_at_once_each_run_is_in_one_hand(place: Place) -> None:
    """Eight workers with connections of their own, forty runs."""
    place.opened().add([_entry(f"r{number}") for number in range(40)])
    taken: list[str] = []

    def work(name: str) -> None:
        mine = place.opened()
        while items := _take(mine, name, limit=3):
            taken.extend(item.entry.directory.run_id_hint for item in items)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"r{number}" for number in range(40))
