// The sides that are compared: the same tables and indexes without triggers, with those that one would write by hand
// in PL/pgSQL, and with chat_realtime.
export const conversations = 1000;
const owner = '00000000-0000-4000-8000-000000000001';

// The usual way without an extension: update the conversation, NOTIFY with the payload, or write an outbox.
const plpgsql = (record) => `
CREATE TABLE public.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 DEFAULT pg_current_xact_id(),
    topic text, event text, payload jsonb, created_at timestamptz DEFAULT now());
CREATE FUNCTION public.saved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE c public.conversations;
BEGIN
    UPDATE public.conversations SET unread_count = unread_count + (NEW.direction = 'incoming')::int,
           last_message_at = GREATEST(last_message_at, NEW.created_at), last_message_preview = left(NEW.content, 100),
           updated_at = now()
     WHERE id = NEW.conversation_id RETURNING * INTO c;
    ${record}
    RETURN NULL;
END $$;
CREATE TRIGGER saved AFTER INSERT ON public.chat_messages FOR EACH ROW EXECUTE FUNCTION public.saved();`;

const outbox = `INSERT INTO public.outbox (topic, event, payload) VALUES
        ('conversation:' || NEW.conversation_id, 'message.new', to_jsonb(NEW)),
        ('user:' || c.user_id || ':inbox', 'conversation.updated', to_jsonb(c));`;
const notify = `PERFORM pg_notify('chat', json_build_object('topic', 'conversation:' || NEW.conversation_id, 'payload', to_jsonb(NEW))::text);
        PERFORM pg_notify('chat', json_build_object('topic', 'user:' || c.user_id || ':inbox', 'payload', to_jsonb(c))::text);`;

/** What is compared: triggers of one's own, '' for none; null: those of chat_realtime. */
export const variants = {
  bare: '',
  'plpgsql + outbox': plpgsql(outbox),
  'plpgsql + pg_notify': plpgsql(notify),
  chat_realtime: null,
};

/** What only counts instructions: conversations that nobody owns have no inbox, so no event. */
const unowned = 'without conversation event';

/** Variants whose cost shows what a part of chat_realtime costs. */
export const parts = { ...variants, [unowned]: null };

/** Makes a database with one side, and so many conversations, in it. */
export async function build(cluster, name, count = conversations) {
  const database = name.replaceAll(/\W+/g, '_');
  const sql = parts[name];
  await cluster.psql(`CREATE DATABASE ${database}`);
  const run = (text) => cluster.psql(text, { database });
  await run('CREATE EXTENSION chat_realtime');
  await run('SELECT count(*) FROM chat.setup()');
  if (sql !== null) {
    await run(`DO $$ BEGIN PERFORM chat.detach('public.chat_messages'); END $$`);
    if (sql) await run(sql);
  }
  if (name === unowned) await run('ALTER TABLE public.conversations ALTER user_id DROP NOT NULL');
  // Very many of them are made as if they had come long ago: without events.
  await run(`SET session_replication_role = ${count > conversations ? 'replica' : 'origin'};
    INSERT INTO public.conversations (user_id, contact_jid)
    SELECT ${name === unowned ? 'NULL' : `'${owner}'`}, g || '@s.whatsapp.net' FROM generate_series(1, ${count}) g`);
  await run('VACUUM ANALYZE public.conversations');
  return { name, database };
}
