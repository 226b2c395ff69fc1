-- Statements that rule composite_key must let pass without a word.
-- The first ones are twins of the cases in rule_composite_key_reject and bear
-- the same numbers; those from A201 on stand alone or share a twin.
SET search_path = ck, public;
\set VERBOSITY terse

-- A001 (pattern 1): the statement that was meant,
--   accept by step 1; twin R001
UPDATE point_info SET point_name = 'Grid import'
 WHERE (system_id, id) IN (SELECT pi.system_id, pi.id FROM point_info pi JOIN systems s ON pi.system_id = s.id
                            WHERE s.vendor_type = 'amber' AND pi.subsystem = 'grid');

-- A002 (pattern 2, 11): scope pinned on both sides,
--   accept by step 1; twin R002
DELETE FROM point_info WHERE system_id = 7 AND id IN (SELECT id FROM point_info WHERE system_id = 7 AND bad);

-- A003 (pattern 3, 12): both columns compared,
--   accept by step 1; twin R003
UPDATE point_info SET v = 0 WHERE (system_id, id) IN (SELECT system_id, id FROM point_info WHERE name LIKE 'AMB%');

-- A004 (pattern 4, 16): the whole foreign key,
--   accept by step 8; twin R004
DELETE FROM t_lines WHERE (tenant_id, no) IN (SELECT tenant_id, no FROM t_orders WHERE status = 'x');

-- A005 (pattern 5, 126): tied by correlation,
--   accept by step 8; twin R005
DELETE FROM n_lines l WHERE EXISTS (SELECT 1 FROM n_orders o WHERE o.no = l.no AND o.tenant_id = l.tenant_id AND o.status = 'x');

-- A006 (pattern 5): full key of the other table,
--   accept by step 8; twin R006
DELETE FROM x_lines WHERE (tenant_id, no) IN (SELECT tenant_id, no FROM x_orders WHERE status = 'x');

-- A007 (pattern 6): pinned on both sides,
--   accept by step 1; twin R007
DELETE FROM regions WHERE country = 'FR' AND code IN (SELECT code FROM regions WHERE country = 'FR');

-- A008 (pattern 7): the UNIQUE is deferrable: no K,
--   accept (no K); twin R008
UPDATE issues_deferred SET title = 'x' WHERE iid IN (SELECT iid FROM issues_deferred WHERE project_id = 3);

-- A009 (pattern 9): one IN over pairs,
--   accept by step 1; twin R009
DELETE FROM point_info WHERE (system_id, id) IN (SELECT system_id, id FROM bad_points);

-- A010 (pattern 9): the other relation has no scope to drop,
--   accept by step 5; twin R010
DELETE FROM point_info WHERE system_id IN (SELECT system_id FROM bad_systems)
   AND id IN (SELECT id FROM bad_ids);

-- A011 (pattern 10, 65): a CHECK pins both sides,
--   accept by step 1; twin R011
DELETE FROM point_sys7 WHERE id IN (SELECT id FROM point_sys7 WHERE bad);

-- A012 (pattern 10): SET reads the row of the other scope: a copy,
--   accept by step 5; twin R012
UPDATE t_orders t SET v = s.v FROM t_orders s WHERE t.tenant_id = 1 AND s.tenant_id = 2 AND t.no = s.no;

-- A013 (pattern 61): the list restricts, and the source has nothing to drop,
--   accept by step 5; twin R013
DELETE FROM point_info WHERE system_id IN (7, 8) AND id IN (SELECT id FROM bad_ids);

-- A014 (pattern 62): a range of the time-typed partition key,
--   accept by step 5; twin R014
DELETE FROM sensor_log WHERE ts < '2026-02-01' AND sensor_no IN (SELECT sensor_no FROM sensor_log WHERE ts < '2026-02-01');

-- A015 (pattern 61): one value on both sides,
--   accept by step 1; twin R015
DELETE FROM regions WHERE country = 'FR' AND code IN (SELECT code FROM regions WHERE country = 'FR' AND active);

-- A016 (pattern 2): an equality does,
--   accept by step 1; twin R016
UPDATE point_info SET v = 0 WHERE system_id = 7 AND id IN (SELECT id FROM point_info WHERE system_id = 7);

-- A017 (pattern 2): an equality does,
--   accept by step 1; twin R017
UPDATE regions SET active = false WHERE country = 'FR' AND code IN (SELECT code FROM regions WHERE country = 'FR');

-- A018 (pattern 10): SET reads the other country,
--   accept by step 5; twin R018
UPDATE regions t SET label = s.label FROM regions s WHERE t.country = 'DE' AND s.country = 'FR' AND t.code = s.code;

-- A019 (pattern 58): two parameters, one for each side: planning cannot tell them apart,
--   accept by step 1; twin R019
PREPARE a_param(int, int) AS UPDATE point_info SET v = 0 WHERE system_id = $1 AND id IN (SELECT id FROM point_info WHERE system_id = $2);
EXECUTE a_param(7, 7);
DEALLOCATE a_param;

-- A020 (pattern 58, 57): the variable on both sides,
--   accept by step 1; twin R020
DO $$
DECLARE v_sys int := 7;
BEGIN
    UPDATE point_info SET v = 0 WHERE system_id = v_sys AND id IN (SELECT id FROM point_info WHERE system_id = v_sys);
END $$;

-- A021 (pattern 63): the same stable function on both sides,
--   accept by step 1; twin R021
DELETE FROM t_orders WHERE tenant_id = my_tenant() AND no IN (SELECT no FROM t_orders WHERE tenant_id = my_tenant());

-- A022 (pattern 2): the same scalar subquery on both sides,
--   accept by step 1; twin R022
DELETE FROM t_orders WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'a')
   AND no IN (SELECT no FROM t_orders WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'a'));

-- A023 (pattern 10): tied to each other instead,
--   accept by step 1; twin R023
DELETE FROM t_orders t WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'b')
   AND no IN (SELECT s.no FROM t_orders s WHERE s.tenant_id = t.tenant_id);

-- A024 (pattern 21): matched with the column that references it,
--   accept by step 8; twin R024
UPDATE point_info SET v = 0 WHERE system_id IN (SELECT id FROM systems WHERE vendor_type = 'amber');

-- A025 (pattern 21): matched with its own sibling: a group,
--   accept by step 7; twin R025
UPDATE point_info SET v = 0 WHERE system_id IN (SELECT p.system_id FROM point_info p WHERE p.bad);

-- A026 (pattern 22, 17): they reference the same table,
--   accept by step 8; twin R026
DELETE FROM user_roles WHERE user_id IN (SELECT o.user_id FROM user_orders o WHERE o.fraud);

