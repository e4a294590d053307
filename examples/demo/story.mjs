// Bodies of WUZAPI's webhooks (bodies/) in the order they would come, posted as WUZAPI does, and what has to arrive for each.
import { until } from './lib/wait.mjs';
import { value } from './machine.mjs';
import { bold, dim, green, milliseconds, plain, red, say } from './terminal.mjs';
import { body } from './wuzapi.mjs';

const patience = 20_000; // ms for one step; a busy machine is no failure
const impatience = 3000; // once something is missing

const client = (event, name, fits) => ({ name: `${name} at the client`, fits: (a) => a.how !== 'webhook' && a.event === event && fits(a.payload) });
const message = (content) => client('message.new', `message "${content}"`, (p) => p.content === content);
const media = (type) => client('message.new', `message of type ${type}`, (p) => p.messageType === type);
const status = (state) => client('message.status', `status ${state}`, (p) => p.status === state);
const typing = (isTyping) => client('presence.typing', isTyping ? 'typing' : 'end of typing', (p) => p.isTyping === isTyping);
const webhook = (type, what = '', fits = () => true) =>
  ({ name: `verified webhook ${type} ${what}`.trim(), fits: (a) => a.how === 'webhook' && a.event === type && !a.problem && fits(a.payload) });

/** For both ends; without a preview any will do. */
function conversation(unread, preview) {
  const name = `conversation with ${unread} unread${preview === undefined ? '' : ` and preview "${preview}"`}`;
  const fits = (p) => p.unreadCount === unread && (preview === undefined || p.lastMessagePreview === preview);
  return [client('conversation.updated', name, fits), webhook('conversation.updated', name, fits)];
}
const received = (content) => webhook('message.received', `"${content}"`, (p) => p.content === content);

/** answer: what chat.ingest_wuzapi has to report, among other things; a stored message unless given. */
const steps = [
  { says: 'Ana writes for the first time', body: 'text', expects: [
    client('conversation.new', 'the new conversation', (p) => p.contactName === 'Ana'),
    ...conversation(1, 'oi, tudo bem?'), message('oi, tudo bem?'), webhook('conversation.created'), received('oi, tudo bem?')] },
  { says: 'WUZAPI posts it once more, in its form envelope', body: 'form_now', answer: { action: 'duplicate' }, expects: [] },
  { says: 'Ana is typing', body: 'typing', answer: { action: 'typing' }, expects: [typing(true)] },
  { says: 'and stops', body: 'typing_paused', answer: { action: 'typing' }, expects: [typing(false)] },
  { says: 'Ana replies to a message', body: 'text_reply', expects: [message('ok'), ...conversation(2, 'ok'), received('ok')] },
  { says: 'The owner reads on the phone', body: 'receipt_read_self', answer: { action: 'status' }, expects: [status('read'), ...conversation(0, 'ok')] },
  { says: 'and answers from it', body: 'text_from_phone', expects: [
    message('vou verificar'), ...conversation(0, 'vou verificar'), webhook('message.sent')] },
  { says: 'It reaches Ana\'s phone', body: 'receipt_delivered', answer: { action: 'status' }, expects: [
    status('delivered'), webhook('message.status', 'delivered', (p) => p.status === 'delivered')] },
  { says: 'Ana writes under her hidden address (LID)', body: 'text_lid', expects: [
    message('mensagem por LID'), ...conversation(1, 'mensagem por LID'), received('mensagem por LID')] },
  { says: 'Ana reads the answer', body: 'receipt_read', answer: { action: 'status' }, expects: [
    client('message.status', 'status read of the answer', (p) => p.status === 'read')] },
  { says: 'The receipt before comes once more, late: no step backwards', body: 'receipt_delivered', answer: { action: 'status', updated: 0 }, expects: [] },
  { says: 'Ana sends a picture with a caption', body: 'image_s3', expects: [
    message('o comprovante'), ...conversation(2, 'o comprovante'), received('o comprovante')] },
  { says: 'Ana sends a voice message', body: 'audio_ptt', expects: [
    media('audio'), ...conversation(3), webhook('message.received', 'of type audio', (p) => p.messageType === 'audio')] },
  { says: 'Something that is no chat', body: 'connected', answer: { action: 'ignored' }, expects: [] },
];

