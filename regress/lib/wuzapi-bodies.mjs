// Every body of fixtures/wuzapi, those of the cases one by one.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './workspace.mjs';

const dir = path.join(root, 'regress/fixtures/wuzapi');
const filesOf = (folder) => readdirSync(folder).filter((name) => name.endsWith('.json')).sort();
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));

/** Bodies of the cases in the order of their arrival: [{name, body}]. */
export const caseBodies = () => filesOf(path.join(dir, 'cases')).flatMap((name) =>
  read(path.join(dir, 'cases', name)).map((body, n) => ({ name: `${name.replace('.json', '')}-${n + 1}.json`, body })));

/** The same with all other fixtures in front. */
export const wuzapiBodies = () => [...filesOf(dir).map((name) => ({ name, body: read(path.join(dir, name)) })), ...caseBodies()];
