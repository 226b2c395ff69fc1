-- Statements that rule composite_key must reject (ERROR) or doubt (WARNING).
-- Each case names its pattern, the deciding step and its twin in
-- rule_composite_key_accept, which differs in the one fact that decides.
SET search_path = ck, public;
\set VERBOSITY terse

-- R001 (pattern 1): the incident,
--   reject by step 5; twin A001
UPDATE point_info SET point_name = 'Grid import'
 WHERE id IN (SELECT pi.id FROM point_info pi JOIN systems s ON pi.system_id = s.id
               WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');

-- R002 (pattern 2, 11): scope is a constant inside only,
--   reject by step 5; twin A002
DELETE FROM point_info WHERE id IN (SELECT id FROM point_info WHERE system_id = 7 AND bad);

-- R003 (pattern 3, 12): chosen by an attribute, scope not mentioned,
--   reject by step 7; twin A003
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE name LIKE 'AMB%');

-- R004 (pattern 4, 16): half of a composite foreign key,
--   reject by step 6; twin A004
DELETE FROM t_lines WHERE no IN (SELECT no FROM t_orders WHERE status = 'x');

-- R005 (pattern 5, 126): no foreign key between them, the tenants have a common parent,
--   reject by step 6; twin A005
DELETE FROM n_lines WHERE no IN (SELECT no FROM n_orders WHERE status = 'x');

-- R006 (pattern 5): only the name says that the tenants belong together,
--   doubt by step 10; twin A006
DELETE FROM x_lines WHERE no IN (SELECT no FROM x_orders WHERE status = 'x');

-- R007 (pattern 6): natural codes without any foreign key,
--   reject by step 5; twin A007
DELETE FROM regions WHERE code IN (SELECT code FROM regions WHERE country = 'FR');

-- R008 (pattern 7): a per-project number; the key is a UNIQUE, not the primary key,
--   reject by step 5; twin A008
UPDATE issues SET title = 'x' WHERE iid IN (SELECT iid FROM issues WHERE project_id = 3);

-- R009 (pattern 9): two INs split the rows of one relation,
--   reject by step 4; twin A009
DELETE FROM point_info WHERE system_id IN (SELECT system_id FROM bad_points) AND id IN (SELECT id FROM bad_points);

-- R010 (pattern 9): two INs from different relations: one of them knows the scope and drops it,
--   reject by step 5; twin A010
DELETE FROM point_info WHERE system_id IN (SELECT system_id FROM bad_systems)
   AND id IN (SELECT id FROM point_info WHERE bad);

-- R011 (pattern 10, 65): pinned outside, free inside,
--   reject by step 5; twin A011
DELETE FROM point_info WHERE system_id = 7 AND id IN (SELECT id FROM point_info WHERE bad);

-- R012 (pattern 10): pinned to different values, nothing copied,
--   reject by step 5; twin A012
UPDATE t_orders t SET v = 0 FROM t_orders s WHERE t.tenant_id = 1 AND s.tenant_id = 2 AND t.no = s.no;

-- R013 (pattern 61): a list is not a row,
--   reject by step 5; twin A013
DELETE FROM point_info WHERE system_id IN (7, 8) AND id IN (SELECT id FROM point_info WHERE system_id IN (7, 8) AND bad);

-- R014 (pattern 62): a range is not a row,
--   reject by step 5; twin A014
DELETE FROM point_info WHERE system_id BETWEEN 7 AND 9 AND id IN (SELECT id FROM point_info WHERE system_id BETWEEN 7 AND 9 AND bad);

-- R015 (pattern 61): restricted by a list; neither column has a foreign key,
--   doubt by step 5; twin A015
DELETE FROM regions WHERE country IN ('FR', 'DE') AND code IN (SELECT code FROM regions WHERE active);

-- R016 (pattern 2): IS NOT NULL restricts nothing,
--   reject by step 5; twin A016
UPDATE point_info SET v = 0 WHERE system_id IS NOT NULL AND id IN (SELECT id FROM point_info WHERE system_id = 7);

-- R017 (pattern 2): neither does <> constant,
--   reject by step 5; twin A017
UPDATE regions SET active = false WHERE country <> 'US' AND code IN (SELECT code FROM regions WHERE country = 'FR');

-- R018 (pattern 10): natural codes pinned to different values, nothing copied,
--   reject by step 5; twin A018
UPDATE regions SET active = false WHERE country = 'DE' AND code IN (SELECT code FROM regions WHERE country = 'FR');

-- R019 (pattern 58): a parameter inside only,
--   reject by step 5; twin A019
PREPARE r_param(int) AS UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE system_id = $1);
EXECUTE r_param(7);
DEALLOCATE r_param;

-- R020 (pattern 58, 57): a variable inside only,
--   reject by step 5; twin A020
DO $$
DECLARE v_sys int := 7;
BEGIN
    UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM point_info WHERE system_id = v_sys);
