// What the stage (the page with desk and phone beside each other) shows and does: what is committed and what arrives, and
// buttons that break things. What breaks them asks for the key that only the printed address has.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { value } from './machine.mjs';
import { newContactJid, textMessage } from './wuzapi.mjs';

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const countMs = 700;
const mostListeners = 32;
const mostUnread = 1 << 20; // bytes that wait for a listener

/** What the day has brought so far: contacts, and what was said. '>' is the agent. */
const day = [
  ['Gabriela Lima', [{ voice: 4 }]],
  ['Fábio Reis', ['>Fábio, seu orçamento ficou em R$ 1.280,00', 'Fechado!']],
  ['Diego Alves', ['Segunda via do boleto, por favor']],
  ['Carla Nunes', ['Oi, vocês trocam tamanho?', '>Trocamos sim, em até 30 dias.', 'Que bom. Levo na loja amanhã']],
  ['Bruno Costa', ['Bom dia! Meu pedido 4471 já saiu?', '>Bom dia, Bruno! Saiu hoje às 9h.', 'Perfeito, obrigado!']],
  ['Elisa Prado', ['Oi! Chegou agora, com a tampa quebrada', { picture: 'A caixa, como chegou' }, '>Que pena, Elisa. Já envio outra.', { voice: 4 }]],
];

export class Stage {
  constructor(world) {
    this.world = world;
    this.key = randomBytes(18).toString('base64url');
    this.listeners = new Set();
    this.breaking = false; // a sidecar that ends now was told to
  }

  allows(key) {
    const [given, wanted] = [Buffer.from(String(key ?? '')), Buffer.from(this.key)];
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  /* Before it begins */

  async fillDay() {
    const { backend, machine } = this.world;
    for (const [name, said] of day) {
      const jid = newContactJid();
      let conversation = (await machine.db.query('INSERT INTO public.conversations (user_id, contact_jid, contact_name) VALUES ($1, $2, $3) RETURNING id', [machine.owner, jid, name])).rows[0].id;
      conversation = String(conversation);
      for (const what of said) {
        if (what.picture || what.voice) await this.sendMedia(conversation, what);
        else if (what.startsWith('>')) await this.world.page.transmit(await backend.sendMessage(conversation, what.slice(1)), 'Read');
        else await backend.ingest(textMessage({ jid, name, text: what }));
      }
    }
  }

  sendMedia(conversation, { picture, voice }) {
    const message = picture ? { messageType: 'image', content: picture, mediaUrl: '/media/box.svg', mediaMimeType: 'image/svg+xml' }
      : { messageType: 'audio', mediaUrl: '/media/voice.wav', mediaMimeType: 'audio/wav', mediaDurationSeconds: voice };
    return this.world.backend.receive(conversation, message);
  }

  /* What is told to the page */

  async start() {
    this.since = await this.lastId();
    this.world.watcher.onArrival = (arrival) => this.tell('arrival', arrival);
    this.counting = setInterval(() => this.count().catch(() => {}), countMs);
    this.counting.unref();
  }

  lastId() {
    return value(this.world.machine.db, 'SELECT COALESCE(max(id), 0) FROM chat.events');
  }

  async count() {
    const committed = await value(this.world.machine.db, `SELECT count(*) FROM chat.events
      WHERE id > $1 AND topic LIKE 'conversation:%' AND event LIKE 'message.%'`, [this.since]);
    this.tell('committed', { committed });
  }

  tell(event, what) {
    const text = `event: ${event}\ndata: ${JSON.stringify(what)}\n\n`;
    for (const response of this.listeners) {
      if (response.writableLength > mostUnread) response.destroy(); // a browser that reads again opens another one
      else response.write(text);
    }
  }

  /** A stream of server-sent events; false: there are too many. */
  stream(response) {
    if (this.listeners.size >= mostListeners) return false;
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(': ready\n\n');
    this.listeners.add(response);
    response.on('close', () => this.listeners.delete(response));
    return true;
  }

  /* What breaks things */

  /** Somebody writes in the middle of it. */
  async writeMeanwhile(text) {
    const { conversations: [conversation] } = await this.world.backend.conversations();
    return this.world.backend.receive(String(conversation.id), { content: text });
  }

  async killSidecar() {
    const { sidecar } = this.world;
    this.breaking = true;
    try {
      if (sidecar.running) await sidecar.kill('SIGKILL');
      this.tell('note', { text: 'The sidecar is dead (SIGKILL). Messages go on being saved …' });
      for (let i = 1; i <= 3; i++) {
        await this.writeMeanwhile(`Alguém aí? (${i}/3, sem sidecar)`);
        await pause(500);
      }
    } finally {
      if (!sidecar.running) sidecar.run();
      this.world.watchSidecar?.();
      await sidecar.ready();
      this.breaking = false;
    }
    this.tell('note', { text: 'It runs again, and delivers what was committed meanwhile.' });
  }

  async restartDatabase() {
    const { machine } = this.world;
    this.tell('note', { text: 'PostgreSQL is restarting …' });
    await machine.restart();
    this.tell('note', { text: 'PostgreSQL is back. The sidecar and the clients connect by themselves.' });
    await this.writeMeanwhile('Escrito logo depois do reinício');
  }

  async breakReceiver() {
    const { receiver } = this.world;
    await receiver.down();
    this.tell('note', { text: 'The webhook receiver refuses connections …' });
    try {
      await this.writeMeanwhile('O webhook desta mensagem vai atrasar');
      await pause(3000);
    } finally {
      await receiver.up();
    }
    this.tell('note', { text: 'The receiver is back: the webhook comes with its next attempt, 5 s after the first.' });
  }

  async burst() {
    const { machine } = this.world;
    this.tell('note', { text: '500 messages in one statement …' });
    await machine.db.query(`INSERT INTO public.chat_messages (conversation_id, direction, content)
      SELECT c.id, 'incoming', 'mensagem ' || n || ' de 500' FROM generate_series(1, 500) n
        JOIN LATERAL (SELECT id FROM public.conversations ORDER BY id OFFSET n % (SELECT count(*) FROM public.conversations) LIMIT 1) c ON true`);
  }

  actions = { sidecar: this.killSidecar, database: this.restartDatabase, receiver: this.breakReceiver, burst: this.burst };

  knows(what) {
    return typeof what === 'string' && Object.hasOwn(this.actions, what);
  }

  /** One thing at a time; false: something is being broken already. */
  break(what) {
    if (this.busy) return false;
    this.busy = this.actions[what].call(this).catch((error) => this.tell('note', { text: `That went wrong: ${error.message}` })).finally(() => { this.busy = undefined; });
    return true;
  }
}

/** A voice message: seconds of a tone that comes and goes, 8 kHz, 8 bit. */
export function voice(seconds = 4) {
  const rate = 8000, size = rate * seconds;
  const wav = Buffer.alloc(44 + size, 128);
  wav.write('RIFF', 0); wav.writeUInt32LE(36 + size, 4); wav.write('WAVEfmt ', 8); wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20); wav.writeUInt16LE(1, 22); wav.writeUInt32LE(rate, 24); wav.writeUInt32LE(rate, 28);
  wav.writeUInt16LE(1, 32); wav.writeUInt16LE(8, 34); wav.write('data', 36); wav.writeUInt32LE(size, 40);
  for (let i = 0; i < size; i++) {
    const loud = Math.max(0, Math.sin(2 * Math.PI * 3 * i / rate)) * 40;
    wav[44 + i] = 128 + Math.round(loud * Math.sin(2 * Math.PI * (180 + 40 * Math.sin(i / 2000)) * i / rate));
  }
  return wav;
}
