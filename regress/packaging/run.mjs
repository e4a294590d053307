// Runs the build steps of packaging's Dockerfiles in unpacked Debians, and what comes out of them: no container engine is
// needed. For root only.
//
//   node regress/packaging/run.mjs [images] [packages]        both unless named
//
// An image debian:N-slim is what debootstrap makes of that release, once, in a cache folder (CHAT_REALTIME_CACHE); postgres:N
// and supabase/postgres:N are that with Debian's own server N in it. Each stage is a copy, entered by chroot.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Bed } from '../lib/bed.mjs';
import { addDirectory, finish } from '../lib/janitor.mjs';
import { freePort } from '../lib/ports.mjs';
import { runProgram } from '../lib/program.mjs';
import { Sidecar } from '../lib/sidecar.mjs';
import { until } from '../lib/wait.mjs';
import { make, root } from '../lib/workspace.mjs';
import { expand, stages } from './dockerfile.mjs';

const cache = process.env.CHAT_REALTIME_CACHE ?? '/var/cache/chat_realtime';
const releases = { 12: 'bookworm', 13: 'trixie' };
const releaseOfServer = { 15: 'bookworm', 17: 'trixie' };
let passed = 0;
let failed = 0;

/** A command of this machine's in an unpacked Debian; mounts and processes end with it. */
const entering = (dir, user, command) => ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--',
  path.join(root, 'regress/matrix/enter'), dir, user, ...command];

function enter(dir, command, { user = '0:0' } = {}) {
  const [program, ...args] = entering(dir, user, command);
  return runProgram(program, args);
}

/** An unpacked Debian release, made once. */
async function release(suite) {
  const dir = path.join(cache, `minimal-${suite}`);
  await runProgram(path.join(root, 'regress/matrix/unpack'), [suite, dir]);
  return dir;
}

