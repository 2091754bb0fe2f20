"""Fill the tables of 000_initial_schema with data as a real tenant base has it, by COPY.

Skewed on purpose: a few tenants own most messages and a few contacts get most of them, because evenly spread
data hides the cost of an index build, a backfill or a bad estimate. The same arguments give the same rows.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import psycopg

from migrator.database.session import Endpoint, connect
from migrator.errors import UsageError

VOCABULARY = """
hello thanks order delivery tomorrow today invoice please confirm address street parcel payment received appointment
monday friday morning afternoon price offer ready pick up shop open closed question answer number account details
picture attached problem solved waiting driver minutes late early sorry welcome
"""
FIRST_NAMES = "Amina Juma Neema Baraka Zawadi Hassan Fatuma Daudi Rehema Omari Subira Rashidi Asha Bakari Halima"
LAST_NAMES = "Mushi Mwangi Otieno Kamau Hussein Abdallah Njoroge Achieng Wanjiru Salim Mrema Kimaro Lema Shirima"
SPAN = timedelta(days=365)
BATCH = 10_000
DELETED = 0.02
OUTBOUND = 0.55


@dataclass(frozen=True)
class Seeded:
    tenants: int
    users: int
    contacts: int
    messages: int
    seconds: float


def seed(
    endpoint: Endpoint,
    *,
    messages: int,
    until: datetime | None = None,
    number: int = 1,
    progress: Callable[[int], None] = lambda rows: None,
) -> Seeded:
    """Fill the four tables with `messages` messages and what belongs to them, in one transaction.

    `until` is when the last message was written (default: now); `number` starts the random generator; `progress` is
    told the number of messages written so far.

    :raises UsageError: when the tables are not there, or hold rows already.
    """
    if messages < 1:
        raise UsageError(f"{messages} messages: ask for one at least")
    started = time.monotonic()
    rows = _Rows(messages, until or datetime.now(timezone.utc), random.Random(number))
    with connect(endpoint, purpose="seed") as connection:
        connection.execute(f"SET search_path = {endpoint.search_path}".encode())  # a database of our own
        connection.autocommit = False
        _check(connection)
        _copy(connection, "tenants (id, name, slug, created_at, updated_at)", rows.tenants())
        _copy(connection, "users (id, tenant_id, email, name, created_at, updated_at)", rows.users())
        _copy(connection, "contacts (id, tenant_id, phone, name, created_at, updated_at)", rows.contacts())
        _copy(
            connection,
            "messages (id, tenant_id, contact_id, user_id, direction, body, created_at, deleted_at)",
            rows.messages(),
            progress,
        )
        for table in ("tenants", "users", "contacts", "messages"):
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
            )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE tenants, users, contacts, messages")
    return Seeded(rows.tenant_count, rows.user_count, rows.contact_count, messages, time.monotonic() - started)


def _check(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    found = connection.execute("SELECT to_regclass('messages') IS NOT NULL").fetchone()
    if found is None or not found[0]:
        raise UsageError("there is no table 'messages' here; apply 000_initial_schema first")
    taken = connection.execute("SELECT EXISTS (SELECT FROM tenants)").fetchone()
    if taken is not None and taken[0]:
        raise UsageError("table 'tenants' holds rows already; seed an empty database")


def _copy(
    connection: psycopg.Connection[tuple[object, ...]],
    into: str,
    lines: Iterator[str],
    progress: Callable[[int], None] = lambda rows: None,
) -> None:
    """Lines are in COPY's text format and hold no character that would have to be escaped."""
    written = 0
    with connection.cursor().copy(f"COPY {into} FROM STDIN") as copy:
        while batch := list(itertools.islice(lines, BATCH)):
            copy.write("".join(batch))
            written += len(batch)
            progress(written)


class _Rows:
    def __init__(self, messages: int, until: datetime, source: random.Random) -> None:
        self._messages = messages
        self._until = until.astimezone(timezone.utc)
        self._first, self._last = FIRST_NAMES.split(), LAST_NAMES.split()
        self._random = source
        self.tenant_count = max(3, min(200, messages // 5_000))
        users = [max(2, 400 // (rank + 8)) for rank in range(self.tenant_count)]
        # Zipf: the biggest tenant has about a sixth of everything, half of them next to nothing.
        self._weights = [1 / (rank + 1) for rank in range(self.tenant_count)]
        total = sum(self._weights)
        contacts = [max(3, round(messages / 20 * weight / total)) for weight in self._weights]
        self._users = _ranges(users)
        self._contacts = _ranges(contacts)
        self.user_count, self.contact_count = sum(users), sum(contacts)

    def tenants(self) -> Iterator[str]:
        for number in range(1, self.tenant_count + 1):
            when = _stamp(self._until - SPAN - timedelta(days=number % 300))
            yield f"{number}\tTenant {number}\ttenant-{number}\t{when}\t{when}\n"

    def users(self) -> Iterator[str]:
        when = _stamp(self._until - SPAN)
        for tenant, ids in enumerate(self._users, 1):
            for number in ids:
                first, last = self._random.choice(self._first), self._random.choice(self._last)
                mail = f"{first}.{last}.{number}@tenant-{tenant}.example".lower()
                yield f"{number}\t{tenant}\t{mail}\t{first} {last}\t{when}\t{when}\n"

    def contacts(self) -> Iterator[str]:
        when = _stamp(self._until - SPAN)
        for tenant, ids in enumerate(self._contacts, 1):
            for number in ids:
                # One in eight is known by number only.
                name = (
                    r"\N"
                    if number % 8 == 0
                    else f"{self._random.choice(self._first)} {self._random.choice(self._last)}"
                )
                yield f"{number}\t{tenant}\t+2557{number:08d}\t{name}\t{when}\t{when}\n"

    def messages(self) -> Iterator[str]:
        pick, words = self._random, VOCABULARY.split()
        bodies = [" ".join(pick.choices(words, k=min(60, 3 + int(pick.expovariate(0.12))))) for _ in range(4_000)]
        cumulative = list(itertools.accumulate(self._weights))
        step = SPAN / self._messages
        number = 0
        while number < self._messages:
            size = min(BATCH, self._messages - number)
            tenants = pick.choices(range(self.tenant_count), cum_weights=cumulative, k=size)
            texts = pick.choices(bodies, k=size)
            for tenant, body in zip(tenants, texts, strict=True):
                number += 1
                when = self._until - SPAN + step * number
                # The square prefers a tenant's first contacts: the regular customers.
                contacts, users = self._contacts[tenant], self._users[tenant]
                contact = contacts[int(len(contacts) * pick.random() ** 2)]
                outbound = pick.random() < OUTBOUND
                user = str(users[int(len(users) * pick.random())]) if outbound else r"\N"
                deleted = _stamp(min(self._until, when + timedelta(days=1))) if pick.random() < DELETED else r"\N"
                direction = "outbound" if outbound else "inbound"
                yield f"{number}\t{tenant + 1}\t{contact}\t{user}\t{direction}\t{body}\t{_stamp(when)}\t{deleted}\n"


def _ranges(sizes: list[int]) -> list[range]:
    ends = list(itertools.accumulate(sizes))
    return [range(end - size + 1, end + 1) for size, end in zip(sizes, ends, strict=True)]


def _stamp(when: datetime) -> str:
    return when.isoformat(sep=" ")
