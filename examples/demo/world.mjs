// Everything that runs in the demo, started in order: cluster, extension, sidecar, webhook receiver, client, page.
import { Bed } from '../../regress/lib/bed.mjs';
import { make, workspace } from '../../regress/lib/workspace.mjs';
import { Backend } from './backend.mjs';
import { PageServer } from './page-server.mjs';
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
      await make('-j2', 'all');
      await workspace();
      return { what: 'extension and sidecar' };
    });
    await start('database', async () => {
      // Commit timestamps are what the latencies are counted from.
      const bed = await Bed.create({ settings: { track_commit_timestamp: 'on' } });
      const version = await bed.cluster.psql('SHOW server_version');
      bed.closing.push(() => world.page.listener.down());
      const backend = await Backend.create(bed);
      return { bed, backend, what: `PostgreSQL ${version.split(' ')[0]} on 127.0.0.1:${bed.cluster.port}, chat.setup()` };
    });
    await start('sidecar', async () => {
      const sidecar = await world.bed.sidecar();
      return { sidecar, what: `Realtime endpoint at ${sidecar.url}` };
    });
    await start('webhooks', async () => {
      const receiver = await world.bed.receiver(webhookEvents);
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

  /** What a person can do now. */
  async invite() {
    await this.stage.fillDay();
    await this.stage.start();
    this.watcher.quiet = true;
    say(`${bold('Your turn:')} open this address, write on both sides, and break things.\n`);
    say(`  ${bold(`${this.page.url}/#key=${this.stage.key}`)}`);
    say(`\n  ${dim('From another machine:')} ssh -L ${this.page.listener.port}:127.0.0.1:${this.page.listener.port} ${process.env.USER ?? 'you'}@this-machine`);
    say(`\n  ${dim('A body of WUZAPI from a file:')} curl -d @regress/fixtures/wuzapi/video.json -H 'Content-Type: application/json' ${this.page.url}/webhook/wuzapi`);
    say(`\n${bold('Ctrl-C')} ends the demo and removes everything it made.\n`);
  }
}
