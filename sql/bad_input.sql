--
-- What makes no sense is refused, with a word on what would
--
CREATE SCHEMA bad_input;
SET search_path = bad_input;
CREATE TABLE plain (id int, name text, dropped int);
ALTER TABLE plain DROP COLUMN dropped;
CREATE VIEW over AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW copy AS SELECT * FROM plain;
CREATE SEQUENCE numbers;
CREATE INDEX plain_id ON plain (id);
CREATE TYPE pair AS (a int, b int);

-- parameters
SET safeguard.composite_key = maybe;
SET safeguard.composite_key = on;
SET safeguard.max_level = 'high';
SET safeguard.composit_key = off;

-- rule, level
SELECT safeguard.set_level('plain', 'composit_key', 'off');
SELECT safeguard.set_level('plain', 'COMPOSITE_KEY', 'off');
SELECT safeguard.set_level('plain', 'composite_key', 'on');
SELECT safeguard.set_level('plain', 'composite_key', '');
SELECT safeguard.clear_level('plain', 'composit_key');

-- column, role
SELECT safeguard.set_column('plain', 'nix', 'scope');
SELECT safeguard.set_column('plain', 'ctid', 'scope');
SELECT safeguard.set_column('plain', '........pg.dropped.3........', 'scope');
SELECT safeguard.set_column('plain', 'id', 'key');
SELECT safeguard.clear_column('plain', 'nix', 'scope');
SELECT safeguard.clear_column('plain', 'id', 'key');

-- kinds of relations
SELECT safeguard.set_level('over', 'composite_key', 'off');
SELECT safeguard.set_level('copy', 'composite_key', 'off');
SELECT safeguard.set_level('numbers', 'composite_key', 'off');
SELECT safeguard.set_level('plain_id', 'composite_key', 'off');
SELECT safeguard.set_level('pair', 'composite_key', 'off');
SELECT safeguard.set_column('over', 'id', 'identity');
SELECT safeguard.set_level('nowhere', 'composite_key', 'off');
SELECT safeguard.set_level(4294967295::oid::regclass, 'composite_key', 'off');

-- nulls; the reason may be one
SELECT safeguard.set_level(NULL, 'composite_key', 'off');
SELECT safeguard.set_level('plain', NULL, 'off');
SELECT safeguard.set_level('plain', 'composite_key', NULL);
SELECT safeguard.clear_level(NULL, 'composite_key');
SELECT safeguard.clear_level('plain', NULL);
SELECT safeguard.set_column(NULL, 'id', 'identity');
SELECT safeguard.set_column('plain', NULL, 'identity');
SELECT safeguard.set_column('plain', 'id', NULL);
SELECT safeguard.clear_column('plain', 'id', NULL);

-- where nothing may be written
BEGIN READ ONLY;
SELECT safeguard.set_level('plain', 'composite_key', 'off');
ROLLBACK;

-- the trigger function serves our tables only
CREATE TRIGGER t AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION safeguard.exceptions_changed();
INSERT INTO plain VALUES (1);

-- nothing half done
SELECT count(*) FROM safeguard.table_levels;
SELECT count(*) FROM safeguard.column_roles;

SET client_min_messages = warning;
DROP SCHEMA bad_input CASCADE;
