"""Measures what work costs on a server: each kind of work once alone, on tables of our own that fit into memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields
from typing import NamedTuple

from migrator.analysis.estimate.costs import ANCHORS, PAGE, RATIOS, UNMEASURED, Costs
from migrator.analysis.estimate.trials import Noise, Trials
from migrator.database import queries
from migrator.database.session import Connection

ROWS = 100_000
LEAST = 0.001
"""No cost is measured as less than this: a difference of two short times may come out negative."""
FEW = 5
"""The dearest kinds of work are measured with a fifth of the rows."""
PARENTS = 1000
"""Values of the sample's `parent`, each in as many rows."""
ENTRIES = 5
"""Elements of each array in the sample."""
SMALL_BUFFERS = 100
"""Pages of temporary tables that are kept in memory, the fewest that PostgreSQL takes: a temporary table is then what
any table is that does not fit into shared_buffers, however large those are."""
TABLES = ("sample", "wide", "parents", "special", "fed", "audit")


ROUNDS = 2


class Measured(NamedTuple):
    costs: Costs
    noise: Noise


def measure(conn: Connection, *, rows: int = ROWS, timer: Callable[[], float] = time.perf_counter) -> Measured:
    """The costs on this server, in a session of its own. Makes ordinary tables, in a database of our own: temporary
    ones write no WAL."""
    measurement = _Measurement(conn, rows, timer)
    for _ in range(ROUNDS):
        costs = measurement.costs()
    return Measured(costs, measurement.trials.noise())


class _Shape(NamedTuple):
    """How often a kind of work is tried, and over how many rows."""

    rows: int
    times: int


