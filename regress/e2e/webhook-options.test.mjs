// What owners give their webhooks: headers, filters, a rate limit, a key of their own; sent with what is new, and with what was stored.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Bed } from '../lib/bed.mjs';
import { rows, value } from '../lib/db.mjs';
import { Receiver } from '../lib/receiver.mjs';
import { until } from '../lib/wait.mjs';
import { root, temporaryDirectory } from '../lib/workspace.mjs';

let bed, sidecar;

before(async () => {
  bed = await Bed.create();
  await bed.db.query('ALTER TABLE public.conversations ADD COLUMN inbox_id uuid');
  await bed.db.query(`SELECT chat.attach('public.conversations', 'public.chat_messages')`);
  sidecar = await bed.sidecar();
});

after(() => bed.close());

/** A receiver with a webhook of these options; the only active one. */
async function receive(options, events = ['message.received']) {
  const receiver = await Receiver.start();
  bed.closing.push(() => receiver.down());
  await bed.db.query('UPDATE public.chat_external_webhooks SET is_active = false');
  receiver.webhook = await value(bed.db, 'SELECT chat.create_webhook($1, $2, $3, options => $4)', [bed.owner, receiver.url, events, options]);
  receiver.secret = receiver.webhook.secret;
  return receiver;
}

const got = (receiver, count) => until(() => receiver.deliveries.length >= count && receiver.deliveries, () => `${count} deliveries: ${sidecar.tail()}`);

/** Waits until all events that there are have been judged by the options that there are. */
const judged = () => until(() => value(bed.db, `SELECT last_id = (SELECT max(id) FROM chat.events) FROM chat.consumer WHERE name = 'webhooks'`), 'the position past all events');

