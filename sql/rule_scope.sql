--
-- scope: a declared column that a write does not restrict.
-- Cases R must be found, cases A are their look-alikes and must not.
--
CREATE SCHEMA sc;
SET search_path = sc;
CREATE TABLE tenants (id int PRIMARY KEY, name text, retired bool, plan_id int);
CREATE TABLE plans (id int PRIMARY KEY, name text);
CREATE TABLE orders (tenant_id int, id int, other_id int, v int, at timestamptz, PRIMARY KEY (tenant_id, id));
CREATE TABLE lines (tenant_id int, order_id int, no int, v int, PRIMARY KEY (tenant_id, order_id, no));
CREATE TABLE jobs (id int PRIMARY KEY, tenant_id int);
INSERT INTO orders VALUES (1, 1, 1, 1), (2, 1, 1, 1);
SHOW safeguard.scope;
SET safeguard.composite_key = off;
SET safeguard.unlinked_from = off;

-- nothing is declared
UPDATE orders SET v = 2 WHERE id = 1;
SELECT safeguard.set_column('orders', 'tenant_id', 'scope', 'a test');

-- the whole text
UPDATE orders SET v = 3 WHERE id = 1;
DELETE FROM orders;
UPDATE orders SET v = 3 WHERE tenant_id = 1 AND id = 1 OR v = 5;
DELETE FROM orders USING lines l WHERE orders.tenant_id = l.tenant_id AND orders.id = l.order_id;
MERGE INTO orders o USING lines l ON o.id = l.order_id WHEN MATCHED THEN DELETE;
SELECT max(v) FROM orders;
\set VERBOSITY terse

-- R01: the mere presence of the word
DELETE FROM orders WHERE tenant_id IS NOT NULL;
DELETE FROM orders WHERE tenant_id = tenant_id;
DELETE FROM orders WHERE tenant_id = other_id;
DELETE FROM orders WHERE tenant_id <> 5;
DELETE FROM orders WHERE tenant_id NOT IN (5, 6);
DELETE FROM orders WHERE NOT (tenant_id = 5);
DELETE FROM orders WHERE tenant_id > 0;
DELETE FROM orders WHERE tenant_id + id = 5;
DELETE FROM orders WHERE tenant_id IN (id, v);
DELETE FROM orders WHERE tenant_id = coalesce(NULL, tenant_id);
DELETE FROM orders WHERE tenant_id = (random() * 10)::int;
UPDATE orders SET tenant_id = 5;
-- A01: a constant, a list, a closed range, NULL
BEGIN;
DELETE FROM orders WHERE tenant_id = 5;
DELETE FROM orders WHERE 5 = tenant_id AND v > 3;
DELETE FROM orders WHERE tenant_id IN (5, 6);
DELETE FROM orders WHERE tenant_id = ANY ('{5,6}');
DELETE FROM orders WHERE tenant_id BETWEEN 5 AND 6;
DELETE FROM orders WHERE tenant_id IS NULL;
DELETE FROM orders WHERE tenant_id IS NOT DISTINCT FROM 5;
DELETE FROM orders WHERE NOT tenant_id <> 5;
DELETE FROM orders WHERE coalesce(tenant_id, 5) = 5;
DELETE FROM orders WHERE (tenant_id, id) = (5, 6);
DELETE FROM orders WHERE (tenant_id, id) IN ((5, 6), (5, 7));
DELETE FROM orders WHERE (tenant_id, id) IN (VALUES (5, 6), (5, 7));
ROLLBACK;

-- A02: a parameter, a setting, anything of one value
BEGIN;
PREPARE p0(int) AS DELETE FROM orders WHERE tenant_id = $1 OR $1 IS NULL;
PREPARE p1(int) AS DELETE FROM orders WHERE tenant_id = $1;
EXECUTE p1(5);
PREPARE p2(int[]) AS DELETE FROM orders WHERE tenant_id = ANY ($1);
EXECUTE p2('{5}');
SET LOCAL sc.tenant = '5';
DELETE FROM orders WHERE tenant_id = current_setting('sc.tenant')::int;
DELETE FROM orders WHERE tenant_id = (SELECT t.id FROM tenants t WHERE t.name = 'x');
DELETE FROM orders WHERE tenant_id = (SELECT current_setting('sc.tenant')::int);
DO $$ DECLARE mine int := 5; BEGIN DELETE FROM sc.orders WHERE tenant_id = mine; END $$;
ROLLBACK;

