"""Later statements of a migration are judged from what the earlier ones did."""

from __future__ import annotations

import time

import pytest

from migrator.analysis.effects import Effects, World, effects_of
from migrator.analysis.effects.journal import State
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.walk.walk import walk
from migrator.facts.facts import (
    CatalogFacts,
    ColumnFacts,
    ConstraintFacts,
    IndexFacts,
    RelationFacts,
    TypeFacts,
)
from migrator.facts.outer import ExtensionFacts, SchemaFacts
from migrator.parsing.statements import parse

USERS = RelationFacts(
    "public.users",
    "r",
    columns={"id": ColumnFacts("integer", True), "email": ColumnFacts("text", False)},
    constraints=(ConstraintFacts("users_pkey", "p", True, "PRIMARY KEY (id)", ("id",), index="public.users_pkey"),),
    indexes=(IndexFacts("public.users_pkey", True, True, ("id",), True, primary=True),),
)
FACTS = CatalogFacts(
    170000,
    relations={
        "public.users": USERS,
        "public.users_pkey": RelationFacts("public.users_pkey", "i", table="public.users"),
    },
    resolved={"users": "public.users"},
)


def after(sql: str, facts: CatalogFacts | None = FACTS) -> World:
    world = World(facts)
    for item in parse(sql, file="t.sql").statements:
        world = world_after(item.node, world)
    return world


def effects(sql: str, world: World) -> Effects:
    return effects_of(parse(sql, file="t.sql").statements[0].node, world)


def test_a_column_of_the_same_migration_has_its_type() -> None:
    world = after("ALTER TABLE users ADD COLUMN code varchar(10)")
    assert not effects("ALTER TABLE users ALTER COLUMN code TYPE varchar(20)", world).rewrites
    assert effects("ALTER TABLE users ALTER COLUMN code TYPE varchar(5)", world).rewrites == ("public.users",)


def test_so_has_one_of_a_table_that_nobody_knows() -> None:
    world = after("ALTER TABLE strangers ADD COLUMN code varchar(10)", None)
    assert not effects("ALTER TABLE strangers ALTER COLUMN code TYPE varchar(20)", world).rewrites


def test_a_validated_check_proves_not_null_and_a_new_one_does_not() -> None:
    add = "ALTER TABLE users ADD CONSTRAINT c CHECK (email IS NOT NULL) NOT VALID;"
    assert after(add).proves_not_null("public.users", "email") is False
    assert ("public.users", "c") in after(add).not_valid
    world = after(add + "ALTER TABLE users VALIDATE CONSTRAINT c")
    assert world.proves_not_null("public.users", "email") is True
    assert ("public.users", "c") not in world.not_valid


def test_a_renamed_table_keeps_what_is_known_of_it() -> None:
    world = after("ALTER TABLE users RENAME TO people; ALTER TABLE people RENAME COLUMN email TO mail")
    people = world.relation("public.people")
    assert people is not None
    assert set(people.columns) == {"id", "mail"}
    assert world.exists("public.users") is False
    found = world.index_of("public.users_pkey")
    assert found is not None
    assert found[0].name == "public.people"


@pytest.mark.parametrize(
    "key, old, new, then",
    [
        ("RANGE (k)", "k", r"a\d", r'RANGE ("a\d")'),
        ("RANGE (k)", "k", r"a\1", r'RANGE ("a\1")'),
        ("LIST (k)", "k", 'a"b', 'LIST ("a""b")'),
        ('LIST ("a""b", k)', 'a"b', "c", 'LIST ("c", k)'),
        ('RANGE ("RANGE")', "RANGE", "c", 'RANGE ("c")'),
        ('RANGE ("k or not", k)', "k", "c", 'RANGE ("k or not", "c")'),
        ("RANGE (k)", "other", "c", "RANGE (k)"),
    ],
)
def test_a_partition_key_follows_its_column_whatever_that_is_called(key: str, old: str, new: str, then: str) -> None:
    columns = {name: ColumnFacts("integer", False) for name in (old, "v")}
    known = RelationFacts("public.p", "p", columns=columns, partition_key=key)
    facts = CatalogFacts(170000, relations={"public.p": known}, resolved={"p": "public.p"})
    sql = "ALTER TABLE p RENAME COLUMN {} TO {}".format(*('"' + name.replace('"', '""') + '"' for name in (old, new)))
    p = after(sql, facts).relation("public.p")
    assert p is not None
    assert p.partition_key == then


