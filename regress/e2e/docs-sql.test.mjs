// Every block of SQL in README and docs/ runs as it stands there, in a database that chat.setup made.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from '../lib/bed.mjs';
import { connect, value } from '../lib/db.mjs';
import { root } from '../lib/workspace.mjs';

const pages = ['README.md', ...readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'sql.md').map((name) => `docs/${name}`)];
const verb = /^(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP)\s/;
/** What cannot run here: the beginning of a block, and why. */
const skipped = {
  'CREATE PUBLICATION moving': 'two servers',
};
/** What a reader puts in: [as it stands in the text, what it is here]. */
const given = (bed, made) => [
  [/'(?:5f0c…|8f0c…|aaaaaaaa-…-01|<owner>|<a user id>|<your user id>|5f0c1a52-0000-4000-8000-000000000001)'/g, `'${bed.owner}'`],
  [/'<(?:webhook|id)>'/g, `'${made.webhook}'`],
  [/<attempt>/g, made.attempt],
  [/"<instanceName, userID or token>": "<inbox id>"/g, '"desk": "1"'],
  [/\$1::bytea, \$2, \$3/g, "'{}'::bytea, 'a1', 'key'"],
  [/\|\| user_id/g, "|| '1'"],
  [/3EB0…/g, '3EB0AB12'],
  [/ \\gexec/g, ';'],
  [/CREATE INDEX CONCURRENTLY/g, 'CREATE INDEX'], // each block is in a transaction
  [/ROLE (\w+) LOGIN/g, 'ROLE $1_docs LOGIN'], // roles are the cluster's, and the bed has some
  [/\('chat_(sidecar|backend|endpoint)'\)/g, "('chat_$1_docs')"],
  [/\('my_backend'\)/g, "('chat_backend_docs')"],
  [/\(conversation_id, direction, content\) VALUES \(1,/g, `(conversation_id, direction, content) VALUES (${made.conversation},`],
];
/** Tables that docs/attach.md takes for there. */
const crm = `CREATE SCHEMA crm;
  CREATE TABLE crm.accounts (id bigint PRIMARY KEY, owner_user_id uuid);
  CREATE TABLE crm.agents (id bigint PRIMARY KEY, user_id uuid);
  CREATE TABLE crm.threads (id uuid PRIMARY KEY, account_id bigint REFERENCES crm.accounts, assigned_agent_id bigint REFERENCES crm.agents,
    unread_count integer NOT NULL DEFAULT 0, last_message_at timestamptz, last_message_preview text);
  CREATE TABLE crm.notes (id uuid PRIMARY KEY, thread_id uuid REFERENCES crm.threads, direction text, status text, body text,
    sent_at timestamptz, created_at timestamptz DEFAULT now());`;

/** The page's blocks of SQL: fenced ones, and indented ones that begin with a statement; lines for the shell are left out. */
function blocks(page) {
  const text = readFileSync(path.join(root, page), 'utf8');
  const fenced = [...text.matchAll(/^```sql\n([^]*?)^```/gm)].map((match) => match[1]);
  const indented = [...text.replace(/^```[^]*?^```/gm, '').matchAll(/(?<=\n\n)(?:(?: {4}.*)?\n)+/g)].map(([block]) => block.replace(/^ {4}/gm, ''));
  return [...fenced, ...indented].map((block) => block.replace(/^(?:curl|psql|make) .*\n/gm, '').trim()).filter((block) => verb.test(block.replace(/^--.*\n/gm, '')));
}

let bed;
let blank;
const made = {};

before(async () => {
  bed = await Bed.create();
  await bed.cluster.psql('CREATE DATABASE blank');
  blank = await connect(bed.cluster, { database: 'blank' });
  for (const role of ['sidecar', 'backend', 'endpoint']) await bed.db.query(`CREATE ROLE chat_${role}_docs`);
  const conversations = await value(bed.db, `WITH made AS (INSERT INTO conversations (user_id, contact_jid)
    SELECT $1, n || '@s.whatsapp.net' FROM generate_series(1, 20) n RETURNING id) SELECT array_agg(id::int ORDER BY id) FROM made`, [bed.owner]);
  [made.conversation] = conversations;
  await bed.db.query(`INSERT INTO chat_messages (conversation_id, direction, content, status) SELECT $1, 'outgoing', n::text, 'pending' FROM generate_series(1, 20) n`, [made.conversation]);
  made.webhook = (await value(bed.db, "SELECT chat.create_webhook($1, 'https://example.com/hook', '{*}')", [bed.owner])).id;
  made.attempt = 1;
});

after(async () => {
  await blank.end();
  await bed.close();
});

for (const page of pages) {
  const all = blocks(page);
  if (all.length === 0) continue;
  test(`${page}: ${all.length} blocks of SQL`, async () => {
    for (const block of all) {
      if (Object.keys(skipped).some((beginning) => block.replace(/^--.*\n/gm, '').startsWith(beginning))) continue;
      const db = block.startsWith('CREATE EXTENSION chat_realtime') ? blank : bed.db;
      let text = given(bed, made).reduce((sql, [stands, is]) => sql.replace(stands, is), block);
      // Roles of the text are there already: what says who they are is left out.
      text = text.replace(/CREATE ROLE \w+_docs .*;/g, '');
      await db.query('BEGIN');
      try {
        if (page === 'docs/attach.md') await db.query(crm);
        await db.query(text);
      } catch (error) {
        assert.fail(`${text}\n${error.message} (${error.code}) ${error.hint ?? ''}`);
      } finally {
        await db.query('ROLLBACK');
      }
    }
  });
}

test('what is not run is in the docs', () => {
  const text = pages.flatMap(blocks).join('\n');
  assert.deepEqual(Object.keys(skipped).filter((beginning) => !text.includes(beginning)), []);
});
