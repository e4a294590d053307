// What participants tell each other straight from browser to browser, on presence:<conversation>: who is typing.
//
// Anybody who takes part may send anything there, under any name. So nothing of it is kept, moves a position or is
// applied to a list: a name is shown for some seconds.
import type { Transport } from 'chat-realtime-topic-feed';
import type { Id, Presence } from './api';

const longestName = 60;

/** A presence that can be shown, with the conversation's id as the application has it; undefined: it is none of this conversation's. */
export function presenceOf(payload: unknown, conversation: Id): Presence | undefined {
  const { conversationId, userId, username, isTyping, lastSeen } = (payload ?? {}) as Partial<Record<keyof Presence, unknown>>;
  if (String(conversationId) !== String(conversation) || typeof userId !== 'string') return undefined;
  return {
    conversationId: conversation,
    userId,
    username: typeof username === 'string' ? username.slice(0, longestName) : null,
    isTyping: isTyping === true,
    lastSeen: new Date(typeof lastSeen === 'string' && !Number.isNaN(Date.parse(lastSeen)) ? lastSeen : Date.now()).toISOString(),
  };
}

export function enterRoom(conversation: Id, transports: Transport[], heard: (presence: Presence) => void) {
  const connections = transports.map((transport) => transport(`presence:${conversation}`, {
    event: ({ event, payload }) => {
      const presence = event.startsWith('presence.') ? presenceOf(payload, conversation) : undefined;
      if (presence) heard(presence);
    },
    hint: () => {},
    live: () => {},
  }));
  return {
    send: (event: string, payload: unknown) => connections.forEach((connection) => connection.send(event, payload)),
    leave: () => connections.forEach((connection) => connection.close()),
  };
}
