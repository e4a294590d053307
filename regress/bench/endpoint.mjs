// The embedded endpoint beside a plain libwebsockets loop (plain.c) in turns: rate and CPU of handing messages to many subscribers, how long
// a message takes at a given rate; and of the endpoint the memory of idle sockets and joins a second.
// SUBSCRIBERS=100 MESSAGES=20000 IDLE=10000 ROUNDS=3 SECONDS=10
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { finish } from '../lib/janitor.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { RawSocket } from '../lib/raw-socket.mjs';
import { memory, ticks } from '../lib/usage.mjs';
import { sleep } from '../lib/wait.mjs';
import { median, paired } from './paired.mjs';

const subscribers = Number(process.env.SUBSCRIBERS ?? 100);
const messages = Number(process.env.MESSAGES ?? 20_000);
const files = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
const idle = Math.min(Number(process.env.IDLE ?? 10_000), Math.floor(files * 3 / 4) - 200);
const rounds = Number(process.env.ROUNDS ?? 3);
const seconds = Number(process.env.SECONDS ?? 10);
const rate = 10_000; // deliveries a second, where it is the time that counts
const batch = 50;
const topic = 'room';
const payload = { id: 1, conversationId: 7, content: 'Olá, tudo bem? Queria saber do meu pedido', direction: 'incoming', status: 'pending',
  messageType: 'text', metadata: null, createdAt: '2026-01-01T00:00:00.000000+00:00', updatedAt: '2026-01-01T00:00:00.000000+00:00' };
/** A message as clients get it; at: when it was sent. */
const frame = (at) => JSON.stringify([null, null, `realtime:${topic}`, 'broadcast', { event: 'message.new', payload: { at, ...payload }, type: 'broadcast' }]);

function build(dir, name, ...libraries) {
  const binary = path.join(dir, name);
  execFileSync('cc', ['-O2', '-o', binary, path.join(import.meta.dirname, `${name}.c`), ...libraries], { stdio: 'inherit' });
  return binary;
}

