// A test bed: cluster, database "chat" with the extension set up, one owner, and the sidecar's role.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Subscriber } from './client.mjs';
import { Cluster } from './cluster.mjs';
import { connect, pool, rows, value } from './db.mjs';
import { Receiver } from './receiver.mjs';
import { Sidecar } from './sidecar.mjs';
import { root } from './workspace.mjs';

export class Bed {
  /**
   * shared: the workspace, of this run unless given. before: SQL to be run in the database while it is empty.
   * version: of the extension, the newest unless given.
   */
  static async create({ settings = {}, owner = randomUUID(), shared, before, version } = {}) {
    const bed = new Bed();
    bed.owner = owner;
    bed.closing = [];
    bed.cluster = await Cluster.create(settings, undefined, shared);
    bed.closing.push(() => bed.cluster.remove());
    await bed.cluster.psql('CREATE DATABASE chat');
    bed.db = await bed.connect();
    if (before) await bed.db.query(before);
    await bed.db.query(`CREATE EXTENSION chat_realtime${version ? ` VERSION '${version}'` : ''}`);
    bed.setup = await rows(bed.db, 'SELECT * FROM chat.setup()');
    await bed.role('chat_sidecar', 'grant_sidecar');
    return bed;
  }

  /** A login role with one of the extension's sets of rights. */
  async role(name, grant) {
    await this.db.query(`CREATE ROLE ${name} LOGIN PASSWORD '${this.cluster.password}'`);
    await this.db.query(`SELECT chat.${grant}($1)`, [name]);
  }

  async connect(options) {
    const client = await connect(this.cluster, options);
    this.closing.push(() => client.end().catch(() => {}));
    return client;
  }

  /** Several connections, for what is done at the same time. */
  pool(options) {
    const connections = pool(this.cluster, options);
    this.closing.push(() => connections.end().catch(() => {}));
    return connections;
  }

  /** Connects again after a restart of the server. */
  async reconnect() {
    await this.db.end().catch(() => {});
    this.db = await this.connect();
  }

  async sidecar(env, options) {
    const sidecar = await Sidecar.start(this.cluster, env, options);
    this.closing.push(() => sidecar.running && sidecar.kill());
    return sidecar;
  }

  async subscriber(sidecar, { user = this.owner, ...options } = {}) {
    const subscriber = new Subscriber({ url: sidecar.url, key: sidecar.anonKey, token: sidecar.token(user), ...options });
    this.closing.push(() => subscriber.close());
    return subscriber;
  }

  /** A receiver, and the webhook of the owner that points to it. */
  async receiver(events, { owner = this.owner } = {}) {
    const receiver = await Receiver.start();
    this.closing.push(() => receiver.down());
    const webhook = await value(this.db, 'SELECT chat.create_webhook($1, $2, $3)', [owner, receiver.url, events]);
    receiver.secret = webhook.secret;
    receiver.webhook = webhook;
    return receiver;
  }

  async conversation(name = 'Ana', jid = `${5511900000000 + Math.floor(Math.random() * 1e8)}@s.whatsapp.net`) {
    return value(this.db, 'INSERT INTO public.conversations (user_id, contact_jid, contact_name) VALUES ($1, $2, $3) RETURNING id',
      [this.owner, jid, name]);
  }

  async message(conversation, content, direction = 'incoming') {
    return value(this.db, `INSERT INTO public.chat_messages (conversation_id, content, direction) VALUES ($1, $2, $3) RETURNING id`,
      [conversation, content, direction]);
  }

  /** What WUZAPI sent, given to the extension. */
  async ingest(payload) {
    return value(this.db, 'SELECT chat.ingest_wuzapi($1, $2)', [this.owner, payload]);
  }

  /** Closes everything, last opened first. */
  async close() {
    for (const close of this.closing.reverse()) await close();
    this.closing = [];
  }
}

export function fixture(name) {
  return JSON.parse(readFileSync(path.join(root, 'regress/fixtures/wuzapi', name), 'utf8'));
}
