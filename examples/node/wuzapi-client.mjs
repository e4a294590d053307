// Requests to WUZAPI, what its answers mean, and by which of its instances something leaves.
import { Unsendable } from './outgoing.mjs';

/**
 * It did not work, and what that is about: the message ("never": it will not work another time either; "again": it may), or the
 * instance ("later": nothing can be sent by it for now).
 */
export class Refusal extends Error {
  constructor(what, reason, { retryAfterMs = 0 } = {}) {
    super(reason);
    Object.assign(this, { what, retryAfterMs });
  }
}

const mediaPaths = /^\/chat\/send\/(image|video|audio|document|sticker)$/;
const noSession = /no session|not (connected|logged in)|websocket/i;

/** What an answer that is no success says. 404 of a change: this version of WUZAPI has no such route. */
function refusal(status, error, path, retryAfter) {
  const reason = `WUZAPI: ${status} ${error}`.slice(0, 500);
  const retryAfterMs = Math.min(Number(retryAfter) || 0, 3600) * 1000;
  if ([401, 403, 408, 425, 429, 502, 503, 504].includes(status) || (status === 500 && noSession.test(error))) return new Refusal('later', reason, { retryAfterMs });
  if (status === 404) return new Refusal(path.startsWith('/chat/send/') && path !== '/chat/send/edit' ? 'later' : 'never', reason);
  return new Refusal(status >= 500 || status < 400 ? 'again' : 'never', reason);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export class WuzapiClient {
  /** instances: [{token, owner, instance, inboxId, jid, url}]; timeouts in ms. */
  constructor({ url, instances, timeoutMs = 15_000, mediaTimeoutMs = 30_000, mediaOrigins = [], maxMediaBytes = 64 * 1024 * 1024 }) {
    Object.assign(this, { url, instances, timeoutMs, mediaTimeoutMs, mediaOrigins, maxMediaBytes });
  }

  /** How long a request may take. */
  timeout(path) {
    return mediaPaths.test(path) ? this.mediaTimeoutMs : this.timeoutMs;
  }

  /** The instance by which a conversation's owner answers: never another one than the conversation names. */
  find({ owner, inboxId, instance }) {
    const mine = this.instances.filter((i) => i.owner === owner && i.token);
    const named = mine.filter((i) => i.inboxId !== undefined || i.instance !== undefined);
    const found = mine.find((i) => inboxId != null && String(i.inboxId) === String(inboxId))
      ?? mine.find((i) => instance != null && i.instance === instance)
      ?? (inboxId == null && instance == null || named.length === 0 ? mine[0] : undefined);
    if (!found) throw new Unsendable(mine.length ? `no WUZAPI instance "${inboxId ?? instance}" is set up` : 'no WUZAPI instance is set up for this user');
    return found;
  }

  /** Resolves to what WUZAPI says it has done, or throws a Refusal. */
  async post(instance, { path, body }) {
    let response, text;
    try {
      response = await fetch(`${(instance.url ?? this.url).replace(/\/$/, '')}${path}`, {
        method: 'POST', redirect: 'manual', signal: AbortSignal.timeout(this.timeout(path)),
        headers: { 'Content-Type': 'application/json', token: instance.token }, body: JSON.stringify(body),
      });
      text = await response.text();
    } catch (error) {
      throw new Refusal('later', `WUZAPI gave no answer: ${error.cause?.code ?? error.name}`);
    }
    const answer = parsed(text);
    if (response.status !== 200 || answer?.success !== true) {
      throw refusal(response.status, answer?.error ?? (text.slice(0, 100).trim() || 'without a reason'), path, response.headers.get('Retry-After'));
    }
    return answer.data ?? {};
  }

  /** Media that are somewhere else: only from where the operator says, since whoever writes a message chooses the address. */
  async fetchMedia(address) {
    if (!this.mediaOrigins.some((origin) => address.startsWith(`${origin}/`))) throw new Unsendable('mediaUrl is neither a data URL nor at one of MEDIA_ORIGINS');
    let response, bytes;
    try {
      response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(this.mediaTimeoutMs) });
      bytes = response.ok && !(Number(response.headers.get('Content-Length')) > this.maxMediaBytes) ? await readUpTo(response, this.maxMediaBytes) : undefined;
    } catch (error) {
      throw new Refusal('again', `the media could not be fetched: ${error.cause?.code ?? error.name}`);
    }
    if (!response.ok) throw new Refusal(response.status >= 500 ? 'again' : 'never', `the media could not be fetched: ${response.status}`);
    if (!bytes) throw new Unsendable(`the media are larger than ${this.maxMediaBytes} bytes`);
    return { type: response.headers.get('Content-Type')?.split(';')[0] ?? '', base64: bytes.toString('base64') };
  }
}

/** The body; undefined: it is larger. */
async function readUpTo(response, most) {
  const chunks = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
