// POST …/messages of the example backend, and of the same backend as the original design writes it, in one run:
// same tables, same clients, a webhook on every message, a Realtime endpoint on the same machine.
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Backend } from '../lib/backend.mjs';
import { Bed } from '../lib/bed.mjs';
import { value } from '../lib/db.mjs';
import { Listener } from '../lib/http.mjs';
import { finish } from '../lib/janitor.mjs';
import { roleToken } from '../lib/jwt.mjs';
import { until } from '../lib/wait.mjs';
import { root } from '../lib/workspace.mjs';

const clients = Number(process.env.CLIENTS ?? 32);
const seconds = Number(process.env.SECONDS ?? 5);
const rounds = Number(process.env.ROUNDS ?? 3);
const conversations = 100;
const body = JSON.stringify({ content: 'Olá, tudo bem? O seu pedido 12345 sai hoje, chega amanhã cedo.' });

/** A database, a sidecar and a backend; with plain the tables have no triggers and the backend does the work. */
async function build(name, plain) {
  const side = { name, waits: [], seconds: 0, cpu: [0, 0, 0], received: 0 };
  side.bed = await Bed.create();
  side.hook = await new Listener((request, response) => {
    request.resume();
    request.once('end', () => {
      side.received++;
      response.end('{}');
    });
  }).up();
  await side.bed.role('chat_backend', 'grant_backend');
  const user = plain ? 'postgres' : 'chat_backend';
  await side.bed.db.query(`ALTER ROLE ${user} SET chat_realtime.rate_limits = off`);
  const sidecar = await side.bed.sidecar(plain ? { WEBHOOKS: 'off' } : {});
  side.sidecar = sidecar;
  const keys = await value(side.bed.db, `SELECT chat.create_api_key($1, 'bench')`, [side.bed.owner]);
  side.key = keys.key;
  await value(side.bed.db, `SELECT chat.create_webhook($1, $2, '{message.sent}')`, [side.bed.owner, `${side.hook.url}/hook`]);
  side.ids = (await side.bed.db.query(`INSERT INTO public.conversations (user_id, contact_jid)
    SELECT $1, g || '@s.whatsapp.net' FROM generate_series(1, ${conversations}) g RETURNING id`, [side.bed.owner])).rows.map((row) => row.id);
  // Its keys are still the extension's, so the tables stay attached; nothing happens in them.
  if (plain) for (const table of ['chat_messages', 'conversations']) await side.bed.db.query(`ALTER TABLE public.${table} DISABLE TRIGGER USER`);
  side.backend = await Backend.start(side.bed.cluster, {
    user,
    program: plain ? path.join(root, 'regress/bench/plain-backend.mjs') : undefined,
    env: { POOL_SIZE: '16', REALTIME_URL: sidecar.url, REALTIME_KEY: roleToken('service_role', sidecar.env.EMBEDDED_JWT_SECRET) },
  });
  side.agent = new http.Agent({ keepAlive: true, maxSockets: clients });
  return side;
}

/** CPU milliseconds so far of the server's sessions, the backend and the sidecar. */
function cpuOf({ bed, backend, sidecar }) {
  const cpu = [0, 0, 0];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
      const part = Number(fields[1]) === bed.cluster.server.pid ? 0 : [undefined, backend.child.pid, sidecar.child.pid].indexOf(Number(pid));
      if (part >= 0) cpu[part] += (Number(fields[11]) + Number(fields[12])) * 10;
    } catch {
      // ended meanwhile
    }
  }
  return cpu;
}

function send(side, id) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${side.backend.url}/api/v1/chat/conversations/${id}/messages`, {
      method: 'POST', agent: side.agent,
      headers: { 'X-API-Key': side.key, 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    }, (response) => {
      response.resume();
      response.once('end', () => (response.statusCode === 201 ? resolve() : reject(new Error(`${side.name} answered ${response.statusCode}`))));
    });
    request.once('error', reject);
    request.end(body);
  });
}

async function round(side, duration) {
  const start = performance.now();
  const cpu = cpuOf(side);
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    for (let n = 0; performance.now() - start < duration * 1000; n++) {
      const before = performance.now();
      await send(side, side.ids[(client * 37 + n) % side.ids.length]);
      side.waits.push(performance.now() - before);
    }
  }));
  side.seconds += (performance.now() - start) / 1000;
  cpuOf(side).forEach((ms, part) => { side.cpu[part] += ms - cpu[part]; });
}

function line({ name, waits, seconds: time, cpu }, base) {
  waits.sort((a, b) => a - b);
  const rate = waits.length / time;
  const at = (part) => waits[Math.floor(waits.length * part)].toFixed(1).padStart(8);
  console.log(`  ${name.padEnd(30)} ${rate.toFixed(0).padStart(7)} ${at(0.5)} ms ${at(0.99)} ms ${(rate / base).toFixed(1).padStart(7)} x   ${cpu.map((ms) => (ms / waits.length).toFixed(2)).join(' + ')}`);
  return rate;
}

try {
  const sides = [await build('insert, update, broadcast, …', true), await build('chat_realtime', false)];
  for (const side of sides) await round(side, 1);
  for (const side of sides) Object.assign(side, { waits: [], seconds: 0, cpu: [0, 0, 0] });
  for (let n = 0; n < rounds; n++) for (const side of sides) await round(side, seconds);
  console.log(`\nPOST …/messages, ${clients} clients, one webhook per message, ${rounds} x ${seconds} s each, alternating`);
  console.log('                                 requests/s      p50         p99   over plain   CPU ms/request: server + backend + sidecar');
  const base = line(sides[0], sides[0].waits.length / sides[0].seconds);
  line(sides[1], base);
  const { bed, received } = sides[1];
  const stored = await value(bed.db, 'SELECT count(*) FROM public.chat_messages');
  const since = performance.now();
  await until(() => sides[1].received >= stored, () => `${stored} webhooks, not ${sides[1].received}`, 120_000, 20);
  console.log(`  chat_realtime delivers in the background: ${received} of ${stored} webhooks were there at the end, all of them ${((performance.now() - since) / 1000).toFixed(1)} s later`);
  for (const side of sides) {
    side.agent.destroy();
    await side.backend.stop();
    await side.hook.down();
    await side.bed.close();
  }
} finally {
  await finish?.();
}
