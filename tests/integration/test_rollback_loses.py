"""Only what apply itself dropped excuses a rollback that gives no rows back: on a real server."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.evidence import Check, Verdict
from tests.factories import plan_from_sql
from tests.integration.copies import check_of, failed, make_copy, rehearse

ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, note text, extra int);
INSERT INTO orders SELECT g, 'n' || g, g FROM generate_series(1, 3) AS g;
CREATE TABLE codes (code text);
INSERT INTO codes VALUES ('007');
CREATE SCHEMA shop;
CREATE TABLE shop.goods (id bigserial PRIMARY KEY, name text);
INSERT INTO shop.goods (name) VALUES ('a'), ('b');
CREATE SCHEMA stage;
CREATE TABLE stage.goods (id bigserial PRIMARY KEY, name text);
INSERT INTO stage.goods (name) VALUES ('c');
CREATE TABLE days (day date, what text) PARTITION BY RANGE (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
INSERT INTO days VALUES ('2025-01-05', 'x');
CREATE FUNCTION same(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE TABLE coded (a text, b text, c int);
CREATE INDEX ON coded ((public.same(b) = public.same('x')));
INSERT INTO coded VALUES ('one', 'two', 3);
CREATE SEQUENCE free;
CREATE TABLE fed (id bigint DEFAULT nextval('free'), n int);
INSERT INTO fed (n) VALUES (1), (2);
CREATE TYPE addr AS (street text, zip text);
CREATE DOMAIN home AS addr;
CREATE TYPE place AS (at home[], what text);
CREATE TYPE span AS RANGE (subtype = addr);
CREATE TABLE people (id int, lives addr);
INSERT INTO people VALUES (1, ('s1', '1'));
CREATE TABLE firms (id int, seats addr[], had place, reach span, reaches span_multirange);
INSERT INTO firms VALUES (1, ARRAY[('s2', '2')::addr], (ARRAY[('s3', '3')::addr::home], 'x'),
    span(('a', '1')::addr, ('b', '2')::addr), '{}');
CREATE FUNCTION gross(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 119 / 100';
CREATE TABLE bills (net int, total int GENERATED ALWAYS AS (public.gross(net)) STORED, note text);
INSERT INTO bills (net) VALUES (100), (200);
CREATE TABLE indexed_bills (net int, total int GENERATED ALWAYS AS (public.gross(net)) STORED);
CREATE INDEX ON indexed_bills (public.gross(net)) WHERE public.gross(1) = 1;
INSERT INTO indexed_bills (net) VALUES (100);
CREATE VIEW seen AS SELECT 1 AS n;
CREATE FUNCTION called() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('a');
CREATE DOMAIN reference AS regtype[];
CREATE TABLE known (view regclass, calls regprocedure[], kinds reference);
INSERT INTO known VALUES ('seen', '{called()}', '{mood}');
CREATE FUNCTION folded(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
CREATE FUNCTION code(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.folded($1); END';
CREATE FUNCTION atomic(text) RETURNS text IMMUTABLE RETURN lower($1);
CREATE TABLE coders (id int, name text);
INSERT INTO coders VALUES (1, 'Anna');
CREATE UNIQUE INDEX coders_code ON coders (public.code(name));
CREATE INDEX coders_atomic ON coders (id) WHERE public.atomic(name) = 'anna';
CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
CREATE INDEX coders_words ON coders USING gin (to_tsvector('public.words', name));
CREATE TABLE src (id int, note text);
CREATE TABLE audit (id int, old src);
INSERT INTO audit VALUES (1, (7, 'n7'));
"""
RATE = "CREATE OR REPLACE FUNCTION gross(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * {} / 100';"
FOLDED = "CREATE OR REPLACE FUNCTION folded(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT {}($1)';"
ATOMIC = "CREATE OR REPLACE FUNCTION atomic(text) RETURNS text IMMUTABLE RETURN {}($1);"
WORDS = "ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH {};"
EXCHANGE = "ALTER SCHEMA shop RENAME TO aside; ALTER SCHEMA stage RENAME TO shop; ALTER SCHEMA aside RENAME TO stage;"
SERIAL = """
CREATE TABLE {} (id bigserial PRIMARY KEY, name text);
"""


