// The example front end over a long day, in Chromium: more than a page of conversations and messages, tokens that end, and
// something that cannot be shown.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Backend } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { value } from '../lib/db.mjs';
import { noVite, picture, servePage } from '../lib/page.mjs';
import { until } from '../lib/wait.mjs';

describe('the example front end', { skip: noBrowser || noVite }, () => {
  let bed, backend, sidecar, page, browser, tab, talk;
  const failures = [];
  const renewed = []; // tokens that were given for others
  let seconds = 3600; // that a token is good for

  before(async () => {
    bed = await Bed.create();
    sidecar = await bed.sidecar();
    backend = await Backend.unlimited(bed, { jwtSecret: sidecar.env.EMBEDDED_JWT_SECRET });
    page = await servePage({ BACKEND_URL: backend.url, REALTIME_URL: sidecar.url, VITE_SUPABASE_ANON_KEY: sidecar.anonKey, VITE_CHAT_REALTIME_PROVIDER: 'supabase', VITE_TOKEN_URL: '/token' });
    bed.closing.push(() => page.close());
    await bed.db.query(`INSERT INTO public.conversations (user_id, contact_jid, contact_name, created_at)
      SELECT $1, n || '@s.whatsapp.net', 'Contact ' || n, now() - n * interval '1 minute' FROM generate_series(1, 230) n`, [bed.owner]);
    talk = await bed.conversation('Ana');
    await bed.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, status, content, created_at)
      SELECT $1, 'outgoing', 'sent', 'line ' || n, now() - (300 - n) * interval '1 second' FROM generate_series(1, 250) n`, [talk]);
    browser = await launchBrowser({ viewport: { width: 1000, height: 640 } });
    tab = await open(backend.token(bed.owner));
  });

  after(async () => {
    await browser?.close();
    await bed?.close();
  });

  /** A tab of the owner. What a login gives for a token is answered here. */
  async function open(token, { refused = false } = {}) {
    const opened = await browser.newPage();
    opened.on('pageerror', (error) => failures.push(error.message));
    await opened.route('**/token', (route) => {
      assert.match(route.request().headers().authorization, /^Bearer /);
      if (refused) return route.fulfill({ status: 401, json: { error: 'over' } });
      renewed.push(backend.token(bed.owner, { expiresIn: seconds }));
      return route.fulfill({ json: { token: renewed.at(-1) } });
    });
    await opened.goto(`http://127.0.0.1:${page.port}/#token=${token}&name=Carla`);
    return opened;
  }

  const row = (name) => tab.locator('.row', { has: tab.locator('.name', { hasText: name }) });
  const count = (selector, expected) => until(async () => (await tab.locator(selector).count()) === expected,
    async () => `${expected} of ${selector}, not ${await tab.locator(selector).count()}`, 30_000);
  const more = (text) => tab.locator('.more', { hasText: text });

  /** From the top of the thread, where a line is the first one: the line is as far from the top of the thread as before when all bubbles are there. */
  async function loadEarlier(line, bubbles) {
    const look = () => tab.locator('.messages').evaluate(async (box, text) => {
      for (let frames = 0; frames < 3; frames++) await new Promise(requestAnimationFrame); // what scrolls late has scrolled
      const bubble = [...box.querySelectorAll('.bubble')].find(({ textContent }) => new RegExp(text).test(textContent));
      return { scrolled: box.scrollTop, place: bubble.getBoundingClientRect().top - box.getBoundingClientRect().top };
    }, `^line ${line}\\d\\d:`);
    await until(async () => {
      await tab.locator('.messages').evaluate((box) => { box.scrollTop = 0; });
      return (await look()).scrolled === 0;
    }, 'the top');
    const before = await look();
    await more('Earlier messages').click();
    await count('.bubble', bubbles);
    const now = await look();
    assert.ok(now.scrolled > 1000, `${line} is not where more came: ${now.scrolled}`);
    assert.ok(Math.abs(now.place - before.place) < 2, `${line} was at ${before.place} and is at ${now.place}`);
  }

  test('the inbox has more than one page: each conversation once, newest first, and it goes on living', async () => {
    await tab.locator('.state.live').waitFor();
    await count('.row', 100);
    await more('More conversations').click();
    await count('.row', 200);
    await more('More conversations').click();
    await count('.row', 231);
    await more('More conversations').waitFor({ state: 'detached' });
    const names = await tab.locator('.row .name').allTextContents();
    assert.deepEqual([names[0], new Set(names).size], ['Ana', 231]);
    await bed.message(await value(bed.db, `SELECT id FROM public.conversations WHERE contact_name = 'Contact 230'`), 'from the last page');
    await until(async () => (await tab.locator('.row .name').first().textContent()) === 'Contact 230', 'it to be first');
    await count('.row', 231);
  });

  test('what is loaded again is loaded as far as it was', async () => {
    const asked = [];
    tab.on('request', (request) => { if (request.url().includes('/conversations?')) asked.push(request.url()); });
    await bed.db.query('UPDATE public.conversations SET assigned_agent_id = gen_random_uuid() WHERE id = $1', [talk]); // the list is loaded again
    await until(() => asked.length >= 3, () => `three pages, not ${asked}`);
    await count('.row', 231);
    await more('More conversations').waitFor({ state: 'detached' });
  });

  test('a conversation has more than one page, and what is seen stays where it is', async () => {
    await row('Ana').click();
    await count('.bubble', 100);
    assert.ok(await tab.locator('.bubble').last().isVisible());
    await loadEarlier(151, 200);
    await loadEarlier(51, 250);
    await more('Earlier messages').waitFor({ state: 'detached' });
    const texts = (await tab.locator('.bubble').allTextContents()).map((text) => Number(/^line (\d+?)\d\d:\d\d/.exec(text)?.[1]));
    assert.deepEqual(texts, Array.from({ length: 250 }, (_, n) => n + 1));
    await bed.message(talk, 'the newest', 'outgoing');
    await tab.locator('.bubble', { hasText: 'the newest' }).waitFor();
    assert.ok(await tab.locator('.bubble', { hasText: 'the newest' }).isVisible());
    await picture(tab, 'pages');
  });

  test('something that cannot be shown takes nothing else with it, and is tried again', async () => {
    const address = /\/conversations\/\d+\/messages/;
    await tab.route(address, (route) => route.fulfill({ json: { success: true, data: [{ id: 1, content: { not: 'a text' }, createdAt: 'never', direction: 'incoming', status: 'read' }], pagination: { hasMore: false, cursor: null } } }));
    await row('Contact 5').first().click();
    await tab.locator('.broken', { hasText: 'This could not be shown' }).waitFor();
    assert.equal(await tab.locator('.row').count(), 231);
    await picture(tab, 'broken');
    await row('Contact 230').click();
    await tab.locator('.broken').waitFor();
    await tab.unroute(address);
    await tab.getByRole('button', { name: 'Try again' }).click();
    await tab.locator('.bubble', { hasText: 'from the last page' }).waitFor();
    assert.deepEqual(failures.splice(0).filter((text) => !/Objects are not valid as a React child/.test(text)), []);
  });

  test('a token is replaced before it is over: Realtime and the backend go on, and nothing is loaded again', async () => {
    seconds = 8;
    const first = backend.token(bed.owner, { expiresIn: seconds });
    const end = Date.now() + seconds * 1000;
    await tab.close();
    tab = await open(first);
    await tab.locator('.state.live').waitFor({ timeout: 60_000 });
    await row('Ana').click();
    await count('.bubble', 100);
    await tab.evaluate(() => { window.loadedOnce = true; });
    await until(() => Date.now() > end + 2000 && renewed.length >= 2, () => `tokens to be replaced: ${renewed.length}`, 60_000);
    await tab.locator('.state.live').waitFor({ timeout: 60_000 });
    await bed.message(talk, 'after the first token', 'outgoing');
    await tab.locator('.bubble', { hasText: 'after the first token' }).waitFor();
    await tab.getByLabel('Message').fill('written with another token');
    await tab.getByLabel('Message').press('Enter');
    await tab.locator('.bubble', { hasText: 'written with another token' }).waitFor();
    assert.equal(await tab.evaluate(() => window.loadedOnce), true);
    seconds = 3600;
  });

  test('one that the backend does not take, though it should be good, is replaced once', async () => {
    const old = renewed.length;
    let refusals = 0;
    await tab.route(/\/conversations\/\d+\/messages/, (route) => (refusals++ === 0 ? route.fulfill({ status: 401, json: { error: 'Invalid or expired token', code: 'INVALID_TOKEN' } }) : route.continue()));
    await row('Contact 230').click();
    await tab.locator('.bubble', { hasText: 'from the last page' }).waitFor().catch(async () => assert.fail(`${await tab.locator('main').textContent()}`));
    assert.ok(renewed.length > old && refusals >= 2);
  });

  test('where the session is over, it says so', async () => {
    const other = await open(backend.token(bed.owner, { expiresIn: -10 }), { refused: true });
    await other.locator('.problem', { hasText: 'Your session is over' }).waitFor({ timeout: 60_000 });
    await other.close();
  });

  test('no error in any page', () => assert.deepEqual(failures, []));
});
