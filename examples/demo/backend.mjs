// The part of a help desk's Node backend: hands WUZAPI's webhooks to the extension, and does what a signed-in
// user asks for as PostgREST would, with role authenticated and the user's claims, so row-level security holds.
import { randomBytes } from 'node:crypto';
import { rows, value } from '../../regress/lib/db.mjs';

const visible = {
  conversations: `id, contact_jid AS "contactJid", contact_name AS "contactName", status, unread_count AS "unreadCount",
    last_message_at AS "lastMessageAt", last_message_preview AS "lastMessagePreview", created_at AS "createdAt"`,
  messages: `id, conversation_id AS "conversationId", message_id AS "messageId", direction, message_type AS "messageType",
    content, status, media_filename AS "mediaFilename", "timestamp", created_at AS "createdAt"`,
};

/** A message id as WhatsApp's clients draw them. */
export const whatsappId = () => `3EB0${randomBytes(8).toString('hex').toUpperCase()}`;

export class Backend {
  static async create(bed) {
    await bed.role('demo_backend', 'grant_backend');
    await bed.db.query('GRANT authenticated TO demo_backend');
    // What PostgREST with chat among its schemas would need.
    await bed.db.query('GRANT USAGE ON SCHEMA chat TO authenticated');
    await bed.db.query('GRANT EXECUTE ON FUNCTION chat.presence TO authenticated');
    return new Backend(bed.pool({ user: 'demo_backend' }), bed.owner);
  }

  constructor(pool, owner) {
    this.pool = pool;
    this.owner = owner;
  }

  /** The body of a WUZAPI webhook. */
  ingest(body) {
    return value(this.pool, 'SELECT chat.ingest_wuzapi($1, $2)', [this.owner, JSON.stringify(body)]);
  }

  async asUser(work) {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      await client.query('SET LOCAL ROLE authenticated');
      await client.query(`SELECT set_config('request.jwt.claims', $1, true)`, [JSON.stringify({ sub: this.owner, role: 'authenticated' })]);
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error;
    } finally {
      client.release();
    }
  }

  /** The newest conversations; position: from where a client has to catch up. */
  conversations() {
    return this.asUser(async (client) => ({
      position: await this.position(client, `user:${this.owner}:inbox`),
      conversations: await rows(client, `SELECT ${visible.conversations} FROM public.conversations
        ORDER BY last_message_at DESC NULLS LAST, id DESC LIMIT 200`),
    }));
  }

  messages(conversation) {
    return this.asUser(async (client) => ({
      position: await this.position(client, `conversation:${conversation}`),
      messages: await rows(client, `SELECT ${visible.messages} FROM public.chat_messages WHERE conversation_id = $1
        ORDER BY COALESCE("timestamp", created_at) DESC, created_at DESC, id DESC LIMIT 200`, [conversation]),
    }));
  }

  /** Read before the rows are: what comes in between is then seen twice instead of never. */
  position(client, topic) {
    return value(client, 'SELECT COALESCE(max(id), 0) FROM chat.events_since($1, 0, 1000)', [topic]);
  }

  eventsSince(topic, after) {
    return this.asUser((client) => rows(client, 'SELECT id, event, payload FROM chat.events_since($1, $2)', [topic, after]));
  }

  conversation(id) {
    return this.asUser(async (client) =>
      (await rows(client, `SELECT ${visible.conversations} FROM public.conversations WHERE id = $1`, [id]))[0]);
  }

  /** An agent's message, as it is before WhatsApp took it. */
  sendMessage(conversation, text) {
    return this.asUser(async (client) => (await rows(client, `INSERT INTO public.chat_messages
        (conversation_id, message_id, direction, sender_type, content, status)
      VALUES ($1, $2, 'outgoing', 'user', $3, 'pending') RETURNING ${visible.messages}`, [conversation, whatsappId(), text]))[0]);
  }

  markSent(message) {
    return this.asUser((client) => client.query(`UPDATE public.chat_messages SET status = 'sent' WHERE id = $1`, [message]));
  }

  /** The agent has seen the conversation. */
  markRead(conversation) {
    return this.asUser((client) => client.query(`UPDATE public.chat_messages SET status = 'read'
      WHERE conversation_id = $1 AND direction = 'incoming' AND status <> 'read'`, [conversation]));
  }

  typing(conversation, isTyping) {
    return this.asUser((client) => value(client, `SELECT chat.presence($1, 'typing', $2, 'Agent', $3)`,
      [String(conversation), this.owner, isTyping]));
  }

  /** WhatsApp's ids of what the contact has not read yet. */
  unreadByContact(conversation) {
    return this.asUser((client) => value(client, `SELECT COALESCE(array_agg(message_id ORDER BY id), '{}') FROM public.chat_messages
      WHERE conversation_id = $1 AND direction = 'outgoing' AND status IN ('sent', 'delivered')`, [conversation]));
  }
}
