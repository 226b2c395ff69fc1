# safeguard.metrics(), and the files in monitoring/ that are made for it: each
# metric has samples, the files name no others, and with a real exporter and a
# real Prometheus the alerts fire when connections run out.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use HTTP::Tiny;
use Incident;
use IPC::Run ();
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Skips;
use Test::More;

my $MONITORING = "$FindBin::RealBin/../monitoring";

# 3 of 12 connections are reserved: a pool of 9
my $node = incident_node(
	'metrics',
	conf => [
		'max_connections = 12', 'safeguard.sample_interval = 1s',
		'safeguard.slow_query_ms = 5', 'safeguard.slow_queries_per_hour = 10000',
		'safeguard.acquisition_warning_ms = 10min', 'autovacuum = off'
	]);

# something of everything that is counted by name
rejected_with($node, 'postgres', $BAD, 'rejected');
$node->safe_psql(
	'postgres', q{
	CREATE ROLE app LOGIN;
	CREATE ROLE watcher LOGIN;
	GRANT pg_monitor TO watcher;
	SELECT safeguard.watch('point_info', 'system_id');
	SELECT safeguard.migrate('1.0', 'CREATE TABLE of_version_1 ()', project => 'shop')});
$node->safe_psql(
	'postgres', q{
	INSERT INTO point_info VALUES (2, 5, E'quote " and \\\\ back');
	INSERT INTO point_info VALUES (1, 1, 'again') ON CONFLICT (system_id, id) DO UPDATE SET point_name = EXCLUDED.point_name;
	SELECT pg_sleep(0.01)});
$node->psql('postgres', q{INSERT INTO systems VALUES (1, 'twice')});
$node->psql('no_such_database', 'SELECT 1');

sub read_file { return slurp_file("$MONITORING/$_[0]") }

# ---- the function

my @metrics = map { decode_json($_) } split /\n/, $node->safe_psql('postgres',
	q{SELECT to_jsonb(m) FROM safeguard.metrics() m});
cmp_ok(scalar @metrics, '>', 100, 'there are samples');

my (%family, %seen, @wrong);
foreach my $m (@metrics)
{
	my $labels = join ',', map { "$_=$m->{labels}{$_}" } sort keys %{ $m->{labels} };
	my $name = $m->{name};
	$family{$name} //= { type => $m->{type}, help => $m->{help}, labels => join(', ', sort keys %{ $m->{labels} }) };
	push @wrong, "$name is there twice with $labels" if $seen{"$name $labels"}++;
	push @wrong, "$name has no value" unless defined $m->{value};
	push @wrong, "$name has no good name" unless $name =~ /^safeguard_[a-z_]+$/;
	push @wrong, "$name has no unit of Prometheus" if $name =~ /_(ms|milliseconds|minutes|percent|kb|mb)\b/;
	push @wrong, "$name has an unknown type" unless $m->{type} =~ /^(counter|gauge|histogram)$/;
	push @wrong, "$name ends in _total or does not" if ($m->{type} eq 'counter') != ($name =~ /_total$/);
	push @wrong, "$name changes its type, help or labels"
	  if join('|', @{ $family{$name} }{qw(type help labels)}) ne join('|', $m->{type}, $m->{help}, join(', ', sort keys %{ $m->{labels} }));
	push @wrong, "$name has a label that clients choose" if grep { /^(query|application|client|queryid|pid)$/ } keys %{ $m->{labels} };
}
is(join("\n", @wrong), '', 'names, types and labels are as Prometheus wants them');

