// Rate limits: exact under concurrency, bounded memory, forgotten at a restart, and servers without shared memory.
import assert from 'node:assert/strict';
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Backend, call } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { until } from '../lib/wait.mjs';

const sessions = 20;
let bed;
let backend;
let clients;

before(async () => {
  bed = await Bed.create();
  await bed.role('chat_backend', 'grant_backend');
  backend = await Backend.start(bed.cluster);
  bed.closing.push(() => backend.stop());
  clients = await Promise.all(Array.from({ length: sessions }, () => bed.connect()));
});

after(() => bed.close());

/** Every session runs a statement at the same time; the first columns are added up. */
async function together(sql, parameters = () => []) {
  const counts = await Promise.all(clients.map((client, n) => value(client, sql, parameters(n))));
  return counts.reduce((sum, count) => sum + Number(count), 0);
}

const allowed = (bucket, max, calls) => `SELECT count(*) FILTER (WHERE r.allowed) FROM generate_series(1, ${calls}) n,
  LATERAL chat.check_rate_limit(${bucket}, ${max} + 0 * n, '31 days') r`;

test('of 10,000 concurrent calls exactly the permitted number pass', async () => {
  assert.equal(await together(allowed("'hot'", 1234, 500)), 1234);
  assert.equal(await together(allowed("'hot'", 1234, 500)), 0);
});

test('the same with a statement for each call', async () => {
  const passed = await Promise.all(clients.map(async (client) => {
    let count = 0;
    for (let n = 0; n < 500; n++) count += (await value(client, "SELECT (chat.check_rate_limit('single', 777, '31 days')).allowed")) ? 1 : 0;
    return count;
  }));
  assert.equal(passed.reduce((a, b) => a + b), 777);
});

test('buckets that many sessions make at the same moment are made once', async () => {
  assert.equal(await together(`SELECT count(*) FILTER (WHERE r.allowed) FROM generate_series(1, 2000) n,
    LATERAL chat.check_rate_limit('new ' || n, 3, '31 days') r`), 6000);
});

test('the limit of an API key is exact, whatever is rolled back', async () => {
  const { key } = await value(bed.db, "SELECT chat.create_api_key($1, 'limited', rate_limit => 100)", [bed.owner]);
  const clock = async (seconds) => {
    bed.cluster.configure({ 'chat_realtime.limit_clock': seconds });
    await bed.db.query('SELECT pg_reload_conf()');
    await Promise.all([bed.db, ...clients].map((client) => until(async () => Number(await value(client, "SELECT current_setting('chat_realtime.limit_clock')")) === seconds, 'the clock')));
  };
  await clock(2000); // time stands still: nothing comes back meanwhile
  const counts = await Promise.all(clients.map(async (client) => {
    let count = 0;
    for (let n = 0; n < 20; n++) {
      await client.query('BEGIN');
      count += (await value(client, 'SELECT (chat.authenticate($1)).allowed', [key])) ? 1 : 0;
      await client.query('ROLLBACK');
    }
    return count;
  }));
  assert.equal(counts.reduce((a, b) => a + b), 100);
  await clock(2059.9); // in the same minute
  assert.equal((await rows(bed.db, 'SELECT code FROM chat.authenticate($1)', [key]))[0].code, 'RATE_LIMIT_EXCEEDED');
  await clock(2060.1);
  assert.equal((await rows(bed.db, 'SELECT code FROM chat.authenticate($1)', [key]))[0].code, 'OK');
  await clock(-1);
});

