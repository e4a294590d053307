// What stands before every route: which pages of other origins may ask, and one line for each request. No header, no query
// string and no body is written down: keys, tokens and what people say are in there.
import { randomUUID } from 'node:crypto';

const told = ['RateLimit', 'RateLimit-Policy', 'Retry-After', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset', 'X-Request-Id'].join(', ');
const longestPath = 200;

/** A line when the answer is out, or given up: write(object). */
export const accessLog = (write) => (req, res, next) => {
  const start = performance.now();
  const { method } = req;
  const path = String(req.path).slice(0, longestPath); // routers change it later
  req.id = randomUUID();
  res.set('X-Request-Id', req.id);
  res.once('close', () => write({
    time: new Date().toISOString(), level: 'info', id: req.id, method, path, status: res.writableFinished ? res.statusCode : 499,
    ms: Math.round((performance.now() - start) * 10) / 10, address: req.ip, by: req.by, owner: req.owner,
  }));
  next();
};

/** CORS for exactly these origins; whoever comes from another gets no word of it, and the browser keeps the answer from the page. */
export function cors(origins) {
  const allowed = new Set(origins);
  return (req, res, next) => {
    res.vary('Origin');
    const origin = req.get('Origin');
    if (!allowed.has(origin)) return next();
    res.set({ 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': told });
    if (req.method !== 'OPTIONS' || !req.get('Access-Control-Request-Method')) return next();
    res.set({
      'Access-Control-Allow-Methods': 'GET, POST, PATCH, DELETE',
      'Access-Control-Allow-Headers': 'Authorization, Content-Type, X-API-Key',
      'Access-Control-Max-Age': '600',
    });
    return res.status(204).end();
  };
}

/** The origins of a comma-separated list; throws where one is no origin, since it would never match. */
export function readOrigins(list = '') {
  const origins = list.split(',').map((origin) => origin.trim()).filter(Boolean);
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) throw new Error(`CORS_ORIGINS: "${origin}" is no origin, such as https://desk.example.com`);
  }
  return origins;
}
