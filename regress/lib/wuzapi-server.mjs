// A stand-in of WUZAPI's REST API: checks path, token and body of what is sent as its document has them, answers in its words,
// fails in its ways, and keeps what arrived.
import { RawHttp } from './raw-http.mjs';

const text = (value) => typeof value === 'string' && value !== '';
const data = (prefix) => (value) => text(value) && new RegExp(`^data:${prefix}[^,]*;base64,[A-Za-z0-9+/]*=*$`).test(value);
const jid = (value) => text(value) && /^[0-9-]+@(s\.whatsapp\.net|g\.us|lid)$/.test(value);
const phone = (value) => text(value) && (/^\+?[0-9]{8,15}$/.test(value) || jid(value));
const number = (value) => typeof value === 'number' && value !== 0;
const quote = { ContextInfo: (value) => text(value?.StanzaId) && jid(value?.Participant) };

/** By path: which fields must be there, which may, and of what form each is. */
const sends = (needed, optional = {}) => ({ needed: { Phone: phone, ...needed }, optional: { Id: text, ...optional }, says: 'Sent' });
const routes = {
  '/chat/send/text': sends({ Body: text }, quote),
  '/chat/send/image': sends({ Image: data('image/') }, { Caption: text, ...quote }),
  '/chat/send/video': sends({ Video: data('video/') }, { Caption: text }),
  '/chat/send/audio': sends({ Audio: data('audio/ogg') }),
  '/chat/send/document': sends({ Document: data('application/octet-stream'), FileName: text }, { Caption: text, MimeType: text }),
  '/chat/send/sticker': sends({ Sticker: data('(image/webp|video/mp4)') }),
  '/chat/send/location': sends({ Latitude: number, Longitude: number }, { Name: text }),
  '/chat/send/contact': sends({ Name: text, Vcard: (value) => text(value) && value.startsWith('BEGIN:VCARD') }),
  '/chat/send/edit': { needed: { Phone: phone, Id: text, Body: text }, optional: {}, says: 'Sent' },
  '/chat/delete': { needed: { Phone: phone, Id: text }, optional: {}, says: 'Deleted' },
  '/chat/react': { needed: { Phone: phone, Id: text, Body: text }, optional: { Participant: jid }, says: 'Sent' },
  '/chat/markread': { needed: { Id: (value) => Array.isArray(value) && value.length > 0 && value.every(text), Chat: jid }, optional: { Sender: jid }, says: 'Message(s) marked as read' },
  '/chat/presence': { needed: { Phone: phone, State: (value) => ['composing', 'paused'].includes(value) }, optional: { Media: (value) => ['', 'audio'].includes(value) }, says: 'Chat presence set successfuly' },
};

/** What is wrong with a body, in WUZAPI's words; undefined: nothing. */
function objection(route, body) {
  const missing = Object.keys(route.needed).find((field) => body[field] === undefined || body[field] === '');
  if (missing) return `missing ${missing} in Payload`;
  const fields = { ...route.needed, ...route.optional };
  const wrong = Object.keys(body).find((field) => !fields[field]?.(body[field]));
  return wrong && `Could not parse ${wrong}`;
}

const answer = (status, content) => ({ status, head: 'content-type: application/json\r\n', body: JSON.stringify({ code: status, ...content, success: status === 200 }) });
const header = (head, name) => new RegExp(`^${name}: *(.*?)\r?$`, 'im').exec(head)?.[1];

export class WuzapiServer {
  /** tokens: of the instances there are. */
  static async start(tokens) {
    const server = new WuzapiServer();
    server.tokens = tokens;
    server.arrived = []; // what WhatsApp got, in order: {token, path, body}; also what came again
    server.refused = []; // {path, status, error}
    /** how({token, path, body, times}): 'hang' (it is sent, and nobody is told), {status, error} or {status, text}; nothing: as it should be. times: how often this body came before. */
    server.how = () => undefined;
    server.seen = new Map();
    server.http = await RawHttp.start((request) => server.take(request));
    return server;
  }

  refuse(path, status, content) {
    this.refused.push({ path, status, ...content });
    return content.text === undefined ? answer(status, content) : { status, head: 'content-type: text/plain; charset=utf-8\r\n', body: content.text };
  }

  async take({ head, body: raw }) {
    const [, method, path] = /^(\S+) (\S+)/.exec(head);
    const token = header(head, 'token');
    if (!this.tokens.includes(token)) return this.refuse(path, 401, { error: 'Unauthorized' });
    const route = routes[path];
    if (!route || method !== 'POST') return this.refuse(path, 404, { text: '404 page not found\n' });
    if (!/^application\/json/.test(header(head, 'content-type'))) return this.refuse(path, 400, { error: 'Could not decode Payload' });
    const body = JSON.parse(raw);
    const wrong = objection(route, body);
    if (wrong) return this.refuse(path, 400, { error: wrong });
    const times = this.seen.get(raw) ?? 0;
    this.seen.set(raw, times + 1);
    const how = this.how({ token, path, body, times });
    if (how?.status) return this.refuse(path, how.status, how);
    this.arrived.push({ token, path, body });
    if (how === 'hang') return new Promise(() => {});
    return answer(200, { data: { Details: route.says, Timestamp: 1781788778, ...(typeof body.Id === 'string' ? { Id: body.Id.replace(/^me:/, '') } : {}) } });
  }

  /** What the contacts see: each WhatsApp id once, as it came first, in order, by phone. */
  shown() {
    const seen = new Set();
    const byPhone = {};
    for (const { path, body } of this.arrived) {
      if (!path.startsWith('/chat/send/') || path === '/chat/send/edit' || seen.has(body.Id)) continue;
      seen.add(body.Id);
      (byPhone[body.Phone] ??= []).push(body.Id);
    }
    return byPhone;
  }

  forget() {
    Object.assign(this, { arrived: [], refused: [], how: () => undefined });
    this.http.fault = () => undefined;
  }

  get url() {
    return `http://127.0.0.1:${this.http.port}`;
  }
}
