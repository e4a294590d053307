// The console on the health port: in Chromium as somebody uses it, and asked by those who should get nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { rows, value } from '../lib/db.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { picture } from '../lib/page.mjs';
import { freePort } from '../lib/ports.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until } from '../lib/wait.mjs';
import { temporaryDirectory } from '../lib/workspace.mjs';

const token = randomBytes(24).toString('base64url');
const evil = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
const folder = temporaryDirectory();
let bed, sidecar, receiver, conversation, port;

const tokenFile = (name, text) => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};
const bearer = (text = token) => ({ authorization: `Bearer ${text}` });

/** What a port answers to one request whose head is ours, Host included. */
async function ask(to, target, { method = 'GET', headers = {}, ...more } = {}) {
  const raw = await RawHttp.open(to);
  raw.write(request(target, { method, headers: { Host: `127.0.0.1:${to}`, Connection: 'close', ...headers }, ...more }));
  const [answer] = await raw.toTheEnd(method === 'HEAD' ? [0] : []);
  return answer;
}
const status = async (...args) => (await ask(...args)).status;
const data = async (headers) => JSON.parse((await ask(port, '/console/status.json', { headers })).body);

before(async () => {
  bed = await Bed.create();
  sidecar = await bed.sidecar({ CONSOLE_TOKEN_FILE: tokenFile('token', `${token}\n`), CONSOLE_HOSTS: 'desk.example' });
  port = Number(new URL(sidecar.httpUrl).port);
  receiver = await bed.receiver(['message.received']);
  receiver.answer = () => ({ status: 500, body: evil });
  await bed.db.query(`UPDATE public.chat_external_webhooks SET url = url || $1 WHERE id = $2`, ['?<script>document.title=1</script>', receiver.webhook.id]);
  conversation = await bed.conversation();
  await bed.message(conversation, 'one');
  await until(() => receiver.attempts.length > 0, 'the first attempt');
  await until(async () => (await value(bed.db, 'SELECT count(*)::int FROM chat.webhook_attempt')) > 0, 'it to be saved');
});

after(() => bed.close());

describe('in a browser', { skip: noBrowser }, () => {
  const trouble = [];
  let browser, tab;

  before(async () => {
    browser = await launchBrowser({ viewport: { width: 1440, height: 900 } });
    tab = await browser.newPage();
    tab.on('pageerror', (error) => trouble.push(error.message));
    tab.on('console', (message) => message.type() !== 'debug' && trouble.push(message.text()));
    tab.on('request', (asked) => asked.url().startsWith(sidecar.httpUrl) || trouble.push(asked.url()));
    await tab.goto(`${sidecar.httpUrl}/`);
  });

  after(() => browser?.close());

  const hook = () => tab.locator('#webhooks > li');

  test('it is there, says how deliveries do, and its plots move', async () => {
    await tab.locator('#state[data-state="ready"]').waitFor();
    await tab.locator('#consumers tr', { hasText: 'webhooks' }).filter({ hasText: 'delivers' }).waitFor();
    await tab.locator('#results tr', { hasText: 'webhooks' }).filter({ hasText: 'failed' }).waitFor();
    await tab.locator('#sessions tr', { hasText: 'WebSockets' }).waitFor();
    const line = () => tab.locator('#plot-lag path').first().getAttribute('d');
    const first = await line();
    await until(async () => await line() !== first, 'the plot to move');
    assert.match(await tab.locator('#plot-lag svg[role="img"]').getAttribute('aria-label'), /Events behind: .*webhooks \d/);
    await tab.locator('#webhooks-note', { hasText: '1 fail' }).waitFor();
    assert.equal(await hook().count(), 0, 'webhooks are for who has the token');
  });

  test('a wrong token is refused and forgotten; with the right one the failing webhook shows, and what strangers wrote is text', async () => {
    await tab.getByRole('button', { name: 'Enter token' }).click();
    await tab.getByLabel('Token', { exact: true }).fill('x'.repeat(32));
    await tab.keyboard.press('Enter');
    await tab.locator('#token-error', { hasText: 'not the token' }).waitFor();
    assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
    trouble.splice(0, trouble.length, ...trouble.filter((text) => !text.includes('401')));
    await tab.getByLabel('Token', { exact: true }).fill(token);
    await tab.keyboard.press('Enter');
    await hook().waitFor();
    assert.match(await hook().locator('h3').textContent(), /<script>document\.title=1<\/script>$/);
    assert.equal(await hook().locator('pre').textContent(), evil);
    await hook().locator('.last', { hasText: 'HTTP 500' }).waitFor();
    assert.equal(await hook().locator('img, script').count(), 0);
    assert.equal(await tab.title(), 'chat_realtime');
    await picture(tab, 'console');
  });

  test('send again delivers, once for a key press, keeps the focus, and is in the audit log', async () => {
    receiver.answer = () => 200;
    const button = hook().getByRole('button', { name: /^Send message.received/ }).first();
    await button.focus();
    await tab.keyboard.press('Enter');
    await until(() => receiver.deliveries.length === 1, 'the delivery');
    assert.equal(receiver.deliveries[0].body.data.content, 'one');
    assert.equal(receiver.deliveries[0].id, receiver.attempts[0].id, 'under the same id');
    await hook().waitFor({ state: 'detached' });
    await tab.locator('#webhooks-note', { hasText: 'Every webhook does well' }).waitFor();
    assert.deepEqual(await rows(bed.db, `SELECT actor, role, object, details ->> 'messageId' AS message FROM chat.audit_log WHERE action = 'webhook.redelivered'`),
      [{ actor: 'console', role: 'chat_sidecar', object: receiver.webhook.id, message: receiver.attempts[0].id }]);
  });

  test('at 360 px nothing is wider than the page; what it loads is its own, and nothing was complained of', async () => {
    await tab.setViewportSize({ width: 360, height: 800 });
    await tab.locator('#plot-rate path').first().waitFor({ state: 'attached' });
    await until(async () => await tab.evaluate(() => document.documentElement.scrollWidth) === 360, 'the page to be as wide as the window');
    assert.deepEqual(await tab.locator('.panel').evaluateAll((panels) => panels.filter((panel) => panel.scrollWidth > panel.clientWidth).map((panel) => panel.textContent.slice(0, 40))), []);
    assert.deepEqual(trouble, []);
  });

  test('a database that is away: the page says so, and goes on when it is back', async () => {
    await bed.cluster.stop();
    await tab.locator('.banner', { hasText: /database/i }).first().waitFor();
    assert.equal(await status(port, '/healthz'), 200);
    await bed.cluster.start();
    await bed.reconnect();
    await tab.locator('#state[data-state="ready"]').waitFor({ timeout: 60_000 });
    await until(async () => await tab.locator('.banner').count() === 0, 'the words to go', 60_000);
  });
});

