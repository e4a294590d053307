// How it looks: elements made from data. Text from outside is only ever set as text.
const $ = (id) => document.getElementById(id);
const svg = 'http://www.w3.org/2000/svg';

const media = {
  image: 'Picture', video: 'Video', audio: 'Voice message', document: 'Document', sticker: 'Sticker',
  location: 'Location', contact: 'Contact', poll: 'Poll', order: 'Order',
};
const stateNames = { pending: 'waiting', sent: 'sent', delivered: 'delivered', read: 'read', failed: 'failed' };
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const shortDay = new Intl.DateTimeFormat(undefined, { day: '2-digit', month: '2-digit', year: '2-digit' });

function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

export const timeOf = (message) => new Date(message.timestamp ?? message.createdAt);
const isToday = (date) => day.format(date) === day.format(new Date());
export const nameOf = ({ contactName, contactJid }) => contactName || contactJid.split('@')[0];

function avatar(conversation, element = make('span', 'avatar')) {
  const name = nameOf(conversation);
  element.textContent = [...name][0].toUpperCase();
  element.setAttribute('aria-hidden', 'true');
  element.style.setProperty('--hue', [...name].reduce((sum, letter) => sum + 47 * letter.codePointAt(0), 0) % 360);
  return element;
}

function tick(status) {
  const icon = document.createElementNS(svg, 'svg');
  icon.setAttribute('class', `tick ${status}`);
  icon.setAttribute('viewBox', '0 0 18 12');
  icon.setAttribute('role', 'img');
  icon.setAttribute('aria-label', stateNames[status] ?? status);
  const use = document.createElementNS(svg, 'use');
  use.setAttribute('href', `#${status === 'read' ? 'delivered' : status}`);
  icon.append(use);
  return icon;
}

function bubble(message, mine) {
  const element = make('article', mine ? 'bubble mine' : 'bubble');
  element.dataset.id = message.id;
  const label = media[message.messageType];
  const url = /^\/media\/[\w.]+$/.test(message.mediaUrl ?? '') ? message.mediaUrl : undefined; // the demo's own: nothing is fetched from elsewhere
  if (url && message.messageType === 'image') element.append(Object.assign(make('img', 'picture'), { src: url, alt: message.content ?? 'Picture' }));
  else if (url && message.messageType === 'audio') element.append(Object.assign(make('audio', 'voice'), { src: url, controls: true, preload: 'none' }));
  else if (label) element.append(make('p', 'media', message.messageType === 'document' && message.mediaFilename ? message.mediaFilename : label));
  if (message.content && message.messageType !== 'location' && message.messageType !== 'contact') {
    element.append(make('p', 'content', message.content));
  }
  const meta = make('p', 'meta', undefined, make('time', '', clock.format(timeOf(message))));
  if (mine) meta.append(tick(message.status));
  element.append(meta);
  return element;
}

/** Makes these the children of box, in order; those that are in place stay untouched. */
function arrange(box, children) {
  const wanted = new Set(children);
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  for (const child of [...box.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (box.children[index] !== child) box.insertBefore(child, box.children[index] ?? null);
  });
  focused?.focus(); // moving an element takes the focus from it
}

function entry(id, choose) {
  const button = make('button');
  button.type = 'button';
  button.addEventListener('click', () => choose(id));
  const item = make('li', '', undefined, button);
  item.dataset.key = id;
  return item;
}

function fillEntry(button, conversation, { chosen, typing }) {
  const when = conversation.lastMessageAt && new Date(conversation.lastMessageAt);
  if (chosen) button.setAttribute('aria-current', 'true');
  else button.removeAttribute('aria-current');
  button.replaceChildren(
    avatar(conversation),
    make('span', 'name', nameOf(conversation)),
    make('time', 'time', when ? (isToday(when) ? clock : shortDay).format(when) : ''),
    typing ? make('span', 'preview typing', 'typing …') : make('span', 'preview', conversation.lastMessagePreview ?? ''),
  );
  if (conversation.unreadCount > 0) {
    button.append(make('span', 'badge', String(conversation.unreadCount), make('span', 'hidden', ' unread')));
  }
}

const byKey = (box) => new Map([...box.children].map((child) => [child.dataset.key, child]));

/** The list; an entry stays the same element, so neither focus nor a click gets lost when something arrives. */
export function showList(conversations, { selected, typing, choose }) {
  const old = byKey($('list'));
  const entries = conversations.map((conversation) => {
    const item = old.get(String(conversation.id)) ?? entry(conversation.id, choose);
    fillEntry(item.firstChild, conversation, { chosen: conversation.id === selected, typing: typing(conversation.id) });
    return item;
  });
  arrange($('list'), entries.length ? entries : [make('li', 'empty', 'No conversation yet.')]);
}

export function showThread(conversation, note, isTyping) {
  $('nothing').hidden = Boolean(conversation);
  $('open').hidden = !conversation;
  $('main').toggleAttribute('data-open', Boolean(conversation));
  if (!conversation) return;
  avatar(conversation, $('thread-avatar'));
  $('thread-name').textContent = nameOf(conversation);
  const shown = isTyping ? 'typing …' : note;
  if ($('thread-note').textContent !== shown) $('thread-note').textContent = shown; // or a screen reader says it again
  $('thread-note').classList.toggle('typing', isTyping);
}

/** The messages, oldest first; only what changed is replaced, so that a screen reader hears only what is new. */
export function showMessages(messages, isMine, { jump = false } = {}) {
  const box = $('messages');
  const atEnd = jump || box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  const old = byKey(box);
  const wanted = [];
  let lastDay = '';
  const keep = (key, build) => {
    const kept = old.get(key) ?? build();
    kept.dataset.key = key;
    wanted.push(kept);
  };
  for (const message of messages) {
    const today = day.format(timeOf(message));
    if (today !== lastDay) keep(`day ${today}`, () => make('p', 'day', isToday(timeOf(message)) ? 'Today' : today));
    lastDay = today;
    keep(`${message.id} ${message.status} ${message.content}`, () => {
      const element = bubble(message, isMine(message));
      if (!jump && !box.querySelector(`[data-id="${message.id}"]`)) element.classList.add('fresh');
      return element;
    });
  }
  arrange(box, wanted);
  if (atEnd) box.scrollTop = box.scrollHeight;
}

export function showState(live, missed) {
  if (live && missed === 0 && $('state').hasAttribute('data-live')) return;
  $('state').toggleAttribute('data-live', live);
  const caughtUp = missed === 0 ? '' : `, caught up with ${missed} event${missed === 1 ? '' : 's'}`;
  $('state').textContent = live ? `Live${caughtUp}` : 'Reconnecting …';
}

export function showProblem(text) {
  $('problem').hidden = !text;
  $('problem').textContent = text ?? '';
}

export function showRole(role) {
  document.documentElement.dataset.as = role;
  const other = role === 'agent' ? 'contact' : 'agent';
  for (const link of document.querySelectorAll('[data-role]')) {
    if (link.dataset.role === role) link.setAttribute('aria-current', 'page');
  }
  document.title = `${role === 'agent' ? 'Agent' : 'Contact'} · chat_realtime demo`;
  $('other').textContent = `Open the ${other}'s side in a new tab`;
  $('other').href = `/?as=${other}`;
  $('inbox-title').textContent = role === 'agent' ? 'Inbox' : 'Contacts';
  $('text-label').textContent = role === 'agent' ? 'Message to the contact' : 'Message to the help desk';
  $('new').hidden = role === 'agent';
}
