// Wrong keys and tokens are counted by address, by the database for all processes. An address that gave too many is not looked
// at for the rest of the minute, so that guessing costs the database nothing.
import { isIPv6 } from 'node:net';
import { HttpError, rateLimitHeaders } from './errors.mjs';

const most = 10_000; // addresses that are remembered here

/** An IPv6 network of 64 bits is one sender. */
export function networkOf(address = '') {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped || !isIPv6(address)) return mapped ?? address;
  const [head, tail] = address.split('%')[0].split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** perMinute: wrong ones that an address may give. */
export function createStrangers({ db, perMinute = 20 }) {
  const refused = new Map(); // network → the state that refused it

  function refuse(res, state) {
    rateLimitHeaders(res, 'wrong-key', perMinute, state);
    throw new HttpError(429, 'RATE_LIMIT_EXCEEDED', 'Too many wrong keys', { retryAfter: Math.max(1, Math.ceil((state.reset_at - Date.now()) / 1000)) });
  }

  return {
    /** Before anything is looked at. */
    check(req, res) {
      const state = refused.get(networkOf(req.ip));
      if (state === undefined) return;
      const left = (state.reset_at - Date.now()) / 1000;
      if (left > 0) refuse(res, { ...state, retry_after: left });
      refused.delete(networkOf(req.ip));
    },

    /** One more wrong one. Where it cannot be counted, it was wrong all the same. */
    async count(req, res) {
      const network = networkOf(req.ip);
      const state = await db.query({
        name: 'wrong-key', values: [`wrong-key:${network}`, perMinute], text: `SELECT * FROM chat.check_rate_limit($1, $2, interval '60 s')`,
      }).then(({ rows }) => rows[0], () => undefined);
      if (state === undefined) return;
      if (state.allowed) return rateLimitHeaders(res, 'wrong-key', perMinute, state);
      if (refused.size >= most) refused.delete(refused.keys().next().value);
      refused.set(network, state);
      refuse(res, state);
    },
  };
}
