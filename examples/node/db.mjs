// Connections to the database, and the one way in which they are used.
import pg from 'pg';

export function createDb(settings, log) {
  const pool = new pg.Pool(settings);
  pool.on('error', log); // an idle connection was lost: the pool makes a new one
  pool.on('connect', (client) => client.on('error', () => {})); // lost while it is used: its query says so

  return {
    end: () => pool.end(),
    /**
     * pool.query would throw the connection away at every error, also where it only says that input was bad. An error of the
     * driver's is another matter: values that it cannot write leave a prepared statement behind that is none.
     */
    async query(statement) {
      const client = await pool.connect();
      try {
        const result = await client.query(statement);
        client.release();
        return result;
      } catch (error) {
        client.release(!(error instanceof pg.DatabaseError));
        throw error;
      }
    },
  };
}