END $$;

-- R021 (pattern 63): a stable function inside only,
--   reject by step 5; twin A021
DELETE FROM t_orders WHERE no IN (SELECT no FROM t_orders WHERE tenant_id = my_tenant());

-- R022 (pattern 2): a scalar subquery inside only,
--   reject by step 5; twin A022
DELETE FROM t_orders WHERE no IN (SELECT no FROM t_orders WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'a'));

-- R023 (pattern 10): different scalar subqueries,
--   reject by step 5; twin A023
DELETE FROM t_orders WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'b')
   AND no IN (SELECT no FROM t_orders WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'a'));

-- R024 (pattern 21): the source is the parent of the other key column,
--   reject by step 4; twin A024
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM systems WHERE vendor_type = 'amber');

-- R025 (pattern 21): the source references the parent of the other key column,
--   reject by step 4; twin A025
UPDATE point_info SET v = 0 WHERE id IN (SELECT p.system_id FROM point_info p WHERE p.bad);

-- R026 (pattern 22, 17): the foreign keys of the two sides reference different tables,
--   reject by step 4; twin A026
DELETE FROM user_roles WHERE role_id IN (SELECT o.user_id FROM user_orders o WHERE o.fraud);

-- R027 (pattern 22): the same within one join table,
--   reject by step 4; twin A027
DELETE FROM user_roles WHERE user_id IN (SELECT role_id FROM user_roles WHERE note = 'x');

-- R028 (pattern 78): crossed row, by lineage,
--   reject by step 4; twin A028
DELETE FROM point_info WHERE (system_id, id) IN (SELECT id, system_id FROM point_info WHERE bad);

-- R029 (pattern 78): crossed row, by foreign keys,
--   reject by step 4; twin A029
DELETE FROM user_roles WHERE (user_id, role_id) IN (SELECT role_ref, user_ref FROM grants_ext);

-- R030 (pattern 78): crossed row where neither column has a foreign key,
--   doubt by step 4; twin A030
DELETE FROM regions WHERE (country, code) IN (SELECT code, country FROM regions WHERE active);

-- R031 (pattern 110, 109): ctid of a partitioned table,
--   reject by step 4; twin A031
DELETE FROM metrics WHERE ctid IN (SELECT ctid FROM metrics WHERE v = 0 LIMIT 10);

-- R032 (pattern 110, 111): ctid of a table with children,
--   reject by step 4; twin A032
DELETE FROM point_base WHERE ctid = ANY (ARRAY(SELECT ctid FROM point_base WHERE bad LIMIT 10));

-- R033 (pattern 26): a benchmark statement; the composite foreign key exists,
--   reject by step 6; twin A033
DELETE FROM store_returns WHERE ticket IN (SELECT ticket FROM store_sales WHERE sold < '2026-01-01');

-- R034 (pattern 26): the same without the foreign key,
--   doubt by step 10; twin A034
DELETE FROM store_returns_nofk WHERE ticket IN (SELECT ticket FROM store_sales WHERE sold < '2026-01-01');

-- R035 (pattern 121): child to parent, half of the foreign key,
--   reject by step 6; twin A035
UPDATE t_orders SET hot = true WHERE no IN (SELECT no FROM t_lines WHERE line > 9);

-- R036 (pattern 122): a third table carries the value,
--   reject by step 5; twin A036
UPDATE point_info SET v = 0
 WHERE id IN (SELECT h.point_id FROM point_history h JOIN systems s ON s.id = h.system_id WHERE s.vendor_type = 'amber');

-- R037 (pattern 122): a third table carries the value, scope not mentioned,
--   reject by step 6; twin A037
UPDATE point_info SET v = 0 WHERE id IN (SELECT h.point_id FROM point_history h WHERE h.v > 9);

-- R038 (pattern 80): lineage through RETURNING,
--   reject by step 5; twin A038
WITH d AS (DELETE FROM point_info WHERE system_id = 7 RETURNING id)
UPDATE point_history h SET v = 0 FROM d WHERE h.point_id = d.id;

-- R039 (pattern 4): half of the foreign key, the rest of the WHERE is about the target,
--   reject by step 6; twin A039
UPDATE c_lines l SET sku = 'x' FROM c_orders o WHERE o.no = l.no AND l.sku = 'y';

-- R040 (pattern 4): the local half of a chain of foreign keys,
--   reject by step 6; twin A040
DELETE FROM sensor_readings WHERE sensor_no IN (SELECT no FROM sensors WHERE broken);

-- R041 (pattern 47): that half, with the number used inside,
--   reject by step 5; twin A041
DELETE FROM sensor_readings WHERE site_id IN (SELECT site_id FROM sensors WHERE no = 3);

