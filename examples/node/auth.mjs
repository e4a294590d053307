// Who calls: an API key (X-API-Key, or as Bearer), or a signed-in user (a JWT as Bearer). Sets req.owner and req.by.
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { HttpError, rateLimitHeaders } from './errors.mjs';

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

/** Answers that say a key or a token is made up, or was mistyped. One that has expired was right once. */
const wrong = new Set(['API_KEY_INVALID_FORMAT', 'API_KEY_INVALID', 'INVALID_TOKEN']);

/**
 * Verifies tokens of the login: HS256 with the secret, and with the keys that are published at jwksUrl what these are for. Which of
 * both it is the token's header says, and a key of the one is never used for the other.
 */
export function createVerifier({ jwtSecret, jwksUrl }) {
  const secret = jwtSecret && new TextEncoder().encode(jwtSecret);
  const published = jwksUrl && createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 5_000, cooldownDuration: 30_000, cacheMaxAge: 600_000 });
  const rules = { audience: 'authenticated', requiredClaims: ['exp', 'sub'] };
  return async (token) => {
    const symmetric = decodeProtectedHeader(token).alg?.startsWith('HS');
    const key = symmetric ? secret : published;
    if (!key) throw new errors.JOSEAlgNotAllowed('no key for this algorithm');
    return (await jwtVerify(token, key, { ...rules, algorithms: symmetric ? ['HS256'] : ['ES256', 'RS256', 'EdDSA'] })).payload;
  };
}

/** The keys could not be fetched, or are none: that says nothing of the token. By code, since texts quote what tokens say. */
const isUnanswered = (error) => ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'].includes(error.code) || (error instanceof TypeError && error.message === 'fetch failed');

export function createAuth({ db, jwtSecret, jwksUrl, strangers }) {
  const verify = createVerifier({ jwtSecret, jwksUrl });

  async function byApiKey(req, res, key, scope) {
    strangers.check(req, res);
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
      const { sub } = await verify(token);
      if (typeof sub !== 'string' || sub === '') throw new Error('nobody');
      Object.assign(req, { owner: sub, by: 'jwt' });
    } catch (error) {
      if (isUnanswered(error)) throw new HttpError(503, 'SERVICE_UNAVAILABLE', 'Tokens cannot be verified at the moment, please try again');
      throw Object.assign(new HttpError(401, 'INVALID_TOKEN', 'Invalid or expired token'), { expired: error instanceof errors.JWTExpired });
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

  /** A middleware that says who it is, or counts that somebody tried. A good token is taken from any address. */
  const known = (identify) => async (req, res, next) => {
    try {
      await identify(req, res);
    } catch (error) {
      if (wrong.has(error.code) && !error.expired) {
        strangers.check(req, res);
        await strangers.count(req, res);
      }
      throw error;
    }
    next();
  };

  /** A key with this scope, within its limit; or a signed-in user, who may do everything with its own data. */
  const authenticateApiKey = (scope) => known(async (req, res) => {
    const { jwt, key } = bearer(req);
    const apiKey = req.get('X-API-Key') ?? key;
    if (jwt && apiKey === undefined) {
      await byJwt(req, jwt);
      await limitUser(req, res);
    } else {
      await byApiKey(req, res, apiKey ?? null, scope);
    }
  });

  /** Only a signed-in user: keys must not make keys. */
  const requireLogin = known(async (req, res) => {
    const { jwt } = bearer(req);
    if (!jwt) throw new HttpError(401, 'AUTH_REQUIRED', 'Authentication required');
    await byJwt(req, jwt);
    await limitUser(req, res);
  });

  /** limit as a middleware, after one of the two above. */
  const rateLimiter = (bucket, max) => async (req, res, next) => {
    await limit(bucket, max)(req, res);
    next();
  };

  return { authenticateApiKey, requireLogin, rateLimiter };
}
