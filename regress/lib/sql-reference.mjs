// docs/sql.md: the functions that people call, by what they are for, as COMMENT ON tells of them.
import { rows } from './db.mjs';

const groups = [
  ['Setting up', ['setup', 'setup_plan', 'attach', 'attach_plan', 'detach', 'configure', 'recount']],
  ['Roles', ['grant_sidecar', 'grant_endpoint', 'grant_backend', 'grant_admin']],
  ['In operation', ['status', 'hints', 'maintain', 'set_consumer', 'set_rollout', 'set_provider', 'realtime_provider', 'api_stats']],
];

/** Markdown. Functions for backends and users are those that chat.grant_backend gives; each must be told of. */
export async function reference(db) {
  const named = groups.flatMap(([, names]) => names);
  const all = await rows(db, `
    SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
           obj_description(p.oid, 'pg_proc') AS comment, p.proname = ANY (chat.backend_functions()) AS backend
      FROM pg_proc p WHERE p.pronamespace = 'chat'::regnamespace AND (p.proname = ANY ($1) OR p.proname = ANY (chat.backend_functions()))
     ORDER BY p.proname, p.pronargs, 2`, [named]);
  const group = (title, fits) => [`## ${title}\n`, ...all.filter(fits).map(({ name, arguments: args, result, comment }) =>
    `### ${name}\n\n    chat.${name}(${args}) → ${result}\n\n${comment}\n`)].join('\n');
  return ['# Functions\n', 'Made from the comments of the functions in the database (`\\df+ chat.*` in psql). Ids are texts, results of the API are JSON in camelCase; `owner` NULL is the caller, and for a service caller',
    'no check. What else there is in schema `chat` is called by these, by triggers and by the sidecar.\n',
    ...groups.map(([title, names]) => group(title, (f) => names.includes(f.name))),
    group('For backends and users', (f) => f.backend && !named.includes(f.name))].join('\n').replace(/[ \t]+$/gm, '');
}