-- R042 (pattern 71): a lookup by the number alone,
--   reject by step 6; twin A042
UPDATE tenant_assets a SET type_id = t.id FROM asset_types t WHERE t.id = a.id AND t.name = 'x';

-- R043 (pattern 4): a composite foreign key beside a surrogate key, scope inside,
--   reject by step 5; twin A043
UPDATE alarms SET text = 'x' WHERE point_id IN (SELECT id FROM point_info WHERE system_id = 7);

-- R044 (pattern 4): the same, scope not mentioned,
--   reject by step 6; twin A044
DELETE FROM alarms WHERE point_id IN (SELECT id FROM point_info WHERE bad);

-- R045 (pattern 78): a composite foreign key crossed,
--   reject by step 4; twin A045
DELETE FROM alarms WHERE (system_id, point_id) IN (SELECT id, system_id FROM point_info WHERE bad);

-- R046 (pattern 28): UNIQUE (id) is deferrable,
--   reject by step 7; twin A046
DELETE FROM u_deferred WHERE id IN (SELECT id FROM u_deferred WHERE bad);

-- R047 (pattern 41): a partial unique index whose predicate is not implied,
--   reject by step 7; twin A047
DELETE FROM u_partial WHERE id IN (SELECT id FROM u_partial WHERE deleted_at IS NULL AND bad);

-- R048 (pattern 28): the unique index is invalid,
--   reject by step 7; twin A048
DELETE FROM u_invalid WHERE id IN (SELECT id FROM u_invalid WHERE bad);

-- R049 (pattern 41): a unique expression index,
--   reject by step 5; twin A049
DELETE FROM regions_lower WHERE code IN (SELECT code FROM regions_lower WHERE country = 'FR');

-- R050 (pattern 118): UNIQUE (id) does not reach the children,
--   reject by step 7; twin A050
UPDATE assets SET v = 0 WHERE id IN (SELECT id FROM assets WHERE bad);

-- R051 (pattern 30): a number without a generator,
--   reject by step 5; twin A051
UPDATE step_plain c SET active = false FROM step_plain s WHERE c.id = s.id AND s.version = 1;

-- R052 (pattern 33): no default, no sequence,
--   reject by step 7; twin A052
DELETE FROM unowned_docs WHERE id IN (SELECT id FROM unowned_docs WHERE bad);

-- R053 (pattern 35): serial, but a foreign key,
--   reject by step 5; twin A053
DELETE FROM serial_fk WHERE order_id IN (SELECT order_id FROM serial_fk WHERE line_no = 3);

-- R054 (pattern 36): every leaf has a sequence of its own,
--   reject by step 5; twin A054
DELETE FROM leaf_seq WHERE id IN (SELECT id FROM leaf_seq WHERE shop_id = 3);

-- R055 (pattern 37, 31): a uuid that the application makes, scope inside,
--   doubt by step 5; twin A055
DELETE FROM docs_app WHERE id IN (SELECT id FROM docs_app WHERE tenant_id = '00000000-0000-0000-0000-000000000001');

-- R056 (pattern 37, 31): a uuid that the application makes, scope not mentioned,
--   doubt by step 7; twin A056
UPDATE docs_app d SET v = q.v FROM (SELECT id, v + 1 AS v FROM docs_app) q WHERE d.id = q.id;

-- R057 (pattern 32): a uuid that is a foreign key: one member removed, the whole group gone,
--   reject by step 5; twin A057
PREPARE r_gm(uuid, uuid) AS
DELETE FROM group_members WHERE group_id IN (SELECT group_id FROM group_members WHERE group_id = $1 AND user_id = $2 LIMIT 1);
EXECUTE r_gm('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002');
DEALLOCATE r_gm;

-- R058 (pattern 113): a queue numbered per queue,
--   reject by step 5; twin A058
UPDATE job SET state = 'run' WHERE id = (SELECT id FROM job WHERE queue = 'q' FOR UPDATE SKIP LOCKED LIMIT 1);

-- R059 (pattern 39): a bucket of its own,
--   doubt by step 7; twin A059
DELETE FROM plain_items WHERE id IN (SELECT id FROM plain_items WHERE bad);

-- R060 (pattern 43, 44): whole devices vanish, time used inside,
--   reject by step 5; twin A060
DELETE FROM metrics WHERE device_id IN (SELECT device_id FROM metrics WHERE ts < '2026-01-01');

-- R061 (pattern 43, 29): a local number, time used inside,
--   doubt by step 5; twin A061
DELETE FROM sensor_log WHERE sensor_no IN (SELECT sensor_no FROM sensor_log WHERE ts < '2026-01-01');

-- R062 (pattern 43): a time that is not the partition key,
--   doubt by step 7; twin A062
DELETE FROM sensor_flat WHERE sensor_no IN (SELECT sensor_no FROM sensor_flat WHERE v > 9);

