-- Who did what to keys, webhooks, messages and settings.

CREATE FUNCTION chat.audit(action text, object text, details jsonb DEFAULT NULL) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    INSERT INTO chat.audit_log (actor, role, action, object, details)
    VALUES (COALESCE(nullif(current_setting('request.jwt.claim.sub', true), ''),
                     nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')),
            (SELECT r.rolname FROM pg_roles r WHERE r.oid = chat.outer_role()), $1, $2, $3)
$$;
REVOKE ALL ON FUNCTION chat.audit(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.audit(text, text, jsonb) IS 'Leaves a row in chat.audit_log. details holds no secrets.';