@pytest.fixture
def copy(copies: Endpoint) -> Endpoint:
    return make_copy(copies, ORDERS)


def lost(up: str, down: str, copies: Endpoint, copy: Endpoint) -> str:
    """What the failed dry run says of the rows."""
    check = check_of(failed(plan_from_sql(up, down), copies, copy).evidence, "rollback_data")
    assert check.verdict is Verdict.FAILED, check.detail
    return check.detail


def passed(up: str, down: str, copies: Endpoint, copy: Endpoint) -> Check:
    evidence = rehearse(plan_from_sql(up, down), copies, copy)
    assert evidence.verdict is Verdict.PASSED, evidence.checks
    return check_of(evidence, "rollback_data")


@pytest.mark.parametrize(
    "up, down, said",
    [
        pytest.param(
            "ALTER TABLE orders RENAME COLUMN note TO remark;",
            "ALTER TABLE orders DROP COLUMN remark; ALTER TABLE orders ADD COLUMN note text;",
            "public.orders has other content in its 3 rows, had 3 rows: the rollback drops column remark, which has the"
            " rows of note: it loses them",
            id="column renamed",
        ),
        pytest.param(
            "ALTER TABLE orders RENAME TO sales;",
            "DROP TABLE sales; CREATE TABLE orders (id bigint PRIMARY KEY, note text, extra int);",
            "public.orders has 0 rows, had 3 rows: the rollback drops table public.sales, which has the rows of"
            " public.orders: it loses them",
            id="table renamed",
        ),
        pytest.param(
            "CREATE SCHEMA arch; ALTER TABLE codes SET SCHEMA arch;",
            "DROP TABLE arch.codes; DROP SCHEMA arch; CREATE TABLE codes (code text);",
            "the rollback drops table arch.codes, which has the rows of public.codes: it loses them",
            id="table moved",
        ),
        pytest.param(
            "ALTER SCHEMA shop RENAME TO old;",
            "DROP SCHEMA old CASCADE; CREATE SCHEMA shop;" + SERIAL.format("shop.goods"),
            "the rollback drops table old.goods, which has the rows of shop.goods: it loses them",
            id="schema renamed",
        ),
        pytest.param(
            "ALTER TABLE orders DROP COLUMN extra;",
            "ALTER TABLE orders ADD COLUMN extra int; DELETE FROM orders;",
            "public.orders has 0 rows, had 3 rows",
            id="all rows deleted",
        ),
        pytest.param(
            "ALTER TABLE orders DROP COLUMN extra; UPDATE orders SET note = upper(note);",
            "ALTER TABLE orders ADD COLUMN extra int;",
            "public.orders has other content in its 3 rows",
            id="an update is not undone",
        ),
        pytest.param(
            "ALTER TABLE orders DROP COLUMN extra;",
            "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text, ADD COLUMN extra int;",
            "the rollback drops column note, which apply had left: it loses its rows",
            id="one column too many",
        ),
        pytest.param(
            "ALTER TABLE days DROP COLUMN what;",
            "ALTER TABLE days ADD COLUMN what text; DELETE FROM days;",
            "public.days_1 has 0 rows, had 1 row",
            id="partition emptied",
        ),
        pytest.param(
            "ALTER TABLE days DETACH PARTITION days_1;",
            "DROP TABLE days_1;CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');",
            "the rollback drops table public.days_1, which apply had left: it loses its rows",
            id="partition detached",
        ),
        pytest.param(
            "CREATE TABLE new AS SELECT id, note FROM orders; DROP TABLE orders; ALTER TABLE new RENAME TO orders;",
            "DROP TABLE orders; CREATE TABLE orders (id bigint PRIMARY KEY, note text, extra int);",
            "public.orders has 0 rows, had 3 rows",
            id="table replaced with its rows",
        ),
        pytest.param(
            "ALTER TABLE orders ADD COLUMN new text; UPDATE orders SET new = extra;"
            "ALTER TABLE orders DROP COLUMN extra; ALTER TABLE orders RENAME COLUMN new TO extra;",
            "ALTER TABLE orders DROP COLUMN extra; ALTER TABLE orders ADD COLUMN extra int;",
            "public.orders has other content in its 3 rows",
            id="column replaced with its rows",
        ),
        pytest.param(
            "DROP TABLE codes;",
            "CREATE TABLE codes (code text); DELETE FROM orders WHERE id = 2;",
            "public.orders has 2 rows, had 3 rows",
            id="another table than the dropped one",
        ),
        pytest.param(
            "ALTER TABLE coded DROP COLUMN c; UPDATE coded SET a = upper(a);",
            "ALTER TABLE coded ADD COLUMN c int;",
            "public.coded has other content in its 1 row",
            id="table that is read by COPY",
        ),
        pytest.param(
            "ALTER TYPE addr RENAME ATTRIBUTE zip TO zipcode;",
            "ALTER TYPE addr DROP ATTRIBUTE zipcode; ALTER TYPE addr ADD ATTRIBUTE zip text;",
            "public.people has other content in its 1 rows, had 1 rows: the rollback drops attribute zipcode of"
            " public.addr, which has the rows of zip: it loses them",
            id="attribute renamed",
        ),
        pytest.param(
            "ALTER TYPE addr RENAME ATTRIBUTE zip TO zipcode;",
            "ALTER TYPE addr DROP ATTRIBUTE zipcode; ALTER TYPE addr ADD ATTRIBUTE zip text;",
            "public.firms has other content in its 1 rows",
            id="attribute of an element renamed",
        ),
        pytest.param(
            "ALTER TABLE src RENAME COLUMN note TO remark;",
            "ALTER TABLE src DROP COLUMN remark; ALTER TABLE src ADD COLUMN note text;",
            "public.audit has other content in its 1 rows",
            id="column of another table's row type renamed",
        ),
        pytest.param(
            "CREATE TABLE notes AS SELECT id, note FROM orders; ALTER TABLE orders DROP COLUMN note;",
            "ALTER TABLE orders ADD COLUMN note text; DROP TABLE notes;",
            "public.orders has other content in its 3 rows, had 3 rows: apply has left the values of note in"
            " public.notes: copy them back",
            id="table split",
        ),
        pytest.param(
            "CREATE TABLE old_codes AS TABLE codes; DROP TABLE codes;",
            "DROP TABLE old_codes; CREATE TABLE codes (code text);",
            "public.codes has 0 rows, had 1 rows: apply has left the values of code in public.old_codes: copy them",
            id="table moved by copying",
        ),
        pytest.param(
            "ALTER TYPE addr DROP ATTRIBUTE zip;",
            "ALTER TYPE addr DROP ATTRIBUTE street; ALTER TYPE addr ADD ATTRIBUTE street text, ADD ATTRIBUTE zip text;",
            "the rollback drops attribute street of public.addr, which apply had left: it loses its rows",
            id="one attribute too many",
        ),
        pytest.param(
            "ALTER TYPE addr DROP ATTRIBUTE zip;",
            "ALTER TYPE addr ADD ATTRIBUTE zip text; UPDATE people SET id = 2;",
            "public.people has other content in its 1 rows",
            id="more than the attribute",
        ),
        pytest.param(
            EXCHANGE,
            "SELECT 1;",
            "shop.goods has 1 rows, had 2 rows; stage.goods has 2 rows, had 1 rows",
            id="schemas exchanged",
        ),
        pytest.param(
            "ALTER SCHEMA shop RENAME TO aside; UPDATE aside.goods SET name = 'x'; ALTER SCHEMA aside RENAME TO shop;",
            "SELECT 1;",
            "shop.goods has other content in its 2 rows",
            id="written by apply under a name in between",
        ),
        pytest.param(
            "CREATE TABLE made (id int);",
            "DROP TABLE made; ALTER SCHEMA shop RENAME TO aside; DELETE FROM aside.goods;"
            "ALTER SCHEMA aside RENAME TO shop;",
            "shop.goods has 0 rows, had 2 rows",
            id="written by the rollback under a name in between",
        ),
        pytest.param(
            RATE.format(107) + "UPDATE bills SET net = net;",
            RATE.format(119),
            "public.bills has other content in its 2 rows, had 2 rows: column total differs",
            id="generated by another function",
        ),
        pytest.param(
            RATE.format(107) + "UPDATE indexed_bills SET net = net; REINDEX TABLE indexed_bills;",
            RATE.format(119) + "REINDEX TABLE indexed_bills;",
            "public.indexed_bills has other content in its 1 rows",
            id="generated, in a table that only COPY may read",
        ),
        pytest.param(
            "CREATE TABLE kept AS TABLE bills; DROP TABLE bills;",
            "CREATE TABLE bills (net int, total int GENERATED ALWAYS AS (public.gross(net)) STORED, note text);"
            "DROP TABLE kept;",
            "apply has left the values of net, total, note in public.kept: copy them back",
            id="generated, in a table of which there is a copy",
        ),
        pytest.param(
            "DROP VIEW seen;",
            "CREATE VIEW seen AS SELECT 1 AS n;",
            "public.known has other content in its 1 rows, had 1 rows: column view differs: a row names things by"
            " their oids",
            id="what a row refers to is another view",
        ),
        pytest.param(
            "DROP FUNCTION called();",
            "CREATE FUNCTION called() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "column calls differs",
            id="what a row refers to is another function",
        ),
        pytest.param(
            "DROP TYPE mood;",
            "CREATE TYPE mood AS ENUM ('a');",
            "column kinds differs",
            id="what a row refers to is another type",
        ),
    ],
)
def test_what_apply_did_not_drop_must_come_back(
    copies: Endpoint, copy: Endpoint, up: str, down: str, said: str
) -> None:
    detail = lost(up, down, copies, copy)
    assert detail.startswith("the rollback loses data: ")
    assert said in detail


