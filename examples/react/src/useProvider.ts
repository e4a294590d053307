// How the signed-in user is served: over Socket.IO, over Realtime, or both while users are moved from the one to the other.
import { skipToken, useQuery } from '@tanstack/react-query';
import { type Provider, providerOf, providers } from 'chat-realtime-topic-feed';
import { keys } from './cache';

/** What this build of the front end is for, whatever the backend says of the user; without a word the backend is asked. */
const providerOfBuild = providerOf(import.meta.env.VITE_CHAT_REALTIME_PROVIDER);
if (import.meta.env.VITE_CHAT_REALTIME_PROVIDER && !providerOfBuild) {
  throw new Error(`VITE_CHAT_REALTIME_PROVIDER is "${import.meta.env.VITE_CHAT_REALTIME_PROVIDER}", and none of ${providers.join(', ')}`);
}

/** The event tells of each change; who cannot hear it asks now and then. */
const askEvery = 60_000;

export type FetchProvider = () => Promise<Provider>;

/**
 * The build's word; else what the backend says, and what provider.changed of the user's inbox has said since (cache.ts). otherwise:
 * while nothing is known.
 */
export function useProvider(fetchProvider?: FetchProvider, otherwise: Provider = 'polling'): Provider {
  const { data } = useQuery({
    queryKey: keys.provider, queryFn: providerOfBuild || !fetchProvider ? skipToken : fetchProvider, refetchInterval: askEvery,
  });
  return providerOfBuild ?? data ?? otherwise;
}