/** A copy of what an image's name stands for. */
async function base(image, dir) {
  const [, name, major] = /^([\w/]+):(\d+)/.exec(image);
  await runProgram('cp', ['-a', '--reflink=auto', await release(name === 'debian' ? releases[major] : releaseOfServer[major]), dir]);
  writeFileSync(path.join(dir, 'etc/apt/apt.conf.d/10host'), execFileSync('apt-config', ['dump', 'Acquire'])); // proxies, for one
  writeFileSync(path.join(dir, 'etc/resolv.conf'), readFileSync('/etc/resolv.conf'));
  writeFileSync(path.join(dir, 'etc/dpkg/dpkg.cfg.d/fast'), 'force-unsafe-io\n');
  if (name === 'debian') return;
  writeFileSync(path.join(dir, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  mkdirSync(path.join(dir, 'etc/postgresql-common/createcluster.d'), { recursive: true });
  writeFileSync(path.join(dir, 'etc/postgresql-common/createcluster.d/none.conf'), 'create_main_cluster = false\n');
  await enter(dir, ['sh', '-c', `apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql-${major}`]);
  if (name !== 'supabase/postgres') return;
  // Its programs where Supabase's image has them.
  symlinkSync(`/usr/lib/postgresql/${major}/bin`, path.join(dir, 'usr/lib/postgresql/bin'));
  symlinkSync(`/usr/lib/postgresql/${major}/bin/postgres`, path.join(dir, 'usr/bin/postgres'));
  mkdirSync(path.join(dir, 'etc/postgresql'), { recursive: true });
  writeFileSync(path.join(dir, 'etc/postgresql/postgresql.conf'), `shared_preload_libraries = 'pg_stat_statements'\n`);
}

/** What would be sent to an engine: the source tree without what .dockerignore names. */
async function buildContext(dir) {
  mkdirSync(dir);
  const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n').filter(Boolean)
    .map((pattern) => `--exclude=${pattern.startsWith('**/') ? pattern.slice(3) : `./${pattern}`}`);
  await runProgram('sh', ['-c', 'tree=$1; to=$2; shift 2; tar -C "$tree" "$@" -cf - . | tar -C "$to" -xf -', 'sh', root, dir, ...ignored]);
}

async function copy(stage, text, built, context) {
  const words = text.split(/\s+/);
  const from = /^--from=(.*)/.exec(words[0])?.[1];
  if (from) words.shift();
  const source = from ? built.find(({ name }) => name === from).dir : context;
  const target = path.join(stage.dir, path.resolve(stage.workdir, words.at(-1)));
  for (const word of words.slice(0, -1)) {
    const to = words.length > 2 || /\/$|^\.$/.test(words.at(-1)) ? `${target}/` : target;
    mkdirSync(to.endsWith('/') ? to : path.dirname(to), { recursive: true });
    const what = path.join(source, word);
    // Of a folder the content is copied.
    await runProgram('sh', ['-c', 'if [ -d "$1" ]; then cp -a "$1/." "$2"; else cp -a "$1" "$2"; fi; chown -R 0:0 "$2"', 'sh', what, to]);
  }
}

const step = {
  ARG: (stage, text) => {
    const [name, value] = text.split('=');
    stage.env[name] = stage.args[name] ?? value;
  },
  ENV: (stage, text) => {
    for (const [, name, value] of text.matchAll(/(\w+)=(\S+)/g)) stage.env[name] = value;
  },
  WORKDIR: (stage, text) => {
    stage.workdir = text;
    mkdirSync(path.join(stage.dir, text), { recursive: true });
  },
  COPY: copy,
  RUN: (stage, text) => {
    const command = text.startsWith('[') ? JSON.parse(text) : ['sh', '-c', `cd ${stage.workdir} && ${text}`];
    return enter(stage.dir, [...Object.entries(stage.env).map(([name, value]) => `${name}=${value}`), ...command]);
  },
  USER: (stage, text) => { stage.user = text; },
  HEALTHCHECK: (stage, text) => { stage.health = /CMD (.*)/.exec(text)[1]; },
  ENTRYPOINT: (stage, text) => { stage.entrypoint = JSON.parse(text); },
  EXPOSE: () => {},
};

/** Builds an image; what its last stage came to: {dir, env, user, health, entrypoint}. */
async function build(work, dockerfile, args) {
  const built = [];
  const context = path.join(work, 'context');
  if (!existsSync(context)) await buildContext(context);
  for (const stage of stages(path.join(root, 'packaging', dockerfile), args)) {
    Object.assign(stage, { dir: path.join(work, `${dockerfile.replace('/', '-')}-${Object.values(args).join('-')}-${built.length}`), env: {}, workdir: '/', user: '0:0' });
    await base(stage.from, stage.dir);
    for (const { name, text } of stage.steps) await step[name](stage, expand(text, stage.env), built, context);
    built.push(stage);
  }
  return built.at(-1);
}

async function check(name, body) {
  const start = Date.now();
  try {
    await body();
    passed++;
    console.log(`ok     ${name.padEnd(72)} ${Date.now() - start} ms`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${name}\n${`${error.stdout ?? ''}\n${error.stack}`.slice(-4000).replace(/^/gm, '         ')}`);
  }
}

/** The sidecar as the image starts it: process 1, its user, its health check; it delivers, and ends when told to. */
async function runSidecar(image, { health = true } = {}) {
  const bed = await Bed.create();
  try {
    const sidecar = new Sidecar();
    const port = await freePort();
    const env = { ...image.env, HTTP_LISTEN: `0.0.0.0:${port}`, EMBEDDED_LISTEN: `0.0.0.0:${await freePort()}`,
      DATABASE_URL: bed.cluster.url({ user: 'chat_sidecar', database: 'chat' }) };
    const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    Object.assign(sidecar, { env: { HTTP_LISTEN: `127.0.0.1:${port}` }, command: entering(image.dir, image.user, [...assignments, ...image.entrypoint]) });
    sidecar.run();
    await sidecar.ready();
    const healthy = () => health && enter(image.dir, [...assignments, 'sh', '-c', image.health], { user: image.user });
    await healthy();
    await bed.message(await bed.conversation(), 'oi');
    await until(async () => await sidecar.metric('chat_realtime_broadcasts_total', 'result="ok"') > 0, 'a delivery', 20000);
    const inside = readFileSync(`/proc/${sidecar.child.pid}/task/${sidecar.child.pid}/children`, 'utf8').trim();
    const status = readFileSync(`/proc/${inside}/status`, 'utf8');
    if (!new RegExp(`^Uid:\\s${image.user.split(':')[0]}\\s`, 'm').test(status)) throw new Error(`it runs as another user:\n${status}`);
    process.kill(Number(inside), 'SIGTERM');
    const end = await sidecar.exited;
    if (end.code !== 0) throw new Error(`SIGTERM: it ended with ${JSON.stringify(end)}`);
    if (health && await healthy().then(() => true, () => false)) throw new Error('healthy, and not running');
  } finally {
    await bed.close();
  }
}

/** The server of the image, with the extension in it. */
async function runServer(image, major) {
  const bin = `/usr/lib/postgresql/${major}/bin`;
  const settings = readFileSync(path.join(image.dir, 'etc/postgresql/postgresql.conf'), 'utf8');
  const said = await enter(image.dir, ['su', 'postgres', '-s', '/bin/sh', '-c', `set -e
    ${bin}/initdb -D /tmp/data --encoding=UTF8 --locale=C.UTF-8 -A trust >/dev/null
    ${bin}/pg_ctl -D /tmp/data -w -o "-c listen_addresses= -k /tmp -c ${settings.trim().replace(/ = /, '=').replaceAll("'", "\\'").replace(/\\'(.*)\\'/, "'$1'")}" start >/dev/null
    ${bin}/psql -h /tmp -At -v ON_ERROR_STOP=1 postgres -c "CREATE EXTENSION chat_realtime" -c "SELECT count(*) > 10 FROM chat.setup()" \\
      -c "SELECT allowed FROM chat.check_rate_limit('x', 1, '60 s')"
    ${bin}/pg_ctl -D /tmp/data -m fast stop >/dev/null`]);
  if (said.trim() !== 'CREATE EXTENSION\nt\nt') throw new Error(said);
}

/** Debian packages of this tree, built in an unpacked Debian; their files in it. */
async function buildPackages(image, major) {
  await enter(image, ['sh', '-c', `DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends build-essential debhelper fakeroot git help2man lintian pkg-config \
    libcurl4-openssl-dev libjansson-dev libpq-dev libssl-dev libuv1-dev libwebsockets-dev libwebsockets-evlib-uv postgresql-server-dev-${major}`]);
  await buildContext(path.join(image, 'src'));
  const files = (await enter(image, ['sh', '-c', 'cd /src && make deb'])).trim().split('\n');
  const said = await enter(image, ['sh', '-c', `lintian --allow-root --fail-on error,warning /src/packages/*.deb 2>&1`]);
  if (said.trim() && !/root privileges/.test(said)) throw new Error(said);
  return files.map((file) => file.replace(/^.*\/packages\//, '/src/packages/'));
}

/** The packages on a machine with nothing but the server: installed, used, replaced by later ones, removed. */
async function installPackages(dir, from, files, major) {
  for (const file of files) await runProgram('cp', [path.join(from, file), path.join(dir, 'tmp')]);
  const names = files.map((file) => `/tmp/${path.basename(file)}`);
  await enter(dir, ['sh', '-c', `DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ${names.join(' ')}`]);
  mkdirSync(path.join(dir, 'etc/postgresql'), { recursive: true });
  writeFileSync(path.join(dir, 'etc/postgresql/postgresql.conf'), `shared_preload_libraries = 'chat_realtime'\n`);
  await runServer({ dir }, major);
  const ids = (await enter(dir, ['sh', '-c', 'id -u chat-sidecar; id -g chat-sidecar'])).trim().split('\n').join(':');
  await runSidecar({ dir, user: ids, env: {}, entrypoint: ['/usr/bin/chat-sidecar'] }, { health: false });
  mkdirSync(path.join(dir, 'etc/chat_realtime'), { recursive: true });
  writeFileSync(path.join(dir, 'etc/chat_realtime/sidecar.env'), 'DATABASE_URL=postgresql:///\n');
  // The same with a later version.
  await enter(dir, ['sh', '-c', `set -e
    for deb in ${names.join(' ')}; do
      dpkg-deb -R $deb /tmp/later && sed -i 's/^Version: .*/&.1/' /tmp/later/DEBIAN/control && dpkg-deb -b /tmp/later /tmp/later.deb >/dev/null && dpkg -i /tmp/later.deb && rm -r /tmp/later
    done
    test -s /etc/chat_realtime/sidecar.env && chat-sidecar --version
    DEBIAN_FRONTEND=noninteractive apt-get purge -y -q chat-realtime-sidecar postgresql-${major}-chat-realtime
    test -s /etc/chat_realtime/sidecar.env # its owner's, with a password in it
    ! find /usr /lib/systemd /etc/systemd -name '*chat?sidecar*' -o -name 'chat_realtime*' -o -name 'chat-realtime*' | grep . >&2`]);
}

if (process.getuid() !== 0) {
  console.error('test-packaging: only root can enter another Debian (chroot)');
  process.exit(1);
}
const wants = (part) => process.argv.length === 2 || process.argv.includes(part);
await make('all');
const work = path.join(cache, `packaging.${process.pid}`);
mkdirSync(work, { recursive: true });
addDirectory(work);
for (const debian of wants('images') ? ['12', '13'] : []) {
  let image;
  await check(`the sidecar's image is built on Debian ${debian}`, async () => { image = await build(work, 'container/Dockerfile', { DEBIAN: debian }); });
  if (image) await check('… runs as its user, is healthy, delivers, and ends with 0 at SIGTERM', () => runSidecar(image));
}
for (const major of wants('images') ? ['15', '17'] : []) {
  let image;
  await check(`the extension is built for supabase/postgres ${major} and put in`, async () => {
    image = await build(work, 'supabase/Dockerfile', { POSTGRES_MAJOR: major, SUPABASE_POSTGRES: `${major}.0` });
  });
  if (image) await check('… its server makes the extension and sets it up', () => runServer(image, major));
}
for (const major of wants('packages') ? ['15', '17'] : []) {
  const [builder, user] = ['builder', 'user'].map((what) => path.join(work, `${what}-${major}`));
  let files;
  await check(`Debian packages are built for PostgreSQL ${major}, and lintian finds nothing`, async () => {
    await base(`postgres:${major}`, builder);
    files = await buildPackages(builder, major);
  });
  if (files) await check('… are installed, serve, are replaced by later ones, and leave nothing when they are purged', async () => {
    await base(`postgres:${major}`, user);
    await installPackages(user, builder, files, major);
  });
}
await finish();
rmSync(work, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
