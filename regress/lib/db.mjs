// Connections of the tests to a cluster (node-postgres).
import pg from 'pg';

// bigint as number: ids in the tests are small.
pg.types.setTypeParser(20, Number);

const target = (cluster, { database = 'chat', user = 'postgres' } = {}) =>
  ({ connectionString: cluster.url({ user, database }), application_name: 'test' });

export async function connect(cluster, options) {
  const client = new pg.Client(target(cluster, options));
  client.on('error', () => {}); // a lost connection shows at the next query
  await client.connect();
  return client;
}

export function pool(cluster, options) {
  const connections = new pg.Pool({ ...target(cluster, options), max: 4 });
  connections.on('error', () => {}); // as above
  return connections;
}

/** First column of the first row. */
export async function value(client, sql, params) {
  const { rows } = await client.query({ text: sql, values: params, rowMode: 'array' });
  return rows[0]?.[0];
}

export async function rows(client, sql, params) {
  return (await client.query(sql, params)).rows;
}
