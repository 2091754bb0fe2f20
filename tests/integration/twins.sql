-- name: exact
-- A twin of every function, aggregate and operator of pg_catalog for which a role may make one: the same name, arguments
-- and result, first in the search path. Whoever calls it says so in the server's log, and fails.
DO $all$
DECLARE
    one record;
    body text;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
    PERFORM pg_catalog.set_config('client_min_messages', 'error', true);
    FOR one IN
        SELECT
            p.oid,
            p.proname,
            p.prokind,
            p.provolatile,
            p.pronargs,
            pg_get_function_arguments(p.oid) AS arguments,
            pg_get_function_identity_arguments(p.oid) AS identity,
            pg_get_function_result(p.oid) AS result
        FROM pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
    LOOP
        BEGIN
            body := format(
                ' LANGUAGE plpgsql %s AS $twin$ BEGIN RAISE LOG %L; RAISE EXCEPTION %L; END $twin$',
                CASE one.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE '' END,
                format('captured function %s(%s)', one.proname, one.identity),
                format('captured function %s(%s)', one.proname, one.identity)
            );
            IF one.prokind = 'f' THEN
                EXECUTE format('CREATE FUNCTION trap.%I(%s) RETURNS %s', one.proname, one.arguments, one.result) || body;
            ELSIF one.prokind = 'a' THEN
                EXECUTE format(
                    'CREATE FUNCTION trap.step_of_%s(bigint%s) RETURNS bigint',
                    one.oid,
                    CASE WHEN one.identity IN ('', '*') THEN '' ELSE ', ' || one.identity END
                ) || body;
                EXECUTE format(
                    'CREATE AGGREGATE trap.%I(%s) (SFUNC = trap.step_of_%s, STYPE = bigint, INITCOND = 0)',
                    one.proname, CASE one.pronargs WHEN 0 THEN '*' ELSE one.identity END, one.oid
                );
            END IF;
        EXCEPTION WHEN OTHERS THEN
            NULL; -- of internal arguments, or of a kind that only C makes
        END;
    END LOOP;
    FOR one IN
        SELECT
            o.oid,
            o.oprname,
            nullif(o.oprleft, 0)::regtype::text AS l,
            nullif(o.oprright, 0)::regtype::text AS r,
            o.oprresult::regtype::text AS result
        FROM pg_operator AS o
        WHERE o.oprnamespace = 'pg_catalog'::regnamespace
    LOOP
        BEGIN
            EXECUTE format(
                'CREATE FUNCTION trap.operator_%s(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS $twin$'
                ' BEGIN RAISE LOG ''%%'', %L; RAISE EXCEPTION ''%%'', %L; END $twin$',
                one.oid, concat_ws(', ', one.l, one.r), one.result,
                format('captured operator %s %s %s', one.l, one.oprname, one.r),
                format('captured operator %s %s %s', one.l, one.oprname, one.r)
            );
            EXECUTE format(
                'CREATE OPERATOR trap.%s (PROCEDURE = trap.operator_%s%s%s)',
                one.oprname, one.oid, ', LEFTARG = ' || one.l, ', RIGHTARG = ' || one.r
            );
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$all$;

-- name: better
-- Functions and operators in a schema behind pg_catalog, for arguments that pg_catalog's own take only by way of a
-- conversion: those are found there although pg_catalog is searched first. twins.names: functions that the engine calls.
DO $all$
DECLARE
    names constant text[] := current_setting('twins.names')::text[];
    types constant text[] := ARRAY[
        'name', 'text', '"char"', 'oid', 'regclass', 'smallint', 'integer', 'bigint', 'numeric', 'double precision',
        'timestamptz', 'jsonb', 'int2vector', 'name[]', 'text[]', 'oid[]', 'smallint[]'
    ];
    operators constant text[] := ARRAY[
        '=', '<>', '<', '>', '<=', '>=', '||', '~', '!~', '~*', '~~', '!~~', '->', '->>', '-', '+', '*', '/', '&', '>>', '&&',
        '@>'
    ];
    one record;
    args text[];
    place int;
    candidate text;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);
    PERFORM pg_catalog.set_config('client_min_messages', 'error', true);
    FOR one IN
        SELECT DISTINCT
            p.proname,
            p.proretset,
            p.proargtypes::oid[]::regtype[]::text[] AS args,
            p.prorettype::regtype::text AS result
        FROM pg_proc AS p
        WHERE
            p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proname = ANY(names)
            AND p.pronargs BETWEEN 1 AND 5 AND p.proallargtypes IS NULL
    LOOP
        FOREACH candidate IN ARRAY types LOOP
            FOR place IN 1..cardinality(one.args) LOOP
                args := one.args;
                args[place] := candidate;
                BEGIN
                    EXECUTE format(
                        'CREATE FUNCTION public.%I(%s) RETURNS %s%s LANGUAGE plpgsql IMMUTABLE AS $twin$'
                        ' BEGIN RAISE LOG %L; RAISE EXCEPTION %L; END $twin$',
                        one.proname, replace(array_to_string(args, ', '), '"any"', 'text'),
                        CASE WHEN one.proretset THEN 'SETOF ' ELSE '' END,
                        CASE WHEN one.result LIKE 'any%' THEN 'text' ELSE one.result END,
                        format('captured function %s(%s)', one.proname, array_to_string(args, ', ')),
                        format('captured function %s(%s)', one.proname, array_to_string(args, ', '))
                    );
                EXCEPTION WHEN OTHERS THEN
                    NULL;
                END;
            END LOOP;
        END LOOP;
    END LOOP;
    FOR one IN
        SELECT
            a.name AS l,
            b.name AS r,
            a.place * 100 + b.place AS number
        FROM unnest(types) WITH ORDINALITY AS a (name, place)
        CROSS JOIN unnest(types) WITH ORDINALITY AS b (name, place)
    LOOP
        EXECUTE format(
            'CREATE FUNCTION public.operator_%s(%s, %s) RETURNS boolean LANGUAGE plpgsql IMMUTABLE'
            ' AS $twin$ BEGIN RAISE LOG %L; RAISE EXCEPTION %L; END $twin$',
            one.number, one.l, one.r,
            format('captured operator on %s and %s', one.l, one.r),
            format('captured operator on %s and %s', one.l, one.r)
        );
        FOREACH candidate IN ARRAY operators LOOP
            CONTINUE WHEN EXISTS (
                SELECT FROM pg_operator AS o
                WHERE o.oprname = candidate AND o.oprleft = one.l::regtype AND o.oprright = one.r::regtype
            );
            EXECUTE format(
                'CREATE OPERATOR public.%s (PROCEDURE = public.operator_%s, LEFTARG = %s, RIGHTARG = %s)',
                candidate, one.number, one.l, one.r
            );
        END LOOP;
    END LOOP;
END
$all$;
