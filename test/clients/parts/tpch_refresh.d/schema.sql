-- The tables of TPC-H that its refresh functions touch, with its keys, in the
-- schema that is current; :keys says whether foreign keys are declared, which
-- many who run TPC-H leave out.

CREATE TABLE part (p_partkey int PRIMARY KEY, p_retailprice numeric NOT NULL);
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_nationkey int NOT NULL);
CREATE TABLE partsupp (ps_partkey int NOT NULL, ps_suppkey int NOT NULL, ps_availqty int NOT NULL,
	PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey int PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus text NOT NULL DEFAULT 'O',
	o_totalprice numeric NOT NULL, o_orderdate date NOT NULL);
CREATE TABLE lineitem (l_orderkey int NOT NULL, l_linenumber int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL,
	l_quantity int NOT NULL, l_linestatus text NOT NULL DEFAULT 'O', PRIMARY KEY (l_orderkey, l_linenumber));
\if :keys
ALTER TABLE partsupp ADD FOREIGN KEY (ps_partkey) REFERENCES part, ADD FOREIGN KEY (ps_suppkey) REFERENCES supplier;
ALTER TABLE lineitem ADD FOREIGN KEY (l_orderkey) REFERENCES orders,
	ADD FOREIGN KEY (l_partkey, l_suppkey) REFERENCES partsupp;
\endif

INSERT INTO part SELECT i, 900 + i FROM generate_series(1, 50) i;
INSERT INTO supplier SELECT i, i % 5 FROM generate_series(1, 10) i;
INSERT INTO partsupp SELECT p, (p + n * 3) % 10 + 1, 100 FROM generate_series(1, 50) p, generate_series(0, 2) n;

-- the orders of some keys, and their lines, one to seven of each
CREATE FUNCTION order_rows(first int, last int) RETURNS SETOF orders LANGUAGE sql AS $$
	SELECT k, k % 100, 'O', k * 10, date '1992-01-01' + k FROM generate_series(first, last) k $$;
CREATE FUNCTION line_rows(first int, last int) RETURNS SETOF lineitem LANGUAGE sql AS $$
	SELECT k, n, (k + n) % 50 + 1, ((k + n) % 50 + 1 + (n % 3) * 3) % 10 + 1, k % 7 + n, 'O'
	  FROM generate_series(first, last) k, generate_series(1, k % 7 + 1) n $$;
INSERT INTO orders SELECT * FROM order_rows(1, 600);
INSERT INTO lineitem SELECT * FROM line_rows(1, 600);

CREATE TABLE new_orders (LIKE orders);
CREATE TABLE new_lines (LIKE lineitem);
CREATE TABLE old_keys (o_orderkey int NOT NULL);
