// HTTP of the embedded endpoint, request by request: status, body and type as Supabase Realtime's, where not said otherwise.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient } from '@supabase/supabase-js';
import { gzipSync } from 'node:zlib';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { RawHttp, request } from '../lib/http-wire.mjs';
import { roleToken, sign, userToken } from '../lib/jwt.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { until } from '../lib/wait.mjs';

let bed, sidecar, port, secret, service, conversation, owner, stranger;

before(async () => {
  bed = await Bed.create();
  sidecar = await bed.sidecar();
  port = Number(new URL(sidecar.url).port);
  secret = sidecar.env.EMBEDDED_JWT_SECRET;
  service = roleToken('service_role', secret);
  conversation = await bed.conversation('Ana');
  owner = sidecar.token(bed.owner);
  stranger = sidecar.token(randomUUID());
});

after(() => bed.close());

const html = 'text/html; charset=utf-8';
const json = 'application/json; charset=utf-8';
const unauthorized = [401, '{"message":"Unauthorized"}', json];
const badRequest = [400, 'Bad Request', html];
const notFound = [404, 'Not Found', html];
const accepted = [202, '', undefined];
const serverError = [500, '"Internal Server Error"', json];
const listed = (errors) => [422, JSON.stringify({ errors: { messages: errors } }), json];
const blank = listed(["can't be blank"]);
const invalid = listed(['is invalid']);
const wrong = (key, text) => listed([{ [key]: [text] }]);

const BATCH = '/api/broadcast';
const good = { topic: 'a', event: 'e', payload: {} };
const batch = (...messages) => JSON.stringify({ messages });
/** A good message with one part as its text says. */
const part = (key, text) => `{"messages":[{${Object.entries({ topic: '"a"', event: '"e"', payload: '{}', [key]: text }).filter(([, value]) => value !== undefined).map(([name, value]) => `"${name}":${value}`).join()}}]}`;

/** Answers of one connection a request: [status, body, type]. headers: instead of the service's; undefined ones are left out. */
async function ask({ path = BATCH, method = 'POST', body = '', headers = {} }) {
  const all = Object.fromEntries(Object.entries({ 'Content-Type': 'application/json', Authorization: `Bearer ${service}`, Connection: 'close', ...headers }).filter(([, value]) => value !== undefined));
  const raw = await RawHttp.open(port);
  const bytes = Buffer.from(body);
  raw.write(Buffer.concat([Buffer.from(request(path, { method, headers: all, length: bytes.length, ...(bytes.length ? { body: ' '.repeat(bytes.length) } : {}) }).slice(0, bytes.length ? -bytes.length : undefined)), bytes]));
  const [answer] = await raw.toTheEnd(method === 'HEAD' ? [0] : []);
  return [answer.status, answer.body, answer.headers['content-type']];
}

/** Each row: what, request, answer. */
async function table(rows) {
  const wrongOnes = [];
  for (let at = 0; at < rows.length; at += 16) { // so many at a time
    await Promise.all(rows.slice(at, at + 16).map(async ([what, asked, wanted]) => {
      const got = await ask(asked);
      if (JSON.stringify(got) !== JSON.stringify(wanted)) wrongOnes.push(`${what}: ${JSON.stringify(got).slice(0, 300)} instead of ${JSON.stringify(wanted)}`);
    }));
  }
  assert.equal(wrongOnes.join('\n'), '');
  return rows.length;
}

