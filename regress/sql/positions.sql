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

-- The doorbell: armed by any number of sessions, and off again.
SELECT chat.arm();
SELECT chat.disarm();
SELECT chat.outer_role();
SELECT system_identifier <> 0, timeline FROM chat.cluster_identity();
DELETE FROM chat.consumer WHERE name = 'socketio';
