// The page: asks each 2 s, and shows what it is told. All of it goes in as text, since strangers wrote some of it.
import { count, duration, parse, quantile, rate, sum, values } from './figures.js';
import { Plot } from './plot.js';

const EVERY_MS = 2000;
const LATENCY = 'chat_realtime_delivery_latency_seconds';
const CANARY = 'chat_realtime_message_latency_seconds'; // at a client of the sidecar's own, where it has one
const WAYS = [
  ['Realtime', 'chat_realtime_broadcasts_total'],
  ['webhooks', 'chat_realtime_webhook_attempts_total'],
  ['Socket.IO', 'chat_realtime_socketio_events_total'],
];
const SESSIONS = [
  ['WebSockets', 'chat_realtime_connections'],
  ['presences', 'chat_realtime_embedded_presences'],
  ['messages to clients', 'chat_realtime_embedded_deliveries_total', true],
  ['slow readers that were closed', 'chat_realtime_embedded_slow_sockets_total'],
  ['joins that were refused', 'chat_realtime_embedded_refused_joins_total'],
  ['memory of the endpoint', 'chat_realtime_endpoint_memory_bytes', false, (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`],
  ['Socket.IO servers', 'chat_realtime_socketio_servers'],
  ['webhook requests under way', 'chat_realtime_webhook_inflight'],
];
const by = (id) => document.getElementById(id);
const plots = {
  lag: new Plot(by('plot-lag'), { title: 'Events behind', names: [], format: count, least: 10 }),
  latency: new Plot(by('plot-latency'), { title: 'From commit to acceptance', names: ['P50', 'P95'], format: duration, least: 0.01 }),
  rate: new Plot(by('plot-rate'), { title: 'Deliveries a second', names: [], format: count, least: 1 }),
};
let token = sessionStorage.getItem('chat-console-token') ?? '';
let former; // the look before
let timer;

/* Elements. */

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Text that did not change is not touched: nothing loses its focus, and nothing is read out again. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function mark(node, name, value) {
  if (value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Makes a list show items: one that stays, by its key, stays the same node. */
function list(parent, items, key, create, update) {
  const nodes = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, index) => {
    const name = String(key(item));
    let node = nodes.get(name);
    nodes.delete(name);
    if (!node) {
      node = create(item);
      node.dataset.key = name;
    }
    update(node, item);
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  for (const node of nodes.values()) node.remove();
}

/** Rows of a table: [key, texts, kind]; the first text is the row's head. */
function rows(body, all) {
  list(body, all, ([key]) => key, ([, texts]) => make('tr', {}, ...texts.map((_, index) => make(index ? 'td' : 'th', index ? {} : { scope: 'row' }))), (row, [, texts, kind, numbers]) => {
    mark(row, 'data-kind', kind);
    texts.forEach((text, index) => {
      row.children[index].className = index >= numbers ? 'n' : '';
      say(row.children[index], text);
    });
  });
}

/* What is shown. */

function consumersOf(now) {
  return (now.database?.consumers ?? []).map((consumer) => {
    const own = now.unfinished[consumer.name];
    const rests = consumer.rests || own?.follows;
    const leads = sum(now.metrics, 'chat_realtime_leader', { consumer: consumer.name }) > 0;
    return { name: consumer.name, behind: rests ? own?.events ?? 0 : consumer.lag, oldest: rests ? own?.oldestSeconds ?? 0 : consumer.oldestUndeliveredSeconds,
      rate: rate(now, former, 'chat_realtime_events_read_total', { consumer: consumer.name }),
      bad: consumer.enabled && !rests && !consumer.led,
      state: own?.follows ? 'to endpoint' : !consumer.enabled ? 'off' : consumer.rests ? 'rests' : leads ? 'delivers' : consumer.led ? 'by another' : 'NO LEADER' };
  });
}

function showTiles(now, consumers) {
  const behind = consumers.reduce((most, { behind: events }) => Math.max(most, events), 0);
  const oldest = consumers.reduce((most, { oldest: seconds }) => Math.max(most, seconds), 0);
  const connections = sum(now.metrics, 'chat_realtime_connections');
  const tiles = [
    ['delivered a second', count(now.delivered)],
    ['P95 from commit', duration(now.p95 ?? now.lastP95), now.p95 > 0.5 ? 'bad' : undefined],
    ['events behind', count(behind), oldest > 60 ? 'bad' : undefined],
    ['oldest waits', duration(oldest), oldest > 60 ? 'bad' : oldest > 5 ? 'warn' : undefined],
    ...(connections === undefined ? [] : [['WebSockets', count(connections)]]),
    ['webhooks in trouble', now.failing === null ? '–' : count(now.failing), now.failing ? 'bad' : undefined],
  ];
  list(by('tiles'), tiles, ([name]) => name, ([name]) => make('div', {}, make('dt', {}, name), make('dd')), (tile, [, text, kind]) => {
    say(tile.lastChild, text);
    mark(tile, 'data-kind', kind);
  });
}

/** Rows of what happened at all. */
function resultsOf(now) {
  return WAYS.flatMap(([way, name]) => values(now.metrics, name, 'result').flatMap((result) => {
    const [all, growth] = [sum(now.metrics, name, { result }), rate(now, former, name, { result })];
    const kind = growth > 0 && ['failed', 'poisoned', 'refused', 'lost'].includes(result) ? 'bad' : undefined;
    return all > 0 || result === 'ok' ? [[`${way} ${result}`, [way, result, count(all), count(growth)], kind, 2]] : [];
  }));
}

function showTables(now, consumers) {
  rows(by('consumers'), consumers.map((consumer) => [consumer.name,
    [consumer.name, consumer.state, count(consumer.rate), count(consumer.behind), duration(consumer.oldest)], consumer.bad ? 'bad' : undefined, 2]));
  rows(by('results'), resultsOf(now));
  rows(by('sessions'), SESSIONS.filter(([, name]) => now.metrics.has(name)).map(([what, name, grows, format = count]) => [what,
    [what, grows ? `${count(rate(now, former, name))}/s` : format(sum(now.metrics, name))], undefined, 1]));
}

function showHints(now) {
  const hints = [...(now.database?.hints ?? []), ...now.ready.notes.map((hint) => ({ severity: 'info', hint }))];
  const order = ['error', 'warning', 'info'];
  hints.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  say(by('hints-note'), hints.length ? '' : now.database ? 'Nothing to be mended. chat-sidecar doctor looks at machine, settings and Realtime, too.' : 'The database has not said yet.');
  list(by('hints'), hints, (hint) => `${hint.severity} ${hint.object} ${hint.hint}`, (hint) => {
    const item = make('li', {}, make('span', { class: 'severity', 'data-kind': hint.severity }, hint.severity), make('p', {}, hint.hint));
    if (hint.statement) item.append(make('pre', { class: 'statement', tabindex: '0' }, hint.statement));
    return item;
  }, () => {});
}

const ago = (now, time) => `${duration(Math.max(0, now.at - Date.parse(time) / 1000))} ago`;
const answered = ({ status, error }) => `${status ? `HTTP ${status}` : 'no answer'}${error && error !== `HTTP ${status}` ? `: ${error}` : ''}`;

async function sendAgain(attempt, button) {
  button.disabled = true;
  let text = 'sent again';
  try {
    const response = await fetch(`/console/again?attempt=${encodeURIComponent(attempt.id)}`, { method: 'POST', headers: authorization(), signal: AbortSignal.timeout(10000) });
    if (response.status !== 202) text = (await response.json()).error;
  } catch {
    text = 'the sidecar does not answer';
  }
  say(button.previousElementSibling, text === 'sent again' ? 'queued ' : `${text} `);
  say(by('sent'), `${attempt.type}, attempt ${attempt.attempt}: ${text}`);
  button.disabled = false;
  look();
}

function attemptRow(attempt) {
  const button = make('button', { type: 'button', 'aria-label': `Send ${attempt.type} of ${attempt.at} again` }, 'Send again');
  button.addEventListener('click', () => sendAgain(attempt, button));
  return make('tr', {}, make('td'), make('td', {}, attempt.type), make('td', { class: 'n', 'data-label': 'try' }, String(attempt.attempt)),
    make('td', { class: 'answer' }, answered(attempt)), make('td', { class: 'n', 'data-label': 'took' }, duration(attempt.durationMs / 1000)), make('td', {}, make('span', { class: 'soft' }), button));
}

function createHook() {
  const heads = ['when', 'event', 'try', 'answer', 'took', ''].map((text, index) => make('th', { scope: 'col', class: [2, 4].includes(index) ? 'n' : undefined }, text || make('span', { class: 'hidden' }, 'send again')));
  return make('li', {}, make('h3'), make('p', { class: 'facts' }), make('p', { class: 'last' }), make('pre', { tabindex: '0', 'aria-label': 'Last answer' }),
    make('table', { class: 'attempts' }, make('thead', {}, make('tr', {}, ...heads)), make('tbody')));
}

function showHook(now, node, hook) {
  const [title, facts, last, answer, table] = node.children;
  const newest = hook.attempts[0];
  const off = !hook.isActive;
  mark(node, 'data-kind', off ? 'off' : 'failing');
  say(title, hook.url);
  list(facts, [
    ['owner', `of ${hook.owner}`],
    off ? ['off', `off${hook.disabledReason ? `: ${hook.disabledReason}` : ''}`] : ['since', hook.failingSince ? `has failed for ${ago(now, hook.failingSince).replace(' ago', '')}` : 'failed at last'],
    ...(hook.failures ? [['failures', `${count(hook.failures)} failures in a row`]] : []),
    ['pending', `${hook.pending >= 1000 ? '1,000 or more' : hook.pending} deliveries wait`],
    ...(hook.pausedUntil ? [['paused', `asked for a pause until ${new Date(hook.pausedUntil).toLocaleTimeString()}`]] : []),
    ...(off ? [['enable', `SELECT chat.enable_webhook('${hook.id}');`]] : []),
  ], ([key]) => key, ([key]) => make(key === 'enable' ? 'code' : 'span'), (fact, [, text]) => say(fact, text));
  say(last, newest ? `Last answer, ${ago(now, newest.at)}: ${answered(newest)}` : hook.lastError ?? '');
  say(answer, newest?.response ?? '');
  answer.hidden = !newest?.response;
  table.hidden = !newest;
  list(table.tBodies[0], hook.attempts, ({ id }) => id, attemptRow, (row, attempt) => {
    say(row.firstChild, ago(now, attempt.at));
    row.querySelector('button').hidden = off;
  });
}

function showWebhooks(now) {
  const { webhooks, failing } = now;
  const text = webhooks ? (failing === 0 ? 'Every webhook does well.' : failing > webhooks.length ? `${webhooks.length} of ${failing} are shown, those that fail longest.` : '')
    : `${failing === null ? 'How many there are the database has not said yet.' : `${failing} fail or were disabled.`} ${
      now.hasToken ? 'Enter the token to see them, and to send again.' : 'To see them, and to send again, name a file with a token of at least 32 bytes in CONSOLE_TOKEN_FILE.'}`;
  say(by('webhooks-note'), text);
  list(by('webhooks'), webhooks ?? [], ({ id }) => id, createHook, (node, hook) => showHook(now, node, hook));
}

function banners(all) {
  list(by('banners'), all, ([text]) => text.replace(/[\d.]+/g, ''), () => make('p', { class: 'banner' }), (banner, [text, kind]) => {
    say(banner, text);
    mark(banner, 'data-kind', kind);
  });
}

function showState(kind, text) {
  mark(by('state'), 'data-state', kind);
  say(by('state'), text);
}

function show(now) {
  const reasons = Object.entries(now.ready.reasons).map(([part, why]) => [`${part}: ${why}`, 'bad']);
  const consumers = consumersOf(now);
  const rates = Object.fromEntries(WAYS.filter(([, name]) => now.metrics.has(name)).map(([way, name]) => [way, rate(now, former, name, { result: 'ok' })]));
  const old = now.database && now.ageSeconds > 3 ? `What is shown of it is ${duration(now.ageSeconds)} old.` : '';
  now.delivered = former && Object.values(rates).reduce((all, value) => all + (value ?? 0), 0);
  now.p95 = quantile(now, former, LATENCY, 0.95);
  now.lastP95 = former?.p95 ?? former?.lastP95;
  showState(now.ready.ready ? 'ready' : 'bad', now.ready.ready ? 'ready' : 'not ready');
  banners([...reasons, ...(now.trouble || old ? [[`The database is slow or away${now.trouble ? `: ${now.trouble}` : ''}. ${old}`]] : [])]);
  say(by('version'), `${now.version}${now.database ? ` on PostgreSQL ${now.database.server.split(' ')[0]}` : ''}`);
  showTiles(now, consumers);
  plots.lag.add(now.at, Object.fromEntries(consumers.map(({ name, behind }) => [name, behind])));
  plots.latency.add(now.at, { P50: quantile(now, former, LATENCY, 0.5), P95: now.p95, ...(sum(now.metrics, `${CANARY}_count`) > 0 && { 'P95 at a client': quantile(now, former, CANARY, 0.95) }) });
  plots.rate.add(now.at, rates);
  showTables(now, consumers);
  showHints(now);
  showWebhooks(now);
  former = now;
}

/* Asking. */

const authorization = () => (token ? { authorization: `Bearer ${token}` } : {});

function setToken(text) {
  token = text;
  if (text) sessionStorage.setItem('chat-console-token', text);
  else sessionStorage.removeItem('chat-console-token');
  say(by('token'), text ? 'Forget token' : 'Enter token');
}

/** A token that is wrong is forgotten; one that is needed is asked for, once. */
function refused() {
  const wrong = token !== '';
  setToken('');
  showState('', 'needs the token');
  banners([[wrong ? 'That was not the token.' : 'Beyond loopback this page shows nothing without the token.']]);
  if (wrong || !refused.asked) openDialog(wrong ? 'That was not the token.' : '');
  refused.asked = true;
}

async function ask() {
  const response = await fetch('/console/status.json', { headers: authorization(), cache: 'no-store', signal: AbortSignal.timeout(8000) });
  if (response.status === 401) return refused();
  if (!response.ok) throw new Error((await response.json()).error);
  const now = await response.json();
  return show({ ...now, metrics: parse(now.metrics) });
}

async function look() {
  clearTimeout(timer);
  const mine = timer = -1;
  try {
    await ask();
  } catch (error) {
    showState('bad', 'no answer');
    banners([[`The sidecar does not answer: ${error.message}`, 'bad']]);
  }
  if (timer === mine && !document.hidden) timer = setTimeout(look, EVERY_MS);
}

function openDialog(error) {
  say(by('token-error'), error);
  by('token-text').value = '';
  if (!by('token-dialog').open) by('token-dialog').showModal();
  by('token-text').focus();
}

by('token').addEventListener('click', () => {
  if (!token) return openDialog('');
  setToken('');
  return look();
});
by('token-cancel').addEventListener('click', () => by('token-dialog').close());
by('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  setToken(by('token-text').value.trim());
  by('token-text').value = '';
  by('token-dialog').close();
  look();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
setToken(token);
look();