test('a hundred and twenty requests and more', async () => {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const bearer = (token) => ({ Authorization: `Bearer ${token}` });
  const single = (rest) => `${BATCH}/${rest}`;
  const rows = [
    // batches
    ['nobody listens', { body: batch(good) }, accepted],
    ['a hundred messages', { body: batch(...Array(100).fill(good)) }, accepted],
    ['five hundred, of the service', { body: batch(...Array(500).fill(good)) }, accepted],
    ['a slash behind it', { path: `${BATCH}/`, body: batch(good) }, accepted],
    ['through a gateway', { path: `/realtime/v1${BATCH}`, body: batch(good) }, accepted],
    ['an extra key', { body: batch({ ...good, other: 1 }) }, accepted],
    ['a key beside messages', { body: '{"other":1,"messages":[{"topic":"a","event":"e","payload":{}}]}' }, accepted],
    ['a long topic', { body: batch({ ...good, topic: 't'.repeat(300) }) }, accepted],
    ['a long event', { body: batch({ ...good, event: 'e'.repeat(256) }) }, accepted],
    ['a topic with its prefix', { body: batch({ ...good, topic: 'realtime:x' }) }, accepted],
    ...['{}', '{"a":{}}', '{"a":"\\u0000"}', '{"a":12345678901234567890123}', '{"a":-0.0}', '{"a":1e308}', '{"dup":1,"dup":2}'].map((text) => [`payload ${text}`, { body: part('payload', text) }, accepted]),
    ...[undefined, 'null'].map((text) => [`payload ${text}`, { body: part('payload', text) }, wrong('payload', "can't be blank")]),
    ...['[]', '[1]', '"x"', '1', 'true', 'false'].map((text) => [`payload ${text}`, { body: part('payload', text) }, wrong('payload', 'is invalid')]),
    ...['topic', 'event'].flatMap((key) => [
      ...[undefined, 'null', '""', '"  "'].map((text) => [`${key} ${text}`, { body: part(key, text) }, wrong(key, "can't be blank")]),
      ...['1', 'true', '{}', '["a"]'].map((text) => [`${key} ${text}`, { body: part(key, text) }, wrong(key, 'is invalid')]),
    ]),
    ...['true', 'false', '"true"', '"false"', '"1"', '"0"', 'null'].map((text) => [`private ${text}`, { body: part('private', text) }, accepted]),
    ...['"maybe"', '7', '{}', '[]', '""'].map((text) => [`private ${text}`, { body: part('private', text) }, text === '""' ? accepted : wrong('private', 'is invalid')]),
    ...['"x"', `"${'x'.repeat(1000)}"`, '""', 'null'].map((text) => [`id ${text.slice(0, 9)}`, { body: part('id', text) }, accepted]),
    ...['1', '{}', '[]', 'true'].map((text) => [`id ${text}`, { body: part('id', text) }, wrong('id', 'is invalid')]),
    ['the second of three', { body: batch(good, { topic: 'a', event: 'e' }, good) }, listed([{}, { payload: ["can't be blank"] }, {}])],
    ['several errors', { body: batch({ payload: 1 }, {}) }, listed([{ topic: ["can't be blank"], event: ["can't be blank"], payload: ['is invalid'] }, { topic: ["can't be blank"], event: ["can't be blank"], payload: ["can't be blank"] }])],
    ...['{"messages":[]}', '{}', '[1]', '', '{"other":[]}', '"x"', '7', 'null'].map((body) => [`body ${body}`, { body }, blank]),
    ...['null', '{}', '"x"', '1', '[1]', '[[]]', '["x"]'].map((text) => [`messages ${text}`, { body: `{"messages":${text}}` }, invalid]),
    ['one that is none', { body: batch(good, 7) }, invalid],
    // types
    ...['application/json; charset=utf-8', 'application/vnd.api+json', 'application/JSON+json'].map((type) => [type, { body: batch(good), headers: { 'Content-Type': type } }, accepted]),
    ...[undefined, 'text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream', 'multipart/form-data; boundary=x'].map((type) => [`type ${type}`, { body: batch(good), headers: { 'Content-Type': type } }, blank]),
    // what is no JSON
    ...['{', '{"messages":[}', '{"messages":[]}x', "{'messages':[]}", '{"a":01}', '{"a":.5}', '{"a":1e400}', '{"a":-1E+400}', '{"a":"\\ud83d"}', '{"a":"\\udc00\\ud800"}', '\u0000', 'undefined', '{"a":NaN}', '/**/{}', '\ufeff{}']
      .map((body) => [`body ${body}`, { body }, badRequest]),
    ['bytes that are no UTF-8', { body: Buffer.from('{"messages":[{"topic":"\xff","event":"e","payload":{}}]}', 'latin1') }, badRequest],
    ['gzip', { body: gzipSync(batch(good)), headers: { 'Content-Encoding': 'gzip' } }, badRequest],
    ['an overflow in a payload', { body: part('payload', '{"a":[{"b":1e999}]}') }, badRequest],
    // sizes
    ['2.9 MB', { body: part('payload', `{"x":"${'x'.repeat(2_900_000)}"}`) }, accepted],
    ['3.1 MB', { body: part('payload', `{"x":"${'x'.repeat(3_100_000)}"}`) }, wrong('payload', 'Payload size exceeds tenant limit')],
    ['3.1 MB, by the single route', { path: single('a/events/e'), body: `{"x":"${'x'.repeat(3_100_000)}"}` }, [422, '{"message":"Payload size exceeds tenant limit"}', json]],
    // tokens
    ...[['no token', {}], ['an empty one', { Authorization: 'Bearer  ' }], ['garbage', bearer('x.y.z')], ['a key that is none', bearer('sb_secret_x')], ['another secret', bearer(roleToken('service_role', 'x'.repeat(32)))],
      ['expired', bearer(userToken(bed.owner, secret, { expiresIn: -5 }))], ['no role', bearer(sign({ exp }, secret))], ['no exp', bearer(sign({ role: 'anon' }, secret))],
      ['iat a text', bearer(sign({ role: 'anon', exp, iat: 'now' }, secret))], ['alg none', bearer(sign({ role: 'service_role', exp }, '', { alg: 'none' }))], ['Basic', { Authorization: 'Basic eDp5' }],
      ['an apikey that is none', { apikey: 'x' }], ['a good apikey behind a bad token', { ...bearer('x.y.z'), apikey: sidecar.anonKey }]]
      .map(([what, headers]) => [what, { body: batch(good), headers: { Authorization: undefined, ...headers } }, what === 'an empty one' ? serverError : unauthorized]),
    ...[['apikey alone', { apikey: sidecar.anonKey }], ['bearer in small letters', { Authorization: `bearer ${service}` }], ['exp with a fraction', bearer(sign({ role: 'anon', exp: exp + 0.5 }, secret))],
      ['a role that the database has not', bearer(sign({ role: 'nobody', exp }, secret))]].map(([what, headers]) => [what, { body: batch(good), headers: { Authorization: undefined, ...headers } }, accepted]),
    ...[['one word', service], ['three', `Bearer ${service} x`], ['two blanks', `Bearer  ${service}`]].map(([what, Authorization]) => [`Authorization of ${what}`, { body: batch(good), headers: { Authorization } }, serverError]),
    ['private, of the service', { body: batch({ ...good, topic: 'anything', private: true }) }, accepted],
    ['private, of a stranger: dropped', { body: batch({ ...good, topic: `presence:${conversation}`, private: true }), headers: bearer(stranger) }, accepted],
    ['private, of one who takes part', { body: batch({ ...good, topic: `presence:${conversation}`, private: true }), headers: bearer(owner) }, accepted],
    ['an event forged in public', { body: batch({ ...good, topic: `conversation:${conversation}` }), headers: bearer(owner) }, [403, '{"message":"Unauthorized"}', json]],
    ['more than ten a second', { body: batch(...Array(11).fill(good)), headers: bearer(sidecar.token(randomUUID())) }, [429, '{"message":"Too many messages to broadcast, please reduce the batch size"}', json]],
    // what it takes
    ...['text/html', 'image/png, text/*'].map((Accept) => [`Accept ${Accept}`, { body: batch(good), headers: { Accept } }, [406, 'Not Acceptable', html]]),
    ...['*/*', 'application/json', 'text/html, */*;q=0.8', 'application/*'].map((Accept) => [`Accept ${Accept}`, { body: batch(good), headers: { Accept } }, accepted]),
    // routes
    ...[['GET', BATCH], ['GET', single('a/events/e')], ['DELETE', BATCH], ['POST', '/'], ['POST', '/api'], ['POST', `${BATCH}er`], ['POST', single('a/events')], ['POST', single('a/events/')], ['POST', single('/events/e')],
      ['POST', '/api/ping'], ['GET', '/socket/websocket'], ['GET', '/api/tenants']].map(([method, path]) => [`${method} ${path}`, { path, method, ...(method === 'POST' ? {} : { headers: { 'Content-Type': undefined } }) }, notFound]),
    ['ping', { path: '/api/ping', method: 'GET', headers: { Authorization: undefined } }, [200, '{"message":"Success"}', json]],
    ['ping through a gateway', { path: '/realtime/v1/api/ping', method: 'GET' }, [200, '{"message":"Success"}', json]],
    ['health', { path: '/healthcheck', method: 'GET', headers: { Authorization: undefined } }, [200, 'ok', 'text/plain; charset=utf-8']],
    ['health, without its body', { path: '/healthcheck', method: 'HEAD' }, [200, '', 'text/plain; charset=utf-8']],
    ['OPTIONS', { method: 'OPTIONS', headers: { 'Content-Type': undefined } }, [204, '', undefined]],
    // the single route
    ...['{}', '{"a":1}', '[1,2]', '"x"', '1', 'null', 'true'].map((body) => [`single ${body}`, { path: single('a/events/e'), body }, accepted]),
    ...['conversation:1/events/e', 'room%3A1/events/e', 'a%2Fb/events/c%2Fd', `${'t'.repeat(300)}/events/e`, 'ol%C3%A1/events/%F0%9F%98%80', 'a/events/e?private=false', 'a/events/e?private=true', 'a/events/e?x=1&private=1']
      .map((path) => [`single ${path.slice(0, 40)}`, { path: single(path), body: '{}' }, accepted]),
    ['single of any bytes', { path: single('a/events/e'), body: Buffer.from([0, 255, 1]), headers: { 'Content-Type': 'application/octet-stream' } }, accepted],
    ['single of no bytes', { path: single('a/events/e'), body: Buffer.alloc(0), headers: { 'Content-Type': 'application/octet-stream' } }, accepted],
    ['single of no bytes, private, of one who takes part', { path: single(`presence:${conversation}/events/e?private=true`), body: Buffer.alloc(0), headers: { 'Content-Type': 'application/octet-stream', ...bearer(owner) } }, accepted],
    ['single without a type', { path: single('a/events/e'), body: '{}', headers: { 'Content-Type': undefined } }, accepted],
    ...['text/plain', 'application/xml', 'application/x-www-form-urlencoded'].map((type) => [`single ${type}`, { path: single('a/events/e'), body: '{}', headers: { 'Content-Type': type } }, [415, '{"error":"Unsupported Media Type. Use application/json or application/octet-stream"}', json]]),
    ['a type that is none comes before the token', { path: single('a/events/e'), body: '{}', headers: { 'Content-Type': 'text/plain', Authorization: undefined } }, [415, '{"error":"Unsupported Media Type. Use application/json or application/octet-stream"}', json]],
    ...['{', '{"a":1e400}', '', '\u0000'].map((body) => [`single ${body}`, { path: single('a/events/e'), body }, badRequest]),
    ['single without a token', { path: single('a/events/e'), body: '{}', headers: { Authorization: undefined } }, unauthorized],
    ['single, Authorization of one word', { path: single('a/events/e'), body: '{}', headers: { Authorization: service } }, serverError],
    ['single, private, of a stranger', { path: single(`presence:${conversation}/events/e?private=true`), body: '{}', headers: bearer(stranger) }, [403, '{"message":"Unauthorized"}', json]],
    ['single, private, anonymous', { path: single(`presence:${conversation}/events/e?private=true`), body: '{}', headers: bearer(sidecar.anonKey) }, [403, '{"message":"Unauthorized"}', json]],
    ['single, private, of one who takes part', { path: single(`presence:${conversation}/events/e?private=true`), body: '{}', headers: bearer(owner) }, accepted],
    ['single, an event forged', { path: single(`conversation:${conversation}/events/message.new?private=true`), body: '{}', headers: bearer(owner) }, [403, '{"message":"Unauthorized"}', json]],
    ['single, private as a word', { path: single('a/events/e?private=maybe'), body: '{}' }, [422, '{"errors":{"private":["is invalid"]}}', json]],
    ...['a%ff/events/e', 'a/events/%c3'].map((path) => [`single ${path}`, { path: single(path), body: '{}' }, badRequest]),
  ];
  assert.ok(await table(rows) >= 120, `${rows.length}`);
});

