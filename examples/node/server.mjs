// Starts the backend with the settings of the environment; see README.md.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { readOrigins } from './access.mjs';
import { createApp } from './app.mjs';
import { createDb } from './db.mjs';
import { WuzapiClient } from './wuzapi-client.mjs';

const {
  DATABASE_URL, JWT_SECRET, SUPABASE_JWKS_URL, PORT = '3000', HOST = '127.0.0.1', POOL_SIZE = '10', WUZAPI_INSTANCES, WUZAPI_URL,
  CORS_ORIGINS, TRUST_PROXY, WRONG_KEYS_PER_MINUTE = '20', ACCESS_LOG = 'on',
} = process.env;

function exit(text) {
  console.error(text);
  process.exit(2);
}

function settings() {
  if (!DATABASE_URL || !(JWT_SECRET || SUPABASE_JWKS_URL)) throw new Error('DATABASE_URL, and JWT_SECRET or SUPABASE_JWKS_URL (or both), must be set');
  if (SUPABASE_JWKS_URL && !(URL.canParse(SUPABASE_JWKS_URL) && /^https?:/.test(SUPABASE_JWKS_URL))) throw new Error('SUPABASE_JWKS_URL must be an http(s) address');
  if (!/^[1-9]\d{0,5}$/.test(WRONG_KEYS_PER_MINUTE)) throw new Error('WRONG_KEYS_PER_MINUTE must be a number from 1 to 999999');
  if (!['on', 'off'].includes(ACCESS_LOG)) throw new Error('ACCESS_LOG must be on or off');
  return {
    jwtSecret: JWT_SECRET, jwksUrl: SUPABASE_JWKS_URL, origins: readOrigins(CORS_ORIGINS), wrongKeysPerMinute: Number(WRONG_KEYS_PER_MINUTE),
    trustProxy: TRUST_PROXY ? TRUST_PROXY.split(',').map((network) => network.trim()) : false,
    access: ACCESS_LOG === 'on' ? (line) => console.log(JSON.stringify(line)) : undefined,
  };
}

let given;
try {
  given = settings();
} catch (error) {
  exit(error.message);
}

const log = (error, req) => console.error(JSON.stringify({
  time: new Date().toISOString(), level: 'error', method: req?.method, path: req?.path, code: error.code, message: error.message,
}));
const db = createDb({
  connectionString: DATABASE_URL, application_name: 'chat-backend', max: Number(POOL_SIZE),
  statement_timeout: 30_000, connectionTimeoutMillis: 5_000, // as long as WUZAPI waits: a history may be large
}, log);
const wuzapiInstances = WUZAPI_INSTANCES ? JSON.parse(readFileSync(WUZAPI_INSTANCES, 'utf8')) : [];
const client = WUZAPI_URL && new WuzapiClient({ url: WUZAPI_URL, instances: wuzapiInstances, timeoutMs: 5_000 });
let app;
try {
  app = createApp({ ...given, db, wuzapiInstances, client, log });
} catch (error) {
  exit(error.message); // such as an address in TRUST_PROXY that is none
}
const notValid = JSON.stringify({ error: 'The request is not valid', code: 'BAD_REQUEST' });

// Express passes on what has no path.
const server = http.createServer((req, res) => app(req, res, () => {
  res.writeHead(400, { 'Content-Type': 'application/json', 'Content-Length': notValid.length }).end(notValid);
}));
server.keepAliveTimeout = 65_000; // longer than proxies keep theirs: a request must not meet a connection that is being closed
server.listen(Number(PORT), HOST, () => console.log(`http://${HOST}:${server.address().port}/api/v1/chat`));

// What Node refuses before Express sees it, such as headers that are too large.
server.on('clientError', (error, socket) => {
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  if (socket.writable) {
    socket.end(`HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${notValid.length}\r\nConnection: close\r\n\r\n${notValid}`);
  }
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => server.close(() => db.end()));
}
