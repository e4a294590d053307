// Sanitised texts in a real browser: assigned to innerHTML they create nothing and run nothing.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { rows } from '../lib/db.mjs';
import { root } from '../lib/workspace.mjs';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const skip = executablePath ? false : 'needs Chromium (apt-get install chromium)';
const { vectors, plain } = JSON.parse(readFileSync(path.join(root, 'regress/fixtures/xss.json'), 'utf8'));
let bed, browser, page;

before(async () => {
  if (skip) return;
  const { chromium } = await import('playwright-core');
  bed = await Bed.create();
  browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  page = await browser.newPage();
  await page.setContent('<!doctype html><title>sanitize</title>');
});

after(async () => {
  await browser?.close();
  await bed?.close();
});

/** Assigns each text to innerHTML of several kinds of element; says which create more than text, or run. */
async function look(texts) {
  return page.evaluate(async (given) => {
    const contexts = ['div', 'p', 'table', 'select', 'title', 'textarea', 'template', 'button', 'a'];
    const found = [];
    window.ran = undefined;
    for (const [n, text] of given.entries()) {
      for (const name of contexts) {
        const element = document.createElement(name);
        document.body.append(element);
        element.innerHTML = text;
        const nodes = [...(element.content ?? element).childNodes];
        if (nodes.some((node) => node.nodeType !== Node.TEXT_NODE)) found.push({ n, name, html: element.innerHTML });
        element.remove();
      }
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      svg.innerHTML = text;
      if ([...svg.childNodes].some((node) => node.nodeType !== Node.TEXT_NODE)) found.push({ n, name: 'svg' });
    }
    await new Promise((resolve) => setTimeout(resolve, 500)); // handlers of errors and loads run later
    return { found, ran: window.ran };
  }, texts);
}

/** What the triggers store of each text. */
async function stored(texts) {
  const conversation = await bed.conversation();
  await bed.db.query('INSERT INTO public.chat_messages (conversation_id, direction, content) SELECT $1, $2, unnest($3::text[])',
    [conversation, 'incoming', texts]);
  return (await rows(bed.db, 'SELECT content FROM public.chat_messages WHERE conversation_id = $1 ORDER BY id', [conversation]))
    .map(({ content }) => content);
}

test('the vectors are dangerous as they are', { skip }, async () => {
  const { found, ran } = await look(vectors);
  assert.equal(ran, 1);
  assert.ok(new Set(found.map(({ n }) => n)).size > 150);
});

test('stored messages create no element, comment or processing instruction, and run nothing', { skip }, async () => {
  const { found, ran } = await look(await stored(vectors));
  assert.deepEqual(found, []);
  assert.equal(ran, undefined);
});

test('two messages one after the other are as inert as one', { skip }, async () => {
  const contents = await stored(vectors);
  const pairs = contents.map((content, n) => `${content}\n${contents[(n + 1) % contents.length]}`);
  const { found, ran } = await look(pairs);
  assert.deepEqual(found, []);
  assert.equal(ran, undefined);
});

test('plain text is stored and shown as it was written', { skip }, async () => {
  const contents = await stored(plain);
  assert.deepEqual(contents, plain);
  const shown = await page.evaluate((texts) => texts.map((text) => {
    const element = document.createElement('div');
    element.innerHTML = text;
    return element.textContent;
  }), contents);
  const expected = plain.map((text) => text.replaceAll('\r\n', '\n').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'));
  assert.deepEqual(shown, expected);
});