-- A027 (pattern 22): both columns reference the same parent and both are compared,
--   accept by step 1; twin R027
DELETE FROM edges WHERE (src, dst) IN (SELECT dst, src FROM edges WHERE kind = 'x');

-- A028 (pattern 78): the order of the key decides nothing,
--   accept by step 1; twin R028
DELETE FROM point_info WHERE (id, system_id) IN (SELECT id, system_id FROM point_info WHERE bad);

-- A029 (pattern 78): not crossed,
--   accept by step 1; twin R029
DELETE FROM user_roles WHERE (user_id, role_id) IN (SELECT user_ref, role_ref FROM grants_ext);

-- A030 (pattern 78): not crossed,
--   accept by step 1; twin R030
DELETE FROM regions WHERE (country, code) IN (SELECT country, code FROM regions WHERE active);

-- A031 (pattern 110, 109): a batch by ctid on a plain table,
--   accept by step 4; twin R031
DELETE FROM point_info WHERE ctid IN (SELECT ctid FROM point_info WHERE bad LIMIT 10 FOR UPDATE SKIP LOCKED);

-- A032 (pattern 110, 111): with tableoid,
--   accept by step 4; twin R032
DELETE FROM point_base WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM point_base WHERE bad LIMIT 10);

-- A033 (pattern 26): both columns,
--   accept by step 1; twin R033
DELETE FROM store_returns WHERE (item_sk, ticket) IN (SELECT item_sk, ticket FROM store_sales WHERE sold < '2026-01-01');

-- A034 (pattern 26): both columns,
--   accept by step 1; twin R034
DELETE FROM store_returns_nofk WHERE (item_sk, ticket) IN (SELECT item_sk, ticket FROM store_sales WHERE sold < '2026-01-01');

-- A035 (pattern 121): the whole foreign key,
--   accept by step 1; twin R035
UPDATE t_orders SET hot = true WHERE (tenant_id, no) IN (SELECT tenant_id, no FROM t_lines WHERE line > 9);

-- A036 (pattern 122): tied through the parent,
--   accept by step 1; twin R036
UPDATE point_info t SET v = 0
 WHERE id IN (SELECT h.point_id FROM point_history h JOIN systems s ON s.id = h.system_id
               WHERE s.vendor_type = 'amber' AND s.id = t.system_id);

-- A037 (pattern 122): both columns,
--   accept by step 1; twin R037
UPDATE point_info SET v = 0 WHERE (id, system_id) IN (SELECT h.point_id, h.system_id FROM point_history h WHERE h.v > 9);

-- A038 (pattern 80): both columns returned,
--   accept by step 1; twin R038
WITH d AS (DELETE FROM point_info WHERE system_id = 7 RETURNING system_id, id)
UPDATE point_history h SET v = 0 FROM d WHERE h.point_id = d.id AND h.system_id = d.system_id;

-- A039 (pattern 4): another full key of the parent is matched as well,
--   accept by step 8; twin R039
UPDATE c_lines l SET sku = 'x' FROM c_orders o WHERE o.no = l.no AND o.ref = l.ref AND l.sku = 'y';

-- A040 (pattern 4): the half that leads on to a parent,
--   accept by step 6; twin R040
DELETE FROM sensor_readings WHERE site_id IN (SELECT site_id FROM sensors WHERE broken);

-- A041 (pattern 47): the number restricted outside as well,
--   accept by step 8; twin R041
DELETE FROM sensor_readings WHERE sensor_no = 3 AND site_id IN (SELECT site_id FROM sensors WHERE no = 3);

-- A042 (pattern 71): a lookup by tenant and name: a full key of the other table,
--   accept by step 8; twin R042
UPDATE tenant_assets a SET type_id = t.id FROM asset_types t WHERE t.tenant = a.tenant AND t.name = a.type;

-- A043 (pattern 4): the whole foreign key,
--   accept by step 6; twin R043
UPDATE alarms SET text = 'x' WHERE (system_id, point_id) IN (SELECT system_id, id FROM point_info WHERE system_id = 7);

-- A044 (pattern 4): the surrogate key is pinned as well,
--   accept by step 1; twin R044
DELETE FROM alarms WHERE id = 5 AND point_id IN (SELECT id FROM point_info WHERE bad);

-- A045 (pattern 78): its scope alone leads on to the parent,
--   accept by step 6; twin R045
DELETE FROM alarms WHERE system_id IN (SELECT system_id FROM point_info WHERE bad);

-- A046 (pattern 28): UNIQUE (id) is immediate,
--   accept by step 2; twin R046
DELETE FROM u_plain WHERE id IN (SELECT id FROM u_plain WHERE bad);

-- A047 (pattern 41): the predicate is implied,
--   accept by step 2; twin R047
DELETE FROM u_partial WHERE deleted_at IS NULL AND id IN (SELECT id FROM u_partial WHERE deleted_at IS NULL AND bad);

-- A048 (pattern 28): it is valid and has an INCLUDE column,
--   accept by step 2; twin R048
DELETE FROM u_include WHERE id IN (SELECT id FROM u_include WHERE bad);

-- A049 (pattern 41): correlated by the scope,
--   accept by step 1; twin R049
DELETE FROM regions_lower r WHERE code IN (SELECT q.code FROM regions_lower q WHERE q.country = 'FR' AND q.country = r.country);

-- A050 (pattern 118): ONLY the table that has it,
--   accept by step 2; twin R050
UPDATE ONLY assets SET v = 0 WHERE id IN (SELECT id FROM assets WHERE bad);

-- A051 (pattern 30): an identity column,
--   accept by step 3; twin R051
UPDATE step_conc c SET active = false FROM step_conc s WHERE c.id = s.id AND s.version = 1;

-- A052 (pattern 33): no default, but a sequence owned by the column,
--   accept by step 3; twin R052
DELETE FROM owned_docs WHERE id IN (SELECT id FROM owned_docs WHERE bad);

-- A053 (pattern 35): serial of this table,
--   accept by step 3; twin R053
DELETE FROM serial_docs WHERE id IN (SELECT id FROM serial_docs WHERE tenant_id = 3);

-- A054 (pattern 36): all leaves share one sequence,
--   accept by step 3; twin R054
DELETE FROM shared_seq WHERE id IN (SELECT id FROM shared_seq WHERE shop_id = 3);

-- A055 (pattern 37, 31): a uuid with a generating default,
--   accept by step 3; twin R055
DELETE FROM docs WHERE id IN (SELECT id FROM docs WHERE tenant_id = '00000000-0000-0000-0000-000000000001');

-- A056 (pattern 37, 31): a uuid with a generating default,
--   accept by step 3; twin R056
UPDATE docs d SET v = q.v FROM (SELECT id, v + 1 AS v FROM docs) q WHERE d.id = q.id;

