# Incident 2, read by script/demo: upsert that replaces its own rows.

use patches
ask -o /dev/null <<'SQL'
-- what the interface delivers: 2,344 pages of 25; update_id runs from 0 to 9
CREATE TABLE delivered AS
SELECT n, n % 10 AS update_id, 5000000 + n AS patch_id, 'Patch ' || n AS title
  FROM generate_series(0, 58599) n;
ALTER TABLE delivered ADD PRIMARY KEY (n);
ANALYZE;

CREATE TABLE supported_patches (
	update_id	integer PRIMARY KEY,
	patch_id	integer NOT NULL,
	title		text NOT NULL
);

CREATE PROCEDURE load_patches() LANGUAGE plpgsql AS $$
DECLARE
	p delivered;
BEGIN
	FOR page IN 0..2343 LOOP
		FOR p IN SELECT * FROM delivered WHERE n >= page * 25 AND n < page * 25 + 25 ORDER BY n LOOP
			INSERT INTO supported_patches (update_id, patch_id, title)
			VALUES (p.update_id, p.patch_id, p.title)
			ON CONFLICT (update_id) DO UPDATE
			   SET patch_id = EXCLUDED.patch_id, title = EXCLUDED.title;
		END LOOP;
		COMMIT;
	END LOOP;
END
$$;
SQL

heading "2. The incident: an upsert whose key is not the identity"
echo "58,600 patches arrive in pages of 25.  patch_id is unique; update_id runs from 0 to 9 and"
echo "starts again, but was made the primary key.  The load ran for ten hours, reported success"
echo "and left about ten rows.  load_patches() repeats it, a transaction a page, row by row:"
echo
echo "    INSERT INTO supported_patches ... ON CONFLICT (update_id) DO UPDATE"
echo "       SET patch_id = EXCLUDED.patch_id, title = EXCLUDED.title"
show "CALL load_patches()" "SELECT count(*) AS left_over FROM supported_patches"
expect "the load is told" "WARNING:"
expect "the table is named" "supported_patches"
expect "there are figures after a hundred rows" "DETAIL:  Of 100 rows proposed, 10 were inserted and 90 replaced a row"
expect "the hint names the column that identifies a patch" "check_key("
expect "it is patch_id" "'patch_id')"
refuse "a warning stops nothing" "ERROR"
expect "ten rows are left" "        10"
answer=$(grep -c '^WARNING:' <<<"$answer") || true
expect "it is told at 100, 1,000 and 10,000 rows" "3"

heading "2. What became of the rows"
show -x "SELECT * FROM safeguard.upsert_stats WHERE relation = 'supported_patches'::regclass"
expect "all rows are counted" "proposed      | 58600"
expect "ten were inserted" "inserted      | 10"
expect "the others replaced them" "replaced      | 58590"
expect "there were ten keys" "distinct_keys | 10"

heading "2. Before the next table is made: which columns are a key?"
show "SELECT rows, distinct_keys, surplus_rows, is_unique FROM safeguard.check_key('delivered', 'update_id')" \
	"SELECT rows, distinct_keys, surplus_rows, is_unique FROM safeguard.check_key('delivered', 'patch_id')"
expect "update_id is not unique" "58600 |            10 |        58590 | f"
expect "patch_id is" "58600 |         58600 |            0 | t"
show "SELECT columns, is_unique, is_declared FROM safeguard.suggest_keys('delivered', 1)"
expect "patch_id is suggested" "{patch_id}"
refuse "update_id is not" "{update_id}"

heading "2. The same load, stopped in its first hundred rows"
show "TRUNCATE supported_patches" "SET safeguard.upsert_overwrite = error" "CALL load_patches()" \
	"SELECT count(*) AS rows FROM supported_patches"
expect "the load stops" "ERROR:"
expect "with figures" "DETAIL:  Of 100 rows proposed"
expect "and the column" "patch_id"
