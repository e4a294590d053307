import { type FormEvent, useEffect, useMemo, useRef, useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { createClient } from '@supabase/supabase-js';
import type { Provider } from 'chat-realtime-topic-feed';
import { io } from 'socket.io-client';
import { type Api, type Conversation, createApi, type Id, type Message } from './api';
import { keys, withMessage } from './cache';
import { useChatRealtime } from './useChatRealtime';
import { useProvider } from './useProvider';
import { Webhooks } from './Webhooks';

interface Session {
  token: string;
  userId: string;
  username: string;
}

/** The user of a token of the login; the server verifies it, the page only reads it. */
function sessionOf(token: string, username: string): Session {
  const claims = JSON.parse(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')));
  return { token, userId: claims.sub, username };
}

/** A product signs in with supabase.auth; here #token=…&name=… of the address, or a form, gives the token. */
export function App() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [session, setSession] = useState(() =>
    given.get('token') ? sessionOf(given.get('token')!, given.get('name') ?? 'Agent') : undefined);
  const [webhooks, setWebhooks] = useState(given.get('page') === 'webhooks');
  if (!session) return <SignIn onSession={setSession} />;
  return webhooks
    ? <Webhooks token={session.token} onBack={() => setWebhooks(false)} />
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

/** The existing server's Socket.IO, connected for as long as the user is on it. */
function useSocket(token: string, provider: Provider) {
  const wanted = provider === 'socketio' || provider === 'both';
  const [socket] = useState(() =>
    io(`${import.meta.env.VITE_SOCKET_URL ?? location.origin}/chat`, { auth: { token }, autoConnect: false, transports: ['websocket'] }));
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
  const [open, setOpen] = useState<Id>();
  const api = useMemo(() => createApi(session.token), [session.token]);
  const supabase = useMemo(() => createClient(
    import.meta.env.VITE_SUPABASE_URL ?? location.origin, import.meta.env.VITE_SUPABASE_ANON_KEY ?? session.token,
    { accessToken: async () => session.token },
  ), [session.token]);
  const conversations = useQuery({ queryKey: keys.conversations, queryFn: api.conversations });
  const conversation = conversations.data?.find(({ id }) => id === open); // none when it was deleted, or given to another agent
  const provider = useProvider(api.provider);
  const { live, typing, sendTyping } = useChatRealtime({
    ...session, conversationId: conversation?.id, fetchEvents: api.events, supabase, socket: useSocket(session.token, provider), provider,
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
        </ul>
        {conversations.data?.length === 0 && <p className="empty">No conversations yet</p>}
        {conversations.error && <p className="problem">{conversations.error.message}</p>}
      </aside>
      {conversation
        ? <Thread key={conversation.id} api={api} conversation={conversation} typing={typing} onTyping={sendTyping} onBack={() => setOpen(undefined)} />
        : <main><p className="empty">Choose a conversation</p></main>}
    </div>
  );
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
  const messages = useQuery({ queryKey: keys.messages(id), queryFn: () => api.messages(id) });
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (unreadCount > 0) void api.markRead(id).catch(() => {}); // still unread: the next change tries again
  }, [api, id, unreadCount]);
  useEffect(() => {
    end.current?.scrollIntoView();
  }, [messages.data, typing.length]);

  return (
    <main>
      <header>
        <button className="back" aria-label="Back to the inbox" onClick={onBack}>‹</button>
        <h2>{nameOf(conversation)}</h2>
        <span>{conversation.status}</span>
      </header>
      <div className="messages">
        {messages.data?.map((message) => <Bubble key={message.id} message={message} />)}
        {typing.length > 0 && <p className="typing">{typing.join(', ')} typing…</p>}
        <div ref={end} />
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
