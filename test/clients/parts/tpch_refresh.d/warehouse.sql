-- What warehouses do with the same tables: rows corrected, orders delivered
-- anew, aggregates kept.

-- upsert by MERGE and by ON CONFLICT
INSERT INTO new_lines SELECT l_orderkey, l_linenumber, l_partkey, l_suppkey, l_quantity + 100, 'F' FROM lineitem WHERE l_orderkey % 50 = 0;
INSERT INTO new_lines SELECT l_orderkey, l_linenumber + 10, l_partkey, l_suppkey, 1, 'F' FROM lineitem WHERE l_orderkey % 50 = 0;
MERGE INTO lineitem l USING new_lines n ON l.l_orderkey = n.l_orderkey AND l.l_linenumber = n.l_linenumber
	WHEN MATCHED THEN UPDATE SET l_quantity = n.l_quantity, l_linestatus = n.l_linestatus
	WHEN NOT MATCHED THEN INSERT VALUES (n.l_orderkey, n.l_linenumber, n.l_partkey, n.l_suppkey, n.l_quantity, n.l_linestatus);
INSERT INTO lineitem SELECT * FROM new_lines WHERE l_linenumber > 10
	ON CONFLICT (l_orderkey, l_linenumber) DO UPDATE SET l_quantity = lineitem.l_quantity + EXCLUDED.l_quantity;
-- the rows of the load taken out again by their whole key
DELETE FROM lineitem USING new_lines n WHERE (lineitem.l_orderkey, lineitem.l_linenumber) = (n.l_orderkey, n.l_linenumber) AND n.l_linenumber > 10;
DELETE FROM new_lines WHERE true;
-- status and price of the orders that lines have changed
UPDATE orders SET o_orderstatus = 'F' WHERE NOT EXISTS (SELECT FROM lineitem WHERE l_orderkey = o_orderkey AND l_linestatus <> 'F');
UPDATE orders o SET o_totalprice = t.total FROM (SELECT l_orderkey, sum(l_quantity * p_retailprice) AS total
	FROM lineitem JOIN part ON p_partkey = l_partkey GROUP BY 1) t WHERE t.l_orderkey = o.o_orderkey AND o_orderstatus = 'F';
-- stock by part and supplier
UPDATE partsupp SET ps_availqty = ps_availqty + 1 WHERE (ps_partkey, ps_suppkey) IN (SELECT l_partkey, l_suppkey FROM lineitem WHERE l_linestatus = 'F');
UPDATE partsupp SET ps_availqty = ps_availqty + 1000 FROM supplier WHERE s_suppkey = ps_suppkey AND s_nationkey = 3;
UPDATE partsupp ps SET ps_availqty = 0 FROM part, supplier WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_retailprice > 940 AND s_nationkey = 2;
DELETE FROM partsupp ps WHERE NOT EXISTS (SELECT FROM lineitem l WHERE l.l_partkey = ps.ps_partkey AND l.l_suppkey = ps.ps_suppkey);
DELETE FROM part WHERE p_partkey NOT IN (SELECT ps_partkey FROM partsupp);
