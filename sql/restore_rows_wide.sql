--
-- safeguard.restore_rows() of tables with more columns than a function has
-- arguments, and without any
--
CREATE SCHEMA restore_rows_wide;
SET search_path = restore_rows_wide;
\set VERBOSITY terse
SET client_min_messages = warning;
DO $$
BEGIN
    EXECUTE (SELECT format('CREATE TABLE keyed (id int PRIMARY KEY, %s)', string_agg(format('c%s int DEFAULT %1$s', i), ', ')) FROM generate_series(1, 181) i);
    EXECUTE (SELECT format('CREATE TABLE plain (%s)', string_agg(format('c%s int DEFAULT %1$s', i), ', ')) FROM generate_series(1, 1500) i);
END $$;
CREATE TABLE no_column ();
CREATE TABLE generated (g int GENERATED ALWAYS AS (1) STORED);
INSERT INTO keyed SELECT i FROM generate_series(1, 4) i;
INSERT INTO plain DEFAULT VALUES;
INSERT INTO plain DEFAULT VALUES;
INSERT INTO no_column DEFAULT VALUES;
INSERT INTO no_column DEFAULT VALUES;
INSERT INTO generated DEFAULT VALUES;
SELECT safeguard.migrate('wide', $$
    UPDATE keyed SET c1 = 0, c90 = 0, c91 = 0 WHERE id = 1;
    UPDATE keyed SET c180 = 0 WHERE id = 2;
    UPDATE keyed SET c181 = 0 WHERE id = 3;
    DELETE FROM keyed WHERE id = 4;
    UPDATE plain SET c1499 = 0;
    DELETE FROM no_column WHERE ctid = '(0,1)';
    DELETE FROM generated;
$$, keep_rows => true);
SELECT safeguard.restore_rows('wide');
SELECT id, c1, c90, c91, c180, c181 FROM keyed ORDER BY id;
SELECT c1, c1499, c1500 FROM plain;
SELECT count(*) FROM no_column;
TABLE generated;
-- what differs in one column alone is seen
SELECT safeguard.restore_rows('wide@restored-1');
SELECT id, c1, c90, c91, c180, c181 FROM keyed ORDER BY id;
SELECT c1, c1499, c1500 FROM plain;
SELECT count(*) FROM no_column;
UPDATE keyed SET c179 = 0 WHERE id = 3;
UPDATE plain SET c1500 = NULL WHERE ctid = (SELECT min(ctid) FROM plain);
\set VERBOSITY default
SELECT safeguard.restore_rows('wide', 'keyed');
SELECT safeguard.restore_rows('wide', 'plain');
-- values one by one, and no array of them
SELECT safeguard.row_image(NULL::int, 1) = safeguard.row_image(1, NULL::int) AS same;
SELECT safeguard.row_image(VARIADIC ARRAY[1, 2]);

SELECT count(safeguard.drop_kept_rows(label)) FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_rows_wide CASCADE;