-- A057 (pattern 32): both columns,
--   accept by step 1; twin R057
PREPARE a_gm(uuid, uuid) AS
DELETE FROM group_members WHERE (group_id, user_id) IN (SELECT group_id, user_id FROM group_members WHERE group_id = $1 AND user_id = $2 LIMIT 1);
EXECUTE a_gm('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002');
DEALLOCATE a_gm;

-- A058 (pattern 113): the id has a generating default,
--   accept by step 3; twin R058
UPDATE job_uuid SET state = 'run' WHERE id = (SELECT id FROM job_uuid WHERE queue = 'q' FOR UPDATE SKIP LOCKED LIMIT 1);

-- A059 (pattern 39): a bucket generated from the id,
--   accept by step 1; twin R059
DELETE FROM gen_items WHERE id IN (SELECT id FROM gen_items WHERE bad);

-- A060 (pattern 43, 44): the parent is named,
--   accept by step 8; twin R060
DELETE FROM metrics WHERE device_id IN (SELECT id FROM devices WHERE retired);

-- A061 (pattern 43, 29): an identity column, time used inside,
--   accept by step 3; twin R061
UPDATE events SET v = 0 WHERE id IN (SELECT id FROM events WHERE created_at < '2026-01-01');

-- A062 (pattern 43): a time that is,
--   accept by step 7; twin R062
DELETE FROM sensor_log WHERE sensor_no IN (SELECT sensor_no FROM sensor_log WHERE v > 9);

-- A063 (pattern 43): the time is the partition key,
--   accept by step 10; twin R063
DELETE FROM sensor_log WHERE sensor_no IN (SELECT sensor_no FROM sensor_stage);

-- A064 (pattern 42): all of the key,
--   accept by step 1; twin R064
DELETE FROM tasks_tenant WHERE (inserted_at, id, tenant_id) IN (SELECT inserted_at, id, tenant_id FROM tasks_tenant WHERE v = 1);

-- A065 (pattern 42): all of the key, pinned on both sides,
--   accept by step 1; twin R065
DELETE FROM tasks_status WHERE status = 'new' AND (inserted_at, id) IN (SELECT inserted_at, id FROM tasks_status WHERE status = 'new');

-- A066 (pattern 47, 123): the users are named,
--   accept by step 8; twin R066
DELETE FROM user_roles WHERE user_id IN (SELECT u.id FROM users u JOIN user_roles x ON x.user_id = u.id WHERE x.role_id = 5);

-- A067 (pattern 47, 46): whole orders: the other column is local,
--   accept by step 7; twin R067
UPDATE order_lines SET hold = true WHERE order_id IN (SELECT order_id FROM order_lines WHERE sku = 'X');

-- A068 (pattern 46): the line number restricted outside as well,
--   accept by step 5; twin R068
UPDATE order_lines SET hold = true WHERE line_no > 3 AND order_id IN (SELECT order_id FROM order_lines WHERE line_no = 3);

-- A069 (pattern 47): a join over a local number is no constraint,
--   accept by step 7; twin R069
DELETE FROM order_lines WHERE order_id IN
    (SELECT l.order_id FROM order_lines l JOIN line_flags f ON f.line_no = l.line_no WHERE f.bad);

-- A070 (pattern 47): a source without the other one,
--   accept by step 8; twin R070
DELETE FROM user_roles WHERE user_id IN (SELECT o.user_id FROM user_orders o WHERE o.fraud AND o.id > 0);

-- A071 (pattern 49): grouped by the scope, which is kept,
--   accept by step 1; twin R071
DELETE FROM point_info WHERE (system_id, id) IN (SELECT system_id, max(id) FROM point_info GROUP BY system_id);

-- A072 (pattern 48): groups chosen by an aggregate,
--   accept by step 5; twin R072
DELETE FROM cart_items WHERE cart_id IN (SELECT cart_id FROM cart_items WHERE line_no > 1 GROUP BY cart_id HAVING count(*) > 99);

-- A073 (pattern 48): an aggregate compared one level up,
--   accept by step 5; twin R073
DELETE FROM cart_items WHERE cart_id IN (SELECT q.cart_id FROM (SELECT cart_id, count(*) AS n FROM cart_items WHERE line_no > 1 GROUP BY cart_id) q WHERE q.n > 1);

-- A074 (pattern 48): a country can,
--   accept by step 5; twin R074
DELETE FROM regions WHERE country IN (SELECT country FROM regions WHERE code > 'M' GROUP BY country HAVING count(*) > 1);

-- A075 (pattern 48): grouped by exactly that,
--   accept by step 5; twin R075
DELETE FROM cart_items WHERE cart_id IN (SELECT cart_id FROM cart_items GROUP BY cart_id HAVING count(line_no) > 1);

-- A076 (pattern 50): by all of them,
--   accept by step 1; twin R076
WITH q AS (SELECT a, b, c FROM triples ORDER BY a, b, c LIMIT 500 FOR UPDATE SKIP LOCKED)
DELETE FROM triples WHERE (a, b, c) IN (SELECT a, b, c FROM q);

-- A077 (pattern 51): and outside,
--   accept by step 1; twin R077
WITH q AS (SELECT task, ts, retry FROM slots WHERE strategy = 1)
DELETE FROM slots WHERE strategy = 1 AND (task, ts, retry) IN (SELECT task, ts, retry FROM q);

-- A078 (pattern 125): pinned outside as well,
--   accept by step 1; twin R078
DELETE FROM triples WHERE b = 2 AND (a, c) IN (SELECT a, c FROM triples WHERE b = 2);

-- A079 (pattern 53): the end is named by its parent,
--   accept by step 8; twin R079
DELETE FROM edges WHERE src IN (SELECT id FROM vertices WHERE gone);

-- A080 (pattern 53): both ends,
--   accept by step 1; twin R080
DELETE FROM closure WHERE (ancestor, descendant) IN (SELECT ancestor, descendant FROM closure WHERE ancestor = 5);

-- A081 (pattern 53): both ends,
--   accept by step 1; twin R081
DELETE FROM edges WHERE (dst, src) IN (SELECT dst, src FROM edges WHERE kind = 'x');

-- A284 (pattern 53): a subtree is moved: between all ancestors and all descendants of a node,
--   accept by step 4; twin R138
DELETE FROM closure WHERE descendant IN (SELECT descendant FROM closure WHERE ancestor = 5)
   AND ancestor IN (SELECT ancestor FROM closure WHERE descendant = 5 AND ancestor <> descendant);