-- R03: an arm of an OR
DELETE FROM orders WHERE tenant_id = 5 OR true;
DELETE FROM orders WHERE tenant_id = 5 OR id = 1;
DELETE FROM orders WHERE (tenant_id = 5 OR v = 1) AND (id = 1 OR v = 2);
EXECUTE p0(5);
-- A03: every arm
BEGIN;
DELETE FROM orders WHERE tenant_id = 5 OR tenant_id = 6 AND v = 1;
DELETE FROM orders WHERE tenant_id = 5 AND (id = 1 OR v = 1);
DELETE FROM orders WHERE (tenant_id = 5 AND id = 1) OR (tenant_id = 5 AND id = 2);
ROLLBACK;

-- A04: a source that is itself restricted: its column, its key, tenants chosen
BEGIN;
DELETE FROM orders USING lines l WHERE orders.tenant_id = l.tenant_id AND orders.id = l.order_id AND l.tenant_id = 5;
DELETE FROM orders WHERE (tenant_id, id) IN (SELECT tenant_id, order_id FROM lines WHERE tenant_id = 5);
DELETE FROM orders WHERE (tenant_id, id) IN (SELECT tenant_id, order_id FROM lines WHERE tenant_id IN (5, 6));
DELETE FROM orders WHERE EXISTS (SELECT 1 FROM lines l WHERE l.tenant_id = orders.tenant_id AND l.order_id = orders.id AND l.tenant_id = 5);
DELETE FROM orders o USING jobs j WHERE o.tenant_id = j.tenant_id AND j.id = 7;
DELETE FROM orders WHERE tenant_id IN (SELECT id FROM tenants WHERE retired);
DELETE FROM orders WHERE tenant_id IN (SELECT t.id FROM tenants t JOIN plans p ON p.id = t.plan_id WHERE p.name = 'free');
WITH x AS (SELECT tenant_id, order_id FROM lines WHERE tenant_id = 5) UPDATE orders SET v = 0 FROM x WHERE orders.tenant_id = x.tenant_id AND orders.id = x.order_id;
WITH d AS (DELETE FROM lines WHERE tenant_id = 5 RETURNING *) UPDATE orders SET v = 0 FROM d WHERE orders.tenant_id = d.tenant_id;
WITH i AS (INSERT INTO lines VALUES (5, 1, 1) RETURNING *) UPDATE orders SET v = 0 FROM i WHERE orders.tenant_id = i.tenant_id;
UPDATE orders SET v = 0 FROM unnest('{5}'::int[], '{1}'::int[]) u(tenant, id) WHERE orders.tenant_id = u.tenant AND orders.id = u.id;
DELETE FROM orders USING lines l JOIN tenants t ON t.id = l.tenant_id WHERE orders.tenant_id = t.id AND l.tenant_id = 5;
DELETE FROM orders USING lines l WHERE orders.tenant_id = l.tenant_id AND (l.tenant_id = 5 OR l.tenant_id = 6);
ROLLBACK;
-- R04: one that is not
DELETE FROM orders WHERE tenant_id IN (SELECT tenant_id FROM lines WHERE v = 1);
DELETE FROM orders WHERE (tenant_id, id) IN (SELECT tenant_id, order_id FROM lines);
DELETE FROM orders WHERE tenant_id IN (SELECT id FROM tenants);
DELETE FROM orders WHERE tenant_id NOT IN (SELECT id FROM tenants WHERE id = 5);
DELETE FROM orders WHERE NOT EXISTS (SELECT 1 FROM tenants t WHERE t.id = orders.tenant_id AND t.id = 5);
DELETE FROM orders o USING jobs j WHERE o.tenant_id = j.tenant_id AND j.id > 7;
DELETE FROM orders o USING lines l WHERE o.id = l.order_id AND l.tenant_id = 5;
DELETE FROM orders USING lines l WHERE orders.tenant_id = l.tenant_id AND (l.tenant_id = 5 OR l.v = 6);
DELETE FROM orders WHERE tenant_id IN (SELECT tenant_id FROM lines WHERE tenant_id = 5 UNION SELECT tenant_id FROM lines);

