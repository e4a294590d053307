-- Functions that this version does not have are those that were not just made. A call that is running while the update
-- commits goes on in its old body: what that may call stays for as long, but where a new function takes such a call.
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure AS signature, EXISTS (
                   SELECT FROM pg_catalog.pg_proc n
                    WHERE n.pronamespace = p.pronamespace AND n.proname = p.proname AND n.oid <> p.oid
                      AND n.proargtypes::text || ' ' LIKE p.proargtypes::text || ' %') AS replaced
          FROM pg_catalog.pg_proc p
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
         WHERE e.extname = 'chat_realtime' AND p.xmin <> pg_catalog.pg_current_xact_id()::pg_catalog.xid
    LOOP
        IF f.replaced THEN
            EXECUTE pg_catalog.format('DROP FUNCTION %s', f.signature);
        ELSE
            EXECUTE pg_catalog.format('ALTER EXTENSION chat_realtime DROP FUNCTION %s', f.signature);
            EXECUTE pg_catalog.format('COMMENT ON FUNCTION %s IS %L', f.signature, chat.left_over());
        END IF;
    END LOOP;
END
$$;
