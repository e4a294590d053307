// The inbox of one user and any number of its conversations, kept up to date together.
import type { QueryClient } from '@tanstack/react-query';
import { type ChatEvent, type FetchEvents, TopicFeed, type Transport } from 'chat-realtime-topic-feed';
import type { Conversation, Id, Message, Presence } from './api';
import { applyEvent, keys, reload, reloadInbox } from './cache';
import { enterRoom, presenceOf } from './room';

const typingExpires = 5_000;
const typingEvery = 2_000;
/** Users that type in one conversation: anybody there may say any name. */
const mostTyping = 100;

export interface DeskSettings {
  userId: string;
  /** Shown to others while this user types. */
  username: string;
  client: QueryClient;
  fetchEvents: FetchEvents;
  transports: Transport[];
}

export interface DeskHandlers {
  /** Once each, also when it came late. */
  message(message: Message): void;
  /** What a conversation has become; never what it was before. */
  conversation(conversation: Conversation): void;
  presence(presence: Presence): void;
  live(live: boolean): void;
}

/** One conversation that was joined. */
class OpenConversation {
  private feed: TopicFeed;
  private room: ReturnType<typeof enterRoom>;
  private typing = new Map<string, ReturnType<typeof setTimeout>>();
  private lastTyping = 0;

  constructor(private id: Id, private settings: DeskSettings, private handlers: DeskHandlers) {
    const { client, fetchEvents, transports } = settings;
    this.feed = new TopicFeed(`conversation:${id}`, fetchEvents, transports, {
      event: (event) => this.event(event),
      late: (event) => event.event === 'message.new' && handlers.message(event.payload as Message),
      reset: () => void reload(client, keys.messages(id)),
      live: () => {},
    });
    this.room = enterRoom(id, transports, this.heard);
  }

  private event(event: ChatEvent) {
    if (event.event === 'presence.typing') {
      const presence = presenceOf(event.payload, this.id);
      if (presence) this.heard(presence);
      return;
    }
    applyEvent(this.settings.client, event, this.id);
    if (event.event === 'message.new') this.handlers.message(event.payload as Message);
  }

  /** Whoever types stops by itself: nobody promises to say when. */
  private heard = (presence: Presence) => {
    const { userId, isTyping } = presence;
    clearTimeout(this.typing.get(userId));
    this.typing.delete(userId);
    if (isTyping && this.typing.size >= mostTyping) return;
    if (isTyping) this.typing.set(userId, setTimeout(() => this.heard({ ...presence, isTyping: false }), typingExpires));
    this.handlers.presence(presence);
  };

  use(transports: Transport[]) {
    this.feed.use(transports);
    this.room.leave();
    this.room = enterRoom(this.id, transports, this.heard);
  }

  sendTyping(isTyping: boolean) {
    if (isTyping ? Date.now() - this.lastTyping < typingEvery : this.lastTyping === 0) return;
    this.lastTyping = isTyping ? Date.now() : 0;
    const { userId, username } = this.settings;
    this.room.send('presence.typing', { conversationId: this.id, userId, username: username || null, isTyping, lastSeen: new Date().toISOString() });
  }

  close() {
    for (const timer of this.typing.values()) clearTimeout(timer);
    this.feed.close();
    this.room.leave();
  }
}

export class Desk {
  private inbox: TopicFeed;
  private told = new Map<Id, number>(); // newest event of each conversation
  private open = new Map<string, OpenConversation>();

  constructor(private settings: DeskSettings, private handlers: DeskHandlers) {
    const { userId, client, fetchEvents, transports } = settings;
    this.inbox = new TopicFeed(`user:${userId}:inbox`, fetchEvents, transports, {
      event: (event) => {
        applyEvent(client, event);
        this.tell(event);
      },
      late: (event) => this.tell(event),
      reset: () => reloadInbox(client),
      live: (live) => handlers.live(live),
    });
  }

  /** In an inbox events of different conversations may come in any order. */
  private tell({ id, event, payload }: ChatEvent) {
    const conversation = payload as Conversation;
    if (!event.startsWith('conversation.') || event === 'conversation.deleted' || (this.told.get(conversation.id) ?? 0) > id!) return;
    this.told.set(conversation.id, id!);
    this.handlers.conversation(conversation);
  }

  /** Goes on over these, without a gap. */
  use(transports: Transport[]) {
    this.settings = { ...this.settings, transports };
    this.inbox.use(transports);
    for (const conversation of this.open.values()) conversation.use(transports);
  }

  join(id: Id) {
    if (!this.open.has(String(id))) this.open.set(String(id), new OpenConversation(id, this.settings, this.handlers));
  }

  leave(id: Id) {
    this.open.get(String(id))?.close();
    this.open.delete(String(id));
  }

  sendTyping(id: Id, isTyping: boolean) {
    this.open.get(String(id))?.sendTyping(isTyping);
  }

  close() {
    this.inbox.close();
    for (const conversation of this.open.values()) conversation.close();
  }
}
