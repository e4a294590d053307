// Stands in for the side of Supabase Realtime that the database sees: the table realtime.messages with a partition a day, and
// a connection that streams it from a temporary slot (pgoutput) and confirms what it has.
import pg from 'pg';
import { until } from './wait.mjs';

const slot = 'supabase_realtime_messages_replication_slot_';
const publication = 'supabase_realtime_messages_publication';

/** What Realtime has made in a database, as far as a publisher meets it. */
export const schema = `
  CREATE SCHEMA realtime;
  CREATE TABLE realtime.messages (
    topic text NOT NULL, extension text NOT NULL, payload jsonb, event text, private boolean DEFAULT false,
    updated_at timestamp NOT NULL DEFAULT now(), inserted_at timestamp NOT NULL DEFAULT now(),
    id uuid NOT NULL DEFAULT gen_random_uuid(), PRIMARY KEY (id, inserted_at)
  ) PARTITION BY RANGE (inserted_at);
  ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
  DO $$
  BEGIN
    FOR day IN -1..3 LOOP
      EXECUTE format('CREATE TABLE realtime.%I PARTITION OF realtime.messages FOR VALUES FROM (%L) TO (%L)',
        to_char((now() AT TIME ZONE 'UTC')::date + day, '"messages_"YYYY_MM_DD'),
        (now() AT TIME ZONE 'UTC')::date + day, (now() AT TIME ZONE 'UTC')::date + day + 1);
    END LOOP;
  END
  $$;
  CREATE PUBLICATION ${publication} FOR TABLE realtime.messages;`;

/** Reads big-endian numbers and texts that end in a zero, one after the other. */
class Cursor {
  constructor(bytes) {
    Object.assign(this, { bytes, at: 0 });
  }

  byte() {
    return String.fromCharCode(this.bytes[this.at++]);
  }

  number(size) {
    const value = this.bytes.readUIntBE(this.at, size);
    this.at += size;
    return value;
  }

  text() {
    const end = this.bytes.indexOf(0, this.at);
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  sized() {
    const end = this.number(4) + this.at;
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end;
    return text;
  }
}

/** The event's id in a row's. */
export const eventId = (uuid) => BigInt(`0x${uuid.slice(-12)}`).toString();

export class StreamingRealtime {
  /** confirms: whether it tells the server what it has. kept: the slot does not end with the connection, which takes over one that is there. */
  constructor(cluster, { suffix = 'test', database = 'chat', kept = false } = {}) {
    Object.assign(this, { cluster, suffix, database, kept, confirms: true, received: [] });
  }

  get slot() {
    return `${slot}${this.suffix}`;
  }

  /** Makes a slot and streams from it: what commits from here on arrives. */
  async connect() {
    const client = new pg.Client({ connectionString: this.cluster.url({ user: 'postgres', database: this.database }), replication: 'database' });
    client.on('error', () => {});
    await client.connect();
    this.ended = new Promise((resolve) => client.once('end', resolve));
    this.client = client;
    const slots = (more = '') => client.query(`SELECT FROM pg_replication_slots WHERE slot_name = '${this.slot}'${more}`);
    // The server may learn of the end of a connection only now, and its slot is taken so long.
    await until(async () => (await slots(' AND active')).rowCount === 0, 'the slot to be free', 20000);
    const there = await slots();
    if (!there.rowCount) await client.query(`CREATE_REPLICATION_SLOT ${this.slot} ${this.kept ? '' : 'TEMPORARY'} LOGICAL pgoutput NOEXPORT_SNAPSHOT`);
    this.relations = new Map();
    client.connection.on('copyData', ({ chunk }) => this.take(new Cursor(chunk)));
    const streaming = new Promise((resolve) => client.connection.once('replicationStart', resolve));
    client.query(`START_REPLICATION SLOT ${this.slot} LOGICAL 0/0 (proto_version '2', publication_names '${publication}')`).catch(() => {});
    await streaming;
    return this;
  }

  take(message) {
    const kind = message.byte();
    if (kind === 'k') {
      const end = message.bytes.readBigUInt64BE(1);
      if (this.confirms) this.confirm(end + 1n);
    } else if (kind === 'w') {
      message.at += 24;
      this.change(message);
    }
  }

  confirm(place) {
    const status = Buffer.alloc(34);
    status.write('r');
    for (const at of [1, 9, 17]) status.writeBigUInt64BE(place, at);
    this.client.connection.sendCopyFromChunk(status);
  }

  change(message) {
    const kind = message.byte();
    if (kind === 'R') {
      const relation = message.number(4);
      message.text();
      message.text();
      message.at += 1;
      this.relations.set(relation, Array.from({ length: message.number(2) }, () => {
        message.at += 1;
        const name = message.text();
        message.at += 8;
        return name;
      }));
    } else if (kind === 'I') {
      const names = this.relations.get(message.number(4));
      message.at += 3;
      const row = {};
      for (const name of names) row[name] = message.byte() === 't' ? message.sized() : null;
      this.received.push({ ...row, id: eventId(row.id), uuid: row.id, payload: JSON.parse(row.payload) });
    }
  }

  /** The connection ends, and its slot with it. */
  async disconnect() {
    this.client.connection.stream.destroy();
    await this.ended;
  }
}
