// Writes messages at a steady rate with pgbench, which is a process of its own: it delays nobody who measures.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Writes to the conversations of a bed, whose ids follow each other; returns messages/s as they were. */
export async function write(bed, { rate, seconds, clients = 8 }) {
  const file = path.join(bed.cluster.dir, 'messages.sql');
  writeFileSync(file, `\\set c random(${bed.conversations[0]}, ${bed.conversations.at(-1)})
INSERT INTO public.chat_messages (conversation_id, direction, content)
VALUES (:c, 'incoming', 'Olá, tudo bem? Queria saber do meu pedido 12345.');
`);
  const { stdout } = await exec(path.join(bed.cluster.bindir, 'pgbench'),
    ['-n', '-M', 'prepared', '-c', clients, '-j', '2', '-R', rate, '-T', seconds, '-f', file, 'chat'],
    { env: { ...process.env, ...bed.cluster.env() } });
  return Number(/^tps = ([\d.]+)/m.exec(stdout)[1]);
}
