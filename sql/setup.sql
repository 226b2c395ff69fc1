--
-- Runs first: creates the extension, and makes all later sessions of this
-- database load the library, whether or not the server has preloaded it.
--

-- the warning that only this session is guarded depends on just that
SET client_min_messages = error;
CREATE EXTENSION safeguard;
RESET client_min_messages;

SELECT extname, extrelocatable FROM pg_extension WHERE extname = 'safeguard';

DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = %L',
                   current_database(), 'safeguard');
END
$$;

\c -
SHOW safeguard.enabled;
SHOW safeguard.composite_key;

-- every public object says what it is for
SELECT pg_describe_object(classid, objid, 0) AS undescribed
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'safeguard')
   AND deptype = 'e'
   AND classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass)
   AND obj_description(objid, classid::regclass::text) IS NULL
 ORDER BY pg_describe_object(classid, objid, 0) COLLATE "C";