-- A285 (pattern 53): the same as a join,
--   accept by step 4; twin R140
DELETE FROM closure t USING closure up, closure down
 WHERE t.ancestor = up.ancestor AND t.descendant = down.descendant
   AND up.descendant = 5 AND down.ancestor = 5 AND up.ancestor <> up.descendant;

-- A286 (pattern 53): the same by EXISTS; twin R139,
--   accept by step 4
DELETE FROM closure t
 WHERE EXISTS (SELECT FROM closure down WHERE down.ancestor = 5 AND down.descendant = t.descendant)
   AND EXISTS (SELECT FROM closure up WHERE up.descendant = 5 AND up.ancestor = t.ancestor AND up.depth > 0);

-- A287 (pattern 53): the same of one tree among others; twin R141,
--   accept by step 4
DELETE FROM forest_paths WHERE (tree, descendant) IN (SELECT tree, descendant FROM forest_paths WHERE tree = 1 AND ancestor = 5)
   AND (tree, ancestor) IN (SELECT tree, ancestor FROM forest_paths WHERE tree = 1 AND descendant = 5 AND depth > 0);

-- A082 (pattern 92): the flag pinned on both sides: full key of the other table,
--   accept by step 8; twin R082
DELETE FROM client_sessions WHERE offline AND sid IN (SELECT sid FROM sessions WHERE offline AND realm = 'r');

-- A083 (pattern 92): the flag compared with that of the target,
--   accept by step 8; twin R083
DELETE FROM client_sessions c WHERE sid IN (SELECT s.sid FROM sessions s WHERE s.realm = 'r' AND s.offline = c.offline);

-- A084 (pattern 94, 19): a staging table with nothing to drop,
--   accept by step 10; twin R084
DELETE FROM lineitem WHERE l_orderkey IN (SELECT k FROM to_delete);

-- A085 (pattern 56): of the same user,
--   accept by step 8; twin R085
DELETE FROM room_keys k WHERE version NOT IN (SELECT v.version FROM key_versions v WHERE v.user_id = k.user_id AND NOT v.deleted);

-- A086 (pattern 24): the full key of the source is matched,
--   accept by step 8; twin R086
UPDATE node_versions SET v = 0 WHERE node_id IN (SELECT id FROM current_nodes WHERE version > 3);

-- A087 (pattern 24): the full key of the source is matched,
--   accept by step 8; twin R087
UPDATE node_versions SET v = 0 WHERE node_id IN (SELECT id FROM current_nodes WHERE visible);

-- A088 (pattern 46): a column called id that is no sibling: it is a key by itself,
--   accept by step 8; twin R088
UPDATE order_items SET v = 0 WHERE order_id IN (SELECT order_id FROM shipments WHERE id = 7);

-- A089 (pattern 1): by name only a joined relation has no sibling,
--   accept by step 10; twin R089
UPDATE point_info SET v = 0
 WHERE id IN (SELECT l.point_no FROM point_labels l JOIN label_sets_nofk ls ON ls.set_id = l.set_id WHERE ls.system_id = 7);

-- A090 (pattern 20): a temporary table of numbers alone: nothing is known,
--   accept by step 10; twin R090
CREATE TEMP TABLE a_ids AS SELECT id FROM point_info;
UPDATE point_info SET v = 0 WHERE id IN (SELECT id FROM a_ids);
DROP TABLE a_ids;

-- A091 (pattern 86): a function of numbers alone,
--   accept by step 10; twin R091
UPDATE point_info SET v = 0 WHERE id IN (SELECT f FROM f_ids() f);

-- A092 (pattern 86): both compared,
--   accept by step 1; twin R092
UPDATE point_info t SET v = 0 FROM unnest(ARRAY[1,2], ARRAY[3,4]) u(system_id, id) WHERE t.id = u.id AND t.system_id = u.system_id;

-- A093 (pattern 86, 18): json with the matched one alone,
--   accept by step 9; twin R093
DELETE FROM user_roles WHERE user_id IN (SELECT j.user_id FROM jsonb_to_recordset('[]') AS j(user_id int));

-- A094 (pattern 93): both compared,
--   accept by step 1; twin R094
DELETE FROM user_roles r USING (VALUES (1, 2), (3, 4)) AS x(user_id, role_id) WHERE r.user_id = x.user_id AND r.role_id = x.role_id;

-- A095 (pattern 55, 54): transitive,
--   accept by step 1; twin R095
UPDATE point_info t SET v = 0
 WHERE EXISTS (SELECT 1 FROM point_info p JOIN systems s ON s.id = p.system_id
                WHERE p.id = t.id AND s.id = t.system_id AND s.vendor_type = 'amber');

-- A096 (pattern 59, 60): the pin holds for every arm,
--   accept by step 1; twin R096
DELETE FROM point_info WHERE system_id = 7 AND (id = 1 OR id IN (SELECT id FROM point_info WHERE system_id = 7));

-- A097 (pattern 66): the scope wrapped alike,
--   accept by step 1; twin R097
UPDATE point_info t SET v = s.v FROM point_info s
 WHERE COALESCE(t.id, -1) = COALESCE(s.id, -1) AND COALESCE(t.system_id, -1) = COALESCE(s.system_id, -1) AND s.system_id = 7;

-- A098 (pattern 67): with the scope of that row,
--   accept by step 1; twin R098
UPDATE point_info t SET v = 0 FROM point_map m WHERE t.id = COALESCE(m.point_id, m.legacy_id) AND m.system_id = t.system_id;

-- A099 (pattern 69, 68): a key glued together on both sides,
--   accept by step 1; twin R099
DELETE FROM point_info WHERE system_id || '-' || id IN (SELECT p.system_id || '-' || p.id FROM point_info p WHERE p.system_id = 7);

-- A100 (pattern 77, 40): one full key suffices,
--   accept by step 1; twin R100
UPDATE point_alt SET bad = true WHERE (system_id, name) IN (SELECT system_id, name FROM point_alt WHERE bad);

-- A101 (pattern 87): count is no lineage,
--   accept by step 10; twin R101
UPDATE point_info SET v = 0 WHERE id IN (SELECT count(p.id) FROM point_info p WHERE p.system_id = 7);

-- A102 (pattern 24): the version after that of the source,
--   accept by step 1; twin R102
UPDATE node_versions t SET v = s.v FROM node_versions s WHERE t.node_id = s.node_id AND t.version = s.version + 1;

-- A103 (pattern 75): older than the newest of the same node,
--   accept by step 1; twin R103
DELETE FROM node_versions v WHERE v.version < (SELECT max(x.version) FROM node_versions x WHERE x.node_id = v.node_id);