-- R063 (pattern 43): the same from a staging table that has the time too,
--   doubt by step 10; twin A063
DELETE FROM sensor_flat WHERE sensor_no IN (SELECT sensor_no FROM sensor_stage);

-- R064 (pattern 42): a partition key that is a tenant,
--   reject by step 7; twin A064
DELETE FROM tasks_tenant WHERE (inserted_at, id) IN (SELECT inserted_at, id FROM tasks_tenant WHERE v = 1);

-- R065 (pattern 42): a partition key that is a status,
--   doubt by step 7; twin A065
DELETE FROM tasks_status WHERE (inserted_at, id) IN (SELECT inserted_at, id FROM tasks_status WHERE v = 1);

-- R066 (pattern 47, 123): whole users, chosen by one of their roles,
--   reject by step 5; twin A066
DELETE FROM user_roles WHERE user_id IN (SELECT user_id FROM user_roles WHERE role_id = 5);

-- R067 (pattern 47, 46): whole users, chosen by an attribute: both columns are foreign keys,
--   doubt by step 7; twin A067
DELETE FROM user_roles WHERE user_id IN (SELECT user_id FROM user_roles WHERE note = 'x');

-- R068 (pattern 46): whole orders, the line number used inside,
--   reject by step 5; twin A068
UPDATE order_lines SET hold = true WHERE order_id IN (SELECT order_id FROM order_lines WHERE line_no = 3);

-- R069 (pattern 47): a join uses the other foreign key,
--   reject by step 5; twin A069
DELETE FROM user_roles WHERE user_id IN
    (SELECT x.user_id FROM user_roles x JOIN roles r ON r.id = x.role_id WHERE r.name = 'admin');

-- R070 (pattern 47): a relation with both foreign keys as source,
--   doubt by step 8 as 7; twin A070
DELETE FROM user_roles WHERE user_id IN (SELECT g.user_id FROM grant_log g WHERE g.fraud);

-- R071 (pattern 49): grouped by the scope, which is dropped,
--   reject by step 5; twin A071
DELETE FROM point_info WHERE id IN (SELECT max(id) FROM point_info GROUP BY system_id);

-- R072 (pattern 48): grouped, but the rows were chosen before,
--   reject by step 5; twin A072
DELETE FROM cart_items WHERE cart_id IN (SELECT cart_id FROM cart_items WHERE line_no = 1 GROUP BY cart_id);

-- R073 (pattern 48): DISTINCT is no group,
--   reject by step 5; twin A073
DELETE FROM cart_items WHERE cart_id IN (SELECT DISTINCT cart_id FROM cart_items WHERE line_no > 1);

-- R074 (pattern 48): a number cannot be a group where the scope has a foreign key,
--   reject by step 5; twin A074
DELETE FROM point_info WHERE id IN (SELECT id FROM point_info WHERE system_id < 9 GROUP BY id HAVING count(*) > 1);

-- R075 (pattern 48): grouped by more than the matched column,
--   reject by step 5; twin A075
DELETE FROM cart_items WHERE cart_id IN (SELECT cart_id FROM cart_items GROUP BY cart_id, line_no HAVING count(*) > 1);

-- R076 (pattern 50): a batch by the first columns of the key,
--   doubt by step 7; twin A076
WITH q AS (SELECT a, b, c FROM triples ORDER BY a, b, c LIMIT 500 FOR UPDATE SKIP LOCKED)
DELETE FROM triples WHERE (a, b) IN (SELECT a, b FROM q);

-- R077 (pattern 51): the strategy used inside,
--   reject by step 5; twin A077
WITH q AS (SELECT task, ts, retry FROM slots WHERE strategy = 1)
DELETE FROM slots WHERE (task, ts, retry) IN (SELECT task, ts, retry FROM q);

-- R078 (pattern 125): the middle column of three,
--   reject by step 5; twin A078
DELETE FROM triples WHERE (a, c) IN (SELECT a, c FROM triples WHERE b = 2);

-- R079 (pattern 53): edges of one head: both ends reference the same parent,
--   doubt by step 5; twin A079
DELETE FROM edges WHERE src IN (SELECT src FROM edges WHERE dst = 5);

-- R080 (pattern 53): the subtree of a closure table,
--   doubt by step 5; twin A080
DELETE FROM closure WHERE descendant IN (SELECT descendant FROM closure WHERE ancestor = 5);

-- R081 (pattern 53): edges chosen by an attribute,
--   doubt by step 7; twin A081
DELETE FROM edges WHERE src IN (SELECT src FROM edges WHERE kind = 'x');

-- R138 (pattern 53): ends chosen apart from each other by an attribute,
--   reject by step 4; twin A284
DELETE FROM edges WHERE src IN (SELECT src FROM edges WHERE kind = 'x') AND dst IN (SELECT dst FROM edges WHERE kind = 'x');

