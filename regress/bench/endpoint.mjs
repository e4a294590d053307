// The embedded endpoint: CPU and rate of handing one message to many subscribers, and memory of sockets that are idle.
// SUBSCRIBERS=100 MESSAGES=20000 IDLE=10000
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Bed } from '../lib/bed.mjs';
import { finish } from '../lib/janitor.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { memory, ticks } from '../lib/usage.mjs';

const subscribers = Number(process.env.SUBSCRIBERS ?? 100);
const messages = Number(process.env.MESSAGES ?? 20_000);
const idle = Number(process.env.IDLE ?? 10_000);
const batch = 50;
const topic = 'room';

function build(dir) {
  const binary = path.join(dir, 'crowd');
  execFileSync('cc', ['-O2', '-o', binary, path.join(import.meta.dirname, 'crowd.c')], { stdio: 'inherit' });
  return binary;
}

/** The crowd, once all have joined. */
async function crowd(binary, sidecar, name, sockets, frames) {
  const child = spawn(binary, [new URL(sidecar.url).port, sidecar.anonKey, name, `${sockets}`, `${frames}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8');
  await once(child.stdout, 'data');
  return child;
}

function post(agent, sidecar, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${sidecar.url}/api/broadcast`, { method: 'POST', agent,
      headers: { 'Content-Type': 'application/json', apikey: roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET), 'Content-Length': Buffer.byteLength(body) } }, (answer) => {
      answer.resume();
      answer.on('end', () => (answer.statusCode === 202 ? resolve() : reject(new Error(`${answer.statusCode}`))));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function fanOut(binary, sidecar) {
  const child = await crowd(binary, sidecar, topic, subscribers, messages);
  const payload = { id: 1, conversationId: 7, content: 'Olá, tudo bem? Queria saber do meu pedido', direction: 'incoming', status: 'pending',
    messageType: 'text', metadata: null, createdAt: '2026-01-01T00:00:00.000000+00:00', updatedAt: '2026-01-01T00:00:00.000000+00:00' };
  const body = JSON.stringify({ messages: Array.from({ length: batch }, () => ({ topic, event: 'message.new', payload, private: false })) });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
  const [began, spent] = [performance.now(), ticks(sidecar.endpointPid)];
  const done = once(child, 'exit');
  let left = messages / batch;
  const sender = async () => {
    while (left > 0) {
      left -= 1;
      await post(agent, sidecar, body);
    }
  };
  await Promise.all([sender(), sender()]);
  const [code] = await done;
  if (code !== 0) throw new Error(`the crowd ended with ${code}`);
  const deliveries = messages * subscribers;
  const seconds = (performance.now() - began) / 1000;
  console.log(`  ${subscribers} subscribers, batches of ${batch}: ${Math.round(deliveries / seconds)} deliveries/s, ${((ticks(sidecar.endpointPid) - spent) * 1e4 / deliveries).toFixed(2)} µs of CPU each`);
  agent.destroy();
}

async function sleepers(binary, sidecar) {
  const before = memory(sidecar.endpointPid);
  const child = await crowd(binary, sidecar, '', idle, 0);
  const took = memory(sidecar.endpointPid) - before;
  console.log(`  ${idle} idle sockets: ${(took / idle / 1024).toFixed(1)} KiB each (anonymous memory)`);
  child.stdin.end();
  await once(child, 'exit');
}

const dir = mkdtempSync('/tmp/chat_realtime-bench.');
try {
  const binary = build(dir);
  const bed = await Bed.create();
  const sidecar = await bed.sidecar({ WEBHOOKS: 'off', REALTIME_PRIVATE: 'false' });
  console.log('\nThe embedded endpoint');
  await fanOut(binary, sidecar);
  await sleepers(binary, sidecar);
  await bed.close();
} finally {
  rmSync(dir, { recursive: true });
  await finish();
}
