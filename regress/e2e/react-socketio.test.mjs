// The example front end while the help desk moves from Socket.IO to Realtime: built for Socket.IO alone, and for both.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Backend } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { value } from '../lib/db.mjs';
import { noVite, picture, servePage } from '../lib/page.mjs';
import { SocketIoServer } from '../lib/socketio-server.mjs';
import { sleep, until } from '../lib/wait.mjs';

for (const provider of ['socketio', 'both']) {
  describe(`the example front end with ${provider}`, { skip: noBrowser || noVite }, () => {
    let bed, backend, sidecar, old, page, ana, bia;
    const tabs = [];
    const failures = [];

    before(async () => {
      bed = await Bed.create();
      sidecar = await bed.sidecar();
      backend = await Backend.unlimited(bed, { jwtSecret: sidecar.env.EMBEDDED_JWT_SECRET });
      old = await SocketIoServer.start();
      bed.closing.push(() => old.down());
      page = await servePage({ BACKEND_URL: backend.url, REALTIME_URL: sidecar.url, SOCKET_URL: old.url, VITE_SUPABASE_ANON_KEY: sidecar.anonKey, VITE_CHAT_REALTIME_PROVIDER: provider },
        { check: false }); // react.test.mjs does
      bed.closing.push(() => page.close());
      [ana, bia] = [await bed.conversation('Ana Souza'), await bed.conversation('Bia Lima')];
      await bed.message(bia, 'Boa tarde, o pedido chegou?');
      for (const name of ['Carla', 'Davi']) tabs.push(await open(name));
    });

    after(async () => {
      for (const tab of tabs) await tab.context().close();
      await bed?.close();
    });

    async function open(name) {
      const browser = await launchBrowser({ viewport: { width: 1000, height: 640 } });
      const tab = await browser.newPage();
      tab.on('pageerror', (error) => failures.push(error.message));
      await tab.goto(`http://127.0.0.1:${page.port}/#token=${backend.token(bed.owner)}&name=${name}`);
      await tab.locator('.state.live').waitFor();
      return tab;
    }

    const row = (tab, name) => tab.locator('.row', { has: tab.locator('.name', { hasText: name }) });
    const bubble = (tab, text) => tab.locator('.bubble', { hasText: text });

    /** What the old server does after each step: it tells by hand what it has written. */
    function tell(conversation, event, payload) {
      old.emit(`conversation:${conversation}`, event, payload);
      old.emit(`user:${bed.owner}`, 'conversation_update', { conversationId: conversation });
    }
    async function say(conversation, content, direction = 'incoming') {
      const id = await bed.message(conversation, content, direction);
      tell(conversation, 'new_message', { conversationId: conversation, message: { id, content } });
      return id;
    }
    const shown = async (tab, pattern) => (await tab.locator('.bubble').allTextContents()).map((text) => pattern.exec(text)?.[0]).filter(Boolean);

    test('a message shows in inbox and conversation, and its ticks follow', async () => {
      const [here, there] = tabs;
      await say(ana, 'Oi, tudo bem?');
      for (const tab of tabs) await row(tab, 'Ana').locator('.badge', { hasText: '1' }).waitFor();
      await picture(there, `${provider}-inbox`);
      await row(here, 'Ana').click();
      await bubble(here, 'Oi, tudo bem?').waitFor();
      tell(ana, 'message_status_update', {}); // the page has marked it as read
      await until(async () => {
        old.emit(`user:${bed.owner}`, 'conversation_update', {});
        return await row(there, 'Ana').locator('.badge').count() === 0;
      }, 'the badge to go', 30000, 300);
      await row(there, 'Ana').click();
      await until(() => old.clients(`conversation:${ana}`) === 2, 'both to be in the room', 30000);
      const sent = await say(ana, 'Bom dia, Ana!', 'outgoing');
      for (const tab of tabs) await bubble(tab, 'Bom dia, Ana!').waitFor();
      await bed.db.query(`UPDATE public.chat_messages SET status = 'read' WHERE id = $1`, [sent]);
      tell(ana, 'message_status_update', { messageId: sent, status: 'read' });
      for (const tab of tabs) await bubble(tab, 'Bom dia, Ana!').locator('.status.read').waitFor();
      await bed.db.query(`UPDATE public.chat_messages SET content = 'Bom dia, Ana Souza!' WHERE id = $1`, [sent]);
      tell(ana, 'message_update', { messageId: sent });
      for (const tab of tabs) await bubble(tab, 'Bom dia, Ana Souza!').waitFor();
      await picture(here, `${provider}-thread`);
    });

    test('a conversation that is new shows', async () => {
      const conversation = await bed.conversation('Caio Prado');
      await bed.message(conversation, 'Alguém aí?');
      old.emit(`user:${bed.owner}`, 'new_conversation', { id: conversation });
      for (const tab of tabs) await row(tab, 'Caio').locator('.badge', { hasText: '1' }).waitFor();
    });

    test('typing shows in the other browser, once, and goes by itself', async () => {
      const [here, there] = tabs;
      await until(async () => {
        await here.getByLabel('Message').fill('');
        await here.getByLabel('Message').pressSequentially('Bom');
        return there.locator('.typing', { hasText: 'Carla typing' }).isVisible();
      }, 'Carla to be seen typing', 30000, 300);
      assert.equal(await there.locator('.typing').textContent(), 'Carla typing…');
      await picture(there, `${provider}-typing`);
      await there.locator('.typing').waitFor({ state: 'detached' });
      await here.getByLabel('Message').fill('');
    });

    test('many messages come once each, in order', async () => {
      const written = Array.from({ length: 60 }, (_, n) => `burst ${String(n).padStart(2, '0')}`);
      for (const text of written) await say(ana, text, 'outgoing');
      for (const tab of tabs) await until(async () => (await shown(tab, /burst \d\d/)).length >= written.length, 'all of them', 60000, 200);
      await sleep(500); // would anything come twice
      for (const tab of tabs) assert.deepEqual(await shown(tab, /burst \d\d/), written);
      for (const tab of tabs) await row(tab, 'Ana').locator('.preview', { hasText: written.at(-1) }).waitFor();
      await picture(tabs[1], `${provider}-burst`);
    });

    test('Socket.IO goes away and comes back: nothing is missing', async () => {
      await old.down();
      const state = provider === 'both' ? '.state.live' : '.state:not(.live)';
      for (const tab of tabs) await tab.locator(state).waitFor({ timeout: 60000 });
      await bed.message(ana, 'while it was away', 'outgoing');
      for (const tab of tabs) await bubble(tab, 'while it was away').waitFor(); // by Realtime, or by asking
      await old.up();
      await until(() => old.clients(`conversation:${ana}`) === 2, 'both to be back', 60000);
      for (const tab of tabs) await tab.locator('.state.live').waitFor();
      await say(ana, 'back again', 'outgoing');
      for (const tab of tabs) await bubble(tab, 'back again').waitFor();
    });

    test('Realtime goes away: Socket.IO carries on alone', async () => {
      await sidecar.kill('SIGTERM');
      await say(ana, 'without Realtime', 'outgoing');
      for (const tab of tabs) {
        await bubble(tab, 'without Realtime').waitFor();
        assert.equal(await tab.locator('.state.live').count(), 1, 'still live');
      }
      sidecar.run();
      await sidecar.ready();
      await say(ana, 'and with it', 'outgoing');
      for (const tab of tabs) await bubble(tab, 'and with it').waitFor();
      await sleep(500);
      for (const tab of tabs) for (const text of ['while it was away', 'back again', 'without Realtime', 'and with it']) assert.equal(await bubble(tab, text).count(), 1, text);
    });

    test('what is written in the page arrives at the other, once', async () => {
      const [here, there] = tabs;
      await here.getByLabel('Message').fill('Da página');
      await here.getByLabel('Message').press('Enter');
      await bubble(here, 'Da página').waitFor();
      tell(ana, 'new_message', {}); // the old server sends and tells
      await bubble(there, 'Da página').waitFor();
      for (const tab of tabs) assert.equal(await bubble(tab, 'Da página').count(), 1);
      assert.equal(await value(bed.db, `SELECT count(*) FROM public.chat_messages WHERE content = 'Da página'`), 1);
    });

    test('no error in any page', () => assert.deepEqual(failures, []));
  });
}
