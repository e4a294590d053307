-- What clients of one endpoint do, on its way to those of the others. All of it is lost in a crash, as it may be.

-- Endpoints that take part, and when each of them last said so.
CREATE UNLOGGED TABLE chat.relay_endpoint (
    id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    pid     integer NOT NULL,
    seen_at timestamptz NOT NULL
);
REVOKE ALL ON chat.relay_endpoint FROM PUBLIC;
COMMENT ON TABLE chat.relay_endpoint IS 'Endpoints that share what their clients do: a row lasts as long as a session says so (chat.relay_join), and 6 s more.';

CREATE UNLOGGED TABLE chat.relay (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pid      integer NOT NULL,
    sent_at  timestamptz NOT NULL,
    messages bytea NOT NULL
);
ALTER TABLE chat.relay ALTER messages SET STORAGE EXTERNAL;
REVOKE ALL ON chat.relay FROM PUBLIC;
COMMENT ON TABLE chat.relay IS 'Broadcasts of clients, several in a row, for the endpoints that did not get them themselves: for seconds, and by chat.relay_send and chat.relay_read alone. Lost in a crash, as broadcasts may be.';

CREATE UNLOGGED TABLE chat.relay_presence (
    id         text PRIMARY KEY,
    endpoint   uuid NOT NULL,
    version    bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    changed_at timestamptz NOT NULL,
    presence   bytea
);
ALTER TABLE chat.relay_presence ALTER presence SET STORAGE EXTERNAL;
CREATE INDEX relay_presence_left_idx ON chat.relay_presence (changed_at) WHERE presence IS NULL;
REVOKE ALL ON chat.relay_presence FROM PUBLIC;
COMMENT ON TABLE chat.relay_presence IS 'Who is on the channels of which endpoint, in the form that endpoints agree upon: the newest state of each, which goes with its endpoint. NULL: it left, kept for a minute so that readers learn of it.';
COMMENT ON COLUMN chat.relay_presence.version IS 'Drawn anew with each change, in the order of commits: a reader goes on behind the last one it has had.';
