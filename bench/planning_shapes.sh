# shellcheck shell=bash
#
# planning_shapes.sh - the statements of bench/planning, by their size
#
# Sourced, never run.  shapes prints a line for each: its name, the function
# that makes it with what it gets before the size, and the smallest size.

# the SQL that makes the tables
shapes_base()
{
	cat <<'SQL'
CREATE TABLE system (id int PRIMARY KEY);
CREATE TABLE other (id int PRIMARY KEY, v int);
CREATE TABLE point_info (system_id int NOT NULL, id int NOT NULL, v int, PRIMARY KEY (system_id, id));
INSERT INTO system SELECT s FROM generate_series(1, 5) s;
INSERT INTO point_info SELECT s, p, 0 FROM generate_series(1, 5) s, generate_series(1, 4) p;

CREATE PROCEDURE make(name text, n int, id text, head text, part text, keys text DEFAULT '') LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (system_id int NOT NULL, id %s NOT NULL, v int, w int, PRIMARY KEY (system_id, id) %s) %s',
				   name, id, keys, head);
	FOR i IN 1..n LOOP
		EXECUTE format(part, name, name || '_' || i, i);
		IF i % 50 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END $$;

-- 1,600 columns is as many as a table can have
CREATE PROCEDURE make_wide(name text, n int) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (%s, system_id int NOT NULL, id int NOT NULL, PRIMARY KEY (system_id, id))', name,
		(SELECT string_agg('c' || i || ' int', ', ') FROM generate_series(3, n) i));
END $$;

CREATE PROCEDURE make_views(name text, n int, body text, options text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE VIEW %I AS SELECT * FROM point_info WHERE v > -100', name || '_0');
	FOR i IN 1..n LOOP
		EXECUTE format(body, name || '_' || i, name || '_' || i - 1, options);
	END LOOP;
END $$;
CALL make_views('view', 40, 'CREATE VIEW %I %3$s AS SELECT * FROM %2$I WHERE v > -1', '');
CALL make_views('barrier', 40, 'CREATE VIEW %I %3$s AS SELECT * FROM %2$I WHERE v > -1', 'WITH (security_barrier)');
CALL make_views('joined', 40, 'CREATE VIEW %I %3$s AS SELECT s.* FROM %2$I s JOIN other o ON o.id = s.v', '');
CALL make_views('ruled', 40, 'CREATE VIEW %I %3$s AS SELECT * FROM %2$I WHERE v > -1', '');
DO $$
BEGIN
	FOR i IN 1..40 LOOP
		EXECUTE format('CREATE RULE r AS ON UPDATE TO %I DO INSTEAD UPDATE %I SET v = new.v WHERE system_id = old.system_id AND id = old.id',
					   'ruled_' || i, 'ruled_' || i - 1);
	END LOOP;
END $$;
SQL
	local n parted="'PARTITION BY LIST (system_id)', 'CREATE TABLE %2\$I PARTITION OF %1\$I FOR VALUES IN (%3\$s)'"
	local keys=', FOREIGN KEY (system_id) REFERENCES system, FOREIGN KEY (id) REFERENCES other, FOREIGN KEY (system_id, v) REFERENCES point_info'

	for n in 250 500 1000; do
		echo "CALL make('parted_$n', $n, 'int', $parted);"
		echo "CALL make('serial_$n', $n, 'serial', $parted);"
		echo "CALL make('linked_$n', $n, 'int', $parted, '$keys');"
		echo "CALL make('heirs_$n', $n, 'serial', '', 'CREATE TABLE %2\$I (PRIMARY KEY (system_id, id)) INHERITS (%1\$I)');"
	done
	for n in 50 100 200; do
		echo "CALL make('partial_$n', $n, 'int', '', 'CREATE UNIQUE INDEX ON %1\$I (v, id, system_id) WHERE v > %3\$s');"
		echo "CALL make('unique_$n', $n, 'int', '', 'CREATE UNIQUE INDEX ON %1\$I (id, v, w)');"
		echo "CALL make('indexed_$n', $n, 'int', '', 'CREATE INDEX ON %1\$I (id, v)');"
		echo "CALL make('foreign_$n', $n, 'int', '', 'ALTER TABLE %1\$I ADD FOREIGN KEY (system_id, v) REFERENCES point_info');"
		echo "CALL make('parent_$n', $n, 'int', '', 'CREATE TABLE %2\$I (system_id int, id int, PRIMARY KEY (system_id, id), FOREIGN KEY (system_id, id) REFERENCES %1\$I)');"
	done
	for n in 400 800 1600; do
		echo "CALL make_wide('wide_$n', $n);"
	done
	echo "VACUUM ANALYZE;"
}

