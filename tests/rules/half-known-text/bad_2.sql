CREATE FUNCTION grant_it(taker text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT SELECT ON messages TO %s', taker);
END $$;
