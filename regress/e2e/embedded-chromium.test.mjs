// supabase-js, unchanged, in Chromium at the embedded endpoint: StrictMode's double mount, presence, and a page that slept.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { Line } from '../lib/page.mjs';
import { noReact, reactScript } from '../lib/react-page.mjs';
import { until } from '../lib/wait.mjs';

const limit = 30000;
const umd = (name) => path.join(path.dirname(createRequire(import.meta.url).resolve(name)), name.endsWith('2024') ? '../umd/supabase.js' : 'umd/supabase.js');

/** In the page: a component on a conversation's channel, which notes what it hears and who is there. */
function start({ url, key, token, topic, name }) {
  Object.assign(window, { token, heard: [], states: [], shown: {} });
  const client = window.supabase.createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false }, accessToken: async () => window.token,
    realtime: { reconnectAfterMs: () => 100, heartbeatIntervalMs: 1000 } });
  window.client = client;
  const { createElement, StrictMode, useEffect } = window.React;
  function Conversation() {
    useEffect(() => {
      window.mounts = (window.mounts ?? 0) + 1;
      const channel = client.channel(topic, { config: { private: true, presence: { key: name, enabled: true } } });
      channel.on('broadcast', { event: 'message.new' }, (said) => window.heard.push(said.payload.content));
      channel.on('presence', { event: 'sync' }, () => { window.shown = JSON.parse(JSON.stringify(channel.presenceState())); });
      channel.subscribe((state) => {
        window.states.push(state);
        if (state === 'SUBSCRIBED') channel.track({ isTyping: true });
      });
      return () => { client.removeChannel(channel); };
    }, []);
    return null;
  }
  window.page = window.createRoot(document.body.appendChild(document.createElement('div')));
  Promise.resolve(client.realtime.setAuth(token)).then(() => window.page.render(createElement(StrictMode, null, createElement(Conversation))));
}

describe('supabase-js in Chromium', { skip: noBrowser || noReact }, () => {
  let bed, browser, pages, sidecar, line, conversation, topic;

  before(async () => {
    bed = await Bed.create();
    conversation = await bed.conversation('Ana');
    topic = `conversation:${conversation}`;
    sidecar = await bed.sidecar();
    line = await new Line(Number(new URL(sidecar.url).port)).up();
    bed.closing.push(() => line.cut());
    // An empty page, and the clients' scripts.
    pages = createServer((request, response) => {
      const name = /^\/(.+)\.js$/.exec(request.url)?.[1];
      response.writeHead(200, { 'content-type': name ? 'text/javascript' : 'text/html' });
      response.end(name ? readFileSync(umd(name)) : '<!doctype html><title>a page</title>');
    });
    await new Promise((resolve) => { pages.listen(0, '127.0.0.1', resolve); });
    browser = await launchBrowser();
  });

  after(async () => {
    await browser?.close();
    pages?.closeAllConnections();
    pages?.close();
    await bed?.close();
  });

  async function open(name) {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${pages.address().port}/`);
    await page.addScriptTag({ url: `/${name}.js` });
    await page.addScriptTag({ content: reactScript() });
    await page.evaluate(start, { url: `http://127.0.0.1:${line.port}`, key: sidecar.anonKey, token: sidecar.token(bed.owner), topic, name });
    await until(async () => (await page.evaluate(() => window.states)).at(-1) === 'SUBSCRIBED', async () => `SUBSCRIBED: ${await page.evaluate(() => window.states)}`, limit);
    return page;
  }

  const hears = (page, content) => until(async () => (await page.evaluate(() => window.heard)).includes(content), `${content}`, limit);
  const sees = (page, names) => until(async () => (await page.evaluate(() => Object.keys(window.shown))).sort().join() === names.join(), async () => `${names}: ${JSON.stringify(await page.evaluate(() => window.shown))}`, limit);

  test('mounted twice by StrictMode it hears once, is there once, and is gone when it is unmounted', async () => {
    const tabs = [await open('supabase-js-latest'), await open('supabase-js-2024')];
    for (const page of tabs) {
      assert.equal(await page.evaluate(() => window.mounts), 2);
      await sees(page, ['supabase-js-2024', 'supabase-js-latest']);
    }
    for (const content of ['one', 'two']) {
      await bed.message(conversation, content);
      for (const page of tabs) await hears(page, content);
    }
    for (const page of tabs) assert.deepEqual(await page.evaluate(() => window.heard), ['one', 'two']);
    await tabs[1].evaluate(() => window.page.unmount());
    await sees(tabs[0], ['supabase-js-latest']);
    for (const page of tabs) await page.close();
    await until(async () => await sidecar.metric('chat_realtime_embedded_presences') === 0, 'nobody to be there', limit);
  });

  test('a page that slept without a network comes back with its next token', async () => {
    const page = await open('supabase-js-latest');
    const seen = (state) => page.evaluate((wanted) => window.states.filter((s) => s === wanted).length, state);
    await line.cut();
    await until(async () => await seen('CHANNEL_ERROR') > 0, 'that it is offline', limit);
    await page.evaluate((token) => { window.token = token; }, sidecar.token(bed.owner));
    await line.up();
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await page.evaluate(() => window.client.realtime.setAuth());
    await until(async () => await seen('SUBSCRIBED') > 1, 'that it is back', limit);
    await bed.message(conversation, 'awake');
    await hears(page, 'awake');
    await sees(page, ['supabase-js-latest']);
    await page.close();
  });
});
