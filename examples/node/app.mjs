// The routes of /api/v1/chat. Each is one call of a function of schema chat, which checks the owner, the values
// and the rules itself: a missing or foreign row is NULL (404), bad input an SQLSTATE (see errors.mjs).
import { fileURLToPath } from 'node:url';
import express from 'express';
import { accessLog, cors } from './access.mjs';
import { createAuth } from './auth.mjs';
import { answerErrors, HttpError, notFound } from './errors.mjs';
import { addHealth } from './health.mjs';
import { typing } from './outgoing.mjs';
import { createStrangers } from './strangers.mjs';
import { createWuzapi } from './wuzapi.mjs';

const openapi = fileURLToPath(new URL('openapi.yaml', import.meta.url));

const webhookEvents = ['message.received', 'message.sent', 'message.status', 'message.updated', 'message.deleted',
  'conversation.created', 'conversation.updated', 'conversation.closed', 'conversation.assigned', 'conversation.merged', '*'];
const webhookOptions = ['headers', 'conversations', 'inboxes', 'rateLimit', 'ed25519'];
const scopes = ['chat:read', 'chat:write', 'chat:admin'];

const invalid = (message, field, hint) => new HttpError(400, 'INVALID_VALUE', message, { field, hint });

/** Fields that are text: the driver would turn anything else into text, and nobody would notice. */
const textFields = ['contactJid', 'contactName', 'content', 'name', 'url', 'secret', 'username', 'upTo', 'expiresAt', 'emoji',
  'event', 'since', 'until'];
/** Of these, the times: PostgreSQL would also take "tomorrow" and "infinity". */
const timeFields = ['upTo', 'expiresAt', 'since', 'until'];
/** Of the address: numbers and truths. */
const wholeNumbers = ['page', 'limit', 'after'];
const time = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)$/;

function checkShapes({ body, query }, res, next) {
  if (Array.isArray(body)) throw new HttpError(400, 'INVALID_BODY', 'Request body must be a JSON object');
  const wrong = textFields.find((field) => !['string', 'undefined'].includes(typeof (body?.[field] ?? undefined)))
    ?? Object.keys(query).find((field) => typeof query[field] !== 'string');
  if (wrong) throw invalid(`${wrong} must be one text`, wrong, 'Give it once, as a text.');
  const untimely = timeFields.find((field) => !time.test(body?.[field] ?? '2026-06-18T13:19:38Z'));
  if (untimely) throw invalid(`${untimely} must be a time with its offset`, untimely, 'Such as 2026-06-18T13:19:38Z.');
  const unnumbered = wholeNumbers.find((field) => !/^\d{1,15}$/.test(query[field] ?? '1'));
  if (unnumbered) throw invalid(`${unnumbered} must be a whole number`, unnumbered, 'Give digits alone.');
  if (!['true', 'false'].includes(query.hasUnread ?? 'true')) throw invalid('hasUnread must be true or false', 'hasUnread', 'Use true or false.');
  if (!['boolean', 'undefined'].includes(typeof (body?.isTyping ?? undefined))) throw invalid('isTyping must be true or false', 'isTyping', 'Use true or false.');
  next();
}

