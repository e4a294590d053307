import { useState } from 'react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { Tokens } from './tokens';
import { createWebhookApi, type Attempt, type Health, type WebhookApi } from './webhookApi';

const time = (at: string | null) => (at ? new Date(at).toLocaleTimeString() : 'never');
const percent = (rate: number | null) => (rate === null ? 'nothing sent' : `${Math.round(rate * 1000) / 10} %`);

/** How the webhooks of a user do, what was sent, and sending again. */
export function Webhooks({ tokens, onBack }: { tokens: Tokens; onBack: () => void }) {
  const [api] = useState(() => createWebhookApi(tokens));
  const [open, setOpen] = useState<string>();
  const health = useQuery({ queryKey: ['webhook-health'], queryFn: api.health, refetchInterval: 2000 });
  const webhook = health.data?.find(({ id }) => id === open);
  return (
    <div className={webhook ? 'desk open' : 'desk'}>
      <aside>
        <header>
          <h1>Webhooks</h1>
          <button className="link" onClick={onBack}>Inbox</button>
        </header>
        <ul>
          {health.data?.map((row) => <Row key={row.id} webhook={row} selected={row.id === open} onOpen={() => setOpen(row.id)} />)}
        </ul>
        {health.data?.length === 0 && <p className="empty">No webhooks yet</p>}
        {health.error && <p className="problem">{health.error.message}</p>}
      </aside>
      {webhook
        ? <Details key={webhook.id} api={api} webhook={webhook} onBack={() => setOpen(undefined)} />
        : <main><p className="empty">Choose a webhook</p></main>}
    </div>
  );
}

function stateOf({ isActive, failingSince, pausedUntil }: Health) {
  if (!isActive) return 'off';
  if (failingSince) return `failing since ${time(failingSince)}`;
  return pausedUntil ? `paused until ${time(pausedUntil)}` : 'on';
}

function Row({ webhook, selected, onOpen }: { webhook: Health; selected: boolean; onOpen: () => void }) {
  const well = webhook.isActive && !webhook.failingSince;
  return (
    <li>
      <button className={selected ? 'row hook selected' : 'row hook'} onClick={onOpen}>
        <span className="name">{webhook.url}</span>
        <span className={well ? 'state live' : 'state'}>{stateOf(webhook)}</span>
        <span className="preview">{percent(webhook.successRate)}{webhook.p95Ms !== null && ` · p95 ${webhook.p95Ms} ms`}</span>
        {webhook.pending > 0 && <span className="badge" title="waiting to be sent">{webhook.pending}</span>}
      </button>
    </li>
  );
}

function Details({ api, webhook, onBack }: { api: WebhookApi; webhook: Health; onBack: () => void }) {
  const client = useQueryClient();
  const [chosen, setChosen] = useState<number>();
  const [secret, setSecret] = useState('');
  const attempts = useQuery({ queryKey: ['webhook-attempts', webhook.id], queryFn: () => api.attempts(webhook.id), refetchInterval: 2000 });
  const act = useMutation({ mutationFn: (what: () => Promise<unknown>) => what(), onSettled: () => client.invalidateQueries() });
  const anHourAgo = () => new Date(Date.now() - 3600_000).toISOString();
  return (
    <main>
      <header>
        <button className="back" aria-label="Back to the webhooks" onClick={onBack}>‹</button>
        <h2>{webhook.url}</h2>
        <button className="link" onClick={() => act.mutate(() => api.test(webhook.id, 'message.received'))}>Test</button>
        <button className="link" onClick={() => act.mutate(() => api.redeliverSince(webhook.id, anHourAgo()))}>Send the last hour again</button>
        <button className="link" onClick={() => act.mutate(async () => setSecret((await api.rotate(webhook.id)).secret))}>New secret</button>
        {!webhook.isActive && <button className="link" onClick={() => act.mutate(() => api.enable(webhook.id))}>Turn on</button>}
      </header>
      {secret && <p className="secret">The new secret, shown only now: <code>{secret}</code>. The old one is good for 24 hours more.</p>}
      {webhook.disabledReason && <p className="problem">Turned off at {time(webhook.disabledAt)}: {webhook.disabledReason}</p>}
      {act.error && <p className="problem">{act.error.message}</p>}
      <div className="attempts">
        <table>
          <thead><tr><th>Time</th><th>Event</th><th>Attempt</th><th>Answer</th><th>ms</th></tr></thead>
          <tbody>
            {attempts.data?.map((attempt) => (
              <tr key={attempt.id} className={attempt.error ? 'failed' : undefined} aria-selected={attempt.id === chosen} onClick={() => setChosen(attempt.id)}>
                <td><button className="link">{time(attempt.at)}</button></td><td>{attempt.type}</td><td>{attempt.attempt}</td>
                <td>{attempt.error ?? attempt.status}</td><td>{attempt.durationMs}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {attempts.data?.length === 0 && <p className="empty">Nothing was sent in the last 7 days</p>}
      </div>
      {chosen !== undefined && <Sent key={chosen} api={api} id={chosen} onAgain={(attempt) => act.mutate(() => api.redeliver(attempt.id))} />}
    </main>
  );
}

function Sent({ api, id, onAgain }: { api: WebhookApi; id: number; onAgain: (attempt: Attempt) => void }) {
  const attempt = useQuery({ queryKey: ['webhook-attempt', id], queryFn: () => api.attempt(id), staleTime: Infinity });
  if (!attempt.data) return <section className="sent">{attempt.error?.message}</section>;
  const { body, response, messageId } = attempt.data;
  return (
    <section className="sent">
      <header>
        <h2>{messageId}</h2>
        {body && <button className="link" onClick={() => onAgain(attempt.data)}>Send again</button>}
      </header>
      <h3>Sent</h3>
      <pre className="payload">{body ? JSON.stringify(body, null, 2) : 'no longer kept'}</pre>
      <h3>Answer</h3>
      <pre className="answer">{response ?? 'none'}</pre>
    </section>
  );
}