# repeat N TEXT [SEPARATOR [LAST]]: the text with # as 1 to N, and @ as one less
repeat()
{
	awk -v n="$1" -v text="$2" -v between="${3:-}" 'BEGIN {
		for (i = 1; i <= n; i++) {
			one = text
			gsub(/#/, i, one)
			gsub(/@/, i - 1, one)
			printf "%s%s", (i > 1 ? between : ""), one
		} }'
}

# the two statements that most shapes are put into: what picks rows of a
# subquery, or of the target
whole="update point_info t set v = 1 where (system_id, id) in (select p.system_id, p.id from point_info p"
part="update point_info t set v = 1 where id in (select p.id from point_info p"

chain()
{
	echo "with c0 as (select p.system_id, p.id from point_info p where p.system_id = 1)" \
		"$(repeat "$2" ", c# as (select c.system_id, c.id from c@ c where c.id > #)")" \
		"$1 where (system_id, id) in (select c.system_id, c.id from c$2 c)"
}
chain_update() { chain "update point_info set v = 1" "$1"; }
chain_delete() { chain "delete from point_info" "$1"; }
chain_twice()
{
	echo "with c0 as (select p.system_id, p.id from point_info p where p.system_id = 1)" \
		"$(repeat "$1" ", c# as (select c.system_id, c.id from c@ c, c@ d where c.id = d.id)")" \
		"update point_info set v = 1 where (system_id, id) in (select c.system_id, c.id from c$1 c)"
}
ctes_used()
{
	echo "with $(repeat "$1" "c# as (select p.system_id, p.id from point_info p where p.v = #)" ", ")" \
		"update point_info t set v = 1 where $(repeat "$1" "(system_id, id) in (select system_id, id from c#)" " or ")"
}
ctes_writing()
{
	echo "with $(repeat "$1" "c# as (update point_info set v = 1 where (system_id, id) in (select p.system_id, p.id from point_info p where p.v = #) returning id)" ", ")" \
		"select count(*) from c1"
}

in_target() { echo "$whole) and ($(repeat "$2" "$1" " or "))"; }
in_subquery() { echo "$whole where $(repeat "$2" "$1" " or "))"; }
and_target() { echo "$whole) and $(repeat "$2" "$1" " and ")"; }
and_subquery() { echo "$whole where $(repeat "$2" "$1" " and "))"; }
and_part() { echo "$part) and $(repeat "$2" "$1" " and ")"; }
only_or() { echo "update point_info t set v = 1 where $(repeat "$2" "$1" " or ")"; }
only_and() { echo "update point_info t set v = 1 where $(repeat "$2" "$1" " and ")"; }
delete_or() { echo "delete from point_info t where $(repeat "$2" "$1" " or ")"; }
merge_or() { echo "merge into point_info t using point_info p on p.system_id = t.system_id and p.id = t.id and ($(repeat "$2" "$1" " or ")) when matched then update set v = 1"; }

nested() { echo "$part where $(repeat "$2" "$1 ")true$(repeat "$2" ")"))"; }
tree() { echo "$whole where $(repeat "$2" "$1 ")true$(repeat "$2" ")"))"; }
tree_target() { echo "$whole) and $(repeat "$2" "$1 ")true$(repeat "$2" ")")"; }

