# Ways.pm - what each rule must stop, and ways round it
#
# A way is a text in which STMT stands for the statement and TARGET for the
# table that it writes to.

package Ways;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);

our @EXPORT = qw($SETUP $AMBER @RULES %RULE @CLOTHES %TOLD);

our $AMBER = q{(SELECT pi.id FROM point_info pi JOIN systems s ON pi.system_id = s.id WHERE s.vendor_type = 'amber')};

our $SETUP = q{
	SET safeguard.max_level = off;
	CREATE TABLE other (id int PRIMARY KEY, tag text);
	INSERT INTO other SELECT g, 'o' FROM generate_series(1, 4) g;
	CREATE TABLE setting (tenant int, name text, obsolete bool, point_name text, PRIMARY KEY (tenant, name));
	INSERT INTO setting SELECT t, 'n' || g, g = 1, 'p' FROM generate_series(1, 2) t, generate_series(1, 4) g;
	CREATE TABLE scoped (system_id int, id int, point_name text, PRIMARY KEY (system_id, id));
	INSERT INTO scoped SELECT * FROM point_info;
	CREATE TABLE keyless (a int NOT NULL, b int);
	CREATE TABLE keyed (a int PRIMARY KEY, b int);
	CREATE TABLE patches (update_id int PRIMARY KEY, patch_id int NOT NULL);
	CREATE TABLE fired (a int);
	CREATE VIEW waiting AS SELECT 1 AS a;
	CREATE SCHEMA far;
	CREATE ROLE regress_sg_writer;
	GRANT CREATE ON SCHEMA public, far TO regress_sg_writer;
	DO $$
	DECLARE t text;
	BEGIN
		FOREACH t IN ARRAY ARRAY['point_info', 'setting', 'scoped', 'keyless', 'keyed', 'patches', 'other'] LOOP
			EXECUTE format('ALTER TABLE %I OWNER TO regress_sg_writer', t);
			EXECUTE format('CREATE VIEW %I AS SELECT * FROM %I', t || '_view', t);
			EXECUTE format('CREATE VIEW %I AS SELECT * FROM %I WHERE $b$a$b$ = $b$a$b$ WITH CHECK OPTION', t || '_checked', t);
			EXECUTE format('CREATE VIEW %I WITH (security_barrier) AS SELECT * FROM %I', t || '_barrier', t || '_view');
			EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY LIST (%I)', t || '_parted', t,
				(SELECT attname FROM pg_attribute WHERE attrelid = t::regclass AND attnum = 1));
			EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (1)', t || '_1', t || '_parted');
			EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', t || '_2', t || '_parted');
			EXECUTE format('INSERT INTO %I SELECT * FROM %I', t || '_parted', t);
		END LOOP;
		EXECUTE 'ALTER TABLE point_info_parted ADD FOREIGN KEY (system_id) REFERENCES systems';
	END$$;
	SELECT safeguard.set_column('scoped', 'system_id', 'scope'), safeguard.set_column('scoped_parted', 'system_id', 'scope');
	GRANT ALL ON ALL TABLES IN SCHEMA public TO regress_sg_writer;
};

our @RULES = qw(composite_key composite_key_doubt conflict_target upsert_overwrite unqualified_dml row_limit
  outer_reference unlinked_from constraint_bypass destructive_ddl lock_timeout scope conflict_silent);

