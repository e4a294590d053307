// The example backend's worker sends: what arrives at WUZAPI's stand-in is what was committed, each message once by its WhatsApp
// id, in the order of its conversation, whatever WUZAPI answers and whoever is killed meanwhile. In both models of tables.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { Backend, call } from '../lib/backend.mjs';
import { Bed, fixture } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Listener } from '../lib/http.mjs';
import { liveModel } from '../lib/live-model.mjs';
import { sleep, until } from '../lib/wait.mjs';
import { root } from '../lib/workspace.mjs';
import { WuzapiServer } from '../lib/wuzapi-server.mjs';

const program = path.join(root, 'examples/node/send.mjs');
const settings = { leaseMs: 5_000, pollMs: 50, firstWaitMs: 30, longestWaitMs: 300, timeoutMs: 500, mediaTimeoutMs: 500, maxTries: 3 };
const liveOwner = randomUUID();
let bed, wuzapi, files, backend, instances, worker;
let contacts = 0;

before(async () => {
  bed = await Bed.create();
  await liveModel(bed.db, liveOwner, { empty: true });
  await bed.db.query("INSERT INTO live.accounts (name, owner_user_id) VALUES ('An account', $1)", [liveOwner]);
  wuzapi = await WuzapiServer.start(['token-sales', 'token-support', 'token-live']);
  bed.closing.push(() => wuzapi.http.down());
  files = await new Listener((request, response) => {
    if (request.url === '/a.png') response.writeHead(200, { 'Content-Type': 'image/png' }).end('a picture');
    else if (request.url === '/moved') response.writeHead(302, { Location: '/a.png' }).end();
    else response.writeHead(404).end();
  }).up();
  bed.closing.push(() => files.down());
  instances = [
    { userID: 'u1', token: 'token-sales', owner: bed.owner, instance: 'sales', jid: '5511911110000@s.whatsapp.net' },
    { userID: 'u2', token: 'token-support', owner: bed.owner, inboxId: 7 },
    { userID: 'u3', token: 'token-live', owner: liveOwner },
  ];
  backend = await Backend.unlimited(bed, { wuzapi: instances, env: { WUZAPI_URL: wuzapi.url } });
  worker = await start();
});

after(() => bed.close());
beforeEach(() => wuzapi.forget());

async function start() {
  const started = await Backend.start(bed.cluster, { wuzapi: instances, program, env: { WUZAPI_URL: wuzapi.url, MEDIA_ORIGINS: files.url, SENDER: JSON.stringify(settings) } });
  bed.closing.push(() => started.stop('SIGKILL'));
  return started;
}

