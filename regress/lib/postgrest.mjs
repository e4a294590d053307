// A front that does what PostgREST's /rpc does: a transaction with PostgREST's settings, db-pre-request, the call with named
// arguments taken from JSON or the query string, response.status and response.headers, and its way with errors. PostgREST
// itself is not in the package registries.
import { createHmac, timingSafeEqual } from 'node:crypto';
import pg from 'pg';
import { Listener, readBody } from './http.mjs';

const quote = (name) => pg.escapeIdentifier(name);

/** HTTP status of a database error, as PostgREST's documentation lists them. */
const statuses = { '08': 503, '09': 500, '0L': 403, '0P': 403, 23503: 409, 23505: 409, 25006: 405, 25: 500, 28: 403, '2D': 500, 38: 500, 39: 500,
  '3B': 500, 40: 500, 53400: 500, 53: 503, 54: 500, 55: 500, 57: 500, 58: 500, F0: 500, HV: 500, P0001: 400, P0: 500, XX: 500, 42883: 404, '42P01': 404, '42P17': 500 };

class Refusal extends Error {
  constructor(status, body, headers = {}) {
    super(body.message);
    Object.assign(this, { status, body: { code: null, details: null, hint: null, message: '', ...body }, headers });
  }
}

function ofDatabase(error, role, anonymous) {
  if (error.code === 'PGRST') {
    const { status, headers } = JSON.parse(error.detail);
    return new Refusal(status, JSON.parse(error.message), headers);
  }
  const own = /^PT(\d{3})$/.exec(error.code)?.[1];
  const status = own ?? (error.code === '42501' ? (role === anonymous ? 401 : 403) : statuses[error.code] ?? statuses[error.code.slice(0, 2)] ?? 400);
  return new Refusal(Number(status), { code: error.code, details: error.detail ?? null, hint: error.hint ?? null, message: error.message });
}

export class PostgrestFront {
  /** user: the role that it connects as; schemas: those exposed, the first is the default. */
  static async start(cluster, { user, database = 'chat', secret, schemas = ['public', 'chat'], anonymous = 'anon', preRequest = 'chat.pre_request' }) {
    const front = new PostgrestFront();
    Object.assign(front, { secret, schemas, anonymous, preRequest, requests: [] });
    front.pool = new pg.Pool({ connectionString: cluster.url({ user, database }), max: 8, types: { getTypeParser: () => String } });
    front.pool.on('error', () => {});
    front.functions = await front.readFunctions();
    front.listener = await new Listener((request, response) => front.take(request, response)).up();
    return front;
  }

  get url() {
    return this.listener.url;
  }

  async close() {
    await this.listener.down();
    await this.pool.end();
  }

  /** The schema cache: what can be called, with arguments in order. */
  async readFunctions() {
    const { rows } = await this.pool.query({ text: `
      SELECT to_jsonb(f) FROM (SELECT n.nspname AS schema, p.proname AS name, p.provolatile = 'v' AS volatile, p.proretset AS set, p.prorettype = 'void'::regtype AS void,
             t.typtype = 'c' OR p.proargmodes && '{o,t}' AS composite, p.pronargs - p.pronargdefaults AS required,
             ARRAY(SELECT jsonb_build_object('name', COALESCE(p.proargnames[k], ''), 'type', format_type(a, NULL)) FROM unnest(p.proargtypes) WITH ORDINALITY u (a, k) ORDER BY k) AS args
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type t ON t.oid = p.prorettype
       WHERE n.nspname = ANY ($1) AND p.prokind = 'f') f`, values: [this.schemas], rowMode: 'array' });
    return rows.map(([text]) => JSON.parse(text));
  }

  /** Role and claims of the request's token. */
  identify({ authorization }) {
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
    if (!token) return { role: this.anonymous, claims: { role: this.anonymous } };
    const [head, body, signature] = token.split('.');
    const expected = createHmac('sha256', this.secret).update(`${head}.${body}`).digest();
    const given = Buffer.from(signature ?? '', 'base64url');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new Refusal(401, { code: 'PGRST301', message: 'No suitable key or wrong key type' }, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    }
    const claims = JSON.parse(Buffer.from(body, 'base64url'));
    if (claims.exp < Date.now() / 1000) throw new Refusal(401, { code: 'PGRST303', message: 'JWT expired' }, { 'WWW-Authenticate': 'Bearer error="invalid_token"' });
    return { role: claims.role ?? this.anonymous, claims };
  }

