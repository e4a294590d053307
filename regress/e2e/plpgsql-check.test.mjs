// plpgsql_check looks through every function in PL/pgSQL: names that do not exist, types that do not fit, what is never read.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Cluster } from '../lib/cluster.mjs';
import { connect, rows, value } from '../lib/db.mjs';

/** What is no fault here: messages, and of which functions. */
const accepted = [
  [/^unused parameter/, /./], // a trigger's, or one of a shape that several functions share
  [/^control reached end of function without RETURN/, /./], // after an error that C raises
  [/^target type is different type than source type/, /./], // literals, and JSON scalars that are numbers
  [/^name of parameter "(limit|from|into)" is reserved keyword/, /./], // which the API's contract has
  [/^unmodified OUT variable/, /_partitions\(|forget_deliveries/], // RETURN QUERY, or RETURN NEXT where something is to be told
  [/^composite OUT variable "pair"/, /(find_(conversation|message)|take_message)\(/],
  [/^(schema|relation) "realtime(\.messages)?" does not exist/, /channel|realtime_insert/], // Supabase's, which is asked for before
  [/^text type variable is not sanitized/, /make_triggers|setup_table_triggers|complete_partition/], // statements that the extension itself makes
];

let cluster;
after(() => cluster?.remove());

test('plpgsql_check finds nothing in the functions', async (t) => {
  cluster = await Cluster.create();
  await cluster.psql('CREATE DATABASE chat');
  const db = await connect(cluster);
  if (!await value(db, "SELECT count(*) > 0 FROM pg_available_extensions WHERE name = 'plpgsql_check'")) {
    await db.end();
    t.skip('plpgsql_check is not installed for this version of PostgreSQL');
    return;
  }
  await db.query('CREATE EXTENSION chat_realtime; CREATE EXTENSION plpgsql_check; SELECT chat.setup()');
  const found = await rows(db, `
    SELECT p.oid::regprocedure::text AS function, c.lineno, c.level, c.message, c.detail
      FROM pg_proc p
      LEFT JOIN LATERAL (SELECT t.tgrelid FROM pg_trigger t WHERE t.tgfoid = p.oid LIMIT 1) t ON true,
           LATERAL plpgsql_check_function_tb(p.oid::regprocedure, COALESCE(t.tgrelid, CASE WHEN p.prorettype = 'trigger'::regtype THEN 'public.chat_messages'::regclass ELSE 0::regclass END)::regclass,
             fatal_errors => false, extra_warnings => true, performance_warnings => false, security_warnings => true) c
     WHERE p.pronamespace = 'chat'::regnamespace AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
     ORDER BY 1, 2`);
  const faults = found.filter((f) => !accepted.some(([message, name]) => message.test(f.message) && name.test(f.function)))
    .map((f) => `${f.level} ${f.function} line ${f.lineno}: ${f.message}${f.detail ? ` (${f.detail})` : ''}`);
  await db.end();
  assert.deepEqual(faults, []);
});