# Of each: its code, its target, the statement; what the session must have done
# before; "from", if rows can be chosen by a SELECT: where from.  Utility
# commands are "ddl".
our %RULE = (
	composite_key => {
		code => 'SG001', target => 'point_info', set => "point_name = 'x'", from => "TARGET t WHERE t.id IN $AMBER",
		stmt => "UPDATE TARGET SET point_name = 'x' WHERE id IN $AMBER",
		merge => "MERGE INTO TARGET p USING $AMBER AS q(id) ON p.id = q.id WHEN MATCHED THEN DELETE" },
	composite_key_doubt => {
		code => 'SG001', target => 'setting', set => "point_name = 'x'",
		from => 'TARGET t WHERE t.name IN (SELECT s.name FROM setting s WHERE s.obsolete)',
		stmt => 'DELETE FROM TARGET WHERE name IN (SELECT s.name FROM setting s WHERE s.obsolete)',
		merge => 'MERGE INTO TARGET p USING (SELECT s.name FROM setting s WHERE s.obsolete) AS q ON p.name = q.name WHEN MATCHED THEN DELETE' },
	conflict_target => {
		code => 'SG002', target => 'keyed',
		stmt => 'INSERT INTO TARGET VALUES (1, 1) ON CONFLICT (b) DO UPDATE SET b = excluded.b' },
	upsert_overwrite => {
		code => 'SG003', target => 'patches',
		before => 'DO $d$BEGIN FOR i IN 1 .. 99 LOOP INSERT INTO TARGET VALUES (i % 8 + 2, i) ON CONFLICT (update_id) DO UPDATE SET patch_id = excluded.patch_id; END LOOP; END$d$',
		stmt => 'INSERT INTO TARGET VALUES (7, 1000) ON CONFLICT (update_id) DO UPDATE SET patch_id = excluded.patch_id' },
	unqualified_dml => {
		code => 'SG004', target => 'point_info', set => "point_name = 'x'", from => 'TARGET t',
		stmt => "UPDATE TARGET SET point_name = 'x'",
		merge => 'MERGE INTO TARGET USING other ON true WHEN MATCHED THEN DELETE' },
	row_limit => {
		code => 'SG005', target => 'point_info', set => "point_name = 'x'", from => 'TARGET t WHERE t.id < 3',
		before => 'SET safeguard.max_rows_session = 1',
		stmt => "UPDATE TARGET SET point_name = 'x' WHERE id < 3",
		merge => 'MERGE INTO TARGET p USING other o ON p.id = o.id AND p.system_id > 0 WHEN MATCHED THEN DELETE' },
	outer_reference => {
		code => 'SG006', target => 'point_info', set => "point_name = 'x'", from => 'TARGET t WHERE t.id IN (SELECT t.id FROM other)',
		stmt => "UPDATE TARGET t SET point_name = 'x' WHERE id IN (SELECT t.id FROM other)",
		merge => 'MERGE INTO TARGET p USING other o ON p.id = o.id AND p.id IN (SELECT p.id FROM other) WHEN MATCHED THEN DELETE' },
	unlinked_from => {
		code => 'SG007', target => 'point_info', set => "point_name = 'x'", from => q{TARGET t, other o WHERE o.tag = 'o'},
		before => 'SET safeguard.unqualified_dml = record',
		stmt => "UPDATE TARGET SET point_name = 'x' FROM other o WHERE o.tag = 'o'",
		merge => q{MERGE INTO TARGET USING other o ON o.tag = 'o' WHEN MATCHED THEN DELETE} },
	constraint_bypass => {
		code => 'SG008', target => 'point_info', ddl => 1,
		stmt => 'ALTER TABLE TARGET ADD CONSTRAINT positive CHECK (id > 0) NOT VALID' },
	destructive_ddl => {
		code => 'SG009', target => 'point_info', ddl => 1,
		stmt => 'TRUNCATE TARGET' },
	lock_timeout => { code => 'SG010', target => 'other', ddl => 1,
		before => 'SET safeguard.lock_timeout = error', stmt => 'ALTER TABLE TARGET ADD c int' },
	scope => {
		code => 'SG011', target => 'scoped', set => "point_name = 'x'", from => 'TARGET t WHERE t.id = 1',
		stmt => "UPDATE TARGET SET point_name = 'x' WHERE id = 1",
		merge => "MERGE INTO TARGET p USING other o ON p.id = o.id WHEN MATCHED THEN UPDATE SET point_name = 'x'" },
	conflict_silent => {
		code => 'SG012', target => 'keyless',
		stmt => 'INSERT INTO TARGET VALUES (1, 1) ON CONFLICT DO NOTHING' });

my $TRIGGER = 'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$BEGIN STMT; RETURN NULL; END$f$;';

