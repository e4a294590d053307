// What saving a message costs where there are 1,000,000 conversations: each message hits another one, and what it
// touches is seldom in the processor's caches.
import { finish } from '../lib/janitor.mjs';
import { measure } from './saves.mjs';
import { side } from './variants.mjs';

const conversations = Number(process.env.CONVERSATIONS ?? 1000000);
const rounds = Number(process.env.ROUNDS ?? 5);
const transactions = Number(process.env.TRANSACTIONS ?? 3000);

try {
  await measure(`Saving a message, ${conversations.toLocaleString('en')} conversations`,
    { sides: ['bare', 'plpgsql + outbox', 'chat_realtime'].map((name) => side(name)), settings: { shared_buffers: '1GB' }, conversations, rounds, transactions });
} finally {
  await finish();
}
