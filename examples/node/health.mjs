// For whoever watches the process: does it live, and can it serve?
const asks = 1_000; // ms for which one answer of the database serves all who ask

/** /healthz: the process answers. /readyz: the database does, too, and may be asked what the routes ask. */
export function addHealth(app, db) {
  let at = -Infinity;
  let answer;
  const ready = () => {
    if (performance.now() - at > asks) {
      at = performance.now();
      answer = db.query({
        name: 'ready', text: `SELECT has_function_privilege('chat.authenticate(text, text)', 'EXECUTE') AS ready`,
      }).then(({ rows }) => rows[0].ready, () => false);
    }
    return answer;
  };
  app.get('/healthz', (req, res) => res.json({ status: 'ok' }));
  app.get('/readyz', async (req, res) => {
    const yes = await ready();
    res.status(yes ? 200 : 503).json({ status: yes ? 'ok' : 'unavailable' });
  });
}