-- R05: MERGE, by its ON and WHEN
MERGE INTO orders o USING lines l ON o.tenant_id = l.tenant_id AND o.id = l.order_id WHEN MATCHED THEN UPDATE SET v = 1;
-- A05: restricted in ON, in WHEN, in the source; INSERT only
BEGIN;
MERGE INTO orders o USING lines l ON o.tenant_id = 5 AND o.id = l.order_id WHEN MATCHED THEN UPDATE SET v = 1;
MERGE INTO orders o USING lines l ON o.id = l.order_id WHEN MATCHED AND o.tenant_id = 5 THEN DELETE;
MERGE INTO orders o USING (SELECT * FROM lines WHERE tenant_id = 5) l ON o.tenant_id = l.tenant_id AND o.id = l.order_id WHEN MATCHED THEN DELETE;
MERGE INTO orders o USING (VALUES (5, 1)) l(t, i) ON o.tenant_id = l.t AND o.id = l.i WHEN MATCHED THEN DELETE;
MERGE INTO orders o USING lines l ON o.id = l.order_id WHEN NOT MATCHED THEN INSERT (tenant_id, id) VALUES (9, l.no);
INSERT INTO orders VALUES (5, 1) ON CONFLICT (tenant_id, id) DO UPDATE SET v = 3;
ROLLBACK;

-- A06: a view or a policy that restricts the column does it for the statement
CREATE VIEW mine AS SELECT id, v FROM orders WHERE tenant_id = 5;
CREATE VIEW all_of_them AS SELECT * FROM orders WHERE v > 0;
UPDATE mine SET v = 1 WHERE id = 1;
UPDATE all_of_them SET v = 1 WHERE tenant_id = 5;
-- R06: one that does not
UPDATE all_of_them SET v = 1 WHERE id = 1;

-- R07: CTEs, functions, rules, cached plans
WITH d AS (DELETE FROM orders WHERE id = 1 RETURNING v) SELECT count(*) FROM d;
CREATE FUNCTION atomic() RETURNS void BEGIN ATOMIC DELETE FROM orders WHERE id = 1; END;
SELECT atomic();
CREATE TABLE ruled (id int);
CREATE RULE clear AS ON DELETE TO ruled DO ALSO DELETE FROM orders WHERE orders.id = OLD.id;
DELETE FROM ruled WHERE id = 1;
-- A07: the row of a cursor
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM orders WHERE tenant_id = 1 AND id = 1 FOR UPDATE;
FETCH c;
UPDATE orders SET v = 5 WHERE CURRENT OF c;
ROLLBACK;
-- a trigger that knows its row
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE sc.orders SET v = 7 WHERE tenant_id = NEW.tenant_id AND id = NEW.order_id; RETURN NULL; END';
CREATE TRIGGER touch AFTER INSERT ON lines FOR EACH ROW EXECUTE FUNCTION touch();
INSERT INTO lines VALUES (1, 1, 1);
CREATE FUNCTION touch_all() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN UPDATE sc.orders o SET v = 8 FROM new_rows n WHERE o.tenant_id = n.tenant_id AND o.id = n.order_id; RETURN NULL; END';
CREATE TRIGGER touch_all AFTER INSERT ON lines REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION touch_all();
INSERT INTO lines VALUES (1, 1, 2);
SELECT tenant_id, id, v FROM orders ORDER BY 1, 2;

-- a declaration, and taking it back, holds for a plan that is cached
SET plan_cache_mode = force_generic_plan;
PREPARE upd AS UPDATE jobs SET tenant_id = 1 WHERE id = 1;
EXECUTE upd;
EXECUTE upd;
SELECT safeguard.set_column('jobs', 'tenant_id', 'scope');
EXECUTE upd;
UPDATE jobs SET tenant_id = 1 WHERE id = 1;
UPDATE jobs SET tenant_id = 1 WHERE id = 1;
SELECT safeguard.clear_column('jobs', 'tenant_id', 'scope');
EXECUTE upd;
RESET plan_cache_mode;

-- partitions: the root's declaration holds for each, a bound of one value does
CREATE TABLE root (v int, tenant_id int, id int) PARTITION BY LIST (tenant_id);
CREATE TABLE leaf_7 (id int, tenant_id int, v int);
ALTER TABLE root ATTACH PARTITION leaf_7 FOR VALUES IN (7);
CREATE TABLE leaf_89 PARTITION OF root FOR VALUES IN (8, 9);
SET plan_cache_mode = force_generic_plan;
PREPARE leaf AS DELETE FROM leaf_89 WHERE id = 1;
EXECUTE leaf;
SELECT safeguard.set_column('root', 'tenant_id', 'scope');
-- R08
EXECUTE leaf;
RESET plan_cache_mode;
DELETE FROM root WHERE id = 1;
DELETE FROM leaf_89 WHERE id = 1;
DELETE FROM leaf_89 WHERE id = 1;
-- A08
DELETE FROM root WHERE tenant_id = 7;
DELETE FROM leaf_7 WHERE id = 1;
DELETE FROM leaf_89 WHERE tenant_id = 8;
ALTER TABLE root DETACH PARTITION leaf_89;
DELETE FROM leaf_89 WHERE id = 1;

