// A browser's part: an unchanged supabase-js client on private channels, which keeps what it hears.
import { createClient } from '@supabase/supabase-js';
import WebSocket from 'ws';
import { until } from './wait.mjs';

export class Subscriber {
  /** url: of the project; key: anon key; token: JWT of the user. options go to supabase-js' realtime. */
  constructor({ url, key, token, options = {} }) {
    this.token = token;
    this.heard = []; // {topic, event, id, payload, at}
    this.client = createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false },
      accessToken: async () => this.token,
      realtime: { transport: WebSocket, ...options },
    });
  }

  /** Joins a channel and waits for the answer: 'SUBSCRIBED', or throws what the server said. joined is called each time it is again. */
  async join(topic, { isPrivate = true, limit = 15000, joined } = {}) {
    await this.client.realtime.setAuth();
    const channel = this.client.channel(topic, { config: { private: isPrivate } });
    channel.on('broadcast', { event: '*' }, (message) => {
      this.heard.push({ topic, event: message.event, id: message.meta?.id, payload: message.payload, at: performance.now() });
      this.onMessage?.(this.heard.at(-1));
    });
    let state;
    let reason;
    channel.subscribe((status, error) => {
      state = status;
      reason = error;
      if (status === 'SUBSCRIBED') joined?.();
    });
    await until(() => state === 'SUBSCRIBED' || state === 'CHANNEL_ERROR' || state === 'TIMED_OUT', `joining ${topic}`, limit);
    if (state !== 'SUBSCRIBED') {
      // Said now: removing the channel reports CLOSED, without a reason.
      const refusal = new Error(reason?.message ?? state);
      await this.client.removeChannel(channel);
      throw refusal;
    }
    return channel;
  }

  /** Waits for a message that fits, among those heard already too. */
  hears(fits, what, limit = 10000) {
    return until(() => this.heard.find(fits), () => `${what}; heard: ${this.heard.map((m) => `${m.topic} ${m.event}`).join(', ') || 'nothing'}`, limit);
  }

  async close() {
    await this.client.removeAllChannels();
    await this.client.realtime.disconnect();
  }
}