test('on loopback counts are for everybody, rows of webhooks and sending again for the token', async () => {
  await until(async () => (await data()).database !== null, 'an answer of the database');
  const [open, all] = [await data(), await data(bearer())];
  assert.deepEqual([open.webhooks, open.all, all.all, Array.isArray(all.webhooks)], [null, false, true, true]);
  assert.equal(open.ready.ready, true);
  assert.match(open.metrics, /^chat_realtime_build_info/m);
  const attempt = await value(bed.db, 'SELECT min(id)::text FROM chat.webhook_attempt');
  const again = (headers, query = `attempt=${attempt}`, more) => status(port, `/console/again?${query}`, { method: 'POST', headers, ...more });
  for (const wrong of ['', token.slice(1), `${token}x`, token.toUpperCase(), 'x'.repeat(10_000)]) {
    assert.equal(await again(bearer(wrong)), 401);
    assert.equal(await status(port, '/console/status.json', { headers: bearer(wrong) }), 401);
  }
  assert.equal(await again({}), 401);
  assert.equal(await again({}, `attempt=${attempt}&token=${token}`), 401, 'a token in the address is none');
  assert.equal(await again({ authorization: `Basic ${token}` }), 401);
  for (const bad of ['', 'attempt=', 'attempt=-1', 'attempt=1%20OR%201', `attempt=${'9'.repeat(19)}`, 'attempt=1e3', 'attempt=%31x']) assert.equal(await again(bearer(), bad), 400, bad);
  assert.equal(await again(bearer(), 'attempt=999999'), 404);
  assert.equal(await again(bearer(), 'attempt=1', { body: 'x' }), 413);
  assert.equal(await status(port, `/console/again?attempt=${attempt}`, { headers: bearer() }), 405);
  assert.equal(await status(port, '/console/status.json', { method: 'POST', headers: bearer() }), 405);
  assert.equal(await again(bearer()), 202);
  const told = sidecar.log.filter(({ msg }) => msg.includes('wrong token')).map(({ ts }) => Date.parse(ts));
  assert.ok(told.length > 0 && told.every((at, n) => n === 0 || at - told[n - 1] > 59_000), `one line a minute, at ${told}`);
  assert.ok(!JSON.stringify(sidecar.log).includes(token));
});

