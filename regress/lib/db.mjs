// Connections of the tests to a cluster (node-postgres).
import pg from 'pg';

// bigint as number: ids in the tests are small.
pg.types.setTypeParser(20, Number);

export async function connect(cluster, { database = 'chat', user = 'postgres' } = {}) {
  const client = new pg.Client({ connectionString: cluster.url({ user, database }), application_name: 'test' });
  client.on('error', () => {}); // a lost connection shows at the next query
  await client.connect();
  return client;
}

/** First column of the first row. */
export async function value(client, sql, params) {
  const { rows } = await client.query({ text: sql, values: params, rowMode: 'array' });
  return rows[0]?.[0];
}

export async function rows(client, sql, params) {
  return (await client.query(sql, params)).rows;
}
