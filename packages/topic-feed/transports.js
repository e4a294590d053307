// Ways in which events reach the client. A transport opens a topic and tells what comes and whether it is live.

export const providers = ['socketio', 'supabase', 'both', 'polling'];

/** The provider of this name; undefined: there is none. */
export const providerOf = (name) => providers.find((known) => known === name);

/** Milliseconds until a token is asked for again where none could be had. */
const tokenRetry = 5_000;

/**
 * The number of an event: decimal text, or a uuid where events go through the database. Any other id is somebody else's:
 * Realtime gives one to each message that has none, such as those of an old service that still broadcasts by hand.
 */
export function eventId(id) {
  const hexadecimal = /^00000000-0000-8000-8000-([0-9a-f]{12})$/i.exec(String(id))?.[1];
  if (hexadecimal) return parseInt(hexadecimal, 16);
  const number = /^\d+$/.test(String(id)) ? Number(id) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Private channels of Supabase Realtime. It joins again by itself when the connection was lost. */
export function supabaseTransport(supabase) {
  // A topic that is being left cannot be joined: supabase-js would hand out the channel that is on its way out.
  const leaving = new Map();

  function join(topic, listener) {
    const channel = supabase.channel(topic, { config: { private: true } });
    channel.on('broadcast', { event: '*' }, ({ event, payload, meta }) => {
      // On presence:* any participant may say anything, an id included. All else is the service's, with an id.
      if (topic.startsWith('presence:')) listener.event({ event, payload });
      else listener.event({ id: eventId(meta?.id), event, payload });
    });
    return channel.subscribe((state) => listener.live(state === 'SUBSCRIBED'));
  }

  async function leave(topic, channel) {
    const left = supabase.removeChannel(channel);
    leaving.set(topic, left);
    await left;
    if (leaving.get(topic) === left) leaving.delete(topic);
  }

  return (topic, listener) => {
    let closed = false;
    let channel;
    let timer;
    async function open() {
      await leaving.get(topic);
      try {
        await supabase.realtime.setAuth(); // a private channel is joined with the user's token
      } catch {
        if (!closed) timer = setTimeout(open, tokenRetry);
        return;
      }
      if (!closed) channel = join(topic, listener);
    }
    void open();
    return {
      send: (event, payload) => void channel?.send({ type: 'broadcast', event, payload }),
      close: () => {
        closed = true;
        clearTimeout(timer);
        if (channel) void leave(topic, channel);
      },
    };
  };
}

const changes = ['new_message', 'message_status_update', 'message_update', 'conversation_update', 'new_conversation', 'provider.changed'];

/** The existing Socket.IO server, namespace /chat. Clients that are not told events' ids take each only as a hint. */
export const socketTransport = (socket) => (topic, listener) => {
  const conversation = /^conversation:(.+)$/.exec(topic)?.[1];
  const handlers = {
    connect: () => {
      if (conversation) socket.emit('join_conversation', { conversationId: conversation });
      listener.live(true);
    },
    disconnect: () => listener.live(false),
  };
  if (topic.startsWith('presence:')) handlers.typing_status = (payload) => listener.event({ event: 'presence.typing', payload });
  else for (const name of changes) handlers[name] = () => listener.hint();
  for (const [name, handler] of Object.entries(handlers)) socket.on(name, handler);
  if (socket.connected) handlers.connect();
  return {
    send: (event, payload) => void (event === 'presence.typing' && socket.emit('typing_start', payload)),
    close: () => {
      for (const [name, handler] of Object.entries(handlers)) socket.off(name, handler);
      if (conversation) socket.emit('leave_conversation', { conversationId: conversation });
    },
  };
};

/** Of those that there are, the ones that a provider stands for; polling is what is left when there is none. */
export function transportsOf(provider, all) {
  const wanted = provider === 'both' ? [all.supabase, all.socketio] : provider === 'polling' ? [] : [all[provider]];
  return wanted.filter((transport) => transport !== undefined);
}
