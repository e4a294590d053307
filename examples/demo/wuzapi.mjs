// A contact's phone, in the bodies WUZAPI posts: the fixtures with another contact, time and text in them.
import { fixture } from '../../regress/lib/bed.mjs';
import { whatsappId } from './backend.mjs';

const now = () => new Date().toISOString();

export function newContactJid() {
  return `55119${Math.floor(10000000 + Math.random() * 89999999)}@s.whatsapp.net`;
}

export function textMessage({ jid, name, text }) {
  const body = fixture('text.json');
  Object.assign(body.event.Info, { Chat: jid, Sender: jid, ID: whatsappId(), PushName: name, Timestamp: now() });
  body.event.Message = { conversation: text };
  delete body.event.RawMessage;
  return body;
}

export function typing({ jid, isTyping }) {
  const body = fixture(isTyping ? 'typing.json' : 'typing_paused.json');
  Object.assign(body.event, { Chat: jid, Sender: jid });
  return body;
}

/** state: Delivered or Read. */
export function receipt({ jid, ids, state }) {
  const body = fixture(state === 'Read' ? 'receipt_read.json' : 'receipt_delivered.json');
  Object.assign(body.event, { Chat: jid, Sender: jid, MessageIDs: ids, Timestamp: now() });
  return body;
}
