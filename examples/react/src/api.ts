// The backend's routes that the page needs, and the shapes of what they return.
import type { FetchEvents, Provider } from 'chat-realtime-topic-feed';
import type { Page } from './paging';
import { createTokens, type Tokens } from './tokens';

export type Id = number | string;

export interface Conversation {
  id: Id;
  contactJid: string;
  contactName: string | null;
  status: string;
  lastMessageAt: string | null;
  lastMessagePreview: string | null;
  unreadCount: number;
}

export interface Message {
  id: Id;
  conversationId: Id;
  messageId?: string | null;
  content: string | null;
  messageType?: string;
  mediaFilename?: string | null;
  direction: 'incoming' | 'outgoing';
  status: 'pending' | 'sent' | 'delivered' | 'read' | 'failed';
  createdAt: string;
  timestamp?: string | null;
}

export interface Presence {
  conversationId: Id;
  userId: string;
  username: string | null;
  isTyping: boolean;
  lastSeen: string;
}

export type Api = ReturnType<typeof createApi>;

/** One request to the backend; POST where there is a body and no other method is given. given: tokens, or one that stays as it is. */
export function createRequest(given: Tokens | string, base = '/api/v1/chat') {
  const tokens = typeof given === 'string' ? createTokens(given) : given;
  return async function request<T>(path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST'): Promise<T> {
    const ask = (token: string) => fetch(base + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    let response = await ask(await tokens.get());
    if (response.status === 401 && tokens.renewAt() !== undefined) response = await ask(await tokens.renew()); // refused before anything was done
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  };
}

export function createApi(tokens: Tokens | string, base?: string) {
  const request = createRequest(tokens, base);
  const data = async <T>(path: string, body?: unknown) => (await request<{ data: T }>(path, body)).data;

  const after = (cursor?: string) => (cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`);

  return {
    conversations: (cursor?: string) => request<Page<Conversation>>(`/conversations?limit=100${after(cursor)}`),
    /** Those before a cursor; without one the newest. */
    messages: (id: Id, cursor?: string) => request<Page<Message>>(`/conversations/${id}/messages?limit=100${after(cursor)}`),
    /** messageId makes it safe to repeat. */
    send: (id: Id, content: string, messageId: string) => data<Message>(`/conversations/${id}/messages`, { content, messageId }),
    /** How the caller is served. */
    provider: async () => (await data<{ provider: Provider }>('/provider')).provider,
    markRead: (id: Id) => data<unknown>(`/conversations/${id}/read`, {}),
    events: ((topic, after) =>
      request(`/events?topic=${encodeURIComponent(topic)}${after === undefined ? '' : `&after=${after}`}`)) as FetchEvents,
  };
}
