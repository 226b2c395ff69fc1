
# A schema that pg_dump carries over has the fingerprint it had, whatever its
# history; schema_diff names what another database has.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use Incident;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('fingerprint');
$node->init;
add_conf($node, "shared_preload_libraries = 'safeguard'");
$node->start;
my $dir = $node->basedir;

$node->safe_psql('postgres', 'CREATE EXTENSION safeguard');
$node->safe_psql(
	'postgres', q{
	SET client_min_messages = error;
	CREATE ROLE app;
	CREATE ROLE boss;
	CREATE TYPE mood AS ENUM ('low', 'high');
	ALTER TYPE mood ADD VALUE 'mid' BEFORE 'high';
	CREATE TYPE pair AS (gone int, a int, b text);
	ALTER TYPE pair DROP ATTRIBUTE gone;
	CREATE DOMAIN amount AS numeric(10,2) DEFAULT 0 NOT NULL CONSTRAINT positive CHECK (VALUE >= 0);
	CREATE TYPE span AS RANGE (subtype = timestamptz);
	CREATE TABLE host (gone text, id serial PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE,
		since timestamptz DEFAULT '2020-02-01 12:00+02', wait interval DEFAULT '1 day', state mood, cost amount);
	ALTER TABLE host DROP gone;
	ALTER TABLE host ADD late date NOT NULL DEFAULT '2021-01-31';
	CREATE TABLE error (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT 5), code int CHECK (code > 99), host int,
		twice int GENERATED ALWAYS AS (code * 2) STORED, EXCLUDE USING gist (int4range(code, code) WITH &&),
		CONSTRAINT error_host FOREIGN KEY (host) REFERENCES host ON DELETE CASCADE DEFERRABLE);
	ALTER TABLE error ADD CONSTRAINT later FOREIGN KEY (host) REFERENCES host NOT VALID;
	ALTER TABLE error ADD CONSTRAINT sure CHECK (code < 600) NOT VALID;
	CREATE UNIQUE INDEX error_code ON error (lower(code::text), host DESC) INCLUDE (id) WHERE code > 500;
	CREATE UNIQUE INDEX to_be_key ON host (id, state);
	ALTER TABLE host ALTER state SET NOT NULL;
	ALTER TABLE host ADD CONSTRAINT by_index UNIQUE USING INDEX to_be_key;
	CREATE STATISTICS stat (ndistinct) ON id, name FROM host;
	CREATE VIEW one AS SELECT id, name FROM host h WHERE id > 7;
	CREATE VIEW two WITH (security_barrier, check_option = local) AS SELECT id AS nr, name FROM host WHERE id IN (SELECT host FROM error);
	ALTER VIEW two RENAME COLUMN nr TO number;
	ALTER VIEW two ALTER name SET DEFAULT 'x';
	CREATE VIEW three AS SELECT h.*, e.code FROM host h LEFT JOIN error e ON e.host = h.id ORDER BY 1, e.code;
	CREATE MATERIALIZED VIEW codes AS SELECT code, count(*) FROM error GROUP BY code;
	CREATE UNIQUE INDEX ON codes (code);
	CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS 'BEGIN RETURN NEW; END';
	CREATE FUNCTION plus(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a + b; END;
	CREATE FUNCTION found(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql AS 'SELECT id, name FROM public.host';
	CREATE PROCEDURE nothing(INOUT a int) LANGUAGE sql AS 'SELECT 1';
	CREATE AGGREGATE total(int) (SFUNC = int4_sum, STYPE = bigint, INITCOND = 0);
	CREATE OPERATOR #<# (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = #>#);
	CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, stopwords = english);
	CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
	CREATE COLLATION bytes FROM "C";
	CREATE TRIGGER touch BEFORE INSERT ON error FOR EACH ROW WHEN (NEW.code > 5) EXECUTE FUNCTION touch();
	CREATE TRIGGER off AFTER UPDATE ON error REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION touch();
	CREATE CONSTRAINT TRIGGER late AFTER INSERT ON error DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch();
	ALTER TABLE error DISABLE TRIGGER off;
	ALTER TABLE error ENABLE ALWAYS TRIGGER late;
	CREATE RULE quiet AS ON DELETE TO one DO INSTEAD NOTHING;
	ALTER TABLE host ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY own_host ON host FOR UPDATE TO app, boss USING (name = CURRENT_USER) WITH CHECK (id > 0);
	CREATE POLICY all_hosts ON host AS RESTRICTIVE USING (EXISTS (SELECT FROM error e WHERE e.host = host.id));
	CREATE TABLE part (id int, at date NOT NULL, host int REFERENCES host, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
	CREATE TABLE part_2020 PARTITION OF part (CHECK (id < 9)) FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (id);
	CREATE TABLE part_2020_1 PARTITION OF part_2020 FOR VALUES IN (1, 2, NULL);
	CREATE TABLE part_rest (host int, gone int, at date NOT NULL, id int NOT NULL);
	ALTER TABLE part_rest DROP gone;
	ALTER TABLE part ATTACH PARTITION part_rest DEFAULT;
	CREATE INDEX part_at ON part (at);
	CREATE TRIGGER touch BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION touch();
	CREATE TABLE referring (id int, at date, FOREIGN KEY (id, at) REFERENCES part);
	CREATE TABLE child (more text, CHECK (id > 0)) INHERITS (host);
	CREATE UNLOGGED TABLE fast (id int PRIMARY KEY, UNIQUE NULLS NOT DISTINCT (id)) WITH (fillfactor = 50);
	ALTER TABLE fast REPLICA IDENTITY FULL;
	CREATE FOREIGN DATA WRAPPER wrapper;
	CREATE SERVER server FOREIGN DATA WRAPPER wrapper;
	CREATE FOREIGN TABLE far (id int OPTIONS (column_name 'nr') NOT NULL, CHECK (id > 0)) SERVER server OPTIONS (b '2', a '1');
	GRANT SELECT, INSERT ON error TO app WITH GRANT OPTION;
	GRANT UPDATE (code) ON error TO app, PUBLIC;
	GRANT ALL ON host TO boss;
	REVOKE ALL ON codes FROM CURRENT_USER;
	REVOKE EXECUTE ON FUNCTION plus FROM PUBLIC;
	GRANT USAGE ON SEQUENCE host_id_seq TO app;
	REVOKE USAGE ON TYPE mood FROM PUBLIC;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app;
	-- texts that are printed in another way once they were read
	CREATE DOMAIN word AS varchar(5) CHECK (VALUE IN ('a', 'b') AND VALUE BETWEEN 'a' AND 'b' AND VALUE <> 'c');
	CREATE TABLE text (v varchar(5), i int, b bool, w word DEFAULT 'a',
		CHECK (v IN ('a', 'b') AND i BETWEEN 1 AND 2 AND b), CHECK (i BETWEEN 1 AND 2 AND b AND v NOT IN ('(', 'x')),
		CHECK (i NOT BETWEEN 1 AND 2 OR b), CHECK ((i BETWEEN 1 AND 2 OR b) AND (b OR (i > 1 OR i < 0))),
		CHECK (ARRAY[ARRAY['a', v], ARRAY[v, 'b']]::text[] <> '{}'), CHECK (v = ANY (ARRAY['a', 'b']::varchar(3)[])),
		CHECK (v <> '((a AND b) AND c) (ARRAY[x])::text[]'), CHECK (CASE WHEN v IN ('a', 'b') THEN i BETWEEN 1 AND 2 AND b ELSE b END),
		CHECK ((i, b) IN ((1, true), (2, false)) OR b), CHECK (i BETWEEN SYMMETRIC 2 AND 1 AND b),
		known bool GENERATED ALWAYS AS (v IN ('a', 'b') OR i NOT BETWEEN 1 AND 2 OR b) STORED);
	CREATE INDEX text_i ON text ((i BETWEEN 1 AND 2 AND b)) WHERE v IN ('a', 'b');
	CREATE STATISTICS text_s ON (v IN ('a', 'b')), (i BETWEEN 1 AND 2 AND b) FROM text;
	CREATE VIEW text_v AS SELECT v, count(*) FILTER (WHERE v IN ('a', 'b')) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS n
		FROM text WHERE v IN ('a', 'b') OR i BETWEEN 1 AND 2 AND b;
	CREATE RULE text_r AS ON UPDATE TO text WHERE new.v IN ('a', 'b') DO ALSO SELECT 1 WHERE new.i BETWEEN 1 AND 2 AND old.b;
	CREATE TRIGGER text_t BEFORE INSERT ON text FOR EACH ROW WHEN (NEW.v IN ('a', 'b') AND NEW.i BETWEEN 1 AND 2 AND NEW.b) EXECUTE FUNCTION touch('it''s', E'a\\\\b');
	CREATE FUNCTION text_f(v varchar, i int) RETURNS bool LANGUAGE sql RETURN v IN ('a', 'b') OR i NOT BETWEEN 1 AND 2 OR i = 7;
	CREATE POLICY text_p ON text USING (v IN ('a', 'b') OR i NOT BETWEEN 1 AND 2 OR b);
	CREATE TABLE text_part (v varchar(5), i int) PARTITION BY LIST ((v IN ('a', 'b') AND i BETWEEN 1 AND 2 AND i > 0));
	CREATE OPERATOR #!=# (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int, NEGATOR = #==#);
	CREATE SCHEMA other;
	GRANT USAGE ON SCHEMA other TO app;
	REVOKE USAGE ON SCHEMA other FROM app;
	CREATE TABLE "Odd ""Name""" ("Column 1" int DEFAULT 7, "select" text);
	ALTER TABLE "Odd ""Name""" OWNER TO boss;
	INSERT INTO host (name, state) SELECT 'h' || i, 'mid' FROM generate_series(1, 9) i;
	ANALYZE;
});
my $FINGERPRINT = 'SELECT safeguard.schema_fingerprint()';
my $fingerprint = $node->safe_psql('postgres', $FINGERPRINT);
my $objects = $node->safe_psql('postgres',
	'SELECT jsonb_agg(o) FROM safeguard.schema_objects() o');
like($fingerprint, qr/^[0-9a-f]{64}$/, 'there is a fingerprint');

# Another database: names what differs from the first one's.
sub differences
{
	my ($database) = @_;
	return $node->safe_psql($database,
		"SELECT object, difference, here, there FROM safeguard.schema_diff(\$objects\$$objects\$objects\$)");
}

$node->command_ok(
	[
		'pg_dump', '--no-sync', '-d', $node->connstr('postgres'),
		'-f', "$dir/plain.sql"
	],
	'pg_dump writes a script');
# other OIDs
$node->safe_psql('postgres', 'CREATE DATABASE plain TEMPLATE template0');
$node->command_ok(
	[
		'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d',
		$node->connstr('plain'), '-f', "$dir/plain.sql"
	],
	'psql runs it');
is(differences('plain'), '', 'a dump restored: nothing differs');
is($node->safe_psql('plain', $FINGERPRINT),
	$fingerprint, 'a dump restored has the fingerprint');

$node->command_ok(
	[
		'pg_dump', '--no-sync', '-Fc', '--no-owner', '-d', $node->connstr('postgres'),
		'-f', "$dir/custom"
	],
	'pg_dump writes an archive without owners');
$node->safe_psql('postgres', 'CREATE DATABASE custom TEMPLATE template0');
$node->command_ok(
	[
		'pg_restore', '--no-owner', '-d', $node->connstr('custom'), "$dir/custom"
	],
	'pg_restore restores it');
is(differences('custom'), '', 'an archive restored without owners: nothing differs');

# what was granted and taken back is not in a dump
my $OTHER = "SELECT safeguard.schema_fingerprint('other')";
is($node->safe_psql('custom', $OTHER), $node->safe_psql('postgres', $OTHER),
	'an empty schema restored has the fingerprint');

# a template, in the same OIDs
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE custom');
is($node->safe_psql('copied', $FINGERPRINT),
	$fingerprint, 'a copied database has the fingerprint');

# Once one differs, it is named, and whoever asserts is told.
$node->safe_psql('copied',
	"SELECT safeguard.schema_fingerprint(); DROP INDEX error_code; GRANT DELETE ON error TO app; CREATE TABLE extra (id int)");
my $differences = differences('copied');
like($differences, qr/^index public\.error_code\|missing\|\|CREATE UNIQUE INDEX error_code/m, 'an index is missing');
like($differences, qr/^grants on table public\.error\|different\|.*app: DELETE, /m, 'grants differ');
like($differences, qr/^table public\.extra\|extra\|TABLE\|$/m, 'a table is too much');
my $count = () = $differences =~ /\n/g;
is($count + 1, 5, 'and what belongs to that table') or diag $differences;

my ($rc, $out, $err) = $node->psql('plain',
	"ALTER TABLE error VALIDATE CONSTRAINT error_host; ALTER TABLE error VALIDATE CONSTRAINT later; SELECT safeguard.assert_schema()");
is($rc, 0, 'assert_schema says nothing where all keys are valid') or diag $err;
($rc, $out, $err) = $node->psql('copied', 'SELECT safeguard.assert_schema()');
like($err, qr/ERROR:  foreign keys are not enforced in schema "public"\nDETAIL:  .*NOT VALID/, 'and raises an error where not');
($rc, $out, $err) = $node->psql('plain', "SELECT safeguard.assert_schema('$fingerprint')");
like($err, qr/ERROR:  schema "public" is not the expected one/, 'a key that is valid now is a difference');

# a role that may read nothing gets the same
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
is( $node->safe_psql(
		'postgres', $FINGERPRINT,
		extra_params => [ '-U', 'nobody' ]),
	$fingerprint,
	'the fingerprint does not depend on the role');

# what is going on beside it: a table that somebody drops
is( $node->safe_psql('custom', 'BEGIN; DROP TABLE fast; ROLLBACK; ' . $FINGERPRINT),
	$fingerprint, 'what was rolled back does not count');

$node->stop;
done_testing();