def test_a_new_table_is_known_with_its_keys_and_locks_on_it_are_not_listed() -> None:
    world = after("CREATE TABLE notes (id int PRIMARY KEY, author int REFERENCES users)")
    notes = world.relation("public.notes")
    assert notes is not None
    assert world.is_new("public.notes")
    assert [item.name for item in notes.constraints] == ["notes_pkey", "notes_author_fkey"]
    assert [index.name for index in notes.indexes] == ["public.notes_pkey"]
    users = world.relation("public.users")
    assert users is not None
    assert users.referenced_by == ("public.notes",)
    assert effects("CREATE INDEX ON notes (author)", world).locks == ()


def test_a_dropped_and_recreated_table_is_new() -> None:
    world = after("DROP TABLE users; CREATE TABLE users (id text)")
    assert world.is_new("public.users")
    column = world.column("public.users", "id")
    assert column is not None
    assert column.type == "text"


def test_a_world_does_not_change_when_others_are_made_from_it() -> None:
    before = World(FACTS)
    first = world_after(parse("ALTER TABLE users ADD COLUMN a int", file="t").statements[0].node, before)
    second = world_after(parse("ALTER TABLE users ADD COLUMN b int", file="t").statements[0].node, before)
    third = world_after(parse("ALTER TABLE users DROP COLUMN a", file="t").statements[0].node, first)
    seen = [set(w.relation("public.users").columns) - {"id", "email"} for w in (before, first, second, third)]  # type: ignore[union-attr]
    assert seen == [set(), {"a"}, {"b"}, set()]


def test_the_search_path_of_the_migration_decides() -> None:
    world = after("SET search_path TO app; CREATE TABLE users (id int)")
    assert world.is_new("app.users")
    assert not world.is_new("public.users")


def test_settings_of_the_migration_decide() -> None:
    assert after("SET TIME ZONE 'Europe/Berlin'").timezone == "Europe/Berlin"


def test_many_statements_share_one_memory() -> None:
    """Twenty thousand worlds: copies of sets would take minutes."""
    state, begin = State(), time.process_time()
    worlds = []
    for number in range(20_000):
        state = state.with_changes({("created", f"t{number}"): True})
        worlds.append(state)
    assert worlds[10].get(("created", "t5")) is True
    assert worlds[10].get(("created", "t11"), None) is None
    assert worlds[-1].journal is worlds[0].journal
    assert time.process_time() - begin < 30


@pytest.mark.parametrize(
    "before, assumed",
    [
        ("ALTER TABLE t ADD COLUMN c int", False),
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS c int", True),
        ("ALTER TABLE t ALTER COLUMN c TYPE int", True),
        ("ALTER TABLE t ADD COLUMN c int; ALTER TABLE t DROP COLUMN c", True),
    ],
)
def test_a_new_column_has_only_the_constraints_that_the_file_gives_it(before: str, assumed: bool) -> None:
    """So nothing need be assumed of it, not even without a connection."""
    parsed = parse(f"{before}; ALTER TABLE t ALTER COLUMN c SET NOT NULL", file="x.sql")
    effects = walk(parsed, World(), wanted=None)[0].subjects[-1].effects
    assert effects.scans == ("public.t",)
    assert bool(effects.assumptions) is assumed


THINGS = CatalogFacts(
    180000,
    schemas={"a": SchemaFacts("a"), "foreign_one": SchemaFacts("foreign_one", owned=False)},
    extensions={"x": ExtensionFacts("x", "1", True)},
    publications={"p": ()},
    roots={"schema a": (), "schema foreign_one": (), "extension x": ()},
    complete=True,
)


