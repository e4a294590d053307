// Mutates the WUZAPI fixtures, the bodies of the cases among them, and gives them to chat.ingest_wuzapi inside a server: nothing may end the backend or raise
// an internal error (class XX). With the extension built as `make test-undefined` does, undefined behaviour ends it.
//
//   node regress/random/wuzapi.mjs        ROUNDS (per fixture: 40), SEED
import { randomInt, randomUUID } from 'node:crypto';
import { connect } from '../lib/db.mjs';
import { Cluster } from '../lib/cluster.mjs';
import { finish } from '../lib/janitor.mjs';
import { wuzapiBodies } from '../lib/wuzapi-bodies.mjs';
import { generator } from './program.mjs';

const rounds = Number(process.env.ROUNDS || 40);
const seed = Number(process.env.SEED || randomInt(1, 2 ** 31));
const r = generator(seed);
const odd = [null, true, 0, -1, 1e300, 2 ** 53, '', 'x', '@', '1:2@s.whatsapp.net', '@lid', 'x'.repeat(70000), '\u{1f600}'.repeat(2000), '<b>', [], {}, [null], [[]],
  { '': {} }, '9999999999999999999', '2024-13-45T99:99:99Z', '0001-01-01T00:00:00Z', 'status@broadcast', '120363@g.us', '"', '\\', 4294967295, '1788280000', '{"id": "x", "n": 1e99}', { message: { conversation: 'x' } }, { secretEncType: 2, targetMessageKey: { ID: 'x' } },
  { contextInfo: { stanzaID: 'x', quotedMessage: { conversation: 7 } } }, Array.from({ length: 300 }, () => ({ optionName: 'x'.repeat(500) }))];

/** All places of a JSON value: [holder, key]. */
function places(value, list = []) {
  if (value && typeof value === 'object') {
    for (const key of Object.keys(value)) {
      list.push([value, key]);
      places(value[key], list);
    }
  }
  return list;
}

function mutate(value) {
  const copy = structuredClone(value);
  for (let i = 1 + r.below(3); i > 0; i--) {
    const all = places(copy);
    if (!all.length) break;
    const [holder, key] = r.pick(all);
    const [other, otherKey] = r.pick(all);
    const action = r.below(5);
    if (action === 0 && !Array.isArray(holder)) delete holder[key];
    else if (action === 1) holder[key] = structuredClone(other[otherKey]);
    else if (action === 2 && !Array.isArray(holder)) holder[r.chance(0.5) ? key.toLowerCase() : `${key}x`] = holder[key];
    else if (action === 3 && typeof holder[key] === 'string') holder[key] = holder[key].slice(0, r.below(holder[key].length + 1)) + r.pick(['', '@', ':', '\u0001']);
    else holder[key] = structuredClone(r.pick(odd));
  }
  return copy;
}

let failed = 0;
let passed = 0;
const states = {};
console.log(`wuzapi     SEED=${seed}`);
try {
  const cluster = await Cluster.create({ fsync: 'off' });
  await cluster.psql('CREATE DATABASE chat');
  let db = await connect(cluster);
  await db.query('CREATE EXTENSION chat_realtime');
  await db.query('SELECT chat.setup()');
  const owner = randomUUID();
  for (const { name: file, body: original } of wuzapiBodies()) {
    const before = failed;
    for (let i = 0; i < rounds && failed < 20; i++) {
      const body = JSON.stringify(mutate(original));
      try {
        await db.query('SELECT chat.ingest_wuzapi($1, $2::jsonb)', [owner, body]);
        states.ok = (states.ok ?? 0) + 1;
      } catch (error) {
        const state = error.code ?? 'lost';
        states[state] = (states[state] ?? 0) + 1;
        if (!/^XX|^57|^08|lost|^E/.test(state)) continue;
        failed++;
        console.log(`FAILED wuzapi     ${file}: ${state} ${error.message}\n         ${body.slice(0, 1500)}`);
        if (/^XX|57014/.test(state)) continue;
        await db.end().catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 3000));
        db = await connect(cluster);
      }
    }
    if (failed === before) passed++;
  }
} catch (error) {
  failed++;
  console.log(`FAILED wuzapi     ${error.stack}`);
}
await finish();
console.log(`wuzapi     ${JSON.stringify(states)}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
