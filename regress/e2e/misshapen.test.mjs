// Answers of the database in another shape than the sidecar asked for: each is a line that says what is wrong, and ends the connection unless
// it is one delivery's; none is used, and once it is mended all that was committed arrives.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { until } from '../lib/wait.mjs';

let bed, conversation, sidecar, subscriber, receiver;

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  receiver = await bed.receiver(['message.received']);
  sidecar = await bed.sidecar();
  subscriber = await bed.subscriber(sidecar);
  await subscriber.join(`conversation:${conversation}`);
});

after(() => bed.close());

/** Puts another function in the place of one, and gives back what puts the old one back. */
async function replace(signature, result, body) {
  const [name] = signature.split('(');
  await bed.db.query(`ALTER EXTENSION chat_realtime DROP FUNCTION chat.${signature}; ALTER FUNCTION chat.${signature} RENAME TO old_${name}`);
  await bed.db.query(`CREATE FUNCTION chat.${signature} RETURNS ${result} LANGUAGE sql AS $$ ${body} $$; GRANT EXECUTE ON FUNCTION chat.${signature} TO chat_sidecar`);
  return () => bed.db.query(`DROP FUNCTION chat.${signature}; ALTER FUNCTION chat.old_${signature} RENAME TO ${name}; ALTER EXTENSION chat_realtime ADD FUNCTION chat.${signature}`);
}

const logRead = 'read_log(bigint, text, text, bigint, integer, integer, integer)';
const pieces = 'SETOF bytea';
const real = 'chat.old_read_log($1, $2, $3, $4, $5, $6, $7) piece';
const terms = 'webhook_terms(text[], text[], bigint[])';

for (const [what, signature, result, body, says] of [
  ['a read without a piece', logRead, pieces, `SELECT '\\x'::bytea WHERE false`, /read: 0 rows/],
  ['a read in another form', logRead, pieces, `SELECT '\\x02'::bytea`, /read: its version is another/],
  ['a read without its last byte', logRead, pieces, `SELECT substr(piece, 1, length(piece) - 1) FROM ${real}`, /read: (an event is misshapen|a snapshot is cut off)/],
  ['a read whose event has no room for its topic', logRead, pieces,
    `SELECT CASE WHEN length(piece) < 200 THEN piece ELSE overlay(piece PLACING '\\xfffffff0'::bytea FROM 41 + get_byte(piece, 35) + 36) END FROM ${real}`,
    /read: an event is misshapen/],
  ['due webhooks with a column less', 'webhook_due(integer, integer, bigint[], uuid[])',
    'TABLE (id bigint, message_id text, type text)', `SELECT 1::bigint, 'm', 't'`, /column .* does not exist/],
  ['a due webhook whose body is none', 'webhook_due(integer, integer, bigint[], uuid[])',
    `TABLE (id bigint, type text, body text, created_at bigint, webhook uuid, owner text, url text, secret text, old_secret text,
      conversation text, delivery bigint, attempts integer, headers text, signing_key text, rate_limit integer)`,
    `SELECT 1::bigint, 't', '{}', 1::bigint, '11111111-1111-4111-8111-111111111111'::uuid, 'o', 'u', NULL, NULL, 'c', 1::bigint, 0, NULL, NULL, NULL::integer`,
    /webhook_due: a body is misshapen/],
  ['an endpoint that is no webhook', terms,
    `TABLE (kind text, webhook uuid, owner text, url text, secret text, old_secret text, events text, paused boolean, conversation text, message_id text,
      headers text, signing_key text, rate_limit integer, chosen text)`,
    `SELECT 'endpoint', NULL::uuid, $1[1], 'u', NULL, NULL, ',*,', false, NULL, NULL, NULL, NULL, NULL::integer, NULL`, /webhook_terms: a row lacks what its kind needs/],
  ['endpoints with a column less', terms, 'TABLE (kind text, webhook uuid)', `SELECT 'endpoint', NULL::uuid`, /column .* does not exist/],
  ['a renewal that answers nothing', 'consumer_renew(text, bigint, integer)', 'boolean', 'SELECT NULL::boolean', /consumer_renew: renewed is NULL/],
  ['a lease of two rows', 'consumer_acquire(text, text, integer)', 'TABLE (epoch bigint, last_id bigint, snapshot text)',
    `SELECT n::bigint, 1::bigint, '1:1:' FROM generate_series(1, 2) n`, /consumer_acquire: 2 rows/],
]) {
  test(what, async () => {
    const lines = sidecar.log.length;
    const restore = await replace(signature, result, body);
    // Those that are asked for only once in a life are asked for again.
    if (/acquire/.test(signature)) await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chat_sidecar'`);
    await bed.message(conversation, what);
    await until(() => !sidecar.running || sidecar.log.slice(lines).some((line) => says.test(line.error)), () => `a line that says ${says}: ${sidecar.tail(30)}`, 20000);
    assert.ok(sidecar.running, sidecar.tail());
    await restore();
    await until(() => subscriber.heard.some((m) => m.payload.content === what), () => `"${what}" at the client: ${sidecar.tail(30)}`, 30000);
    await until(() => receiver.deliveries.some(({ body: sent }) => sent.data.content === what), () => `"${what}" at the webhook: ${sidecar.tail(30)}`, 30000);
  });
}

for (const [what, body, says, advice] of [
  ['an extension of a later version', 'SELECT 3', /speaks protocol 2, extension chat_realtime protocol 3/, /older than extension chat_realtime: update the sidecar/],
  ['an extension that knows no protocol', null, /speaks protocol 2, extension chat_realtime protocol 0/, /ALTER EXTENSION chat_realtime UPDATE/],
]) {
  test(`${what} beside the sidecar: said, and what was written arrives once they fit`, async () => {
    const lines = sidecar.log.length;
    const restore = await replace('sidecar_protocol()', 'integer', body ?? 'SELECT 0');
    if (body === null) await bed.db.query('ALTER FUNCTION chat.sidecar_protocol() RENAME TO another');
    await bed.db.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chat_sidecar'`);
    await until(() => sidecar.log.slice(lines).some((line) => says.test(line.error) && advice.test(line.hint)), () => `a line that says ${says}: ${sidecar.tail(30)}`, 20000);
    await until(async () => {
      const page = await sidecar.get('/readyz');
      return page.status === 503 && advice.test((await page.json()).reasons.database);
    }, '/readyz to say so', 20000);
    await bed.message(conversation, what);
    if (body === null) await bed.db.query('ALTER FUNCTION chat.another() RENAME TO sidecar_protocol');
    await restore();
    await until(() => subscriber.heard.some((m) => m.payload.content === what), () => `"${what}" at the client: ${sidecar.tail(30)}`, 30000);
    await until(() => receiver.deliveries.some(({ body: sent }) => sent.data.content === what), () => `"${what}" at the webhook: ${sidecar.tail(30)}`, 30000);
  });
}

test('nothing came of the wrong answers', async () => {
  const contents = new Set(await value(bed.db, 'SELECT array_agg(content) FROM public.chat_messages'));
  for (const { payload } of subscriber.heard) assert.ok(contents.has(payload.content), JSON.stringify(payload));
  for (const { body } of receiver.deliveries) assert.ok(contents.has(body.data.content), JSON.stringify(body));
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});