@pytest.mark.parametrize(
    "before, sql, fails",
    [
        ("", "CREATE EXTENSION x", "42710"),
        ("DROP EXTENSION x", "CREATE EXTENSION x", None),
        ("DROP EXTENSION x", "DROP EXTENSION x", "42704"),
        ("CREATE EXTENSION IF NOT EXISTS x", "CREATE EXTENSION x", "42710"),
        ("DROP EXTENSION x; CREATE EXTENSION x", "DROP EXTENSION x", None),
        ("DROP SCHEMA a", "CREATE SCHEMA a", None),
        ("DROP SCHEMA a; CREATE SCHEMA IF NOT EXISTS a", "CREATE SCHEMA a", "42P06"),
        ("ALTER SCHEMA a RENAME TO b", "CREATE SCHEMA a", None),
        ("CREATE SCHEMA IF NOT EXISTS foreign_one", "DROP SCHEMA foreign_one", "42501"),
        ("DROP PUBLICATION p", "CREATE PUBLICATION p", None),
        ("CREATE FOREIGN DATA WRAPPER w", "DROP FOREIGN DATA WRAPPER w", None),
        ("CREATE FOREIGN DATA WRAPPER w; DROP FOREIGN DATA WRAPPER w", "DROP FOREIGN DATA WRAPPER w", "42704"),
    ],
)
def test_what_is_no_relation_is_there_until_it_is_dropped(before: str, sql: str, fails: str | None) -> None:
    failure = effects(sql, after(before, THINGS)).fails
    assert (failure.sqlstate if failure is not None else None) == fails


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE n AS SELECT * FROM strangers",
        "CREATE TABLE n (id, x) AS SELECT 1, 2",
        "CREATE TABLE IF NOT EXISTS n AS SELECT id, x FROM strangers",
        "CREATE TABLE n AS VALUES (1, 2)",
        "CREATE TABLE n AS TABLE strangers",
        "CREATE TABLE o AS SELECT * FROM strangers; ALTER TABLE o RENAME TO n",
        "SELECT * INTO n FROM strangers",
        "CREATE TABLE n OF unknown_type",
        "CREATE TABLE n (LIKE strangers, y int)",
        "CREATE TABLE n (LIKE strangers INCLUDING ALL, y int)",
        "CREATE TABLE n (y int) INHERITS (strangers)",
        "CREATE TABLE m (LIKE strangers, y int); CREATE TABLE n () INHERITS (m)",
        "CREATE TABLE m (LIKE strangers, y int); CREATE TABLE n (LIKE m)",
        "CREATE TABLE n PARTITION OF strangers DEFAULT",
    ],
)
@pytest.mark.parametrize(
    "used",
    [
        "CREATE INDEX ON n (x)",
        "UPDATE n SET x = 4",
        "INSERT INTO n (x) VALUES (1)",
        "INSERT INTO n VALUES (1, 2, 3, 4, 5)",
        "INSERT INTO n (x) VALUES (1) ON CONFLICT (x) DO NOTHING",
        "COMMENT ON COLUMN n.x IS 'x'",
        "CREATE STATISTICS s ON x, z FROM n",
        "ANALYZE n (x)",
        "CREATE TABLE other (x int REFERENCES n (x))",
        "CREATE TABLE other (x int REFERENCES n)",
        "ALTER TABLE parted ADD FOREIGN KEY (x) REFERENCES n",
        "ALTER TABLE parted ADD FOREIGN KEY (x) REFERENCES n (x)",
        "ALTER TABLE parted ATTACH PARTITION n DEFAULT",
        "SELECT n.x FROM n",
    ],
)
def test_what_a_query_or_a_stranger_gave_a_table_is_not_missing(made: str, used: str) -> None:
    world = after(
        f"CREATE TABLE parted (x int, y int, z int) PARTITION BY LIST (x); {made}; ALTER TABLE n ADD COLUMN z int", None
    )
    failure = effects(used, world).fails
    no_such_column = ("42703", "42601", "42804")
    no_such_key = ("42830", "42P10", "42704") if "ALL" in made or "PARTITION" in made else ()
    assert failure is None or failure.sqlstate not in (*no_such_column, *no_such_key), failure


@pytest.mark.parametrize(
    "used", ["ALTER TABLE o ADD FOREIGN KEY (x) REFERENCES n", "INSERT INTO n VALUES (1) ON CONFLICT (x) DO NOTHING"]
)
def test_a_copied_key_is_not_missing(used: str) -> None:
    world = after(
        "CREATE TABLE m (x int PRIMARY KEY); CREATE TABLE n (LIKE m INCLUDING INDEXES); CREATE TABLE o (x int)", None
    )
    assert effects(used, world).fails is None


def test_a_column_of_a_replaced_view_may_be_a_new_one() -> None:
    facts = CatalogFacts(
        170000,
        relations={"public.v": RelationFacts("public.v", "v", columns={"a": ColumnFacts("integer", False)})},
        resolved={"v": "public.v"},
    )
    world = after("CREATE OR REPLACE VIEW v AS SELECT 1 AS a, 2 AS b", facts)
    assert effects("COMMENT ON COLUMN v.b IS 'x'", world).fails is None


def test_an_attribute_added_to_a_type_leaves_the_others_of_its_tables() -> None:
    facts = CatalogFacts(170000, types={"ct": TypeFacts("public.ct", "c"), "public.ct": TypeFacts("public.ct", "c")})
    world = after("CREATE TABLE n OF ct; ALTER TYPE ct ADD ATTRIBUTE q int CASCADE", facts)
    assert effects("CREATE INDEX ON n (x)", world).fails is None


def test_a_column_that_nobody_gave_a_whole_table_is_missing() -> None:
    world = after("CREATE TABLE m (a int); CREATE TABLE n (LIKE m, y int); ALTER TABLE n ADD COLUMN z int", None)
    failure = effects("CREATE INDEX ON n (x)", world).fails
    assert failure is not None
    assert failure.sqlstate == "42703"


