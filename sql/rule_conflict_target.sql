-- What ON CONFLICT asks for and why no unique key serves: the server's error
-- with DETAIL and HINT.  The statement works once the hinted command was run,
-- or the hinted clause written.
CREATE SCHEMA ctarget;
SET search_path = ctarget, public;

-- the command in the hint of the error that a statement raises
CREATE FUNCTION mend(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RETURN NULL;
EXCEPTION WHEN invalid_column_reference THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN substring(hint from '(?:CREATE UNIQUE|ALTER|REINDEX)[^;]*;');
END $$;

-- T01: incident 3; a warning first, at the default level
CREATE TABLE http_error_summary (
    id serial PRIMARY KEY, host text NOT NULL, status_code int NOT NULL,
    error_type text NOT NULL, count int NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(), last_seen timestamptz NOT NULL);
\set T01 'INSERT INTO http_error_summary (host, status_code, error_type, count, last_seen) VALUES (''h'', 500, ''t'', 1, now()) ON CONFLICT (host, status_code) DO UPDATE SET count = http_error_summary.count + 1;'
:T01

\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE

-- from here on the error alone
SET client_min_messages = error;
SELECT mend(:'T01') AS command \gexec
:T01
:T01
SELECT host, status_code, count FROM http_error_summary;

-- T02: the same where the table is not empty
CREATE TABLE summary2 (id serial PRIMARY KEY, host text, status_code int);
INSERT INTO summary2 (host, status_code) VALUES ('h', 500);
\set T02 'INSERT INTO summary2 (host, status_code) VALUES (''h'', 500) ON CONFLICT (host, status_code) DO NOTHING;'
:T02
SELECT mend(:'T02') AS command \gset
:command
:T02
SELECT count(*) FROM summary2;

-- T03: no unique key at all
CREATE TABLE bare (a int, b int);
\set T03 'INSERT INTO bare VALUES (1, 1) ON CONFLICT (a) DO NOTHING;'
:T03
SELECT mend(:'T03') \gexec
:T03

-- T04: the key has a column more
CREATE TABLE account (tenant_id int, email text, name text, UNIQUE (tenant_id, email));
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (email) DO UPDATE SET name = EXCLUDED.name;
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (tenant_id, email) DO UPDATE SET name = EXCLUDED.name;
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (email, tenant_id) DO UPDATE SET name = EXCLUDED.name;

-- T05: it has a column less
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (tenant_id, email, name) DO NOTHING;

-- T06: it has another column; nobody is told to write that
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (tenant_id, name) DO NOTHING;

-- T07: the closest of several
CREATE TABLE several (a int PRIMARY KEY, b int, c int, d int, UNIQUE (b, c), UNIQUE (b, c, d));
INSERT INTO several VALUES (1, 1, 1, 1) ON CONFLICT (b) DO NOTHING;
INSERT INTO several VALUES (1, 1, 1, 1) ON CONFLICT (c, d) DO NOTHING;

-- T08: partial, its predicate not repeated, not implied, implied
CREATE TABLE member (id int PRIMARY KEY, email text, deleted bool NOT NULL DEFAULT false);
CREATE UNIQUE INDEX member_email ON member (email) WHERE NOT deleted;
INSERT INTO member VALUES (1, 'x') ON CONFLICT (email) DO UPDATE SET email = EXCLUDED.email;
INSERT INTO member VALUES (1, 'x') ON CONFLICT (email) WHERE deleted DO UPDATE SET email = EXCLUDED.email;
INSERT INTO member VALUES (1, 'x') ON CONFLICT (email) WHERE id > 0 DO NOTHING;
INSERT INTO member VALUES (1, 'x') ON CONFLICT (email) WHERE (NOT deleted) DO UPDATE SET email = EXCLUDED.email;
INSERT INTO member VALUES (1, 'x') ON CONFLICT (email) WHERE deleted = false AND id > 0 DO NOTHING;
\set T08 'INSERT INTO member VALUES (2, ''z'') ON CONFLICT (email) WHERE id > 0 DO NOTHING;'
SELECT mend(:'T08') AS command \gset
\echo :command
:command
:T08

-- T09: a parameter in its predicate, which a custom plan knows
PREPARE upsert(bool) AS INSERT INTO member VALUES (3, 'y') ON CONFLICT (email) WHERE deleted = $1 DO UPDATE SET email = EXCLUDED.email;
EXECUTE upsert(false);
EXECUTE upsert(false);
EXECUTE upsert(false);
EXECUTE upsert(false);
EXECUTE upsert(false);
EXECUTE upsert(false);
EXECUTE upsert(true);
SET plan_cache_mode = force_custom_plan;
EXECUTE upsert(false);
EXECUTE upsert(true);
RESET plan_cache_mode;
DEALLOCATE upsert;

-- T10: a column for an expression, an expression for a column
CREATE TABLE person (email text, name text UNIQUE);
CREATE UNIQUE INDEX person_email ON person (lower(email));
INSERT INTO person VALUES ('X', 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO person VALUES ('X', 'x') ON CONFLICT (lower(email)) DO NOTHING;
INSERT INTO person VALUES ('X', 'x') ON CONFLICT (upper(name)) DO NOTHING;
INSERT INTO person VALUES ('X', 'x') ON CONFLICT (name) DO NOTHING;
\set T10 'INSERT INTO person VALUES (''Y'', ''y'') ON CONFLICT ((name || email), upper(name)) DO NOTHING;'
:T10
SELECT mend(:'T10') AS command \gset
:command
:T10

-- T11: collation, operator class
CREATE TABLE word (w text, v text COLLATE "C" UNIQUE);
CREATE UNIQUE INDEX word_pattern ON word (w text_pattern_ops);
INSERT INTO word VALUES ('a', 'a') ON CONFLICT (v COLLATE "POSIX") DO NOTHING;
INSERT INTO word VALUES ('a', 'a') ON CONFLICT (w text_ops) DO NOTHING;
INSERT INTO word VALUES ('a', 'a') ON CONFLICT (v COLLATE "C") DO NOTHING;
INSERT INTO word VALUES ('b', 'b') ON CONFLICT (w text_pattern_ops) DO NOTHING;
\set T11 'INSERT INTO word VALUES (''c'', ''c'') ON CONFLICT (v COLLATE "POSIX" text_pattern_ops) DO NOTHING;'
:T11
SELECT mend(:'T11') AS command \gset
:command
:T11

-- T12: DEFERRABLE: the planner takes it, the executor does not
CREATE TABLE slot (n int UNIQUE DEFERRABLE, m int);
INSERT INTO slot VALUES (1, 1) ON CONFLICT (n) DO NOTHING;
INSERT INTO slot VALUES (1, 1) ON CONFLICT (n, m) DO NOTHING;

-- T13: an index that is not unique, an exclusion constraint
CREATE TABLE plain (a int, b int, EXCLUDE USING btree (b WITH =));
CREATE INDEX plain_a ON plain (a);
INSERT INTO plain VALUES (1, 1) ON CONFLICT (a) DO NOTHING;
INSERT INTO plain VALUES (1, 1) ON CONFLICT (b) DO NOTHING;
INSERT INTO plain VALUES (1, 1) ON CONFLICT (b) DO UPDATE SET a = 1;
INSERT INTO plain VALUES (1, 1) ON CONFLICT ON CONSTRAINT plain_b_excl DO NOTHING;

-- T14: invalid, left by a concurrent build that has failed
CREATE TABLE broken (a int, b int);
INSERT INTO broken VALUES (1, 1), (1, 2);
CREATE UNIQUE INDEX CONCURRENTLY broken_a ON broken (a);
\set T14 'INSERT INTO broken VALUES (1, 3) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b;'
:T14
DELETE FROM broken WHERE b = 2;
SELECT mend(:'T14') AS command \gset
:command
:T14
SELECT * FROM broken;

-- T15: views, one upon another
CREATE VIEW account_v AS SELECT email AS mail, name, tenant_id AS tenant FROM account;
CREATE VIEW account_w AS SELECT mail AS address, tenant FROM account_v;
INSERT INTO account_v (mail, tenant) VALUES ('v', 1) ON CONFLICT (mail) DO NOTHING;
INSERT INTO account_w (address, tenant) VALUES ('w', 1) ON CONFLICT (address) DO NOTHING;
INSERT INTO account_w (address, tenant) VALUES ('w', 1) ON CONFLICT (tenant, address) DO NOTHING;

-- T16: a key on a partition only
CREATE TABLE reading (day date NOT NULL, sensor int NOT NULL, v int) PARTITION BY RANGE (day);
CREATE TABLE reading_2024 PARTITION OF reading FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE reading_2025 PARTITION OF reading FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE UNIQUE INDEX ON reading_2025 (sensor, day);
\set T16 'INSERT INTO reading VALUES (\'2024-05-01\', 1, 1) ON CONFLICT (day, sensor) DO UPDATE SET v = EXCLUDED.v;'
:T16
INSERT INTO reading_2025 VALUES ('2025-05-01', 1, 1) ON CONFLICT (day, sensor) DO UPDATE SET v = EXCLUDED.v;
SELECT mend(:'T16') AS command \gset
\echo :command
:command
:T16
INSERT INTO reading_2024 VALUES ('2024-05-01', 1, 1) ON CONFLICT (day, sensor) DO UPDATE SET v = EXCLUDED.v;

-- T17: without the partition key there can be none
INSERT INTO reading VALUES ('2024-05-01', 1, 1) ON CONFLICT (sensor) DO UPDATE SET v = EXCLUDED.v;
CREATE TABLE hashed (a int, b int) PARTITION BY HASH ((a + b));
INSERT INTO hashed VALUES (1, 1) ON CONFLICT (a, b) DO NOTHING;

-- T18: partitions partitioned by something else
CREATE TABLE deep (day date, region int, n int) PARTITION BY RANGE (day);
CREATE TABLE deep_1 PARTITION OF deep DEFAULT PARTITION BY LIST (region);
CREATE TABLE deep_2 PARTITION OF deep_1 DEFAULT;
\set T18 'INSERT INTO deep VALUES (now(), 1, 1) ON CONFLICT (day, n) DO NOTHING;'
:T18
SELECT mend(:'T18') AS command \gset
:command
INSERT INTO deep VALUES (now(), 1, 1) ON CONFLICT (day, n, region) DO NOTHING;

-- T19: an index on the root that not all partitions have
CREATE TABLE half (day date NOT NULL, n int) PARTITION BY RANGE (day);
CREATE TABLE half_1 PARTITION OF half DEFAULT;
CREATE UNIQUE INDEX half_day ON ONLY half (day);
INSERT INTO half VALUES (now(), 1) ON CONFLICT (day) DO NOTHING;
CREATE UNIQUE INDEX half_1_day ON half_1 (day);
ALTER INDEX half_day ATTACH PARTITION half_1_day;
INSERT INTO half VALUES (now(), 1) ON CONFLICT (day) DO NOTHING;

-- T20: keys are not inherited, neither down nor up
CREATE TABLE parent (a int PRIMARY KEY, b int);
CREATE TABLE child (c int UNIQUE) INHERITS (parent);
INSERT INTO child VALUES (1, 1, 1) ON CONFLICT (a) DO NOTHING;
CREATE UNIQUE INDEX ON child (b);
INSERT INTO parent VALUES (1, 1) ON CONFLICT (b) DO NOTHING;
INSERT INTO parent VALUES (1, 1) ON CONFLICT (a) DO NOTHING;

-- T21: no such key is possible; no command is hinted then
CREATE TABLE odd (j json, p point, t timestamptz);
INSERT INTO odd (j) VALUES ('1') ON CONFLICT (j) DO NOTHING;
INSERT INTO odd (t) VALUES (now()) ON CONFLICT ((t::date)) DO NOTHING;
INSERT INTO odd (t) VALUES (now()) ON CONFLICT (ctid) DO NOTHING;

-- T22: names that need quotes
CREATE SCHEMA "Odd Names";
CREATE TABLE "Odd Names"."It's" ("Key Col" int, "select" int, PRIMARY KEY ("select"));
INSERT INTO "Odd Names"."It's" VALUES (1, 1);
\set T22 'INSERT INTO "Odd Names"."It\'s" VALUES (1, 2) ON CONFLICT ("Key Col") DO NOTHING;'
:T22
SELECT mend(:'T22') AS command \gset
:command
:T22

-- T23: in CTEs; the first for which there is no index counts
WITH w AS (INSERT INTO account VALUES (1, 'c', 'd') ON CONFLICT (tenant_id, email) DO NOTHING RETURNING *),
     x AS (INSERT INTO bare VALUES (1, 2) ON CONFLICT (b) DO NOTHING RETURNING *)
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (name) DO NOTHING;
WITH w AS (INSERT INTO member VALUES (4, 'd') ON CONFLICT (email) WHERE NOT deleted DO NOTHING RETURNING *)
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (name) DO NOTHING;
WITH w AS (INSERT INTO member VALUES (4, 'd') ON CONFLICT (email) WHERE NOT deleted DO NOTHING RETURNING *)
SELECT email FROM w;

-- T24: a rule's action
CREATE TABLE log (n int, m int);
CREATE RULE log_it AS ON DELETE TO bare DO ALSO INSERT INTO log VALUES (1, 1) ON CONFLICT (n) DO NOTHING;
DELETE FROM bare;
DROP RULE log_it ON bare;

-- T25: many keys
CREATE TABLE many (a int UNIQUE, b int UNIQUE, c int UNIQUE, d int UNIQUE, e int UNIQUE, f int UNIQUE,
                   g int UNIQUE, h int UNIQUE, i int UNIQUE, j int UNIQUE, k int);
INSERT INTO many VALUES (1) ON CONFLICT (k) DO NOTHING;

-- T26: a foreign table
CREATE FOREIGN DATA WRAPPER regress_fdw;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_fdw;
CREATE FOREIGN TABLE abroad (a int) SERVER regress_server;
INSERT INTO abroad VALUES (1) ON CONFLICT (a) DO NOTHING;
-- and a partition that is one: no key can be made then
CREATE TABLE spread (a int) PARTITION BY LIST (a);
CREATE TABLE spread_here PARTITION OF spread FOR VALUES IN (1);
CREATE FOREIGN TABLE spread_abroad PARTITION OF spread FOR VALUES IN (2) SERVER regress_server;
INSERT INTO spread VALUES (1) ON CONFLICT (a) DO NOTHING;
DROP FOREIGN DATA WRAPPER regress_fdw CASCADE;
DROP TABLE spread;

-- what has nothing to do with it is as it was
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (nonsense) DO NOTHING;
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT (email ASC) DO NOTHING;
INSERT INTO account VALUES (1 / 0, 'x', 'y') ON CONFLICT (email) DO NOTHING;
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT ON CONSTRAINT nonsense DO NOTHING;
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT ON CONSTRAINT account_tenant_id_email_key DO NOTHING;
INSERT INTO account VALUES (1, 'x', 'y') ON CONFLICT DO NOTHING;

DROP SCHEMA ctarget, "Odd Names" CASCADE;