test('heads and bodies that are too large', async () => {
  assert.deepEqual(await ask({ body: batch(good), headers: { 'X-Long': 'x'.repeat(20_000) } }), [431, 'Request Header Fields Too Large', html]);
  const raw = await RawHttp.open(port);
  raw.write(request(BATCH, { length: 8_100_000, headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${service}` } }));
  const [answer] = await raw.answers(1);
  assert.deepEqual([answer.status, answer.body, answer.headers['content-type']], [413, 'Request Entity Too Large', html]);
  raw.close();
});

test('what was sent arrives as it was sent, and wrapped where it is no object', async () => {
  const [modern, old] = [await RawSocket.open(sidecar), await RawSocket.open(sidecar, { vsn: '1.0.0' })];
  for (const socket of [modern, old]) await socket.join('post', sidecar.anonKey, '1', { private: false });
  const post = (path, body, type) => ask({ path, body, headers: type ? { 'Content-Type': type } : {} });
  await post(BATCH, batch({ topic: 'post', event: 'one', payload: { n: 1 }, id: '0190-abc' }, { topic: 'post', event: 'two', payload: {}, id: '' }));
  await post(`${BATCH}/post/events/three`, '[1,2]');
  await post(`${BATCH}/post/events/four`, Buffer.from([0, 255]), 'application/octet-stream');
  await post(BATCH, batch({ topic: 'post', event: 'end', payload: {} }));
  for (const socket of [modern, old]) await socket.hears((f) => (f[4] ?? f.payload)?.event === 'end', 'the last one');
  const frame = (event, payload, encoding) => Buffer.concat([Buffer.from([4, 13, event.length, 0, encoding]), Buffer.from(`realtime:post${event}`), Buffer.from(payload)]);
  assert.deepEqual(modern.frames.slice(1, 5), [[null, null, 'realtime:post', 'broadcast', { event: 'one', meta: { id: '0190-abc' }, payload: { n: 1 }, type: 'broadcast' }],
    [null, null, 'realtime:post', 'broadcast', { event: 'two', payload: {}, type: 'broadcast' }], frame('three', '{"_json":[1,2]}', 1), frame('four', [0, 255], 0)]);
  assert.deepEqual(old.frames.slice(1).map((f) => [f.ref, f.event, f.payload.event]), [[null, 'broadcast', 'one'], [null, 'broadcast', 'two'], [null, 'broadcast', 'three'], [null, 'broadcast', 'end']]);
  for (const socket of [modern, old]) socket.close();
});

test('supabase-js: httpSend of an object and of bytes, as broadcasts to those who listen', async () => {
  const client = createClient(sidecar.url, sidecar.anonKey, { accessToken: async () => owner, realtime: { transport: WebSocket } });
  await client.realtime.setAuth();
  const [here, there] = [client.channel(`presence:${conversation}`, { config: { private: true } }), await RawSocket.open(sidecar)];
  await there.join(`presence:${conversation}`, owner, '1');
  assert.deepEqual(await here.httpSend('object', { on: true }), { success: true });
  assert.deepEqual(await here.httpSend('bytes', new Uint8Array([1, 2, 255]).buffer), { success: true });
  await until(() => there.frames.filter(Buffer.isBuffer).length === 2, 'both');
  const [object, bytes] = there.frames.filter(Buffer.isBuffer);
  assert.ok(object[4] === 1 && object.includes('{"on":true}'));
  assert.ok(bytes[4] === 0 && bytes.subarray(-3).equals(Buffer.from([1, 2, 255])));
  there.close();
  await client.removeAllChannels();
  await client.realtime.disconnect();
});
