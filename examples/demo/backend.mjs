// The part of a help desk's Node backend: one call of a function of the extension for each thing it does, as
// a role with chat.grant_backend, for the user who is signed in.
import { randomBytes } from 'node:crypto';
import { rows, value } from './machine.mjs';

/** A message id as WhatsApp's clients draw them. */
export const whatsappId = () => `3EB0${randomBytes(9).toString('hex').toUpperCase()}`;

export class Backend {
  static async create(machine) {
    await machine.role('demo_backend', 'grant_backend');
    return new Backend(machine.pool('demo_backend'), machine.owner);
  }

  constructor(pool, owner) {
    this.pool = pool;
    this.owner = owner;
  }

  call(expression, ...parameters) {
    return value(this.pool, `SELECT ${expression}`, parameters);
  }

  /** The body of a WUZAPI webhook. */
  ingest(body) {
    return this.call('chat.ingest_wuzapi($1, $2)', this.owner, JSON.stringify(body));
  }

  /** The conversations with the newest messages; position: from where a client has to catch up. */
  async conversations() {
    const position = await this.position(`user:${this.owner}:inbox`);
    const { data } = await this.call('chat.list_conversations($1, "limit" => 100)', this.owner);
    return { position, conversations: data };
  }

  /** The newest messages of a conversation; null where it is missing or another user's. */
  async messages(conversation) {
    const position = await this.position(`conversation:${conversation}`);
    const list = await this.call('chat.list_messages($1, "limit" => 100, owner => $2)', conversation, this.owner);
    return list && { position, messages: list.data };
  }

  /** Asked before the rows are: what comes in between is then seen twice instead of never. */
  position(topic) {
    return this.call('COALESCE(max(id), 0) FROM chat.events_since($1, 0, 1000)', topic);
  }

  /** null where the user may not join the topic: a backend asks for every user, so it has to look itself. */
  async eventsSince(topic, after) {
    const allowed = await this.call('chat.can_join($1, $2::jsonb)', topic, { sub: this.owner });
    return allowed ? rows(this.pool, 'SELECT id, event, payload FROM chat.events_since($1, $2)', [topic, after]) : null;
  }

  conversation(id) {
    return this.call('chat.get_conversation($1, $2)', id, this.owner);
  }

  /** An agent's message, as it is before WhatsApp took it. */
  sendMessage(conversation, text) {
    return this.call('chat.save_message($1, $2, $3)', conversation,
      { content: text, direction: 'outgoing', status: 'pending', messageId: whatsappId() }, this.owner);
  }

  /** A contact's message that came some other way than WUZAPI's. */
  receive(conversation, message) {
    return this.call('chat.save_message($1, $2, $3)', conversation, { direction: 'incoming', messageId: whatsappId(), ...message }, this.owner);
  }

  markSent(message) {
    return this.call(`chat.update_message_status($1, 'sent', owner => $2)`, message, this.owner);
  }

  /** The agent has seen the conversation. */
  markRead(conversation) {
    return this.call('chat.mark_read($1, owner => $2)', conversation, this.owner);
  }

  typing(conversation, isTyping) {
    return this.call(`chat.presence($1, 'typing', $2, 'Agent', $3)`, conversation, this.owner, isTyping);
  }
}
