// A contact's phone, in the bodies WUZAPI posts: those of bodies/ with another contact, time and text in them.
import { readFileSync } from 'node:fs';
import { whatsappId } from './backend.mjs';

/** One of bodies/, as WUZAPI sent it. */
export const body = (name) => JSON.parse(readFileSync(new URL(`bodies/${name}.json`, import.meta.url), 'utf8'));

const now = () => new Date().toISOString();

export function newContactJid() {
  return `55119${Math.floor(10000000 + Math.random() * 89999999)}@s.whatsapp.net`;
}

export function textMessage({ jid, name, text }) {
  const said = body('text');
  Object.assign(said.event.Info, { Chat: jid, Sender: jid, ID: whatsappId(), PushName: name, Timestamp: now() });
  said.event.Message = { conversation: text };
  delete said.event.RawMessage;
  return said;
}

export function typing({ jid, isTyping }) {
  const said = body(isTyping ? 'typing' : 'typing_paused');
  Object.assign(said.event, { Chat: jid, Sender: jid });
  return said;
}

/** state: Delivered or Read. */
export function receipt({ jid, ids, state }) {
  const said = body(state === 'Read' ? 'receipt_read' : 'receipt_delivered');
  Object.assign(said.event, { Chat: jid, Sender: jid, MessageIDs: ids, Timestamp: now() });
  return said;
}