-- A104 (pattern 102): duplicates removed: the code compared with its sibling,
--   accept by step 1; twin R104
DELETE FROM regions a USING regions b WHERE a.country = b.country AND a.label = b.label AND a.code > b.code;

-- A105 (pattern 104): keep-list of pairs,
--   accept by step 1; twin R105
DELETE FROM point_info WHERE (system_id, id) NOT IN (SELECT system_id, max(id) FROM point_info GROUP BY system_id, name);

-- A106 (pattern 106): of the same tenant,
--   accept by step 8; twin R106
DELETE FROM t_lines l WHERE NOT EXISTS (SELECT 1 FROM t_orders o WHERE o.no = l.no AND o.tenant_id = l.tenant_id);

-- A107 (pattern 107): the whole key of the target, half of the key of the source,
--   accept by step 1; twin R107
DELETE FROM area_tag a WHERE NOT EXISTS (SELECT 1 FROM artist_area_tag r WHERE r.area = a.area AND r.tag = a.tag);

-- A108 (pattern 2, 112): the membership names the tenants,
--   accept by step 8; twin R108
UPDATE t_orders SET hot = true WHERE tenant_id IN (SELECT m.tenant_id FROM memberships m WHERE m.user_name = 'u');

-- A109 (pattern 99, 100): MERGE by the key,
--   accept by step 1; twin R109
MERGE INTO t_orders t USING (SELECT tenant_id, no, v FROM t_orders WHERE tenant_id = 7) s ON (t.tenant_id, t.no) = (s.tenant_id, s.no)
 WHEN MATCHED THEN UPDATE SET v = s.v;

-- A110 (pattern 99): the AND of the action completes the key,
--   accept by step 1; twin R110
MERGE INTO t_orders t USING t_orders s ON t.no = s.no AND s.tenant_id = 7
 WHEN MATCHED AND t.tenant_id = s.tenant_id THEN DELETE;

-- A111 (pattern 13): whole orders, through their parent,
--   accept by step 8; twin R111
DELETE FROM order_lines WHERE order_id IN (SELECT id FROM orders WHERE status = 'x');

-- A112 (pattern 14): pinned on both sides,
--   accept by step 1; twin R112
DELETE FROM user_roles WHERE user_id = 5 AND role_id IN (SELECT g.role_id FROM grant_log g WHERE g.user_id = 5);

-- A113 (pattern 125): both are,
--   accept by step 1; twin R113
DELETE FROM triples WHERE b = 2 AND c = 3 AND a IN (SELECT a FROM triples WHERE b = 2 AND c = 3);

-- A114 (pattern 59): both columns,
--   accept by step 1; twin R114
DELETE FROM regions WHERE (country, code) IN (SELECT country, code FROM regions WHERE country = 'FR' OR active);

-- A115 (pattern 95): copied from one scope to another,
--   accept by step 5; twin R115
UPDATE t_orders t SET v = s.v FROM t_orders s WHERE s.tenant_id = 2 AND t.tenant_id = 3 AND t.no = s.no;

-- A201 (pattern 14): a join table by one of its parents,
--   accept by step 8
DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE name = 'x');

-- A202 (pattern 14): a join table by the other parent: position in the key does not matter,
--   accept by step 8
DELETE FROM user_roles WHERE role_id IN (SELECT id FROM roles WHERE name = 'x');

-- A203 (pattern 14): restricted by both parents,
--   accept by step 5
DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE name = 'x') AND role_id IN (SELECT id FROM roles WHERE name = 'y');

-- A204 (pattern 14): by a parent and a list,
--   accept by step 5
DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE name = 'x') AND role_id IN (1, 2);

-- A205 (pattern 108): one side pinned, the other synchronised,
--   accept by step 1
DELETE FROM user_roles WHERE user_id = 5 AND role_id NOT IN (SELECT id FROM roles WHERE name LIKE 'a%');

-- A206 (pattern 108): one side pinned, the source has that side too: M is a foreign key,
--   accept by step 5
DELETE FROM user_roles WHERE user_id = 5 AND role_id NOT IN (SELECT role_id FROM user_roles WHERE note = 'x');

-- A207 (pattern 15): no foreign keys, the full key of the source,
--   accept by step 8
DELETE FROM group_users WHERE group_id IN (SELECT group_id FROM groups_nofk WHERE empty);

-- A208 (pattern 23): translations by post,
--   accept by step 8
DELETE FROM post_i18n WHERE post_id IN (SELECT id FROM posts WHERE hidden);

-- A209 (pattern 23): translations by language,
--   accept by step 8
DELETE FROM post_i18n WHERE lang IN (SELECT code FROM languages WHERE dropped);

-- A210 (pattern 25): all prices of a product,
--   accept by step 8
UPDATE prices SET amount = 0 WHERE product_id IN (SELECT id FROM products WHERE discontinued);

-- A211 (pattern 18): staging without lineage, a foreign key on the target,
--   accept by step 9
CREATE TEMP TABLE a_old AS SELECT id AS old_id FROM artist_credits;
DELETE FROM artist_credit_name WHERE artist_credit IN (SELECT old_id FROM a_old);
DROP TABLE a_old;

-- A212 (pattern 18): staging that has a column like the dropped one: a group all the same,
--   accept by step 10 as 7
CREATE TEMP TABLE a_pos AS SELECT artist_credit, "position" FROM artist_credit_name;
DELETE FROM artist_credit_name WHERE artist_credit IN (SELECT artist_credit FROM a_pos);
DROP TABLE a_pos;

-- A213 (pattern 27, 86): literal lists have no source,
--   accept (no source)
DELETE FROM point_info WHERE id IN (1, 2);

-- A214 (pattern 86): nor have parameters,
--   accept (no source)
PREPARE a_any(int[]) AS DELETE FROM point_info WHERE id = ANY ($1);
EXECUTE a_any('{1,2}');
DEALLOCATE a_any;

-- A215 (pattern 86): VALUES of numbers alone,
--   accept by step 10
DELETE FROM point_info WHERE id IN (VALUES (1), (2));

-- A216 (pattern 86): unnest of numbers alone,
--   accept by step 10
UPDATE point_info t SET v = 0 FROM unnest(ARRAY[1, 2]) u(id) WHERE t.id = u.id;

-- A217 (pattern 7): by the surrogate key,
--   accept (no K)
UPDATE issues SET title = 'x' WHERE id IN (SELECT id FROM issues WHERE project_id = 3);

-- A218 (pattern 41): a partial unique index is no K,
--   accept (no K)
UPDATE issues_partial SET title = 'x' WHERE iid IN (SELECT iid FROM issues_partial WHERE project_id = 3);