  /** The one function that has all of the names given, and all that it needs. */
  find(schema, name, given) {
    const fits = this.functions.filter((f) => f.schema === schema && f.name === name
      && given.every((key) => f.args.some((arg) => arg.name === key)) && f.args.slice(0, f.required).every((arg) => given.includes(arg.name)));
    if (fits.length === 1) return fits[0];
    if (fits.length > 1) throw new Refusal(300, { code: 'PGRST203', message: `Could not choose the best candidate function between ${name}` });
    throw new Refusal(404, { code: 'PGRST202', message: `Could not find the function ${schema}.${name}(${given.join(', ')}) in the schema cache` });
  }

  async take(request, response) {
    const url = new URL(request.url, this.url);
    const path = url.pathname.replace(/^\/rest\/v1/, ''); // the gateway's part
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== 'cookie'));
    let answer;
    try {
      answer = await this.run(request.method, path, url.searchParams, headers, await readBody(request));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = { status: error.status, headers: error.headers, body: JSON.stringify(error.body) };
    }
    this.requests.push({ method: request.method, path, status: answer.status });
    response.writeHead(answer.status, { 'Content-Type': 'application/json; charset=utf-8', ...answer.headers });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  }

  async run(method, path, query, headers, body) {
    const { role, claims } = this.identify(headers);
    const reads = method === 'GET' || method === 'HEAD';
    const schema = headers[reads ? 'accept-profile' : 'content-profile'] ?? this.schemas[0];
    if (!this.schemas.includes(schema)) throw new Refusal(406, { code: 'PGRST106', message: `Invalid schema: ${schema}` });
    const name = /^\/rpc\/(.+)$/.exec(path)?.[1];
    if (!name || !(reads || method === 'POST')) throw new Refusal(405, { code: 'PGRST101', message: 'Only GET and POST verbs are allowed' });
    let args;
    try {
      args = reads ? Object.fromEntries(query) : JSON.parse(body || '{}');
    } catch {
      throw new Refusal(400, { code: 'PGRST102', message: 'Empty or invalid json' });
    }
    const fn = this.find(schema, decodeURIComponent(name), Object.keys(args));
    const settings = {
      search_path: [schema, 'public'].map(quote).join(', '), role, 'request.jwt.claims': JSON.stringify(claims), 'request.method': method, 'request.path': path,
      'request.headers': JSON.stringify(headers), 'request.cookies': '{}',
    };
    const client = await this.pool.connect();
    try {
      const answer = await this.transaction(client, fn, reads || !fn.volatile, settings, reads ? JSON.stringify(args) : body || '{}', Object.keys(args));
      await client.query('COMMIT');
      return answer;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error instanceof pg.DatabaseError ? ofDatabase(error, role, this.anonymous) : error;
    } finally {
      client.release();
    }
  }

  async transaction(client, fn, readOnly, settings, json, given) {
    await client.query(`BEGIN ISOLATION LEVEL READ COMMITTED ${readOnly ? 'READ ONLY' : 'READ WRITE'}`);
    const names = Object.keys(settings);
    await client.query({ text: `SELECT ${names.map((n, i) => `set_config('${n}', $${i + 1}, true)`).join(', ')}`, values: Object.values(settings) });
    await client.query(`SELECT ${this.preRequest}()`);
    const columns = fn.args.filter((arg) => given.includes(arg.name));
    const call = `${quote(fn.schema)}.${quote(fn.name)}(${columns.map((arg) => `${quote(arg.name)} := pgrst_args.${quote(arg.name)}`).join(', ')})`;
    const args = columns.length
      ? `pgrst_payload AS (SELECT $1::json AS json_data), pgrst_args AS (SELECT _.* FROM pgrst_payload, json_to_record(json_data) AS _(${columns.map((arg) => `${quote(arg.name)} ${arg.type}`).join(', ')}))`
      : 'pgrst_args AS (SELECT WHERE $1::text IS NOT NULL)';
    const rows = fn.set || fn.composite;
    const { rows: [[body, headers, status]] } = await client.query({
      text: `WITH ${args}, pgrst_source AS (SELECT ${rows ? 'pgrst_call.*' : 'pgrst_call.pgrst_scalar'} FROM pgrst_args, LATERAL ${rows ? `${call} pgrst_call` : `(SELECT ${call} AS pgrst_scalar) pgrst_call`})
        SELECT coalesce((json_agg(_postgrest_t${rows ? '' : '.pgrst_scalar'})${fn.set ? '' : '->0'})::text, '${fn.set ? '[]' : 'null'}'),
               nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '') FROM pgrst_source _postgrest_t`,
      values: [json], rowMode: 'array',
    });
    return { status: Number(status ?? (fn.void ? 204 : 200)), headers: Object.assign({}, ...JSON.parse(headers ?? '[]')), body: fn.void ? undefined : body };
  }
}
