// make demo: all of chat_realtime on a throw-away cluster, fed with what WUZAPI really sends.
//
//   node examples/demo/demo.mjs [once]
//
// Runs until Ctrl-C; with "once" it ends by itself, with 0 only if everything expected arrived. DEMO_PORT
// is the page's port. Whatever happens, lib/janitor.mjs ends what was started and removes its files.
const wantedNode = 20;

if (Number(process.versions.node.split('.')[0]) < wantedNode) {
  console.error(`demo: Node.js ${wantedNode} or later is needed, this is ${process.versions.node}`);
  process.exit(1);
}

const load = (module) => import(module).catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error(`demo: an npm package is missing, "make demo" installs it: ${error.message}`);
  process.exit(1);
});
const { finish } = await load('./lib/janitor.mjs');
const { explain, readArguments } = await load('./problems.mjs');
const { say } = await load('./terminal.mjs');
const { World } = await load('./world.mjs');
const { tellStory } = await load('./story.mjs');

let ending = false;

async function end(code) {
  ending = true;
  await finish();
  process.exit(code);
}

async function fail(error) {
  if (ending) return; // what fails now fails because it is being taken away
  console.error(`demo: ${explain(error)}`);
  await end(error.exitCode ?? 1);
}

// The janitor's own handlers do the work and end this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    ending = true;
    say('\nEnding: the cluster, the sidecar and their files are removed.');
  });
}
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

try {
  const { once, port } = readArguments(process.argv.slice(2), process.env);
  const world = await World.create({ port });
  world.watchSidecar = () => world.sidecar.exited.then(({ code, signal }) => {
    if (!world.stage.breaking) return fail(new Error(`the sidecar ended (${signal ?? code}): ${world.sidecar.tail(3)}`));
    return undefined;
  });
  world.watchSidecar();
  const complete = await tellStory(world);
  if (once) await end(complete ? 0 : 1);
  await world.invite();
} catch (error) {
  await fail(error);
}