-- R139 (pattern 53): the descendants of a node, but ancestors of anything,
--   reject by step 4; twin A284
DELETE FROM closure WHERE descendant IN (SELECT descendant FROM closure WHERE ancestor = 5)
   AND ancestor IN (SELECT ancestor FROM closure WHERE depth > 3);

-- R140 (pattern 53): the same with two parents: no ends,
--   reject by step 4; twin A285
DELETE FROM user_roles WHERE user_id IN (SELECT user_id FROM user_roles WHERE role_id = 1)
   AND role_id IN (SELECT role_id FROM user_roles WHERE user_id = 4);

-- R141 (pattern 53): a subtree of one tree taken for that of all,
--   reject by step 5; twin A287
DELETE FROM forest_paths WHERE descendant IN (SELECT descendant FROM forest_paths WHERE tree = 1 AND ancestor = 5)
   AND ancestor IN (SELECT ancestor FROM forest_paths WHERE tree = 1 AND descendant = 5 AND depth > 0);

-- R082 (pattern 92): two session tables without foreign keys,
--   doubt by step 10; twin A082
DELETE FROM client_sessions WHERE sid IN (SELECT sid FROM sessions WHERE realm = 'r');

-- R083 (pattern 92): the flag used inside only,
--   reject by step 5; twin A083
DELETE FROM client_sessions WHERE sid IN (SELECT sid FROM sessions WHERE realm = 'r' AND offline = false);

-- R084 (pattern 94, 19): a staging table with all columns of the key,
--   doubt by step 10; twin A084
DELETE FROM lineitem WHERE l_orderkey IN (SELECT l_orderkey FROM lineitem_stage);

-- R085 (pattern 56): version numbers of any user,
--   doubt by step 10; twin A085
DELETE FROM room_keys k WHERE version NOT IN (SELECT v.version FROM key_versions v WHERE NOT v.deleted);

-- R086 (pattern 24): the source has a version too, and no key,
--   reject by step 5; twin A086
UPDATE node_versions SET v = 0 WHERE node_id IN (SELECT id FROM loose_nodes WHERE version > 3);

-- R087 (pattern 24): the same, version not mentioned,
--   doubt by step 10; twin A087
UPDATE node_versions SET v = 0 WHERE node_id IN (SELECT id FROM loose_nodes WHERE visible);

-- R088 (pattern 46): a column called id that is half of a key,
--   reject by step 5; twin A088
UPDATE order_items SET v = 0 WHERE order_id IN (SELECT order_id FROM shipment_items WHERE id = 7);

-- R089 (pattern 1): the scope lives in a joined relation,
--   reject by step 5; twin A089
UPDATE point_info SET v = 0
 WHERE id IN (SELECT l.point_no FROM point_labels l JOIN label_sets ls ON ls.set_id = l.set_id WHERE ls.system_id = 7);

-- R090 (pattern 20): a temporary table with both columns,
--   reject by step 10 as 7; twin A090
CREATE TEMP TABLE r_ids AS SELECT system_id, id FROM point_info;
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM r_ids);
DROP TABLE r_ids;

-- R091 (pattern 86): a function with both columns,
--   reject by step 10 as 7; twin A091
UPDATE point_info SET v = 0 WHERE id IN (SELECT f.id FROM f_points() f);

-- R092 (pattern 86): unnest with two columns, one compared,
--   reject by step 10 as 7; twin A092
UPDATE point_info t SET v = 0 FROM unnest(ARRAY[1,2], ARRAY[3,4]) u(system_id, id) WHERE t.id = u.id;

-- R093 (pattern 86, 18): json with both foreign keys of a join table,
--   doubt by step 10 as 7; twin A093
DELETE FROM user_roles WHERE user_id IN (SELECT j.user_id FROM jsonb_to_recordset('[]') AS j(user_id int, role_id int));

-- R094 (pattern 93): VALUES with both columns,
--   doubt by step 10 as 7; twin A094
DELETE FROM user_roles r USING (VALUES (1, 2), (3, 4)) AS x(user_id, role_id) WHERE r.user_id = x.user_id;

-- R095 (pattern 55, 54): nearly transitive,
--   reject by step 5; twin A095
UPDATE point_info t SET v = 0
 WHERE EXISTS (SELECT 1 FROM systems s WHERE s.vendor_type = 'amber'
                  AND EXISTS (SELECT 1 FROM point_info p WHERE p.system_id = s.id AND p.id = t.id));

-- R096 (pattern 59, 60): the pin is in another arm,
--   reject by step 5; twin A096
DELETE FROM point_info WHERE (system_id = 7 AND id = 1) OR id IN (SELECT id FROM point_info WHERE system_id = 7);

