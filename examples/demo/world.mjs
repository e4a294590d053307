// Everything that runs in the demo, started in order: cluster, extension, sidecar, webhook receiver, client, page.
import { Backend } from './backend.mjs';
import { makeIn, root } from './lib/server.mjs';
import { Machine, value } from './machine.mjs';
import { PageServer } from './page-server.mjs';
import { Receiver } from './receiver.mjs';
import { Sidecar } from './sidecar.mjs';
import { Stage } from './stage.mjs';
import { announce, bold, dim, line, say } from './terminal.mjs';
import { Watcher } from './watcher.mjs';

const webhookEvents = ['message.received', 'message.sent', 'message.status', 'conversation.created', 'conversation.updated'];

async function timed(kind, work) {
  const start = performance.now();
  announce(kind);
  const { what, ...made } = await work();
  line(kind, what, `${((performance.now() - start) / 1000).toFixed(1)} s`);
  return made;
}

export class World {
  /** port: of the page; 0 for a free one. */
  static async create({ port = 0 } = {}) {
    const world = new World();
    const start = (kind, work) => timed(kind, work).then((made) => Object.assign(world, made));
    world.page = await PageServer.create(world, port);
    say(bold('chat_realtime: everything from WhatsApp to the browser, on this machine\n'));
    await start('build', async () => {
      await makeIn(root, ['-j2', 'all']);
      return { what: 'extension and sidecar' };
    });
    await start('database', async () => {
      const machine = await Machine.create();
      const version = await value(machine.db, 'SHOW server_version');
      const backend = await Backend.create(machine);
      return { machine, backend, what: `PostgreSQL ${version.split(' ')[0]} on 127.0.0.1:${machine.port}, chat.setup()` };
    });
    await start('sidecar', async () => {
      const sidecar = await Sidecar.start(world.machine);
      return { sidecar, what: `Realtime endpoint at ${sidecar.url}` };
    });
    await start('webhooks', async () => {
      const receiver = await Receiver.create(world.machine, webhookEvents);
      return { receiver, what: `receiver at ${receiver.listener.url}, standardwebhooks` };
    });
    await start('client', async () => {
      const watcher = await Watcher.create(world);
      return { watcher, what: 'supabase-js on the owner\'s inbox, private, JWT' };
    });
    line('page', world.page.url);
    world.stage = new Stage(world);
    return world;
  }

  /** Ends all of it, what was started last first. */
  async close() {
    await this.watcher.close();
    await this.receiver.down();
    if (this.sidecar.running) await this.sidecar.kill();
    await this.page.listener.down();
    await this.machine.close();
  }

  /** What a person can do now. */
  async invite() {
    await this.stage.fillDay();
    await this.stage.start();
    this.watcher.quiet = true;
    say(`${bold('Your turn:')} open this address, write on both sides, and break things.\n`);
    say(`  ${bold(`${this.page.url}/#key=${this.stage.key}`)}`);
    say(`\n  ${dim('From another machine:')} ssh -L ${this.page.listener.port}:127.0.0.1:${this.page.listener.port} ${process.env.USER ?? 'you'}@this-machine`);
    say(`\n  ${dim('A body of WUZAPI from a file:')} curl -d @examples/demo/bodies/video.json -H 'Content-Type: application/json' ${this.page.url}/webhook/wuzapi`);
    say(`\n${bold('Ctrl-C')} ends the demo and removes everything it made.\n`);
  }
}
