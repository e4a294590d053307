// What saving a message costs, by default and where a disk flush takes 1 ms.
import { finish } from '../lib/janitor.mjs';
import { measure } from './saves.mjs';
import { conversations } from './variants.mjs';

const rounds = Number(process.env.ROUNDS ?? 11);
const transactions = Number(process.env.TRANSACTIONS ?? 3000);

try {
  await measure('Saving a message, default settings', { conversations, rounds, transactions });
  await measure('Saving a message, 1 ms disk flush (simulated)',
    { settings: { commit_delay: 1000, commit_siblings: 0 }, conversations, rounds, transactions });
} finally {
  await finish();
}