@pytest.mark.parametrize(
    "up, down, said",
    [
        (
            "ALTER TABLE orders DROP COLUMN extra;",
            "ALTER TABLE orders ADD COLUMN extra int;",
            "public.orders has other content in its 3 rows, had 3 rows; but for column extra they are as before",
        ),
        (
            "ALTER TABLE orders DROP COLUMN note, DROP COLUMN extra;",
            "ALTER TABLE orders ADD COLUMN note text, ADD COLUMN extra int DEFAULT 0; ALTER TABLE orders ALTER extra"
            " DROP DEFAULT;",
            "but for column extra, note they are as before",
        ),
        (
            "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders RENAME COLUMN extra TO note;",
            "ALTER TABLE orders RENAME COLUMN note TO extra; ALTER TABLE orders ADD COLUMN note text;",
            "but for column note they are as before",
        ),
        (
            "ALTER TABLE orders RENAME TO sales; ALTER TABLE sales DROP COLUMN extra;",
            "ALTER TABLE sales ADD COLUMN extra int; ALTER TABLE sales RENAME TO orders;",
            "but for column extra they are as before",
        ),
        ("DROP TABLE codes;", "CREATE TABLE codes (code text);", "public.codes has 0 rows, had 1 rows"),
        (
            "DROP TABLE codes; CREATE TABLE codes (id int);",
            "DROP TABLE codes; CREATE TABLE codes (code text);",
            "public.codes has 0 rows, had 1 rows",
        ),
        (
            "ALTER TABLE days DROP COLUMN what;",
            "ALTER TABLE days ADD COLUMN what text;",
            "public.days_1 has other content in its 1 rows, had 1 rows; but for column what they are as before",
        ),
        (
            "ALTER TABLE coded DROP COLUMN c;",
            "ALTER TABLE coded ADD COLUMN c int;",
            "but for column c they are as before",
        ),
        (
            "ALTER TYPE addr DROP ATTRIBUTE zip;",
            "ALTER TYPE addr ADD ATTRIBUTE zip text;",
            "public.people has other content in its 1 rows, had 1 rows; but for column lives they are as before",
        ),
        (
            "ALTER TYPE addr DROP ATTRIBUTE zip;",
            "ALTER TYPE addr ADD ATTRIBUTE zip text;",
            "public.firms has other content in its 1 rows, had 1 rows; but for column had, reach, reaches, seats",
        ),
        (
            "ALTER TABLE src DROP COLUMN note;",
            "ALTER TABLE src ADD COLUMN note text;",
            "public.audit has other content in its 1 rows, had 1 rows; but for column old they are as before",
        ),
    ],
)
def test_what_apply_dropped_is_in_the_snapshot_only(
    copies: Endpoint, copy: Endpoint, up: str, down: str, said: str
) -> None:
    check = passed(up, down, copies, copy)
    assert check.verdict is Verdict.UNVERIFIED
    assert check.detail.startswith("what was dropped is in the snapshot only")
    assert said in check.detail


