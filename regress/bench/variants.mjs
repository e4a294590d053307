// The sides that are compared: the same tables and indexes without triggers, with those that one would write by hand in
// PL/pgSQL or that publish through a queue or a broker in the database, and with chat_realtime.
import { tables as liveTables } from '../lib/live-model.mjs';
import { earlierWorkspace } from '../lib/workspace.mjs';
import { Cluster } from '../lib/cluster.mjs';

export const conversations = 1000;
const owners = 100;
const content = 'Olá, tudo bem? Queria saber do meu pedido 12345.';

/** SQL of a uuid that is made of a number. */
const uuid = (n) => `('00000000-0000-4000-8000-' || lpad((${n})::text, 12, '0'))::uuid`;

// Very many conversations are made as if they had come long ago: without events.
const quietly = (count, sql) => `SET session_replication_role = ${count > conversations ? 'replica' : 'origin'}; ${sql}`;

/** What all tables of messages get. */
const columns = 'message_id, direction, content, status';
export const values = ['3EB0A1B2C3D4E5F60718', 'incoming', content, 'delivered'];
const counters = `unread_count = unread_count + 1, last_message_at = now(), last_message_preview = '${content}'`;

const setup = {
  conversations: 'public.conversations',
  messages: 'public.chat_messages',
  make: ['SELECT count(*) FROM chat.setup()'],
  id: (n) => n,
  key: (n) => n,
  counters: `${counters}, updated_at = now()`,
  fill: (count, owner) => quietly(count, `INSERT INTO public.conversations (user_id, contact_jid)
    SELECT ${owner ?? uuid(`g % ${owners}`)}, g || '@s.whatsapp.net' FROM generate_series(1, ${count}) g`),
};

const dropChecks = `DO $$ DECLARE c record; BEGIN
  FOR c IN SELECT * FROM pg_constraint WHERE contype = 'c' AND conrelid IN ('public.conversations'::regclass, 'public.chat_messages'::regclass)
  LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname); END LOOP;
END $$`;

/** The tables. id: SQL of the key of the nth conversation, key: its text. */
export const models = {
  'tables of chat.setup': setup,
  'the same without CHECKs': { ...setup, make: [...setup.make, dropChecks] },
  "the help desk's tables, uuid keys": {
    conversations: 'live.conversations',
    messages: 'live.chat_messages',
    make: [liveTables, `SELECT count(*) FROM chat.attach('live.conversations', 'live.chat_messages')`],
    id: uuid,
    key: (n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    counters,
    fill: (count) => quietly(count, `INSERT INTO live.accounts (id, name, owner_user_id) SELECT ${uuid('g')}, 'Account', ${uuid('g')} FROM generate_series(0, ${owners - 1}) g;
      INSERT INTO live.conversations (id, account_id, contact_jid) SELECT ${uuid('g')}, ${uuid(`g % ${owners}`)}, g || '@s.whatsapp.net' FROM generate_series(1, ${count}) g`),
  },
};

// The usual way without an extension: update the conversation, and tell of both by an outbox, NOTIFY, or what is there for it.
const plpgsql = (record, tables = '') => `${tables}
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

const outbox = plpgsql(`INSERT INTO public.outbox (topic, event, payload) VALUES
        ('conversation:' || NEW.conversation_id, 'message.new', to_jsonb(NEW)),
        ('user:' || c.user_id || ':inbox', 'conversation.updated', to_jsonb(c));`,
`CREATE TABLE public.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 DEFAULT pg_current_xact_id(),
    topic text, event text, payload jsonb, created_at timestamptz DEFAULT now());`);

const notify = plpgsql(`PERFORM pg_notify('chat', json_build_object('topic', 'conversation:' || NEW.conversation_id, 'payload', to_jsonb(NEW))::text);
        PERFORM pg_notify('chat', json_build_object('topic', 'user:' || c.user_id || ':inbox', 'payload', to_jsonb(c))::text);`);

const pgq = plpgsql(`PERFORM pgq.insert_event('chat', 'message.new', to_jsonb(NEW)::text, 'conversation:' || NEW.conversation_id, NULL, NULL, NULL);
        PERFORM pgq.insert_event('chat', 'conversation.updated', to_jsonb(c)::text, 'user:' || c.user_id || ':inbox', NULL, NULL, NULL);`,
`CREATE EXTENSION pgq; SELECT pgq.create_queue('chat');`);

// As brokers on PostgreSQL publish within a transaction: channels are shared out to shards, whose row is locked until the commit, so
// that a shard's ids are in commit order; each channel counts its own publications; NOTIFY wakes the shard's reader. Who publishes to
// two channels locks both shards in their order, or deadlocks.
const publish = plpgsql(`PERFORM public.publish(ARRAY['conversation:' || NEW.conversation_id, 'user:' || c.user_id || ':inbox'],
             ARRAY[to_jsonb(NEW), to_jsonb(c)]);`,
`CREATE TABLE public.broker_shard (id integer PRIMARY KEY) WITH (fillfactor = 10);
INSERT INTO public.broker_shard SELECT generate_series(0, 7);
CREATE TABLE public.broker_channel (channel text PRIMARY KEY, top bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE public.broker_stream (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shard integer NOT NULL, channel text NOT NULL,
    channel_offset bigint NOT NULL, data jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), UNIQUE (channel, channel_offset));
