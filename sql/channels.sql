-- Policies on realtime.messages: by them Supabase Realtime decides who may do what on a private channel.
--
-- A policy must look at the row's topic, too, not only at realtime.topic(): else who may join one topic can INSERT rows
-- for all others, and SELECT them. Clients broadcast on presence:* alone: on conversation:* and user:* all comes from the
-- service, so that front ends can take it for what the database said.

CREATE FUNCTION chat.channel_policies() RETURNS TABLE (name name, command "char", condition text, earlier text[])
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    VALUES
        ('chat_realtime_read', 'r',
         $c$topic = (SELECT realtime.topic()) AND extension = ANY (ARRAY['broadcast', 'presence'])
            AND (SELECT chat.can_join((SELECT realtime.topic())))$c$,
         ARRAY[$c$extension = ANY (ARRAY['broadcast', 'presence']) AND (SELECT chat.can_join((SELECT realtime.topic())))$c$]),
        ('chat_realtime_write', 'a',
         $c$topic = (SELECT realtime.topic()) AND CASE extension
                WHEN 'presence' THEN chat.can_join(topic) AND topic !~ '^user:'
                WHEN 'broadcast' THEN chat.can_join(topic, true) ELSE false END$c$,
         ARRAY[$c$extension = ANY (ARRAY['broadcast', 'presence']) AND (SELECT chat.can_join((SELECT realtime.topic()), true))$c$])
$$;
REVOKE ALL ON FUNCTION chat.channel_policies() FROM PUBLIC;
COMMENT ON FUNCTION chat.channel_policies() IS 'The policies on realtime.messages: condition as it is now, and as earlier versions had it.';

-- None of the conditions reads differently without its parentheses.
CREATE FUNCTION chat.bare_condition(condition text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS
$$ SELECT regexp_replace(condition, '\sAS\s+\w+|::text|[\s()]', '', 'g') $$;
REVOKE ALL ON FUNCTION chat.bare_condition(text) FROM PUBLIC;
COMMENT ON FUNCTION chat.bare_condition(text) IS 'A condition without what PostgreSQL adds when it shows one.';

CREATE FUNCTION chat.channel_policy_states() RETURNS TABLE (name name, command text, clause text, condition text, state text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    IF to_regclass('realtime.messages') IS NULL OR to_regprocedure('realtime.topic()') IS NULL
       OR chat.existing_roles('authenticated') IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.name, CASE p.command WHEN 'r' THEN 'SELECT' ELSE 'INSERT' END, CASE p.command WHEN 'r' THEN 'USING' ELSE 'WITH CHECK' END,
           p.condition,
           CASE WHEN y.oid IS NULL THEN 'missing'
                WHEN y.polcmd <> p.command OR NOT y.polpermissive OR y.polroles::regrole[]::text <> '{authenticated}' THEN 'changed'
                WHEN y.bare = chat.bare_condition(p.condition) THEN 'current'
                WHEN y.bare IN (SELECT chat.bare_condition(e) FROM unnest(p.earlier) e) THEN 'earlier'
                ELSE 'changed' END
      FROM chat.channel_policies() p
      LEFT JOIN (SELECT k.*, chat.bare_condition(pg_get_expr(COALESCE(k.polqual, k.polwithcheck), k.polrelid)) AS bare
                   FROM pg_policy k WHERE k.polrelid = 'realtime.messages'::regclass) y ON y.polname = p.name;
END
$$;
REVOKE ALL ON FUNCTION chat.channel_policy_states() FROM PUBLIC;
COMMENT ON FUNCTION chat.channel_policy_states() IS 'The policies on realtime.messages as they are there: missing, current, earlier (an earlier version''s text) or changed (by somebody). No row without Supabase Realtime.';

CREATE FUNCTION chat.channel_changes() RETURNS TABLE (object text, action text, statement text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$
    SELECT 'realtime.messages', v.action, v.statement
      FROM chat.channel_policy_states() p,
           LATERAL (VALUES ('missing', format('policy %s created', p.name),
                    format('CREATE POLICY %I ON realtime.messages FOR %s TO authenticated %s (%s)', p.name, p.command, p.clause, p.condition)),
                   ('earlier', format('policy %s replaced: with the earlier version''s participants could send and read more than they may', p.name),
                    format('ALTER POLICY %I ON realtime.messages %s (%s)', p.name, p.clause, p.condition)),
                   ('changed', format('policy %s left as it is: somebody has changed it', p.name), NULL)) v (state, action, statement)
     WHERE v.state = p.state
$$;
REVOKE ALL ON FUNCTION chat.channel_changes() FROM PUBLIC;
COMMENT ON FUNCTION chat.channel_changes() IS 'What chat.setup does about the policies on realtime.messages: makes them, and replaces those of earlier versions; one that somebody changed is left.';

CREATE FUNCTION chat.channel_hints() RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
    SELECT format('policy %s on realtime.messages is an earlier version''s, with which participants can send and read more than they may: '
                  'SELECT * FROM chat.setup()', s.name)
      FROM chat.channel_policy_states() s WHERE s.state = 'earlier' ORDER BY s.name
$$;
REVOKE ALL ON FUNCTION chat.channel_hints() FROM PUBLIC;
COMMENT ON FUNCTION chat.channel_hints() IS 'Part of chat.status, and of the sidecar''s /readyz: policies on realtime.messages that are to be replaced.';
