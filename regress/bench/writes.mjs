// What saving a message costs, on a disk whose flush takes no time, and on one where it takes 1 ms.
import { finish } from '../lib/janitor.mjs';
import { measure } from './saves.mjs';
import { conversations, sides } from './variants.mjs';

const rounds = Number(process.env.ROUNDS ?? 9);
const transactions = Number(process.env.TRANSACTIONS ?? 3000);
const minutes = Number(process.env.MINUTES ?? Infinity);

try {
  await measure('Saving a message', { sides, conversations, rounds, transactions, flush: true, minutes });
} finally {
  await finish();
}