-- A219 (pattern 41): a unique index with an expression is no K,
--   accept (no K)
UPDATE issues_expr SET title = 'x' WHERE iid IN (SELECT iid FROM issues_expr WHERE project_id = 3);

-- A220 (pattern 127): no key at all,
--   accept (no K)
DELETE FROM keyless WHERE id IN (SELECT id FROM keyless WHERE system_id = 7);

-- A221 (pattern 105): a single-column key,
--   accept (no K)
DELETE FROM single_key WHERE id NOT IN (SELECT min(id) FROM single_key GROUP BY email);

-- A222 (pattern 52): the compared column belongs to no key,
--   accept (no column of a K is equated)
DELETE FROM metrics WHERE v IN (SELECT v FROM metrics WHERE ts < '2026-01-01');

-- A223 (pattern 70): the target has no composite key yet: backfill of the scope,
--   accept (no K)
UPDATE locations l SET tenant = c.tenant FROM companies c WHERE l.company_id = c.company_id;

-- A224 (pattern 71): everything of the tenants of another table,
--   accept by step 8
UPDATE tenant_assets a SET type = 'x' FROM memberships m WHERE m.tenant_id = a.tenant;

-- A225 (pattern 2): membership and the number pinned,
--   accept by step 1
UPDATE t_orders SET hot = true WHERE no = 5 AND tenant_id IN (SELECT m.tenant_id FROM memberships m WHERE m.user_name = 'u');

-- A226 (pattern 11): one parameter for both sides,
--   accept by step 1
PREPARE a_one(int) AS DELETE FROM t_orders WHERE tenant_id = $1 AND no IN (SELECT no FROM t_orders WHERE tenant_id = $1 AND old);
EXECUTE a_one(7);
DEALLOCATE a_one;

-- A227 (pattern 57): a scalar subquery, pinned on both sides,
--   accept by step 1
DELETE FROM t_orders WHERE tenant_id = 7 AND no = (SELECT min(o.no) FROM t_orders o WHERE o.tenant_id = 7);

-- A228 (pattern 63): current_setting on both sides,
--   accept by step 1
SET app.tenant = '7';
DELETE FROM t_orders WHERE tenant_id = current_setting('app.tenant')::int AND no IN (SELECT no FROM t_orders WHERE tenant_id = current_setting('app.tenant')::int AND old);

-- A229 (pattern 85): LATERAL tied by correlation,
--   accept by step 1
UPDATE point_info t SET v = 0 FROM systems s, LATERAL (SELECT p.id FROM point_info p WHERE p.system_id = s.id LIMIT 10) x
 WHERE t.id = x.id AND t.system_id = s.id;

-- A230 (pattern 89): an inner alias shadows: nothing is correlated, another rule minds,
--   accept (no column of a K is equated)
DELETE FROM point_info WHERE EXISTS (SELECT 1 FROM point_info WHERE point_info.id = point_info.id AND system_id = 7);

-- A231 (pattern 91): whole rows compared,
--   accept by step 1
DELETE FROM point_info t WHERE t IN (SELECT p FROM point_info p WHERE p.system_id = 7);

-- A232 (pattern 91): whole rows joined,
--   accept by step 1
DELETE FROM point_info t USING point_info s WHERE t = s AND s.system_id = 7;

-- A233 (pattern 96): a self-join on the key,
--   accept by step 1
DELETE FROM user_roles ur USING user_roles x LEFT JOIN users u ON u.id = x.user_id
 WHERE ur.role_id = x.role_id AND ur.user_id = x.user_id AND u.id IS NULL;

-- A234 (pattern 97): the key by IN, another relation only by inequality,
--   accept by step 1
UPDATE triples t SET v = 0 FROM to_delete q WHERE (t.a, t.b, t.c) IN (SELECT a, b, c FROM triples WHERE v = 1) AND q.k > t.v;

-- A235 (pattern 98): nothing is equated: another rule minds,
--   accept (no column of a K is equated)
DELETE FROM order_lines USING orders WHERE orders.status = 'x';

-- A236 (pattern 102): a dedupe within its scope; twin R116,
--   accept by step 1
DELETE FROM point_info a USING point_info b
 WHERE a.name = b.name AND a.id > b.id AND a.system_id = b.system_id;

-- A237 (pattern 102): duplicates within the scope,
--   accept by step 1
DELETE FROM point_info a USING point_info b WHERE a.name = b.name AND a.system_id = b.system_id AND a.id > b.id;

-- A238 (pattern 103): a subquery of SET chooses no rows,
--   accept (no source)
UPDATE order_lines t SET sku = (SELECT p.name FROM point_info p WHERE p.id = t.line_no LIMIT 1) WHERE order_id = 5;

-- A239 (pattern 103): SET of a key column from part of another key,
--   accept (no source)
UPDATE point_info t SET v = (SELECT p.v FROM point_info p WHERE p.id = t.id AND p.system_id = 7) WHERE t.system_id = 8;

-- A240 (pattern 124): SET changes a key column,
--   accept by step 1
UPDATE point_info SET system_id = 9 WHERE (system_id, id) IN (SELECT system_id, id FROM point_info WHERE bad);

-- A241 (pattern 112): a queue by its full key,
--   accept by step 1
DELETE FROM job WHERE (queue, id) IN (SELECT queue, id FROM job WHERE state = 'done' LIMIT 5 FOR UPDATE SKIP LOCKED);

-- A242 (pattern 113): a queue pinned outside as well,
--   accept by step 1
UPDATE job SET state = 'run' WHERE queue = 'q' AND id = (SELECT id FROM job WHERE queue = 'q' FOR UPDATE SKIP LOCKED LIMIT 1);

-- A243 (pattern 111): WHERE CURRENT OF,
--   accept (no source)
DO $$
DECLARE c CURSOR FOR SELECT id FROM point_info WHERE bad FOR UPDATE; n int;
BEGIN
    OPEN c;
    LOOP
        FETCH c INTO n;
        EXIT WHEN NOT FOUND;
        DELETE FROM point_info WHERE CURRENT OF c;
    END LOOP;
END $$;

-- A244 (pattern 110): ctid of a partitioned table without any key,
--   accept (no K)
DELETE FROM part_keyless WHERE ctid IN (SELECT ctid FROM part_keyless WHERE v = 0 LIMIT 10);

-- A245 (pattern 4): composite foreign key: its scope by the parent of the scope,
--   accept by step 6
DELETE FROM alarms WHERE system_id IN (SELECT id FROM systems WHERE vendor_type = 'amber');

-- A246 (pattern 4): composite foreign key: matched column outside it,
--   accept (no column of a K is equated)
DELETE FROM alarms WHERE id IN (SELECT id FROM alarms WHERE system_id = 7);

