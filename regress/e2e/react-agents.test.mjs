// Owner and two agents, each with the example front end in a browser: a conversation is assigned, handed over and deleted.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Backend, call } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { launchBrowser, noBrowser } from '../lib/browser.mjs';
import { rows, value } from '../lib/db.mjs';
import { noVite, picture, servePage } from '../lib/page.mjs';
import { until } from '../lib/wait.mjs';

describe('an owner and two agents', { skip: noBrowser || noVite }, () => {
  let bed, backend, page, ana, bia, owner, first, second;
  const failures = [];
  const tabs = [];

  before(async () => {
    bed = await Bed.create();
    const sidecar = await bed.sidecar();
    backend = await Backend.unlimited(bed, { jwtSecret: sidecar.env.EMBEDDED_JWT_SECRET });
    page = await servePage({ BACKEND_URL: backend.url, REALTIME_URL: sidecar.url, VITE_SUPABASE_ANON_KEY: sidecar.anonKey, VITE_CHAT_REALTIME_PROVIDER: 'supabase' });
    bed.closing.push(() => page.close());
    [ana, bia] = [await bed.conversation('Ana'), await bed.conversation('Bia')];
    await bed.message(ana, 'Bom dia');
    await bed.message(bia, 'Boa tarde');
    [owner, first, second] = await Promise.all([open(bed.owner, 'Olga'), open(randomUUID(), 'Artur'), open(randomUUID(), 'Bruna')]);
  });

  after(async () => {
    for (const tab of tabs) await tab.context().close();
    await bed?.close();
  });

  /** A user with a browser of its own. heard: all that the endpoint has sent there. */
  async function open(id, name) {
    const tab = await (await launchBrowser({ viewport: { width: 1000, height: 640 } })).newPage();
    const user = { id, tab, token: backend.token(id), heard: [] };
    tabs.push(tab);
    tab.on('pageerror', (error) => failures.push(`${name}: ${error.message}`));
    tab.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => user.heard.push(String(payload))));
    await tab.goto(`http://127.0.0.1:${page.port}/#token=${user.token}&name=${name}`);
    await tab.locator('.state.live').waitFor();
    return user;
  }

  const row = ({ tab }, name) => tab.locator('.row', { has: tab.locator('.name', { hasText: name }) });
  const names = ({ tab }) => tab.locator('.row .name').allTextContents();
  const api = ({ token }, method, route, body) => call(backend, method, route, { token, body });
  const assign = async (conversation, to) =>
    assert.equal((await api(owner, 'PATCH', `/conversations/${conversation}`, { assignedAgentId: to?.id ?? null })).status, 200);

  async function write({ tab }, text) {
    await tab.getByLabel('Message').fill(text);
    await tab.getByLabel('Message').press('Enter');
  }

  /** The open thread shows the committed messages of the conversation: each once, in order, and no other. */
  async function showsAllOf(conversation, users) {
    const committed = (await rows(bed.db, 'SELECT id, content FROM public.chat_messages WHERE conversation_id = $1 ORDER BY created_at, id', [conversation]))
      .map(({ id, content }) => `${id} ${content}`);
    for (const { tab } of users) {
      const shown = () => tab.locator('.bubble').evaluateAll((bubbles) => bubbles.map((bubble) => `${bubble.dataset.id} ${bubble.firstChild.textContent}`));
      await until(async () => (await shown()).length >= committed.length, async () => `${committed}, not ${await shown()}`);
      assert.deepEqual(await shown(), committed);
    }
  }

  test('before anything is assigned, agents have nothing', async () => {
    await row(owner, 'Ana').click();
    assert.deepEqual(await names(owner), ['Bia', 'Ana']);
    for (const agent of [first, second]) {
      await agent.tab.locator('.empty', { hasText: 'No conversations yet' }).waitFor();
      assert.equal((await api(agent, 'GET', `/conversations/${ana}`)).status, 404);
    }
  });

  test('an agent sees live what is assigned to it, with its messages, and keeps hearing of it', async () => {
    await assign(ana, first);
    await row(first, 'Ana').locator('.preview', { hasText: 'Bom dia' }).waitFor();
    await row(first, 'Ana').click();
    await showsAllOf(ana, [first, owner]);
    await bed.message(ana, 'Tem alguém?');
    await row(first, 'Ana').locator('.preview', { hasText: 'Tem alguém?' }).waitFor();
    await showsAllOf(ana, [first, owner]);
  });

  test('what agent and owner write, each sees of the other; the agent writes in its own name', async () => {
    await write(first, 'Sou o Artur');
    await showsAllOfBoth('Sou o Artur');
    await write(owner, 'Obrigada, Artur');
    await showsAllOfBoth('Obrigada, Artur');
    assert.deepEqual(await rows(bed.db, `SELECT content, sender_agent_id AS agent FROM public.chat_messages WHERE direction = 'outgoing' ORDER BY id`),
      [{ content: 'Sou o Artur', agent: first.id }, { content: 'Obrigada, Artur', agent: null }]);
  });

  async function showsAllOfBoth(text) {
    for (const { tab } of [first, owner]) await tab.locator('.bubble', { hasText: text }).waitFor();
    await showsAllOf(ana, [first, owner]);
  }

  test('over HTTP, with a token or a key of its own, an agent does what the owner does, but give it away', async () => {
    const made = await api(first, 'POST', '/api-keys', { name: 'desk', scopes: ['chat:read', 'chat:write'] });
    const { key } = made.body.data;
    for (const who of [{ token: first.token }, { key }]) {
      const ask = (method, route, body) => call(backend, method, route, { body, ...who });
      for (const list of ['/conversations', '/conversations?assignedTo=me']) {
        assert.deepEqual((await ask('GET', list)).body.data.map(({ id }) => String(id)), [String(ana)], list);
      }
      assert.equal((await ask('POST', `/conversations/${ana}/messages`, { content: 'over HTTP' })).body.data.senderAgentId, first.id);
      for (const [method, route, body] of [['GET', ''], ['GET', '/messages'], ['POST', '/read', {}], ['POST', '/typing', { isTyping: false }]]) {
        assert.equal((await ask(method, `/conversations/${ana}${route}`, body)).status, 200, `${method} ${route}`);
      }
      const given = await ask('PATCH', `/conversations/${ana}`, { assignedAgentId: second.id });
      assert.deepEqual([given.status, given.body.code], [403, 'INSUFFICIENT_PRIVILEGE']);
      assert.equal((await ask('GET', `/conversations/${bia}`)).status, 404);
    }
    await showsAllOf(ana, [first, owner]);
  });

  test('a hand-over: the list of the one loses it, that of the other has it, live', async () => {
    await assign(ana, second);
    await row(first, 'Ana').waitFor({ state: 'detached' });
    await first.tab.locator('main .empty', { hasText: 'Choose a conversation' }).waitFor();
    assert.deepEqual(await names(first), []);
    await row(second, 'Ana').click();
    await showsAllOf(ana, [second, owner]);
    assert.deepEqual(await names(owner), ['Ana', 'Bia']);
    await picture(second.tab, 'handed-over');
  });

  test('the one before neither reads nor writes any more, and hears nothing of what is said now', async () => {
    await bed.message(ana, 'only for Bruna');
    await write(second, 'Sou a Bruna');
    for (const { tab } of [second, owner]) await tab.locator('.bubble', { hasText: 'Sou a Bruna' }).waitFor();
    await showsAllOf(ana, [second, owner]);
    for (const [method, route, body] of [
      ['GET', `/conversations/${ana}`], ['GET', `/conversations/${ana}/messages`], ['GET', `/events?topic=conversation:${ana}&after=0`],
      ['GET', `/search/messages?conversationId=${ana}&q=Bruna`], ['POST', `/conversations/${ana}/messages`, { content: 'still me' }],
      ['POST', `/conversations/${ana}/read`, {}], ['POST', `/conversations/${ana}/typing`, { isTyping: true }],
      ['PATCH', `/conversations/${ana}`, { status: 'resolved' }], ['DELETE', `/conversations/${ana}`],
    ]) assert.equal((await api(first, method, route, body)).status, 404, `${method} ${route}`);
    assert.deepEqual(await rows(bed.db, `SELECT c.status, (SELECT count(*) FROM public.chat_messages WHERE content = 'still me') AS messages
      FROM public.conversations c WHERE id = $1`, [ana]), [{ status: 'open', messages: 0 }]);
    // What comes after all of that on the same socket: a conversation of its own.
    await assign(bia, first);
    await row(first, 'Bia').waitFor();
    const told = (user, text) => user.heard.some((frame) => frame.includes(text));
    for (const text of ['only for Bruna', 'Sou a Bruna']) assert.deepEqual([told(second, text), told(first, text)], [true, false], text);
    assert.deepEqual([told(first, 'Tem alguém?'), told(first, 'Boa tarde')], [true, true], 'before, and after');
    await showsAllOf(ana, [second, owner]);
    assert.deepEqual(await names(first), ['Bia']);
    assert.deepEqual(await names(second), ['Ana']);
  });

  test('a conversation that is deleted goes from all lists, and one that is nobody\'s from its agent\'s', async () => {
    assert.ok(await value(bed.db, 'SELECT chat.delete_conversation($1)', [ana]));
    for (const user of [owner, second]) {
      await row(user, 'Ana').waitFor({ state: 'detached' });
      await user.tab.locator('main .empty').waitFor();
    }
    assert.deepEqual(await names(second), []);
    await assign(bia, null);
    await row(first, 'Bia').waitFor({ state: 'detached' });
    assert.deepEqual(await names(owner), ['Bia']);
  });

  test('no error in any page', () => assert.deepEqual(failures, []));
});
