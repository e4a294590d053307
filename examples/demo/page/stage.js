// The stage: counts what was committed against what this browser was told, shows every arrival, and breaks things.
import { get, Live } from './live.js';

const $ = (id) => document.getElementById(id);
const key = new URLSearchParams(location.hash.slice(1)).get('key') ?? '';
const rowsShown = 60;
const settleMs = 3000; // what was committed so long ago and has not arrived is lost, for now
const told = new Map(); // event id → times handed on
let committed = 0;
let complete = Date.now(); // when all that was committed had arrived
let live;

/* Counting */

function draw() {
  const twice = [...told.values()].filter((times) => times > 1).length;
  const open = Math.max(0, committed - told.size);
  if (open === 0) complete = Date.now();
  const lost = Date.now() - complete > settleMs ? open : 0;
  $('committed').textContent = committed;
  $('arrived').textContent = told.size;
  $('lost').textContent = lost;
  $('twice').textContent = twice;
  $('lost-box').className = lost ? 'bad' : 'good';
  $('twice-box').className = twice ? 'bad' : 'good';
}

function count(event, payload, id) {
  if (event.startsWith('message.')) told.set(id, (told.get(id) ?? 0) + 1);
  draw();
}

async function follow(conversation, since) {
  await live.join(`conversation:${conversation}`, async () => since, count);
}

async function watchAll() {
  const { since } = await get('/api/stage');
  live = await Live.create(() => {});
  await live.join(`user:${live.user}:inbox`, async () => {
    const { conversations } = await get('/api/conversations');
    for (const { id } of conversations) await follow(id, since);
    return since;
  }, (event, { id }) => { if (event === 'conversation.new') follow(id, since); });
  // What came between the beginning and the join, or while nothing was connected: as any client asks for it.
  setInterval(() => {
    for (const topic of live.topics.values()) if (topic.joined && committed > told.size) topic.catchUp().catch(() => {});
  }, 1500);
}

/* Showing */

function cell(text, name) {
  const element = document.createElement('td');
  element.textContent = text;
  element.title = text;
  if (name) element.className = name;
  return element;
}

function show({ how, event, topic, what, latency, problem }) {
  const row = document.createElement('tr');
  const ms = Number.isFinite(latency) ? `${latency < 100 ? latency.toFixed(1) : Math.round(latency)} ms` : '';
  row.append(cell(how === 'webhook' ? 'webhook' : 'Realtime'), cell(event), cell(topic?.replace(/user:(.{4})[^:]*/, 'user:$1…') ?? ''), cell(what.replace(/, [\w.]+$/, how === 'webhook' ? '' : '$&')), cell(ms, 'ms'));
  if (problem) row.className = 'problem';
  $('events').prepend(row);
  while ($('events').rows.length > rowsShown) $('events').lastChild.remove();
}

const note = (text) => { $('note').textContent = text; };

/* Breaking */

async function breakIt(what) {
  const response = await fetch('/api/break', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Demo-Key': key }, body: JSON.stringify({ what }) });
  if (!response.ok) note((await response.json()).error);
}

for (const button of document.querySelectorAll('[data-break]')) {
  button.addEventListener('click', async () => {
    button.disabled = true;
    await breakIt(button.dataset.break).catch((error) => note(error.message));
    button.disabled = false;
  });
}

$('offline').addEventListener('click', async () => {
  $('offline').disabled = true;
  note('This browser has no connection for six seconds; what is written meanwhile it asks for afterwards.');
  for (const frame of ['desk', 'phone']) $(frame).contentWindow.postMessage({ offline: 6000 }, location.origin);
  live.pause(6000);
  await breakIt('burst');
  setTimeout(() => { $('offline').disabled = false; note('Connected again: nothing is missing.'); }, 6500);
});

const stream = new EventSource('/api/stream');
stream.addEventListener('arrival', ({ data }) => show(JSON.parse(data)));
stream.addEventListener('note', ({ data }) => note(JSON.parse(data).text));
stream.addEventListener('committed', ({ data }) => {
  ({ committed } = JSON.parse(data));
  draw();
});
await watchAll();