sub value
{
	my ($name, %labels) = @_;
	my @found = grep {
		my $m = $_;
		$m->{name} eq $name && !grep { ($m->{labels}{$_} // '') ne $labels{$_} } keys %labels
	} @metrics;
	return @found == 1 ? $found[0]{value} : scalar(@found) . ' samples';
}
is(value('safeguard_rule_rejected_total', rule => 'composite_key'), 1, 'a rejection');
is(value('safeguard_findings_total', rule => 'composite_key', level => 'error', database => 'postgres'),
	1, 'its finding');
is(value('safeguard_pool_size'), 9, 'the size of the pool');
is(value('safeguard_constraint_violations_total', constraint => 'systems_pkey'), 1, 'a violation');
is(value('safeguard_migrations_total', result => 'applied'), 1, 'a migration');
is(value('safeguard_schema_info', database => 'postgres', project => 'shop', version => '1.0'), 1, 'its version');
is(value('safeguard_watched_rows_total', op => 'inserted', scope => '{"system_id": 2}'), 1, 'a row inserted');
is(value('safeguard_watched_rows_total', op => 'updated', scope => '{"system_id": 1}'), 1, 'a row updated');
is(value('safeguard_upsert_rows_total', outcome => 'replaced'), 1, 'a row replaced');
cmp_ok(value('safeguard_slow_queries_total'), '>=', 1, 'a slow statement');
is(value('safeguard_health_status'), 0, 'health');
cmp_ok(value('safeguard_errors_total'), '>=', 2, 'errors');
cmp_ok(value('safeguard_statements_total'), '>', 3, 'statements that went well');
is(value('safeguard_health_warnings', kind => 'warning'), 0, 'no warning');
cmp_ok(value('safeguard_query_calls_total', database => 'postgres'), '>', 3, 'statements');
cmp_ok(value('safeguard_pool_acquisition_seconds_bucket', le => '+Inf'), '==',
	value('safeguard_pool_acquisition_seconds_count'), 'the last bucket holds all');

# An ordinary role gets the numbers of the server, and its own of the rest.
my $own = $node->safe_psql('postgres',
	q{SELECT string_agg(DISTINCT name, ' ' ORDER BY name) FROM safeguard.metrics()
	   WHERE name ~ '^safeguard_(pool_size|findings_total|query_calls_total|watched_rows_total|constraint_violations_total)$'},
	extra_params => [ '-U', 'app' ]);
is($own, 'safeguard_pool_size', 'an ordinary role sees no figures of others');
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.metrics()',
	extra_params => [ '-U', 'watcher' ]);
cmp_ok($count, '>=', scalar @metrics, 'pg_monitor sees all');

# ---- the files

sub unknown_metrics
{
	my ($text) = @_;
	my %unknown = map { $_ => 1 } grep { !$family{$_} } $text =~ /\b(safeguard_\w+)/g;
	return join ' ', sort keys %unknown;
}

my $rules = read_file('safeguard.rules.yml');
my @exprs = $rules =~ /^ +expr: *(.*\n(?:^ {10,}.*\n)*)/mg;
my @alerts = $rules =~ /^ +- alert: (\w+)/mg;
is(scalar @exprs, scalar @alerts, 'each alert has an expression');
is(unknown_metrics("@exprs"), '', 'alerts name metrics that there are');

my $dashboard = decode_json(read_file('safeguard.dashboard.json'));
my (@panels, @bad);
foreach my $panel (map { ($_, @{ $_->{panels} // [] }) } @{ $dashboard->{panels} })
{
	next if $panel->{type} eq 'row';
	push @panels, $panel;
	push @bad, "$panel->{title}: no description" unless $panel->{description};
	push @bad, "$panel->{title}: no unit" unless $panel->{type} eq 'table' || $panel->{fieldConfig}{defaults}{unit};
	push @bad, "$panel->{title}: another datasource"
	  if grep { ($_->{datasource}{uid} // '') ne '${datasource}' } $panel, @{ $panel->{targets} };
	push @bad, "$panel->{title}: " . unknown_metrics($_->{expr})
	  for grep { unknown_metrics($_->{expr}) } @{ $panel->{targets} };
}
cmp_ok(scalar @panels, '>', 10, 'the dashboard has panels');
is(join("\n", @bad), '', 'each with a description, a unit, and metrics that there are');
my %ids = map { $_->{id} => 1 } @panels;
is(scalar keys %ids, scalar @panels, 'and an id of its own');

# sql_exporter: one query, of which each metric takes its column
my $collector = read_file('safeguard.collector.yml');
my ($sql) = $collector =~ /query: \|\n(.*?)\n\nmetrics:/s;
my %described;
while ($collector =~ /- metric_name: (\w+)\n +type: (\w+)\n +help: "(.*)"\n(?: +key_labels: \[(.*)\]\n)? +values: \[(\w+)\]\n/g)
{
	$described{$1} = { type => $2, help => $3, labels => $4 // '', column => $5 };
}
is_deeply(
	[ sort keys %described ],
	[ sort keys %family ],
	'safeguard.collector.yml has all metrics');
is( join(
		"\n",
		grep {
			my ($d, $f) = ($described{$_}, $family{$_});
			$d->{type} ne ($f->{type} eq 'gauge' ? 'gauge' : 'counter') || $d->{help} ne $f->{help}
			  || $d->{labels} ne $f->{labels} || $d->{column} ne $_
		} sort keys %family),
	'',
	'with their types, texts and labels');
my $samples = $node->safe_psql('postgres', "SELECT sum(num_nonnulls("
	  . join(', ', sort keys %family) . ")) = count(*) AND max(num_nonnulls("
	  . join(', ', sort keys %family) . ")) = 1 FROM ($sql) q");
is($samples, 't', 'and each row is a sample of one');

# ---- with the programs

sub installed { return grep { -x "$_/$_[0]" } split /:/, $ENV{PATH} }
my @missing = grep { !installed($_) } qw(prometheus promtool prometheus-postgres-exporter);
if (@missing)
{
	my $name = 'prometheus-' . $node->pg_version->major;
	ok(may_skip($name), "@missing not installed, which is allowed for $name");
	done_testing();
	exit;
}

my $tmp = $node->basedir;
sub write_file
{
	my ($name, $content) = @_;
	open my $fh, '>', "$tmp/$name" or die "$name: $!";
	print $fh $content;
	close $fh;
	return "$tmp/$name";
}
sub tool
{
	my ($in, @command) = @_;
	my $out = '';
	my $ok = IPC::Run::run(\@command, '<', \$in, '>&', \$out);
	return $ok ? '' : $out;
}
# sessions of roles that were not there before have samples of their own
$count = $node->safe_psql('postgres', 'SELECT count(*) FROM safeguard.metrics()');
my $text = $node->safe_psql('postgres', read_file('textfile.sql'));
is(tool("$text\n", qw(promtool check metrics)), '', 'promtool has nothing to say about the metrics');
is(scalar(grep { !/^#/ } split /\n/, $text), $count, 'all are in the text format')
  or diag $text;
is(tool('', 'promtool', 'check', 'rules', "$MONITORING/safeguard.rules.yml"), '', 'nor about the rules');
is(tool('', 'promtool', 'test', 'rules', "$MONITORING/safeguard.rules.test.yml"), '', 'the rules pass their tests');

# what the dashboard asks is PromQL
my $asked = '';
foreach my $expr (map { map { $_->{expr} } @{ $_->{targets} } } @panels)
{
	$expr =~ s/\$__(rate_interval|range)\b/5m/g;
	$expr =~ s/'/''/g;
	$asked .= "  - {record: asked, expr: '$expr'}\n";
}
write_file('dashboard.yml', "groups:\n- name: dashboard\n  rules:\n$asked");
is(tool('', 'promtool', 'check', 'rules', '--lint=none', "$tmp/dashboard.yml"), '', 'nor about what the dashboard asks');

# Minutes and hours become seconds, so that the test need not wait for them.
my $short = $rules =~ s/for: \d+m$/for: 2s/gmr =~ s/offset \d+[mh]/offset 5s/gr;
write_file('rules.yml', $short);

my ($exporter_port, $prometheus_port) =
  map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
write_file('prometheus.yml', <<"YML");
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
  - job_name: safeguard
    static_configs: [{targets: ['127.0.0.1:$exporter_port']}]
YML

my @running;
sub start_program
{
	my ($log, @command) = @_;
	my $in = '';
	push @running, IPC::Run::start(\@command, '<', \$in, '>&', "$tmp/$log");
	return $running[-1];
}
END
{
	my $rc = $?;
	$_->kill_kill(grace => 5) for @running;
	$? = $rc;
}

my $http = HTTP::Tiny->new(timeout => 10);
sub get
{
	my ($port, $path) = @_;
	my $response = $http->get("http://127.0.0.1:$port$path");
	return $response->{success} ? $response->{content} : '';
}
sub wait_until
{
	my ($what, $test) = @_;
	my $max = 10 * $PostgreSQL::Test::Utils::timeout_default;
	for (1 .. $max)
	{
		return pass($what) if $test->();
		select undef, undef, undef, 0.1;
	}
	return fail($what);
}

$ENV{DATA_SOURCE_NAME} = 'user=watcher dbname=postgres sslmode=disable host='
  . $node->host . ' port=' . $node->port;
# what the exporter asks by itself, of which each version has other options
my $help = `prometheus-postgres-exporter --help 2>&1`;
my @no_others = map { "--no-collector.$_" } $help =~ /--(?:\[no-\])?collector\.(\w+) /g;
push @no_others, '--disable-settings-metrics' if $help =~ /--(?:\[no-\])?disable-settings-metrics/;
my $exporter = start_program(
	'exporter.log', 'prometheus-postgres-exporter',
	"--web.listen-address=127.0.0.1:$exporter_port",
	'--disable-default-metrics', @no_others,
	"--extend.query-path=$MONITORING/queries.yaml");
my $scrape = '';
wait_until('the exporter answers',
	sub { ($scrape = get($exporter_port, '/metrics')) =~ /^safeguard_build_info/m });
unlike($scrape, qr/^pg_exporter_last_scrape_error 1/m, 'all its queries run')
  or diag slurp_file("$tmp/exporter.log");

# name and labels of each sample, without that of the exporter
my %exported;
while ($scrape =~ /^(safeguard_\w+)(?:\{(.*)\})? \S+$/mg)
{
	my ($name, $labels) = ($1, $2 // '');
	$labels = join ',', sort grep { !/^server=/ } $labels =~ /(\w+="(?:[^"\\]|\\.)*")/g;
	$exported{"$name\{$labels\}"} = 1;
}
my %expected;
foreach my $line (split /\n/, $node->safe_psql('postgres', read_file('textfile.sql')))
{
	next unless $line =~ /^(safeguard_\w+)(?:\{(.*)\})? \S+$/;
	$expected{"$1\{" . ($2 // '') . '}'} = 1;
}
# a role that has just come has figures of its own in the one and not the other
delete @exported{ grep { /role="watcher"/ } keys %exported };
delete @expected{ grep { /role="watcher"/ } keys %expected };
is_deeply([ sort keys %exported ], [ sort keys %expected ],
	'queries.yaml makes the same samples as safeguard.metrics()');

start_program(
	'prometheus.log', 'prometheus', "--config.file=$tmp/prometheus.yml",
	"--storage.tsdb.path=$tmp/tsdb",
	"--web.listen-address=127.0.0.1:$prometheus_port");

# the values of an expression, by what is in its label alertname
sub query
{
	my ($expr) = @_;
	$expr =~ s/([^A-Za-z0-9_])/sprintf '%%%02X', ord $1/ge;
	my $answer = get($prometheus_port, "/api/v1/query?query=$expr");
	return {} unless $answer;
	return { map { ($_->{metric}{alertname} // '') => $_->{value}[1] }
		  @{ decode_json($answer)->{data}{result} } };
}
sub fired
{
	return join ' ', sort keys %{ query('count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[5m]))') };
}
wait_until('Prometheus scrapes',
	sub { (query('count_over_time(safeguard_build_info[5m])')->{''} // 0) > 10 });
# a busy machine may be slow to start sessions
is(fired() =~ s/SafeguardSlowAcquisition ?//r, '', 'and no alert fires')
  or diag $node->safe_psql('postgres', 'TABLE safeguard.pool_history');

# ---- no connection is left

my @sessions = map { $node->background_psql('postgres') } 1 .. 8;
my (undef, undef, $err) = $node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'app' ]);
like($err, qr/remaining connection slots/, 'the pool is exhausted');
$node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'app' ]) for 1 .. 11;
wait_until('SafeguardAcquisitionFailures fires', sub { fired() =~ /SafeguardAcquisitionFailures/ });
wait_until('SafeguardPoolUtilizationCritical fires', sub { fired() =~ /SafeguardPoolUtilizationCritical/ });
is(fired() =~ s/SafeguardSlowAcquisition ?//r,
	'SafeguardAcquisitionFailures SafeguardPoolUtilizationCritical SafeguardPoolUtilizationHigh',
	'and no other alert');
my ($alert) = grep { $_->{labels}{alertname} eq 'SafeguardPoolUtilizationCritical' }
  @{ decode_json(get($prometheus_port, '/api/v1/alerts'))->{data}{alerts} };
is($alert->{labels}{severity}, 'critical', 'it is critical');
like($alert->{annotations}{description}, qr/^1\d\d% of the pool/, 'says how full it is');
like($alert->{annotations}{runbook_url}, qr/#safeguardpoolutilizationcritical$/, 'and where to read on');

$_->quit for @sessions;
wait_until('it ends when connections are free again',
	sub { !exists query('ALERTS{alertname="SafeguardPoolUtilizationCritical"}')->{SafeguardPoolUtilizationCritical} });

# ---- the exporter is gone

$exporter->kill_kill(grace => 5);
wait_until('SafeguardExporterDown fires', sub { fired() =~ /SafeguardExporterDown/ });

$_->kill_kill(grace => 5) for @running;
@running = ();
$node->stop;

done_testing();
