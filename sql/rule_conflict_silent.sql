--
-- conflict_silent: upserts that can never conflict, or lose their write
-- without a word.  R: found; A: its harmless twin.
--
CREATE SCHEMA conflict_silent;
SET search_path = conflict_silent;
SET safeguard.conflict_silent = warning;
SET safeguard.upsert_overwrite = off;
SET safeguard.constraint_bypass = off;

-- R1 no key: nothing can conflict
CREATE TABLE log (host text NOT NULL, line text);
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
SELECT count(*) FROM log;
-- R2 an index that is not unique is no key
CREATE INDEX log_host ON log (host);
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
-- A1 a unique index, of whatever kind
CREATE TABLE log_unique (host text UNIQUE, line text);
INSERT INTO log_unique VALUES ('a', 'x') ON CONFLICT DO NOTHING;
CREATE TABLE log_partial (host text, line text);
CREATE UNIQUE INDEX ON log_partial (lower(host)) WHERE line <> '';
INSERT INTO log_partial VALUES ('a', 'x') ON CONFLICT DO NOTHING;
CREATE TABLE log_serial (id serial PRIMARY KEY, line text);
INSERT INTO log_serial (line) VALUES ('x') ON CONFLICT DO NOTHING;
-- A2 an exclusion constraint
CREATE TABLE booking (during int4range, EXCLUDE USING gist (during WITH &&));
INSERT INTO booking VALUES ('[1,5)') ON CONFLICT DO NOTHING;
-- A3 no ON CONFLICT
INSERT INTO log VALUES ('a', 'x');

-- R3 neither the partitioned table nor a partition has a key
CREATE TABLE event (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10);
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20);
PREPARE event AS INSERT INTO event VALUES (1, 1) ON CONFLICT DO NOTHING;
SET plan_cache_mode = force_generic_plan;
EXECUTE event;
-- A4 one partition has: seen by the cached plan as well
CREATE UNIQUE INDEX event_2_id ON event_2 (id);
EXECUTE event;
-- R4 not any more
DROP INDEX event_2_id;
EXECUTE event;
-- R5 a partition by itself
INSERT INTO event_1 VALUES (1, 1) ON CONFLICT DO NOTHING;
-- A5 a key of all of them
DELETE FROM event;
ALTER TABLE event ADD PRIMARY KEY (id, at);
EXECUTE event;
INSERT INTO event_1 VALUES (1, 1) ON CONFLICT DO NOTHING;
RESET plan_cache_mode;
DEALLOCATE event;