# Ways of all rules: name, text, and what they are for: "dml" (also "rows", that
# can be chosen by a SELECT, and "merge") or "all".  "on" is what becomes of
# TARGET.
our @CLOTHES = (
	[ 'as it is', 'STMT', 'all' ],
	[ 'a comment with a hint', '/*+ SeqScan(TARGET) */ STMT', 'all' ],
	[ 'EXPLAIN ANALYZE', 'EXPLAIN ANALYZE STMT', 'dml' ],
	[ 'a CTE', 'WITH w AS (STMT RETURNING 1) SELECT count(*) FROM w', 'dml' ],
	[ 'a CTE that nobody reads', 'WITH w AS (STMT) SELECT 1', 'dml' ],
	[ 'CREATE TABLE AS', 'CREATE TABLE made AS WITH w AS (STMT RETURNING 1) SELECT * FROM w', 'dml' ],
	[ 'COPY TO', 'COPY (STMT RETURNING 1) TO STDOUT', 'dml' ],
	[ 'MERGE', 'MERGE_STMT', 'merge' ],

	[ 'a writable view', 'STMT', 'dml', on => '%s_view' ],
	[ 'a view with check option', 'STMT', 'dml', on => '%s_checked' ],
	[ 'a view with security_barrier, of a view', 'STMT', 'dml', on => '%s_barrier' ],
	[ 'a partitioned table', 'STMT', 'all', on => '%s_parted' ],
	[ 'a partition by its name', 'STMT', 'all', on => '%s_2' ],
	[ 'a foreign table', 'STMT', 'all', on => 'far.%s', not => 'upsert_overwrite' ],
	[ 'a temporary table', 'CREATE TEMP TABLE briefly (LIKE KEPT INCLUDING ALL); INSERT INTO briefly SELECT * FROM KEPT; STMT', 'all', on => 'briefly' ],

	[ 'prepared', 'PREPARE p AS STMT; EXECUTE p', 'dml' ],
	[ 'prepared, a generic plan', 'SET LOCAL plan_cache_mode = force_generic_plan; PREPARE p AS STMT; EXECUTE p', 'dml' ],
	[ 'prepared while all was off', 'SET LOCAL safeguard.enabled = off; PREPARE p AS STMT; EXPLAIN EXECUTE p; SET LOCAL safeguard.enabled = on; EXECUTE p', 'dml', not => 'conflict_target' ],
	[ 'prepared before the library was loaded', undef, 'late' ],

	[ 'a DO block', 'DO $d$BEGIN STMT; END$d$', 'all' ],
	[ 'dynamic SQL', 'DO $d$BEGIN EXECUTE $e$STMT$e$; END$d$', 'all' ],
	[ 'an exception block that swallows it', 'DO $d$BEGIN STMT; EXCEPTION WHEN OTHERS THEN RAISE WARNING \'swallowed %\', sqlstate; END$d$', 'all' ],
	[ 'a loop over RETURNING', 'DO $d$DECLARE r record; BEGIN FOR r IN STMT RETURNING 1 LOOP END LOOP; END$d$', 'dml' ],
	[ 'a cursor over RETURNING', 'DO $d$DECLARE c refcursor; r record; BEGIN OPEN c FOR EXECUTE $e$STMT RETURNING 1$e$; FETCH c INTO r; END$d$', 'dml' ],
	[ 'a cursor, and WHERE CURRENT OF', 'DECLARE c CURSOR FOR SELECT t.* FROM FROM_ROWS FOR UPDATE OF t; FETCH c; UPDATE TARGET SET SETS WHERE CURRENT OF c; FETCH c; UPDATE TARGET SET SETS WHERE CURRENT OF c', 'rows' ],
	[ 'ctid of the rows', 'UPDATE TARGET SET SETS WHERE ctid IN (SELECT t.ctid FROM FROM_ROWS)', 'rows' ],

	[ 'a function in SQL', 'CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $f$STMT$f$; SELECT f()', 'all' ],
	[ 'a function in SQL, parsed', 'CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC STMT; END; SELECT f()', 'dml' ],
	[ 'a procedure', 'CREATE PROCEDURE f() LANGUAGE plpgsql AS $f$BEGIN STMT; END$f$; CALL f()', 'all' ],
	[ 'a function in pg_temp', 'CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE plpgsql AS $f$BEGIN STMT; END$f$; SELECT pg_temp.f()', 'all' ],
	[ 'a function in a CHECK', 'CREATE FUNCTION f() RETURNS bool LANGUAGE plpgsql AS $f$BEGIN STMT; RETURN true; END$f$; CREATE TABLE made (a int CHECK (f())); INSERT INTO made VALUES (1)', 'all' ],
	[ 'a trigger', "$TRIGGER CREATE TRIGGER t AFTER INSERT ON fired EXECUTE FUNCTION f(); INSERT INTO fired VALUES (1)", 'all' ],
	[ 'a deferred trigger', "$TRIGGER CREATE CONSTRAINT TRIGGER t AFTER INSERT ON fired INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO fired VALUES (1); SET CONSTRAINTS ALL IMMEDIATE", 'all' ],
	[ 'an INSTEAD OF trigger', "$TRIGGER CREATE TRIGGER t INSTEAD OF INSERT ON waiting FOR EACH ROW EXECUTE FUNCTION f(); INSERT INTO waiting VALUES (1)", 'all' ],
	[ 'COPY FROM, which fires a trigger', "$TRIGGER CREATE TRIGGER t AFTER INSERT ON fired FOR EACH ROW EXECUTE FUNCTION f(); COPY fired FROM PROGRAM 'echo 1'", 'all' ],
	[ 'an event trigger', 'CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $f$BEGIN STMT; END$f$; CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f(); CREATE TABLE made (a int)', 'dml' ],
	[ 'a rule', 'CREATE RULE r AS ON INSERT TO fired DO ALSO STMT; INSERT INTO fired VALUES (1)', 'dml' ],
	[ 'logical apply', undef, 'apply' ],

	[ 'another role', 'SET LOCAL ROLE regress_sg_writer; STMT', 'all' ],
	[ 'SESSION AUTHORIZATION', 'SET LOCAL SESSION AUTHORIZATION regress_sg_writer; STMT', 'all' ],
	[ 'SECURITY DEFINER', 'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $f$BEGIN STMT; END$f$; SET LOCAL ROLE regress_sg_writer; SELECT f()', 'all' ],
	[ 'session_replication_role', 'SET LOCAL safeguard.constraint_bypass = off; SET LOCAL session_replication_role = replica; STMT', 'all', not => 'constraint_bypass' ],
	[ 'the settings of a restore', 'SET LOCAL row_security = off; SET LOCAL check_function_bodies = off; STMT', 'all' ],
	[ 'search_path without pg_catalog first', 'SET LOCAL search_path = public, pg_catalog; STMT', 'all' ],
	[ 'a two-phase transaction', q{STMT; PREPARE TRANSACTION 'p'}, 'all' ]);


