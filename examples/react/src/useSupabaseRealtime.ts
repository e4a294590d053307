// The inbox and any number of conversations of the signed-in user, told by callbacks; TanStack Query's lists follow as well.
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import type { SupabaseClient } from '@supabase/supabase-js';
import { type FetchEvents, type Provider, supabaseTransport } from 'chat-realtime-topic-feed';
import type { Conversation, Id, Message, Presence } from './api';
import { Desk } from './desk';
import { type FetchProvider, useProvider } from './useProvider';

/** What the hook needs of the application, once, around all that uses it. */
export interface ChatConnection {
  /** With the user's token: accessToken, or supabase.auth's session. */
  supabase: SupabaseClient;
  /** Asks for what was missed; must stay the same function. */
  fetchEvents: FetchEvents;
  /** Shown to others while this user types. */
  username?: string;
  /** Asks how the user is served, where the build's VITE_CHAT_REALTIME_PROVIDER does not say; must stay the same function. */
  fetchProvider?: FetchProvider;
  /** In place of both. */
  provider?: Provider;
}

export const ChatConnectionContext = createContext<ChatConnection | undefined>(undefined);

/** The payloads may be described by the application's own types. */
export interface UseSupabaseRealtimeOptions<M = Message, C = Conversation, P = Presence> {
  userId: string;
  onNewMessage?: (message: M) => void;
  onConversationUpdate?: (conversation: C) => void;
  onPresenceChange?: (presence: P) => void;
}

export interface UseSupabaseRealtimeResult {
  /** false: it polls, or is off. */
  isConnected: boolean;
  joinConversation: (conversationId: Id) => void;
  leaveConversation: (conversationId: Id) => void;
  /** May be called at each key stroke. */
  sendTypingIndicator: (conversationId: Id, isTyping: boolean) => void;
}

/** Off while the user is on Socket.IO alone, where another hook does this: both together would tell everything twice. */
export function useSupabaseRealtime<M = Message, C = Conversation, P = Presence>(
  options: UseSupabaseRealtimeOptions<M, C, P>,
): UseSupabaseRealtimeResult {
  const { userId } = options;
  const client = useQueryClient();
  const { supabase, fetchEvents, fetchProvider, username = '', provider: given } = useContext(ChatConnectionContext) ?? {};
  const asked = useProvider(fetchProvider, 'socketio');
  const provider = given ?? asked;
  const [isConnected, setConnected] = useState(false);
  const latest = useRef(options);
  const desk = useRef<Desk>(undefined);
  const joined = useRef(new Map<string, Id>());
  const transport = useMemo(() => supabase && supabaseTransport(supabase), [supabase]);
  const transports = useMemo(() => (transport && provider !== 'polling' ? [transport] : []), [transport, provider]);
  const off = provider === 'socketio';

  useEffect(() => {
    latest.current = options;
  });

  useEffect(() => {
    if (off || !userId) return;
    if (!fetchEvents) throw new Error('useSupabaseRealtime needs a ChatConnectionContext around it');
    const opened = desk.current = new Desk({ userId, username, client, fetchEvents, transports: [] }, {
      message: (message) => latest.current.onNewMessage?.(message as M),
      conversation: (conversation) => latest.current.onConversationUpdate?.(conversation as C),
      presence: (presence) => latest.current.onPresenceChange?.(presence as P),
      live: setConnected,
    });
    for (const id of joined.current.values()) opened.join(id);
    return () => {
      desk.current = undefined;
      opened.close();
      setConnected(false);
    };
  }, [userId, username, client, fetchEvents, off]);

  useEffect(() => {
    desk.current?.use(transports);
  }, [userId, username, client, fetchEvents, off, transports]);

  const joinConversation = useCallback((id: Id) => {
    joined.current.set(String(id), id);
    desk.current?.join(id);
  }, []);
  const leaveConversation = useCallback((id: Id) => {
    joined.current.delete(String(id));
    desk.current?.leave(id);
  }, []);
  const sendTypingIndicator = useCallback((id: Id, isTyping: boolean) => desk.current?.sendTyping(id, isTyping), []);

  return { isConnected, joinConversation, leaveConversation, sendTypingIndicator };
}
