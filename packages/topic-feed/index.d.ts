/** What a topic carries. What participants, or an old service, say has no id. */
export interface ChatEvent {
  id?: number;
  event: string;
  payload: unknown;
}

export interface EventPage {
  data: ChatEvent[];
  /** The next question's after. */
  position: number;
  hasMore: boolean;
}

/** Events of a topic after a position; without one, only the position to begin from. */
export type FetchEvents = (topic: string, after?: number) => Promise<EventPage>;

/** The part of a supabase-js client that is used here. */
export interface SupabaseLike {
  channel(topic: string, options?: any): any;
  removeChannel(channel: any): Promise<unknown>;
  realtime: { setAuth(token?: string | null): Promise<void> };
}

/** FetchEvents over PostgREST, for a project that exposes schema chat. */
export function fetchEventsOf(supabase: { schema(name: any): any }): FetchEvents;

/** How the signed-in user is served, asked over PostgREST. */
export function fetchProviderOf(supabase: { schema(name: any): any }): () => Promise<Provider>;

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

/** Opens a topic and tells what comes, and whether it is live. */
export type Transport = (topic: string, listener: Listener) => Connection;

/** Private channels of Supabase Realtime. */
export function supabaseTransport(supabase: SupabaseLike): Transport;

/** The part of socket.io-client's Socket that is used here. */
export interface SocketLike {
  connected: boolean;
  on(event: string, listener: (payload: unknown) => void): unknown;
  off(event: string, listener: (payload: unknown) => void): unknown;
  emit(event: string, payload: unknown): unknown;
}

/** The existing Socket.IO server, namespace /chat. */
export function socketTransport(socket: SocketLike): Transport;

export type Provider = 'socketio' | 'supabase' | 'both' | 'polling';
export const providers: readonly Provider[];
/** The provider of this name; undefined: there is none. */
export function providerOf(name: unknown): Provider | undefined;

export interface Transports {
  supabase?: Transport;
  socketio?: Transport;
}

/** Of those that there are, the ones that a provider stands for. */
export function transportsOf(provider: Provider, all: Transports): Transport[];

/** The number of an event, of decimal text or of the uuid that it has over the database transport; undefined: it is no event of the database's. */
export function eventId(id: unknown): number | undefined;

export interface FeedHandlers {
  /** Once each, in order. */
  event(event: ChatEvent): void;
  /** It came after a newer one, and what it says may be over. reset follows. */
  late?(event: ChatEvent): void;
  /** The lists are to be loaded again: at the beginning, after twelve hours away, and when something came out of order. */
  reset(): void;
  /** false: it polls. */
  live?(live: boolean): void;
}

export class TopicFeed {
  constructor(topic: string, fetchEvents: FetchEvents, transports: Transport[], handlers: FeedHandlers);
  /** Goes on over these, without a gap. */
  use(transports: Transport[]): void;
  close(): void;
}

export interface UserFeedsOptions {
  userId: string;
  fetchEvents: FetchEvents;
  /** Asks how the user is served; without it only provider.changed says so. */
  fetchProvider?: () => Promise<Provider>;
  transports: Transports;
  /** Handlers of the user's inbox. */
  inbox?: Partial<FeedHandlers>;
  /** Until it is known: 'polling'. */
  provider?: Provider;
  /** Called before the feeds move: the time to connect or to end what the provider needs. */
  onProvider?(provider: Provider): void;
}

/** All topics that one user has open; provider.changed moves them all. */
export class UserFeeds {
  constructor(options: UserFeedsOptions);
  readonly provider: Provider;
  /** Moves all feeds; another word than a provider's changes nothing. */
  use(provider: unknown): void;
  open(topic: string, handlers: FeedHandlers): { close(): void };
  close(): void;
}
