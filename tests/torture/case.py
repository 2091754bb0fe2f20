"""What a seed decides, all of it before anything runs: the table, the step, what happens to it, what each writer does.

A seed repeats every decision. How the threads and processes interleave it cannot repeat: that is the server's and the
scheduler's. So a seed that failed once may pass the next time; its decisions still say where to look.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

KEYS = ("bigint", "uuid", "text", "composite", "none")
POINTS = ("begin", "sent", "committing", "committed")
"""Of a batch: before it, its statement answered, right before its COMMIT, and after that took effect."""
STOPS = ("kill", "kill", "cancel", "terminate", "terminate_lock", "zombie")
"""What ends an attempt: the process, its session or the one that holds the migration lock; or it is thought dead."""
ACTIONS = (
    "vacuum",
    "vacuum_full",
    "analyze",
    "cluster",
    "truncate_other",
    "idle_rows",
    "idle_table",
)
ISOLATIONS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
SORTS = (
    "insert",
    "update",
    "key_update",
    "delete",
    "delete_and_insert",
    "insert_again",
    "upsert",
    "bulk_update",
    "savepoint",
    "long",
    "select_for_update",
    "several",
    "swap",
    "document",
    "unset",
    "hot",
    "rolled_back",
)
"""What a transaction of a writer does. `unset` takes back what a batch or the application has filled."""
BLOCKS = 40
"""Of a writer's list, each with every sort once; when they are through, it begins anew."""


@dataclass(frozen=True)
class Shape:
    """The table, and what the application has hung onto it."""

    key: str
    writers: int
    rows: int
    """Of each writer."""
    fillfactor: int
    partitions: int
    """0: it is not partitioned."""
    toasted: bool
    deferred: bool
    """A unique column and a trigger that wait for COMMIT."""
    nested: bool
    """An AFTER trigger that changes the row again."""
    log_first: bool = False
    """Whether the trigger that counts sorts before the application's."""


@dataclass(frozen=True)
class Stop:
    """An attempt ends at a point of its nth batch; or so many seconds after its start, or that of its first piece, from
    outside, when that is first."""

    how: str
    batch: int
    point: str
    seconds: float | None


@dataclass(frozen=True)
class Decision:
    """One transaction. `picks` choose among the rows that are there then."""

    sort: str
    picks: tuple[float, ...]
    full: bool
    """Whether a row that it writes is one of the new application, which leaves nothing to fill."""


@dataclass(frozen=True)
class Role:
    """How a writer's session works."""

    isolation: str
    replica: bool
    decisions: tuple[Decision, ...]
    blocks_of_old: int
    """For so many blocks it leaves rows to fill, as an application does that knows nothing of the new column."""


@dataclass(frozen=True)
class Case:
    kind: str
    seed: int
    form: str
    shape: Shape
    undo: str
    """Empty, `partial` or `full`: what is rolled back at the end, under the same load."""
    batch_ms: int
    pause_ms: int
    first_pages: int
    most_pages: int
    lock_timeout_ms: int
    stops: tuple[Stop, ...]
    actions: tuple[tuple[int, str, float], ...]
    """At which batch of all, what, and how many seconds it lasts when it is a lock that somebody holds."""
    naps: tuple[float, ...]
    """What a busy server adds before batches, in seconds, in turn."""
    wait_at: int
    """Before this batch, its last look or the one that it is stopped in, an attempt rests until every writer has been
    through its blocks of old transactions."""
    roles: tuple[Role, ...]


def draw(seed: int, forms: tuple[str, ...], kind: str = "backfill") -> Case:
    """The case of a seed. :param forms: what the kind under test can be made to do."""
    chance = random.Random(f"case {seed}")
    form = forms[seed % len(forms)] if len(forms) > 1 else forms[0]
    key = chance.choice(KEYS)
    partitions = chance.choice((0, 0, 3))
    shape = Shape(
        key=key,
        writers=4,
        rows=chance.choice((500, 800, 1400)),
        fillfactor=chance.choice((100, 100, 70)),
        partitions=partitions,
        toasted=chance.random() < 0.4,
        deferred=not partitions and chance.random() < 0.4,
        nested=not partitions and key != "none" and chance.random() < 0.5,
        log_first=chance.random() < 0.5,
    )
    undo = "" if form == "delete" else chance.choice(("", "", "partial", "full"))
    stops = tuple(_stop(chance) for _ in range(chance.choice((0, 1, 1, 2, 3))))
    if undo == "partial":
        stops = (*stops, Stop(chance.choice(("kill", "cancel", "zombie")), chance.randint(3, 8), "committed", None))
    actions = tuple(
        (chance.randint(1, 25), chance.choice(ACTIONS), chance.choice((0.2, 0.5, 1.5)))
        for _ in range(chance.randint(0, 4))
    )
    replica = chance.randrange(12)
    return Case(
        kind=kind,
        seed=seed,
        form=form,
        shape=shape,
        undo=undo,
        batch_ms=chance.choice((20, 50, 100)),
        pause_ms=chance.choice((0, 5, 20)),
        first_pages=chance.choice((4, 8)),
        most_pages=chance.choice((32, 64, 128)),
        lock_timeout_ms=chance.choice((300, 1000, 2000)),
        stops=stops,
        actions=tuple(sorted(actions)),
        naps=tuple(chance.choice((0.0, 0.0, 0.0, 0.02, 0.1)) for _ in range(16)),
        wait_at=chance.randint(2, 6),
        roles=tuple(_role(seed, number, replica == number) for number in range(1, shape.writers + 1)),
    )


def _stop(chance: random.Random) -> Stop:
    seconds = chance.uniform(0.05, 1.0) if chance.random() < 0.3 else None
    return Stop(chance.choice(STOPS), chance.randint(1, 10), chance.choice(POINTS), seconds)


def _role(seed: int, number: int, replica: bool) -> Role:
    chance = random.Random(f"writer {seed} {number}")
    decisions = []
    for _ in range(BLOCKS):
        block = list(SORTS)
        chance.shuffle(block)
        decisions += [Decision(sort, tuple(chance.random() for _ in range(6)), chance.random() < 0.5) for sort in block]
    isolation = chance.choices(ISOLATIONS, weights=(3, 1, 1))[0]
    return Role(isolation, replica, tuple(decisions), chance.randint(1, 2))
