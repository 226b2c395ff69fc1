-- Tables for the tests of rule composite_key, all in schema ck.
-- They stay empty or nearly so: the rule judges statements, not rows.
CREATE SCHEMA ck;
SET search_path = ck;

-- A role left over from an earlier run in this cluster owns nothing here yet.
SET client_min_messages = error;
DROP ROLE IF EXISTS regress_sg_ck;
RESET client_min_messages;
CREATE ROLE regress_sg_ck;

--
-- The incident: numbers that start again in every system
--
CREATE TABLE systems (id serial PRIMARY KEY, vendor_type text, name text);
CREATE TABLE point_info (
    system_id int REFERENCES systems,
    id int,
    name text,
    point_name text,
    display_name text,
    origin_sub_id text,
    subsystem text,
    parent_id int,
    bad boolean,
    v int,
    PRIMARY KEY (system_id, id));
CREATE TABLE point_readings (
    system_id int,
    point_id int,
    ts timestamptz,
    v int,
    PRIMARY KEY (system_id, point_id, ts),
    FOREIGN KEY (system_id, point_id) REFERENCES point_info);
CREATE TABLE point_history (
    system_id int,
    point_id int,
    v int,
    PRIMARY KEY (system_id, point_id),
    FOREIGN KEY (system_id, point_id) REFERENCES point_info);
-- A surrogate key beside the composite foreign key: only the latter is a K.
CREATE TABLE alarms (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system_id int,
    point_id int,
    text text,
    FOREIGN KEY (system_id, point_id) REFERENCES point_info);
-- A second natural key beside the numbered one.
CREATE TABLE point_alt (
    system_id int REFERENCES systems,
    id int,
    name text NOT NULL,
    bad boolean,
    PRIMARY KEY (system_id, id),
    UNIQUE (system_id, name));
CREATE TABLE point_map (
    map_id int PRIMARY KEY,
    system_id int REFERENCES systems,
    point_id int,
    legacy_id int);
CREATE TABLE sys_cfg (system_id int REFERENCES systems, cfg text);
-- Label sets: with and without a foreign key to the parent of the scope.
CREATE TABLE label_sets (set_id int PRIMARY KEY, system_id int REFERENCES systems, kind text);
CREATE TABLE label_sets_nofk (set_id int PRIMARY KEY, system_id int, kind text);
CREATE TABLE point_labels (point_no int, set_id int);
-- Staging without keys: of pairs, and of numbers alone.
CREATE TABLE bad_points (system_id int, id int);
CREATE TABLE bad_systems (system_id int);
CREATE TABLE bad_ids (id int);
-- The same rows pinned to one system by a CHECK, or by nothing.
CREATE TABLE point_sys7 (
    system_id int REFERENCES systems CHECK (system_id = 7),
    id int,
    bad boolean,
    v int,
    PRIMARY KEY (system_id, id));

--
-- Orders and lines: the parent has a key of its own
--
CREATE TABLE orders (id bigserial PRIMARY KEY, status text);
CREATE TABLE order_lines (
    order_id bigint REFERENCES orders,
    line_no int,
    sku text,
    hold boolean,
    PRIMARY KEY (order_id, line_no));
CREATE TABLE line_flags (line_no int, bad boolean);
CREATE TABLE order_items (order_id bigint REFERENCES orders, id int, v int, PRIMARY KEY (order_id, id));
CREATE TABLE shipments (id serial PRIMARY KEY, order_id bigint REFERENCES orders);
CREATE TABLE shipment_items (order_id bigint REFERENCES orders, id int, v int, PRIMARY KEY (order_id, id));

