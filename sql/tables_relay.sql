-- What clients of one endpoint broadcast, on its way to those of the others.

CREATE UNLOGGED TABLE chat.relay (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pid      integer NOT NULL,
    sent_at  timestamptz NOT NULL,
    messages bytea NOT NULL
);
ALTER TABLE chat.relay ALTER messages SET STORAGE EXTERNAL;
REVOKE ALL ON chat.relay FROM PUBLIC;
COMMENT ON TABLE chat.relay IS 'Broadcasts of clients, several in a row, for the endpoints that did not get them themselves: for seconds, and by chat.relay_send and chat.relay_read alone. Lost in a crash, as broadcasts may be.';