-- R097 (pattern 66): a wrapped number,
--   reject by step 5; twin A097
UPDATE point_info t SET v = s.v FROM point_info s
 WHERE COALESCE(t.id, -1) = COALESCE(s.id, -1) AND s.system_id = 7;

-- R098 (pattern 67): a value of two lineages,
--   reject by step 5; twin A098
UPDATE point_info t SET v = 0 FROM point_map m WHERE t.id = COALESCE(m.point_id, m.legacy_id) AND m.system_id = 7;

-- R099 (pattern 69, 68): a cast hides the column,
--   reject by step 5; twin A099
DELETE FROM point_info WHERE id::text IN (SELECT p.id::text FROM point_info p WHERE p.system_id = 7);

-- R100 (pattern 77, 40): two columns, each half of another key,
--   reject by step 5; twin A100
UPDATE point_alt SET bad = true WHERE (id, name) IN (SELECT id, name FROM point_alt WHERE system_id = 7);

-- R101 (pattern 87): a CASE passes the number through,
--   reject by step 5; twin A101
UPDATE point_info SET v = 0
 WHERE id IN (SELECT CASE WHEN s.vendor_type = 'amber' THEN p.id END FROM point_info p JOIN systems s ON s.id = p.system_id);

-- R102 (pattern 24): one version of the source, any of the target,
--   reject by step 5; twin A102
UPDATE node_versions t SET v = s.v FROM node_versions s WHERE t.node_id = s.node_id AND s.version = 3;

-- R103 (pattern 75): the newest version of any node,
--   doubt by step 7; twin A103
DELETE FROM node_versions v WHERE v.version = (SELECT max(x.version) FROM node_versions x WHERE x.redacted);

-- R104 (pattern 102): the code of the source used alone,
--   reject by step 5; twin A104
DELETE FROM regions a USING regions b WHERE a.country = b.country AND a.label = b.label AND b.code > 'M';

-- R105 (pattern 104): keep-list grouped by the scope,
--   reject by step 5; twin A105
DELETE FROM point_info WHERE id NOT IN (SELECT max(id) FROM point_info GROUP BY system_id, name);

-- R106 (pattern 106): orphans of any tenant,
--   reject by step 6; twin A106
DELETE FROM t_lines l WHERE NOT EXISTS (SELECT 1 FROM t_orders o WHERE o.no = l.no);

-- R107 (pattern 107): an anti-join that uses the tag inside only,
--   reject by step 5; twin A107
DELETE FROM area_tag a WHERE NOT EXISTS (SELECT 1 FROM artist_area_tag r WHERE r.area = a.area AND r.tag = 5);

-- R108 (pattern 2, 112): numbers found through a membership,
--   reject by step 5; twin A108
UPDATE t_orders SET hot = true
 WHERE no IN (SELECT o.no FROM t_orders o JOIN memberships m ON m.tenant_id = o.tenant_id WHERE m.user_name = 'u');

-- R109 (pattern 99, 100): MERGE by the number,
--   reject by step 5; twin A109
MERGE INTO t_orders t USING (SELECT no, v FROM t_orders WHERE tenant_id = 7) s ON t.no = s.no
 WHEN MATCHED THEN UPDATE SET v = s.v;

-- R110 (pattern 99): MERGE that deletes by the number,
--   reject by step 5; twin A110
MERGE INTO t_orders t USING t_orders s ON t.no = s.no AND s.tenant_id = 7
 WHEN MATCHED THEN DELETE;

-- R111 (pattern 13): lines chosen through their order, which is then dropped,
--   reject by step 5; twin A111
DELETE FROM order_lines WHERE line_no IN (SELECT l.line_no FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE o.status = 'x');

-- R112 (pattern 14): a source column that nothing references, both columns used,
--   reject by step 5; twin A112
DELETE FROM user_roles WHERE role_id IN (SELECT g.role_id FROM grant_log g WHERE g.user_id = 5);

-- R113 (pattern 125): one of two dropped columns is pinned on both sides,
--   reject by step 5; twin A113
DELETE FROM triples WHERE b = 2 AND a IN (SELECT a FROM triples WHERE b = 2 AND c = 3);

-- R114 (pattern 59): the scope used in one arm of an OR inside the subquery,
--   reject by step 5; twin A114
DELETE FROM regions WHERE code IN (SELECT code FROM regions WHERE country = 'FR' OR active);

-- R115 (pattern 95): copied from one scope to all scopes,
--   reject by step 5; twin A115
UPDATE t_orders t SET v = s.v FROM t_orders s WHERE s.tenant_id = 2 AND t.no = s.no;

-- R116 (pattern 102): a dedupe without its scope: rows tied by another column,
-- a key column compared with itself, the scope free,
--   reject by step 7; twin A236
DELETE FROM point_info a USING point_info b WHERE a.name = b.name AND a.id > b.id;