--
-- Orders numbered per tenant
--
CREATE TABLE tenants (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE memberships (user_name text, tenant_id int REFERENCES tenants);
CREATE TABLE t_orders (
    tenant_id int REFERENCES tenants,
    no int,
    status text,
    hot boolean,
    old boolean,
    v int,
    PRIMARY KEY (tenant_id, no));
CREATE TABLE t_lines (
    tenant_id int,
    no int,
    line int,
    sku text,
    v int,
    PRIMARY KEY (tenant_id, no, line),
    FOREIGN KEY (tenant_id, no) REFERENCES t_orders);
-- No foreign key between these two; the tenant is a foreign key of both ...
CREATE TABLE n_orders (tenant_id int REFERENCES tenants, no int, status text, PRIMARY KEY (tenant_id, no));
CREATE TABLE n_lines (tenant_id int REFERENCES tenants, no int, line int, PRIMARY KEY (tenant_id, no, line));
-- ... or of neither.
CREATE TABLE x_orders (tenant_id int, no int, status text, PRIMARY KEY (tenant_id, no));
CREATE TABLE x_lines (tenant_id int, no int, line int, PRIMARY KEY (tenant_id, no, line));
-- The parent has another full key.
CREATE TABLE c_orders (tenant_id int REFERENCES tenants, no int, ref text NOT NULL UNIQUE, PRIMARY KEY (tenant_id, no));
CREATE TABLE c_lines (
    tenant_id int, no int, line int, ref text, sku text,
    PRIMARY KEY (tenant_id, no, line),
    FOREIGN KEY (tenant_id, no) REFERENCES c_orders);
-- A composite foreign key whose leading column leads on to a parent.
CREATE TABLE sites (id int PRIMARY KEY);
CREATE TABLE sensors (site_id int REFERENCES sites, no int, broken boolean, PRIMARY KEY (site_id, no));
CREATE TABLE sensor_readings (
    site_id int, sensor_no int, ts timestamptz, v int,
    PRIMARY KEY (site_id, sensor_no, ts),
    FOREIGN KEY (site_id, sensor_no) REFERENCES sensors);

--
-- Join tables, edges, translations
--
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE roles (id int PRIMARY KEY, name text);
CREATE TABLE user_roles (
    user_id int REFERENCES users, role_id int REFERENCES roles, note text,
    PRIMARY KEY (user_id, role_id));
CREATE TABLE user_orders (id serial PRIMARY KEY, user_id int REFERENCES users, fraud boolean);
CREATE TABLE grant_log (user_id int REFERENCES users, role_id int REFERENCES roles, fraud boolean);
CREATE TABLE grants_ext (user_ref int REFERENCES users, role_ref int REFERENCES roles);
CREATE TABLE groups_nofk (group_id text UNIQUE NOT NULL, empty boolean);
CREATE TABLE group_users (group_id text, user_name text, v int, PRIMARY KEY (group_id, user_name));
CREATE TABLE groups (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
CREATE TABLE members (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
CREATE TABLE group_members (
    group_id uuid REFERENCES groups, user_id uuid REFERENCES members, note text,
    PRIMARY KEY (group_id, user_id));
CREATE TABLE posts (id int PRIMARY KEY, hidden boolean);
CREATE TABLE languages (code text PRIMARY KEY, dropped boolean);
CREATE TABLE post_i18n (
    post_id int REFERENCES posts, lang text REFERENCES languages, title text,
    PRIMARY KEY (post_id, lang));
CREATE TABLE vertices (id int PRIMARY KEY, gone boolean);
CREATE TABLE edges (
    src int REFERENCES vertices, dst int REFERENCES vertices, kind text,
    PRIMARY KEY (src, dst));
CREATE TABLE closure (
    ancestor int REFERENCES vertices, descendant int REFERENCES vertices, depth int,
    PRIMARY KEY (ancestor, descendant));
CREATE TABLE forest (tree int, id int, PRIMARY KEY (tree, id));
CREATE TABLE forest_paths (
    tree int, ancestor int, descendant int, depth int,
    PRIMARY KEY (tree, ancestor, descendant),
    FOREIGN KEY (tree, ancestor) REFERENCES forest,
    FOREIGN KEY (tree, descendant) REFERENCES forest);
CREATE TABLE carts (id int PRIMARY KEY);
CREATE TABLE products (id int PRIMARY KEY, discontinued boolean);
CREATE TABLE cart_items (
    cart_id int REFERENCES carts, line_no int, qty int,
    PRIMARY KEY (cart_id, line_no));
CREATE TABLE artist_credits (id int PRIMARY KEY);
CREATE TABLE artist_credit_name (
    artist_credit int REFERENCES artist_credits, "position" int, name text,
    PRIMARY KEY (artist_credit, "position"));

--
-- Natural codes, numbers and versions without any foreign key
--
CREATE TABLE regions (country text, code text, label text, active boolean, PRIMARY KEY (country, code));
CREATE TABLE regions_lower (country text, code text, PRIMARY KEY (country, code));
CREATE UNIQUE INDEX regions_lower_code ON regions_lower (lower(code));
CREATE TABLE current_nodes (id int PRIMARY KEY, version int, visible boolean);
CREATE TABLE loose_nodes (id int, version int, visible boolean);
CREATE TABLE node_versions (node_id int, version int, v int, redacted boolean, PRIMARY KEY (node_id, version));
CREATE TABLE triples (a int, b int, c int, v int, PRIMARY KEY (a, b, c));
CREATE TABLE lineitem (l_orderkey int, l_linenumber int, v int, PRIMARY KEY (l_orderkey, l_linenumber));
CREATE TABLE to_delete (k int);
CREATE TABLE lineitem_stage (l_orderkey int, l_linenumber int, v int);
CREATE TABLE sessions (sid text, offline boolean, realm text, PRIMARY KEY (sid, offline));
CREATE TABLE client_sessions (sid text, client text, offline boolean, PRIMARY KEY (sid, client, offline));
CREATE TABLE key_versions (user_id text, version int, deleted boolean, PRIMARY KEY (user_id, version));
CREATE TABLE room_keys (user_id text, version int, room text, PRIMARY KEY (user_id, version, room));
CREATE TABLE store_sales (item_sk int, ticket int, sold date, PRIMARY KEY (item_sk, ticket));
CREATE TABLE store_returns (
    item_sk int, ticket int, v int,
    PRIMARY KEY (item_sk, ticket),
    FOREIGN KEY (item_sk, ticket) REFERENCES store_sales);
CREATE TABLE store_returns_nofk (item_sk int, ticket int, v int, PRIMARY KEY (item_sk, ticket));
CREATE TABLE slots (task int, ts timestamptz, retry int, strategy int, PRIMARY KEY (task, ts, retry, strategy));
CREATE TABLE prices (product_id int REFERENCES products, valid_from date, amount int, PRIMARY KEY (product_id, valid_from));
CREATE TABLE artist_area_tag (area int, editor int, tag int, PRIMARY KEY (area, editor, tag));
CREATE TABLE area_tag (area int, tag int, PRIMARY KEY (area, tag));
CREATE TABLE job (queue text, id int, state text, PRIMARY KEY (queue, id));
CREATE TABLE job_uuid (queue text, id uuid DEFAULT gen_random_uuid(), state text, PRIMARY KEY (queue, id));

--
-- Keys that do not count, and keys that do
--
CREATE TABLE issues (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id int REFERENCES tenants, iid int, title text,
    UNIQUE (project_id, iid));
CREATE TABLE issues_deferred (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id int REFERENCES tenants, iid int, title text,
    UNIQUE (project_id, iid) DEFERRABLE);
CREATE TABLE issues_partial (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id int REFERENCES tenants, iid int, title text, closed boolean);
CREATE UNIQUE INDEX issues_partial_key ON issues_partial (project_id, iid) WHERE NOT closed;
CREATE TABLE issues_expr (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id int REFERENCES tenants, iid text, title text);
CREATE UNIQUE INDEX issues_expr_key ON issues_expr (project_id, lower(iid));
CREATE TABLE keyless (system_id int REFERENCES systems, id int, v int);
CREATE TABLE single_key (id int PRIMARY KEY, system_id int REFERENCES systems, email text);
CREATE TABLE u_plain (tenant_id int REFERENCES tenants, id int UNIQUE, bad boolean, PRIMARY KEY (tenant_id, id));
CREATE TABLE u_deferred (tenant_id int REFERENCES tenants, id int UNIQUE DEFERRABLE, bad boolean, PRIMARY KEY (tenant_id, id));
CREATE TABLE u_partial (
    tenant_id int REFERENCES tenants, id int, deleted_at date, bad boolean,
    PRIMARY KEY (tenant_id, id));
CREATE UNIQUE INDEX u_partial_id ON u_partial (id) WHERE deleted_at IS NULL;
CREATE TABLE u_include (tenant_id int REFERENCES tenants, id int, bad boolean, PRIMARY KEY (tenant_id, id));
CREATE UNIQUE INDEX u_include_id ON u_include (id) INCLUDE (bad);
CREATE TABLE u_invalid (tenant_id int REFERENCES tenants, id int, bad boolean, PRIMARY KEY (tenant_id, id));
CREATE UNIQUE INDEX u_invalid_id ON u_invalid (id);
-- What a failed CREATE INDEX CONCURRENTLY leaves behind, without its error.
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'u_invalid_id'::regclass;

--
-- Generated columns of several kinds
--
CREATE TABLE step_conc (
    wf int, version int, id bigint GENERATED ALWAYS AS IDENTITY, active boolean,
    PRIMARY KEY (wf, version, id));
CREATE TABLE step_plain (wf int, version int, id bigint, active boolean, PRIMARY KEY (wf, version, id));
CREATE TABLE serial_docs (tenant_id int REFERENCES tenants, id bigserial, bad boolean, PRIMARY KEY (tenant_id, id));
-- A sequence that is owned by the column; the default is gone, a trigger assigns the value.
CREATE TABLE owned_docs (tenant_id int REFERENCES tenants, id bigserial, bad boolean, PRIMARY KEY (tenant_id, id));
ALTER TABLE owned_docs ALTER COLUMN id DROP DEFAULT;
CREATE TABLE unowned_docs (tenant_id int REFERENCES tenants, id bigint, bad boolean, PRIMARY KEY (tenant_id, id));
CREATE TABLE utenants (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
CREATE TABLE docs (tenant_id uuid REFERENCES utenants, id uuid DEFAULT gen_random_uuid(), v int, PRIMARY KEY (tenant_id, id));
-- The application makes the uuid: probably unique, the catalogs do not say so.
CREATE TABLE docs_app (tenant_id uuid REFERENCES utenants, id uuid, v int, PRIMARY KEY (tenant_id, id));
-- An identity column that is itself a foreign key is no generator of identity.
CREATE TABLE serial_fk (
    order_id bigserial REFERENCES orders, line_no int, v int,
    PRIMARY KEY (order_id, line_no));
CREATE TABLE gen_items (id int, bucket int GENERATED ALWAYS AS (id % 16) STORED, bad boolean, PRIMARY KEY (id, bucket));
CREATE TABLE plain_items (id int, bucket int, bad boolean, PRIMARY KEY (id, bucket));

--
-- Partitions
--
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, created_at timestamptz, v int, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE devices (id int PRIMARY KEY, retired boolean);
CREATE TABLE metrics (device_id int REFERENCES devices, ts timestamptz, v int, PRIMARY KEY (device_id, ts))
    PARTITION BY RANGE (ts);
CREATE TABLE metrics_2026 PARTITION OF metrics FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
-- The same with a number that has no parent, partitioned by time or not.
CREATE TABLE sensor_log (sensor_no int, ts timestamptz, v int, PRIMARY KEY (sensor_no, ts))
    PARTITION BY RANGE (ts);
CREATE TABLE sensor_log_2026 PARTITION OF sensor_log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE sensor_flat (sensor_no int, ts timestamptz, v int, PRIMARY KEY (sensor_no, ts));
CREATE TABLE sensor_stage (sensor_no int, ts timestamptz);
-- Partitioned by scope: one value a leaf, several, ranges, hashes.
CREATE TABLE point_list (system_id int REFERENCES systems, id int, bad boolean, v int, PRIMARY KEY (system_id, id))
    PARTITION BY LIST (system_id);
CREATE TABLE point_list_7 PARTITION OF point_list FOR VALUES IN (7);
CREATE TABLE point_list_89 PARTITION OF point_list FOR VALUES IN (8, 9);
CREATE TABLE point_list_rest PARTITION OF point_list DEFAULT;
CREATE TABLE point_range (system_id int REFERENCES systems, id int, bad boolean, v int, PRIMARY KEY (system_id, id))
    PARTITION BY RANGE (system_id);
CREATE TABLE point_range_low PARTITION OF point_range FOR VALUES FROM (0) TO (10);
CREATE TABLE point_range_7 PARTITION OF point_range FOR VALUES FROM (10) TO (11);
CREATE TABLE point_hash (system_id int REFERENCES systems, id int, bad boolean, v int, PRIMARY KEY (system_id, id))
    PARTITION BY HASH (system_id);
CREATE TABLE point_hash_0 PARTITION OF point_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE point_hash_1 PARTITION OF point_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
-- A status in the key only because partitioning demands it, or a tenant.
CREATE TABLE tasks_status (inserted_at timestamptz, id int, status text, v int, PRIMARY KEY (inserted_at, id, status))
    PARTITION BY LIST (status);
CREATE TABLE tasks_status_new PARTITION OF tasks_status FOR VALUES IN ('new');
CREATE TABLE tasks_tenant (inserted_at timestamptz, id int, tenant_id int REFERENCES tenants, v int, PRIMARY KEY (inserted_at, id, tenant_id))
    PARTITION BY LIST (tenant_id);
CREATE TABLE tasks_tenant_1 PARTITION OF tasks_tenant FOR VALUES IN (1, 2);
-- Every leaf counts for itself, or all share one sequence.
CREATE SEQUENCE shop_a_seq;
CREATE SEQUENCE shop_b_seq;
CREATE SEQUENCE shop_shared_seq;
CREATE TABLE leaf_seq (shop_id int REFERENCES tenants, id bigint, bad boolean, PRIMARY KEY (shop_id, id))
    PARTITION BY LIST (shop_id);
CREATE TABLE leaf_seq_a PARTITION OF leaf_seq (id DEFAULT nextval('shop_a_seq')) FOR VALUES IN (1, 2);
CREATE TABLE leaf_seq_b PARTITION OF leaf_seq (id DEFAULT nextval('shop_b_seq')) FOR VALUES IN (3, 4);
CREATE TABLE shared_seq (shop_id int REFERENCES tenants, id bigint DEFAULT nextval('shop_shared_seq'), bad boolean, PRIMARY KEY (shop_id, id))
    PARTITION BY LIST (shop_id);
CREATE TABLE shared_seq_a PARTITION OF shared_seq FOR VALUES IN (1, 2);
CREATE TABLE shared_seq_b PARTITION OF shared_seq FOR VALUES IN (3, 4);
-- The number is unique in one leaf only.
CREATE TABLE leaf_uniq (shop_id int REFERENCES tenants, id int, bad boolean, PRIMARY KEY (shop_id, id))
    PARTITION BY LIST (shop_id);
CREATE TABLE leaf_uniq_a PARTITION OF leaf_uniq FOR VALUES IN (1, 2);
CREATE TABLE leaf_uniq_b PARTITION OF leaf_uniq FOR VALUES IN (3, 4);
CREATE UNIQUE INDEX leaf_uniq_a_id ON leaf_uniq_a (id);
-- A partitioned table without any key.
CREATE TABLE part_keyless (ts date, v int) PARTITION BY RANGE (ts);
CREATE TABLE part_keyless_2026 PARTITION OF part_keyless FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
-- Once a partition, now a table of its own.
CREATE TABLE point_detached (LIKE point_list INCLUDING ALL);
ALTER TABLE point_list ATTACH PARTITION point_detached FOR VALUES IN (70, 71);
ALTER TABLE point_list DETACH PARTITION point_detached;

--
-- Inheritance
--
CREATE TABLE assets (tenant_id int REFERENCES tenants, id int UNIQUE, bad boolean, v int, PRIMARY KEY (tenant_id, id));
CREATE TABLE asset_cars (plate text) INHERITS (assets);
CREATE TABLE point_base (system_id int REFERENCES systems, id int, bad boolean, v int, PRIMARY KEY (system_id, id));
CREATE TABLE point_child (extra text, PRIMARY KEY (system_id, id)) INHERITS (point_base);

--
-- Things looked up within a tenant
--
CREATE TABLE asset_types (tenant int REFERENCES tenants, id int, name text, PRIMARY KEY (tenant, id), UNIQUE (tenant, name));
CREATE TABLE tenant_assets (tenant int REFERENCES tenants, id int, type text, type_id int, PRIMARY KEY (tenant, id));
CREATE TABLE companies (tenant uuid REFERENCES utenants, company_id uuid, PRIMARY KEY (tenant, company_id));
CREATE TABLE locations (id int PRIMARY KEY, company_id uuid, tenant uuid);

--
-- Views
--
CREATE VIEW v_points AS SELECT * FROM point_info;
CREATE VIEW v_points_2 AS SELECT id AS number, system_id AS sys, name AS title, bad, v FROM v_points;
CREATE VIEW v_points_amber AS
    SELECT p.id FROM point_info p JOIN systems s ON p.system_id = s.id WHERE s.vendor_type = 'amber';
CREATE VIEW v_pairs_amber AS
    SELECT p.system_id, p.id FROM point_info p JOIN systems s ON p.system_id = s.id WHERE s.vendor_type = 'amber';
CREATE VIEW v_sys7 AS SELECT id, name, bad, v FROM point_info WHERE system_id = 7;
CREATE VIEW v_sys8 AS SELECT id, name, bad, v FROM point_info WHERE system_id = 8;
CREATE VIEW v_no_scope AS SELECT id, name, bad, v FROM point_info;
CREATE VIEW v_barrier WITH (security_barrier) AS SELECT * FROM point_info WHERE NOT bad;
-- A definition that is itself of the shape: nobody's statement wrote it.
CREATE VIEW v_with_in AS
    SELECT * FROM point_info WHERE id IN (SELECT p.id FROM point_info p WHERE p.system_id = 7);
CREATE VIEW v_join AS
    SELECT p.system_id, p.id, p.v, s.name AS system_name FROM point_info p JOIN systems s ON s.id = p.system_id;
CREATE VIEW v_union AS
    SELECT system_id, id FROM point_info WHERE bad UNION ALL SELECT system_id, id FROM point_alt WHERE bad;
CREATE VIEW v_grouped AS SELECT system_id, max(id) AS id FROM point_info GROUP BY system_id;
CREATE VIEW v_orders_old AS SELECT id FROM orders WHERE status = 'old';

-- A view that cannot be updated by itself: the trigger does it, row by row.
CREATE FUNCTION v_join_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ck.point_info SET v = NEW.v WHERE system_id = OLD.system_id AND id = OLD.id;
    RETURN NEW;
END $$;
CREATE TRIGGER v_join_update INSTEAD OF UPDATE ON v_join
    FOR EACH ROW EXECUTE FUNCTION v_join_update();

--
-- Row security
--
CREATE TABLE rls_pin (tenant_id int REFERENCES tenants, no int, bad boolean, v int, PRIMARY KEY (tenant_id, no));
ALTER TABLE rls_pin ENABLE ROW LEVEL SECURITY;
CREATE POLICY rls_pin_tenant ON rls_pin USING (tenant_id = current_setting('app.tenant')::int);
CREATE TABLE rls_member (tenant_id int REFERENCES tenants, no int, bad boolean, v int, PRIMARY KEY (tenant_id, no));
ALTER TABLE rls_member ENABLE ROW LEVEL SECURITY;
CREATE POLICY rls_member_tenant ON rls_member
    USING (tenant_id IN (SELECT m.tenant_id FROM ck.memberships m WHERE m.user_name = current_user));
-- The policy selects by the number alone: its author's business, not the writer's.
CREATE TABLE rls_half (tenant_id int REFERENCES tenants, no int, bad boolean, v int, PRIMARY KEY (tenant_id, no));
ALTER TABLE rls_half ENABLE ROW LEVEL SECURITY;
CREATE POLICY rls_half_no ON rls_half
    USING (no IN (SELECT o.no FROM ck.t_orders o WHERE o.tenant_id = 7));
GRANT USAGE ON SCHEMA ck TO regress_sg_ck;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ck TO regress_sg_ck;

--
-- Functions used as sources or values
--
CREATE FUNCTION f_points() RETURNS TABLE (system_id int, id int) LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN QUERY SELECT p.system_id, p.id FROM ck.point_info p; END';
CREATE FUNCTION f_ids() RETURNS SETOF int LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN QUERY SELECT p.id FROM ck.point_info p; END';
CREATE FUNCTION my_tenant() RETURNS int LANGUAGE plpgsql STABLE AS
    'BEGIN RETURN 7; END';
