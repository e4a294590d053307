// The page of make demo in two tabs of a real browser, also while the sidecar or the network is away.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { World } from '../../examples/demo/world.mjs';
import { textMessage } from '../../examples/demo/wuzapi.mjs';
import { fixture } from '../lib/bed.mjs';
import { addDirectory } from '../lib/janitor.mjs';
import { until } from '../lib/wait.mjs';
import { workspace } from '../lib/workspace.mjs';

const chromium = '/usr/bin/chromium';

describe('the page', { skip: !existsSync(chromium) && `needs ${chromium}` }, () => {
  let world, browser, agent, contact;
  const failures = [];

  before(async () => {
    process.env.DEMO_STAGE = (await workspace()).stage;
    world = await World.create();
    await world.backend.ingest(fixture('text.json'));
    const { chromium: driver } = await import('playwright-core');
    const profile = mkdtempSync(path.join(os.tmpdir(), 'chat_realtime-chromium-'));
    addDirectory(profile);
    browser = await driver.launchPersistentContext(profile, { executablePath: chromium, headless: true, viewport: { width: 1100, height: 700 },
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'] });
    browser.setDefaultTimeout(30_000);
    [agent, contact] = await Promise.all(['/?as=agent', '/?as=contact'].map(open));
  });

  after(async () => {
    await browser?.close();
    await world?.close();
  });

  async function open(address) {
    const page = await browser.newPage();
    page.on('pageerror', (error) => failures.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(world.page.url)) failures.push(`request to ${request.url()}`);
    });
    await page.goto(world.page.url + address);
    await page.waitForSelector('#state[data-live]');
    return page;
  }

  const entry = (page, name) => page.locator('#list button', { has: page.locator('.name', { hasText: name }) });
  const bubble = (page, text) => page.locator('.bubble', { hasText: text });

  async function write(page, text) {
    await page.fill('#text', text);
    await page.press('#text', 'Enter');
  }

  test('the inbox shows the conversation with preview and unread badge; reading it takes the badge away', async () => {
    await entry(agent, 'Ana').locator('.preview', { hasText: 'oi, tudo bem?' }).waitFor();
    assert.equal(await entry(agent, 'Ana').locator('.badge').textContent(), '1 unread');
    await entry(agent, 'Ana').click();
    await bubble(agent, 'oi, tudo bem?').waitFor();
    await entry(agent, 'Ana').locator('.badge').waitFor({ state: 'detached' });
  });

  test('what the contact types and writes shows on the agent\'s side, and its ticks turn to read', async () => {
    await entry(contact, 'Ana').click();
    await contact.fill('#text', 'Bom');
    await agent.locator('#thread-note', { hasText: 'typing' }).waitFor();
    await write(contact, 'Bom dia!');
    await bubble(agent, 'Bom dia!').waitFor();
    await agent.locator('#thread-note', { hasText: '+55' }).waitFor();
    await bubble(contact, 'Bom dia!').locator('.tick.read').waitFor();
  });

  test('what the agent writes shows on the contact\'s side and is delivered, then read', async () => {
    await write(agent, 'Olá Ana, como posso ajudar?');
    await bubble(contact, 'como posso ajudar').waitFor();
    await bubble(agent, 'como posso ajudar').locator('.tick.read').waitFor();
  });

  test('a new contact appears in the open inbox', async () => {
    await contact.click('#new');
    await contact.fill('#new-name', 'Bruno');
    await contact.fill('#new-text', 'Primeira mensagem');
    await contact.press('#new-text', 'Enter');
    assert.equal(await entry(agent, 'Bruno').locator('.badge').textContent(), '1 unread');
    await entry(contact, 'Ana').click();
  });

  test('markup in names and messages stays text', async () => {
    const nasty = '<img src=x onerror="document.title=1">';
    await world.backend.ingest(textMessage({ jid: '5511900000099@s.whatsapp.net', name: nasty, text: `inert ${nasty}` }));
    const row = agent.locator('#list button').filter({ hasText: 'inert' });
    await row.click();
    await agent.locator('.bubble', { hasText: 'inert' }).waitFor();
    assert.equal(await agent.locator('#main img').count(), 0);
    assert.match(await agent.title(), /^Agent/);
    await entry(agent, 'Ana').click();
  });

  test('without the sidecar it says so; after it is back it catches up with what it missed', async () => {
    const { sidecar } = world;
    await sidecar.kill('SIGKILL');
    await agent.locator('#state', { hasText: 'Reconnecting' }).waitFor();
    for (let i = 1; i <= 3; i++) {
      await world.backend.ingest(textMessage({ jid: '5511900000001@s.whatsapp.net', name: 'Ana', text: `offline ${i}` }));
    }
    sidecar.run();
    await sidecar.ready();
    for (const page of [agent, contact]) {
      await page.locator('#state[data-live]').waitFor({ timeout: 60_000 });
      for (let i = 1; i <= 3; i++) assert.equal(await bubble(page, `offline ${i}`).count(), 1);
      await entry(page, 'Ana').locator('.preview', { hasText: 'offline 3' }).waitFor();
    }
    // The new sidecar delivers what the page has from its catching up, then this.
    await write(contact, 'de volta');
    for (const page of [agent, contact]) {
      await bubble(page, 'de volta').waitFor();
      assert.equal(await bubble(page, 'offline').count(), 3);
    }
  });

  test('a browser that was offline catches up too', async () => {
    await browser.setOffline(true);
    await agent.locator('#state', { hasText: 'Reconnecting' }).waitFor();
    await world.backend.ingest(textMessage({ jid: '5511900000001@s.whatsapp.net', name: 'Ana', text: 'sem rede' }));
    await browser.setOffline(false);
    for (const page of [agent, contact]) {
      await bubble(page, 'sem rede').waitFor({ timeout: 60_000 });
      await page.locator('#state[data-live]').waitFor({ timeout: 60_000 });
    }
  });

  test('on a narrow screen list and thread take turns', async () => {
    await agent.setViewportSize({ width: 390, height: 760 });
    assert.ok(await agent.locator('#messages').isVisible());
    assert.ok(!await agent.locator('#list').isVisible());
    await agent.click('#back');
    assert.ok(await agent.locator('#list').isVisible());
    assert.ok(!await agent.locator('#messages').isVisible());
    assert.ok(await agent.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
  });

  test('the stage: whatever is broken, all that is committed arrives, and nothing twice', async () => {
    await world.stage.fillDay();
    await world.stage.start();
    const stage = await browser.newPage();
    stage.on('pageerror', (error) => failures.push(error.message));
    await stage.goto(`${world.page.url}/#key=${world.stage.key}`);
    for (const frame of ['#desk', '#phone']) await stage.frameLocator(frame).locator('#state[data-live]').waitFor();
    assert.ok(await stage.frameLocator('#desk').locator('.picture').isVisible(), 'the first one is open, with its picture');
    assert.ok(await stage.frameLocator('#phone').locator('.voice').isVisible());
    const counts = () => stage.evaluate(() => ['committed', 'arrived', 'lost', 'twice'].map((id) => Number(document.getElementById(id).textContent)));
    let before = (await counts())[0];
    for (const [what, done, least] of [['burst', /in one statement/, 500], ['sidecar', /runs again/, 3], ['receiver', /receiver is back/, 1], ['database', /is back/, 1]]) {
      await stage.click(`[data-break=${what}]`);
      await stage.locator('#note', { hasText: done }).waitFor({ timeout: 60_000 });
      await until(async () => {
        const [committed, arrived, lost, twice] = await counts();
        return committed >= before + least && arrived === committed && lost === 0 && twice === 0;
      }, async () => `all of what ${what} wrote; ${await counts()}`, 60_000);
      [before] = await counts();
      await until(() => !world.stage.busy, 'the end of it', 30_000);
    }
    await stage.click('#offline');
    await until(async () => {
      const [committed, arrived, lost, twice] = await counts();
      return committed >= before + 500 && arrived === committed && lost === 0 && twice === 0;
    }, async () => `what was written while it was offline; ${await counts()}`, 60_000);
    await until(async () => (await stage.locator('#events tr').count()) > 3, 'rows of events');
    assert.equal(await stage.locator('#events tr.problem').count(), 0);
    await stage.setViewportSize({ width: 360, height: 780 });
    assert.ok(await stage.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it scrolls sideways');
    await stage.close();
  });

  test('nobody breaks anything without the key, or from another page', async () => {
    const { url } = world.page;
    const attempt = async (headers) => (await fetch(`${url}/api/break`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: '{"what":"sidecar"}' })).status;
    assert.equal(await attempt({ origin: url }), 403);
    assert.equal(await attempt({ origin: url, 'X-Demo-Key': 'x'.repeat(world.stage.key.length) }), 403);
    assert.equal(await attempt({ origin: 'http://elsewhere.example', 'X-Demo-Key': world.stage.key }), 403);
    assert.equal(await attempt({ 'X-Demo-Key': world.stage.key }), 403);
    assert.ok(world.sidecar.running);
  });

  test('what is pressed a hundred times at once happens once, and what is not there not at all', async () => {
    const { url } = world.page;
    const press = async (body) => (await fetch(`${url}/api/break`, { method: 'POST', headers: { 'Content-Type': 'application/json', origin: url, 'X-Demo-Key': world.stage.key }, body })).status;
    for (const body of ['null', '{}', '{"what":"constructor"}', '{"what":"valueOf"}', '{"what":["sidecar"]}']) assert.equal(await press(body), 400, body);
    assert.equal(Array.from({ length: 100 }, () => world.stage.break('burst')).filter(Boolean).length, 1);
    await world.stage.busy;
    assert.equal(await press('{"what":"burst"}'), 202);
    await world.stage.busy;
  });

  test('a sidecar that is dead already runs again, and so does one where nothing can be written meanwhile', async () => {
    await world.sidecar.kill('SIGKILL');
    world.stage.break('sidecar');
    await world.stage.busy;
    assert.ok(world.sidecar.running && !world.stage.breaking);
    const { backend } = world;
    world.backend = { conversations: () => { throw new Error('no backend'); } };
    world.stage.break('sidecar');
    await world.stage.busy;
    world.backend = backend;
    assert.ok(world.sidecar.running && !world.stage.breaking);
  });

  test('streams of events are bounded, and one that nobody reads is closed', async () => {
    const { stage } = world;
    await until(() => stage.listeners.size === 0, 'the pages to be gone');
    const sockets = [];
    const open = () => new Promise((resolve, reject) => {
      const socket = net.connect(world.page.listener.port, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', reject);
      socket.once('data', (chunk) => {
        socket.pause(); // nothing more of it is read
        resolve(Number(String(chunk).split(' ')[1]));
      });
      socket.write(`GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:${world.page.listener.port}\r\n\r\n`);
    });
    for (let n = 0; n < 32; n++) assert.equal(await open(), 200);
    assert.deepEqual([await open(), stage.listeners.size], [503, 32]);
    await until(() => {
      stage.tell('note', { text: 'x'.repeat(1 << 20) });
      return stage.listeners.size === 0;
    }, 'those that do not read to be closed', 30_000);
    assert.equal(await open(), 200);
    for (const socket of sockets) socket.destroy();
  });

  test('nothing failed in the page, and it asked no other address', () => {
    assert.deepEqual(failures, []);
  });

  test('the server refuses foreign hosts, forms and bad input', async () => {
    const { url } = world.page;
    const refused = async (address, options = {}) => (await fetch(url + address, options)).status;
    const json = (body) => ({ method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
    assert.equal(await refused('/nothing'), 404);
    for (const address of ['/', '/api/session', '/api/stream']) assert.equal(await refused(address, { headers: { origin: 'http://elsewhere.example' } }), 403, address);
    for (const origin of ['null', 'http://elsewhere.example', `${url}.example`, url.replace('http', 'https')]) {
      assert.equal(await refused('/webhook/wuzapi', { ...json('{}'), headers: { 'Content-Type': 'application/json', origin } }), 403, origin);
    }
    assert.equal(await refused('/../demo.mjs'), 404);
    assert.equal(await refused('/webhook/wuzapi', { method: 'POST', body: '{}', headers: { 'Content-Type': 'text/plain' } }), 415);
    assert.equal(await refused('/webhook/wuzapi', json('{')), 400);
    assert.equal(await refused('/webhook/wuzapi', json('{"type":"Message"}')), 400);
    assert.equal(await refused('/api/agent/message', json('{"conversation":"1"}')), 400);
    assert.equal(await refused('/api/agent/message', json('{"conversation":"999999","text":"x"}')), 404);
    assert.equal(await refused('/api/agent/message', json('{"conversation":"1; DROP","text":"x"}')), 400);
    assert.equal(await refused('/api/events?topic=conversation:999999&after=0'), 404);
    assert.equal(await refused('/webhook/wuzapi', json(`"${'x'.repeat(1 << 20)}"`)), 413);
  });

  test('a WebSocket of another page, or by another name, is not passed on', async () => {
    const address = `${world.page.url.replace('http', 'ws')}/realtime/v1/websocket?vsn=1.0.0&apikey=${world.sidecar.anonKey}`;
    const told = (options) => new Promise((resolve) => {
      const socket = new WebSocket(address, options);
      socket.on('open', () => { socket.close(); resolve(101); });
      socket.on('unexpected-response', (request, response) => { request.destroy(); resolve(response.statusCode); });
      socket.on('error', () => {});
    });
    assert.deepEqual([await told({}), await told({ origin: world.page.url })], [101, 101]);
    assert.equal(await told({ origin: 'http://elsewhere.example' }), 403);
    assert.equal(await told({ headers: { host: 'elsewhere.example' } }), 421);
  });
});
