// Ways in which events reach the browser. A transport opens a topic and tells what comes and whether it is live.
import type { RealtimeChannel, SupabaseClient } from '@supabase/supabase-js';
import type { ChatEvent } from './api';

export interface Listener {
  event(event: ChatEvent): void;
  /** Something happened, but not what: ask for it. */
  hint(): void;
  live(live: boolean): void;
}

export interface Connection {
  send(event: string, payload: unknown): void;
  close(): void;
}

export type Transport = (topic: string, listener: Listener) => Connection;

const providers = ['socketio', 'supabase', 'both', 'polling'] as const;
export type Provider = (typeof providers)[number];

/** The provider of this name; undefined: there is none. */
export const providerOf = (name: unknown) => providers.find((known) => known === name);

/** What this build of the front end is for, whatever the backend says of the user; without a word the backend is asked. */
export const providerOfBuild = providerOf(import.meta.env.VITE_CHAT_REALTIME_PROVIDER);
if (import.meta.env.VITE_CHAT_REALTIME_PROVIDER && !providerOfBuild) {
  throw new Error(`VITE_CHAT_REALTIME_PROVIDER is "${import.meta.env.VITE_CHAT_REALTIME_PROVIDER}", and none of ${providers.join(', ')}`);
}

/**
 * The number of an event: decimal text, or a uuid where events go through the database. Any other id is somebody else's:
 * Realtime gives one to each message that has none, such as those of an old service that still broadcasts by hand.
 */
export function eventId(id: unknown): number | undefined {
  const hexadecimal = /^00000000-0000-8000-8000-([0-9a-f]{12})$/i.exec(String(id))?.[1];
  if (hexadecimal) return parseInt(hexadecimal, 16);
  const number = /^\d+$/.test(String(id)) ? Number(id) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Private channels of Supabase Realtime. It joins again by itself when the connection was lost. */
export function supabaseTransport(supabase: SupabaseClient): Transport {
  // A topic that is being left cannot be joined: supabase-js would hand out the channel that is on its way out.
  const leaving = new Map<string, Promise<unknown>>();

  function join(topic: string, listener: Listener) {
    const channel = supabase.channel(topic, { config: { private: true } });
    channel.on('broadcast', { event: '*' }, ({ event, payload, meta }) => {
      // On presence:* any participant may say anything, an id included. All else is the service's, with an id.
      if (topic.startsWith('presence:')) listener.event({ event, payload });
      else listener.event({ id: eventId(meta?.id), event, payload });
    });
    return channel.subscribe((state) => listener.live(state === 'SUBSCRIBED'));
  }

  async function leave(topic: string, channel: RealtimeChannel) {
    const left = supabase.removeChannel(channel);
    leaving.set(topic, left);
    await left;
    if (leaving.get(topic) === left) leaving.delete(topic);
  }

  return (topic, listener) => {
    let closed = false;
    let channel: RealtimeChannel | undefined;
    void (async () => {
      await leaving.get(topic);
      await supabase.realtime.setAuth(); // a private channel is joined with the user's token
      if (!closed) channel = join(topic, listener);
    })();
    return {
      send: (event, payload) => void channel?.send({ type: 'broadcast', event, payload }),
      close: () => {
        closed = true;
        if (channel) void leave(topic, channel);
      },
    };
  };
}

/** The part of socket.io-client's Socket that is used here. */
export interface SocketLike {
  connected: boolean;
  on(event: string, listener: (payload: unknown) => void): unknown;
  off(event: string, listener: (payload: unknown) => void): unknown;
  emit(event: string, payload: unknown): unknown;
}

const changes = ['new_message', 'message_status_update', 'message_update', 'conversation_update', 'new_conversation', 'provider.changed'];

/** The existing Socket.IO server, namespace /chat. Its events carry no ids, so each is only a hint. */
export const socketTransport = (socket: SocketLike): Transport => (topic, listener) => {
  const conversation = /^conversation:(.+)$/.exec(topic)?.[1];
  const handlers: Record<string, (payload: unknown) => void> = {
    connect: () => {
      if (conversation) socket.emit('join_conversation', { conversationId: conversation });
      listener.live(true);
    },
    disconnect: () => listener.live(false),
  };
  if (topic.startsWith('presence:')) handlers.typing_status = (payload) => listener.event({ event: 'presence.typing', payload });
  else for (const name of changes) handlers[name] = () => listener.hint();
  for (const [name, handler] of Object.entries(handlers)) socket.on(name, handler);
  if (socket.connected) handlers.connect!(undefined);
  return {
    send: (event, payload) => event === 'presence.typing' && socket.emit('typing_start', payload),
    close: () => {
      for (const [name, handler] of Object.entries(handlers)) socket.off(name, handler);
      if (conversation) socket.emit('leave_conversation', { conversationId: conversation });
    },
  };
};

/** Of those that there are, the ones that a provider stands for; polling is what is left when there is none. */
export function transportsOf(provider: Provider, all: { supabase?: Transport; socketio?: Transport }): Transport[] {
  const wanted = provider === 'both' ? [all.supabase, all.socketio] : provider === 'polling' ? [] : [all[provider]];
  return wanted.filter((transport) => transport !== undefined);
}