-- A247 (pattern 4): composite foreign key pinned on both sides,
--   accept by step 6
UPDATE alarms SET text = 'x' WHERE system_id = 7 AND point_id IN (SELECT id FROM point_info WHERE system_id = 7 AND bad);

-- A248 (pattern 16): lines of the children of one tenant, pinned on both sides,
--   accept by step 8
DELETE FROM t_lines WHERE tenant_id = 7 AND no IN (SELECT no FROM t_orders WHERE tenant_id = 7 AND old);

-- A249 (pattern 46): whole orders through a table that has the number by name only,
--   accept by step 8
UPDATE order_items SET v = 0 WHERE order_id IN (SELECT order_id FROM shipment_items WHERE v = 9);

-- A250 (pattern 48): whole groups of a join table,
--   accept by step 5
DELETE FROM user_roles WHERE user_id IN (SELECT user_id FROM user_roles GROUP BY user_id HAVING count(*) > 99);

-- A251 (pattern 99): MERGE copies between scopes,
--   accept by step 5
MERGE INTO t_orders t USING t_orders s ON t.tenant_id = 1 AND s.tenant_id = 2 AND t.no = s.no
 WHEN MATCHED THEN UPDATE SET v = s.v;

-- A252 (pattern 99): MERGE that only inserts is not judged,
--   accept (not judged)
MERGE INTO t_orders t USING (SELECT no FROM t_orders WHERE tenant_id = 7) s ON t.no = s.no
 WHEN NOT MATCHED THEN INSERT (tenant_id, no) VALUES (1, s.no);

-- A253 (pattern 99): MERGE that does nothing on a match is not judged,
--   accept (not judged)
MERGE INTO t_orders t USING (SELECT no FROM t_orders WHERE tenant_id = 7) s ON t.no = s.no
 WHEN MATCHED THEN DO NOTHING;

-- A254 (pattern 2): SELECT and INSERT ... SELECT are not judged,
--   accept (not judged)
INSERT INTO bad_ids SELECT id FROM point_info WHERE id IN (SELECT id FROM point_info WHERE system_id = 7);

-- A255 (pattern 2): nor is the source side of a write,
--   accept by step 8
DELETE FROM order_lines WHERE order_id IN (SELECT o.id FROM orders o WHERE o.id IN (SELECT q.id FROM point_info q WHERE q.system_id = 7));

-- A256 (pattern 24): versions by the full key of another table, in a join,
--   accept by step 8
UPDATE node_versions t SET redacted = true FROM current_nodes c WHERE c.id = t.node_id AND NOT c.visible;

-- A257 (pattern 43): a whole device by an attribute of its rows: time-typed partition key dropped,
--   accept by step 7
DELETE FROM metrics WHERE device_id IN (SELECT device_id FROM metrics WHERE v < 0);

-- A258 (pattern 66): IS NOT DISTINCT FROM ties as = does,
--   accept by step 1
UPDATE point_info t SET v = s.v FROM point_info s WHERE t.id = s.id AND t.system_id IS NOT DISTINCT FROM s.system_id AND s.bad;

-- A259: the whole key goes through a VALUES row; twin R117,
--   accept by step 1
UPDATE point_info t SET v = 0 FROM point_info p CROSS JOIN LATERAL (VALUES (p.id, p.system_id)) x(n, scope)
 WHERE p.system_id = 3 AND x.n = t.id AND x.scope = t.system_id;

-- A260: NOT (<> ALL) of the whole key; twin R118,
--   accept by step 1
UPDATE point_info SET v = 0
 WHERE NOT ((system_id, id) <> ALL (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 3));

-- A261: a condition on the whole key compared with true; twin R119,
--   accept by step 1
UPDATE point_info SET v = 0
 WHERE ((system_id, id) IN (SELECT p.system_id, p.id FROM point_info p WHERE p.system_id = 3)) = true;

-- A262: NULLs as equal, the whole key; twins R120 and R121,
--   accept by step 1
UPDATE point_info t SET v = 0 FROM point_info p
 WHERE p.system_id = 3 AND EXISTS (SELECT t.id, t.system_id INTERSECT SELECT p.id, p.system_id);

-- A263: copied from one scope to all others; twin R122,
--   accept by step 5
UPDATE post_i18n t SET title = d.title FROM post_i18n d WHERE d.post_id = t.post_id AND d.lang = 'en' AND t.lang <> 'en';

-- A264: compared with an aggregate of its own group; twin R123,
--   accept by step 7, the source row is the group
DELETE FROM node_versions t WHERE t.v > (SELECT avg(x.v) FROM node_versions x WHERE x.node_id = t.node_id);

-- A265: chosen by a group of a key column and another one,
--   accept by step 5
UPDATE regions SET active = true WHERE (country, label) IN (SELECT country, label FROM regions GROUP BY country, label HAVING count(*) > 9);

-- A266: the row named by another column of the target is known in full,
--   accept by step 7, nothing is dropped
DELETE FROM node_versions t
 WHERE EXISTS (SELECT 1 FROM node_versions x WHERE x.node_id = t.node_id AND x.version = t.v);

-- A267: one row of the same scope; twin R124,
--   accept by step 1
DELETE FROM point_info WHERE system_id = 7 AND id = (SELECT max(p.id) FROM point_info p WHERE p.bad AND p.system_id = 7);

-- A268: an array of the same scope; twin R125,
--   accept by step 1
DELETE FROM point_info WHERE system_id = 7 AND id = ANY ((SELECT array_agg(p.id) FROM point_info p WHERE p.bad AND p.system_id = 7)::int[]);

-- A269: many ORs, the key beside them; twin R127,
--   accept by step 1
UPDATE point_info t SET v = 0 FROM point_info p
 WHERE t.id = p.id AND t.system_id = p.system_id
   AND (t.v = p.v OR p.v = 1) AND (t.v = p.v OR p.v = 2) AND (t.v = p.v OR p.v = 3) AND (t.v = p.v OR p.v = 4)
   AND (t.v = p.v OR p.v = 5) AND (t.v = p.v OR p.v = 6) AND (t.v = p.v OR p.v = 7) AND (t.v = p.v OR p.v = 8);

-- A270: a correlated subquery by the whole key; twin R128,
--   accept by step 1
UPDATE point_info t SET v = 0
 WHERE (SELECT p.parent_id FROM point_info p WHERE p.id = t.id AND p.system_id = t.system_id) IS NOT NULL;

-- A271: the same subquery twice is one value; twin R129,
--   accept by step 1
UPDATE point_info SET v = 0
 WHERE system_id = (SELECT s.id FROM systems s WHERE s.vendor_type = 'amber')
   AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = (SELECT s.id FROM systems s WHERE s.vendor_type = 'amber'));

