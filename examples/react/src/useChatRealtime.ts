// Keeps the conversations of the signed-in user, and the messages of the one that is open, up to date.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import type { SupabaseClient } from '@supabase/supabase-js';
import type { FetchEvents, Id, Presence } from './api';
import { applyEvent, keys, reload } from './cache';
import { enterRoom } from './room';
import { TopicFeed } from './topicFeed';
import { type Provider, providerOfBuild, type SocketLike, transportsOf } from './transport';

const typingExpires = 5_000;
const typingEvery = 2_000;

export interface ChatRealtimeOptions {
  userId: string;
  /** Shown to others while this user types. */
  username: string;
  /** The conversation that is open, if one is. */
  conversationId?: Id;
  fetchEvents: FetchEvents;
  supabase?: SupabaseClient;
  socket?: SocketLike;
  provider?: Provider;
}

/** Who is typing, by user; each entry goes by itself, since nobody promises to say when they stop. */
function useTyping() {
  const [typing, setTyping] = useState<Record<string, string>>({});
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());

  const forget = useCallback((user: string) => {
    clearTimeout(timers.current.get(user));
    timers.current.delete(user);
    setTyping(({ [user]: _, ...others }) => others);
  }, []);
  const heard = useCallback(({ userId, username, isTyping }: Presence) => {
    const user = `${userId} ${username ?? ''}`;
    forget(user);
    if (!isTyping) return;
    setTyping((others) => ({ ...others, [user]: username ?? userId.split('@')[0]! }));
    timers.current.set(user, setTimeout(() => forget(user), typingExpires));
  }, [forget]);
  const clear = useCallback(() => [...timers.current.keys()].forEach(forget), [forget]);

  return { typing: Object.values(typing), heard, clear };
}

export function useChatRealtime({
  userId, username, conversationId, fetchEvents, supabase, socket, provider = providerOfBuild,
}: ChatRealtimeOptions) {
  const client = useQueryClient();
  const [live, setLive] = useState(false);
  const { typing, heard, clear } = useTyping();
  const room = useRef<ReturnType<typeof enterRoom>>(undefined);
  const lastTyping = useRef(0);
  const transports = useMemo(() => transportsOf(provider, supabase, socket), [provider, supabase, socket]);

  useEffect(() => {
    const inbox = new TopicFeed(`user:${userId}:inbox`, fetchEvents, transports, {
      event: (event) => applyEvent(client, event),
      reset: () => void reload(client, keys.conversations),
      live: setLive,
    });
    return () => inbox.close();
  }, [userId, fetchEvents, transports, client]);

  useEffect(() => {
    if (conversationId === undefined) return;
    const messages = new TopicFeed(`conversation:${conversationId}`, fetchEvents, transports, {
      event: (event) => {
        if (event.event === 'presence.typing') heard(event.payload as Presence);
        else applyEvent(client, event, conversationId);
        if (event.event === 'message.new') clear(); // whoever typed has written
      },
      reset: () => void reload(client, keys.messages(conversationId)),
      live: () => {},
    });
    const entered = room.current = enterRoom(conversationId, transports, heard);
    return () => {
      room.current = undefined;
      entered.leave();
      messages.close();
      clear();
    };
  }, [conversationId, fetchEvents, transports, client, heard, clear]);

  /** Tells the others, straight from browser to browser; may be called at each key stroke. */
  const sendTyping = useCallback((isTyping: boolean) => {
    if (isTyping ? Date.now() - lastTyping.current < typingEvery : lastTyping.current === 0) return;
    lastTyping.current = isTyping ? Date.now() : 0;
    room.current?.send('presence.typing', { conversationId, userId, username, isTyping, lastSeen: new Date().toISOString() });
  }, [conversationId, userId, username]);

  return { live, typing, sendTyping };
}
