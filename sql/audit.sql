-- Who did what to keys, webhooks, messages and settings.

CREATE FUNCTION chat.audit_as(actor text, action text, object text, details jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    INSERT INTO chat.audit_log (actor, role, action, object, details)
    VALUES ($1, (SELECT r.rolname FROM pg_roles r WHERE r.oid = chat.outer_role()), $2, $3, $4);
END
$$;
REVOKE ALL ON FUNCTION chat.audit_as(text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.audit_as(text, text, text, jsonb) IS 'Leaves a row in chat.audit_log in the name of an actor.';

CREATE FUNCTION chat.audit(action text, object text, details jsonb DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.audit_as(COALESCE(nullif(current_setting('request.jwt.claim.sub', true), ''),
                                   nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')), $1, $2, $3);
END
$$;
REVOKE ALL ON FUNCTION chat.audit(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION chat.audit(text, text, jsonb) IS 'Leaves a row in chat.audit_log. details holds no secrets.';
