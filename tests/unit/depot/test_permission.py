"""Who may do what: keys, signed addresses, sign-in, names."""

from __future__ import annotations

import base64
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from backhaul.depot import Role, User, names
from backhaul.depot.addresses import LIFETIME, Signer, Target
from backhaul.depot.attempts import ALLOWED, INTERVAL, Attempts
from backhaul.depot.doorkeeper import Doorkeeper
from backhaul.depot.keys import Secrets, shown_key
from backhaul.depot.pages.login import Sessions, Tickets
from backhaul.depot.refusal import Refused
from backhaul.depot.store.opening import open_store
from backhaul.depot.store.sql_store import SqlStore
from backhaul.depot.store.users import SqlUsers

_TARGET = Target("me", "p", "r", "media/a b#ü.png")


class _Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_key_is_made_once_and_is_for_the_owner_alone(tmp_path: Path) -> None:
    """40 hexadecimal characters (old clients take no other length), mode 0600, the same at the next start."""
    first, second = Secrets.in_folder(tmp_path), Secrets.in_folder(tmp_path)
    assert first.api_key == second.api_key
    assert len(first.api_key) == 40
    assert int(first.api_key, 16)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["api-key", "signing-secret"]


@pytest.fixture
def users(store: SqlStore) -> SqlUsers:
    """Nobody yet."""
    return store.users


def _given(name: str, _fresh: str) -> str:
    return {"api-key": "k" * 40, "signing-secret": "5e"}[name]


def _doorkeeper(users: SqlUsers, clock: _Clock) -> Doorkeeper:
    return Doorkeeper(Secrets(_given), users, "me", Attempts(clock))


def test_only_the_key_is_accepted(users: SqlUsers) -> None:
    """Basic with the user `api`, or Bearer; nothing else, however malformed."""
    door = _doorkeeper(users, _Clock())

    def accepts(header: str | None) -> bool:
        return door.by_key(shown_key(header or "") or "", "somewhere") is not None

    good = [_basic(f"api:{'k' * 40}"), f"Bearer {'k' * 40}", f"bearer {'k' * 40}"]
    bad = [None, "", "Basic", "Basic !!!", _basic(f"you:{'k' * 40}"), _basic("api:"), _basic("api"), "Bearer x",
           f"Digest {'k' * 40}", _basic(f"api:{'k' * 39}"), "Basic //4="]  # fmt: skip
    assert [accepts(header) for header in good] == [True] * len(good)
    assert [accepts(header) for header in bad] == [False] * len(bad)


def test_wrong_keys_from_one_address_are_bounded(users: SqlUsers) -> None:
    """30 in a row, then one every two seconds: whatever is shown. Other addresses and those who are in go on."""
    clock = _Clock()
    door = _doorkeeper(users, clock)
    users.put(User("ada", Role.MEMBER), "a" * 40)
    assert door.by_key("k" * 40, "here") is not None
    assert [door.by_key(f"wrong {number}", "here") for number in range(ALLOWED)] == [None] * ALLOWED
    for key in ("wrong", "a" * 40):
        with pytest.raises(Refused, match="too many") as refused:
            door.by_key(key, "here")
        assert refused.value.status == 429
    assert door.by_key("k" * 40, "here") is not None
    assert door.by_key("a" * 40, "there") is not None
    clock.now += INTERVAL
    assert door.by_key("wrong", "here") is None
    with pytest.raises(Refused):
        door.by_key("wrong", "here")


def _signed(signer: Signer, method: str = "PUT") -> tuple[str, str]:
    query = parse_qs(urlsplit(signer.address("http://h", method, _TARGET)).query)
    return query["expires"][0], query["signature"][0]


