// Everything that an extension has put into a database, as text that can be compared: what it is made of, what it
// says, who may use it, and what a dump takes of it. Columns of tables are told by name, not by place.
import { rows } from './db.mjs';

const member = (catalog, id) => `EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${id}
  AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'chat_realtime') AND d.deptype = 'e')`;
/** A relation of the extension, whether it is one by itself or as the sequence of another's column. */
const relation = `(c.relnamespace = 'chat'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v', 'c'))`;

const parts = {
  members: `SELECT pg_describe_object(d.classid, d.objid, d.objsubid), d.classid::regclass::text FROM pg_depend d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'chat_realtime')`,
  dumped: `SELECT t.config::regclass::text, t.condition FROM pg_extension e, unnest(e.extconfig, e.extcondition) t(config, condition)
    WHERE e.extname = 'chat_realtime'`,
  functions: `SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc'), p.proacl::text, p.probin,
      (SELECT i.initprivs::text FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid)
    FROM pg_proc p WHERE ${member('pg_proc', 'p.oid')}`,
  relations: `SELECT c.oid::regclass::text, c.relkind::text, c.reloptions::text, c.relreplident::text, c.relacl::text, c.relrowsecurity::text,
      obj_description(c.oid, 'pg_class'), pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
      (SELECT i.initprivs::text FROM pg_init_privs i WHERE i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0)
    FROM pg_class c WHERE ${relation}`,
  columns: `SELECT c.oid::regclass || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text, a.attidentity::text,
      a.attgenerated::text, a.attcollation::regcollation::text, a.attacl::text, col_description(c.oid, a.attnum), pg_get_expr(d.adbin, c.oid),
      CASE WHEN c.relkind = 'c' THEN a.attnum::text END
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE ${relation} AND a.attnum > 0 AND NOT a.attisdropped`,
  views: `SELECT c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c WHERE ${relation} AND c.relkind = 'v'`,
  sequences: `SELECT s.seqrelid::regclass::text, s.seqtypid::regtype::text, concat_ws(' ', s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE ${relation}`,
  constraints: `SELECT c.oid::regclass || '.' || k.conname, pg_get_constraintdef(k.oid), k.convalidated::text
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE ${relation}`,
  indexes: `SELECT pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class'), concat_ws(' ', i.indisprimary, i.indisvalid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE ${relation}`,
  triggers: `SELECT pg_get_triggerdef(t.oid), t.tgenabled::text, obj_description(t.oid, 'pg_trigger')
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE ${relation} AND NOT t.tgisinternal`,
  'event triggers': `SELECT e.evtname, e.evtevent, e.evtfoid::regprocedure::text, e.evttags::text, e.evtenabled::text, obj_description(e.oid, 'pg_event_trigger')
    FROM pg_event_trigger e WHERE ${member('pg_event_trigger', 'e.oid')}`,
  types: `SELECT t.oid::regtype::text, t.typtype::text, obj_description(t.oid, 'pg_type') FROM pg_type t WHERE ${member('pg_type', 't.oid')}`,
  policies: `SELECT c.oid::regclass || '.' || p.polname, p.polcmd::text, pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE ${relation}`,
  schema: `SELECT n.nspname, n.nspacl::text, obj_description(n.oid, 'pg_namespace') FROM pg_namespace n WHERE n.nspname = 'chat'`,
};

/** part: name of an object → what it is, in lines. */
export async function catalog(db) {
  const result = {};
  for (const [part, statement] of Object.entries(parts)) {
    const found = await rows(db, { text: statement, rowMode: 'array' });
    result[part] = Object.fromEntries(found.map(([name, ...rest]) => [name, rest.map((text) => text ?? '-')]).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return result;
}

/** What two catalogs do not have in common, a line for each object; none: they are equal. */
export function differences(one, other) {
  const lines = [];
  for (const part of Object.keys(parts)) {
    for (const name of new Set([...Object.keys(one[part]), ...Object.keys(other[part])])) {
      const [a, b] = [one[part][name], other[part][name]];
      if (!a || !b) lines.push(`${part}: ${name}: only in the ${a ? 'first' : 'second'}`);
      else if (JSON.stringify(a) !== JSON.stringify(b)) {
        a.forEach((text, i) => text !== b[i] && lines.push(`${part}: ${name}:\n    ${text}\n    ${b[i]}`));
      }
    }
  }
  return lines;
}