@pytest.mark.parametrize(
    "key",
    [
        "CREATE TABLE com (id int, cid int REFERENCES cat)",
        "CREATE TABLE com (id int, cid int REFERENCES cat (id) ON DELETE CASCADE NOT NULL)",
        "CREATE TABLE com (id int, cid int, FOREIGN KEY (cid) REFERENCES cat)",
        "CREATE TABLE com (id int, cid int, CONSTRAINT k FOREIGN KEY (id, cid) REFERENCES cat)",
        "CREATE TABLE com (id int, cid int); ALTER TABLE com ADD FOREIGN KEY (cid) REFERENCES cat (id)",
        "CREATE TABLE com (id int); ALTER TABLE com ADD COLUMN cid int REFERENCES cat",
    ],
)
@pytest.mark.parametrize(
    "gone",
    [
        "ALTER TABLE com DROP COLUMN cid",
        "ALTER TABLE com RENAME COLUMN cid TO c; ALTER TABLE com DROP COLUMN IF EXISTS c",
        "ALTER TABLE cat DROP CONSTRAINT cat_pkey CASCADE",
        "ALTER TABLE cat DROP COLUMN id CASCADE",
    ],
)
def test_nothing_points_to_a_table_once_the_foreign_key_is_gone(key: str, gone: str) -> None:
    made = f"CREATE TABLE cat (id int PRIMARY KEY); {key}"
    assert effects("DROP TABLE cat", after(made, None)).fails
    assert effects("DROP TABLE cat", after(f"{made}; {gone}", None)).fails is None


def test_another_foreign_key_of_the_table_still_points_there() -> None:
    world = after(
        "CREATE TABLE cat (id int PRIMARY KEY); CREATE TABLE com (a int REFERENCES cat, b int REFERENCES cat);"
        "ALTER TABLE com DROP COLUMN a",
        None,
    )
    assert effects("DROP TABLE cat", world).fails


NUMBERED = CatalogFacts(
    server_version_num=170000,
    relations={
        "public.users": RelationFacts(
            "public.users",
            "r",
            columns={
                "id": ColumnFacts("bigint", True, default="nextval(...)", sequences=("public.users_id_seq",)),
                "no": ColumnFacts("integer", True, identity="d", sequences=("public.users_no_seq",)),
            },
        ),
        "public.users_id_seq": RelationFacts("public.users_id_seq", "S", owned_by="public.users"),
        "public.users_no_seq": RelationFacts("public.users_no_seq", "S", owned_by="public.users"),
    },
    asked=frozenset(["users_id_seq", "users_no_seq", "public.users_id_seq", "public.users_no_seq", "users_id_seq1"]),
    resolved={name: f"public.{name}" for name in ("users", "users_id_seq", "users_no_seq")},
    complete=True,
)
SWAPPED = "ALTER TABLE users ALTER id DROP DEFAULT; DROP SEQUENCE users_id_seq; "


@pytest.mark.parametrize(
    "before, there",
    [
        (SWAPPED + "ALTER TABLE users ALTER id ADD GENERATED ALWAYS AS IDENTITY", {"users_id_seq": True}),
        (
            "ALTER TABLE users ALTER no DROP IDENTITY, ALTER no ADD GENERATED ALWAYS AS IDENTITY",
            {"users_no_seq": True},
        ),
        ("ALTER TABLE users ALTER no DROP IDENTITY", {"users_no_seq": False}),
        ("ALTER TABLE users ALTER no DROP IDENTITY; CREATE SEQUENCE users_no_seq", {"users_no_seq": True}),
        (
            "ALTER TABLE users ALTER id DROP DEFAULT, ALTER id ADD GENERATED ALWAYS AS IDENTITY;"
            " DROP SEQUENCE users_id_seq",
            {"users_id_seq": False, "users_id_seq1": True},
        ),
        ("ALTER TABLE users DROP COLUMN id; ALTER TABLE users ADD COLUMN id serial", {"users_id_seq": True}),
        ("DROP TABLE users; CREATE TABLE users (id bigserial)", {"users_id_seq": True, "users_no_seq": False}),
        (SWAPPED + "CREATE SEQUENCE users_id_seq OWNED BY users.id", {"users_id_seq": True}),
    ],
)
def test_the_sequence_of_a_column_comes_and_goes_with_its_numbers(before: str, there: dict[str, bool]) -> None:
    world = after(before, NUMBERED)
    found = {name: effects(f"SELECT setval('{name}', 9)", world).fails is None for name in there}
    known = {name: effects(f"ALTER SEQUENCE {name} CACHE 2", world).fails is None for name in there}
    assert (found, known) == (there, there)