test('another site gets nothing: names that are not ours, forms, preflights', async () => {
  for (const host of ['attacker.example', `attacker.example:${port}`, 'localhost.attacker.example', '127.0.0.1.nip.io', `127.0.0.2:${port}`, '[::1]', '']) {
    for (const target of ['/', '/console/console.js', '/console/status.json']) assert.equal(await status(port, target, { headers: { Host: host } }), 403, host);
    assert.equal(await status(port, '/console/again?attempt=1', { method: 'POST', headers: { Host: host, ...bearer() } }), 403, host);
  }
  for (const host of [`localhost:${port}`, 'localhost', `127.0.0.1:${port}`, 'DESK.example:8443']) assert.equal(await status(port, '/', { headers: { Host: host } }), 200, host);
  for (const origin of ['https://attacker.example', 'null', `http://localhost:${port + 1}`, `http://127.0.0.1:${port}.attacker.example`]) {
    assert.equal(await status(port, '/console/again?attempt=1', { method: 'POST', headers: { Origin: origin, ...bearer() } }), 403, origin);
    assert.equal(await status(port, '/console/status.json', { headers: { Origin: origin } }), 403, origin);
  }
  for (const [expected, head] of [
    [403, 'GET / HTTP/1.0'], [403, 'GET /console/status.json HTTP/1.0'], [200, 'GET /healthz HTTP/1.0'], [200, 'GET / HTTP/1.0\r\nHost: localhost'], [400, 'GET / HTTP/1.1'],
    [400, 'GET http://localhost/ HTTP/1.1\r\nHost: localhost'], [400, 'GET / HTTP/1.1\r\nHost: localhost\r\nHost: attacker.example'], [403, 'GET / HTTP/1.1\r\nHost: a@localhost'],
    [400, 'GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: https://attacker.example'], [403, 'GET / HTTP/1.1\r\nHost: [::1'],
    [401, 'GET /console/status.json HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For:'], [401, 'GET /console/status.json HTTP/1.1\r\nHost: localhost\r\nAuthorization:'],
  ]) {
    const raw = await RawHttp.open(port);
    raw.write(`${head}\r\nConnection: close\r\n\r\n`);
    assert.equal((await raw.toTheEnd())[0].status, expected, head);
  }
  const form = { Origin: 'https://attacker.example', 'Content-Type': 'text/plain' };
  assert.equal(await status(port, '/console/again?attempt=1', { method: 'POST', headers: form, body: 'x' }), 403);
  const preflight = await ask(port, '/console/again', { method: 'OPTIONS', headers: { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization' } });
  assert.equal(preflight.status, 405);
  const page = await ask(port, '/');
  assert.equal(page.headers['access-control-allow-origin'], undefined);
  assert.equal(page.headers['content-security-policy'], "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  for (const [name, text] of [['x-content-type-options', 'nosniff'], ['referrer-policy', 'no-referrer'], ['cache-control', 'no-store'], ['cross-origin-resource-policy', 'same-origin']]) {
    assert.equal(page.headers[name], text);
  }
  assert.doesNotMatch(page.body, /https?:\/\/|style=|onclick|<script>/);
  assert.equal(await status(port, '/console/status.json', { headers: { 'X-Forwarded-For': '192.0.2.1' } }), 401, 'what a proxy passes on is not of this machine');
  assert.equal((await ask(port, '/metrics', { headers: { Host: 'anything' } })).status, 200);
});

test('garbage, floods and slow readers: each is answered or closed, the database is asked once at a time, and health goes on', async () => {
  for (const target of ['/console', '/console/', '/console/../status', '/console/%2e%2e/status.json', '/console/status.json/', '//', `/console/${'x'.repeat(9000)}`]) {
    assert.equal(await status(port, target), 404, target.slice(0, 40));
  }
  assert.equal(await status(port, '/', { headers: { Cookie: 'x'.repeat(20_000) } }), 431);
  assert.equal(await status(port, '/console/status.json', { headers: { Authorization: 'Bearer a\r\nAuthorization: Bearer b' } }), 400);
  const slow = await Promise.all(Array.from({ length: 40 }, () => RawHttp.open(port)));
  for (const raw of slow) {
    raw.socket.pause();
    raw.write(request('/console/status.json', { method: 'GET', headers: { Host: 'localhost' } }).repeat(3));
  }
  await Promise.all(Array.from({ length: 10 }, async () => {
    for (let n = 0; n < 50; n++) assert.equal(JSON.parse(await (await sidecar.get('/console/status.json')).text()).all, false);
  }));
  assert.equal((await sidecar.get('/healthz')).status, 200);
  await bed.message(conversation, 'beside it');
  await until(() => receiver.deliveries.some(({ body }) => body.data.content === 'beside it'), 'a delivery beside it');
  assert.equal(await value(bed.db, `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'chat-sidecar console'`), 1);
  for (const raw of slow) raw.reset();
  assert.equal((await sidecar.get('/healthz')).status, 200);
});

test('a statement that is slow: the page gets what there was, with a word', async () => {
  await bed.db.query('BEGIN');
  await bed.db.query('LOCK TABLE chat.webhook_state IN ACCESS EXCLUSIVE MODE');
  await until(async () => /canceling statement due to/.test((await data(bearer())).trouble), 'the word', 30_000);
  assert.equal(await status(port, '/healthz'), 200);
  await bed.db.query('ROLLBACK');
  await until(async () => (await data(bearer())).trouble === null, 'an answer', 30_000);
});

describe('settings', () => {
  const ends = async (env) => {
    const other = new Sidecar({ HTTP_LISTEN: `127.0.0.1:${await freePort()}`, ...env }, ['--check-config']).run();
    return { ...(await other.exited), output: other.output };
  };

  test('a token that is too short, has blanks or cannot be read, hosts that are none: it does not start', async () => {
    for (const [env, text] of [
      [{ CONSOLE_TOKEN_FILE: tokenFile('short', 'x'.repeat(31)) }, /^chat-sidecar: CONSOLE_TOKEN_FILE: the token in it has less than 32 bytes$/m],
      [{ CONSOLE_TOKEN_FILE: tokenFile('blank', `${'x'.repeat(32)} y`) }, /CONSOLE_TOKEN_FILE: the token in it contains blanks/],
      [{ CONSOLE_TOKEN_FILE: tokenFile('empty', '') }, /CONSOLE_TOKEN_FILE names no file that can be read, or an empty one/],
      [{ CONSOLE_TOKEN_FILE: path.join(folder, 'none') }, /CONSOLE_TOKEN_FILE names no file/],
      [{ CONSOLE_HOSTS: 'https://desk.example' }, /CONSOLE_HOSTS: "https:\/\/desk.example" is no list of host names/],
      [{ CONSOLE: 'maybe' }, /CONSOLE: "maybe" is none of on, off/],
    ]) {
      const end = await ends(env);
      assert.equal(end.code, 2, JSON.stringify(env));
      assert.match(end.output, text);
    }
    assert.equal((await ends({ CONSOLE_TOKEN_FILE: tokenFile('long', `${'x'.repeat(32)}\n`), CONSOLE_HOSTS: 'a.example, b.example:8443' })).code, 0);
  });

  test('beyond loopback nothing but health and metrics without a token file; off is off; a new token after SIGHUP', async () => {
    const file = tokenFile('changing', 'a'.repeat(32));
    const listen = await freePort();
    const start = (env) => bed.sidecar(env);
    const [open, guarded, off] = await Promise.all([start({ HTTP_LISTEN: `0.0.0.0:${await freePort()}` }),
      start({ HTTP_LISTEN: `0.0.0.0:${listen}`, CONSOLE_TOKEN_FILE: file, CONSOLE_HOSTS: '127.0.0.1' }), start({ CONSOLE: 'off' })]);
    const at = ({ httpUrl }) => Number(new URL(httpUrl).port);
    for (const one of [open, off]) {
      for (const target of ['/', '/console/console.js', '/console/status.json']) assert.equal(await status(at(one), target, { headers: { Host: 'localhost' } }), 404);
      assert.equal(await status(at(one), '/console/again?attempt=1', { method: 'POST', headers: { Host: 'localhost', ...bearer('') } }), one === off ? 405 : 404);
      for (const target of ['/healthz', '/readyz', '/metrics']) assert.equal(await status(at(one), target), 200);
    }
    assert.equal(await status(at(guarded), '/'), 200);
    const asked = (text) => status(at(guarded), '/console/status.json', { headers: text ? bearer(text) : {} });
    assert.deepEqual([await asked(), await asked('b'.repeat(32)), await asked('a'.repeat(32))], [401, 401, 200]);
    writeFileSync(file, 'short');
    guarded.child.kill('SIGHUP');
    await until(() => guarded.log.some(({ error }) => /CONSOLE_TOKEN_FILE has less than 32 bytes: the old one stays/.test(error)), 'the complaint');
    assert.equal(await asked('a'.repeat(32)), 200);
    writeFileSync(file, 'b'.repeat(32));
    guarded.child.kill('SIGHUP');
    await until(async () => await asked('b'.repeat(32)) === 200, 'the new one');
    assert.equal(await asked('a'.repeat(32)), 401);
    for (const one of [open, guarded, off]) assert.equal((await one.kill('SIGTERM')).code, 0);
  });
});
