import { type FormEvent, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import type { Provider } from 'chat-realtime-topic-feed';
import { io } from 'socket.io-client';
import { type Api, type Conversation, createApi, type Id, type Message } from './api';
import { keys, withConversations, withMessage, withMessages } from './cache';
import { ErrorBoundary } from './ErrorBoundary';
import { usePages } from './paging';
import { claimsOf, createTokens, type Tokens } from './tokens';
import { useChatRealtime } from './useChatRealtime';
import { useProvider } from './useProvider';
import { Webhooks } from './Webhooks';

interface Session {
  tokens: Tokens;
  /** That of the beginning: the endpoint takes it in place of an anon key. */
  first: string;
  userId: string;
  username: string;
}

function sessionOf(first: string, username: string): Session {
  return { tokens: createTokens(first, import.meta.env.VITE_TOKEN_URL), first, userId: claimsOf(first).sub, username };
}

/** A product signs in with supabase.auth; here #token=…&name=… of the address, or a form, gives the token. */
export function App() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [session, setSession] = useState(() =>
    given.get('token') ? sessionOf(given.get('token')!, given.get('name') ?? 'Agent') : undefined);
  const [webhooks, setWebhooks] = useState(given.get('page') === 'webhooks');
  if (!session) return <SignIn onSession={setSession} />;
  return webhooks
    ? <Webhooks tokens={session.tokens} onBack={() => setWebhooks(false)} />
    : <Desk session={session} onWebhooks={() => setWebhooks(true)} />;
}

function SignIn({ onSession }: { onSession: (session: Session) => void }) {
  const [problem, setProblem] = useState('');
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    try {
      onSession(sessionOf(String(fields.get('token')).trim(), String(fields.get('name'))));
    } catch {
      setProblem('That is not an access token.');
    }
  };
  return (
    <form className="sign-in" onSubmit={submit}>
      <h1>Inbox</h1>
      <label>Your name <input name="name" required /></label>
      <label>Access token <textarea name="token" rows={5} required /></label>
      {problem && <p className="problem">{problem}</p>}
      <button>Open</button>
    </form>
  );
}

const leastPause = 2_000; // ms between two renewals, whatever tokens say

/** The token is replaced before it is over, also while nothing asks for one; Realtime's channels go on with the new one. */
function useRenewal(tokens: Tokens, supabase: SupabaseClient) {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const plan = (least: number) => {
      const at = tokens.renewAt();
      if (at !== undefined && !over) timer = setTimeout(renew, Math.min(Math.max(at - Date.now(), least), 2 ** 31 - 1));
    };
    const renew = () => tokens.get().then(() => supabase.realtime.setAuth()).catch(() => {}).then(() => plan(leastPause));
    plan(0);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tokens, supabase]);
}

/** The existing server's Socket.IO, connected for as long as the user is on it. */
function useSocket(tokens: Tokens, provider: Provider) {
  const wanted = provider === 'socketio' || provider === 'both';
  const [socket] = useState(() =>
    io(`${import.meta.env.VITE_SOCKET_URL ?? location.origin}/chat`, {
      auth: (tell) => void tokens.get().then((token) => tell({ token }), () => tell({})), autoConnect: false, transports: ['websocket'],
    }));
  useEffect(() => {
    if (!wanted) return;
    socket.connect();
    return () => {
      socket.disconnect();
    };
  }, [socket, wanted]);
  return socket;
}

function Desk({ session, onWebhooks }: { session: Session; onWebhooks: () => void }) {
  const client = useQueryClient();
  const [open, setOpen] = useState<Id>();
  const api = useMemo(() => createApi(session.tokens), [session.tokens]);
  const supabase = useMemo(() => createClient(
    import.meta.env.VITE_SUPABASE_URL ?? location.origin, import.meta.env.VITE_SUPABASE_ANON_KEY ?? session.first,
    { accessToken: session.tokens.get },
  ), [session]);
  useRenewal(session.tokens, supabase);
  const conversations = usePages(keys.conversations, api.conversations, withConversations);
  const conversation = conversations.data?.find(({ id }) => id === open); // none when it was deleted, or given to another agent
  const provider = useProvider(api.provider);
  const { live, typing, sendTyping } = useChatRealtime({
    userId: session.userId, username: session.username, conversationId: conversation?.id, fetchEvents: api.events, supabase,
    socket: useSocket(session.tokens, provider), provider,
  });
  const unread = conversations.data?.reduce((sum, { unreadCount }) => sum + unreadCount, 0) ?? 0;

  useEffect(() => {
    document.title = unread ? `(${unread}) Inbox` : 'Inbox';
  }, [unread]);

  return (
    <div className={conversation ? 'desk open' : 'desk'}>
      <aside>
        <header>
          <h1>Inbox</h1>
          <button className="link" onClick={onWebhooks}>Webhooks</button>
          <span className={live ? 'state live' : 'state'} data-provider={provider}>{live ? 'live' : 'polling'}</span>
        </header>
        <ul>
          {conversations.data?.map((row) => (
            <Row key={row.id} conversation={row} selected={row.id === open} onOpen={() => setOpen(row.id)} />
          ))}
          {conversations.loadMore && <li><More onMore={conversations.loadMore} loading={conversations.loadingMore}>More conversations</More></li>}
        </ul>
        {conversations.data?.length === 0 && <p className="empty">No conversations yet</p>}
        {conversations.error && <p className="problem">{conversations.error.message}</p>}
      </aside>
      {conversation
        ? (
          <ErrorBoundary key={conversation.id} onRetry={() => client.removeQueries({ queryKey: keys.messages(conversation.id) })}>
            <Thread api={api} conversation={conversation} typing={typing} onTyping={sendTyping} onBack={() => setOpen(undefined)} />
          </ErrorBoundary>
        )
        : <main><p className="empty">Choose a conversation</p></main>}
    </div>
  );
}