@pytest.mark.parametrize(
    "up, down",
    [
        ("ALTER TABLE orders RENAME COLUMN note TO remark;", "ALTER TABLE orders RENAME COLUMN remark TO note;"),
        (
            "ALTER TABLE orders RENAME COLUMN note TO remark;",
            "ALTER TABLE orders ADD COLUMN note text; UPDATE orders SET note = remark;"
            "ALTER TABLE orders DROP COLUMN remark;",
        ),
        ("ALTER SCHEMA shop RENAME TO old;", "ALTER SCHEMA old RENAME TO shop;"),
        (EXCHANGE, EXCHANGE),
        (
            "CREATE SCHEMA arch; ALTER TABLE codes SET SCHEMA arch;",
            "ALTER TABLE arch.codes SET SCHEMA public; DROP SCHEMA arch;",
        ),
        ("ALTER TYPE addr RENAME ATTRIBUTE zip TO code;", "ALTER TYPE addr RENAME ATTRIBUTE code TO zip;"),
        ("ALTER TYPE addr ADD ATTRIBUTE land text;", "ALTER TYPE addr DROP ATTRIBUTE land;"),
        (
            "CREATE TABLE notes AS SELECT id, note FROM orders; ALTER TABLE orders DROP COLUMN note;",
            "ALTER TABLE orders ADD COLUMN note text; UPDATE orders SET note = n.note FROM notes AS n"
            " WHERE n.id = orders.id; DROP TABLE notes;",
        ),
        (RATE.format(107) + "UPDATE bills SET net = net;", RATE.format(119) + "UPDATE bills SET net = net;"),
        (
            "ALTER TABLE bills DROP COLUMN total;",
            "ALTER TABLE bills ADD COLUMN total int GENERATED ALWAYS AS (public.gross(net)) STORED;",
        ),
        ("ALTER VIEW seen RENAME TO viewed;", "ALTER VIEW viewed RENAME TO seen;"),
        (
            "DROP VIEW seen;",
            "CREATE VIEW seen AS SELECT 1 AS n; UPDATE known SET view = 'seen';",
        ),
        *(
            (up + f"REINDEX INDEX coders_{name};", down + f"REINDEX INDEX coders_{name};")
            for name, up, down in (
                ("code", FOLDED.format("upper"), FOLDED.format("lower")),
                ("atomic", ATOMIC.format("upper"), ATOMIC.format("lower")),
                ("words", WORDS.format("simple"), WORDS.format("english_stem")),
            )
        ),
        ("REINDEX TABLE coders;" + FOLDED.format("upper"), FOLDED.format("lower")),
    ],
)
def test_what_was_renamed_comes_back(copies: Endpoint, copy: Endpoint, up: str, down: str) -> None:
    assert passed(up, down, copies, copy).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "up, down, index",
    [
        pytest.param(
            FOLDED.format("upper") + "REINDEX INDEX coders_code;",
            FOLDED.format("lower"),
            "public.coders_code",
            id="called by its function",
        ),
        pytest.param(
            ATOMIC.format("upper") + "REINDEX INDEX coders_atomic;",
            "REINDEX INDEX coders_atomic;" + ATOMIC.format("lower"),
            "public.coders_atomic",
            id="rebuilt too early",
        ),
        pytest.param(
            WORDS.format("simple") + "REINDEX INDEX coders_words;",
            WORDS.format("english_stem"),
            "public.coders_words",
            id="text search configuration",
        ),
    ],
)
def test_an_index_must_have_what_its_function_gives(
    copies: Endpoint, copy: Endpoint, up: str, down: str, index: str
) -> None:
    assert lost(up, down, copies, copy).endswith(
        f"the rollback puts back what index {index} calls, and leaves in it what another function gave: rows are not"
        f" found by it. after that, let it run REINDEX INDEX {index}"
    )


