// A secret key of a gateway says nothing of itself: nothing is sent with it before one private message was accepted.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { FaultyRealtime } from '../lib/faulty-realtime.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { allDelivered } from '../lib/load.mjs';
import { freePort } from '../lib/ports.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until } from '../lib/wait.mjs';

let bed, realtime, conversation, file, sidecar;

before(async () => {
  bed = await Bed.create();
  realtime = await FaultyRealtime.start();
  bed.closing.push(() => realtime.down());
  conversation = await bed.conversation('Ana');
  file = path.join(bed.cluster.dir, 'key');
  writeFileSync(file, 'sb_secret_first');
});

after(() => bed.close());

const lines = (pattern) => sidecar.log.filter((line) => pattern.test(line.msg));
const reload = (key) => {
  writeFileSync(file, key);
  sidecar.child.kill('SIGHUP');
};
const delivered = () => allDelivered(bed.db, () => realtime.accepted, { limit: 40000 });

test('while it is not judged, or refused, events wait; /readyz says why', async () => {
  realtime.single = 500;
  sidecar = new Sidecar({ DATABASE_URL: bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }), HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
    REALTIME_URL: realtime.url, REALTIME_KEY_FILE: file, REALTIME_MAX_EVENTS_PER_SECOND: '100000' }).run();
  await bed.message(conversation, 'early');
  await until(() => realtime.singles.length >= 3, 'it to be tried again');
  realtime.single = 403;
  await until(() => lines(/REALTIME_KEY is refused/).length === 1, () => `a line: ${sidecar.tail()}`);
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
  assert.match((await (await sidecar.get('/readyz')).json()).reasons.realtime, /REALTIME_KEY is refused/);
  assert.deepEqual(realtime.accepted, []);
  assert.deepEqual(realtime.requests, {});
  for (const single of realtime.singles) {
    assert.match(single.path, /^\/api\/broadcast\/canary%3A[0-9a-f]{16}\/events\/check\?private=true$/);
    assert.deepEqual([single.key, single.authorization], ['sb_secret_first', undefined]);
  }
  assert.ok(!sidecar.tail(1000).includes('sb_secret'));
});

test('once it is accepted all of them go out', async () => {
  realtime.single = 202;
  sidecar.child.kill('SIGHUP'); // the same key: somebody mended something
  const result = await delivered();
  assert.deepEqual(result.disorder, []);
  await until(async () => (await sidecar.get('/readyz')).status === 200, 'ready');
  assert.ok(realtime.accepted.every((message) => message.key === 'sb_secret_first'));
});

test('another one on SIGHUP is judged anew, and a token is not asked', async () => {
  realtime.single = 401;
  reload('sb_secret_second');
  await until(() => realtime.singles.at(-1).key === 'sb_secret_second', 'the second key');
  const accepted = realtime.accepted.length;
  await bed.message(conversation, 'with the second');
  await until(async () => (await sidecar.get('/readyz')).status === 503, 'not ready');
  assert.equal(realtime.accepted.length, accepted);
  const asked = realtime.singles.length;
  const token = roleToken('service_role', 's');
  reload(token);
  await delivered();
  assert.equal(realtime.accepted.at(-1).key, token);
  assert.equal(realtime.singles.length, asked);
});

test('Realtime without such a route cannot judge it: it is taken, with a warning', async () => {
  realtime.single = 404;
  reload('sb_secret_third');
  await until(() => lines(/before 2\.97/).length === 1, () => `a warning: ${sidecar.tail()}`);
  await bed.message(conversation, 'with the third');
  await delivered();
  assert.equal(realtime.accepted.at(-1).key, 'sb_secret_third');
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});

test('ending while it is asked', async () => {
  writeFileSync(file, 'sb_secret_first');
  const asked = realtime.singles.length;
  realtime.takeSingle = () => { realtime.singles.push({}); }; // never answered
  sidecar = await bed.sidecar({ REALTIME_URL: realtime.url, REALTIME_KEY: '', REALTIME_KEY_FILE: file });
  await until(() => realtime.singles.length > asked, 'the question');
  assert.equal((await sidecar.kill('SIGTERM')).code, 0, sidecar.tail());
});