# What is not stopped, by the words that the rule's page has for it under "What
# it does not see"
my $TEMPORARY = [ 'a temporary table' => 'emporary tables' ];
my $APPLY = [ 'logical apply' => 'ogical replication' ];
my $CURRENT = [ 'a cursor, and WHERE CURRENT OF' => 'WHERE CURRENT OF' ];
our %TOLD = (
	composite_key => [ $TEMPORARY, $APPLY, $CURRENT, [ 'ctid of the rows' => 'ctid IN (SELECT ctid' ], [ 'a foreign table' => 'Foreign tables' ] ],
	conflict_target => [ $TEMPORARY, $APPLY ],
	upsert_overwrite => [ $TEMPORARY, $APPLY, map { [ $_ => 'as another role' ] } 'another role', 'SESSION AUTHORIZATION' ],
	unqualified_dml => [ $TEMPORARY, $APPLY, $CURRENT, [ 'ctid of the rows' => 'ctid IN (SELECT ctid' ] ],
	row_limit => [ $TEMPORARY, $APPLY, [ 'a cursor, and WHERE CURRENT OF' => 'Many small statements' ],
		map { [ $_ => 'function, a procedure, a DO block, a trigger' ] } 'a DO block', 'dynamic SQL', 'an exception block that swallows it',
		'a loop over RETURNING', 'a cursor over RETURNING', 'a function in SQL', 'a function in SQL, parsed', 'a procedure',
		'a function in pg_temp', 'a function in a CHECK', 'a trigger', 'a deferred trigger', 'an INSTEAD OF trigger',
		'COPY FROM, which fires a trigger', 'an event trigger', 'SECURITY DEFINER' ],
	outer_reference => [ $TEMPORARY, $APPLY, $CURRENT ],
	unlinked_from => [ $TEMPORARY, $APPLY, $CURRENT, [ 'ctid of the rows' => 'ctid IN (SELECT ctid' ], [ 'a rule' => 'The actions of rules' ] ],
	constraint_bypass => [ $TEMPORARY, $APPLY, [ 'the settings of a restore' => 'A restore' ] ],
	destructive_ddl => [ $TEMPORARY, $APPLY ],
	lock_timeout => [ $TEMPORARY, $APPLY, [ 'the settings of a restore' => 'A restore' ] ],
	scope => [ $TEMPORARY, $APPLY, $CURRENT ],
	conflict_silent => [ $TEMPORARY, $APPLY ]);
$TOLD{composite_key_doubt} = $TOLD{composite_key};

1;
