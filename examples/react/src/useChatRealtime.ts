// Keeps the conversations of the signed-in user, and the messages of the one that is open, up to date.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import type { SupabaseClient } from '@supabase/supabase-js';
import {
  type FeedHandlers, type FetchEvents, type Provider, type SocketLike, socketTransport, supabaseTransport, TopicFeed, type Transport, transportsOf,
} from 'chat-realtime-topic-feed';
import type { Id, Presence } from './api';
import { applyEvent, keys, reload, reloadInbox } from './cache';
import { enterRoom } from './room';

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
  /** How the user is served: useProvider. It may change at any time. */
  provider: Provider;
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

/** A feed for as long as its topic is wanted, whatever transports come and go meanwhile. */
function useFeed(topic: string | undefined, fetchEvents: FetchEvents, transports: Transport[], handlers: FeedHandlers) {
  const feed = useRef<TopicFeed>(undefined);
  const latest = useRef(handlers);
  useEffect(() => {
    latest.current = handlers;
  });
  useEffect(() => {
    if (topic === undefined) return;
    const opened = feed.current = new TopicFeed(topic, fetchEvents, [], {
      event: (event) => latest.current.event(event),
      reset: () => latest.current.reset(),
      live: (live) => latest.current.live?.(live),
    });
    return () => {
      feed.current = undefined;
      opened.close();
    };
  }, [topic, fetchEvents]);
  useEffect(() => {
    feed.current?.use(transports);
  }, [topic, fetchEvents, transports]);
}

export function useChatRealtime({
  userId, username, conversationId, fetchEvents, supabase, socket, provider,
}: ChatRealtimeOptions) {
  const client = useQueryClient();
  const [live, setLive] = useState(false);
  const { typing, heard, clear } = useTyping();
  const room = useRef<ReturnType<typeof enterRoom>>(undefined);
  const lastTyping = useRef(0);
  const all = useMemo(() => ({
    supabase: supabase && supabaseTransport(supabase), socketio: socket && socketTransport(socket),
  }), [supabase, socket]);
  const transports = useMemo(() => transportsOf(provider, all), [provider, all]);

  useFeed(`user:${userId}:inbox`, fetchEvents, transports, {
    event: (event) => applyEvent(client, event),
    reset: () => reloadInbox(client),
    live: setLive,
  });

  useFeed(conversationId === undefined ? undefined : `conversation:${conversationId}`, fetchEvents, transports, {
    event: (event) => {
      if (event.event === 'presence.typing') heard(event.payload as Presence);
      else applyEvent(client, event, conversationId);
      if (event.event === 'message.new') clear(); // whoever typed has written
    },
    reset: () => conversationId !== undefined && void reload(client, keys.messages(conversationId)),
    live: () => {},
  });

  useEffect(() => {
    if (conversationId === undefined) return;
    const entered = room.current = enterRoom(conversationId, transports, heard);
    return () => {
      room.current = undefined;
      entered.leave();
      clear();
    };
  }, [conversationId, transports, heard, clear]);

  /** Tells the others, straight from browser to browser; may be called at each key stroke. */
  const sendTyping = useCallback((isTyping: boolean) => {
    if (isTyping ? Date.now() - lastTyping.current < typingEvery : lastTyping.current === 0) return;
    lastTyping.current = isTyping ? Date.now() : 0;
    room.current?.send('presence.typing', { conversationId, userId, username, isTyping, lastSeen: new Date().toISOString() });
  }, [conversationId, userId, username]);

  return { live, typing, sendTyping };
}
