-- What functions take and return, where that is more than a column of a table.

-- Of 1.0, whose functions may be running when an update commits.
CREATE TYPE chat.api_field AS (key text, role text, type text, most_bytes integer);
COMMENT ON TYPE chat.api_field IS 'Not used any more.';

CREATE TYPE chat.hint AS (severity text, object text, hint text, statement text);
COMMENT ON TYPE chat.hint IS 'severity: error (data or events are wrong or missing), warning (something will be, or is not used), info; statement: what mends it, NULL where that is no statement.';

CREATE TYPE chat.missing_index AS (relation regclass, name text, definition text, stale regclass, large boolean);
COMMENT ON TYPE chat.missing_index IS 'An index that a table should have. definition: from its keys on; stale: an index of that name that is another one, or half made; large: making it would hold up writers for longer than a moment.';

CREATE TYPE chat.auth_result AS (allowed boolean, status integer, code text, user_id text, key_id uuid, scopes text[],
                                 rate_limit integer, remaining integer, reset_at timestamptz, retry_after numeric);
COMMENT ON TYPE chat.auth_result IS 'Answer of chat.authenticate. status: the HTTP status that goes with code (200 OK; 401 API_KEY_MISSING, API_KEY_INVALID_FORMAT, API_KEY_INVALID, API_KEY_EXPIRED; 403 INSUFFICIENT_SCOPES; 429 RATE_LIMIT_EXCEEDED; 503 RATE_LIMIT_UNAVAILABLE). With 401 the rest is NULL; with 403 and 503 also what belongs to the rate limit, but for retry_after with 503.';

CREATE TYPE chat.rate_limit_result AS (allowed boolean, remaining integer, reset_at timestamptz, retry_after numeric);
COMMENT ON TYPE chat.rate_limit_result IS 'Answer of a rate limit. remaining: calls that would be let through at once; reset_at: when all of them are available again; retry_after: seconds until a refused call would be let through, 0 for one that was.';

CREATE TYPE chat.webhook_endpoint AS (id uuid, owner text, url text, secret text, old_secret text, events text[]);
COMMENT ON TYPE chat.webhook_endpoint IS 'An active webhook, wherever it is kept.';

CREATE TYPE chat.webhook_outcome AS (webhook uuid, event_id bigint, message_id text, type text, action text, stored boolean, attempt integer,
    status integer, error text, response text, duration_ms integer, delay_ms bigint, counted boolean, disable text, pause_ms bigint);
COMMENT ON TYPE chat.webhook_outcome IS 'What became of a delivery. action: done (nothing more to do), retry (again after delay_ms), hold (an attempt is under way that ends within delay_ms) or store (waits behind others); stored tells whether chat.webhook_delivery has the row; attempt 0: none was made; error NULL: success; counted: a failure of the endpoint, and a step of the schedule; disable: reason to disable the webhook; pause_ms: how long the endpoint gets nothing.';

CREATE TYPE chat.merge AS (attachment integer, from_id text, into_id text, moved bigint, dropped bigint, finished_at timestamptz);
COMMENT ON TYPE chat.merge IS 'How far a merge of chat.merged_conversation has come.';

CREATE TYPE chat.told_event AS (id bigint, xid xid8, snapshot_xmin xid8, next_xid xid8, created_at timestamptz, expires_at timestamptz,
    owner text, conversation text, topic text COLLATE "C", event text, webhook text, changes jsonb, payload text, rights text, row_id bigint);
COMMENT ON TYPE chat.told_event IS 'An event of the log: a row of chat.events.';
