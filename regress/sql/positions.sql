-- Leases, positions and reads of the log.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
\set QUIET off
SELECT pg_current_snapshot() AS seen \gset
SELECT chat.emit('positions:' || g, 'e', NULL, NULL, NULL, jsonb_build_object('n', g)) > 0 AS emitted FROM generate_series(1, 5) g;
SELECT min(id) - 1 AS start FROM chat.events WHERE topic LIKE 'positions:%' \gset

-- One holder at a time; a new lease has a new epoch; the old epoch writes nothing any more.
SELECT epoch AS first_epoch, last_id = 0 AS from_start FROM chat.consumer_acquire('socketio', 'a', 60000) \gset
SELECT count(*) FROM chat.consumer_acquire('socketio', 'b', 60000);
SELECT epoch - :first_epoch AS epochs_on FROM chat.consumer_acquire('socketio', 'a', 60000);
SELECT chat.consumer_renew('socketio', :first_epoch, 60000), chat.consumer_renew('socketio', :first_epoch + 1, 60000);
SELECT chat.consumer_save('socketio', :first_epoch, 5, '10:20:'), chat.consumer_save('socketio', :first_epoch + 1, 5, '10:20:15');
SELECT last_id, snapshot FROM chat.consumer WHERE name = 'socketio';
SELECT chat.consumer_release('socketio', :first_epoch + 1);
SELECT count(*) FROM chat.consumer_acquire('socketio', 'b', 1);
\set VERBOSITY terse
SELECT chat.consumer_acquire('unknown', 'a', 1000);
\set VERBOSITY default

-- The header row, the limit, and the end.
SELECT id - :start AS id, topic, event, expired, payload ~ '^\d+:\d+:' AS is_snapshot FROM chat.realtime_read(:start, :'seen', 3);
SELECT id - :start AS id, topic FROM chat.realtime_read(:start + 5, pg_current_snapshot()::text, 3);
-- Rows at or below last_id that the old snapshot could not see come first, without a limit.
SELECT id - :start AS id, topic FROM chat.realtime_read(:start + 5, :'seen', 1);

-- Presence expires.
SELECT chat.emit('positions:x', 'presence.typing', NULL, NULL, NULL, '{}', '-1 s') > 0 AS emitted;
SELECT topic, expired FROM chat.realtime_read(:start + 5, pg_current_snapshot()::text, 3) OFFSET 1;

-- The doorbell: armed by any number of sessions, and off again.
SELECT chat.arm();
SELECT chat.disarm();
SELECT chat.outer_role();
SELECT system_identifier <> 0, timeline FROM chat.cluster_identity();
DELETE FROM chat.consumer WHERE name = 'socketio';