def test_an_address_allows_one_thing_with_one_file() -> None:
    """Another method, file, run or expiry makes the signature worthless."""
    signer = Signer(b"secret", _Clock())
    expires, signature = _signed(signer)
    signer.check("PUT", _TARGET, expires, signature)
    others = [
        ("GET", _TARGET, expires, signature),
        ("PUT", Target("me", "p", "r", "other"), expires, signature),
        ("PUT", Target("me", "p", "r2", _TARGET.name), expires, signature),
        ("PUT", _TARGET, str(int(expires) + 1), signature),
        ("PUT", _TARGET, expires, ""),
        ("PUT", _TARGET, "soon", signature),
    ]
    for method, target, until, shown in others:
        with pytest.raises(Refused, match="not signed") as refused:
            signer.check(method, target, until, shown)
        assert refused.value.status == 403
    with pytest.raises(Refused, match="not signed"):
        Signer(b"another", _Clock()).check("PUT", _TARGET, expires, signature)


def test_an_address_expires() -> None:
    """It works until its last second and not after."""
    clock = _Clock()
    signer = Signer(b"secret", clock)
    expires, signature = _signed(signer)
    clock.now += LIFETIME
    signer.check("PUT", _TARGET, expires, signature)
    clock.now += 1
    with pytest.raises(Refused, match="expired"):
        signer.check("PUT", _TARGET, expires, signature)


def test_a_ticket_signs_in_once_and_not_for_ever(database: Path | str) -> None:
    """A used, late or invented ticket is worthless, also after a new start or at another depot of the store."""
    clock = _Clock()
    with closing(open_store(database, clock)) as store:
        tickets, others = [Tickets(Signer(b"s", clock), store.redeem, clock) for _ in range(2)]
        ticket, late, foreign = tickets.make(), tickets.make(), Tickets(Signer(b"x", clock), store.redeem, clock).make()
        assert [tickets.redeem(each) for each in ("1.2.3", "", "a.b.c", "..", foreign)] == [False] * 5
        assert [each.redeem(ticket) for each in (others, tickets, others)] == [True, False, False]
        clock.now += 3601
        assert not tickets.redeem(late)


def test_a_session_is_one_users_and_ends_with_their_key(users: SqlUsers) -> None:
    """It ends after 30 days, with a new key, and when the user is removed; it cannot be made into another's."""
    clock = _Clock()
    users.put(User("ada", Role.MEMBER), "a" * 40)
    users.put(User("bob", Role.MEMBER), "b" * 40)
    door = _doorkeeper(users, clock)
    sessions = Sessions(door, Signer(b"s", clock), clock)

    def session(key: str) -> str:
        account = door.by_key(key, "here")
        assert account is not None
        return sessions.make(account)

    mine, operator = session("a" * 40), session("k" * 40)
    assert sessions.user(mine) == User("ada", Role.MEMBER)
    assert sessions.user(operator) == User("me", Role.ADMIN)
    parts = mine.split(".")
    other = base64.urlsafe_b64encode(b"bob").decode()
    for forged in (None, "", "....", mine + "x", ".".join([*parts[:2], other, parts[3]]),
                   ".".join([*parts[:2], "", parts[3]]), ".".join(["9" * 12, *parts[1:]]), "a.b.\u00fc.d"):  # fmt: skip
        assert sessions.user(forged) is None
    users.change_key("ada", "c" * 40)
    assert sessions.user(mine) is None
    fresh = session("c" * 40)
    users.remove("ada")
    assert sessions.user(fresh) is None
    clock.now += 31 * 24 * 3600
    assert sessions.user(operator) is None


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\0b", "a\\..\\b", "a\nb", "\ud800"],
)
def test_no_file_name_leaves_the_folder_of_its_run(name: str) -> None:
    """Absolute names, steps upwards, NUL, backslashes and unwritable text are refused."""
    with pytest.raises(Refused, match="invalid file name"):
        names.file_name(name)


@pytest.mark.parametrize("name", ["a", "media/images/x y#1.png", "..a", "a..b/c", "ü/✓", "a%2Fb", "con:aux?"])
def test_names_that_users_give_are_taken(name: str) -> None:
    """Blanks, signs and any script are fine in file names."""
    assert names.file_name(name) == name


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "a:b", "x" * 129, "a\x07b", ".."])
def test_run_ids_that_cannot_stand_in_an_address_are_refused(name: str) -> None:
    """The rules of the official client, checked again by the server."""
    with pytest.raises(Refused, match="invalid run id"):
        names.run_id(name)
