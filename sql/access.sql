-- Who calls, and what a caller may join.

CREATE FUNCTION chat.current_user_id() RETURNS text
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_current_user_id';
COMMENT ON FUNCTION chat.current_user_id() IS 'The user of the request''s claims, as auth.uid() of Supabase reads them; NULL for none.';

CREATE FUNCTION chat.require_attached() RETURNS void
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_require_attached_sql';
REVOKE ALL ON FUNCTION chat.require_attached() FROM PUBLIC;
COMMENT ON FUNCTION chat.require_attached() IS 'Error 55000 when there is nothing that a function of the API could be about.';

CREATE FUNCTION chat.is_service_caller() RETURNS boolean
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'chat_is_service_caller';
REVOKE ALL ON FUNCTION chat.is_service_caller() FROM PUBLIC;
COMMENT ON FUNCTION chat.is_service_caller() IS 'True when the calling role acts for every user: a superuser, one with BYPASSRLS, or one named to chat.grant_backend. Claims give nothing.';

CREATE FUNCTION chat.key_fits(relation regclass, name text, value text) RETURNS boolean
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'chat_key_fits_sql';
REVOKE ALL ON FUNCTION chat.key_fits(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.key_fits(regclass, text, text) IS 'True when a text can be a value of a key column, so that a cast does not raise; NULL: no such column.';

-- Topics do not say which pair of tables they belong to. Where several pairs have a conversation of the same id, its
-- topics carry the events of all of them: only who takes part in each may join.
CREATE FUNCTION chat.takes_part(conversation_id text, user_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    pair chat.attachment;
    key text;
    here boolean;
    found boolean := false;
BEGIN
    FOR pair IN SELECT a.* FROM chat.attachment a ORDER BY a.id LOOP
        key := pair.columns ->> 'conversation_id';
        CONTINUE WHEN chat.key_fits(pair.conversations, key, conversation_id) IS NOT TRUE;
        here := chat.run(NULL::boolean, pair.id, 'takes_part', conversation_id, conversation_id, user_id);
        IF NOT here THEN
            RETURN false;
        END IF;
        found := found OR here IS TRUE;
    END LOOP;
    RETURN found;
END
$$;
REVOKE ALL ON FUNCTION chat.takes_part(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.takes_part(text, text) IS 'Whether a user owns a conversation or is its agent, in every attached pair of tables that has one of this id; false for what is no id, or not spelled as events spell it.';

CREATE FUNCTION chat.may_join(topic text, user_id text, write boolean) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    part text[] := regexp_match(topic, '^(conversation|presence):([^:]+)$');
BEGIN
    IF user_id IS NULL OR topic IS NULL THEN
        RETURN false;
    END IF;
    IF part IS NOT NULL THEN
        RETURN (NOT write OR part[1] = 'presence') AND chat.takes_part(part[2], user_id);
    END IF;
    RETURN NOT write AND topic = 'user:' || user_id || ':inbox';
END
$$;
REVOKE ALL ON FUNCTION chat.may_join(text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.may_join(text, text, boolean) IS 'The rule behind chat.can_join: a conversation''s owner and agent join its topics, a user its own inbox. They broadcast on presence:* alone: what a client could send elsewhere would look like an event.';

-- An error would end the check of a policy, and with it every private channel of the project.
CREATE FUNCTION chat.can_join(topic text, write boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN COALESCE(chat.may_join(topic, chat.current_user_id(), COALESCE(write, false)), false);
EXCEPTION
    WHEN data_exception OR program_limit_exceeded THEN -- claims that are no JSON are nobody's
        RETURN false;
    WHEN others THEN
        RAISE WARNING 'chat.can_join: %', SQLERRM;
        RETURN false;
END
$$;
COMMENT ON FUNCTION chat.can_join(text, boolean) IS 'Whether the caller''s own claims allow joining a topic (write: broadcasting to it); never an error. For policies on realtime.messages; anonymous callers get false.';

CREATE FUNCTION chat.can_join(topic text, claims jsonb, write boolean DEFAULT false) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RETURN COALESCE(claims ->> 'role' = 'service_role'
                    OR chat.may_join(topic, nullif(claims ->> 'sub', ''), COALESCE(write, false)), false);
EXCEPTION WHEN others THEN
    RAISE WARNING 'chat.can_join: %', SQLERRM;
    RETURN false;
END
$$;
REVOKE ALL ON FUNCTION chat.can_join(text, jsonb, boolean) FROM PUBLIC;
COMMENT ON FUNCTION chat.can_join(text, jsonb, boolean) IS 'The same for claims that the caller has verified: for the sidecar and for service callers only.';

CREATE FUNCTION chat.require_role(role name) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = $1) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('role "%s" does not exist', role),
            HINT = format('CREATE ROLE %I LOGIN PASSWORD ...;', role);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.require_role(name) FROM PUBLIC;
COMMENT ON FUNCTION chat.require_role(name) IS 'Error 42704 when there is no such role.';

CREATE FUNCTION chat.grant_functions(role name, names text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    signature regprocedure;
BEGIN
    PERFORM chat.require_role(role);
    EXECUTE format('GRANT USAGE ON SCHEMA chat TO %I', role);
    FOR signature IN SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = 'chat'::regnamespace AND p.proname = ANY (names) ORDER BY p.oid
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', signature, role);
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION chat.grant_functions(name, text[]) FROM PUBLIC;
COMMENT ON FUNCTION chat.grant_functions(name, text[]) IS 'Grants functions of schema chat by name.';

CREATE FUNCTION chat.grant_sidecar(role name) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.grant_functions(role, '{consumer_acquire,consumer_renew,consumer_release,consumer_save,consumer_follow,consumer_rest,read_log,sidecar_protocol,arm,
        disarm,sidecar_stats,sidecar_gauges,api_stats,can_join,webhook_terms,webhook_last,webhook_due,webhook_save,webhook_pending,webhook_failing,webhook_again,webhook_origins,
        maintain,status,channel_hints,realtime_provider,set_realtime_health,socketio_listen,socketio_send,relay_join,relay_leave,relay_send,relay_read,relay_presence_put,relay_presence_read,
        realtime_slots,realtime_insert,send_canary}');
    IF to_regclass('public.socket_io_attachments') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT (id), INSERT (payload) ON public.socket_io_attachments TO %I', role);
        EXECUTE COALESCE((SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', s, role) FROM pg_get_serial_sequence('public.socket_io_attachments', 'id') s WHERE s IS NOT NULL), '');
    END IF;
END
$$;
REVOKE ALL ON FUNCTION chat.grant_sidecar(name) FROM PUBLIC;
COMMENT ON FUNCTION chat.grant_sidecar(name) IS 'Gives a role exactly what the sidecar needs: functions, and of tables only public.socket_io_attachments, where it is, to add to it. Errors: 42704.';

CREATE FUNCTION chat.grant_endpoint(role name) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT chat.grant_functions(role, '{can_join,replay,endpoint_presence,relay_join,relay_leave,relay_send,relay_read,relay_presence_put,relay_presence_read}')
$$;
REVOKE ALL ON FUNCTION chat.grant_endpoint(name) FROM PUBLIC;
COMMENT ON FUNCTION chat.grant_endpoint(name) IS 'Gives a role what the embedded endpoint, which strangers talk to, asks of the database: who may join, and what they missed; and what it tells it: who is at a conversation, and what other endpoints'' clients are to hear. No secret. Errors: 42704.';

CREATE FUNCTION chat.backend_functions() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT '{ingest_wuzapi,verify_wuzapi,presence,create_webhook,events_since,can_join,current_user_id,status,check_rate_limit,api_stats,
        save_message,update_message_status,edit_message,delete_message,mark_read,list_messages,list_conversations,get_conversation,
        create_conversation,update_conversation,archive_conversation,delete_conversation,search_messages,topic_events,
        list_webhooks,update_webhook,delete_webhook,rotate_webhook_secret,test_webhook,enable_webhook,redeliver,
        list_webhook_attempts,get_webhook_attempt,webhook_health,
        realtime_provider,pending_messages,message_sent,message_failed,action_done,send_edit,send_deletion,send_reaction,send_read,recipient,
        authenticate,request_by,create_api_key,rotate_api_key,revoke_api_key,list_api_keys,update_api_key}'::text[]
$$;
REVOKE ALL ON FUNCTION chat.backend_functions() FROM PUBLIC;
COMMENT ON FUNCTION chat.backend_functions() IS 'Names of the functions for a backend server, and for Supabase''s service_role.';

CREATE FUNCTION chat.user_functions() RETURNS text[]
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    -- The others count or ask for somebody else.
    SELECT ARRAY(SELECT n FROM unnest(chat.backend_functions()) n
                  WHERE n NOT IN ('status', 'verify_wuzapi', 'check_rate_limit', 'api_stats', 'request_by', 'authenticate', 'can_join',
                                    'pending_messages', 'message_sent', 'message_failed', 'action_done'))
$$;
REVOKE ALL ON FUNCTION chat.user_functions() FROM PUBLIC;
COMMENT ON FUNCTION chat.user_functions() IS 'Names of the functions that a signed-in user may call for itself: each checks ownership.';

CREATE FUNCTION chat.grant_backend(role name) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.grant_functions(role, chat.backend_functions());
    INSERT INTO chat.backend_role AS b (role) VALUES ($1) ON CONFLICT DO NOTHING;
END
$$;
REVOKE ALL ON FUNCTION chat.grant_backend(name) FROM PUBLIC;
COMMENT ON FUNCTION chat.grant_backend(name) IS 'Makes a role a service caller: it may call the API functions for every user. Errors: 42704.';

CREATE FUNCTION chat.grant_admin(role name) RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    PERFORM chat.grant_functions(role, '{grant_sidecar,grant_endpoint,grant_backend,set_rollout,set_provider,set_consumer}');
    EXECUTE format('GRANT SELECT ON chat.attachment, chat.consumer, chat.rollout, chat.provider_override, chat.audit_log TO %I', role);
    PERFORM chat.audit('admin.granted', role::text);
END
$$;
REVOKE ALL ON FUNCTION chat.grant_admin(name) FROM PUBLIC;
COMMENT ON FUNCTION chat.grant_admin(name) IS 'Lets a role that is no superuser administer chat_realtime: attach its tables beside those of others, name roles to chat.grant_sidecar, chat.grant_endpoint and chat.grant_backend, move the rollout, turn consumers off, see all of chat.status and mend all counters. Whoever may do this can reach everybody''s messages. For superusers. Errors: 42704.';
