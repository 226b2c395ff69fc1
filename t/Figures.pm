# A server whose statements have figures, for the tests of safeguard.query_stats.

package Figures;

use strict;
use warnings FATAL => 'all';

use Exporter qw(import);
use Incident;

our @EXPORT = qw(figures_node figures_of reset_figures);

my $node;

# 'calls|errors|rows' of the statement with this normalised text, of all roles
sub figures_of
{
	my ($query, $columns) = @_;
	$columns //= 'sum(calls), sum(errors), sum(rows)';
	return $node->safe_psql('postgres',
		"SELECT $columns FROM safeguard.query_stats WHERE query = \$q\$$query\$q\$");
}

sub reset_figures
{
	$node->safe_psql('postgres', 'SELECT safeguard.stats_reset()');
	return;
}

# The server, with tables and functions to be counted.
sub figures_node
{
	$node = incident_node($_[0],
		conf => [ 'compute_query_id = on', 'safeguard.track_queries = all' ]);
	$node->safe_psql(
		'postgres', q{
		CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 1000));
		CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
		INSERT INTO t SELECT g, g FROM generate_series(1, 100) g;
		CREATE FUNCTION inner_query() RETURNS bigint LANGUAGE plpgsql AS
			$$ BEGIN RETURN (SELECT count(*) FROM t WHERE v > 5); END $$;
		CREATE FUNCTION sql_inner() RETURNS bigint LANGUAGE sql VOLATILE AS
			$$ UPDATE t SET v = v WHERE id = 1; SELECT count(*) FROM t WHERE v > 6 $$;
		CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
		BEGIN
			UPDATE t SET v = v WHERE id = 2;
			COMMIT;
			UPDATE t SET v = v WHERE id = 3;
			ROLLBACK;
			UPDATE t SET v = v WHERE id = 4;
		END $$;
		CREATE FUNCTION on_change() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN PERFORM count(*) FROM systems; RETURN NULL; END $$;
		CREATE TABLE fires (id int);
		CREATE TRIGGER fired AFTER INSERT ON fires FOR EACH ROW EXECUTE FUNCTION on_change();
		CREATE ROLE regress_sg_one LOGIN;
		CREATE ROLE regress_sg_two LOGIN;
		CREATE ROLE regress_sg_monitor LOGIN IN ROLE pg_monitor;
		GRANT SELECT ON t TO regress_sg_one, regress_sg_two;
	});
	reset_figures();
	return $node;
}

1;
