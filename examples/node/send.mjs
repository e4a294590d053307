// Starts the worker that sends, with the settings of the environment; see README.md.
import { readFileSync } from 'node:fs';
import { createDb } from './db.mjs';
import { Sender } from './sender.mjs';
import { WuzapiClient } from './wuzapi-client.mjs';

const { DATABASE_URL, WUZAPI_URL, WUZAPI_INSTANCES, MEDIA_ORIGINS = '', SENDER = '{}' } = process.env;
if (!DATABASE_URL || !WUZAPI_URL || !WUZAPI_INSTANCES) {
  console.error('DATABASE_URL, WUZAPI_URL and WUZAPI_INSTANCES must be set');
  process.exit(2);
}

const log = (error) => console.error(JSON.stringify({ time: new Date().toISOString(), level: 'error', code: error.code, message: error.message }));
const db = createDb({
  connectionString: DATABASE_URL, application_name: 'chat-sender', max: 4, statement_timeout: 10_000, connectionTimeoutMillis: 5_000,
}, log);
const settings = JSON.parse(SENDER);
const client = new WuzapiClient({
  url: WUZAPI_URL, instances: JSON.parse(readFileSync(WUZAPI_INSTANCES, 'utf8')), mediaOrigins: MEDIA_ORIGINS.split(',').filter(Boolean).map((origin) => new URL(origin).origin), ...settings,
});
const sender = new Sender({ db, client, log, ...settings });
if (client.mediaTimeoutMs >= sender.leaseMs || client.timeoutMs >= sender.leaseMs) {
  console.error('SENDER: leaseMs must be longer than timeoutMs and mediaTimeoutMs');
  process.exit(2);
}
sender.start();
console.log(`sending to ${new URL(WUZAPI_URL).origin}`);

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => sender.stop().then(() => db.end()));
}
