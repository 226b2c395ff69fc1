--
-- Incident 2 (99.98 % of a load lost): an upsert whose key is not the identity.
-- The numbers are those of the post-mortem: 58,600 patches in 2,344 pages of
-- 25, patch_id unique, update_id running from 0 to 9 and starting again.
--
-- Expected: three warnings for the load, when it has proposed 100, 1,000 and
-- 10,000 rows, each with proposed, inserted, replaced, distinct keys, and the
-- column patch_id in the hint.  An error instead of the first at level error.
-- Not a word about the load by the right key.
--
CREATE SCHEMA incident_2;
SET search_path = incident_2;
-- what the interface delivers, in its order
CREATE TABLE delivered AS
SELECT n, n % 10 AS update_id, 5000000 + n AS patch_id, 'Patch ' || n AS title, n % 7 = 0 AS reboot
  FROM generate_series(0, 58599) n;
ALTER TABLE delivered ADD PRIMARY KEY (n);
CREATE TABLE supported_patches (
    update_id integer PRIMARY KEY,
    patch_id integer NOT NULL,
    title text NOT NULL,
    reboot boolean NOT NULL
);
SELECT count(*) AS patches, count(DISTINCT patch_id) AS patch_ids, count(DISTINCT update_id) AS update_ids,
       count(DISTINCT n / 25) AS pages
  FROM delivered;

-- the load that ran, a page in a transaction of its own
DO $$
DECLARE
    p delivered;
BEGIN
    FOR page IN 0..2343 LOOP
        FOR p IN SELECT * FROM delivered WHERE n >= page * 25 AND n < page * 25 + 25 ORDER BY n LOOP
            INSERT INTO supported_patches (update_id, patch_id, title, reboot)
            VALUES (p.update_id, p.patch_id, p.title, p.reboot)
            ON CONFLICT (update_id) DO UPDATE
               SET patch_id = EXCLUDED.patch_id, title = EXCLUDED.title, reboot = EXCLUDED.reboot;
        END LOOP;
        COMMIT;
    END LOOP;
END
$$;
-- it ends without an error, and this is what is left
SELECT count(*), min(patch_id), max(patch_id) FROM supported_patches;

-- what was to be found out before: which column identifies a patch
SELECT rows, distinct_keys, duplicate_keys, surplus_rows, null_rows, is_unique,
       jsonb_array_length(sample) > 0 AS sample
  FROM safeguard.check_key('delivered', 'update_id');
SELECT rows, distinct_keys, duplicate_keys, surplus_rows, null_rows, is_unique, sample
  FROM safeguard.check_key('delivered', 'patch_id');
-- a sample of more than 100 rows tells it, too
CREATE TABLE sample AS SELECT update_id, patch_id, reboot FROM delivered WHERE n < 250;
SELECT * FROM safeguard.suggest_keys('sample');

-- at level error the load stops at its 100th row; nothing of that transaction is left
\c -
SET search_path = incident_2;
TRUNCATE supported_patches;
SET safeguard.upsert_overwrite = error;
DO $$
DECLARE
    p delivered;
BEGIN
    FOR p IN SELECT * FROM delivered ORDER BY n LOOP
        INSERT INTO supported_patches (update_id, patch_id, title, reboot)
        VALUES (p.update_id, p.patch_id, p.title, p.reboot)
        ON CONFLICT (update_id) DO UPDATE
           SET patch_id = EXCLUDED.patch_id, title = EXCLUDED.title, reboot = EXCLUDED.reboot;
    END LOOP;
END
$$;
SELECT count(*) FROM supported_patches;

-- the table as it was meant, at the same level: every row arrives, twice over
\c -
SET search_path = incident_2;
SET safeguard.upsert_overwrite = error;
DROP TABLE supported_patches;
CREATE TABLE supported_patches (
    patch_id integer PRIMARY KEY,
    update_id integer NOT NULL,
    title text NOT NULL,
    reboot boolean NOT NULL
);
DO $$
DECLARE
    p delivered;
BEGIN
    FOR round IN 1..2 LOOP
        FOR p IN SELECT * FROM delivered ORDER BY n LOOP
            INSERT INTO supported_patches (patch_id, update_id, title, reboot)
            VALUES (p.patch_id, p.update_id, p.title, p.reboot)
            ON CONFLICT (patch_id) DO UPDATE
               SET update_id = EXCLUDED.update_id, title = EXCLUDED.title, reboot = EXCLUDED.reboot;
        END LOOP;
    END LOOP;
END
$$;
SELECT count(*) FROM supported_patches;

\set VERBOSITY terse
DROP SCHEMA incident_2 CASCADE;