async function post(world, said) {
  const response = await fetch(`${world.page.url}/webhook/wuzapi`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(said) });
  return response.json();
}

/** Runs one step; returns the names of what did not arrive. */
async function run(world, step, limit) {
  const { watcher } = world;
  const first = watcher.arrivals.length;
  say(`\n${bold(step.says)} ${dim(`(${step.body}.json)`)}`);
  const answer = await post(world, body(step.body));
  const missing = () => step.expects.filter((expected) => !watcher.arrivals.slice(first).some(expected.fits)).map(({ name }) => name);
  await until(() => missing().length === 0, 'everything expected', limit).catch(() => {});
  await watcher.joining;
  await watcher.printed;
  const wanted = Object.entries(step.answer ?? { action: 'message' });
  const answered = wanted.every(([name, expected]) => answer[name] === expected);
  if (step.expects.length === 0) say(`  ${dim(`answer: ${plain(JSON.stringify(answer), 68)}`)}`);
  return [...(answered ? [] : [`answer ${JSON.stringify(Object.fromEntries(wanted))} (it was ${JSON.stringify(answer)})`]),
    ...missing()].map((name) => `${step.body}.json: ${name}`);
}

/** What must hold after all steps, each with its name. */
function conclusions({ machine, page, watcher }) {
  const messages = () => watcher.arrivals.filter(({ event, how }) => event === 'message.new' && how !== 'webhook');
  return [
    ['every stored message at the client, each once', async () =>
      messages().length === await value(machine.db, 'SELECT count(*) FROM public.chat_messages')],
    ['no event twice at the client', () => !watcher.arrivals.some(({ repeated }) => repeated)],
    ['every webhook with a valid signature', () => !watcher.arrivals.some(({ problem }) => problem)],
    ['the page answers', async () => {
      const response = await fetch(`${page.url}/`);
      return response.ok && /<main/.test(await response.text());
    }],
    ['the page\'s list has Ana with 3 unread', async () => {
      const { conversations } = await (await fetch(`${page.url}/api/conversations`)).json();
      return conversations.length === 1 && conversations[0].contactName === 'Ana' && conversations[0].unreadCount === 3;
    }],
  ];
}

function figures(arrivals) {
  const sorted = arrivals.map(({ latency }) => latency).filter(Number.isFinite).sort((a, b) => a - b);
  const at = (share) => milliseconds(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN);
  return `${String(sorted.length).padStart(3)} events, median ${at(0.5)}, slowest ${at(1)}`;
}

/** Feeds everything; true if everything expected arrived. limit: ms to wait for what belongs to one step. */
export async function tellStory(world, { limit = patience } = {}) {
  say('\nAt the right: time from COMMIT (recorded by PostgreSQL, track_commit_timestamp) to\n'
    + 'the arrival in client or receiver. All of it runs on this machine, by one clock.');
  const missing = [];
  for (const step of steps) missing.push(...await run(world, step, missing.length ? Math.min(limit, impatience) : limit));
  const checks = conclusions(world);
  for (const [name, holds] of checks) if (!await holds()) missing.push(name);

  const { arrivals } = world.watcher;
  say(`\n  to the client   ${figures(arrivals.filter(({ how }) => how === 'client'))}`);
  say(`  to the webhook  ${figures(arrivals.filter(({ how }) => how === 'webhook'))}\n`);
  const expected = steps.reduce((sum, step) => sum + step.expects.length + 1, checks.length);
  for (const name of missing) say(`${red('missing')}  ${name}`);
  if (missing.length === 0) say(`${green('Complete:')} all of ${expected} expectations were met.\n`);
  else say(`${red('Incomplete:')} ${missing.length} of ${expected} expectations were not met.\n`);
  return missing.length === 0;
}
