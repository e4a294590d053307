// Who calls: an API key (X-API-Key, or as Bearer), or a signed-in user (a JWT as Bearer). Sets req.owner and req.by.
import { jwtVerify } from 'jose';
import { HttpError } from './errors.mjs';

const texts = {
  API_KEY_MISSING: 'API key required',
  API_KEY_INVALID_FORMAT: 'Invalid API key format',
  API_KEY_INVALID: 'Invalid or inactive API key',
  API_KEY_EXPIRED: 'API key has expired',
  INSUFFICIENT_SCOPES: 'Insufficient permissions',
  RATE_LIMIT_EXCEEDED: 'Rate limit exceeded',
  RATE_LIMIT_UNAVAILABLE: 'Rate limits cannot be kept at the moment, please try again',
};

/** The token of "Authorization: Bearer …"; a JWT has dots, an API key has none. */
function bearer(req) {
  const token = /^Bearer +(\S+)$/i.exec(req.get('Authorization') ?? '')?.[1];
  return token?.includes('.') ? { jwt: token } : { key: token };
}

/** Tells the client where it stands, in the standard's headers and in those of the old API. */
function rateLimitHeaders(res, name, limit, { remaining, reset_at: resetAt, retry_after: retryAfter }) {
  if (remaining === null) return; // limits are off, or the key was not accepted
  const seconds = Math.max(0, Math.ceil((resetAt - Date.now()) / 1000));
  res.append('RateLimit-Policy', `"${name}";q=${limit};w=60`);
  res.append('RateLimit', `"${name}";r=${remaining};t=${seconds}`);
  res.set({ 'X-RateLimit-Limit': limit, 'X-RateLimit-Remaining': remaining, 'X-RateLimit-Reset': resetAt.toISOString() });
  if (retryAfter > 0) res.set('Retry-After', Math.ceil(retryAfter));
}

export function createAuth({ db, jwtSecret }) {
  const secret = new TextEncoder().encode(jwtSecret);

  async function byApiKey(req, res, key, scope) {
    const { rows: [auth] } = await db.query({
      name: 'authenticate', text: 'SELECT * FROM chat.authenticate(key => $1, required_scope => $2)', values: [key, scope],
    });
    rateLimitHeaders(res, 'key', auth.rate_limit, auth);
    if (!auth.allowed) {
      throw new HttpError(auth.status, auth.code, texts[auth.code], {
        missingScopes: auth.code === 'INSUFFICIENT_SCOPES' ? [scope] : undefined,
        retryAfter: auth.code === 'RATE_LIMIT_EXCEEDED' ? Math.ceil(auth.retry_after) : undefined,
      });
    }
    Object.assign(req, { owner: auth.user_id, by: 'key' });
  }

  async function byJwt(req, token) {
    try {
      const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'], audience: 'authenticated', requiredClaims: ['exp'] });
      if (typeof payload.sub !== 'string' || payload.sub === '') throw new Error('nobody');
      Object.assign(req, { owner: payload.sub, by: 'jwt' });
    } catch {
      throw new HttpError(401, 'INVALID_TOKEN', 'Invalid or expired token');
    }
  }

  /** At most max requests of a user in 60 s, counted by the database for all processes. */
  const limit = (bucket, max) => async (req, res) => {
    const { rows: [state] } = await db.query({
      name: 'limit', values: [`${bucket}:${req.owner}`, max, req.by],
      text: `SELECT l.* FROM chat.request_by($3) b, chat.check_rate_limit(CASE WHEN b THEN $1 END, $2, interval '60 s') l`,
    });
    rateLimitHeaders(res, bucket, max, state);
    if (!state.allowed) {
      throw new HttpError(429, 'RATE_LIMIT_EXCEEDED', texts.RATE_LIMIT_EXCEEDED, { retryAfter: Math.ceil(state.retry_after) });
    }
  };
  const limitUser = limit('api-chat', 100);

  /** A key with this scope, within its limit; or a signed-in user, who may do everything with its own data. */
  const authenticateApiKey = (scope) => async (req, res, next) => {
    const { jwt, key } = bearer(req);
    const apiKey = req.get('X-API-Key') ?? key;
    if (jwt && apiKey === undefined) {
      await byJwt(req, jwt);
      await limitUser(req, res);
    } else {
      await byApiKey(req, res, apiKey ?? null, scope);
    }
    next();
  };

  /** Only a signed-in user: keys must not make keys. */
  const requireLogin = async (req, res, next) => {
    const { jwt } = bearer(req);
    if (!jwt) throw new HttpError(401, 'AUTH_REQUIRED', 'Authentication required');
    await byJwt(req, jwt);
    await limitUser(req, res);
    next();
  };

  /** limit as a middleware, after one of the two above. */
  const rateLimiter = (bucket, max) => async (req, res, next) => {
    await limit(bucket, max)(req, res);
    next();
  };

  return { authenticateApiKey, requireLogin, rateLimiter };
}