-- A272: VALUES of a subquery, with its scope; twin R130,
--   accept by step 1
WITH s(scope, n) AS (VALUES (3, (SELECT p.id FROM point_info p WHERE p.system_id = 3 LIMIT 1)))
UPDATE point_info t SET v = 0 FROM s WHERE t.id = s.n AND t.system_id = 3;

-- A273: a value computed from the same subquery; twin R131,
--   accept by step 1
UPDATE point_info SET v = 0
 WHERE system_id = coalesce((SELECT 3), 4)
   AND id IN (SELECT p.id FROM point_info p WHERE p.system_id = coalesce((SELECT 3), 4));

-- A274: compared with the target's row, a column is not limited inside; twin R132,
--   accept by step 7
DELETE FROM point_info t WHERE EXISTS (SELECT FROM point_info p WHERE p.system_id = t.system_id AND p.id > t.v);

-- A275: the same with what is computed from the row; twin R132,
--   accept by step 7
DELETE FROM prices t WHERE EXISTS (SELECT FROM prices p WHERE p.product_id = t.product_id AND p.valid_from = date '2020-01-01' + t.amount);

-- A276: the last one of the row's group; twin R133,
--   accept by step 7
DELETE FROM point_info t WHERE t.v < (SELECT max(p.id) FROM point_info p WHERE p.system_id = t.system_id);

-- A277: groups whose last one is old; twin R133,
--   accept by step 7
DELETE FROM prices t WHERE (SELECT max(p.valid_from) FROM prices p WHERE p.product_id = t.product_id) < '2020-01-01';

-- A278: the same, computed; twin R133,
--   accept by step 7
DELETE FROM prices t WHERE current_date - (SELECT max(p.valid_from) FROM prices p WHERE p.product_id = t.product_id) > 30;

-- A279: groups with one row; twin R134,
--   accept by step 7
DELETE FROM point_info t WHERE (SELECT count(p.id) FROM point_info p WHERE p.system_id = t.system_id) = 1;

-- A280: groups whose last one is given; twin R133,
--   accept by step 7
DELETE FROM point_info t WHERE (SELECT max(p.id) FROM point_info p WHERE p.system_id = t.system_id) = 1;

-- A281: the rows before the last one of their group that counts; twins R135, R136,
--   accept by step 5
DELETE FROM node_versions t WHERE t.version < (SELECT max(x.v) FROM node_versions x WHERE x.node_id = t.node_id);

-- A282: the whole key beside the pairs; twin R142,
--   accept by step 1
DELETE FROM point_info
 WHERE ((system_id, id) IN ((1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (1, 10), (1, 11), (1, 12), (1, 13), (1, 14), (1, 15), (1, 16), (1, 17), (1, 18), (1, 19), (1, 20), (1, 21), (1, 22), (1, 23), (1, 24)) OR
        (system_id, id) IN (SELECT x.system_id, x.id FROM point_info x WHERE x.bad AND x.system_id = 1))
   AND ((system_id, id) IN ((1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (1, 10), (1, 11), (1, 12), (1, 13), (1, 14), (1, 15), (1, 16), (1, 17), (1, 18), (1, 19), (1, 20), (1, 21), (1, 22), (1, 23), (1, 24)) OR
        (system_id, id) IN (SELECT x.system_id, x.id FROM point_info x WHERE x.bad AND x.system_id = 1));

-- A283: the whole key; twin R143,
--   accept by step 1
DELETE FROM point_info t
 WHERE t.v IN (t.id + 1, t.id + 2, t.id + 3, t.id + 4, t.id + 5, t.id + 6, t.id + 7, t.id + 8, t.id + 9, t.id + 10, t.id + 11, t.id + 12, t.id + 13, t.id + 14, t.id + 15, t.id + 16, t.id + 17, t.id + 18, t.id + 19, t.id + 20, t.id + 21, t.id + 22, t.id + 23, t.id + 24, t.id + 25, t.id + 26, t.id + 27, t.id + 28, t.id + 29, t.id + 30, t.id + 31, t.id + 32, t.id + 33, t.id + 34, t.id + 35, t.id + 36, t.id + 37, t.id + 38, t.id + 39, t.id + 40, t.id + 41, t.id + 42, t.id + 43, t.id + 44, t.id + 45, t.id + 46, t.id + 47, t.id + 48, t.id + 49, t.id + 50, t.id + 51, t.id + 52, t.id + 53, t.id + 54, t.id + 55, t.id + 56, t.id + 57, t.id + 58, t.id + 59)
   AND (t.system_id, t.id) IN (SELECT x.system_id, x.id FROM point_info x WHERE x.system_id = 1 AND x.v IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39));

-- A288: the whole key; twin R144,
--   accept by step 1
DELETE FROM point_info t
 WHERE (t.system_id, CASE t.v WHEN 1 THEN t.id + 1 WHEN 2 THEN t.id + 2 WHEN 3 THEN t.id + 3 WHEN 4 THEN t.id + 4 WHEN 5 THEN t.id + 5 WHEN 6 THEN t.id + 6 WHEN 7 THEN t.id + 7 WHEN 8 THEN t.id + 8 WHEN 9 THEN t.id + 9 WHEN 10 THEN t.id + 10 WHEN 11 THEN t.id + 11 WHEN 12 THEN t.id + 12 WHEN 13 THEN t.id + 13 WHEN 14 THEN t.id + 14 WHEN 15 THEN t.id + 15 WHEN 16 THEN t.id + 16 WHEN 17 THEN t.id + 17 WHEN 18 THEN t.id + 18 WHEN 19 THEN t.id + 19 WHEN 20 THEN t.id + 20 ELSE t.id END) IN
       (SELECT x.system_id, CASE x.v WHEN 1 THEN x.id + 1 WHEN 2 THEN x.id + 2 WHEN 3 THEN x.id + 3 WHEN 4 THEN x.id + 4 WHEN 5 THEN x.id + 5 WHEN 6 THEN x.id + 6 WHEN 7 THEN x.id + 7 WHEN 8 THEN x.id + 8 WHEN 9 THEN x.id + 9 WHEN 10 THEN x.id + 10 WHEN 11 THEN x.id + 11 WHEN 12 THEN x.id + 12 WHEN 13 THEN x.id + 13 WHEN 14 THEN x.id + 14 WHEN 15 THEN x.id + 15 WHEN 16 THEN x.id + 16 WHEN 17 THEN x.id + 17 WHEN 18 THEN x.id + 18 WHEN 19 THEN x.id + 19 WHEN 20 THEN x.id + 20 ELSE x.id END FROM point_info x WHERE x.system_id = 1);
