-- The existing project's tables, for the suite of its model and for random histories.
CREATE TABLE accounts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, owner_user_id uuid NOT NULL, wuzapi_token text NOT NULL);
CREATE TABLE agents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    user_id uuid NOT NULL, name text NOT NULL, UNIQUE (account_id, user_id));
CREATE TABLE inboxes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL, name text NOT NULL);
CREATE TABLE conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    contact_jid text NOT NULL, contact_name text, contact_avatar_url text, last_message_at timestamptz, last_message_preview text,
    unread_count integer DEFAULT 0, assigned_agent_id uuid REFERENCES agents, assigned_bot_id uuid, inbox_id uuid REFERENCES inboxes,
    status text DEFAULT 'open' CHECK (status IN ('open', 'resolved', 'pending', 'snoozed')), is_muted boolean DEFAULT false,
    is_test boolean DEFAULT false, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), UNIQUE (account_id, contact_jid));
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    message_id text NOT NULL DEFAULT '3EB0', direction text NOT NULL CHECK (direction IN ('incoming', 'outgoing')),
    message_type text NOT NULL DEFAULT 'text' CHECK (message_type IN ('text', 'image', 'video', 'audio', 'document', 'location', 'contact', 'sticker', 'poll',
        'order', 'list_response', 'button_response')),
    content text, media_url text, media_mime_type text, media_filename text, media_size_bytes integer, media_duration_seconds integer,
    reply_to_message_id text, status text DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'delivered', 'read', 'failed')),
    is_private_note boolean DEFAULT false, sender_type text CHECK (sender_type IN ('user', 'contact', 'bot', 'system')), sender_agent_id uuid, sender_bot_id uuid,
    metadata jsonb DEFAULT '{}', "timestamp" timestamptz NOT NULL DEFAULT now(), created_at timestamptz DEFAULT now());
