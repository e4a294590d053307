// What the feeds ask, where schema chat is exposed by PostgREST and there is no backend in between.

async function call(supabase, name, args) {
  const { data, error } = await supabase.schema('chat').rpc(name, args);
  if (error) throw Object.assign(new Error(error.message), { code: error.code });
  return data;
}

/** Catch-up: chat.topic_events as the signed-in user. */
export const fetchEventsOf = (supabase) => async (topic, after) => {
  const page = await call(supabase, 'topic_events', { topic, after_id: after ?? null });
  if (!page) throw new Error(`${topic} is no topic of this user`);
  return page;
};

/** How the signed-in user is served. */
export const fetchProviderOf = (supabase) => () => call(supabase, 'realtime_provider', {});
