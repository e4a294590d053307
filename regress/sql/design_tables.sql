-- The design's tables with their indexes, made before chat.setup() and after it: no index twice, and what is missing is told.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE DATABASE regress_design_tables;
\c regress_design_tables
SET client_min_messages = warning;
CREATE EXTENSION chat_realtime;
CREATE SCHEMA before;
CREATE SCHEMA after;
-- Indexes of a schema that say the same as another one.
CREATE FUNCTION twice(schema regnamespace) RETURNS TABLE (name regclass, sense text) LANGUAGE sql AS
$$ SELECT i.indexrelid::regclass, chat.index_sense(split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2))
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = schema
       AND EXISTS (SELECT FROM pg_index o WHERE o.indrelid = i.indrelid AND o.indexrelid <> i.indexrelid
                      AND chat.index_sense(split_part(pg_get_indexdef(o.indexrelid), ' USING btree ', 2)) = chat.index_sense(split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2)))
    ORDER BY 1 $$;
SET search_path = before;
CREATE TABLE conversations (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id uuid NOT NULL, contact_jid text NOT NULL, contact_name text,
    status varchar(20) DEFAULT 'open', last_message_at timestamptz, last_message_preview text, unread_count integer DEFAULT 0, created_at timestamptz DEFAULT now());
CREATE TABLE chat_messages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    direction varchar(10) NOT NULL, message_type varchar(20) DEFAULT 'text', content text, status varchar(20) DEFAULT 'pending', created_at timestamptz DEFAULT now());
CREATE TABLE chat_api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, name varchar(255) NOT NULL, key_hash varchar(255) NOT NULL UNIQUE,
    key_prefix varchar(10) NOT NULL, scopes text[] DEFAULT ARRAY['chat:read', 'chat:write'], rate_limit integer DEFAULT 100, last_used_at timestamptz,
    expires_at timestamptz, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE chat_external_webhooks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, url varchar(2048) NOT NULL, events text[] NOT NULL, secret varchar(255),
    is_active boolean DEFAULT true, failure_count integer DEFAULT 0, last_triggered_at timestamptz,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
ALTER TABLE chat_api_keys ENABLE ROW LEVEL SECURITY;
-- The same under other names, of varchar columns, and filled otherwise; a name of the design's that is another index
CREATE INDEX keys_of_user ON chat_api_keys (user_id) WITH (fillfactor = 70);
CREATE INDEX idx_chat_api_keys_prefix ON chat_api_keys (key_prefix);
CREATE UNIQUE INDEX one_webhook ON chat_external_webhooks (user_id);
CREATE INDEX active_ones ON chat_external_webhooks (is_active) WHERE is_active;
CREATE INDEX waiting ON chat_messages (status) WHERE status IN ('pending', 'sent');
CREATE INDEX idx_chat_messages_status ON chat_messages (status);
CREATE INDEX inbox ON conversations (user_id, last_message_at DESC NULLS LAST, id DESC);
\pset format unaligned
\pset tuples_only on
\set QUIET off
SELECT object, action FROM chat.setup_plan('before') WHERE action ~ 'index';
SELECT object, action FROM chat.setup('before') WHERE action ~ 'index';
SELECT * FROM public.twice('before');
SELECT count(*) FROM chat.setup('before') WHERE action ~ 'index|trigger';
-- The name of the design's that another index has is left to it.
DROP INDEX before.waiting;
SELECT action FROM chat.setup('before') WHERE action ~ 'index';
SELECT to_regclass('before.idx_chat_messages_status') IS NOT NULL;
-- What the tables lack, as statements, and row-level security that is off
SELECT object, action FROM chat.setup('before') WHERE action ~ 'ALTER TABLE';
SELECT count(*) FROM chat.hints() WHERE statement ~ '^ALTER TABLE before';
-- They run, and then nothing is left to say
\set QUIET on
\set ECHO none
SELECT statement FROM chat.hints() WHERE statement ~ '^ALTER TABLE before' \gexec
\set ECHO all
\set QUIET off
SELECT action FROM chat.setup('before') WHERE action !~ 'shared_preload';
SELECT hint FROM chat.hints() WHERE statement ~ '^ALTER TABLE';

-- The other way round: tables and indexes of chat.setup(), then the design's statements
SELECT count(*) FROM chat.setup('after') WHERE action ~ 'table created';
SET search_path = after;
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'after'::regnamespace AND c.relname ~ '^idx_' ORDER BY 1;
CREATE INDEX IF NOT EXISTS idx_chat_messages_status ON chat_messages(status) WHERE status IN ('pending', 'sent');
CREATE INDEX IF NOT EXISTS idx_chat_api_keys_user ON chat_api_keys(user_id);
CREATE INDEX IF NOT EXISTS idx_chat_api_keys_prefix ON chat_api_keys(key_prefix);
CREATE INDEX IF NOT EXISTS idx_chat_external_webhooks_user ON chat_external_webhooks(user_id);
CREATE INDEX IF NOT EXISTS idx_chat_external_webhooks_active ON chat_external_webhooks(is_active) WHERE is_active = true;
SELECT * FROM public.twice('after');
-- One made under another name is named, with what drops it
CREATE INDEX again ON chat_messages (status) WHERE status IN ('sent', 'pending');
CREATE INDEX once_more ON chat_messages (status) WHERE status IN ('pending', 'sent');
CREATE INDEX by_hash ON chat_api_keys (key_hash COLLATE "C");
SELECT severity, hint, statement FROM chat.hints() WHERE hint ~ 'equal';
SELECT count(*) FROM chat.setup('after') WHERE action !~ 'shared_preload';

\set QUIET on
\c postgres
DROP DATABASE regress_design_tables;
