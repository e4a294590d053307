// The existing project's tables in a schema of their own, attached: uuid keys, account_id and agents behind which users
// are found, no updated_at, private notes, message_id and timestamp.
import { rows } from './db.mjs';

export const tables = `
  CREATE SCHEMA live;
  CREATE TABLE live.accounts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, owner_user_id uuid NOT NULL);
  CREATE TABLE live.agents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), account_id uuid NOT NULL REFERENCES live.accounts ON DELETE CASCADE,
    user_id uuid NOT NULL, name text NOT NULL, UNIQUE (account_id, user_id));
  CREATE TABLE live.conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES live.accounts ON DELETE CASCADE, contact_jid text NOT NULL, contact_name text,
    last_message_at timestamptz, last_message_preview text, unread_count integer DEFAULT 0,
    assigned_agent_id uuid REFERENCES live.agents, status text DEFAULT 'open' CHECK (status IN ('open', 'resolved', 'pending', 'snoozed')),
    created_at timestamptz DEFAULT now(), UNIQUE (account_id, contact_jid));
  CREATE TABLE live.chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid NOT NULL REFERENCES live.conversations ON DELETE CASCADE, message_id text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('incoming', 'outgoing')), message_type text NOT NULL DEFAULT 'text', content text,
    status text DEFAULT 'pending', is_private_note boolean DEFAULT false, metadata jsonb DEFAULT '{}',
    "timestamp" timestamptz NOT NULL DEFAULT now(), created_at timestamptz DEFAULT now())`;

/** Makes and attaches the tables; empty: without rows. messages(count, db) writes into its one conversation. */
export async function liveModel(db, owner, { empty = false } = {}) {
  await db.query(tables);
  await rows(db, `SELECT * FROM chat.attach('live.conversations', 'live.chat_messages')`);
  if (!empty) {
    await db.query(`WITH a AS (INSERT INTO live.accounts (name, owner_user_id) VALUES ('An account', $1) RETURNING id)
      INSERT INTO live.conversations (account_id, contact_jid) SELECT id, '5511777777777@s.whatsapp.net' FROM a`, [owner]);
  }
  return {
    messages: (count, to = db) => to.query(`INSERT INTO live.chat_messages (conversation_id, message_id, direction, content)
      SELECT c.id, gen_random_uuid(), 'incoming', 'live ' || g FROM live.conversations c, generate_series(1, $1) g`, [count]),
  };
}