-- R117: the value goes through a VALUES row,
--   reject by step 5; twin A259
UPDATE point_info t SET v = 0 FROM point_info p CROSS JOIN LATERAL (VALUES (p.id, upper(p.name))) x(n, name)
 WHERE p.system_id = 3 AND x.n = t.id;

-- R118: NOT (<> ALL) is IN,
--   reject by step 5; twin A260
UPDATE point_info SET v = 0 WHERE NOT (id <> ALL (SELECT p.id FROM point_info p WHERE p.system_id = 3));

-- R119: a condition compared with true is the condition,
--   reject by step 5; twin A261
UPDATE point_info SET v = 0 WHERE (id IN (SELECT p.id FROM point_info p WHERE p.system_id = 3)) = true;

-- R120: equality that takes NULLs as equal,
--   reject by step 5; twin A262
UPDATE point_info t SET v = 0 FROM point_info p WHERE p.system_id = 3 AND EXISTS (SELECT t.id INTERSECT SELECT p.id);

-- R121: the same the other way round,
--   reject by step 5; twin A262
UPDATE point_info t SET v = 0 FROM point_info p WHERE p.system_id = 3 AND NOT EXISTS (SELECT t.id EXCEPT SELECT p.id);

-- R122: another scope than the one that is left out; SET reads the row,
--   reject by step 5; twin A263
UPDATE post_i18n t SET title = d.title FROM post_i18n d WHERE d.post_id = t.post_id AND d.lang = 'en' AND t.lang <> 'de';

-- R123: counted within a scope of its own,
--   reject by step 5; twin A264
DELETE FROM regions t WHERE 0 < (SELECT count(*) FROM regions r WHERE r.code = t.code AND r.country = 'FR');

-- R126: a count is no more than EXISTS,
--   doubt by step 7; twin A264
DELETE FROM node_versions t WHERE 3 < (SELECT count(*) FROM node_versions x WHERE x.node_id = t.node_id AND x.redacted);

-- R124 (pattern 10): a pin outside and one row of any scope are no key,
--   reject by step 5; twin A267
DELETE FROM point_info WHERE system_id = 7 AND id = (SELECT max(p.id) FROM point_info p WHERE p.bad);

-- R125 (pattern 10): nor are a pin and an array,
--   reject by step 5; twin A268
DELETE FROM point_info WHERE system_id = 7 AND id = ANY ((SELECT array_agg(p.id) FROM point_info p WHERE p.bad)::int[]);

-- R127: many ORs: all of their second sides together,
--   reject by step 7; twin A269
UPDATE point_info t SET v = 0 FROM point_info p
 WHERE t.id = p.id
   AND (t.system_id = p.system_id OR p.v = 1) AND (t.system_id = p.system_id OR p.v = 2)
   AND (t.system_id = p.system_id OR p.v = 3) AND (t.system_id = p.system_id OR p.v = 4)
   AND (t.system_id = p.system_id OR p.v = 5) AND (t.system_id = p.system_id OR p.v = 6)
   AND (t.system_id = p.system_id OR p.v = 7) AND (t.system_id = p.system_id OR p.v = 8);

-- R128: a correlated subquery is a source whatever is asked of it,
--   reject by step 5; twin A270
UPDATE point_info t SET v = 0
 WHERE (SELECT p.v FROM point_info p WHERE p.id = t.id AND p.system_id = 3 LIMIT 1) IS NOT NULL;

-- R129: two subqueries that draw lots are not one value,
--   reject by step 5; twin A271
UPDATE point_info SET v = 0
 WHERE system_id = (SELECT s.id FROM systems s ORDER BY random() LIMIT 1)
   AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = (SELECT s.id FROM systems s ORDER BY random() LIMIT 1));

-- R130: VALUES of a subquery,
--   reject by step 5; twin A272
WITH s(n) AS (VALUES ((SELECT p.id FROM point_info p WHERE p.system_id = 3 LIMIT 1)))
UPDATE point_info t SET v = 0 FROM s WHERE t.id = s.n;

-- R131: values computed from different subqueries,
--   reject by step 5; twin A273
UPDATE point_info SET v = 0
 WHERE system_id = coalesce((SELECT 3), 4)
   AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = coalesce((SELECT 1), 2));

-- R132: limited inside, and compared with the target's row,
--   reject by step 5; twins A274, A275
DELETE FROM point_info t
 WHERE EXISTS (SELECT FROM point_info p WHERE p.system_id = t.system_id AND p.id > t.v AND p.id > 100);

-- R133: an aggregate of what is limited inside,
--   reject by step 5; twins A276, A277, A278, A280
DELETE FROM point_info t
 WHERE (SELECT max(p.id) FROM point_info p WHERE p.system_id = t.system_id AND p.id > 100) < 200;

