--
-- unlinked_from: a target that nothing ties to what it is joined with.
-- Cases R must be found, cases A are their look-alikes and must not.
--
CREATE SCHEMA uf;
SET search_path = uf;
CREATE TABLE customers (id int PRIMARY KEY, name text, lo int, hi int, flag bool, status text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, v int, status text, path text);
CREATE TABLE lines (order_id int, no int, v int, PRIMARY KEY (order_id, no));
CREATE TABLE link (o int, c int);
INSERT INTO customers VALUES (1, 'a', 1, 2, true, 'x'), (2, 'b', 3, 4, true, 'y');
INSERT INTO orders VALUES (1, 1, 1, 'x', 'p'), (2, 2, 2, 'y', 'q');
SHOW safeguard.unlinked_from;

-- the whole text, with a foreign key to name and without
BEGIN;
UPDATE orders SET v = 0 FROM customers c WHERE c.name = 'nobody';
DELETE FROM lines USING customers WHERE lines.v = 1 AND customers.id = 1;
MERGE INTO orders o USING customers c ON o.v = 100 WHEN MATCHED THEN DELETE;
DELETE FROM orders USING customers c WHERE orders.customer_id = c.id OR c.name = 'nobody' AND orders.v = 5;
ROLLBACK;
SET safeguard.unlinked_from = error;
\set VERBOSITY terse

-- R01: UPDATE FROM and DELETE USING, with conditions on each side or none
UPDATE orders SET v = 0 FROM customers c WHERE c.id = 1;
UPDATE orders SET v = c.id FROM customers c;
DELETE FROM orders USING customers c WHERE orders.v = 1 AND c.name = 'a';
DELETE FROM orders USING customers c, link l WHERE c.id = l.c;
DELETE FROM orders USING customers c JOIN link l ON c.id = l.c WHERE l.o = 1;
-- A01: tied by an equality, on either side, by an expression, through others
BEGIN;
UPDATE orders SET v = 0 FROM customers c WHERE orders.customer_id = c.id;
UPDATE orders o SET v = 0 FROM customers c WHERE c.id + 0 = o.customer_id - 0;
DELETE FROM orders USING customers c, link l WHERE c.id = l.c AND l.o = orders.id;
ROLLBACK;
BEGIN;
DELETE FROM orders USING customers c JOIN link l ON c.id = l.c WHERE l.o = orders.id;
DELETE FROM lines USING orders o FULL JOIN customers c USING (id) WHERE id = lines.no;
DELETE FROM orders USING customers c LEFT JOIN link l ON c.id = l.c WHERE orders.customer_id = c.id AND l.c IS NULL;
DELETE FROM orders o USING customers c WHERE (o.customer_id, o.status) = (c.id, c.status);
DELETE FROM orders o USING customers c WHERE o.customer_id IN (c.id, c.id + 1);
DELETE FROM orders o USING customers c WHERE o.customer_id = ANY (ARRAY[c.lo, c.hi]);
ROLLBACK;

-- A02: tied by other operators, functions and subqueries over both
BEGIN;
UPDATE orders o SET v = c.id FROM customers c WHERE o.v BETWEEN c.lo AND c.hi;
UPDATE orders o SET v = c.id FROM customers c WHERE o.path LIKE c.name || '%';
UPDATE orders o SET v = c.id FROM customers c WHERE o.v >= c.lo;
UPDATE orders o SET v = c.id FROM customers c WHERE int4range(c.lo, c.hi) @> o.v;
UPDATE orders o SET v = c.id FROM customers c WHERE EXISTS (SELECT 1 FROM link l WHERE l.o = o.id AND l.c = c.id);
UPDATE orders o SET v = c.id FROM customers c WHERE (o.id, c.id) IN (SELECT l.o, l.c FROM link l);
UPDATE orders o SET v = c.id FROM customers c WHERE o.customer_id IS NOT DISTINCT FROM c.id;
UPDATE orders o SET v = c.id FROM customers c WHERE NOT o.customer_id <> c.id;
ROLLBACK;
-- R02: <> ties nothing
DELETE FROM orders o USING customers c WHERE o.customer_id <> c.id;
DELETE FROM orders o USING customers c WHERE NOT (o.customer_id = c.id);
DELETE FROM orders o USING customers c WHERE o.customer_id IS DISTINCT FROM c.id;
DELETE FROM orders a USING orders b WHERE a.ctid <> b.ctid;
-- A03: but it does no harm beside a tie
BEGIN;
UPDATE orders o SET v = c.lo FROM customers c WHERE o.customer_id = c.id AND o.v IS DISTINCT FROM c.lo;
DELETE FROM orders a USING orders b WHERE a.customer_id = b.customer_id AND a.id <> b.id;
ROLLBACK;

