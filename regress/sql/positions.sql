-- Leases and positions.
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS chat_realtime;
\set QUIET off

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

-- Without a lease: at the present, or on in the same log. Whom nobody leads rests then, and nothing waits for it.
TRUNCATE chat.consumer;
SELECT log, last_id = COALESCE(chat.last_event_id(), 0) AS at_present FROM chat.consumer_follow('realtime', '', 0, '') \gset
SELECT :'at_present' AS at_present, last_id, snapshot FROM chat.consumer_follow('realtime', :'log', 7, '10:20:15');
SELECT last_id = COALESCE(chat.last_event_id(), 0) AS at_present FROM chat.consumer_follow('realtime', gen_random_uuid()::text, 7, '10:20:15');
SELECT rests_since IS NOT NULL AS rests, last_id = COALESCE(chat.last_event_id(), 0) AS at_present FROM chat.consumer;
SELECT count(*) AS counted FROM chat.sidecar_stats();
SELECT c -> 'rests' AS rests, c -> 'lag' AS lag FROM jsonb_array_elements(chat.status() -> 'consumers') c;
SELECT count(*) AS hints FROM chat.hints() h WHERE h.object IN ('realtime', 'chat.consumer');
-- Who takes the lease goes on where it was; after an hour's rest at the present.
UPDATE chat.consumer SET last_id = 3, snapshot = '10:20:15';
SELECT last_id, snapshot FROM chat.consumer_acquire('realtime', 'a', 60000);
SELECT chat.consumer_rest('realtime');
SELECT rests_since IS NULL AS led FROM chat.consumer;
UPDATE chat.consumer SET expires_at = clock_timestamp() - interval '9 s';
SELECT chat.consumer_rest('realtime');
SELECT rests_since IS NULL AS expected_back FROM chat.consumer;
UPDATE chat.consumer SET expires_at = clock_timestamp() - interval '11 s';
SELECT chat.consumer_rest('realtime');
SELECT rests_since IS NOT NULL AS rests FROM chat.consumer;
UPDATE chat.consumer SET rests_since = clock_timestamp() - interval '61 min';
SELECT last_id = COALESCE(chat.last_event_id(), 3) AS at_present, snapshot <> '10:20:15' AS now FROM chat.consumer_acquire('realtime', 'a', 60000);
-- But one that was sent back to the beginning goes on there, however long it rested before, and does not rest until it is led.
SELECT chat.consumer_release('realtime', epoch) FROM chat.consumer;
UPDATE chat.consumer SET rests_since = clock_timestamp() - interval '61 min', last_id = 9000000000;
SELECT chat.set_consumer('realtime', true, "from" => 'beginning');
SELECT chat.consumer_rest('realtime');
SELECT rests_since IS NULL AS awaited, begins_anew FROM chat.consumer;
UPDATE chat.consumer SET updated_at = updated_at - interval '2 h';
SELECT last_id < 9000000000 AS at_the_beginning FROM chat.consumer_acquire('realtime', 'a', 60000);
SELECT rests_since IS NULL AS led, begins_anew FROM chat.consumer;
-- One that is off rests no longer when it is turned on.
SELECT chat.set_consumer('realtime', false);
UPDATE chat.consumer SET rests_since = clock_timestamp() - interval '61 min';
SELECT chat.set_consumer('realtime', true);
SELECT rests_since, begins_anew FROM chat.consumer;
TRUNCATE chat.consumer;

-- The doorbell: armed by any number of sessions, and off again.
SELECT chat.arm();
SELECT chat.disarm();
SELECT chat.outer_role();
SELECT system_identifier <> 0, timeline FROM chat.cluster_identity();
DELETE FROM chat.consumer WHERE name = 'socketio';

-- Consumers of the first minute begin with what is kept, one that is added later at the present, unless told otherwise.
BEGIN;
TRUNCATE chat.consumer;
SELECT count(chat.emit('kept', 'e', NULL, NULL, NULL, '{}')) FROM generate_series(1, 3);
CREATE TEMP VIEW waiting AS
    SELECT c.name, c.enabled, (SELECT count(*) FROM chat.events e WHERE e.id > c.last_id) = (SELECT count(*) FROM chat.events) AS for_all,
           (SELECT count(*) FROM chat.fresh_events(c.last_id, 10)) = 0 AS for_none FROM chat.consumer c ORDER BY 1;
SELECT count(*) FROM chat.consumer_acquire('realtime', 'a', 60000) r, chat.consumer_acquire('webhooks', 'a', 60000) w;
SELECT * FROM waiting;
UPDATE chat.consumer SET created_at = created_at - interval '2 min';
SELECT count(*) FROM chat.consumer_acquire('socketio', 'a', 60000);
SELECT * FROM waiting;
DELETE FROM chat.consumer WHERE name = 'socketio';
UPDATE chat.consumer SET created_at = NULL;
SELECT chat.set_consumer('socketio', false), chat.set_consumer('socketio', true, "from" => 'beginning');
SELECT * FROM waiting;
SELECT epoch AS epoch FROM chat.consumer_acquire('socketio', 'a', 60000) \gset
SELECT chat.consumer_save('socketio', :epoch, chat.last_event_id(), pg_current_snapshot()::text);
SELECT chat.set_consumer('socketio', true);
SELECT * FROM waiting;
-- Asked for, it reads anew: who led it does not any more.
SELECT chat.set_consumer('socketio', true, 'beginning');
SELECT chat.consumer_save('socketio', :epoch, 1, '1:1:') AS saved;
SELECT * FROM waiting;
SELECT chat.set_consumer('socketio', false, 'beginning'), chat.set_consumer('socketio', true, 'now');
SELECT * FROM waiting;
SELECT object, details FROM chat.audit_log WHERE action = 'consumer.changed' ORDER BY id DESC LIMIT 5;
TRUNCATE chat.event;
SELECT chat.set_consumer('webhooks', true, 'beginning');
SELECT last_id FROM chat.consumer WHERE name = 'webhooks';
ROLLBACK;
\set SHOW_CONTEXT never
SELECT chat.set_consumer('socketio', true, 'yesterday');
SELECT chat.set_consumer('socketio', true, NULL);
SELECT chat.set_consumer('pigeons', true);
SELECT chat.set_consumer(NULL, true);