CREATE FUNCTION public.shard(channel text) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT hashtext(channel) & 7';
CREATE FUNCTION public.publish(channels text[], data jsonb[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE place bigint;
BEGIN
    PERFORM FROM public.broker_shard WHERE id IN (public.shard(channels[1]), public.shard(channels[2])) ORDER BY id FOR UPDATE;
    FOR i IN 1 .. cardinality(channels) LOOP
        INSERT INTO public.broker_channel AS b VALUES (channels[i], 1) ON CONFLICT (channel) DO UPDATE SET top = b.top + 1 RETURNING top INTO place;
        INSERT INTO public.broker_stream (shard, channel, channel_offset, data) VALUES (public.shard(channels[i]), channels[i], place, data[i]);
        PERFORM pg_notify('broker', public.shard(channels[i])::text);
    END LOOP;
END $$;`);

const listIndex = 'CREATE INDEX ON public.conversations (user_id, last_message_at DESC, id DESC)';

/**
 * What is compared. triggers: those of one's own, and other SQL; null: those of chat_realtime. update: the writer counts in the
 * conversation, in the same transaction. needs: an extension. owner: SQL of conversations' owner.
 */
const variants = {
  bare: { triggers: '' },
  'INSERT + UPDATE': { triggers: '', update: true },
  '  and an index to list by': { triggers: listIndex, update: true },
  'plpgsql + outbox': { triggers: outbox },
  'plpgsql + pg_notify': { triggers: notify },
  'plpgsql + pgq': { triggers: pgq, needs: 'pgq' },
  'plpgsql + broker': { triggers: publish },
  chat_realtime: { triggers: null },
  // Conversations that nobody owns have no inbox, so no event.
  'without conversation event': { triggers: null, owner: 'NULL' },
};

const [first, ...others] = Object.keys(models);

/** A side of the first model. */
export const side = (variant, model = first) => ({ model, variant });

/** Every variant on the first model, the main ones on the others. */
export const sides = [...Object.keys(variants).filter((name) => !variants[name].owner).map((name) => side(name)),
  ...others.flatMap((model) => ['bare', 'INSERT + UPDATE', 'chat_realtime'].map((name) => side(name, model)))];

/** BEFORE: a commit whose extension is one more side of each model, in a cluster of its own. */
const { BEFORE: before } = process.env;

/** A database with the tables of a model, to be copied. */
async function pattern(cluster, title) {
  const database = `pattern_${Object.keys(models).indexOf(title)}`;
  if (await cluster.psql(`SELECT count(*) FROM pg_database WHERE datname = '${database}'`) === '0') {
    await cluster.psql(`CREATE DATABASE ${database}`);
    for (const sql of ['CREATE EXTENSION chat_realtime', ...models[title].make]) await cluster.psql(sql, { database });
  }
  return database;
}

/** Makes a database with one side, and so many conversations, in it. */
async function buildSide(cluster, { model: title, variant: name }, count, label = name) {
  const model = models[title];
  const variant = variants[name];
  const template = await pattern(cluster, title);
  const database = `${template.replace('pattern', 'side')}_${name.trim().replaceAll(/\W+/g, '_').toLowerCase()}`;
  await cluster.psql(`CREATE DATABASE ${database} TEMPLATE ${template}`);
  const run = (text) => cluster.psql(text, { database });
  if (variant.triggers !== null) {
    await run(`DO $$ BEGIN PERFORM chat.detach('${model.messages}'); END $$`);
    if (variant.triggers) await run(variant.triggers);
  }
  if (variant.owner) await run('ALTER TABLE public.conversations ALTER user_id DROP NOT NULL');
  await run(model.fill(count, variant.owner));
  await run(`VACUUM ANALYZE ${model.conversations}`);
  return { cluster, database, model: title, name: label, variant: name, ...statements(model, variant) };
}

/** The statements of a message, given SQL of a conversation's number; what they are of COPY. */
function statements(model, variant) {
  const save = (n) => `INSERT INTO ${model.messages} (conversation_id, ${columns}) VALUES (${model.id(n)}, ${values.map((value) => `'${value}'`).join(', ')})`;
  const count = (n) => `UPDATE ${model.conversations} SET ${model.counters} WHERE id = ${model.id(n)}`;
  return {
    saving: (n) => (variant.update ? [save(n), count(n)] : [save(n)]),
    copy: (file) => `COPY ${model.messages} (conversation_id, ${columns}) FROM '${file}'`,
    key: model.key,
    copies: !variant.update && (!variant.triggers || variant.triggers === outbox),
  };
}

/** Makes a cluster with sides, and one of the version before if BEFORE names it. Sides whose extension is not there are left out. */
export async function build(wanted, settings, count = conversations) {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB', checkpoint_timeout: '1h', ...settings });
  const earlier = before && await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB', checkpoint_timeout: '1h', ...settings }, undefined, await earlierWorkspace(before));
  const built = [];
  for (const one of wanted) {
    const { needs } = variants[one.variant];
    if (needs && await cluster.psql(`SELECT count(*) FROM pg_available_extensions WHERE name = '${needs}'`) === '0') {
      console.log(`(without ${one.variant}: Debian's postgresql-${cluster.major}-pgq3 is not installed)`);
      continue;
    }
    built.push(await buildSide(cluster, one, count));
    if (earlier && one.variant === 'chat_realtime') built.push(await buildSide(earlier, one, count, `  at ${before}`));
  }
  const clusters = earlier ? [cluster, earlier] : [cluster];
  for (const each of clusters) await each.psql('CHECKPOINT');
  return { sides: built, clusters };
}

/** The side that another one is compared with: the bare one of its tables. */
export const bareOf = (all, { model }) => all.find((other) => other.model === model);
