-- PostgREST: chat.pre_request() is its db-pre-request.
--
-- PostgREST runs it in the request's transaction, as the role that the request has without the key (anon, or that of a JWT).
-- The look-up of the key needs the extension's rights; changing the role needs the caller's. Hence two functions.

CREATE FUNCTION chat.request_scope(method text, path text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$
    -- PostgREST passes the path on as it came: an encoded letter must not hide a name.
    SELECT CASE WHEN path ~ '%|api_key|webhook|redeliver' OR COALESCE(path, '') = '' THEN 'chat:admin'
                WHEN method IN ('GET', 'HEAD', 'OPTIONS') OR path ~ '^/rpc/(list_|get_|search_|events_since$|realtime_provider$|current_user_id$|can_join$)'
                THEN 'chat:read' ELSE 'chat:write' END
$$;
REVOKE ALL ON FUNCTION chat.request_scope(text, text) FROM PUBLIC;
COMMENT ON FUNCTION chat.request_scope(text, text) IS 'Scope that a key needs for a request to PostgREST: chat:admin for keys, webhooks and encoded paths, chat:read for reading, else chat:write.';

CREATE FUNCTION chat.authenticate_request() RETURNS chat.auth_result
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    headers jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
BEGIN
    IF headers ? 'x-api-key' THEN
        RETURN chat.authenticate(headers ->> 'x-api-key', chat.request_scope(
            current_setting('request.method', true), current_setting('request.path', true)));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION chat.authenticate_request() IS 'Judges the X-API-Key of the request that PostgREST describes in its settings; NULL: there is none. Safe for anonymous callers: it tells only whoever has a key about that key.';

CREATE FUNCTION chat.rate_limit_headers(answer chat.auth_result) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS
$$
    SELECT CASE WHEN answer.reset_at IS NULL THEN '{}' ELSE jsonb_build_object(
        'RateLimit-Policy', format('"default";q=%s;w=60', answer.rate_limit),
        'RateLimit', format('"default";r=%s;t=%s', answer.remaining,
                            GREATEST(ceil(extract(epoch FROM answer.reset_at - clock_timestamp())), 0)),
        'X-RateLimit-Limit', answer.rate_limit::text, 'X-RateLimit-Remaining', answer.remaining::text,
        'X-RateLimit-Reset', to_char(answer.reset_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) END
        || CASE WHEN answer.status IN (429, 503) THEN jsonb_build_object('Retry-After', ceil(answer.retry_after)::text)
                   WHEN answer.status = 401 THEN '{"WWW-Authenticate": "ApiKey"}' ELSE '{}' END
$$;
COMMENT ON FUNCTION chat.rate_limit_headers(chat.auth_result) IS 'HTTP headers that go with an answer of chat.authenticate.';

CREATE FUNCTION chat.refuse_request(answer chat.auth_result) RETURNS void
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS
$$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'PGRST',
        MESSAGE = jsonb_build_object('code', answer.code, 'message', CASE answer.code
            WHEN 'API_KEY_MISSING' THEN 'API key required' WHEN 'API_KEY_INVALID_FORMAT' THEN 'Invalid API key format'
            WHEN 'API_KEY_INVALID' THEN 'Invalid or inactive API key' WHEN 'API_KEY_EXPIRED' THEN 'API key has expired'
            WHEN 'INSUFFICIENT_SCOPES' THEN 'Insufficient permissions'
            WHEN 'RATE_LIMIT_UNAVAILABLE' THEN 'Rate limits cannot be kept at the moment' ELSE 'Rate limit exceeded' END,
            'details', NULL, 'hint', NULL),
        DETAIL = jsonb_build_object('status', answer.status, 'headers', chat.rate_limit_headers(answer));
END
$$;
COMMENT ON FUNCTION chat.refuse_request(chat.auth_result) IS 'Ends a request to PostgREST (12 and later) with the status, headers and body of an answer of chat.authenticate. Errors: PGRST.';

-- Nothing that it calls takes a user to become: who that is comes from the key alone, or whoever may call functions
-- through PostgREST could name one. The role becomes authenticated, whatever a JWT beside the key said: a key never gives
-- more rights than its user has, and PostgREST's own role must be allowed to take that role anyway. What it calls is
-- executable by PUBLIC because it runs as the request's role, which a JWT may name freely.
CREATE FUNCTION chat.pre_request() RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS
$$
DECLARE
    answer chat.auth_result := chat.authenticate_request();
    role name;
BEGIN
    IF answer.code IS NULL THEN
        RETURN;
    ELSIF NOT answer.allowed THEN
        PERFORM chat.refuse_request(answer);
    END IF;
    PERFORM set_config('response.headers', (SELECT jsonb_agg(jsonb_build_object(h.key, h.value))
                                              FROM jsonb_each(chat.rate_limit_headers(answer)) h)::text, true);
    role := COALESCE((SELECT r.rolname FROM pg_roles r WHERE r.rolname = 'authenticated'), current_user);
    PERFORM set_config('request.jwt.claims', jsonb_build_object('sub', answer.user_id, 'role', role, 'aud', 'authenticated',
                           'api_key_id', answer.key_id, 'scopes', answer.scopes)::text, true),
            -- Where older versions of PostgREST put a JWT's claims, which are read first.
            set_config('request.jwt.claim.sub', answer.user_id, true), set_config('request.jwt.claim.role', role, true),
            set_config('role', role, true);
END
$$;
COMMENT ON FUNCTION chat.pre_request() IS 'For PostgREST''s db-pre-request: a request with X-API-Key acts as the key''s user, or is refused with 401, 403, 429 or 503 and the rate limit''s headers; one without goes on as it is. The role that PostgREST connects as must be a member of authenticated. It runs with the caller''s rights: it gives nobody a role that it could not take. Errors: PGRST; 42501 when the session''s role may not become authenticated.';