-- R134: a count of what is limited inside,
--   reject by step 5; twin A279
DELETE FROM point_info t
 WHERE (SELECT count(p.id) FROM point_info p WHERE p.system_id = t.system_id AND p.id > 100) = 1;

-- R135: a row of the group, not the group,
--   doubt by step 5; twin A281
DELETE FROM node_versions t
 WHERE t.version < (SELECT x.v FROM node_versions x WHERE x.node_id = t.node_id AND x.redacted LIMIT 1);

-- R136: points of one number in all systems are no group,
--   reject by step 5; twin A281
DELETE FROM point_info t WHERE t.system_id < (SELECT max(p.v) FROM point_info p WHERE p.id = t.id);

-- R142: pairs that share a value are one arm of an OR around them, not 24,
--   reject by step 5; twin A282
DELETE FROM point_info
 WHERE ((system_id, id) IN ((1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (1, 10), (1, 11), (1, 12), (1, 13), (1, 14), (1, 15), (1, 16), (1, 17), (1, 18), (1, 19), (1, 20), (1, 21), (1, 22), (1, 23), (1, 24)) OR
        id IN (SELECT x.id FROM point_info x WHERE x.bad AND x.system_id = 1))
   AND ((system_id, id) IN ((1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (1, 10), (1, 11), (1, 12), (1, 13), (1, 14), (1, 15), (1, 16), (1, 17), (1, 18), (1, 19), (1, 20), (1, 21), (1, 22), (1, 23), (1, 24)) OR
        v IN (SELECT x.v FROM point_info x WHERE x.bad AND x.system_id = 1));

-- R143: beside a list of computed values,
--   reject by step 5; twin A283
DELETE FROM point_info t
 WHERE t.v IN (t.id + 1, t.id + 2, t.id + 3, t.id + 4, t.id + 5, t.id + 6, t.id + 7, t.id + 8, t.id + 9, t.id + 10, t.id + 11, t.id + 12, t.id + 13, t.id + 14, t.id + 15, t.id + 16, t.id + 17, t.id + 18, t.id + 19, t.id + 20, t.id + 21, t.id + 22, t.id + 23, t.id + 24, t.id + 25, t.id + 26, t.id + 27, t.id + 28, t.id + 29, t.id + 30, t.id + 31, t.id + 32, t.id + 33, t.id + 34, t.id + 35, t.id + 36, t.id + 37, t.id + 38, t.id + 39, t.id + 40, t.id + 41, t.id + 42, t.id + 43, t.id + 44, t.id + 45, t.id + 46, t.id + 47, t.id + 48, t.id + 49, t.id + 50, t.id + 51, t.id + 52, t.id + 53, t.id + 54, t.id + 55, t.id + 56, t.id + 57, t.id + 58, t.id + 59)
   AND t.id IN (SELECT x.id FROM point_info x WHERE x.system_id = 1 AND x.v IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39));

-- R144: arms that compute are one way, not twenty on either side,
--   reject by step 5; twin A288
DELETE FROM point_info t
 WHERE CASE t.v WHEN 1 THEN t.id + 1 WHEN 2 THEN t.id + 2 WHEN 3 THEN t.id + 3 WHEN 4 THEN t.id + 4 WHEN 5 THEN t.id + 5 WHEN 6 THEN t.id + 6 WHEN 7 THEN t.id + 7 WHEN 8 THEN t.id + 8 WHEN 9 THEN t.id + 9 WHEN 10 THEN t.id + 10 WHEN 11 THEN t.id + 11 WHEN 12 THEN t.id + 12 WHEN 13 THEN t.id + 13 WHEN 14 THEN t.id + 14 WHEN 15 THEN t.id + 15 WHEN 16 THEN t.id + 16 WHEN 17 THEN t.id + 17 WHEN 18 THEN t.id + 18 WHEN 19 THEN t.id + 19 WHEN 20 THEN t.id + 20 ELSE t.id END IN
       (SELECT CASE x.v WHEN 1 THEN x.id + 1 WHEN 2 THEN x.id + 2 WHEN 3 THEN x.id + 3 WHEN 4 THEN x.id + 4 WHEN 5 THEN x.id + 5 WHEN 6 THEN x.id + 6 WHEN 7 THEN x.id + 7 WHEN 8 THEN x.id + 8 WHEN 9 THEN x.id + 9 WHEN 10 THEN x.id + 10 WHEN 11 THEN x.id + 11 WHEN 12 THEN x.id + 12 WHEN 13 THEN x.id + 13 WHEN 14 THEN x.id + 14 WHEN 15 THEN x.id + 15 WHEN 16 THEN x.id + 16 WHEN 17 THEN x.id + 17 WHEN 18 THEN x.id + 18 WHEN 19 THEN x.id + 19 WHEN 20 THEN x.id + 20 ELSE x.id END FROM point_info x WHERE x.system_id = 1);
