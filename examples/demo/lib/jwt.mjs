// JSON web tokens (HS256), as Supabase's auth server would issue them.
import { createHmac } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function sign(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const body = `${encode(header)}.${encode(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

const now = () => Math.floor(Date.now() / 1000);

/** The token of a signed-in user. */
export function userToken(user, secret, { expiresIn = 3600, ...claims } = {}) {
  return sign({ sub: user, role: 'authenticated', aud: 'authenticated', iat: now(), exp: now() + expiresIn, ...claims }, secret);
}

/** The token of a program: role anon or service_role. */
export function roleToken(role, secret, { expiresIn = 3600 } = {}) {
  return sign({ role, iat: now(), exp: now() + expiresIn }, secret);
}