-- two declared columns: the first that is open is named
SELECT safeguard.set_column('orders', 'at', 'scope');
-- R09
DELETE FROM orders WHERE tenant_id = 5;
DELETE FROM orders WHERE tenant_id = 5 AND at < '2000-01-01';
-- A09
DELETE FROM orders WHERE tenant_id = 5 AND at >= '1999-01-01' AND at < '2000-01-01';
SELECT safeguard.clear_column('orders', 'at', 'scope');

-- A09b: computed from what is one value
BEGIN;
DELETE FROM orders WHERE tenant_id = coalesce((SELECT 3), 4);
DELETE FROM orders WHERE tenant_id = CASE WHEN EXISTS (SELECT 1 FROM orders) THEN 3 ELSE 4 END;
DELETE FROM orders WHERE tenant_id = (SELECT 3) + 1;
ROLLBACK;
-- R09b: and not
CREATE FUNCTION own_tenant() RETURNS int LANGUAGE sql AS 'SELECT 3';
DELETE FROM orders WHERE tenant_id = coalesce((SELECT orders.id), 4);
DELETE FROM orders WHERE tenant_id = coalesce((SELECT random()::int), 4);
DELETE FROM orders WHERE tenant_id = random()::int;
\set VERBOSITY default
DELETE FROM orders WHERE tenant_id = own_tenant();
\set VERBOSITY terse
ALTER FUNCTION own_tenant() STABLE;
BEGIN;
DELETE FROM orders WHERE tenant_id = own_tenant();
ROLLBACK;

-- A12: a row that is named by its place, as postgres_fdw writes what it has read
BEGIN;
PREPARE place(tid) AS DELETE FROM orders WHERE ctid = $1;
EXECUTE place('(0,1)');
DEALLOCATE place;
ROLLBACK;
-- R12: one that is written down, several places, or one in each of several tables
UPDATE orders SET v = 9 WHERE ctid = '(0,1)';
UPDATE orders SET v = 9 WHERE ctid IN ('(0,1)', '(0,2)');
UPDATE orders SET v = 9 WHERE ctid = '(0,1)' OR v = 9;
UPDATE root SET v = 9 WHERE ctid = '(0,1)';

-- R13: tenants without a key; A13: with one that is declared, as a foreign table's
CREATE TABLE former (id int, retired bool);
DELETE FROM orders WHERE tenant_id IN (SELECT id FROM former WHERE retired);
DELETE FROM orders o USING former f WHERE o.tenant_id = f.id AND f.id > 0;
SELECT safeguard.set_column('former', 'id', 'identity');
DELETE FROM orders WHERE tenant_id IN (SELECT id FROM former WHERE retired);
DELETE FROM orders o USING former f WHERE o.tenant_id = f.id AND f.id > 0;
SELECT safeguard.clear_column('former', 'id', 'identity');

-- levels, EXPLAIN
DO $$ BEGIN EXECUTE 'EXPLAIN DELETE FROM orders WHERE id = 1'; END $$;
SELECT safeguard.set_level('orders', 'scope', 'warning', 'a test');
DELETE FROM orders WHERE id = 100;
SELECT safeguard.set_level('orders', 'scope', 'off');
DELETE FROM orders WHERE id = 100;
SELECT safeguard.clear_level('orders', 'scope');

-- under a policy, and who may not read the column
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (tenant_id = current_setting('sc.tenant')::int);
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_sc, regress_sg_sc2;
RESET client_min_messages;
CREATE ROLE regress_sg_sc;
CREATE ROLE regress_sg_sc2 BYPASSRLS;
GRANT USAGE ON SCHEMA sc TO regress_sg_sc, regress_sg_sc2;
GRANT SELECT (id), DELETE ON orders TO regress_sg_sc, regress_sg_sc2;
SET sc.tenant = '5';
\set VERBOSITY default
SET ROLE regress_sg_sc;
-- A10
DELETE FROM orders WHERE id = 1;
-- R10
SET ROLE regress_sg_sc2;
DELETE FROM orders WHERE id = 1;
RESET ROLE;

SELECT safeguard.clear_column('orders', 'tenant_id', 'scope');
SELECT safeguard.clear_column('root', 'tenant_id', 'scope');
SET client_min_messages = error;
DROP SCHEMA sc CASCADE;
DROP OWNED BY regress_sg_sc, regress_sg_sc2;
DROP ROLE regress_sg_sc, regress_sg_sc2;
