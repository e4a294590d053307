-- Columns that tables made by others may lack, and what each is for.

-- In PL/pgSQL, which keeps its plan: webhooks ask for it with each read of the log.
CREATE FUNCTION chat.ability_columns() RETURNS TABLE (kind text, name text, essential boolean, definition text, ability text)
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN QUERY VALUES
        ('conversations', 'status', false, 'text NOT NULL DEFAULT ''open''', 'to be open, pending, resolved or snoozed'),
        ('conversations', 'unread_count', false, 'integer NOT NULL DEFAULT 0', 'to count what is unread'),
        ('conversations', 'last_message_at', false, 'timestamptz', 'to list conversations by their last message'),
        ('conversations', 'last_message_preview', false, 'text', 'to show the last message in lists'),
        ('conversations', 'chat_list_key', false, 'bigint', 'to list conversations by what messages seldom change'),
        ('conversations', 'assigned_agent_id', false, 'uuid', 'to assign an agent'),
        ('conversations', 'contact_jid', false, 'text', 'to find the conversation with a contact'),
        ('conversations', 'updated_at', false, 'timestamptz NOT NULL DEFAULT now()', 'to tell when a conversation was changed'),
        ('conversations', 'metadata', false, 'jsonb NOT NULL DEFAULT ''{}''', 'to tell by which number a conversation is answered, and which one it was merged into'),
        ('messages', 'message_id', false, 'text', 'to save a message that comes twice once, and to find it by WhatsApp''s id'),
        ('messages', 'message_type', false, 'text NOT NULL DEFAULT ''text''', 'to save media'),
        ('messages', 'media_url', false, 'text', 'to save media'),
        ('messages', 'metadata', false, 'jsonb NOT NULL DEFAULT ''{}''', 'to save what there is no other column for'),
        ('messages', 'is_private_note', false, 'boolean NOT NULL DEFAULT false', 'to save notes that the contact does not get'),
        ('messages', 'reply_to_message_id', false, 'text', 'to save what a message answers'),
        ('messages', 'updated_at', false, 'timestamptz NOT NULL DEFAULT now()', 'to tell when a message was changed'),
        ('messages', 'status_updated_at', false, 'timestamptz', 'to tell when a message was sent, delivered or read'),
        ('api_keys', 'is_active', false, 'boolean NOT NULL DEFAULT true', 'to switch a key off and on again; without it switching off ends a key''s time'),
        ('api_keys', 'rate_limit', false, 'integer NOT NULL DEFAULT 100', 'to give a key another limit than 100 requests a minute'),
        ('api_keys', 'expires_at', false, 'timestamptz', 'to let a key expire, and stay good for a while when it is rotated'),
        ('api_keys', 'replaced_by', false, 'uuid', 'to refuse rotating a key twice'),
        ('api_keys', 'last_used_at', false, 'timestamptz', 'to tell when a key was last used'),
        ('webhooks', 'secret', true, 'text', 'to sign what is delivered'),
        ('webhooks', 'is_active', true, 'boolean NOT NULL DEFAULT true', 'to switch a webhook off and on'),
        ('webhooks', 'failure_count', true, 'integer NOT NULL DEFAULT 0', 'to tell how often a webhook has failed'),
        ('webhooks', 'last_triggered_at', true, 'timestamptz', 'to tell when a webhook was last tried'),
        ('webhooks', 'old_secret', false, 'text', 'to keep the old secret good for a while when it is rotated, with old_secret_expires_at'),
        ('webhooks', 'old_secret_expires_at', false, 'timestamptz', 'to keep the old secret good for a while when it is rotated, with old_secret'),
        ('webhooks', 'last_error', false, 'text', 'to read in the table why a webhook failed last; chat.list_webhooks tells it without'),
        ('webhooks', 'disabled_at', false, 'timestamptz', 'to read in the table since when a webhook is disabled; chat.list_webhooks tells it without'),
        ('webhooks', 'disabled_reason', false, 'text', 'to read in the table why a webhook was disabled; chat.list_webhooks tells it without'),
        ('webhooks', 'updated_at', false, 'timestamptz NOT NULL DEFAULT now()', 'to tell when a webhook was changed');
END
$$;
REVOKE ALL ON FUNCTION chat.ability_columns() FROM PUBLIC;
COMMENT ON FUNCTION chat.ability_columns() IS 'Columns that a table made by others may lack, by kind of table (a column of chat.attachment), with the definition to add each by, and what it is needed for; without an essential one the table is not used at all.';

CREATE FUNCTION chat.add_column(relation regclass, kind text, name text) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT format('ALTER TABLE %s ADD COLUMN %I %s', relation, c.name, c.definition)
      FROM chat.ability_columns() c WHERE c.kind = $2 AND c.name = $3
$$;
REVOKE ALL ON FUNCTION chat.add_column(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.add_column(regclass, text, text) IS 'The statement that adds a column of chat.ability_columns to a table.';

CREATE FUNCTION chat.refuse_without(relation regclass, kind text, name text, refused text) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', COLUMN = name,
        MESSAGE = format('%s: table %s has no column %s', refused, relation, quote_ident(name)),
        HINT = chat.add_column(relation, kind, name);
END
$$;
REVOKE ALL ON FUNCTION chat.refuse_without(regclass, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.refuse_without(regclass, text, text, text) IS 'Raises 55000 that names the column which a table would need for what was asked, with the statement that adds it.';