test('65,536 buckets live at once; none that limits is evicted; a full table refuses, idle ones make room', async () => {
  assert.equal(Number(await value(bed.db, `SELECT count(*) FILTER (WHERE (chat.check_rate_limit('live ' || n, 1, '31 days')).allowed)
    FROM generate_series(1, 65536) n`)), 65536);
  await assert.rejects(bed.db.query(`SELECT count(chat.check_rate_limit('more ' || n, 1, '31 days')) FROM generate_series(1, 140000) n`),
    (error) => error.code === '53400' && /Use fewer buckets/.test(error.hint));
  await bed.db.query(`DO $$ BEGIN
    FOR n IN 1 .. 120000 LOOP
      BEGIN PERFORM chat.check_rate_limit('most ' || n, 1, '31 days'); EXCEPTION WHEN configuration_limit_exceeded THEN NULL; END;
    END LOOP; END $$`);
  const { rows: [{ used, most }] } = await bed.db.query(`SELECT max(calls) FILTER (WHERE kind = 'buckets') AS used, max(calls) FILTER (WHERE kind = 'bucket_limit') AS most
    FROM chat.api_stats() WHERE name = 'names'`);
  assert.ok(used / most > 0.9, `${used} of ${most}`);
  // Keys and owners have the other half for themselves.
  for (let n = 0; n < 200; n++) {
    const { key } = await value(bed.db, 'SELECT chat.create_api_key($1, $2)', [bed.owner, `beside ${n}`]);
    assert.deepEqual(await rows(bed.db, 'SELECT code, remaining FROM chat.authenticate($1)', [key]), [{ code: 'OK', remaining: 99 }]);
  }
  let asUser; // whose limit is by name
  await until(async () => (asUser = await call(backend, 'GET', '/conversations', { token: backend.token(randomUUID()) })).status !== 200, 'a user without room');
  assert.deepEqual([asUser.status, asUser.body.code, asUser.headers.get('Retry-After')], [503, 'RATE_LIMIT_UNAVAILABLE', '1']);
  assert.equal((await call(backend, 'GET', '/conversations', { key: (await value(bed.db, "SELECT chat.create_api_key($1, 'k')", [bed.owner])).key })).status, 200);
  assert.equal(await value(bed.db, "SELECT bool_and(chat.limit_typing('1', 'user ' || n, true)) FROM generate_series(1, 100) n"), true); // does without a limit
  assert.equal(Number(await value(bed.db, `SELECT count(*) FILTER (WHERE (chat.check_rate_limit('live ' || n, 1, '31 days')).allowed)
    FROM generate_series(1, 65536) n`)), 0);
  await bed.cluster.restart();
  await bed.reconnect();
  clients = await Promise.all(clients.map(() => bed.connect()));
  // The server has forgotten them. Buckets that are full again are reused without end.
  assert.equal(await value(bed.db, "SELECT (chat.check_rate_limit('live 1', 1, '31 days')).allowed"), true);
  for (let round = 0; round < 3; round++) {
    await bed.db.query(`SELECT count(chat.check_rate_limit('short ${round} ' || n, 1000000, '1 ms')) FROM generate_series(1, 120000) n`);
  }
  assert.equal(await value(bed.db, "SELECT (chat.check_rate_limit('live 1', 1, '31 days')).allowed"), false);
});

test('where the half for keys is full, chat.authenticate answers 503 and never raises', async () => {
  // Keys of one call a minute keep their buckets for that long; as many as there are buckets, and half of that again.
  await bed.db.query(`CREATE TABLE many AS SELECT chat.make_api_key() AS key FROM generate_series(1, 200000);
    INSERT INTO public.chat_api_keys (user_id, name, key_prefix, key_hash, rate_limit)
      SELECT '${bed.owner}', 'many', left(key, 10), chat.api_key_hash(key), 1 FROM many`);
  const used = (codes) => rows(bed.db, `SELECT r.code, r.allowed, r.status, r.retry_after::float8, count(*) AS answers FROM many, chat.authenticate(many.key) r
    WHERE r.code = ANY ($1) GROUP BY 1, 2, 3, 4`, [codes]);
  await bed.db.query('BEGIN READ ONLY'); // nothing is written about their use
  const [refused] = await used(['RATE_LIMIT_UNAVAILABLE']);
  await bed.db.query('COMMIT');
  assert.ok(refused?.answers > 0, 'the half was never full');
  assert.deepEqual([refused.allowed, refused.status, refused.retry_after > 0], [false, 503, true]);
  let answer; // of the backend, for a key that finds no room
  await until(async () => {
    const { key } = await value(bed.db, "SELECT chat.create_api_key($1, 'late')", [bed.owner]);
    answer = await call(backend, 'GET', '/conversations', { key });
    return answer.status !== 200;
  }, 'a key without a bucket');
  assert.deepEqual([answer.status, answer.body.code, answer.headers.get('Retry-After')], [503, 'RATE_LIMIT_UNAVAILABLE', '1']);
  assert.ok((await value(bed.db, "SELECT calls FROM chat.api_stats() WHERE name = 'RATE_LIMIT_UNAVAILABLE'")) >= refused.answers);
  await bed.db.query('TRUNCATE public.chat_api_keys; DROP TABLE many'); // deleting them one by one would leave as many rows in the audit log
  await bed.cluster.restart(); // which forgets them
  await bed.reconnect();
  clients = await Promise.all(clients.map(() => bed.connect()));
});