function More({ onMore, loading, children }: { onMore: () => Promise<void>; loading: boolean; children: string }) {
  const [failed, setFailed] = useState(false);
  const more = () => void onMore().then(() => setFailed(false), () => setFailed(true));
  return <button className="more" disabled={loading} onClick={more}>{failed ? 'That failed. Try again' : children}</button>;
}

const nameOf = ({ contactName, contactJid }: Conversation) => contactName || contactJid.split('@')[0]!;
const clock = (time: string | null) =>
  time && new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

function Row({ conversation, selected, onOpen }: { conversation: Conversation; selected: boolean; onOpen: () => void }) {
  return (
    <li>
      <button className={selected ? 'row selected' : 'row'} onClick={onOpen}>
        <span className="avatar">{nameOf(conversation)[0]}</span>
        <span className="name">{nameOf(conversation)}</span>
        <time>{clock(conversation.lastMessageAt)}</time>
        <span className="preview">{conversation.lastMessagePreview}</span>
        {conversation.unreadCount > 0 && <span className="badge">{conversation.unreadCount}</span>}
      </button>
    </li>
  );
}

interface ThreadProps {
  api: Api;
  conversation: Conversation;
  typing: string[];
  onTyping: (isTyping: boolean) => void;
  onBack: () => void;
}

function Thread({ api, conversation, typing, onTyping, onBack }: ThreadProps) {
  const { id, unreadCount } = conversation;
  const messages = usePages(keys.messages(id), useCallback((cursor?: string) => api.messages(id, cursor), [api, id]), withMessages);
  const box = useRef<HTMLDivElement>(null);
  const below = useRef(0); // from the top of what is seen to the end of the list
  const [oldest, newest] = [messages.data?.[0]?.id, messages.data?.at(-1)?.id];

  useEffect(() => {
    if (unreadCount > 0) void api.markRead(id).catch(() => {}); // still unread: the next change tries again
  }, [api, id, unreadCount]);
  useLayoutEffect(() => {
    box.current!.scrollTop = box.current!.scrollHeight - below.current; // earlier ones came: what was seen stays
  }, [oldest]);
  useLayoutEffect(() => {
    box.current!.scrollTop = box.current!.scrollHeight;
  }, [newest, typing.length]);

  return (
    <main>
      <header>
        <button className="back" aria-label="Back to the inbox" onClick={onBack}>‹</button>
        <h2>{nameOf(conversation)}</h2>
        <span>{conversation.status}</span>
      </header>
      <div className="messages" ref={box} onScroll={({ currentTarget: { scrollHeight, scrollTop } }) => { below.current = scrollHeight - scrollTop; }}>
        {messages.loadMore && <More onMore={messages.loadMore} loading={messages.loadingMore}>Earlier messages</More>}
        {messages.error && <p className="problem">{messages.error.message}</p>}
        {messages.data?.map((message) => <Bubble key={message.id} message={message} />)}
        {typing.length > 0 && <p className="typing">{typing.join(', ')} typing…</p>}
      </div>
      <Composer api={api} id={id} onTyping={onTyping} />
    </main>
  );
}

const ticks = { pending: '…', sent: '✓', delivered: '✓✓', read: '✓✓', failed: '!' };

function Bubble({ message }: { message: Message }) {
  return (
    <div className={`bubble ${message.direction}`} data-id={message.id}>
      {message.content || <em>{message.mediaFilename || message.messageType}</em>}
      <small>
        {clock(message.timestamp ?? message.createdAt)}
        {message.direction === 'outgoing' && <span className={`status ${message.status}`} title={message.status}>{ticks[message.status]}</span>}
      </small>
    </div>
  );
}

function Composer({ api, id, onTyping }: { api: Api; id: Id; onTyping: (isTyping: boolean) => void }) {
  const client = useQueryClient();
  const [text, setText] = useState('');
  const send = useMutation({
    mutationFn: (draft: { content: string; messageId: string }) => api.send(id, draft.content, draft.messageId),
    retry: 3, // safe: the messageId makes it one message
    onSuccess: (message) => client.setQueryData<Message[]>(keys.messages(id), (list) => list && withMessage(list, message)),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    send.mutate({ content: text, messageId: crypto.randomUUID() });
    setText('');
    onTyping(false);
  };
  return (
    <form className="composer" onSubmit={submit}>
      {send.error && <p className="problem">Not sent: {send.error.message}</p>}
      <input
        aria-label="Message" placeholder="Write a message" value={text} autoFocus
        onChange={(event) => {
          setText(event.target.value);
          onTyping(event.target.value !== '');
        }}
      />
      <button>Send</button>
    </form>
  );
}
