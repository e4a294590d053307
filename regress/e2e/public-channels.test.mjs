// A front end that knows nothing of private channels: it joins with the anon key, as it always did. Where channels are private it is
// told so at once; with REALTIME_PRIVATE=false it works as it is, and the sidecar says at start what that means.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';
import { Bed } from '../lib/bed.mjs';
import { until } from '../lib/wait.mjs';

let bed, closed, open, conversation;
const hooks = [];

before(async () => {
  bed = await Bed.create();
  conversation = await bed.conversation('Ana');
  closed = await bed.sidecar();
});

after(async () => {
  for (const hook of hooks) await hook.close();
  await bed.close();
});

/** What such a hook keeps: states by topic, and what it heard. */
class Hook {
  constructor(sidecar) {
    this.states = {};
    this.errors = {};
    this.heard = [];
    this.client = createClient(sidecar.url, sidecar.anonKey, { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: WebSocket } });
    hooks.push(this);
  }

  join(topic, ...events) {
    const channel = this.client.channel(topic);
    for (const event of events) channel.on('broadcast', { event }, ({ payload, meta }) => this.heard.push({ topic, event, payload, id: meta.id }));
    channel.subscribe((state, error) => {
      this.states[topic] = state;
      this.errors[topic] ??= error?.message;
    });
    return channel;
  }

  async close() {
    await this.client.removeAllChannels();
    await this.client.realtime.disconnect();
  }
}

const topics = () => [`user:${bed.owner}:inbox`, `conversation:${conversation}`, `presence:${conversation}`];

test('where channels are private a public join of each of our topics is refused, and told what to do', async () => {
  const hook = new Hook(closed);
  for (const topic of topics()) hook.join(topic, 'message.new');
  await until(() => topics().every((topic) => hook.states[topic]), 'an answer to each');
  for (const topic of topics()) {
    assert.equal(hook.states[topic], 'CHANNEL_ERROR', topic);
    assert.match(hook.errors[topic], /^PrivateOnly: .*private: true/, topic);
  }
  assert.ok(await closed.metric('chat_realtime_embedded_refused_joins_total', 'reason="public"') >= 3);
  const lines = closed.log.filter((line) => line.msg === 'join refused' && line.reason === 'public');
  assert.ok(lines.length >= 1 && lines.length <= 3, `one a minute: ${JSON.stringify(lines)}`);
});

test('what is none of ours stays a public channel', async () => {
  const hook = new Hook(closed);
  const theirs = ['room', `user:${bed.owner}:cursor`, 'conversations:1', 'tenant:1:presence', 'user::inbox-of-mine'];
  for (const topic of theirs) hook.join(topic, 'note');
  await until(() => theirs.every((topic) => hook.states[topic]), 'an answer to each');
  assert.deepEqual(theirs.map((topic) => hook.states[topic]), theirs.map(() => 'SUBSCRIBED'));
});

test('with REALTIME_PRIVATE=false it works unchanged, each event once, and the sidecar warns at start', async () => {
  await closed.kill('SIGTERM');
  open = await bed.sidecar({ REALTIME_PRIVATE: 'false' });
  const warning = open.log.find((line) => line.level === 'warn' && /REALTIME_PRIVATE/.test(line.msg));
  assert.match(warning?.msg ?? '', /anon key hears every conversation/);
  assert.ok(!closed.log.some((line) => /REALTIME_PRIVATE is false/.test(line.msg)), 'only where it is so');
  const hook = new Hook(open);
  const [inbox, topic] = topics();
  hook.join(inbox, 'conversation.new', 'conversation.updated');
  hook.join(topic, 'message.new', 'message.status', 'message.updated');
  await until(() => hook.states[inbox] === 'SUBSCRIBED' && hook.states[topic] === 'SUBSCRIBED', 'both to be joined');
  const written = [];
  for (const text of ['um', 'dois', 'três']) {
    written.push(text);
    await bed.message(conversation, text);
  }
  const fresh = await bed.conversation('Bia');
  await until(() => hook.heard.filter(({ event }) => event === 'message.new').length >= 3 && hook.heard.some(({ event }) => event === 'conversation.new'), 'all of them');
  assert.deepEqual(hook.heard.filter(({ event }) => event === 'message.new').map(({ payload }) => payload.content), written);
  assert.equal(String(hook.heard.find(({ event }) => event === 'conversation.new').payload.id), String(fresh));
  await until(() => hook.heard.some(({ event, payload }) => event === 'conversation.updated' && payload.unreadCount === 3), 'the counter');
  assert.equal(new Set(hook.heard.map(({ id }) => id)).size, hook.heard.length, 'nothing twice');
});