const api = async (method, route, body, owner = bed.owner) => {
  const answer = await call(backend, method, route, { body, token: backend.token(owner) });
  assert.ok(answer.status < 300, `${method} ${route}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body.data;
};
const conversation = async (owner = bed.owner) => {
  const phone = `55119777${String(++contacts).padStart(5, '0')}`;
  return { ...await api('POST', '/conversations', { contactJid: `${phone}@s.whatsapp.net` }, owner), phone };
};
const say = (to, body, owner) => api('POST', `/conversations/${to.id}/messages`, typeof body === 'string' ? { content: body } : body, owner);
const message = (id) => value(bed.db, 'SELECT to_jsonb(m) FROM public.chat_messages m WHERE id = $1', [id]);
const reached = (id, status) => until(async () => (await message(id)).status === status, async () => `status ${status}: ${JSON.stringify(await message(id))} ${worker.output.slice(-2000)}`, 60000);
const arrived = (count) => until(() => wuzapi.arrived.length >= count, () => `${count} requests: ${JSON.stringify(wuzapi)} ${worker.output.slice(-2000)}`, 60000);
const nothingWaits = () => until(async () => await value(bed.db, `SELECT (SELECT count(*) FROM chat.sending_lease) + (SELECT count(*) FROM chat.sending_action)
    + (SELECT count(*) FROM public.chat_messages WHERE direction = 'outgoing' AND status = 'pending') + (SELECT count(*) FROM live.chat_messages WHERE direction = 'outgoing' AND status = 'pending')`) === 0,
async () => `all to be sent: ${JSON.stringify(await rows(bed.db, 'SELECT * FROM chat.sending_lease'))} ${worker.output.slice(-2000)}`, 60000);

test('every kind of message, as WUZAPI wants it; the API says pending until it is sent', async () => {
  const ana = await conversation();
  const data = Buffer.from('some bytes').toString('base64');
  const kinds = [
    [{ content: 'Bom dia!' }, '/chat/send/text', { Body: 'Bom dia!' }],
    [{ content: 'look', messageType: 'image', mediaUrl: `data:image/png;base64,${data}`, mediaMimeType: 'image/png' }, '/chat/send/image', { Image: `data:image/png;base64,${data}`, Caption: 'look' }],
    [{ messageType: 'video', mediaUrl: `data:video/mp4;base64,${data}` }, '/chat/send/video', { Video: `data:video/mp4;base64,${data}` }],
    [{ messageType: 'audio', mediaUrl: `data:audio/ogg; codecs=opus;base64,${data}` }, '/chat/send/audio', { Audio: `data:audio/ogg;base64,${data}` }],
    [{ messageType: 'document', mediaUrl: `data:application/pdf;base64,${data}`, mediaFilename: 'a.pdf' }, '/chat/send/document',
      { Document: `data:application/octet-stream;base64,${data}`, FileName: 'a.pdf', MimeType: 'application/pdf' }],
    [{ messageType: 'sticker', mediaUrl: `data:image/webp;base64,${data}` }, '/chat/send/sticker', { Sticker: `data:image/webp;base64,${data}` }],
    [{ messageType: 'location', metadata: { location: { latitude: -23.5, longitude: -46.6, name: 'São Paulo' } } }, '/chat/send/location', { Latitude: -23.5, Longitude: -46.6, Name: 'São Paulo' }],
    [{ messageType: 'contact', content: 'BEGIN:VCARD\nVERSION:3.0\nFN:Bia Lima\nEND:VCARD' }, '/chat/send/contact', { Name: 'Bia Lima', Vcard: 'BEGIN:VCARD\nVERSION:3.0\nFN:Bia Lima\nEND:VCARD' }],
  ];
  const saved = [];
  for (const [body] of kinds) saved.push(await say(ana, body));
  assert.deepEqual([...new Set(saved.map((m) => m.status))], ['pending']);
  assert.equal((await say(ana, { content: 'for us alone', isPrivateNote: true })).status, 'sent');
  for (const { id } of saved) await reached(id, 'sent');
  assert.deepEqual(wuzapi.arrived, kinds.map(([, where, body], n) => ({ token: 'token-sales', path: where, body: { Phone: ana.phone, Id: saved[n].messageId, ...body } })));
  assert.deepEqual(wuzapi.refused, []);
});

test('answers, reactions, edits, revokes, read marks and typing', async () => {
  const { conversationId } = await bed.ingest({ ...fixture('text.json'), instanceName: 'sales' });
  const theirs = await value(bed.db, 'SELECT to_jsonb(m) FROM public.chat_messages m WHERE conversation_id = $1', [conversationId]);
  const { contact_jid: address } = await value(bed.db, 'SELECT to_jsonb(c) FROM public.conversations c WHERE id = $1', [conversationId]);
  const Phone = address.split('@')[0];
  const mine = await say({ id: conversationId }, { content: 'an answer', replyToMessageId: theirs.message_id });
  await reached(mine.id, 'sent');
  const again = await say({ id: conversationId }, { content: 'and one to myself', replyToMessageId: mine.messageId });
  await reached(again.id, 'sent');
  await api('POST', `/messages/${theirs.id}/reaction`, { emoji: '👍' });
  await api('POST', `/messages/${mine.id}/reaction`, { emoji: '' });
  await api('PATCH', `/messages/${mine.id}`, { content: 'a better answer' });
  await api('DELETE', `/messages/${again.id}`);
  assert.deepEqual(await api('POST', `/conversations/${conversationId}/read`), { updated: 1 });
  await nothingWaits();
  await api('POST', `/conversations/${conversationId}/typing`, { isTyping: true });
  await arrived(8);
  assert.deepEqual(wuzapi.arrived.map(({ path: where, body }) => [where, body]), [
    ['/chat/send/text', { Phone, Id: mine.messageId, Body: 'an answer', ContextInfo: { StanzaId: theirs.message_id, Participant: address } }],
    ['/chat/send/text', { Phone, Id: again.messageId, Body: 'and one to myself', ContextInfo: { StanzaId: mine.messageId, Participant: instances[0].jid } }],
    ['/chat/react', { Phone, Id: theirs.message_id, Body: '👍' }],
    ['/chat/react', { Phone, Id: `me:${mine.messageId}`, Body: 'remove' }],
    ['/chat/send/edit', { Phone, Id: mine.messageId, Body: 'a better answer' }],
    ['/chat/delete', { Phone, Id: again.messageId }],
    ['/chat/markread', { Id: [theirs.message_id], Chat: address }],
    ['/chat/presence', { Phone, State: 'composing', Media: '' }],
  ]);
  assert.deepEqual(wuzapi.refused, []);
});

test('what WUZAPI refuses has failed, with its reason; what it cannot do now waits, and nothing overtakes', async () => {
  const ana = await conversation();
  const bia = await conversation();
  const answers = {
    one: () => ({ status: 400, error: 'Could not parse Phone' }),
    two: ({ tries }) => (tries < 2 ? { status: 500, error: 'No session' } : undefined),
    three: ({ tries }) => (tries < 2 ? { status: 401, error: 'Unauthorized' } : undefined),
    four: () => ({ status: 500, error: 'Error sending message: server returned error 463' }),
    five: ({ tries }) => (tries < 1 ? { status: 500, error: 'Error sending message: timed out' } : undefined),
    six: ({ times }) => (times < 1 ? 'hang' : undefined), // sent, and nobody is told
    seven: ({ tries }) => (tries < 1 ? { status: 404, text: '404 page not found\n' } : undefined),
    eight: ({ tries }) => (tries < 1 ? { status: 502, text: '<html>Bad Gateway</html>' } : undefined),
  };
  const tries = new Map();
  wuzapi.how = ({ body, times }) => {
    const count = tries.get(body.Body) ?? 0;
    tries.set(body.Body, count + 1);
    return answers[body.Body]?.({ times, tries: count });
  };
  const saved = [];
  for (const content of Object.keys(answers)) saved.push(await say(ana, content));
  const unsendable = await say(bia, { messageType: 'image', mediaUrl: 'http://169.254.169.254/latest', content: 'x' });
  const poll = await say(bia, { messageType: 'poll', content: 'which?' });
  const last = await say(bia, 'after them');
  await nothingWaits();
  const stored = [];
  for (const { id } of saved) stored.push(await message(id));
  assert.deepEqual(stored.map((m) => [m.content, m.status, m.metadata.sendError]), [
    ['one', 'failed', 'WUZAPI: 400 Could not parse Phone'], ['two', 'sent', undefined], ['three', 'sent', undefined],
    ['four', 'failed', 'WUZAPI: 500 Error sending message: server returned error 463'], ['five', 'sent', undefined], ['six', 'sent', undefined],
    ['seven', 'sent', undefined], ['eight', 'sent', undefined]]);
  assert.equal(tries.get('four'), settings.maxTries);
  assert.ok(tries.get('six') > 1);
  const sent = saved.filter((_, n) => stored[n].status === 'sent').map((m) => m.messageId);
  assert.deepEqual(wuzapi.shown(), { [ana.phone]: sent, [bia.phone]: [last.messageId] });
  assert.match((await message(unsendable.id)).metadata.sendError, /neither a data URL nor at one of MEDIA_ORIGINS/);
  assert.match((await message(poll.id)).metadata.sendError, /messages of type poll are not sent/);
});

test('media that are elsewhere are fetched from where the operator says, and followed nowhere', async () => {
  const ana = await conversation();
  const image = (mediaUrl) => say(ana, { messageType: 'image', mediaUrl });
  const saved = [await image(`${files.url}/a.png`), await image(`${files.url}/gone`), await image(`${files.url}/moved`), await image(`${files.url}.example.com/a.png`)];
  await nothingWaits();
  const stored = [];
  for (const { id } of saved) stored.push(await message(id));
  assert.deepEqual(stored.map((m) => [m.status, m.metadata.sendError?.split(':')[0]]), [['sent', undefined], ['failed', 'the media could not be fetched'],
    ['failed', 'the media could not be fetched'], ['failed', 'mediaUrl is neither a data URL nor at one of MEDIA_ORIGINS']]);
  assert.deepEqual(wuzapi.arrived.map(({ body }) => body), [{ Phone: ana.phone, Id: saved[0].messageId, Image: `data:image/png;base64,${Buffer.from('a picture').toString('base64')}` }]);
});

test('a worker that could never send does not start', async () => {
  await assert.rejects(Backend.start(bed.cluster, { program, env: { WUZAPI_URL: wuzapi.url, SENDER: '{"leaseMs": 1000}' } }), /leaseMs must be longer/);
  await assert.rejects(Backend.start(bed.cluster, { program }), /WUZAPI_URL and WUZAPI_INSTANCES must be set/);
});

test('a reply leaves by the number that the contact wrote to, and by no other', async () => {
  await bed.db.query(`SELECT chat.configure('public.chat_messages', '{"inboxes": {"support": "7"}}')`);
  const from = (instanceName, userID, token, jid) => {
    const body = structuredClone(fixture('text.json'));
    Object.assign(body.event.Info, { Chat: jid, Sender: jid, ID: `IN${randomUUID().slice(0, 8)}` });
    return call(backend, 'POST', '/wuzapi', { body: { ...body, instanceName, userID }, headers: { token } });
  };
  const [ana, bia, eva] = ['5511955550001', '5511955550002', '5511955550003'];
  const ids = {};
  for (const [phone, ...by] of [[ana, 'sales', 'u1', 'token-sales'], [bia, 'support', 'u2', 'token-support'], [eva, 'gone', 'u1', 'token-sales']]) {
    const answer = await from(...by, `${phone}@s.whatsapp.net`);
    assert.equal(answer.status, 200);
    ids[phone] = answer.body.data.conversationId;
  }
  for (const phone of [ana, bia]) await reached((await say({ id: ids[phone] }, 'answered')).id, 'sent');
  const lost = await say({ id: ids[eva] }, 'by which?');
  await reached(lost.id, 'failed');
  assert.equal((await message(lost.id)).metadata.sendError, 'no WUZAPI instance "gone" is set up');
  // The contact writes to another number: from then on that one answers.
  await from('support', 'u2', 'token-support', `${ana}@s.whatsapp.net`);
  await reached((await say({ id: ids[ana] }, 'answered again')).id, 'sent');
  await api('POST', `/conversations/${ids[bia]}/typing`, {});
  await arrived(4);
  assert.deepEqual(wuzapi.arrived.map(({ token, body }) => [token, body.Phone]),
    [['token-sales', ana], ['token-support', bia], ['token-support', ana], ['token-support', bia]]);
});

test('two workers, one killed and started again, connections to both sides cut: each message once, in order', async () => {
  const other = await start();
  const threads = [];
  for (let n = 0; n < 3; n++) threads.push({ ...await conversation(), owner: bed.owner }, { ...await conversation(liveOwner), owner: liveOwner });
  let number = 0;
  wuzapi.http.fault = ({ stage }) => (['head', 'answer', 'answering', 'answered'].includes(stage) && ++number % 23 === 0 ? 'reset' : undefined);
  wuzapi.how = ({ times }) => (times === 0 && ++number % 31 === 0 ? 'hang' : undefined);
  const expected = {};
  let killed = 0;
  for (let n = 0; n < 15; n++) {
    for (const thread of threads) (expected[thread.phone] ??= []).push((await say(thread, `message ${n}`, thread.owner)).messageId);
    if (n % 5 === 2) await bed.db.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chat-sender'");
    if (n === 5 || n === 10) {
      await until(() => wuzapi.arrived.length > killed * 20, () => `some to arrive: ${worker.output.slice(-2000)}`, 60000);
      killed++;
      await worker.stop('SIGKILL');
      await sleep(20);
      worker = await start();
    }
  }
  await nothingWaits();
  assert.deepEqual(wuzapi.shown(), expected);
  assert.notDeepEqual(wuzapi.http.faults, {});
  assert.deepEqual(wuzapi.refused, []);
  // What was sent twice was so under one id, with one text.
  const bodies = new Map();
  for (const { body } of wuzapi.arrived) assert.equal(bodies.set(body.Id, bodies.get(body.Id) ?? body.Body).get(body.Id), body.Body);
  assert.deepEqual(await rows(bed.db, `SELECT status, count(*) FROM (SELECT status, message_id FROM public.chat_messages UNION ALL SELECT status, message_id FROM live.chat_messages) m
    WHERE message_id = ANY ($1) GROUP BY 1`, [Object.values(expected).flat()]), [{ status: 'sent', count: 90 }]);
  assert.equal(await other.stop(), 0);
  assert.equal(await worker.stop(), 0);
});
