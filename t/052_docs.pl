
# What README.md and the pages say is what the server has: settings, rules,
# functions, views and their columns.  Their statements run, their links lead
# somewhere, and psql shows a comment for all that is there.

use strict;
use utf8;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use File::Basename qw(dirname);
use Pages;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my $root = dirname($FindBin::RealBin);
my $node = PostgreSQL::Test::Cluster->new('docs');

$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'safeguard'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION safeguard');

sub ask
{
	my ($query) = @_;
	return split /\n/, $node->safe_psql('postgres', $query);
}

# the first element of each line to the second
sub map_of
{
	my ($query) = @_;
	return map { my ($key, $value) = split /\|/, $_, 2; $key => $value // '' } ask($query);
}

# Names what is wrong, if anything is.
sub none
{
	my ($name, @offenders) = @_;
	is(join("\n", @offenders), '', $name);
	return;
}

my %setting = map_of(q{SELECT substr(name, 11), boot_val FROM pg_settings WHERE name ^@ 'safeguard.'});
my %rule = map_of('SELECT rule, default_level || chr(32) || sqlstate FROM safeguard.rules');
my %function = map { $_ => 1 } ask(q{SELECT DISTINCT proname FROM pg_proc
	WHERE pronamespace = 'safeguard'::regnamespace});
my %relation = map { $_ => 1 } ask(q{SELECT relname FROM pg_class
	WHERE relnamespace = 'safeguard'::regnamespace AND relkind IN ('r', 'v')});

# ---------------- pages name what there is ----------------

# safeguard.stat and the like are files
my %file = map { $_ => 1 } qw(c collector conf control dashboard h prom sarif so spec stat);
my @unknown;
for my $page (pages())
{
	my $text = text_of($page);
	while ($text =~ /(?<![\w.\/])safeguard\.(\w+)(\(?)/g)
	{
		push @unknown, "$page: safeguard.$1$2"
		  unless $2 ? $function{$1} : exists $setting{$1} || $relation{$1} || $function{$1} || $file{$1};
	}
}
none('pages name nothing that is not there', @unknown);

# What only the architecture names is not for users; it says so in a section.
my $told = join ' ', map { text_of($_) } grep { !/architecture/ } pages();
my ($inner) = text_of('doc/architecture.md') =~ /^## Functions for no user\n(.*?)(?=^## |\z)/ms;
my %inner = map { $_ => 1 } map { names_of($_) } ($inner // '') =~ /^\|.*$/mg;
none('README and the pages name each function and view',
	grep { $told !~ /\b$_\b/ && !$inner{$_} } sort keys %function, keys %relation);
none('the architecture names no function that is not there',
	grep { !$function{$_} && !$relation{$_} } sort keys %inner);

# ---------------- settings, functions and rules ----------------

# 60s is 1min, and 1s is 1000 where milliseconds are counted
sub same_value
{
	my ($setting, $value) = @_;
	my %unit = (B => 1, kB => 1 << 10, MB => 1 << 20, GB => 1 << 30, ms => 1, s => 1000, min => 60000);
	my ($number, $unit) = $value =~ /^([\d.]+)(\w*)$/;
	return $value eq $setting{$setting} || (defined $unit && $unit{$unit}
		&& $node->safe_psql('postgres', qq{SELECT CASE unit WHEN 's' THEN 1000 WHEN 'min' THEN 60000
			WHEN 'kB' THEN 1024 WHEN 'MB' THEN 1048576 ELSE 1 END * boot_val::numeric = $number * $unit{$unit}
			FROM pg_settings WHERE name = 'safeguard.$setting'}) eq 't');
}

my %listed;
my @wrong;
for (rows_of('doc/settings.md', qr/^setting$/))
{
	my @names = map { s/^safeguard\.//r } names_of($_->[0]);
	my @values = names_of($_->[1]);
	push @wrong, "$names[0]: as many values as names" if @names != @values;
	for my $i (0 .. $#names)
	{
		$listed{ $names[$i] } = 1;
		push @wrong, "$names[$i] = $values[$i]"
		  unless exists $setting{ $names[$i] } && same_value($names[$i], $values[$i]);
	}
}
none('settings have the defaults of the page', @wrong);
none('the page has all settings', grep { !$listed{$_} && !$rule{$_} } sort keys %setting);

my %in_readme = map { (names_of($_->[0]))[0] => (names_of($_->[2]))[0] . " $_->[3]" }
  rows_of('README.md', qr/^rule$/);
is_deeply(\%in_readme, \%rule, 'rules of README have these levels and codes');

# ---------------- the rules' own pages ----------------

my %page = map_of('SELECT rule, page FROM safeguard.rules');
none('the page of each rule is there', grep { !-f "$root/doc/$page{$_}" } sort keys %page);
none(
	'and says what the catalog says',
	grep {
		my ($level, $code) = split / /, $rule{$_};
		text_of("doc/$page{$_}") !~ /^# $_\n\nSQLSTATE $code, default level `$level`/
	} sort keys %page);

# ---------------- columns ----------------

# the tables of a page that begin with "column", in their order
my %DESCRIBED = (
	'doc/keep_rows.md' => ['kept_rows'],
	'doc/keys.md' => ['check_key()'],
	'doc/migrations.md' => [qw(migrations migration_history migration_log migration_stats())],
	'doc/monitoring.md' => [qw(pool_stats() query_stats)],
	'doc/reviewing.md' => [qw(check() preview())],
	'doc/rules/upsert_overwrite.md' => ['upsert_stats'],
	'doc/schema.md' => ['schema_diff()']);
# ts and what a name says are told in other words
my %SELF_EVIDENT = map { $_ => 1 }
  ('pool_stats().ts', 'upsert_stats.relation', 'upsert_stats.columns', 'upsert_stats.last_seen');

sub columns_of
{
	my ($object) = @_;
	return ask(
		$object =~ /^(\w+)\(\)$/
		? qq{SELECT unnest(proargnames[array_position(proargmodes, (CASE WHEN 't' = ANY (proargmodes) THEN 't' ELSE 'o' END)::"char"):])
			FROM pg_proc WHERE pronamespace = 'safeguard'::regnamespace AND proname = '$1'}
		: qq{SELECT attname FROM pg_attribute WHERE attrelid = 'safeguard.$object'::regclass AND attnum > 0});
}

for my $page (sort keys %DESCRIBED)
{
	my @heads = text_of($page) =~ /^(\| column(?: of [^|]*)? \|)/mg;
	my @objects = @{ $DESCRIBED{$page} };

	is(scalar @heads, scalar @objects, "$page: tables of columns");
	my $text = text_of($page);
	for my $object (@objects)
	{
		$text =~ s/\A.*?^(?=\| column(?: of [^|]*)? \|)//ms;
		my ($table) = $text =~ /\A((?:\|.*\n)+)/;
		$text =~ s/\A.*\n//;
		my @columns = columns_of($object);
		my %known = map { $_ => 1 } @columns;
		my %here;
		for (grep { /^\| `/ } split /\n/, $table)
		{
			my ($cell) = /^\|([^|]*)/;
			my @names = names_of($cell);
			@here{@names} = (1) x @names;
			# from ... to
			if ($cell =~ /` … `/)
			{
				my $on;
				for (@columns)
				{
					$on = 1 if $_ eq $names[0];
					$here{$_} = 1 if $on;
					undef $on if $_ eq $names[-1];
				}
			}
		}
		none("$page: columns of $object that are not there", grep { !$known{$_} } sort keys %here);
		none("$page: columns of $object that it does not tell",
			grep { !$here{$_} && !$SELF_EVIDENT{"$object.$_"} } @columns);
	}
}

# ---------------- links ----------------

my %anchors = map { my $page = $_; $page => { map { $_ => 1 } anchors_of($page) } } pages();
my @dead;
for my $page (pages())
{
	for (text_of($page) =~ /\]\(([^)\s]*#[^)\s]+)\)/g)
	{
		next if /^https?:/;
		my ($target, $anchor) = /^(.*)#(.*)$/;
		my $path = $target eq '' ? $page : dirname($page) . "/$target";
		1 while $path =~ s{(^|/)(?!\.\.)[^/]+/\.\.(/|$)}{$1};
		$path =~ s{^\./}{};
		push @dead, "$page: $_" unless $anchors{$path} && $anchors{$path}{$anchor};
	}
}
none('every anchor leads to a heading', @dead);

# ---------------- what psql shows ----------------

# from 17 on the types of rows are members, too
none('everything has a comment', ask(q{
	SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
	 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid <> 'pg_type'::regclass
	   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'safeguard')
	   AND coalesce(obj_description(objid, classid::regclass::name), '') = ''}));
none('columns of views and tables, too', ask(q{
	SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	 WHERE relnamespace = 'safeguard'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
	   AND coalesce(col_description(attrelid, attnum), '') = ''}));
none('settings have a description, which is a sentence', ask(q{
	SELECT name, short_desc, extra_desc FROM pg_settings WHERE name ^@ 'safeguard.'
	   AND NOT (short_desc ~ '^[A-Z].*[^.]\.$' AND coalesce(extra_desc, '.') ~ '^(["A-Z-].*[^.])?\.$')}));

# ---------------- statements ----------------

# tables that the pages speak of
$node->safe_psql('postgres', 'CREATE DATABASE pages');
$node->safe_psql('pages', q{
	CREATE ROLE app; CREATE ROLE batch; CREATE ROLE dba; CREATE ROLE deploy; CREATE ROLE importer;
	CREATE ROLE janitor; CREATE ROLE loader; CREATE DATABASE plant; CREATE DATABASE staging;
	CREATE EXTENSION safeguard; CREATE SCHEMA app; CREATE SCHEMA import;
	CREATE TABLE meters (id int PRIMARY KEY, vendor text NOT NULL);
	CREATE TABLE readings (meter_id int, id int, value int, point_id int, at timestamptz, PRIMARY KEY (meter_id, id),
		CONSTRAINT readings_point_at_key UNIQUE (point_id, at));
	INSERT INTO meters VALUES (1, 'acme'), (2, 'other');
	INSERT INTO readings SELECT m, r, 0 FROM generate_series(1, 2) m, generate_series(1, 3) r;
	CREATE TABLE systems (id int PRIMARY KEY, vendor_type text NOT NULL, retired bool);
	CREATE TABLE point_info (system_id int REFERENCES systems, id int, uid int, subsystem text, point_name text,
		PRIMARY KEY (system_id, id));
	CREATE TABLE reading (id int PRIMARY KEY, value float8, unit text);
	CREATE TABLE supported_patches (update_id int PRIMARY KEY, patch_id int NOT NULL, title text);
	CREATE TABLE customers (id int PRIMARY KEY, name text, closed bool);
	CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, v int, status text,
		customer_id int CONSTRAINT orders_customer_id_fkey REFERENCES customers);
	CREATE TABLE users (id int PRIMARY KEY, plan text); CREATE TABLE plans (id int); CREATE TABLE prices (plan int);
	CREATE TABLE setting (tenant int, name text, obsolete bool, PRIMARY KEY (tenant, name));
	CREATE TABLE stock (shop int, item int, UNIQUE (shop, item));
	CREATE TABLE account (id int PRIMARY KEY, owner text); INSERT INTO account VALUES (17, 'A');
	CREATE TABLE jobs (id int PRIMARY KEY); CREATE TABLE points (id int); CREATE TABLE point_readings (id int);
	CREATE TABLE invoices (tenant_id int); CREATE TABLE staging (id int); CREATE TABLE import.staging (id int);
	CREATE FUNCTION repair_names(int) RETURNS void LANGUAGE sql AS 'UPDATE point_info SET point_name = NULL WHERE false';
	CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'});

# errors beside those of rules, by page and SQLSTATE
my %FAILS = map { $_ => 1 } (
	'doc/rules/conflict_target.md 42P02',    # $1 outside of PREPARE
	'doc/getting_started.md 42710', 'doc/rollout.md 42710', 'doc/monitoring.md 42710',
	'monitoring/README.md 42710', 'doc/distributed.md 42710',    # the extension is there, and so is the role
	'doc/monitoring.md 42704',       # a role that 16 has
	'doc/keep_rows.md 42P01', 'doc/keep_rows.md 42704');    # kept rows of another database
my @failed;
my $ran = 0;
for my $page (pages())
{
	my @pieces = statements_of($page) or next;

	if ($page eq 'doc/distributed.md' && (my $name = lacking($node, 'postgres_fdw')))
	{
		ok(may_skip($name), "postgres_fdw is not installed, which is allowed for $name");
		next;
	}
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS page');
	$node->safe_psql('postgres', 'CREATE DATABASE page TEMPLATE pages');
	$node->safe_psql('page', 'DROP TABLE meters, readings') if $page eq 'doc/getting_started.md';
	# the other server is this one
	$node->safe_psql('page', q{
		DROP TABLE orders; CREATE ROLE coordinator; CREATE EXTENSION postgres_fdw;
		SELECT format('CREATE SERVER shard FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
			split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database()) \gexec
		CREATE USER MAPPING FOR CURRENT_USER SERVER shard}) if $page eq 'doc/distributed.md';
	for (@pieces)
	{
		my ($line, $sql, $below) = @$_;
		my ($stdout, $stderr);

		$node->psql('page', "\\set VERBOSITY sqlstate\n$sql", on_error_stop => 0,
			stdout => \$stdout, stderr => \$stderr);
		$ran++;
		push @failed, "$page:$line: $_"
		  for grep { !/^SG/ && !$FAILS{"$page $_"} } $stderr =~ /ERROR:  (\w+)/g;
		next if $page !~ /troubleshooting|upgrading/ || $below !~ /^ +-+\+-/m;
		my @shown = $below =~ s/^ *[-+]+\n//gmr =~ s/[ \t]+//gr =~ /^.+$/mg;
		shift @shown;
		is(join("\n", map { s/\s+//gr } split /\n/, $stdout), join("\n", @shown), "$page:$line: what comes out");
	}
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
	$node->reload;
}
none('statements of the pages run', @failed);
cmp_ok($ran, '>', 60, 'and there are some');

done_testing();
