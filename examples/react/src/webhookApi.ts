// The backend's routes for webhooks, and the shapes of what they return.
import { createRequest } from './api';
import type { Tokens } from './tokens';

export interface Health {
  id: string;
  url: string;
  isActive: boolean;
  failingSince: string | null;
  pausedUntil: string | null;
  disabledAt: string | null;
  disabledReason: string | null;
  pending: number;
  successRate: number | null;
  p95Ms: number | null;
}

export interface Attempt {
  id: number;
  messageId: string;
  type: string;
  attempt: number;
  status: number;
  error: string | null;
  response: string | null;
  durationMs: number;
  at: string;
  body?: object | null;
}

export type WebhookApi = ReturnType<typeof createWebhookApi>;

export function createWebhookApi(tokens: Tokens) {
  const request = createRequest(tokens);
  const data = async <T>(path: string, body?: unknown, method?: string) => (await request<{ data: T }>(path, body, method)).data;
  return {
    health: () => data<Health[]>('/webhooks/health'),
    attempts: (id: string) => data<Attempt[]>(`/webhooks/${id}/attempts`),
    attempt: (id: number) => data<Attempt>(`/webhook-attempts/${id}`),
    redeliver: (id: number) => data<unknown>(`/webhook-attempts/${id}/redeliver`, {}),
    redeliverSince: (id: string, since: string) => data<unknown>(`/webhooks/${id}/redeliver`, { since }),
    test: (id: string, event: string) => data<unknown>(`/webhooks/${id}/test`, { event }),
    rotate: (id: string) => data<{ secret: string }>(`/webhooks/${id}/rotate-secret`, {}),
    enable: (id: string) => data<unknown>(`/webhooks/${id}`, { isActive: true }, 'PATCH'),
  };
}