-- R6 a column of the arbiter may be NULL
CREATE TABLE stock (id int PRIMARY KEY, shop int NOT NULL, item int, size text, n int, UNIQUE (shop, item));
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- R7 whatever the statement proposes today; DO NOTHING; by name
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (item, shop) DO NOTHING;
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT ON CONSTRAINT stock_shop_item_key DO NOTHING;
-- A6 another arbiter
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT DO NOTHING;
-- A7 the statement itself leaves NULLs out
INSERT INTO stock VALUES (2, 2, 1) ON CONFLICT (shop, item) WHERE item IS NOT NULL DO UPDATE SET n = EXCLUDED.n;
-- A8 an index that holds NULLs to be equal makes up for it
CREATE UNIQUE INDEX stock_not_distinct ON stock (shop, item) NULLS NOT DISTINCT;
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- R8 and is missed when it is gone
DROP INDEX stock_not_distinct;
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- A9 the hint's other way, in force at once
ALTER TABLE conflict_silent.stock ALTER COLUMN item SET NOT NULL;
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- R9 and back
ALTER TABLE stock ALTER COLUMN item DROP NOT NULL;
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- A10 a CHECK that forbids NULL
ALTER TABLE stock ADD CONSTRAINT has_item CHECK (item IS NOT NULL AND item > 0);
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- R10 one that lets it pass
ALTER TABLE stock DROP CONSTRAINT has_item, ADD CHECK (item > 0);
INSERT INTO stock VALUES (1, 1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
-- R11 several columns
CREATE UNIQUE INDEX stock_size ON stock (shop, item, size);
INSERT INTO stock VALUES (3, 3, 1, 'L') ON CONFLICT (shop, item, size) DO UPDATE SET n = EXCLUDED.n;

-- R12 a partial index, an expression
CREATE TABLE account (id int PRIMARY KEY, email text, name text NOT NULL, deleted bool NOT NULL DEFAULT false);
CREATE UNIQUE INDEX account_email ON account (lower(email)) WHERE NOT deleted;
INSERT INTO account VALUES (1, 'a', 'a') ON CONFLICT (lower(email)) WHERE NOT deleted DO NOTHING;
-- A11 a predicate that leaves NULLs out
DROP INDEX account_email;
CREATE UNIQUE INDEX account_email ON account (lower(email)) WHERE email IS NOT NULL;
INSERT INTO account VALUES (1, 'a', 'a') ON CONFLICT (lower(email)) WHERE email IS NOT NULL DO NOTHING;
DROP INDEX account_email;
CREATE UNIQUE INDEX account_email ON account (email) WHERE email > '';
INSERT INTO account VALUES (1, 'a', 'a') ON CONFLICT (email) WHERE email > '' DO NOTHING;
-- A12 an expression that has no NULL, or of which nothing is known
DROP INDEX account_email;
CREATE UNIQUE INDEX account_email ON account (coalesce(email, ''));
INSERT INTO account VALUES (1, 'a', 'a') ON CONFLICT (coalesce(email, '')) DO NOTHING;
CREATE UNIQUE INDEX account_name ON account (lower(name));
INSERT INTO account VALUES (1, 'a', 'a') ON CONFLICT (lower(name)) DO NOTHING;

-- R13 generated, domains
CREATE DOMAIN code AS text CHECK (VALUE <> '');
CREATE TABLE product (
    raw text,
    plain code UNIQUE,
    lowered text GENERATED ALWAYS AS (lower(raw)) STORED UNIQUE,
    filled text GENERATED ALWAYS AS (coalesce(raw, '')) STORED UNIQUE,
    counted int GENERATED ALWAYS AS IDENTITY UNIQUE);
INSERT INTO product VALUES ('A', 'a') ON CONFLICT (plain) DO NOTHING;
INSERT INTO product VALUES ('A', 'a') ON CONFLICT (lowered) DO NOTHING;
-- A13
INSERT INTO product VALUES ('A', 'a') ON CONFLICT (filled) DO NOTHING;
INSERT INTO product VALUES ('B', 'b') ON CONFLICT (counted) DO NOTHING;
ALTER DOMAIN code ADD CHECK (VALUE IS NOT NULL);
INSERT INTO product VALUES ('A', 'a') ON CONFLICT (plain) DO NOTHING;

-- R14 partitions: a NULL has somewhere to go
CREATE TABLE reading (sensor int NOT NULL, at int, v int, UNIQUE (sensor, at)) PARTITION BY RANGE (at);
CREATE TABLE reading_1 PARTITION OF reading FOR VALUES FROM (0) TO (10);
CREATE TABLE reading_rest PARTITION OF reading DEFAULT;
INSERT INTO reading VALUES (1, 1) ON CONFLICT (sensor, at) DO UPDATE SET v = EXCLUDED.v;
INSERT INTO reading_rest VALUES (1, 100) ON CONFLICT (sensor, at) DO UPDATE SET v = EXCLUDED.v;
-- A14 it has not
INSERT INTO reading_1 VALUES (1, 1) ON CONFLICT (sensor, at) DO UPDATE SET v = EXCLUDED.v;
DROP TABLE reading_rest;
INSERT INTO reading VALUES (1, 1) ON CONFLICT (sensor, at) DO UPDATE SET v = EXCLUDED.v;

-- R15 an exclusion constraint lets NULLs pass, too
INSERT INTO booking VALUES ('[1,5)') ON CONFLICT ON CONSTRAINT booking_during_excl DO NOTHING;
-- A15
ALTER TABLE booking ALTER COLUMN during SET NOT NULL;
INSERT INTO booking VALUES ('[1,5)') ON CONFLICT ON CONSTRAINT booking_during_excl DO NOTHING;

-- R16 each column its own value
CREATE TABLE counter (name text PRIMARY KEY, n int, at int);
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = counter.n;
INSERT INTO counter AS c VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET (n, at) = (c.n, c.at), name = EXCLUDED.name;
-- R17 the key alone is what it was
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name;
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET name = counter.name;
-- A16 something is written
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = counter.n + 1;
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = counter.at;
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = counter.n, at = EXCLUDED.at;
-- A17 to get the row back
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING n;
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET name = counter.name RETURNING n;
INSERT INTO counter AS c VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET n = c.n RETURNING n;
-- A18 equal need not be the same
CREATE TABLE price (amount numeric PRIMARY KEY);
INSERT INTO price VALUES (1.0) ON CONFLICT (amount) DO UPDATE SET amount = EXCLUDED.amount;
INSERT INTO price VALUES (1.00) ON CONFLICT (amount) DO UPDATE SET amount = EXCLUDED.amount;
SELECT * FROM price;
-- A19 an UPDATE that a trigger waits for
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at := 1; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON counter FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name;
-- R18 one that does not fire, or not at UPDATE
ALTER TABLE counter DISABLE TRIGGER touch;
CREATE TRIGGER born BEFORE INSERT ON counter FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name;

-- R19 a deferrable arbiter: named before the server refuses it
CREATE TABLE seat (id int PRIMARY KEY, row int NOT NULL, place int NOT NULL,
    CONSTRAINT seat_place UNIQUE (row, place) INCLUDE (id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO seat VALUES (1, 1, 1) ON CONFLICT (row, place) DO NOTHING;
-- R20 without a target any key is asked
INSERT INTO seat VALUES (1, 1, 1) ON CONFLICT DO NOTHING;
-- A20 a key that is not
INSERT INTO seat VALUES (1, 1, 1) ON CONFLICT (id) DO NOTHING;
-- A21 the hint
ALTER TABLE conflict_silent.seat DROP CONSTRAINT seat_place, ADD CONSTRAINT seat_place UNIQUE (row, place) INCLUDE (id);
INSERT INTO seat VALUES (1, 1, 1) ON CONFLICT (row, place) DO NOTHING;
INSERT INTO seat VALUES (1, 1, 1) ON CONFLICT DO NOTHING;
-- R21 of a partition, the hint is about the root
CREATE TABLE hall (id int PRIMARY KEY DEFERRABLE) PARTITION BY RANGE (id);
CREATE TABLE hall_1 PARTITION OF hall FOR VALUES FROM (0) TO (10);
INSERT INTO hall_1 VALUES (1) ON CONFLICT (id) DO NOTHING;

-- R22 a partial arbiter that only the value of a parameter matches
CREATE TABLE member (email text NOT NULL, left_at int, gone bool NOT NULL);
CREATE UNIQUE INDEX member_email ON member (email) WHERE NOT gone;
PREPARE by_value(bool) AS INSERT INTO member VALUES ('a', 1, false) ON CONFLICT (email) WHERE gone = $1 DO UPDATE SET left_at = EXCLUDED.left_at;
EXECUTE by_value(false);
-- what comes of it
SET plan_cache_mode = force_generic_plan;
\set VERBOSITY sqlstate
SET safeguard.conflict_target = off;
EXECUTE by_value(false);
RESET safeguard.conflict_target;
\set VERBOSITY default
RESET plan_cache_mode;
-- R24 a variable is a parameter; a CTE
DO $$
DECLARE
    v bool := false;
BEGIN
    INSERT INTO conflict_silent.member VALUES ('a', 1, false) ON CONFLICT (email) WHERE gone = v DO NOTHING;
END
$$;
PREPARE in_cte(bool) AS WITH w AS (INSERT INTO member VALUES ('b', 1, false) ON CONFLICT (email) WHERE gone = $1 DO NOTHING RETURNING *) SELECT count(*) FROM w;
EXECUTE in_cte(false);
-- A22 a constant
PREPARE by_constant(text) AS INSERT INTO member VALUES ($1, 1, false) ON CONFLICT (email) WHERE NOT gone DO UPDATE SET left_at = EXCLUDED.left_at;
EXECUTE by_constant('a');
-- A23 a parameter that the predicate does not depend on
PREPARE beside(int) AS INSERT INTO member VALUES ('a', 1, false) ON CONFLICT (email) WHERE NOT gone AND left_at = $1 DO UPDATE SET left_at = EXCLUDED.left_at;
EXECUTE beside(1);
CREATE TABLE strict (email text NOT NULL, n int);
CREATE UNIQUE INDEX ON strict (email) WHERE n IS NOT NULL;
PREPARE strict(int) AS INSERT INTO strict VALUES ('a', 1) ON CONFLICT (email) WHERE n = $1 DO NOTHING;
EXECUTE strict(1);
-- A24 an index without a predicate makes up for it
CREATE UNIQUE INDEX member_email_all ON member (email);
EXECUTE by_value(false);
EXECUTE in_cte(false);

-- R25 through a view, in a function, in a CTE with another
CREATE VIEW log_view AS SELECT * FROM log WHERE host <> '';
INSERT INTO log_view VALUES ('a', 'x') ON CONFLICT DO NOTHING;
CREATE FUNCTION add_log() RETURNS void LANGUAGE sql AS 'INSERT INTO conflict_silent.log VALUES (''a'') ON CONFLICT DO NOTHING';
SELECT add_log();
WITH a AS (INSERT INTO counter VALUES ('a', 1) ON CONFLICT (name) DO NOTHING RETURNING name),
     b AS (INSERT INTO log VALUES ('b', 'x') ON CONFLICT DO NOTHING RETURNING host)
INSERT INTO counter SELECT name, 1 FROM a ON CONFLICT (name) DO UPDATE SET n = counter.n;

-- R26 EXPLAIN warns, too; error rejects
EXPLAIN (COSTS OFF) INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
SET safeguard.conflict_silent = error;
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
EXPLAIN (COSTS OFF) INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
-- A25 the level of the table; the default
SELECT safeguard.set_level('log', 'conflict_silent', 'off');
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
SELECT safeguard.clear_level('log', 'conflict_silent');
RESET safeguard.conflict_silent;
SHOW safeguard.conflict_silent;
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
SET safeguard.conflict_silent = warning;
-- A26 a temporary table; a view that a trigger writes for
CREATE TEMP TABLE scratch (a int);
INSERT INTO scratch VALUES (1) ON CONFLICT DO NOTHING;
CREATE VIEW joined AS SELECT l.host, c.n FROM log l, counter c;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER nothing INSTEAD OF INSERT ON joined FOR EACH ROW EXECUTE FUNCTION nothing();
INSERT INTO joined VALUES ('a', 1) ON CONFLICT DO NOTHING;

-- R27 who may not read the table is told what he has written himself
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_writer;
RESET client_min_messages;
CREATE ROLE regress_sg_writer;
GRANT USAGE ON SCHEMA conflict_silent TO regress_sg_writer;
GRANT INSERT ON log TO regress_sg_writer;
GRANT SET ON PARAMETER safeguard.conflict_silent TO regress_sg_writer;
SET ROLE regress_sg_writer;
INSERT INTO log VALUES ('a', 'x') ON CONFLICT DO NOTHING;
RESET ROLE;

SET client_min_messages = warning;
REVOKE SET ON PARAMETER safeguard.conflict_silent FROM regress_sg_writer;
DROP SCHEMA conflict_silent CASCADE;
DROP ROLE regress_sg_writer;
