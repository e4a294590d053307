-- The bodies of WUZAPI's webhooks in fixtures/wuzapi, by the names of their files; srcdir is set.
\set bodies `cd :'srcdir'/fixtures/wuzapi && { echo '{'; for f in *.json; do echo "$comma"; comma=,; echo "\"${f%.json}\":"; cat "$f"; done; echo '}'; }`
CREATE TABLE body AS SELECT key AS name, value AS body FROM jsonb_each(:'bodies');
-- The body of that name, with some of its fields changed.
CREATE FUNCTION body(name text, changes jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    result jsonb := (SELECT b.body FROM body b WHERE b.name = $1);
    change record;
BEGIN
    FOR change IN SELECT * FROM jsonb_each(changes) LOOP
        result := jsonb_set(result, string_to_array(change.key, '.'), change.value);
    END LOOP;
    RETURN result;
END $$;
