// The same route the usual way, as the original design writes it in JavaScript: insert, update, a broadcast for each
// event, the webhooks, one after the other and all awaited. Authentication and limits are those of examples/node.
import { createHmac, randomUUID } from 'node:crypto';
import express from '../../examples/node/node_modules/express/index.js';
import { createAuth } from '../../examples/node/auth.mjs';
import { createDb } from '../../examples/node/db.mjs';
import { answerErrors, notFound } from '../../examples/node/errors.mjs';

const { DATABASE_URL, JWT_SECRET, PORT, POOL_SIZE, REALTIME_URL, REALTIME_KEY } = process.env;
const db = createDb({ connectionString: DATABASE_URL, max: Number(POOL_SIZE) }, console.error);
const { authenticateApiKey, rateLimiter } = createAuth({ db, jwtSecret: JWT_SECRET });

const first = async (name, text, values) => (await db.query({ name, text, values })).rows[0];
const camelCase = (row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key.replace(/_([a-z])/g, (_, c) => c.toUpperCase()), value]));

function post(url, body, headers) {
  return fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body }).then((response) => response.text());
}

function broadcast(topic, event, payload) {
  return post(`${REALTIME_URL}/api/broadcast`, JSON.stringify({ messages: [{ topic, event, payload, private: true }] }),
    { Authorization: `Bearer ${REALTIME_KEY}` });
}

async function callWebhooks(owner, event, data) {
  const { rows } = await db.query({ name: 'webhooks', values: [owner, event],
    text: 'SELECT * FROM public.chat_external_webhooks WHERE user_id = $1 AND is_active AND events @> ARRAY[$2]' });
  for (const hook of rows) {
    const body = JSON.stringify({ id: randomUUID(), event, timestamp: new Date().toISOString(), data });
    await post(hook.url, body, { 'X-Webhook-Event': event, 'X-Webhook-Signature': `sha256=${createHmac('sha256', hook.secret).update(body).digest('hex')}` });
    await first('called', 'UPDATE public.chat_external_webhooks SET last_triggered_at = now(), failure_count = 0 WHERE id = $1', [hook.id]);
  }
}

async function send(req, res) {
  const { params: { id }, owner, body: { content, metadata = {} } } = req;
  if (!await first('conversation', 'SELECT id FROM public.conversations WHERE id = $1 AND user_id = $2', [id, owner])) throw notFound('Conversation');
  const message = camelCase(await first('insert', `INSERT INTO public.chat_messages (conversation_id, message_id, content, direction, status, sender_type, metadata)
    VALUES ($1, $2, $3, 'outgoing', 'sent', 'user', $4) RETURNING *`, [id, randomUUID(), content, metadata]));
  const conversation = camelCase(await first('update', `UPDATE public.conversations
    SET last_message_at = now(), last_message_preview = left($2, 100), updated_at = now() WHERE id = $1 RETURNING *`, [id, content]));
  await broadcast(`conversation:${id}`, 'message.new', message);
  await broadcast(`user:${owner}:inbox`, 'conversation.updated', conversation);
  await callWebhooks(owner, 'message.sent', message);
  res.status(201).json({ success: true, data: message });
}

const app = express();
app.use(express.json());
app.post('/api/v1/chat/conversations/:id/messages', authenticateApiKey('chat:write'), rateLimiter('api-chat-send', 60), send);
app.use(answerErrors(console.error));
app.listen(Number(PORT), '127.0.0.1', () => console.log(`http://127.0.0.1:${PORT}`));
