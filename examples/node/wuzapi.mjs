// WUZAPI's webhook. It is answered when the event is stored, so that WUZAPI repeats what was not.
import { createHash } from 'node:crypto';
import express from 'express';
import { HttpError } from './errors.mjs';

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

/** instances: [{userID, token, owner, hmacKey}], who each WUZAPI user belongs to. */
export function createWuzapi({ call, instances }) {
  // Tokens are secrets: kept and looked up by their digest.
  const byToken = new Map(instances.filter((i) => i.token).map((i) => [digest(i.token), i]));
  const byUser = new Map(instances.filter((i) => i.userID !== undefined).map((i) => [String(i.userID), i]));

  /** A token tells who it is and proves it. A userID only tells: then a signature has to prove it. */
  function find(req, event) {
    const token = req.get('token') ?? req.get('x-user-token') ?? asText(event?.token);
    const known = token === undefined ? undefined : byToken.get(digest(token));
    const instance = known ?? byUser.get(asText(event?.userID));
    if (!instance || !(known || instance.hmacKey)) {
      throw new HttpError(401, 'UNKNOWN_INSTANCE', 'No such WUZAPI instance, or nothing proves that it sent this');
    }
    return instance;
  }

  const webhook = express.Router();
  webhook.post('/', express.raw({ type: () => true, limit: '64mb' }), async (req, res) => {
    req.body = Buffer.isBuffer(req.body) ? req.body : Buffer.alloc(0);
    const event = parse(req);
    const { owner, hmacKey } = find(req, event);
    const answer = await call(
      'CASE WHEN $1::text IS NULL OR chat.verify_wuzapi($2, $3, $1) THEN chat.ingest_wuzapi($4, $5) END',
      [hmacKey, hmacKey && req.body, req.get('x-hmac-signature'), owner, JSON.stringify(event)]);
    if (answer === null) throw new HttpError(401, 'INVALID_SIGNATURE', 'Invalid signature');
    res.json({ success: true, data: answer });
  });
  return webhook;
}