/** As a receiver does it that has the public key alone. */
function verifyPublic(publicKey, { raw, headers }) {
  const key = createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64')]), format: 'der', type: 'spki' });
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${raw}`;
  return headers['webhook-signature'].split(' ').some((one) => one.startsWith('v1a,') && verify(null, Buffer.from(signed), key, Buffer.from(one.slice(4), 'base64')));
}

test('headers of the owner come with every request, beside ours', async () => {
  const receiver = await receive({ headers: { Authorization: 'Bearer of the receiver', 'X-Tenant': '42: "a, b"' } });
  const conversation = await bed.conversation('Ana');
  await bed.message(conversation, 'new');
  await value(bed.db, 'SELECT chat.test_webhook($1, event => $2)', [receiver.webhook.id, 'conversation.created']);
  for (const { headers, problem } of await got(receiver, 2)) {
    assert.equal(problem, null);
    assert.equal(headers.authorization, 'Bearer of the receiver');
    assert.equal(headers['x-tenant'], '42: "a, b"');
    assert.equal(headers['content-type'], 'application/json');
    assert.match(headers['user-agent'], /^chat-sidecar\//);
  }
  await value(bed.db, `SELECT chat.update_webhook($1, '{"headers": {"X-Other": "1"}}')`, [receiver.webhook.id]);
  await bed.message(conversation, 'changed');
  const { headers } = (await got(receiver, 3)).find(({ body }) => body.data.content === 'changed');
  assert.equal(headers['x-other'], '1');
  assert.equal(headers['x-tenant'], undefined);
});

test('ten headers of all bytes that there may be', async () => {
  const wanted = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`X-Header-${i}`, 'y'.repeat(395)]));
  const receiver = await receive({ headers: wanted, ed25519: true });
  await bed.message(await bed.conversation('Bia'), 'many headers');
  const [{ headers, problem }] = await got(receiver, 1);
  assert.equal(problem, null);
  for (const [name, text] of Object.entries(wanted)) assert.equal(headers[name.toLowerCase()], text);
});

test('with a key of its own: v1 for standardwebhooks and v1a for whoever has the public key, also while the secret is replaced', async () => {
  const receiver = await receive({ ed25519: true });
  const { id, publicKey } = receiver.webhook;
  assert.match(publicKey, /^whpk_[A-Za-z0-9+/]{43}=$/);
  const conversation = await bed.conversation('Caio');
  await bed.message(conversation, 'olá, "mundo" \u{1F600}');
  await value(bed.db, 'SELECT chat.test_webhook($1)', [id]);
  for (const delivery of await got(receiver, 2)) {
    assert.equal(delivery.problem, null);
    assert.deepEqual(delivery.headers['webhook-signature'].split(' ').map((one) => one.split(',')[0]), ['v1', 'v1a']);
    assert.ok(verifyPublic(publicKey, delivery));
    assert.ok(!verifyPublic(publicKey, { ...delivery, raw: `${delivery.raw} ` }));
    assert.ok(!verifyPublic(`whpk_${Buffer.alloc(32, 1).toString('base64')}`, delivery));
  }
  const { secret } = await value(bed.db, 'SELECT chat.rotate_webhook_secret($1)', [id]);
  await bed.message(conversation, 'rotated');
  const rotated = (await got(receiver, 3)).find(({ body }) => body.data.content === 'rotated');
  assert.equal(rotated.headers['webhook-signature'].split(' ').length, 3);
  for (const one of [receiver.secret, secret]) new Webhook(one).verify(rotated.raw, rotated.headers);
  assert.ok(verifyPublic(publicKey, rotated));
});

test('public keys are those that OpenSSL derives', async () => {
  const pairs = await rows(bed.db, `SELECT encode(k, 'hex') AS key, encode(chat.ed25519_public_key(k), 'hex') AS public
    FROM (SELECT chat.random_bytes(32) AS k FROM generate_series(1, 200) OFFSET 0) r`);
  for (const pair of pairs) {
    const key = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(pair.key, 'hex')]);
    const spki = createPublicKey({ key, format: 'der', type: 'pkcs8' }).export({ format: 'der', type: 'spki' });
    assert.equal(pair.public, spki.subarray(12).toString('hex'), pair.key);
  }
});

test('filters: events of these conversations, or of an inbox, and those of no other', async () => {
  const inbox = '0a0a0a0a-0000-4000-8000-000000000000';
  const [here, there, elsewhere] = [await bed.conversation('Here'), await bed.conversation('There'), await bed.conversation('Elsewhere')];
  await bed.db.query('UPDATE public.conversations SET inbox_id = $1 WHERE id = ANY ($2)', [inbox, [there, elsewhere]]);
  const receiver = await receive({ conversations: [here] });
  const say = async (text) => {
    for (const conversation of [there, elsewhere, here]) await bed.message(conversation, `${text} ${conversation}`);
  };
  const contents = () => receiver.deliveries.map(({ body }) => body.data.content);
  await say('one');
  await judged();
  await value(bed.db, 'SELECT chat.update_webhook($1, $2)', [receiver.webhook.id, { conversations: null, inboxes: [inbox] }]);
  await say('two');
  await judged();
  await value(bed.db, 'SELECT chat.update_webhook($1, $2)', [receiver.webhook.id, { conversations: [there] }]);
  await say('three');
  await judged();
  await value(bed.db, 'SELECT chat.update_webhook($1, $2)', [receiver.webhook.id, { conversations: null, inboxes: null }]);
  await say('four');
  await got(receiver, 7);
  assert.deepEqual(contents().sort(), [`one ${here}`, `two ${there}`, `two ${elsewhere}`, `three ${there}`, `four ${there}`, `four ${elsewhere}`, `four ${here}`].sort());
});

test('a rate limit: what is over it is stored, keeps nobody back, and goes when there is room', async () => {
  const receiver = await receive({ rateLimit: 1 });
  for (let i = 0; i < 4; i++) await bed.message(await bed.conversation(`Busy ${i}`), `${i}`);
  await until(() => value(bed.db, 'SELECT count(*) = 3 FROM chat.webhook_delivery WHERE webhook = $1', [receiver.webhook.id]), () => `three stored: ${sidecar.tail()}`);
  await judged();
  assert.equal(receiver.attempts.length, 1);
  await value(bed.db, 'SELECT chat.update_webhook($1, $2)', [receiver.webhook.id, { rateLimit: null }]);
  await bed.message(await bed.conversation('One more'), '4'); // with which the change is noticed at once
  const deliveries = await got(receiver, 5);
  assert.deepEqual(deliveries.map(({ body }) => body.data.content).sort(), ['0', '1', '2', '3', '4']);
  await until(() => value(bed.db, 'SELECT count(*) = 0 FROM chat.webhook_delivery WHERE webhook = $1', [receiver.webhook.id]), 'nothing stored');
});

test('again, all of a time: the same ids, in order per conversation', async () => {
  const receiver = await receive({});
  const [a, b] = [await bed.conversation('Again a'), await bed.conversation('Again b')];
  for (let i = 0; i < 5; i++) for (const conversation of [a, b]) await bed.message(conversation, `${i}`);
  await got(receiver, 10);
  const first = receiver.deliveries.splice(0);
  await until(() => value(bed.db, 'SELECT count(*) = 10 FROM chat.webhook_attempt WHERE webhook = $1', [receiver.webhook.id]), 'the attempts');
  assert.equal(await value(bed.db, `SELECT chat.redeliver($1::uuid, now() - interval '1 h')`, [receiver.webhook.id]), 10);
  const again = await got(receiver, 10);
  assert.deepEqual(again.map(({ id }) => id).sort(), first.map(({ id }) => id).sort());
  for (const conversation of [a, b]) {
    assert.deepEqual(again.filter(({ body }) => String(body.data.conversationId) === String(conversation)).map(({ body }) => body.data.content), ['0', '1', '2', '3', '4']);
  }
});

test('a webhook that works again after it was disabled: an event for its owner', async () => {
  const receiver = await receive({});
  const conversation = await bed.conversation('Recovered');
  receiver.answer = () => 410;
  await bed.message(conversation, 'gone');
  const inbox = `user:${bed.owner}:inbox`;
  const told = (event) => until(async () => (await rows(bed.db, 'SELECT payload FROM chat.events WHERE topic = $1 AND event = $2 AND (payload::jsonb ->> $3) = $4', [inbox, event, 'id', receiver.webhook.id]))[0],
    () => `${event}: ${sidecar.tail()}`);
  await told('webhook.disabled');
  receiver.answer = () => 200;
  await value(bed.db, 'SELECT chat.enable_webhook($1)', [receiver.webhook.id]);
  await value(bed.db, 'SELECT chat.test_webhook($1)', [receiver.webhook.id]);
  assert.match(JSON.parse((await told('webhook.recovered')).payload).reason, /^a delivery succeeded: the webhook was disabled at /);
});

// What stands in docs/webhooks.md, each block with what calls it for a list of cases: [language, file, command, begin, end]. PHP, Ruby and Go run where they are.
const callers = [
  ['js', 'verify.mjs', 'node verify.mjs', '', `
console.log(JSON.parse(process.argv[2]).map(({ key, headers, body }) => Number(verify(key, headers, body))).join(''));`],
  ['python', 'verify.py', 'python3 verify.py', 'import json, sys', `
print(''.join(str(int(verify(c['key'], c['headers'], c['body'].encode()))) for c in json.loads(sys.argv[1])))`],
  ['sh', 'verify.sh', 'sh verify.sh', '', `
shift
while [ $# -gt 0 ]; do
    secret=$1 id=$2 timestamp=$3 signatures=$4
    printf %s "$5" > body
    if verify; then printf 1; else printf 0; fi
    shift 5
done`],
  ['php', 'verify.php', 'php verify.php', '', `
foreach (json_decode($argv[1], true) as $c) echo (int) verify($c['key'], $c['headers'], $c['body']);`],
  ['ruby', 'verify.rb', 'ruby verify.rb', '', `
require 'json'
puts JSON.parse(ARGV[0]).map { |c| verify(c['key'], c['headers'], c['body']) ? 1 : 0 }.join`],
  ['go', 'receiver/verify.go', 'go run .', '', ''],
];

/** The caller of the block in Go, which is a package of its own. */
const goFiles = {
  'go.mod': 'module docs\n',
  'main.go': `package main

import (
	"docs/receiver"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	var cases []struct {
		Key, Body string
		Headers   map[string]string
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &cases); err != nil {
		panic(err)
	}
	for _, c := range cases {
		headers := http.Header{}
		for name, value := range c.Headers {
			headers.Set(name, value)
		}
		if receiver.Verify(c.Key, headers, []byte(c.Body)) {
			fmt.Print(1)
		} else {
			fmt.Print(0)
		}
	}
}
`,
};

test('docs/webhooks.md: each way to verify takes what was sent, and nothing that was changed', async (context) => {
  const receiver = await receive({ ed25519: true });
  const { secret, publicKey } = receiver.webhook;
  await bed.message(await bed.conversation('Docs'), 'olá, "mundo" \u{1F600}');
  const [{ raw, headers, problem }] = await got(receiver, 1);
  assert.equal(problem, null);
  const text = readFileSync(path.join(root, 'docs/webhooks.md'), 'utf8');
  const directory = temporaryDirectory();
  symlinkSync(path.join(root, 'regress/node_modules'), path.join(directory, 'node_modules'));
  mkdirSync(path.join(directory, 'receiver'));
  for (const [name, content] of Object.entries(goFiles)) writeFileSync(path.join(directory, name), content);
  for (const [language, file, command, begin, end] of callers) {
    const blocks = [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, block]) => block);
    assert.ok(blocks.length > 0, language);
    for (const block of blocks) {
      const key = block.includes('publicKey') ? publicKey : secret;
      const other = key.slice(0, 6) + Buffer.alloc(32, 7).toString('base64').slice(0, key.length - 6); // as long, and another
      const cases = [
        [key, headers, raw, 1],
        [key, { ...headers, 'webhook-signature': `v1,AAAA ${headers['webhook-signature']}` }, raw, 1],
        [key, headers, `${raw} `, 0],
        [key, { ...headers, 'webhook-id': 'evt_0' }, raw, 0],
        [key, { ...headers, 'webhook-timestamp': String(headers['webhook-timestamp'] - 400) }, raw, 0],
        [other, headers, raw, 0],
      ];
      writeFileSync(path.join(directory, file), `${begin}\n${block}${end}\n`);
      const [program, ...first] = command.split(' ');
      const ended = spawnSync(program, [...first, JSON.stringify(cases.map(([with_, given, body]) => ({ key: with_, headers: given, body }))),
        ...cases.flatMap(([with_, given, body]) => [with_, given['webhook-id'], given['webhook-timestamp'], given['webhook-signature'], body])],
      { cwd: directory, encoding: 'utf8', env: { GOCACHE: path.join(directory, 'cache'), ...process.env } });
      if (ended.error?.code === 'ENOENT') context.diagnostic(`${program} is not there: its block was not run`);
      else assert.equal(ended.stdout.trim(), cases.map(([, , , yes]) => yes).join(''), `${language}: ${ended.stderr}`);
    }
  }
});
