// What is to be sent, as WUZAPI wants it: one of chat.pending_messages' entries becomes one or more requests.

/** It can never be sent, and why. */
export class Unsendable extends Error {}

/** Bare digits are a phone's number; a device is no part of an address. */
const address = (to) => (to.includes('@') ? to.replace(/:\d+(?=@)/, '') : `${to.replace(/\D/g, '')}@s.whatsapp.net`);
const phone = (to) => address(to).replace(/@(s\.whatsapp\.net|c\.us)$/, '');
const isGroup = (to) => to.endsWith('@g.us');

/** The entries of a list by key, each group and its entries in the order they came. */
export function groupBy(list, key) {
  const groups = new Map();
  for (const entry of list) groups.set(key(entry), [...groups.get(key(entry)) ?? [], entry]);
  return groups;
}

/** By type: WUZAPI's name, which types of media it takes, and as what it wants them called. */
const media = {
  image: { field: 'Image', takes: /^image\//, caption: true },
  video: { field: 'Video', takes: /^video\//, caption: true },
  audio: { field: 'Audio', takes: /^audio\/ogg/, as: 'audio/ogg' },
  document: { field: 'Document', takes: /./, as: 'application/octet-stream', caption: true },
  sticker: { field: 'Sticker', takes: /^(image\/webp|video\/mp4)/ },
};

/** A data URL's parts; undefined: it is none. */
function parseDataUrl(url) {
  const [, type, base64, data] = /^data:([^,]*?)(;base64)?,(.*)$/is.exec(url) ?? [];
  if (data === undefined) return undefined;
  return { type: type.split(';')[0].toLowerCase(), base64: base64 ? data : Buffer.from(decodeURIComponent(data)).toString('base64') };
}

async function sendMedia({ type, content, mediaUrl, mediaMimeType, mediaFilename }, fetchMedia) {
  const { field, takes, as, caption } = media[type];
  if (!mediaUrl) throw new Unsendable(`a message of type ${type} without mediaUrl`);
  const file = parseDataUrl(mediaUrl) ?? await fetchMedia(mediaUrl);
  const mime = mediaMimeType || file.type || 'application/octet-stream';
  if (!takes.test(mime)) throw new Unsendable(`media of type ${mime} cannot be sent as ${type}`);
  return {
    [field]: `data:${as ?? mime.split(';')[0]};base64,${file.base64}`,
    ...(caption && content ? { Caption: content } : {}),
    ...(type === 'document' ? { FileName: mediaFilename || 'document', MimeType: mime } : {}),
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sendLocation({ content, metadata }) {
  const place = metadata?.location ?? parsed(content);
  if (typeof place?.latitude !== 'number' || typeof place?.longitude !== 'number') throw new Unsendable('a location without latitude and longitude');
  // WUZAPI takes 0 for missing.
  return { Latitude: place.latitude || 1e-9, Longitude: place.longitude || 1e-9, ...(place.name ? { Name: place.name } : {}) };
}

function sendContact({ content, metadata }) {
  const card = content ?? '';
  if (!/BEGIN:VCARD/i.test(card)) throw new Unsendable('a contact whose content is no vCard');
  return { Vcard: card, Name: metadata?.contact?.name ?? /^FN[^:\r\n]*:(.*)$/im.exec(card)?.[1].trim() ?? 'Contact' };
}

/** WUZAPI wants to know who wrote what is answered; where that is not known, the text goes without. */
function quoted({ replyTo, to }, instance) {
  const participant = replyTo && (replyTo.fromMe ? instance.jid : replyTo.participant ?? (isGroup(to) ? undefined : address(to)));
  return replyTo?.messageId && participant ? { ContextInfo: { StanzaId: replyTo.messageId, Participant: participant } } : {};
}

async function send(item, instance, fetchMedia) {
  const { type = 'text', content } = item;
  const common = { Phone: phone(item.to), Id: item.messageId };
  if (media[type]) {
    return { path: `/chat/send/${type}`, body: { ...common, ...await sendMedia(item, fetchMedia), ...(type === 'image' ? quoted(item, instance) : {}) } };
  }
  switch (type) {
    case 'location': return { path: '/chat/send/location', body: { ...common, ...sendLocation(item) } };
    case 'contact': return { path: '/chat/send/contact', body: { ...common, ...sendContact(item) } };
    case 'text':
    case null: return { path: '/chat/send/text', body: { ...common, Body: content, ...quoted(item, instance) } };
    default: throw new Unsendable(`messages of type ${type} are not sent`);
  }
}

function react({ to, messageId, fromMe, participant, emoji }) {
  return {
    path: '/chat/react',
    body: { Phone: phone(to), Id: fromMe ? `me:${messageId}` : messageId, Body: emoji || 'remove', ...(isGroup(to) && participant ? { Participant: participant } : {}) },
  };
}

/** In a group each request is about one person's messages. */
function markRead({ to, messages }) {
  return [...groupBy(messages, (m) => m.participant ?? '')].map(([sender, list]) => ({
    path: '/chat/markread',
    body: { Id: list.map((m) => m.messageId), Chat: address(to), ...(isGroup(to) && sender ? { Sender: sender } : {}) },
  }));
}

export const typing = (to, isTyping) => ({ path: '/chat/presence', body: { Phone: phone(to), State: isTyping ? 'composing' : 'paused', Media: '' } });

/** The requests for an entry, in their order. fetchMedia(url) → {type, base64} gets media that are not in the entry itself. */
export async function requestsFor(item, instance, fetchMedia) {
  switch (item.action) {
    case 'send': return [await send(item, instance, fetchMedia)];
    case 'edit': return [{ path: '/chat/send/edit', body: { Phone: phone(item.to), Id: item.messageId, Body: item.content } }];
    case 'delete': return [{ path: '/chat/delete', body: { Phone: phone(item.to), Id: item.messageId } }];
    case 'react': return [react(item)];
    case 'read': return markRead(item);
    default: throw new Unsendable(`"${item.action}" is not known`);
  }
}
