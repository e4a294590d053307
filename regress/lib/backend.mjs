// The example backend as a process of its own, and a client that holds every answer against its OpenAPI document.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { parse } from 'yaml';
import { addProcess, removeProcess } from './janitor.mjs';
import { userToken } from './jwt.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';
import { root } from './workspace.mjs';

const directory = path.join(root, 'examples/node');

export class Backend {
  /** Starts it on a free port. program: another server with the same settings. */
  static async start(cluster, { user = 'chat_backend', database = 'chat', wuzapi = [], jwtSecret = randomBytes(24).toString('hex'), env = {},
    program = path.join(directory, 'server.mjs') } = {}) {
    const backend = new Backend();
    backend.jwtSecret = jwtSecret;
    backend.port = await freePort();
    backend.output = '';
    const instances = path.join(cluster.dir, `wuzapi-${backend.port}.json`);
    writeFileSync(instances, JSON.stringify(wuzapi), { mode: 0o600 });
    backend.child = spawn(process.execPath, [program], {
      env: { PATH: process.env.PATH, DATABASE_URL: cluster.url({ user, database }), JWT_SECRET: jwtSecret, PORT: backend.port, WUZAPI_INSTANCES: instances, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    backend.child.unref();
    addProcess(backend.child.pid);
    for (const stream of [backend.child.stdout, backend.child.stderr]) {
      stream.unref();
      stream.on('data', (chunk) => { backend.output += chunk; });
    }
    backend.ended = new Promise((resolve) => backend.child.once('exit', (code) => {
      removeProcess(backend.child.pid);
      resolve(code);
    }));
    await until(() => backend.output.includes('http://') || backend.child.exitCode !== null, () => `the backend to start: ${backend.output}`, 30000);
    if (backend.child.exitCode !== null) throw new Error(`the backend ended: ${backend.output}`);
    return backend;
  }

  /** Starts it for a bed, as a role of its own for which there are no rate limits; ends with the bed. */
  static async unlimited(bed, settings) {
    await bed.role('chat_backend', 'grant_backend');
    await bed.db.query('ALTER ROLE chat_backend SET chat_realtime.rate_limits = off');
    const backend = await Backend.start(bed.cluster, settings);
    bed.closing.push(() => backend.stop());
    return backend;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  token(user, options) {
    return userToken(user, this.jwtSecret, options);
  }

  async stop(signal = 'SIGTERM') {
    if (this.child.exitCode === null) this.child.kill(signal);
    return this.ended;
  }
}

export const document = parse(readFileSync(path.join(directory, 'openapi.yaml'), 'utf8'));

const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
ajv.addSchema(document, 'openapi');

const escape = (text) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
const templates = Object.keys(document.paths).map((template) => ({
  template, pattern: new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}));
const validators = new Map();

/** What the document says about an answer, as a function that checks it; undefined: such an answer is not described. */
function validator(method, pathname, status) {
  const { template } = templates.find(({ pattern }) => pattern.test(pathname)) ?? {};
  const responses = document.paths[template]?.[method.toLowerCase()]?.responses ?? {};
  const name = responses[status] ? String(status) : status >= 400 && 'default';
  if (!responses[name]) return undefined;
  const place = responses[name].$ref ?? `#/paths/${escape(template)}/${method.toLowerCase()}/responses/${name}`;
  if (!validators.has(place)) validators.set(place, ajv.compile({ $ref: `openapi${place}/content/${escape('application/json')}/schema` }));
  return validators.get(place);
}

/** One request to /api/v1/chat. Throws when the answer is not one that the document describes. */
export async function call(backend, method, route, { body, raw, headers = {}, key, token, described = true } = {}) {
  const response = await fetch(`${backend.url}/api/v1/chat${route}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(key === undefined ? {} : { 'X-API-Key': key }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
  });
  const text = await response.text();
  const answer = { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
  if (!described) return answer;
  const validate = validator(method, route.split('?')[0], response.status);
  if (!validate) throw new Error(`${method} ${route}: an answer ${response.status} is not in the document: ${text.slice(0, 300)}`);
  if (!validate(answer.body)) throw new Error(`${method} ${route} ${response.status}: ${ajv.errorsText(validate.errors)}: ${text.slice(0, 600)}`);
  return answer;
}
