// WUZAPI's webhook. It is answered when the event is stored, so that WUZAPI repeats what was not.
import { createHash } from 'node:crypto';
import express from 'express';
import { HttpError } from './errors.mjs';
import { networkOf } from './strangers.mjs';

const digest = (text) => createHash('sha256').update(String(text)).digest('hex');
const asText = (value) => (typeof value === 'string' || typeof value === 'number' ? String(value) : undefined);

/** The event as an object: a JSON body, or the fields of a form, whose jsonData the database unfolds. */
function parse(req) {
  const text = req.body.toString('utf8');
  if (req.is('application/x-www-form-urlencoded')) return Object.fromEntries(new URLSearchParams(text));
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, 'INVALID_JSON', 'Request body is not valid JSON');
  }
}

const longest = 64 * 1024 * 1024; // bytes of a body: pictures and films are in there
/** Bytes that senders may have on their way who are known only by what is in the body, together; one network of them half. */
const unprovenAtOnce = 2 * longest;

const most = 20; // places in a body that are looked at

/** What a body says of its sender, found without parsing it: that of a stranger must cost next to nothing. */
function claims(req) {
  const text = req.body.toString('latin1');
  const form = req.is('application/x-www-form-urlencoded');
  const pattern = form ? /(?:^|&)(token|userID)=([^&]{1,200})/g : /"(token|userID)"\s*:\s*"?([^",{}\[\]\\]{1,200})/g;
  const found = [['token', req.get('token') ?? req.get('x-user-token')]];
  for (let match; found.length <= most && (match = pattern.exec(text)) !== null;) found.push([match[1], form ? decode(match[2]) : match[2].trim()]);
  return found.filter(([, value]) => value !== undefined);
}

function decode(text) {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

/** instances: [{userID, token, owner, hmacKey}], who each WUZAPI user belongs to. */
export function createWuzapi({ call, instances, strangers }) {
  // Tokens are secrets: kept and looked up by their digest.
  const byToken = new Map(instances.filter((i) => i.token).map((i) => [digest(i.token), i]));
  const byUser = new Map(instances.filter((i) => i.userID !== undefined).map((i) => [String(i.userID), i]));

  /** A token tells who it is and proves it. A userID only tells: then a signature has to prove it. */
  function find(req, event) {
    const token = req.get('token') ?? req.get('x-user-token') ?? asText(event?.token);
    const known = token === undefined ? undefined : byToken.get(digest(token));
    const instance = known ?? byUser.get(asText(event?.userID));
    if (!instance || !(known || instance.hmacKey)) {
      throw refused();
    }
    return instance;
  }

  const refused = () => new HttpError(401, 'UNKNOWN_INSTANCE', 'No such WUZAPI instance, or nothing proves that it sent this');

  /** Somebody we know must have sent it: its token is in there, or the signature is that of a user who is named. */
  async function requireVoucher(req) {
    const said = claims(req);
    if (said.some(([name, value]) => name === 'token' && byToken.has(digest(value)))) return;
    const named = new Set(said.filter(([name, value]) => name === 'userID' && byUser.get(value)?.hmacKey).map(([, value]) => byUser.get(value)));
    for (const { hmacKey } of named) {
      if (await call('chat.verify_wuzapi($2, $3, $1)', [hmacKey, req.body, req.get('x-hmac-signature') ?? ''])) return;
    }
    throw named.size > 0 ? new HttpError(401, 'INVALID_SIGNATURE', 'Invalid signature') : refused();
  }

  let unproven = 0;
  const unprovenOf = new Map(); // network → its part

  function hold(network, bytes) {
    unproven += bytes;
    const all = (unprovenOf.get(network) ?? 0) + bytes;
    if (all > 0) unprovenOf.set(network, all);
    else unprovenOf.delete(network);
  }

  /** Before a body is read: an address that was wrong too often, and more than may be held of those nobody knows yet, are refused. */
  function admit(req, res, next) {
    strangers.check(req, res);
    const token = req.get('token') ?? req.get('x-user-token');
    if (token !== undefined && byToken.has(digest(token))) return next();
    // What is compressed may become as long as any.
    const bytes = req.get('Content-Encoding') ? longest : Math.min(Number(req.get('Content-Length') ?? longest) || 0, longest);
    const network = networkOf(req.ip);
    if (unproven + bytes > unprovenAtOnce || (unprovenOf.get(network) ?? 0) + bytes > longest) {
      throw new HttpError(503, 'SERVICE_UNAVAILABLE', 'The service is busy, please try again');
    }
    hold(network, bytes);
    res.once('close', () => hold(network, -bytes));
    return next();
  }

  const webhook = express.Router();
  webhook.post('/', admit, express.raw({ type: () => true, limit: longest }), async (req, res) => {
    req.body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    await requireVoucher(req).catch(async (error) => {
      if (error.status === 401) await strangers.count(req, res);
      throw error;
    });
    const event = parse(req);
    const { owner, hmacKey } = find(req, event);
    const answer = await call(
      'CASE WHEN $1::text IS NULL OR chat.verify_wuzapi($2, $3, $1) THEN chat.ingest_wuzapi($4, $5) END',
      [hmacKey, hmacKey && req.body, req.get('x-hmac-signature'), owner, JSON.stringify(event)]);
    if (answer === null) throw new HttpError(401, 'INVALID_SIGNATURE', 'Invalid signature'); // of another user than the one that vouched
    res.json({ success: true, data: answer });
  });
  return webhook;
}
