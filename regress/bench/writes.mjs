// What saving a message costs: the bare INSERT, PL/pgSQL triggers, and chat_realtime, in the same tables with the
// same indexes, side by side. CPU is that of all server processes; the runs alternate and each side's best counts.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';

const exec = promisify(execFile);
const rounds = Number(process.env.ROUNDS ?? 5);
const transactions = Number(process.env.TRANSACTIONS ?? 6000);
const conversations = 1000;
const owner = '00000000-0000-4000-8000-000000000001';

const script = `\\set c random(1, ${conversations})
INSERT INTO public.chat_messages (conversation_id, message_id, direction, content, status)
VALUES (:c, '3EB0A1B2C3D4E5F60718', 'incoming', 'Olá, tudo bem? Queria saber do meu pedido 12345.', 'delivered');
`;

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

const variants = {
  bare: '',
  'plpgsql + outbox': plpgsql(outbox),
  'plpgsql + pg_notify': plpgsql(notify),
  chat_realtime: null,
};

async function build(cluster, name, sql) {
  const database = name.replaceAll(/\W+/g, '_');
  await cluster.psql(`CREATE DATABASE ${database}`);
  const run = (text) => cluster.psql(text, { database });
  await run('CREATE EXTENSION chat_realtime');
  await run('SELECT count(*) FROM chat.setup()');
  if (sql !== null) {
    await run(`DO $$ BEGIN PERFORM chat.detach('public.chat_messages'); END $$`);
    if (sql) await run(sql);
  }
  await run(`INSERT INTO public.conversations (user_id, contact_jid) SELECT '${owner}', g || '@s.whatsapp.net' FROM generate_series(1, ${conversations}) g`);
  await run('VACUUM ANALYZE public.conversations');
  return { name, database, cpu: Infinity, tps: 0, tps16: 0 };
}

/** CPU milliseconds of the server's ended children: sessions of pgbench that are over. */
function cpuOf(postmaster) {
  const fields = readFileSync(`/proc/${postmaster}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

async function pgbench(cluster, variant, file, clients, count) {
  const { stdout } = await exec(path.join(cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', clients, '-j', clients > 1 ? 2 : 1, '-t', Math.ceil(count / clients), '-f', file, variant.database],
    { env: { ...process.env, ...cluster.env() } });
  return Number(/^tps = ([\d.]+)/m.exec(stdout)[1]);
}

async function measure(title, settings) {
  const cluster = await Cluster.create({ autovacuum: 'off', max_wal_size: '8GB', ...settings });
  const file = path.join(cluster.dir, 'insert.sql');
  writeFileSync(file, script);
  const sides = [];
  for (const [name, sql] of Object.entries(variants)) sides.push(await build(cluster, name, sql));
  await cluster.psql('CHECKPOINT');
  for (const side of sides) await pgbench(cluster, side, file, 1, 1000);
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const before = cpuOf(cluster.server.pid);
      side.tps = Math.max(side.tps, await pgbench(cluster, side, file, 1, transactions));
      await new Promise((resolve) => setTimeout(resolve, 150));
      side.cpu = Math.min(side.cpu, (cpuOf(cluster.server.pid) - before) * 1000 / transactions);
      side.tps16 = Math.max(side.tps16, await pgbench(cluster, side, file, 16, transactions * 2));
    }
  }
  const [bare] = sides;
  console.log(`\n${title}`);
  console.log('                       CPU/message   over bare   1 writer/s   16 writers/s   over bare');
  for (const side of sides) {
    console.log(`  ${side.name.padEnd(20)} ${side.cpu.toFixed(0).padStart(8)} µs ${(side.cpu / bare.cpu).toFixed(2).padStart(9)} x `
      + `${side.tps.toFixed(0).padStart(11)} ${side.tps16.toFixed(0).padStart(14)} ${(side.tps16 / bare.tps16).toFixed(2).padStart(9)} x`);
  }
  await cluster.remove();
}

try {
  await measure('Saving a message, default settings', {});
  await measure('Saving a message, 1 ms disk flush (simulated)', { commit_delay: 1000, commit_siblings: 0 });
} finally {
  await finish?.();
}
