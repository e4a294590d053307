-- Who did what to keys, webhooks, messages and settings.

CREATE TABLE chat.audit_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    actor   text,
    role    name NOT NULL,
    action  text NOT NULL,
    object  text NOT NULL,
    details jsonb
);
REVOKE ALL ON chat.audit_log FROM PUBLIC;
COMMENT ON TABLE chat.audit_log IS 'Sensitive operations, each written in the transaction that did it.';
COMMENT ON COLUMN chat.audit_log.actor IS 'User of the request''s claims; NULL for a service caller without any.';
COMMENT ON COLUMN chat.audit_log.role IS 'Database role that called.';
COMMENT ON COLUMN chat.audit_log.action IS 'Such as api_key.created, webhook.secret_rotated, message.deleted, attachment.changed.';
COMMENT ON COLUMN chat.audit_log.object IS 'Id of what it was done to; never a secret.';
SELECT pg_catalog.pg_extension_config_dump('chat.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('chat.audit_log_id_seq', '');

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