def test_an_index_that_was_of_another_function_meanwhile_is_told(copies: Endpoint, copy: Endpoint) -> None:
    check = passed(FOLDED.format("upper"), FOLDED.format("lower"), copies, copy)
    assert check.verdict is Verdict.PASSED
    assert "index public.coders_code calls a function that was another one meanwhile" in check.detail


def test_a_name_that_a_row_has_made_is_not_told(copies: Endpoint, copy: Endpoint) -> None:
    row = "(SELECT 'secret' || code FROM public.codes)"
    up = f"DO $$BEGIN EXECUTE format('ALTER TABLE orders RENAME COLUMN note TO %I', {row}); END$$;"
    down = f"DO $$BEGIN EXECUTE format('ALTER TABLE orders DROP COLUMN %I', {row}); END$$;"
    detail = lost(up, down + "ALTER TABLE orders ADD COLUMN note text;", copies, copy)
    assert "secret007" not in detail
    assert "the rollback drops column …, which has the rows of note: it loses them" in detail


@pytest.mark.parametrize(
    "up, down, said",
    [
        (
            "ALTER TABLE fed DROP COLUMN id;",
            "DROP SEQUENCE free; CREATE SEQUENCE free; ALTER TABLE fed ADD COLUMN id bigint;"
            "ALTER TABLE fed ALTER COLUMN id SET DEFAULT nextval('free');",
            "the rollback drops it, which apply had left",
        ),
        (
            "ALTER TABLE fed DROP COLUMN id;",
            "ALTER SEQUENCE free RESTART; ALTER TABLE fed ADD COLUMN id bigint;"
            "ALTER TABLE fed ALTER COLUMN id SET DEFAULT nextval('free');",
            "sequence public.free gives values again",
        ),
        (
            "ALTER TABLE shop.goods RENAME TO things;",
            "DROP TABLE shop.things;" + SERIAL.format("shop.goods"),
            "sequence shop.goods_id_seq gives values again that it had given;"
            " the rollback drops it, which apply had left",
        ),
    ],
)
def test_a_sequence_that_apply_left_must_stand_where_it_was(
    copies: Endpoint, copy: Endpoint, up: str, down: str, said: str
) -> None:
    detail = lost(up, down, copies, copy)
    assert "the rollback sets sequences back: " in detail
    assert said in detail
