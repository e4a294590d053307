// The example front end in two browsers, with the example backend, the sidecar and the database behind it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Backend } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { value } from '../lib/db.mjs';
import { Line, noVite, picture, servePage } from '../lib/page.mjs';
import { sleep, until } from '../lib/wait.mjs';

describe('the example front end', { skip: noBrowser || noVite }, () => {
  let bed, backend, sidecar, page, line, here, there, ana, bia;
  const failures = [];

  before(async () => {
    bed = await Bed.create();
    sidecar = await bed.sidecar();
    backend = await Backend.unlimited(bed, { jwtSecret: sidecar.env.EMBEDDED_JWT_SECRET });
    page = await servePage({ BACKEND_URL: backend.url, REALTIME_URL: sidecar.url, VITE_SUPABASE_ANON_KEY: sidecar.anonKey, VITE_CHAT_REALTIME_PROVIDER: 'supabase' });
    bed.closing.push(() => page.close());
    line = await new Line(page.port).up();
    bed.closing.push(() => line.cut());
    ana = await bed.conversation('Ana');
    bia = await bed.conversation('Bia');
    await bed.message(bia, 'Boa tarde');
    [here, there] = await Promise.all([open(page.port, 'Carla'), open(line.port, 'Davi')]);
  });

  after(async () => {
    for (const tab of [here, there]) await tab?.context().close();
    await bed?.close();
  });

  /** A browser of its own, signed in as the owner. */
  async function open(port, name) {
    const browser = await launchBrowser({ viewport: { width: 1000, height: 640 } });
    const tab = await browser.newPage();
    tab.on('pageerror', (error) => failures.push(error.message));
    await tab.goto(`http://127.0.0.1:${port}/#token=${backend.token(bed.owner)}&name=${name}`);
    await tab.locator('.state.live').waitFor();
    return tab;
  }

  const row = (tab, name) => tab.locator('.row', { has: tab.locator('.name', { hasText: name }) });
  const bubble = (tab, text) => tab.locator('.bubble', { hasText: text });

  async function write(tab, text) {
    await tab.getByLabel('Message').fill(text);
    await tab.getByLabel('Message').press('Enter');
  }

  test('an incoming message shows in both, with an unread badge, and the conversation moves up', async () => {
    await bed.message(ana, 'Oi, tudo bem?');
    for (const tab of [here, there]) {
      await row(tab, 'Ana').locator('.badge', { hasText: '1' }).waitFor();
      await row(tab, 'Ana').locator('.preview', { hasText: 'Oi, tudo bem?' }).waitFor();
      assert.deepEqual(await tab.locator('.row .name').allTextContents(), ['Ana', 'Bia']);
    }
    await picture(there, 'inbox');
  });

  test('opening it in one browser takes the badge away in the other', async () => {
    await row(here, 'Ana').click();
    await bubble(here, 'Oi, tudo bem?').waitFor();
    await row(there, 'Ana').locator('.badge').waitFor({ state: 'detached' });
    assert.equal(await value(bed.db, 'SELECT unread_count FROM public.conversations WHERE id = $1', [ana]), 0);
  });

  test('typing shows in the other browser and goes by itself', async () => {
    await row(there, 'Ana').click();
    await bubble(there, 'Oi, tudo bem?').waitFor();
    await until(async () => {
      await here.getByLabel('Message').fill('');
      await here.getByLabel('Message').pressSequentially('Bom');
      return there.locator('.typing', { hasText: 'Carla typing' }).isVisible();
    }, 'Carla to be seen typing', 30000, 300);
    await picture(there, 'typing');
    await there.locator('.typing').waitFor({ state: 'detached' });
  });

  test('a message written in one shows in the other, once, and its ticks follow the status', async () => {
    await write(here, 'Bom dia, Ana!');
    for (const tab of [here, there]) await bubble(tab, 'Bom dia, Ana!').waitFor();
    const id = await bubble(here, 'Bom dia, Ana!').getAttribute('data-id');
    for (const status of ['delivered', 'read']) {
      await bed.db.query('UPDATE public.chat_messages SET status = $2 WHERE id = $1', [id, status]);
      for (const tab of [here, there]) await bubble(tab, 'Bom dia, Ana!').locator(`.status.${status}`).waitFor();
    }
    for (const tab of [here, there]) assert.equal(await bubble(tab, 'Bom dia, Ana!').count(), 1);
    await picture(here, 'thread');
  });

  test('an edit and a deletion show', async () => {
    const id = await bed.message(ana, 'Quero dois');
    await bubble(there, 'Quero dois').waitFor();
    // The page says that it was read, conversation first; this statement takes the message first, and one of both would be refused (40P01).
    await until(async () => await value(bed.db, 'SELECT status FROM public.chat_messages WHERE id = $1', [id]) === 'read', 'the message to be read');
    await bed.db.query('UPDATE public.chat_messages SET content = $2 WHERE id = $1', [id, 'Quero três']);
    await bubble(there, 'Quero três').waitFor();
    await bed.db.query('DELETE FROM public.chat_messages WHERE id = $1', [id]);
    await bubble(there, 'Quero três').waitFor({ state: 'detached' });
  });

  test('what a participant forges changes nothing but who is typing', async () => {
    const before = await there.locator('.bubble').allTextContents();
    const id = Number(await bubble(there, 'Bom dia, Ana!').getAttribute('data-id'));
    const say = (event, payload) => fetch(`${sidecar.url}/api/broadcast`, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${backend.token(bed.owner)}` },
      body: JSON.stringify({ messages: ['conversation', 'presence'].map((kind) => ({ topic: `${kind}:${ana}`, event, payload, private: true, id: '9007199254740991' })) }) });
    await say('message.deleted', { id, conversationId: Number(ana) });
    await say('message.new', { id: 99999, conversationId: Number(ana), content: 'forged', direction: 'incoming', status: 'read', createdAt: new Date() });
    for (const payload of [null, [], { conversationId: 0, userId: 'x', isTyping: true }, { conversationId: ana, userId: { a: 1 }, isTyping: true }]) await say('presence.typing', payload);
    await say('presence.typing', { conversationId: ana, userId: 'x', username: 'Eva'.repeat(100), isTyping: true });
    await there.locator('.typing', { hasText: 'EvaEva' }).waitFor();
    assert.equal(await there.locator('.typing').textContent(), `${'Eva'.repeat(20)} typing…`);
    assert.deepEqual(await there.locator('.bubble').allTextContents(), before);
    await bed.message(ana, 'after the forgery');
    await bubble(there, 'after the forgery').waitFor();
  });

  test('offline and back: nothing missing, nothing twice', async () => {
    await line.cut();
    await there.locator('.state', { hasText: 'polling' }).waitFor({ timeout: 60000 });
    const written = Array.from({ length: 150 }, (_, n) => `missed ${String(n).padStart(3, '0')}`);
    for (const text of written) await bed.message(ana, text, 'outgoing');
    await bed.message(bia, 'E eu?');
    await line.up();
    const shown = async (tab) => (await tab.locator('.bubble').allTextContents()).map((text) => /missed \d{3}/.exec(text)?.[0]).filter(Boolean);
    await until(async () => (await shown(there)).length >= written.length, async () => `150 messages, not ${(await shown(there)).length}`, 60000, 200);
    await row(there, 'Bia').locator('.preview', { hasText: 'E eu?' }).waitFor();
    await there.locator('.state.live').waitFor({ timeout: 60000 });
    await write(here, 'now live again');
    await bubble(there, 'now live again').waitFor();
    for (const tab of [here, there]) assert.deepEqual(await shown(tab), written);
  });

  test('while Realtime stays away the page polls', async () => {
    await sidecar.kill('SIGTERM');
    for (const tab of [here, there]) await tab.locator('.state', { hasText: 'polling' }).waitFor({ timeout: 60000 });
    await write(here, 'without Realtime');
    await bubble(there, 'without Realtime').waitFor();
    sidecar.run();
    await sidecar.ready();
    for (const tab of [here, there]) await tab.locator('.state.live').waitFor({ timeout: 60000 });
    await sleep(200);
    for (const tab of [here, there]) assert.equal(await bubble(tab, 'without Realtime').count(), 1);
  });

  test('switching between conversations and back stays live', async () => {
    for (let n = 0; n < 3; n++) for (const name of ['Bia', 'Ana']) await row(there, name).click();
    await bubble(there, 'now live again').waitFor();
    await bed.message(ana, 'still here?');
    await bubble(there, 'still here?').waitFor();
  });

  test('no error in any page', () => assert.deepEqual(failures, []));
});