/** A body of another type, or of none, is not looked at. */
function requireJson(req, res, next) {
  const empty = req.get('Transfer-Encoding') === undefined && Number(req.get('Content-Length') ?? 0) === 0;
  if (!empty && !req.is('application/json')) throw new HttpError(415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json');
  next();
}

/** The old API tells which values of a list it does not know; all else about values is the database's business. */
const known = (field, values, [message, unknownName, knownName]) => (req, res, next) => {
  const unknown = Array.isArray(req.body[field]) ? req.body[field].filter((value) => !values.includes(value)) : [];
  if (unknown.length) {
    throw new HttpError(400, 'INVALID_VALUE', message, { field, hint: `Use ${values.join(', ')}.`, [unknownName]: unknown, [knownName]: values });
  }
  next();
};
const knownEvents = known('events', webhookEvents, ['Invalid event types', 'invalidEvents', 'validEvents']);
const knownScopes = known('scopes', scopes, ['Invalid scopes', 'invalidScopes', 'validScopes']);

function required(value, message, field) {
  if (!value) throw new HttpError(400, 'VALUE_MISSING', message, { field, hint: `Give ${field} in the address.` });
  return value;
}

/**
 * jwtSecret, jwksUrl: how tokens are verified. client: where there is one, a worker sends (send.mjs), and what is changed is passed on
 * to the contact. origins: of pages that may ask. trustProxy: whose X-Forwarded-For counts. access: gets one object a request.
 */
export function createApp({ db, jwtSecret, jwksUrl, wuzapiInstances = [], client, origins = [], trustProxy = false, wrongKeysPerMinute, access, log = console.error }) {
  const strangers = createStrangers({ db, perMinute: wrongKeysPerMinute });
  const { authenticateApiKey, requireLogin, rateLimiter } = createAuth({ db, jwtSecret, jwksUrl, strangers });
  // Who it is comes first: of a stranger no body is read.
  const body = [requireJson, express.json({ limit: '2mb' }), checkShapes, (req, res, next) => {
    req.body ??= {};
    next();
  }];
  const read = [authenticateApiKey('chat:read'), ...body];
  const write = [authenticateApiKey('chat:write'), ...body];
  const admin = [authenticateApiKey('chat:admin'), ...body];
  const signedIn = [requireLogin, ...body];

  /** First column of the one row. Named statements are planned once per connection. by: whose request it is, for the metrics. */
  async function call(sql, values, by = 'service') {
    const { rows } = await db.query({
      name: sql.slice(0, 60), text: `SELECT ${sql} FROM chat.request_by($${values.length + 1})`, values: [...values, by], rowMode: 'array',
    });
    return rows[0][0];
  }

  /** A route that answers with what its function returns; of a NULL, that what was asked for is not there. */
  const one = (what, sql, values, { status = 200, envelope = (data) => ({ success: true, data }), afterwards } = {}) => async (req, res) => {
    const data = await call(sql, values(req, req.body), req.by);
    if (data === null || data === false) throw notFound(what);
    res.status(status).json(envelope(data));
    afterwards?.(req).catch((error) => log(error, req));
  };
  /** Lists come from the database in their envelope: {success, data, pagination}. */
  const list = (sql, values) => one('Conversation', sql, values, { envelope: (answer) => answer });

  /** The contact sees that somebody types. What is lost is not tried again: it would be late. */
  async function passTypingOn({ params, owner, body }) {
    const recipient = client && await call('chat.recipient($1, owner => $2)', [params.id, owner]);
    if (recipient?.to) await client.post(client.find(recipient), typing(recipient.to, body.isTyping ?? true));
  }
  const edit = client ? 'chat.send_edit' : 'chat.edit_message';
  const remove = client ? 'chat.send_deletion' : 'chat.delete_message';
  const markRead = client ? 'chat.send_read' : 'chat.mark_read';

  const chat = express.Router();
  chat.use('/wuzapi', createWuzapi({ call, instances: wuzapiInstances, strangers }));

  // Conversations
  chat.get('/conversations', read, list(
    'chat.list_conversations($1, page => $2, "limit" => $3, status => $4, assigned_to => $5, cursor => $6, unread => $7, search => $8)',
    ({ owner, query: q }) => [owner, q.page ?? 1, q.limit ?? 20, q.status, q.assignedTo, q.cursor, q.hasUnread, q.search]));
  chat.post('/conversations', write, one('Conversation', 'chat.create_conversation($1, $2, $3)',
    ({ owner }, body) => [owner, body.contactJid, body.contactName], { status: 201 }));
  chat.get('/conversations/:id', read, one('Conversation', 'chat.get_conversation($1, owner => $2)',
    ({ params, owner }) => [params.id, owner]));
  chat.patch('/conversations/:id', write, one('Conversation', 'chat.update_conversation($1, $2, owner => $3)',
    ({ params, owner }, body) => [params.id, body, owner]));
  chat.delete('/conversations/:id', write, one('Conversation', 'chat.archive_conversation($1, owner => $2)',
    ({ params, owner }) => [params.id, owner]));
  chat.post('/conversations/:id/read', write, one('Conversation', `${markRead}($1, $2, owner => $3)`,
    ({ params, owner }, body) => [params.id, body.upTo, owner],
    { envelope: (updated) => ({ success: true, message: 'Conversation marked as read', data: { updated } }) }));
  chat.post('/conversations/:id/typing', write, one('Conversation',
    `chat.presence($1, 'typing', user_id => $2, username => $3, is_typing => $4, owner => $2)`,
    ({ params, owner }, body) => [params.id, owner, body.username, body.isTyping], { afterwards: passTypingOn }));
  chat.post('/conversations/:id/presence', write, one('Conversation',
    `chat.presence($1, 'join', user_id => $2, username => $3, owner => $2)`, ({ params, owner }, body) => [params.id, owner, body.username]));
  chat.delete('/conversations/:id/presence', write, one('Conversation',
    `chat.presence($1, 'leave', user_id => $2, owner => $2)`, ({ params, owner }) => [params.id, owner]));

  // Messages
  chat.get('/conversations/:id/messages', read, list('chat.list_messages($1, "limit" => $2, cursor => $3, owner => $4)',
    ({ params, query, owner }) => [params.id, query.limit ?? 50, query.cursor, owner]));
  chat.post('/conversations/:id/messages', write, rateLimiter('api-chat-send', 60), one('Conversation',
    'chat.save_message($1, $2, owner => $3)',
    // Sent it is when the worker has sent it.
    ({ params, owner }, body) => [params.id, { ...body, status: body.status ?? (body.isPrivateNote === true ? 'sent' : 'pending'), direction: 'outgoing' }, owner], { status: 201 }));
  chat.patch('/messages/:id', write, one('Message', `${edit}($1, $2, owner => $3)`,
    ({ params, owner }, body) => [params.id, body.content, owner]));
  chat.delete('/messages/:id', write, one('Message', `${remove}($1, owner => $2)`,
    ({ params, owner }) => [params.id, owner]));
  chat.post('/messages/:id/reaction', write, one('Message', 'chat.send_reaction($1, $2, owner => $3)',
    ({ params, owner }, body) => [params.id, body.emoji, owner]));

  // Search, and what a client missed while it was away
  chat.get('/search/conversations', read, list('chat.list_conversations($1, "limit" => $2, search => $3)',
    ({ owner, query }) => [owner, query.limit ?? 20, required(query.q, 'Search query is required', 'q')]));
  chat.get('/search/messages', read, list('chat.search_messages($1, $2, "limit" => $3, owner => $4)',
    ({ owner, query }) => [required(query.conversationId, 'Conversation ID is required', 'conversationId'),
      required(query.q, 'Search query is required', 'q'), query.limit ?? 50, owner]));
  chat.get('/events', read, one('Topic', 'chat.topic_events($1, $2, $3, owner => $4)',
    ({ owner, query }) => [required(query.topic, 'Topic is required', 'topic'), query.after, query.limit ?? 100, owner], { envelope: (answer) => answer }));

  chat.get('/provider', read, one('User', `jsonb_build_object('provider', chat.realtime_provider($1))`, ({ owner }) => [owner]));

  // Webhooks
  chat.get('/webhooks', admin, list('chat.list_webhooks($1)', ({ owner }) => [owner]));
  chat.post('/webhooks', admin, knownEvents, one('Webhook', 'chat.create_webhook($1, $2, $3, $4, options => $5)',
    ({ owner }, body) => [owner, body.url, body.events, body.secret, Object.fromEntries(Object.entries(body).filter(([key]) => webhookOptions.includes(key)))],
    { status: 201 }));
  chat.get('/webhooks/health', admin, list('chat.webhook_health($1)', ({ owner }) => [owner]));
  chat.patch('/webhooks/:id', admin, knownEvents, one('Webhook', 'chat.update_webhook($1, $2, owner => $3)',
    ({ params, owner }, body) => [params.id, body, owner]));
  chat.delete('/webhooks/:id', admin, one('Webhook', 'chat.delete_webhook($1, owner => $2)',
    ({ params, owner }) => [params.id, owner]));
  chat.post('/webhooks/:id/test', admin, one('Webhook', 'chat.test_webhook($1, owner => $2, event => $3)',
    ({ params, owner }, body) => [params.id, owner, body.event], { status: 202 }));
  chat.get('/webhooks/:id/attempts', admin, one('Webhook', 'chat.list_webhook_attempts($1, "limit" => $2, cursor => $3, owner => $4)',
    ({ params, query, owner }) => [params.id, query.limit ?? 50, query.cursor, owner], { envelope: (answer) => answer }));
  chat.post('/webhooks/:id/redeliver', admin, one('Webhook', 'chat.redeliver($1::uuid, $2, COALESCE($3, now()), owner => $4)',
    ({ params, owner }, body) => [params.id, body.since, body.until, owner], { status: 202, envelope: (messages) => ({ success: true, data: { messages } }) }));
  chat.get('/webhook-attempts/:id', admin, one('Attempt', 'chat.get_webhook_attempt($1, owner => $2)', ({ params, owner }) => [params.id, owner]));
  chat.post('/webhook-attempts/:id/redeliver', admin, one('Attempt', 'chat.redeliver($1::bigint, owner => $2)',
    ({ params, owner }) => [params.id, owner], { status: 202 }));
  chat.post('/webhooks/:id/rotate-secret', admin, one('Webhook', 'chat.rotate_webhook_secret($1, owner => $2)',
    ({ params, owner }) => [params.id, owner]));

  // API keys
  const shownOnce = { envelope: (data) => ({ success: true, data, warning: 'Store this key now: it is not shown again.' }) };
  chat.get('/api-keys', signedIn, list('chat.list_api_keys($1)', ({ owner }) => [owner]));
  chat.post('/api-keys', signedIn, knownScopes, one('API key',
    'chat.create_api_key($1, $2, scopes => $3, rate_limit => $4, expires_at => $5)',
    ({ owner }, body) => [owner, body.name, body.scopes ?? scopes.slice(0, 2), body.rateLimit ?? 100, body.expiresAt],
    { status: 201, ...shownOnce }));
  chat.patch('/api-keys/:id', signedIn, knownScopes, one('API key', 'chat.update_api_key($1, $2, owner => $3)',
    ({ params, owner }, body) => [params.id, body, owner]));
  chat.delete('/api-keys/:id', signedIn, one('API key', 'chat.revoke_api_key($1, owner => $2)',
    ({ params, owner }) => [params.id, owner]));
  chat.post('/api-keys/:id/regenerate', signedIn, one('API key', 'chat.rotate_api_key($1, owner => $2)',
    ({ params, owner }) => [params.id, owner], shownOnce));

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', trustProxy);
  addHealth(app, db);
  if (access) app.use(accessLog(access));
  if (origins.length) app.use(cors(origins));
  app.get('/api/v1/chat/openapi.yaml', (req, res) => res.sendFile(openapi));
  app.use('/api/v1/chat', chat);
  app.use((req) => {
    throw new HttpError(404, 'ROUTE_NOT_FOUND', `There is no ${req.method} here`);
  });
  app.use(answerErrors(log));
  return app;
}