class _Measurement:
    def __init__(self, conn: Connection, rows: int, timer: Callable[[], float]) -> None:
        self._conn = conn
        self.trials = Trials(conn, timer)
        self._rows = rows
        self._all = _Shape(rows, 2)
        self._few = _Shape(rows // FEW, 2)
        self._levels = math.log2(rows)
        self._few_levels = math.log2(rows // FEW)
        row = conn.execute("SELECT current_setting('max_parallel_maintenance_workers')::int").fetchone()
        self._workers = int(row[0]) if row else 0
        self._statement = 0.0

    def _prepare(self) -> None:
        texts, conn = queries.load(__package__, "estimate"), self._conn
        for setting, value in (
            ("temp_buffers", f"{SMALL_BUFFERS * PAGE // 1024}kB"),
            ("max_parallel_workers_per_gather", "0"),
            ("max_parallel_maintenance_workers", "0"),
        ):
            conn.execute("SELECT set_config(%s, %s, false)", (setting, value))
        self._drop()
        for name in ("sample", "wide", "special", "fed", "audit", "assign", "log"):
            conn.execute(texts[name].encode())
        conn.execute(texts["fill_sample"], {"rows": self._rows})
        conn.execute(texts["wide_plain"])
        conn.execute(texts["fill_wide"], {"rows": self._rows // 10})
        conn.execute(texts["fill_special"], {"rows": self._few.rows})
        conn.execute(f"CREATE TABLE parents AS SELECT i AS id FROM generate_series(0, {PARENTS - 1}) AS i")  # noqa: S608
        conn.execute("ALTER TABLE parents ADD PRIMARY KEY (id)")
        conn.execute("CREATE SEQUENCE numbers")
        conn.execute("VACUUM ANALYZE sample, wide, special, parents")

    def _drop(self) -> None:
        self._conn.execute(f"DROP TABLE IF EXISTS {', '.join(TABLES)}".encode())
        self._conn.execute("DROP FUNCTION IF EXISTS assign(), log()")
        self._conn.execute("DROP SEQUENCE IF EXISTS numbers")

    def costs(self) -> Costs:
        """One round; the shortest of it and of those before it counts."""
        self.trials.begin_round()
        self._prepare()
        self._statement = self.trials.seconds("ALTER TABLE sample ALTER a SET STATISTICS 100", times=5)
        scan = self._millions("ALTER TABLE sample ALTER a SET NOT NULL")
        found = {"statement": self._statement, "scan": scan}
        found |= self._expressions(scan)
        found |= self._new_files()
        found |= self._builds()
        found |= self._writes(scan)
        found |= self._special_indexes()
        found |= self._fired()
        found |= self._missing(scan, found)
        self._drop()
        return _completed(found)

    def _expressions(self, scan: float) -> dict[str, float]:
        def check(condition: str) -> float:
            return self._millions(f"ALTER TABLE sample ADD CHECK ({condition})") - scan

        def select(expression: str, shape: _Shape | None = None) -> float:
            return self._millions(f"SELECT {expression} FROM sample", shape=shape) - plain  # noqa: S608

        plain = self._millions("SELECT count(body) FROM sample")
        return {
            "operator": check(" AND ".join(f"a > -{number}" for number in range(1, 6))) / 5,
            "numeric": check(" AND ".join(f"price > -{number}" for number in range(1, 6))) / 5,
            "pattern": check("t ~ '^[^@]+@[^@]+$'"),
            "text_function": select("count(lower(t))"),
            "random_bytes": select("count(gen_random_uuid())", _Shape(self._rows, 1)),
            "clock": select("count(clock_timestamp())"),
            "sequence": select("count(nextval('numbers'))"),
            "probe": self._millions("ALTER TABLE sample ADD FOREIGN KEY (parent) REFERENCES parents") - scan,
            "group": self._millions("SELECT parent, count(*) FROM sample GROUP BY parent") - scan,
        }

    def _new_files(self) -> dict[str, float]:
        """Two tables of the same size, one with far fewer rows, tell the cost of a row from that of a page."""
        narrow, wide = (self._less(f"ALTER TABLE {name} ALTER a TYPE bigint") for name in ("sample", "wide"))
        unlogged = self._less("ALTER TABLE sample SET UNLOGGED")
        pages, wide_pages = self._pages("sample"), self._pages("wide")
        wide_rows = self._rows // 10
        row = max(0.0, (narrow * wide_pages - wide * pages) / (self._rows * wide_pages - wide_rows * pages))
        page = max(0.0, (narrow - row * self._rows) / pages)
        return {
            "write": row * 1e6,
            "page_write": page * 1e6,
            "page_write_unlogged": max(0.0, page - (narrow - unlogged) / pages) * 1e6,
        }

    def _builds(self) -> dict[str, float]:
        ordered, plain, text, numeric, tied = (
            self._millions(f"CREATE INDEX ON sample ({columns})") for columns in ("id", "a", "t", "price", "parent, a")
        )
        self._conn.execute("SET maintenance_work_mem = '1MB'")
        spilled = self._millions("CREATE INDEX ON sample (a)")
        self._conn.execute("RESET maintenance_work_mem")
        build = 0.7 * ordered
        compare = (plain - build) / self._levels
        firsts = math.log2(PARENTS)
        return {
            "build": build,
            "compare_ordered": 0.3 * ordered / self._levels,
            "compare": compare,
            "compare_text": (text - build) / self._levels,
            "compare_numeric": (numeric - build) / self._levels,
            "compare_tied": (tied - build - compare * firsts) / (self._levels - firsts),
            "spill": spilled - plain,
            "parallel_one": self._parallel(min(1, self._workers), plain + text),
            "parallel_more": self._parallel(self._workers, plain + text),
            "hash_build": self._millions("CREATE INDEX ON sample USING hash (t)") / self._levels,
            "brin_build": self._millions("CREATE INDEX ON sample USING brin (id)"),
        }

    def _parallel(self, workers: int, alone: float) -> float:
        """What is left of the time of the two builds."""
        if not workers:
            return 1.0
        self._conn.execute(f"SET max_parallel_maintenance_workers = {workers}".encode())
        self._conn.execute(f"ALTER TABLE sample SET (parallel_workers = {workers})".encode())
        together = sum(self._millions(f"CREATE INDEX ON sample ({column})") for column in ("a", "t"))
        self._conn.execute("ALTER TABLE sample RESET (parallel_workers)")
        self._conn.execute("SET max_parallel_maintenance_workers = 0")
        return min(1.0, max(0.1, together / alone))

    def _writes(self, scan: float) -> dict[str, float]:
        """On a copy of the sample without an index, and with each class of keys."""

        def write(statement: str, column: str = "") -> float:
            index = f"CREATE INDEX ON other ({column})" if column else ""
            copy = (f"CREATE TABLE other AS SELECT * FROM sample LIMIT {self._part.rows}", index)  # noqa: S608
            return self._millions(statement, shape=self._part, before=copy) - scan

        add = f"INSERT INTO other SELECT * FROM sample LIMIT {self._part.rows}"  # noqa: S608
        change = "UPDATE other SET parent = parent + 1"
        insert, update = write(add), write(change)
        levels = math.log2(self._part.rows)
        found = {"insert": insert, "update": update, "delete": write("DELETE FROM other")}
        for name, column in (("_ordered", "id"), ("", "a"), ("_text", "t")):
            found["place" + name] = (write(add, column) - insert) / levels
            found["replace" + name] = (write(change, column) - update) / levels
        return found

    @property
    def _part(self) -> _Shape:
        return _Shape(self._rows // 3, 2)

    def _special_indexes(self) -> dict[str, float]:
        add = "INSERT INTO special SELECT * FROM special"
        plain = self._millions(add, shape=self._few)
        gin = "CREATE INDEX special_gin ON special USING gin (tags)"
        flush = "; SELECT gin_clean_pending_list('special_gin')"
        placed = {
            method: self._millions(add + after, shape=self._few, before=(create,)) - plain
            for method, create, after in (
                ("gin", gin, flush),
                ("gist", "CREATE INDEX ON special USING gist (span)", ""),
                ("hash", "CREATE INDEX ON special USING hash (id)", ""),
                ("brin", "CREATE INDEX ON special USING brin (id)", ""),
            )
        }
        return {
            "gin_entry": self._millions(gin, shape=self._few) / ENTRIES,
            "gist_build": self._millions("CREATE INDEX ON special USING gist (span)", shape=self._few)
            / self._few_levels,
            "gin_place": placed["gin"] / ENTRIES,
            "gist_place": placed["gist"] / self._few_levels,
            "hash_place": placed["hash"] / self._few_levels,
            "brin_place": placed["brin"],
        }

    def _fired(self) -> dict[str, float]:
        def add(*before: str) -> float:
            return self._millions(statement, shape=self._few, before=before)

        statement = f"INSERT INTO fed SELECT id, parent FROM sample LIMIT {self._few.rows}"  # noqa: S608
        plain = add()
        trigger = "CREATE TRIGGER fired BEFORE INSERT ON fed FOR EACH ROW EXECUTE FUNCTION {}()"
        assign = add(trigger.format("assign"))
        return {
            "trigger": assign - plain,
            "trigger_query": add(trigger.format("log")) - assign,
            "foreign_key": add("ALTER TABLE fed ADD FOREIGN KEY (parent) REFERENCES parents") - plain,
        }

    def _missing(self, scan: float, found: dict[str, float]) -> dict[str, float]:
        """Pages that are not in memory: those of a temporary table."""
        self._conn.execute("CREATE TEMPORARY TABLE scratch AS SELECT * FROM sample")
        pages = self._pages("scratch")
        cached = self._less("SELECT count(*) FROM sample")
        read = max(0.0, self._less("SELECT count(*) FROM scratch") - cached) / pages
        placed = {}
        for column in ("id", "a"):
            self._conn.execute(f"CREATE INDEX scratch_{column} ON scratch ({column})".encode())
            index_pages = self._pages(f"scratch_{column}")
            add = f"INSERT INTO scratch SELECT * FROM sample LIMIT {self._few.rows}"  # noqa: S608
            placed[column] = self._millions(add, shape=self._few)
            self._conn.execute(f"DROP INDEX scratch_{column}".encode())
        self._conn.execute("DROP TABLE scratch")
        usual = (found["place"] - found["place_ordered"]) * self._levels
        part = max(0.2, 1 - SMALL_BUFFERS / index_pages)
        return {"page_read": read * 1e6, "page_miss": (placed["a"] - placed["id"] - usual) / part}

    def _pages(self, relation: str) -> int:
        row = self._conn.execute("SELECT pg_relation_size(%s::regclass)", (relation,)).fetchone()
        return max(1, int(row[0]) // PAGE) if row else 1

    def _less(self, statement: str) -> float:
        return max(0.0, self.trials.seconds(statement, times=3) - self._statement)

    def _millions(self, statement: str, *, shape: _Shape | None = None, before: tuple[str, ...] = ()) -> float:
        """Seconds for a million rows, without those that any statement takes. `before`: not timed, and undone."""
        shape = shape or self._all
        seconds = self.trials.seconds(statement, times=shape.times, before=before)
        return max(0.0, seconds - self._statement) / shape.rows * 1e6


def _completed(found: dict[str, float]) -> Costs:
    """What was not measured scales with what was; what came out as nothing is a little."""
    default = Costs()
    logs = [math.log(max(found[name], LEAST) / getattr(default, name)) for name in ANCHORS]
    factor = math.exp(sum(logs) / len(logs))
    values: dict[str, float] = {}
    for item in fields(Costs):
        usual = getattr(default, item.name) * factor
        if item.name in RATIOS:
            values[item.name] = round(found[item.name], 3)
        elif item.name in UNMEASURED:
            values[item.name] = round(usual, 5)
        else:
            values[item.name] = round(max(found[item.name], usual / 10), 5)
    return Costs(**values)
