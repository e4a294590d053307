-- Ids that are given as bare integers. The parameters have names of their own: PostgREST chooses by names.

CREATE FUNCTION chat.save_message(conversation bigint, body jsonb, of_owner text DEFAULT NULL) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN chat.save_message($1::text, $2, $3);
END
$$;
REVOKE ALL ON FUNCTION chat.save_message(bigint, jsonb, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.save_message(bigint, jsonb, text) IS 'chat.save_message for an id that is given as a bare integer.';