/** The crowd, once all have joined. */
async function crowd(binary, { port, key }, name, sockets, frames, ...more) {
  const child = spawn(binary, [port, key, name, `${sockets}`, `${frames}`, ...more], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8');
  await once(child.stdout, 'data');
  return child;
}

/** The end of a crowd: what it printed last. */
async function gone(child) {
  let said = '';
  child.stdout.on('data', (text) => { said += text; });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the crowd ended with ${code}`);
  return said.trim();
}

async function open(url) {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  return socket;
}

/** The endpoint: batches by HTTP, single ones from a socket of the service. */
async function endpoint(sidecar) {
  const key = roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  let socket; // opened late: what others send it would hear, too
  const body = JSON.stringify({ messages: Array.from({ length: batch }, () => ({ topic, event: 'message.new', payload, private: false })) });
  return {
    name: 'endpoint', port: new URL(sidecar.url).port, key: sidecar.anonKey, pid: sidecar.endpointPid,
    prepare: async () => {
      socket ??= await RawSocket.open(sidecar, { key });
      await socket.join(topic, key, '1', { private: false });
    },
    send: (at) => socket.send('1', null, `realtime:${topic}`, 'broadcast', { event: 'message.new', payload: { at, ...payload }, type: 'broadcast' }),
    sendBatch: () => new Promise((resolve, reject) => {
      const request = http.request(`${sidecar.url}/api/broadcast`, { method: 'POST', agent,
        headers: { 'Content-Type': 'application/json', apikey: key, 'Content-Length': Buffer.byteLength(body) } }, (answer) => {
        answer.resume();
        answer.on('end', () => (answer.statusCode === 202 ? resolve() : reject(new Error(`${answer.statusCode}`))));
      });
      request.on('error', reject);
      request.end(body);
    }),
    close: () => { agent.destroy(); socket.close(); },
  };
}

/** The loop: all from one socket, which is answered once all is written. */
async function plain(binary) {
  const child = spawn(binary, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = await once(child.stdout.setEncoding('utf8'), 'data');
  const socket = await open(`ws://127.0.0.1:${port.trim()}/`);
  const waiting = [];
  socket.on('message', () => waiting.shift()?.());
  const body = `+${Array.from({ length: batch }, () => frame(0)).join('\n')}`;
  return {
    name: 'plain loop', port: port.trim(), key: 'none', pid: child.pid,
    send: (at) => socket.send(`+${frame(at)}`),
    sendBatch: () => new Promise((resolve) => { waiting.push(resolve); socket.send(body); }),
    close: () => { socket.terminate(); child.kill(); },
  };
}

/** As fast as it goes: deliveries a second, and µs of CPU of each. */
async function fanOut(binary, side) {
  const child = await crowd(binary, side, topic, subscribers, messages);
  const [began, spent] = [performance.now(), ticks(side.pid)];
  const done = gone(child);
  let left = messages / batch;
  const sender = async () => {
    while (left > 0) {
      left -= 1;
      await side.sendBatch();
    }
  };
  await Promise.all([sender(), sender()]);
  await done;
  const deliveries = messages * subscribers;
  return { rate: deliveries / (performance.now() - began) * 1000, cpu: (ticks(side.pid) - spent) * 1e4 / deliveries };
}

/** At a given rate: ms from sending to the client. */
async function inTime(binary, side) {
  const count = Math.round(rate / subscribers * seconds);
  await side.prepare?.();
  const child = await crowd(binary, side, topic, subscribers, count, 'times');
  const done = gone(child);
  const began = performance.now();
  for (let i = 0; i < count; i++) {
    side.send(Number(process.hrtime.bigint()));
    await sleep(Math.max(0, began + (i + 1) * subscribers * 1000 / rate - performance.now()));
  }
  const [p50, p99] = (await done).split(' ').map(Number);
  return { p50, p99 };
}

async function sleepers(binary, side) {
  const before = memory(side.pid);
  const began = performance.now();
  const child = await crowd(binary, side, '', idle, 0);
  const opened = idle / (performance.now() - began) * 1000;
  const took = memory(side.pid) - before;
  console.log(`  ${idle} idle sockets: ${(took / idle / 1024).toFixed(1)} KiB each (anonymous memory), opened ${Math.round(opened)} a second     goal 8 KiB`);
  child.stdin.end();
  await gone(child);
}

/** Joins conversations, so many at a time; answers how many joins succeeded. */
async function joinAll(socket, ids, token, atOnce) {
  let good = 0;
  for (let n = 0; n < ids.length; n += atOnce) {
    const answers = await Promise.all(ids.slice(n, n + atOnce).map((id) => socket.join(`conversation:${id}`, token, `${id}`)));
    good += answers.filter(({ status }) => status === 'ok').length;
  }
  return good;
}

/** Joins of private channels, for each of which the database is asked; of one user no more than 400 may wait for it. */
async function joins(bed, sidecar) {
  const [sockets, topics, atOnce] = [50, 60, 6];
  const ids = [];
  for (let i = 0; i < topics; i++) ids.push(await bed.conversation(`Contact ${i}`));
  const token = sidecar.token(bed.owner);
  const rates = [];
  const cpu = [];
  for (let round = 0; round < rounds; round++) {
    const all = await Promise.all(Array.from({ length: sockets }, () => RawSocket.open(sidecar)));
    const [began, spent] = [performance.now(), ticks(sidecar.endpointPid)];
    const joined = await Promise.all(all.map((socket) => joinAll(socket, ids, token, atOnce)));
    const count = joined.reduce((sum, n) => sum + n);
    rates.push(count / (performance.now() - began) * 1000);
    cpu.push((ticks(sidecar.endpointPid) - spent) * 1e4 / count);
    if (count !== sockets * topics) throw new Error(`${count} of ${sockets * topics} joins`);
    for (const socket of all) socket.close();
  }
  console.log(`  joins of private channels: ${Math.round(median(rates))} a second, ${median(cpu).toFixed(0)} µs of CPU each     goal 1000`);
}

function tell(what, goal, [ours, theirs], name, digits, unit) {
  console.log(`    ${what}: ${ours[name].figure.toFixed(digits)} ${unit}; plain loop ${theirs[name].figure.toFixed(digits)}; ratio ${ours[name].ratio.toFixed(2)}     goal ${goal}`);
}

const dir = mkdtempSync('/tmp/chat_realtime-bench.');
try {
  const binary = build(dir, 'crowd');
  const bed = await Bed.create();
  const sidecar = await bed.sidecar({ WEBHOOKS: 'off', REALTIME_PRIVATE: 'false' });
  const sides = [await endpoint(sidecar), await plain(build(dir, 'plain', '-lwebsockets'))];
  const options = { baseOf: () => sides[1] };
  console.log(`\nThe embedded endpoint beside a plain libwebsockets loop, ${subscribers} subscribers, medians of ${rounds} rounds`);
  const fast = await paired(sides, rounds, (side) => fanOut(binary, side), options);
  console.log(`  batches of ${batch}, as fast as it goes`);
  tell('deliveries/s', '2,000,000', fast, 'rate', 0, '');
  tell('CPU of each', '0.5', fast, 'cpu', 2, 'µs');
  const timely = await paired(sides, rounds, (side) => inTime(binary, side), options);
  console.log(`  one by one, ${rate} deliveries a second`);
  tell('p50', '-', timely, 'p50', 2, 'ms');
  tell('p99', '3', timely, 'p99', 2, 'ms');
  for (const side of sides) side.close();
  await sleepers(binary, sides[0]);
  await joins(bed, sidecar);
  await bed.close();
} finally {
  rmSync(dir, { recursive: true });
  await finish();
}
