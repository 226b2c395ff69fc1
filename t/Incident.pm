
# Incident.pm - a node with safeguard and the tables of incident 1
#
# What the TAP tests share: the schema, one statement that composite_key
# rejects and the same statement as it was meant.

package Incident;

use strict;
use warnings FATAL => 'all';

use BrokenPipe;
use Exporter qw(import);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw($BAD $GOOD incident_node create_incident add_conf figures
  rejected_with);

# matches by id alone: 8 rows of two systems
our $BAD = q{UPDATE point_info SET point_name = 'Grid import'
 WHERE id IN (SELECT pi.id FROM point_info pi JOIN systems s ON pi.system_id = s.id
 WHERE s.vendor_type = 'amber')};

# as it was meant: 4 rows of one system
our $GOOD = q{UPDATE point_info SET point_name = 'Grid import'
 WHERE (system_id, id) IN (SELECT pi.system_id, pi.id FROM point_info pi
 JOIN systems s ON pi.system_id = s.id WHERE s.vendor_type = 'amber')};

sub add_conf
{
	my ($node, @lines) = @_;
	$node->append_conf('postgresql.conf', join("\n", @lines) . "\n");
	return;
}

# A running node with safeguard preloaded and the incident's tables.  Options:
# init => { of Cluster->init }, conf => [ lines of postgresql.conf ]
sub incident_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%{ $options{init} // {} });
	add_conf(
		$node,
		"shared_preload_libraries = 'safeguard'",
		'max_connections = 50',
		@{ $options{conf} // [] });
	$node->start;
	create_incident($node, 'postgres');
	return $node;
}

sub create_incident
{
	my ($node, $database) = @_;
	$node->safe_psql(
		$database, q{
		CREATE EXTENSION safeguard;
		CREATE TABLE systems (id int PRIMARY KEY, vendor_type text NOT NULL);
		CREATE TABLE point_info (
			system_id int NOT NULL REFERENCES systems,
			id int NOT NULL,
			point_name text,
			PRIMARY KEY (system_id, id));
		INSERT INTO systems VALUES (1, 'enphase'), (2, 'amber');
		INSERT INTO point_info
		SELECT s, p, 'Point ' || p
		  FROM generate_series(1, 2) s, generate_series(1, 4) p;
	});
	return;
}

# 'calls|rejected', summed over the findings of composite_key
sub figures
{
	my ($node, $database) = @_;
	return $node->safe_psql(
		$database // 'postgres', q{
		SELECT coalesce(sum(calls), 0), coalesce(sum(rejected), 0)
		  FROM safeguard.findings WHERE rule = 'composite_key'});
}

# Runs the statement and tests that composite_key rejects it.
sub rejected_with
{
	my ($node, $database, $sql, $what) = @_;
	my ($rc, $out, $err) =
	  $node->psql($database, $sql, extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	like($err, qr/ERROR:  SG001: UPDATE matches table "point_info"/, $what);
	return $err;
}

1;
