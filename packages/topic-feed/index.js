export { TopicFeed } from './feed.js';
export { fetchEventsOf, fetchProviderOf } from './postgrest.js';
export { eventId, providerOf, providers, socketTransport, supabaseTransport, transportsOf } from './transports.js';
export { UserFeeds } from './user.js';