test('a new pepper: keys stay good, and are hashed anew when they are used; afterwards the old hash is none', async () => {
  const [first, second] = ['a', 'b'].map((letter) => letter.repeat(32));
  const sha256 = (key) => createHash('sha256').update(key).digest('hex');
  const hmac = (key, pepper) => createHmac('sha256', pepper).update(key).digest('hex');
  const make = async (name) => (await value(bed.db, 'SELECT chat.create_api_key($1, $2)', [bed.owner, name])).key;
  const stored = (key) => value(bed.db, 'SELECT key_hash FROM public.chat_api_keys WHERE key_prefix = $1', [key.slice(0, 10)]);
  const code = async (key) => (await rows(bed.db, 'SELECT code FROM chat.authenticate($1)', [key]))[0].code;
  const peppers = async (now, old) => {
    bed.cluster.configure({ 'chat_realtime.key_pepper': now, 'chat_realtime.key_pepper_old': old });
    await bed.db.query('SELECT pg_reload_conf()');
    await until(async () => (await value(bed.db, "SELECT current_setting('chat_realtime.key_pepper') || '/' || current_setting('chat_realtime.key_pepper_old')"))
      === `${now}/${old}`, 'the new settings');
  };
  const used = await make('used');
  const unused = await make('unused');
  assert.equal(await stored(used), sha256(used));
  await peppers(first, '');
  assert.equal(await code(used), 'OK');
  assert.equal(await stored(used), hmac(used, first));
  const peppered = await make('peppered');
  assert.equal(await stored(peppered), hmac(peppered, first));
  await peppers(second, first);
  assert.equal(await code(used), 'OK');
  assert.equal(await stored(used), hmac(used, second));
  assert.equal(await code(unused), 'API_KEY_INVALID');
  await peppers(second, second);
  assert.equal(await code(used), 'OK');
  assert.equal(await code(peppered), 'API_KEY_INVALID');
});

test('a pepper is refused where others could read it, and when it is short', async () => {
  const refused = (sql, code) => assert.rejects(bed.db.query(sql), (error) => error.code === code);
  await refused(`ALTER DATABASE chat SET chat_realtime.key_pepper = '${'x'.repeat(40)}'`, '55P02');
  await refused("ALTER SYSTEM SET chat_realtime.key_pepper = 'short'", '22023');
});

test('without preloading: limits say what is missing before PostgreSQL 17, messages are saved, a pepper is refused', async () => {
  const bare = await Bed.create({ settings: { shared_preload_libraries: '' } });
  try {
    const { key } = await value(bare.db, "SELECT chat.create_api_key($1, 'bare')", [bare.owner]);
    const missing = (error) => error.code === '55000' && /shared_preload_libraries/.test(error.hint);
    if (bare.cluster.major < 17) {
      assert.deepEqual(await rows(bare.db, 'SELECT allowed, status, code, retry_after::float8 FROM chat.authenticate($1)', [key]),
        [{ allowed: false, status: 503, code: 'RATE_LIMIT_UNAVAILABLE', retry_after: 1 }]);
      await assert.rejects(bare.db.query("SELECT chat.check_rate_limit('x', 1, '1 s')"), missing);
      assert.equal(await value(bare.db, "SELECT (chat.authenticate('x')).code"), 'API_KEY_INVALID_FORMAT');
      assert.deepEqual(await rows(bare.db, 'SELECT * FROM chat.api_stats()'), []);
    }
    const warnings = [];
    bare.db.on('notice', ({ message }) => warnings.push(message));
    const conversation = await bare.conversation();
    await bare.db.query(`CREATE ROLE writer; GRANT SELECT, INSERT ON public.conversations, public.chat_messages TO writer; SET ROLE writer;
      SET request.jwt.claims = '{"sub": "${bare.owner}"}'`);
    for (let n = 0; n < 30 && bare.cluster.major < 17; n++) await bare.message(conversation, `${n}`);
    await bare.db.query('RESET ROLE; RESET request.jwt.claims');
    await bare.db.query("SELECT chat.limit_typing('1', 'x', true) FROM generate_series(1, 5)");
    assert.deepEqual(warnings, bare.cluster.major < 17 ? ['chat_realtime keeps no limits on messages and typing'] : []);
    await bare.db.query('SET chat_realtime.rate_limits = off');
    assert.equal(await value(bare.db, 'SELECT (chat.authenticate($1)).code', [key]), 'OK');
    bare.cluster.configure({ 'chat_realtime.key_pepper': 'x'.repeat(40) });
    await bare.cluster.restart();
    await bare.reconnect();
    await bare.db.query('SET chat_realtime.rate_limits = off');
    await assert.rejects(bare.db.query('SELECT chat.authenticate($1)', [key]), missing);
  } finally {
    await bare.close();
  }
});