list_target() { echo "$whole) and t.v in ($(repeat "$1" "#" ","))"; }
list_subquery() { echo "$whole where p.v in ($(repeat "$1" "#" ",")))"; }
list_not() { echo "$part where p.v not in ($(repeat "$1" "#" ",")))"; }
list_pairs() { echo "update point_info t set v = 1 where (system_id, id) in ($(repeat "$1" "(1,#)" ","))"; }
list_columns() { echo "$whole) and t.v in ($(repeat "$1" "t.id + #" ","))"; }

values_joined() { echo "update point_info t set v = x.c from (values $(repeat "$1" "(1,#,#)" ",")) x (a, b, c) where t.system_id = x.a and t.id = x.b"; }
values_part() { echo "update point_info t set v = x.c from (values $(repeat "$1" "(1,#,#)" ",")) x (a, b, c) where t.id = x.b"; }
values_wide() { echo "update point_info t set v = 1 from (values $(repeat "$1" "(1,#,#)" ",")) x (a, b, c) where t.system_id = x.a and t.id = x.b $(repeat 20 "and x.c <> #" " ")"; }
values_merge() { echo "merge into point_info t using (values $(repeat "$1" "(1,#,#)" ",")) x (a, b, c) on t.system_id = x.a and t.id = x.b when matched then update set v = x.c when not matched then insert values (x.a, x.b, x.c)"; }
values_upsert() { echo "insert into point_info values $(repeat "$1" "(1,#,#)" ",") on conflict (system_id, id) do update set v = excluded.v"; }
unions() { echo "update point_info t set v = 1 where (system_id, id) in ($(repeat "$1" "select p.system_id, p.id from point_info p where p.v = #" " union all "))"; }
unions_from() { echo "update point_info t set v = 1 from ($(repeat "$1" "select p.system_id, p.id from point_info p where p.v = #" " union all ")) x where t.id = x.id and t.system_id = x.system_id"; }
upsert_unions() { echo "insert into point_info (system_id, id) $(repeat "$1" "select p.system_id, p.id from point_info p where p.v = #" " union all ") on conflict (system_id, id) do nothing"; }

joins()
{
	echo "$whole $(repeat "$2" "$1" " "))"
}
joins_part() { echo "$part $(repeat "$2" "$1" " "))"; }
joins_target()
{
	echo "update point_info t set v = 1 from point_info p $(repeat "$2" "$1" " ") where p.system_id = t.system_id and p.id = t.id"
}
joins_delete()
{
	echo "delete from point_info t using point_info p $(repeat "$2" "$1" " ") where p.id = t.id and p.system_id = t.system_id"
}
joins_merge()
{
	echo "merge into point_info t using (select p.* from point_info p $(repeat "$2" "$1" " ")) p on p.system_id = t.system_id and p.id = t.id when matched then delete"
}
joins_half() { echo "update point_info t set v = 1 from point_info p $(repeat "$2" "$1" " ") where p.id = t.id"; }
from_list() { echo "update point_info t set v = 1 from $(repeat "$1" "other o#" ", ") where $(repeat "$1" "o#.id = t.id" " and ")"; }

# statements on a table whose name ends with its size
table_whole() { echo "update $1_$2 set v = 1 where (system_id, id) in (select p.system_id, p.id from $1_$2 p where p.id = 1)"; }
table_one() { echo "update $1_$2 set v = 1 where system_id = 7 and id in (select o.id from other o)"; }
table_source() { echo "update point_info set v = 1 where (system_id, id) in (select p.system_id, p.id from $1_$2 p where p.id = 1)"; }
table_part() { echo "update $1_$2 set v = 1 where id in (select p.id from $1_$2 p where p.system_id = 1)"; }
table_leaf() { echo "update ${1}_${2}_7 set v = 1 where id in (select p.id from $1_$2 p where p.system_id = 7)"; }
table_delete() { echo "delete from $1_$2 where (system_id, id) in (select p.system_id, p.id from $1_$2 p where p.id = 1)"; }
table_merge() { echo "merge into $1_$2 t using $1_$2 p on t.id = p.id and t.system_id = p.system_id when matched then update set v = p.v"; }
table_upsert() { echo "insert into $1_$2 (system_id, id, v) values (1, 1, 1) on conflict (system_id, id) do update set v = excluded.v"; }
table_silent() { echo "insert into $1_$2 (system_id, id, v) values (1, 1, 1) on conflict do nothing"; }
table_value() { echo "update $1_$2 set v = 1 where system_id = 7 and v = 3"; }
table_half() { echo "update $1_$2 set v = 1 where v = 3"; }

# the columns of a wide table that are in no key begin with the third
columns() { repeat "$1" "$2" "$3" | sed 's/^[^3]*c3/c3/'; }
wide_set() { echo "update wide_$1 set $(columns "$1" "c# = #" ", ") where (system_id, id) in (select p.system_id, p.id from wide_$1 p where p.c3 = 1)"; }
wide_equal() { echo "update wide_$1 t set c3 = 1 from wide_$1 p where p.system_id = t.system_id and p.id = t.id and t.$(columns "$1" "t.c# = p.c#" " and ")"; }
wide_row() { echo "update wide_$1 t set c3 = 1 from wide_$1 p where p = t"; }
wide_in() { echo "update wide_$1 t set c3 = 1 where ($(columns "$1" "c#" ","),id) in (select $(columns "$1" "c#" ","),id from wide_$1)"; }
wide_merge() { echo "merge into wide_$1 t using wide_$1 p on p.system_id = t.system_id and p.id = t.id when matched then update set $(columns "$1" "c# = p.c#" ",")"; }
wide_upsert() { echo "insert into wide_$1 (system_id, id) values (1, 1) on conflict (system_id, id) do update set $(columns "$1" "c# = excluded.c#" ",")"; }
wide_from() { echo "update point_info t set v = 1 from (select $(repeat "$1" "p.v + # as c#" ","), p.* from point_info p) x where x.system_id = t.system_id and x.id = t.id and x.c$1 > 3"; }

set_subqueries() { echo "update point_info t set v = 1, id = $(repeat "$1" "(select max(o.v) from other o where o.id = t.v + #)" " + ") where (system_id, id) in (select p.system_id, p.id from point_info p)"; }
whens() { echo "merge into point_info t using point_info p on p.system_id = t.system_id and p.id = t.id $(repeat "$1" "when matched and p.v = # then update set v = #" " ")"; }
cases() { echo "update point_info t set v = 1 from other p where t.system_id = 1 and t.id = case p.v $(repeat "$1" "when # then p.id + #" " ") end"; }
coalesces() { echo "update point_info t set v = 1 from point_info p where t.system_id = p.system_id and t.id = coalesce($(repeat "$1" "(select max(o.id) from other o where o.v = p.v + #)" ", "))"; }
sums() { echo "update point_info t set v = 1 from point_info p where t.system_id = p.system_id and t.id = p.id and p.v = $(repeat "$1" "t.v" " + ")"; }
grouped() { echo "update point_info t set v = 1 where (system_id, id) in (select p.system_id, p.id from point_info p group by p.system_id, p.id, $(repeat "$1" "p.v + #" ", "))"; }

shapes()
{
	cat <<'SHAPES'
CTEs in a chain|chain_update|25
CTEs in a chain, DELETE|chain_delete|25
CTEs in a chain, each read twice|chain_twice|3
CTEs, each in an arm of an OR|ctes_used|25
CTEs that write|ctes_writing|25
arms of an OR on the target|in_target id = #|50
arms of an OR of pairs on the target|in_target system_id = 1 and t.id = #|50
arms of an OR in the subquery|in_subquery p.id = #|50
arms of an OR of pairs in the subquery|in_subquery p.system_id = 1 and p.id = #|50
arms of an OR of pairs, nothing else|only_or system_id = 1 and id = #|50
arms of an OR of ranges in the subquery|in_subquery p.id between # and 2 * #|50
arms of an OR, MERGE|merge_or t.v = #|50
arms of an OR of both tables, MERGE|merge_or t.v = # and p.v = #|50
arms of an OR of IN, each a subquery|only_or (system_id, id) in (select p.system_id, p.id from point_info p where p.v = #)|25
arms of an OR of IN, DELETE|delete_or (system_id, id) in (select p.system_id, p.id from point_info p where p.v = #)|25
arms of an OR of EXISTS|only_or exists (select from point_info p where p.system_id = t.system_id and p.id = t.id and p.v = #)|25
conditions on the target|and_target t.v <> #|50
conditions in the subquery|and_subquery p.v <> #|50
IN, each a subquery|only_and (system_id, id) in (select p.system_id, p.id from point_info p where p.v = #)|8
IN by part of the key|only_and id in (select p.id from point_info p where p.v = #)|8
NOT IN, each a subquery|and_target t.v not in (select o.v from other o where o.id > #)|12
EXISTS, each a subquery|only_and exists (select from point_info p where p.system_id = t.system_id and p.id = t.id and p.v = #)|8
NOT EXISTS, each a subquery|and_target not exists (select from other o where o.id = t.v and o.v = #)|25
scalar subqueries|and_target t.v > (select min(o.v) from other o where o.id = t.v + #)|12
ANDed ORs with subqueries|and_target (t.v = # or t.v in (select o.v from other o where o.id > #))|12
ANDed ORs of both tables, MERGE|merge_and|12
subqueries, one in the other: IN|nested p.v in (select p.v from point_info p where |12
subqueries, one in the other: EXISTS|nested exists (select from point_info q where q.v = p.v and |12
subqueries, one in the other: NOT EXISTS|nested not exists (select from point_info q where q.v = p.v and |12
subqueries, one in the other: scalar|nested p.v = (select max(p.v) from point_info p where |12
subqueries, one in the other: NOT IN|nested p.v not in (select p.v from point_info p where |12
tree of OR and AND in the subquery|tree (p.v = # or p.id > # and |25
tree of OR and AND on the target|tree_target (t.v = # or t.id > # and |25
tree of OR and subqueries|tree_target (t.v = # or t.v in (select o.v from other o where o.id = #) and |6
tree of NOT|tree not (p.v = # and |25
elements of IN on the target|list_target|1250
elements of IN in the subquery|list_subquery|1250
elements of NOT IN|list_not|1250
pairs of IN|list_pairs|500
elements of IN that are computed|list_columns|250
rows of VALUES|values_joined|500
rows of VALUES, by part of the key|values_part|500
rows of VALUES, asked for often|values_wide|500
rows of VALUES, MERGE|values_merge|500
rows of VALUES, ON CONFLICT|values_upsert|500
arms of UNION ALL|unions|125
arms of UNION ALL in FROM|unions_from|125
arms of UNION ALL, ON CONFLICT|upsert_unions|125
joins in a chain|joins join other o# on o#.id = p.v|10
joins of one to the next|joins_next|50
joins with USING|joins_using|10
left joins|joins left join other o# on o#.id = p.v|10
full joins|joins_full|12
joins, UPDATE FROM|joins_target join other o# on o#.id = p.v|10
joins, by part of the key|joins_half join other o# on o#.id = p.v|10
joins of the same table, by part of the key|joins_half join point_info o# on o#.id = p.id|10
joins, DELETE|joins_delete join other o# on o#.id = p.v|10
joins, MERGE|joins_merge join other o# on o#.id = p.v|10
lateral joins|joins cross join lateral (select o.v from other o where o.id = p.v + #) o#|10
partitions|table_whole parted|250
partitions, one that is left|table_one parted|250
partitions, by part of the key|table_part parted|250
partitions read|table_source parted|250
partitions, the leaf|table_leaf parted|250
partitions, DELETE|table_delete parted|250
partitions, MERGE|table_merge parted|250
partitions, ON CONFLICT|table_upsert parted|250
partitions, ON CONFLICT DO NOTHING|table_silent parted|250
partitions with a sequence, one that is left|table_one serial|250
partitions with a sequence, the leaf|table_leaf serial|250
partitions with foreign keys|table_whole linked|250
partitions with foreign keys, one that is left|table_one linked|250
partitions with foreign keys, by part of the key|table_part linked|250
partitions with foreign keys, the leaf|table_leaf linked|250
children|table_whole heirs|250
children, by part of the key|table_part heirs|250
children, the leaf|table_leaf heirs|250
partial unique indexes|table_whole partial|50
partial unique indexes, by part of the key|table_part partial|50
unique indexes|table_whole unique|50
unique indexes, by part of the key|table_part unique|50
unique indexes read|table_source unique|50
unique indexes, DELETE|table_delete unique|50
unique indexes, MERGE|table_merge unique|50
unique indexes, ON CONFLICT|table_upsert unique|50
unique indexes, ON CONFLICT DO NOTHING|table_silent unique|50
partial unique indexes, ON CONFLICT|table_upsert partial|50
partial unique indexes, ON CONFLICT DO NOTHING|table_silent partial|50
indexes|table_whole indexed|50
indexes, by part of the key|table_part indexed|50
foreign keys|table_whole foreign|50
foreign keys, by part of the key|table_part foreign|50
tables that reference it, by part of the key|table_part parent|50
columns of SET|wide_set|400
columns compared|wide_equal|400
columns of a row compared|wide_row|400
columns of IN|wide_in|400
columns of SET, MERGE|wide_merge|400
columns of SET, ON CONFLICT|wide_upsert|400
columns of a subquery|wide_from|400
views deep|table_whole view|10
views deep, read|table_source view|10
views deep, by part of the key|table_part view|10
views deep with barriers|table_whole barrier|10
views deep with joins, read|table_source joined|10
views deep with rules|table_rule|2
subqueries in SET|set_subqueries|12
WHENs of MERGE|whens|25
arms of CASE|cases|50
arguments of COALESCE, each a subquery|coalesces|12
terms of a sum|sums|100
columns of GROUP BY|grouped|50
SHAPES
}

joins_next() { echo "$whole join other o0 on o0.id = p.v $(repeat "$1" "join other o# on o#.id = o@.v" " "))"; }
joins_using() { echo "$whole $(repeat "$1" "join other o# using (id)" " "))"; }
joins_full() { echo "$whole $(repeat "$1" "full join other o# using (id)" " "))"; }
table_rule() { echo "update ruled_$1 set v = 1 where (system_id, id) in (select p.system_id, p.id from point_info p)"; }
merge_and() { echo "merge into point_info t using point_info p on p.system_id = t.system_id and p.id = t.id and $(repeat "$1" "(t.v = # or p.v = #)" " and ") when matched then update set v = 1"; }
