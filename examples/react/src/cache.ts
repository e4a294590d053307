// What an event changes in the lists that TanStack Query holds. Events carry whole rows, so nothing is fetched, unless
// the question is whose list a row belongs to.
import type { QueryClient, QueryKey } from '@tanstack/react-query';
import { type ChatEvent, providerOf } from 'chat-realtime-topic-feed';
import type { Conversation, Id, Message } from './api';

export const keys = {
  provider: ['provider'] as const,
  conversations: ['conversations'] as const,
  /** id: as the application has it. A 42 of its lists and a "42" of its address bar are two keys. */
  messages: (id: Id) => ['messages', id] as const,
};

const timeOf = (message: Message) => Date.parse(message.timestamp ?? message.createdAt);
const oldestFirst = (a: Message, b: Message) => timeOf(a) - timeOf(b) || Number(a.id) - Number(b.id);
const newestFirst = (a: Conversation, b: Conversation) =>
  Date.parse(b.lastMessageAt ?? '1970-01-01') - Date.parse(a.lastMessageAt ?? '1970-01-01') || Number(b.id) - Number(a.id);

const without = <T extends { id: Id }>(list: T[], id: Id) => list.filter((row) => row.id !== id);
export const withMessage = (list: Message[], message: Message) => [...without(list, message.id), message].sort(oldestFirst);
const withConversation = (list: Conversation[], row: Conversation) => [...without(list, row.id), row].sort(newestFirst);

/** One more page. What is there stays: an event may have told of it since the page was read. */
const merged = <T extends { id: Id }>(list: T[], rows: T[], order: (a: T, b: T) => number) => {
  const known = new Set(list.map(({ id }) => id));
  return [...list, ...rows.filter(({ id }) => !known.has(id))].sort(order);
};
export const withMessages = (list: Message[], rows: Message[]) => merged(list, rows, oldestFirst);
export const withConversations = (list: Conversation[], rows: Conversation[]) => merged(list, rows, newestFirst);

/**
 * Loads a list again. A load that is under way is given up first: it may have read before what happened since, and
 * the very first one would not be repeated by invalidating alone.
 */
export async function reload(client: QueryClient, queryKey: QueryKey) {
  await client.cancelQueries({ queryKey });
  await client.invalidateQueries({ queryKey });
}

/** All that an inbox tells of, again. */
export function reloadInbox(client: QueryClient) {
  void reload(client, keys.conversations);
  void reload(client, keys.provider);
}

/** Lists of another shape, such as pages, and filtered ones under a longer key, are loaded again. */
function change<T>(client: QueryClient, queryKey: QueryKey, update: (list: T[]) => T[]) {
  client.setQueryData<T[]>(queryKey, (list) => (Array.isArray(list) ? update(list) : list));
  void client.invalidateQueries({
    queryKey,
    predicate: (query) => query.state.data !== undefined && (query.queryKey.length > queryKey.length || !Array.isArray(query.state.data)),
  });
  // A load that is under way may have read before this event and would undo it.
  if (client.isFetching({ queryKey })) void reload(client, queryKey);
}

/** conversation: the one whose topic the event came on, as the application names it. */
export function applyEvent(client: QueryClient, { event, payload }: ChatEvent, conversation?: Id) {
  if (event === 'provider.changed') {
    const provider = providerOf((payload as { provider?: unknown }).provider);
    // A question that is under way may have been answered before the change.
    void client.cancelQueries({ queryKey: keys.provider }).then(() => client.setQueryData(keys.provider, provider));
  } else if (event === 'conversation.assigned') {
    // Given to this user, or taken away from it: an agent's id need not be a user's, so only the database can say.
    void reload(client, keys.conversations);
  } else if (event.startsWith('conversation.')) {
    const row = payload as Conversation;
    change<Conversation>(client, keys.conversations, (list) => (event === 'conversation.deleted' ? without(list, row.id) : withConversation(list, row)));
  } else if (event.startsWith('message.')) {
    const message = payload as Message;
    change<Message>(client, keys.messages(conversation ?? message.conversationId), (list) => {
      if (event === 'message.deleted') return without(list, message.id);
      if (event === 'message.status') return list.map((row) => (row.id === message.id ? { ...row, status: message.status } : row));
      return withMessage(list, message);
    });
  }
}