-- R04: an arm of an OR without a tie, also below an AND
DELETE FROM orders o USING customers c WHERE o.customer_id = c.id OR c.flag;
DELETE FROM orders o USING customers c WHERE o.v > 0 AND (o.customer_id = c.id OR o.v = 5);
DELETE FROM orders o USING customers c WHERE NOT (o.customer_id <> c.id AND c.flag);
-- A04: a tie in each arm, or beside the OR; NULLs that are taken as equal
BEGIN;
DELETE FROM orders o USING customers c WHERE o.customer_id = c.id OR o.v = c.lo;
DELETE FROM orders o USING customers c WHERE o.customer_id = c.id AND (c.flag OR o.v = 5);
DELETE FROM orders o USING customers c WHERE o.status = c.status OR (o.status IS NULL AND c.status IS NULL);
DELETE FROM orders o USING customers c, link l WHERE (o.customer_id = c.id OR o.id = l.o);
ROLLBACK;

-- A05: sources of one row
BEGIN;
UPDATE orders SET v = m.v FROM (SELECT max(v) AS v FROM orders) m WHERE orders.v > 0;
UPDATE orders SET v = p.x FROM (VALUES (1, 2)) p(x, y) WHERE orders.v = 100;
UPDATE orders SET v = p.x FROM (SELECT 1 AS x) p;
UPDATE orders SET v = p.id FROM (SELECT id FROM customers ORDER BY id LIMIT 1) p;
WITH p AS (SELECT count(*) AS n FROM customers) UPDATE orders SET v = p.n FROM p WHERE orders.v = 100;
UPDATE orders SET v = d FROM abs(-1) d;
UPDATE orders SET v = a.v FROM (SELECT max(v) AS v FROM orders) a CROSS JOIN (SELECT 1) b;
ROLLBACK;
-- R05: of more than one
UPDATE orders SET v = m.v FROM (SELECT max(v) AS v FROM orders GROUP BY status) m WHERE orders.v > 0;
UPDATE orders SET v = p.x FROM (VALUES (1), (2)) p(x);
UPDATE orders SET v = p.id FROM (SELECT id FROM customers ORDER BY id LIMIT 2) p;
UPDATE orders SET v = d FROM generate_series(1, 3) d;
WITH p AS (SELECT id FROM customers) UPDATE orders SET v = p.id FROM p WHERE orders.v = 100;
UPDATE orders SET v = m.v FROM (SELECT max(v) AS v FROM orders) m, customers c WHERE orders.v = m.v;

-- A06: rows named by values for a whole unique key, or one by its place
BEGIN;
UPDATE orders SET v = c.lo FROM customers c WHERE orders.id = 1 AND c.name = 'a';
UPDATE orders SET v = c.lo FROM customers c WHERE orders.id IN (1, 2) AND c.id = 1;
DELETE FROM lines USING customers c WHERE lines.order_id = 1 AND lines.no = 2 AND c.flag;
DELETE FROM lines USING customers c WHERE lines.ctid = '(0,1)' AND c.flag;
ROLLBACK;
-- R06: a part of the key
DELETE FROM lines USING customers c WHERE lines.order_id = 1 AND c.flag;

-- A07: one value for both
BEGIN;
UPDATE lines SET v = o.v FROM orders o WHERE lines.order_id = 7 AND o.id = 7;
PREPARE same(int) AS UPDATE lines SET v = o.v FROM orders o WHERE lines.order_id = $1 AND o.id = $1;
EXECUTE same(7);
PREPARE each(int, int) AS DELETE FROM orders USING customers c WHERE orders.status = $1::text AND c.status = $2::text;
EXECUTE each(7, 7);
PREPARE order_lines(int, int) AS UPDATE lines SET v = o.v FROM orders o WHERE lines.order_id = $1 AND o.id = $2;
EXECUTE order_lines(7, 7);
ROLLBACK;
-- R07: different ones, equal ones by chance, the same truth
UPDATE lines SET v = o.v FROM orders o WHERE lines.order_id = 7 AND o.id = 8;
PREPARE other(int, int) AS UPDATE lines SET v = o.v FROM orders o WHERE lines.no = $1 AND o.id = $2;
EXECUTE other(7, 7);
DELETE FROM lines USING customers WHERE lines.v = 1 AND customers.id = 1;
DELETE FROM customers USING customers c WHERE customers.flag = true AND c.flag = true;

-- R08: MERGE
MERGE INTO orders o USING customers c ON o.status = 'x' AND c.id = 1 WHEN MATCHED THEN UPDATE SET v = 1;
MERGE INTO orders o USING customers c ON true WHEN MATCHED AND o.v > 0 THEN DELETE;
-- A08: tied in ON or in WHEN; one row; INSERT only
BEGIN;
MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET v = 1;
MERGE INTO orders o USING customers c ON true WHEN MATCHED AND o.customer_id = c.id AND c.id = 1 THEN DELETE;
MERGE INTO orders o USING (SELECT 1 AS one) c ON o.id > 0 WHEN MATCHED THEN UPDATE SET v = one;
MERGE INTO orders o USING (VALUES (3)) c(id) ON o.id = c.id WHEN NOT MATCHED THEN INSERT (id) VALUES (c.id);
MERGE INTO orders o USING customers c ON false WHEN NOT MATCHED THEN INSERT (id) VALUES (c.id + 100);
ROLLBACK;

