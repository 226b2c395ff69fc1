-- RF1 and RF2 of a stream, :n, in one of the forms that are in use, :form

SELECT 600 + :n * 20 - 19 AS first, 600 + :n * 20 AS last, :n * 20 - 19 AS oldest, :n * 20 AS old \gset
BEGIN;
-- RF1
CREATE TEMP TABLE o (LIKE orders) ON COMMIT DROP;
CREATE TEMP TABLE l (LIKE lineitem) ON COMMIT DROP;
INSERT INTO o SELECT * FROM order_rows(:first, :last);
INSERT INTO l SELECT * FROM line_rows(:first, :last);
INSERT INTO orders SELECT * FROM o;
INSERT INTO lineitem SELECT * FROM l;
-- RF2
CREATE TEMP TABLE old (o_orderkey int) ON COMMIT DROP;
INSERT INTO old SELECT generate_series(:oldest, :old);
SELECT :form = 1 AS one, :form = 2 AS two, :form = 3 AS three, :form = 4 AS four, :form = 5 AS five \gset
\if :one
DELETE FROM lineitem WHERE l_orderkey IN (SELECT o_orderkey FROM old);
DELETE FROM orders WHERE o_orderkey IN (SELECT o_orderkey FROM old);
\elif :two
DELETE FROM lineitem USING old WHERE l_orderkey = o_orderkey;
DELETE FROM orders USING old WHERE orders.o_orderkey = old.o_orderkey;
\elif :three
DELETE FROM lineitem l WHERE EXISTS (SELECT FROM old WHERE old.o_orderkey = l.l_orderkey);
DELETE FROM orders o WHERE NOT EXISTS (SELECT FROM lineitem l WHERE l.l_orderkey = o.o_orderkey);
\elif :four
WITH gone AS (DELETE FROM lineitem WHERE l_orderkey IN (
	SELECT o_orderkey FROM orders WHERE o_orderdate BETWEEN date '1992-01-01' + :oldest AND date '1992-01-01' + :old) RETURNING l_orderkey)
SELECT count(*) FROM gone \gset
DELETE FROM orders WHERE o_orderdate BETWEEN date '1992-01-01' + :oldest AND date '1992-01-01' + :old;
\elif :five
DO $$
DECLARE
	k int;
BEGIN
	FOR k IN SELECT o_orderkey FROM old ORDER BY 1 LOOP
		DELETE FROM lineitem WHERE l_orderkey = k;
		DELETE FROM orders WHERE o_orderkey = k;
	END LOOP;
END $$;
\endif
COMMIT;
