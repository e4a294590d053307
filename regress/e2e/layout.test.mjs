// A layout that was written for two hooks of one shape and a flag between them (fixtures/front-end), on the example's
// useSupabaseRealtime, in browsers.
import assert from 'node:assert/strict';
import { cpSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Backend } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { example, Line, noVite, servePage } from '../lib/page.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { root, temporaryDirectory } from '../lib/workspace.mjs';

/** The example's sources with the fixture's page in place of its own. */
function frontEnd() {
  const directory = temporaryDirectory();
  cpSync(example, directory, { recursive: true, filter: (file) => !file.includes('node_modules') });
  cpSync(path.join(root, 'regress/fixtures/front-end'), path.join(directory, 'src'), { recursive: true });
  symlinkSync(path.join(example, 'node_modules'), path.join(directory, 'node_modules'));
  return directory;
}

describe('a layout over useSupabaseRealtime', { skip: noBrowser || noVite }, () => {
  let bed, backend, sidecar, page, line, here, there, ana, bia, env;
  const failures = [];

  before(async () => {
    bed = await Bed.create();
    sidecar = await bed.sidecar();
    backend = await Backend.unlimited(bed, { jwtSecret: sidecar.env.EMBEDDED_JWT_SECRET });
    env = { BACKEND_URL: backend.url, REALTIME_URL: sidecar.url, VITE_SUPABASE_ANON_KEY: sidecar.anonKey };
    page = await servePage({ ...env, VITE_CHAT_REALTIME_PROVIDER: 'supabase' }, { directory: frontEnd() });
    bed.closing.push(() => page.close());
    line = await new Line(page.port).up();
    bed.closing.push(() => line.cut());
    [ana, bia] = [await bed.conversation('Ana'), await bed.conversation('Bia')];
    [here, there] = await Promise.all([open(page.port, 'Carla'), open(line.port, 'Davi')]);
    await live(here);
    await live(there);
  });

  after(async () => {
    for (const tab of [here, there]) await tab?.context().close();
    await bed?.close();
  });

  async function open(port, name) {
    const browser = await launchBrowser();
    const tab = await browser.newPage();
    tab.on('pageerror', (error) => failures.push(error.message));
    await tab.goto(`http://127.0.0.1:${port}/#token=${backend.token(bed.owner)}&name=${name}&user=${bed.owner}&conversations=${ana},${bia}`);
    await tab.locator('main').waitFor();
    return tab;
  }
  const section = (tab, id) => tab.locator(`section[data-conversation="${id}"]`);
  const texts = (tab, id) => section(tab, id).locator('li').allTextContents();
  const live = (tab) => tab.locator('main[data-connected="true"]').waitFor({ timeout: 60000 });

  const written = {}; // by conversation
  async function say(id, text, direction) {
    (written[id] ??= []).push(text);
    return bed.message(id, text, direction);
  }

  test('it compiles, and several conversations are live at once, each message once and in its own', async () => {
    await until(async () => {
      await bed.message(ana, 'hello');
      await bed.message(bia, 'hello');
      for (const tab of [here, there]) for (const id of [ana, bia]) if (!(await texts(tab, id)).length) return false;
      return true;
    }, 'all four channels', 60000, 300);
    for (const id of [ana, bia]) for (let n = 0; n < 20; n++) await say(id, `${id} says ${n}`, n % 2 ? 'incoming' : 'outgoing');
    for (const tab of [here, there]) {
      for (const id of [ana, bia]) {
        await until(async () => (await texts(tab, id)).includes(`${id} says 19`), 'the last one');
        assert.deepEqual((await texts(tab, id)).filter((text) => / says /.test(text)), written[id], 'once each, in order');
        const ids = await section(tab, id).locator('li').evaluateAll((items) => items.map((item) => item.dataset.id));
        assert.equal(new Set(ids).size, ids.length, 'nothing twice');
      }
    }
  });

  test('conversations: counters, a status, one that is new', async () => {
    await bed.db.query(`UPDATE public.conversations SET status = 'pending' WHERE id = $1`, [bia]);
    const fresh = await bed.conversation('Caio');
    for (const tab of [here, there]) {
      await tab.locator(`section[data-conversation="${bia}"][data-status="pending"]`).waitFor();
      await tab.locator(`p[data-updated="${fresh}"]`, { hasText: 'Caio' }).waitFor();
      const { rows: [{ unread_count: unread }] } = await bed.db.query('SELECT unread_count FROM public.conversations WHERE id = $1', [ana]);
      await tab.locator(`section[data-conversation="${ana}"][data-unread="${unread}"]`).waitFor();
    }
  });

  test('typing: from browser to browser and from the backend, in its conversation, and it ends by itself', async () => {
    await until(async () => {
      await here.getByLabel(`Message ${bia}`).fill('');
      await here.getByLabel(`Message ${bia}`).pressSequentially('Bom');
      return section(there, bia).locator('p', { hasText: 'Carla' }).isVisible();
    }, 'Carla to be seen typing', 30000, 300);
    assert.equal(await section(there, ana).locator('p').textContent(), '');
    await until(async () => await section(there, bia).locator('p').textContent() === '', 'it to end', 30000);
    await bed.db.query(`SELECT chat.presence($1, 'typing', user_id => 'bot', username => 'Robô', is_typing => true)`, [ana]);
    await section(there, ana).locator('p', { hasText: 'Robô' }).waitFor();
  });

  test('what an old service still broadcasts by hand, without an event\'s id, is not told a second time', async () => {
    const service = roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET);
    const twice = async (id) => {
      const body = { messages: [{ topic: `conversation:${ana}`, event: 'message.new', private: true, ...(id && { id }),
        payload: { id: 987654, conversationId: Number(ana), content: 'by hand', direction: 'incoming', status: 'read', createdAt: new Date() } }] };
      const answer = await fetch(`${sidecar.url}/api/broadcast`, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', authorization: `Bearer ${service}` } });
      assert.equal(answer.status, 202);
    };
    for (const id of [undefined, '6a1f9c5e-6f0b-4f57-9a55-0c3c7e3d8f10', 'new', '1e3', '99999999999999999999']) await twice(id);
    await say(ana, 'after it');
    for (const tab of [here, there]) {
      await section(tab, ana).locator('li', { hasText: 'after it' }).waitFor();
      assert.ok(!(await texts(tab, ana)).includes('by hand'));
    }
  });

  test('offline and back: what was missed is told, once', async () => {
    await line.cut();
    await there.locator('main[data-connected="false"]').waitFor({ timeout: 60000 });
    for (let n = 0; n < 120; n++) await say(bia, `missed ${n}`);
    await line.up();
    for (const tab of [here, there]) {
      await until(async () => (await texts(tab, bia)).filter((text) => /missed/.test(text)).length >= 120, 'all of them', 60000, 200);
    }
    await live(there);
    await say(bia, 'live again');
    for (const tab of [here, there]) {
      await section(tab, bia).locator('li', { hasText: 'live again' }).waitFor();
      assert.deepEqual((await texts(tab, bia)).filter((text) => text !== 'hello').toSorted(), written[bia].toSorted());
    }
  });

  test('a conversation that is left is not heard any more, the other one is', async () => {
    await here.getByText(`Close ${ana}`).click();
    await section(here, ana).waitFor({ state: 'detached' });
    await say(bia, 'only Bia');
    await section(here, bia).locator('li', { hasText: 'only Bia' }).waitFor();
  });

  test('without the flag it is on Socket.IO, and this hook is silent', async () => {
    const old = await servePage(env, { directory: frontEnd(), check: false });
    bed.closing.push(() => old.close());
    const tab = await open(old.port, 'Eva');
    assert.equal(await tab.locator('main').getAttribute('data-flag'), 'socketio');
    await say(ana, 'told by the other hook');
    await section(there, ana).locator('li', { hasText: 'told by the other hook' }).waitFor();
    await sleep(500); // would this one tell it as well
    assert.equal(await tab.locator('main').getAttribute('data-connected'), 'false');
    assert.deepEqual(await texts(tab, ana), []);
    await tab.context().close();
  });

  test('no error in any page', () => assert.deepEqual(failures, []));
});