-- A08b: the row that a CTE has inserted
BEGIN;
WITH n AS (INSERT INTO customers (id) VALUES (200) RETURNING id)
UPDATE orders SET v = n.id FROM n WHERE orders.status = 'q';
WITH n AS (INSERT INTO customers (id) SELECT max(id) + 1 FROM customers RETURNING id)
UPDATE orders SET v = n.id FROM n WHERE orders.status = 'q';
ROLLBACK;
-- A08c: what no row passes, as it is made for an empty list
UPDATE orders SET v = c.id FROM customers c WHERE false;
UPDATE orders SET v = c.id FROM customers c WHERE 1 = 0 AND c.id > 5;
DELETE FROM orders USING customers c WHERE NOT true OR orders.customer_id = c.id AND 2 < 1;
-- R08c: one arm of two is such
UPDATE orders SET v = c.id FROM customers c WHERE false OR c.id > 5;
UPDATE orders SET v = c.id FROM customers c WHERE 1 = 1 AND c.id > 5;
-- R08b: or several
WITH n AS (INSERT INTO customers (id) VALUES (200), (201) RETURNING id)
UPDATE orders SET v = n.id FROM n WHERE orders.status = 'q';
WITH n AS (INSERT INTO customers (id) VALUES (generate_series(200, 201)) RETURNING id)
UPDATE orders SET v = n.id FROM n WHERE orders.status = 'q';
WITH n AS (INSERT INTO customers (id) SELECT id + 200 FROM customers RETURNING id)
UPDATE orders SET v = n.id FROM n WHERE orders.status = 'q';
WITH n AS (DELETE FROM customers WHERE id = 1 RETURNING id)
UPDATE orders SET v = n.id FROM n WHERE orders.status = 'q';

-- R09: CTEs, functions, views
WITH d AS (DELETE FROM orders USING customers c WHERE c.flag RETURNING orders.id) SELECT count(*) FROM d;
CREATE FUNCTION atomic() RETURNS void BEGIN ATOMIC UPDATE orders SET v = 6 FROM customers c WHERE c.id = 1; END;
SELECT atomic();
CREATE VIEW open_orders AS SELECT * FROM orders WHERE status = 'x';
UPDATE open_orders SET v = 1 FROM customers c WHERE c.id = 1;
CREATE VIEW shown AS SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER instead INSTEAD OF UPDATE ON shown FOR EACH ROW EXECUTE FUNCTION nothing();
UPDATE shown SET name = 'x' FROM link l WHERE l.c = 1;
-- A09
UPDATE shown SET name = 'x' WHERE id = 1;
UPDATE shown SET name = 'x' FROM link l WHERE l.o = shown.id;
-- LATERAL ties what it refers to
BEGIN;
UPDATE orders o SET v = 0 FROM customers c CROSS JOIN LATERAL (VALUES (c.id, 1), (c.lo, 2)) x(n, m) WHERE x.n = o.customer_id;
UPDATE orders o SET v = 0 FROM customers c, LATERAL generate_series(c.lo, c.hi) g WHERE g = o.v;
ROLLBACK;
-- what the action of a rule is joined with nobody wrote into it
CREATE TABLE ruled (id int, v int);
CREATE RULE clear AS ON UPDATE TO ruled DO ALSO DELETE FROM link WHERE link.o = 1;
UPDATE ruled SET v = 1 WHERE id = 1;

-- A10: EXPLAIN, temporary tables, levels
DO $$ BEGIN EXECUTE 'EXPLAIN DELETE FROM orders USING customers c WHERE c.flag'; END $$;
CREATE TEMP TABLE scratch (a int);
DELETE FROM scratch USING customers c WHERE c.flag;
SELECT safeguard.set_level('orders', 'unlinked_from', 'off', 'a test');
DELETE FROM orders USING customers c WHERE c.name = 'nobody';
SELECT safeguard.clear_level('orders', 'unlinked_from');

-- who may not read the columns of the hint is not told of them
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_uf;
RESET client_min_messages;
CREATE ROLE regress_sg_uf;
GRANT USAGE ON SCHEMA uf TO regress_sg_uf;
GRANT SELECT (v), DELETE ON orders TO regress_sg_uf;
GRANT SELECT (flag) ON customers TO regress_sg_uf;
SET ROLE regress_sg_uf;
\set VERBOSITY default
DELETE FROM orders USING customers c WHERE c.flag AND orders.v = 1;
RESET ROLE;

SET client_min_messages = error;
DROP SCHEMA uf CASCADE;
DROP OWNED BY regress_sg_uf;
DROP ROLE regress_sg_uf;
