// One side of the chat: the agent's, or with ?as=contact the contact's, whose messages go in as WUZAPI's webhooks.
import { get, Live, post } from './live.js';
import { showList, showMessages, showProblem, showRole, showState, showThread, timeOf } from './view.js';

const $ = (id) => document.getElementById(id);
const role = new URLSearchParams(location.search).get('as') === 'contact' ? 'contact' : 'agent';
const mine = role === 'agent' ? 'outgoing' : 'incoming';
const typingShown = 5000; // ms; an end that got lost is noticed by this
const typingTold = 3000; // ms between two notices

const conversations = new Map();
const threads = new Map(); // conversation id → Map of messages
const typists = new Map(); // conversation id → timer of the other side's typing
let selected;
let live;
let missedInAll = 0; // since the connection was lost

/* Showing */

const newestFirst = (a, b) => (b.lastMessageAt ?? '').localeCompare(a.lastMessageAt ?? '') || b.id - a.id;
const oldestFirst = (a, b) => timeOf(a) - timeOf(b) || new Date(a.createdAt) - new Date(b.createdAt) || a.id - b.id;

function drawList() {
  showList([...conversations.values()].sort(newestFirst), { selected, typing: (id) => typists.has(id), choose });
}

function drawThread({ jump } = {}) {
  const conversation = conversations.get(selected);
  showThread(conversation, conversation && `+${conversation.contactJid.split('@')[0]}`, typists.has(selected));
  if (conversation) showMessages([...(threads.get(selected)?.values() ?? [])].sort(oldestFirst), isMine, { jump });
}

const isMine = (message) => message.direction === mine;

/* Events */

function inboxEvent(event, conversation) {
  conversations.set(conversation.id, { ...conversations.get(conversation.id), ...conversation });
  follow(conversation.id);
  drawList();
  if (conversation.id === selected) drawThread();
}

const handlers = {
  'message.new': (thread, message) => thread.set(message.id, message),
  'message.updated': (thread, message) => thread.set(message.id, message),
  'message.deleted': (thread, message) => thread.delete(message.id),
  'message.status': (thread, { id, status }) => thread.has(id) && thread.set(id, { ...thread.get(id), status }),
};

function conversationEvent(conversation, event, payload) {
  if (event === 'presence.typing') {
    if ((payload.userId === live.user) !== (role === 'agent')) showTyping(conversation, payload.isTyping);
    return;
  }
  handlers[event]?.(threads.get(conversation), payload);
  if (event === 'message.new' && !isMine(payload)) showTyping(conversation, false);
  if (conversation !== selected) return;
  drawThread();
  tellRead();
}

function showTyping(conversation, isTyping) {
  clearTimeout(typists.get(conversation));
  if (isTyping) typists.set(conversation, setTimeout(() => showTyping(conversation, false), typingShown));
  else typists.delete(conversation);
  drawList();
  if (conversation === selected) drawThread();
}

/** Joins a conversation's channel; its messages are loaded once that is done, so none falls in between. */
function follow(conversation) {
  if (threads.has(conversation)) return;
  threads.set(conversation, new Map());
  live.join(`conversation:${conversation}`, async () => {
    const { messages, position } = await get('/api/messages', { conversation });
    for (const message of messages) threads.get(conversation).set(message.id, message);
    if (conversation === selected) drawThread({ jump: true });
    tellRead();
    return position;
  }, (event, payload) => conversationEvent(conversation, event, payload));
}

async function loadInbox() {
  const { conversations: list, position } = await get('/api/conversations');
  for (const conversation of list) {
    conversations.set(conversation.id, conversation);
    follow(conversation.id);
  }
  drawList();
  // On the stage the newest one is open from the start.
  if (selected === undefined && document.body.dataset.frame && conversations.size > 0) choose([...conversations.values()].sort(newestFirst)[0].id);
  return position;
}

/* What a person does */

function choose(conversation) {
  if (conversation !== selected) {
    stopTyping();
    $('text').value = '';
  }
  selected = conversation;
  showProblem();
  drawList();
  drawThread({ jump: true });
  tellRead();
  if (matchMedia('(min-width: 721px)').matches) $('text').focus();
}

/** Once what the other side wrote is on the screen. */
function tellRead() {
  const unread = [...(threads.get(selected)?.values() ?? [])].some((message) => !isMine(message) && message.status !== 'read');
  if (unread && document.visibilityState === 'visible') {
    post(`/api/${role}/read`, { conversation: String(selected) }).catch(() => {}); // told again with the next message
  }
}

async function send(event) {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text === '' || selected === undefined) return;
  $('text').value = '';
  stopTyping();
  try {
    await post(`/api/${role}/message`, { conversation: String(selected), text });
    showProblem();
  } catch (error) {
    if ($('text').value === '') $('text').value = text;
    showProblem(`Not sent: ${error.message}`);
  }
}

let typingSince = 0;
let typingEnd;

function tellTyping() {
  clearTimeout(typingEnd);
  typingEnd = setTimeout(stopTyping, typingTold);
  if (Date.now() - typingSince < typingTold) return;
  typingSince = Date.now();
  post(`/api/${role}/typing`, { conversation: String(selected), isTyping: true }).catch(() => {});
}

function stopTyping() {
  clearTimeout(typingEnd);
  if (typingSince === 0) return;
  typingSince = 0;
  post(`/api/${role}/typing`, { conversation: String(selected), isTyping: false }).catch(() => {});
}

function toggleNew(open) {
  $('new-form').hidden = !open;
  $('new').setAttribute('aria-expanded', String(open));
  if (open) $('new-name').focus();
}

async function startConversation(event) {
  event.preventDefault();
  try {
    const { conversationId } = await post('/api/contact/message', { name: $('new-name').value, text: $('new-text').value });
    $('new-form').reset();
    toggleNew(false);
    choose(conversationId);
  } catch (error) {
    $('new-text').setCustomValidity(error.message);
    $('new-text').reportValidity();
  }
}

$('composer').addEventListener('submit', send);
$('text').addEventListener('input', tellTyping);
$('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
});
$('new').addEventListener('click', () => toggleNew($('new-form').hidden));
$('new-text').addEventListener('input', () => $('new-text').setCustomValidity(''));
$('new-form').addEventListener('submit', startConversation);
$('back').addEventListener('click', () => choose(undefined));
document.addEventListener('visibilitychange', tellRead);

addEventListener('message', ({ origin, data }) => {
  if (origin === location.origin && data.offline > 0) live?.pause(data.offline);
});

document.body.dataset.frame = new URLSearchParams(location.search).get('frame') ?? '';
showRole(role);
drawList();
live = await Live.create((connected, missed) => {
  missedInAll += missed;
  showState(connected, missedInAll);
  if (connected) missedInAll = 0;
});
await live.join(`user:${live.user}:inbox`, loadInbox, inboxEvent);
