-- Rate limits and the counters of the API. Both are in shared memory: they see requests that roll back, and are
-- empty after a restart of the server.

CREATE FUNCTION chat.check_rate_limit(bucket text, max_requests integer, per interval) RETURNS chat.rate_limit_result
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_check_rate_limit';
REVOKE ALL ON FUNCTION chat.check_rate_limit(text, integer, interval) FROM PUBLIC;
COMMENT ON FUNCTION chat.check_rate_limit(text, integer, interval) IS 'Counts one call in a bucket (its name is the caller''s choice, at most 255 bytes, such as api-chat:<user id>) and says whether at most max_requests (1 to 1,000,000,000) per interval (1 ms to 31 days) are kept: no stretch of time as long as per has more, wherever it begins. The same bucket under another limit counts apart. Counts also when the transaction rolls back. For service callers. Errors: 22004, 22023, 53400 when the half of the table that is for names is full, 55000 without shared memory.';

CREATE FUNCTION chat.limit_typing(conversation_id text, user_id text, is_typing boolean) RETURNS boolean
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_limit_typing';
REVOKE ALL ON FUNCTION chat.limit_typing(text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.limit_typing(text, text, boolean) IS 'Counts one typing event of a user in a conversation: at most 1 a second that starts and 1 that stops; false: there were more, and it is not sent. Part of chat.presence. Without shared memory, or room in it, it lets everything through and warns once a session.';

CREATE FUNCTION chat.request_by(by text) RETURNS boolean
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'chat_request_by';
REVOKE ALL ON FUNCTION chat.request_by(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.request_by(text) IS 'Says for whom a backend makes the next call of this transaction, for chat.api_stats: key, jwt or service; true. Written in front of the call: SELECT chat.list_messages(...) FROM chat.request_by(''jwt''). It changes nothing else. Errors: 22023.';

CREATE FUNCTION chat.api_stats(OUT kind text, OUT name text, OUT calls bigint, OUT seconds double precision,
                               OUT bounds double precision[], OUT within bigint[]) RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'chat_api_stats';
REVOKE ALL ON FUNCTION chat.api_stats() FROM PUBLIC;
COMMENT ON FUNCTION chat.api_stats() IS 'What was counted since the server started, over all databases. kind code: answers of chat.authenticate by code. kind request: requests by who asks and how they ended, each counted once, whatever functions it enters: name is key, jwt or service (a backend that did not say, see chat.request_by), a space, and ok, a class of SQLSTATE or other; what chat.authenticate refuses is 28 (401), 42 (403), PT (429) or 53 (503). kind function: calls of an API function, the seconds they took together, and of a histogram the bounds in seconds and how many calls took at most that long; those that were not called, too. kind buckets: rate limits that limit somebody now, of keys and owners (keys) and of names given to chat.check_rate_limit (names), and kind bucket_limit how many there can be. No row without shared memory. For the sidecar and service callers.';
