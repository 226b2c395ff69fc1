--
-- safeguard.restore_rows(): random migrations over tables with foreign keys,
-- triggers and changing columns.  Each is restored, the restore is undone, and
-- that is undone; whatever the numbers are, the rows must be the same.
--
CREATE SCHEMA restore_random;
SET search_path = restore_random, public;
SET client_min_messages = warning;
CREATE TABLE parents (id int PRIMARY KEY, n int);
CREATE TABLE children (id int PRIMARY KEY, parent int, v text);
CREATE TABLE grandchildren (id int, child int, v text);

CREATE FUNCTION hash(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT count(*) || '':'' || coalesce(md5(string_agg(r, '''' ORDER BY r)), '''')
                      FROM (SELECT encode(record_send(whole_row), ''hex'') AS r FROM %s whole_row) t', relation)
       INTO result;
    RETURN result;
END $$;
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS
    'SELECT hash(''parents'') || hash(''children'') || hash(''grandchildren'')';

-- triggers that change rows of the same statement, and of other tables
CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 3 THEN
        UPDATE parents SET n = n + 1 WHERE id = NEW.parent;
        UPDATE children SET v = v || '.' WHERE id = NEW.id + 1;
        DELETE FROM grandchildren WHERE child = NEW.id AND random() < 0.2;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE grandchildren SET v = v || 'b' WHERE child = OLD.id + 1;
    RETURN NEW;
END $$;

CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN choices[1 + floor(random() * cardinality(choices))];
END $$;

CREATE PROCEDURE set_up() LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE IF EXISTS parents, children, grandchildren;
    CREATE TABLE parents (id int PRIMARY KEY, n int);
    EXECUTE format('CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON UPDATE %s ON DELETE %s, v text)',
                   pick('CASCADE', 'SET NULL', 'NO ACTION'), pick('CASCADE', 'SET NULL'));
    EXECUTE format('CREATE TABLE grandchildren (id int %s, child int REFERENCES children ON UPDATE CASCADE ON DELETE %s, v text)',
                   pick('PRIMARY KEY', 'NOT NULL UNIQUE DEFERRABLE', ''), pick('CASCADE', 'SET NULL'));
    INSERT INTO parents SELECT i, 0 FROM generate_series(1, 6) i;
    INSERT INTO children SELECT i, 1 + i % 6, 'c' FROM generate_series(1, 12) i;
    INSERT INTO grandchildren SELECT i, 1 + i % 12, 'g' FROM generate_series(1, 20) i;
    IF random() < 0.6 THEN
        CREATE TRIGGER spread AFTER UPDATE ON children FOR EACH ROW EXECUTE FUNCTION spread();
    END IF;
    IF random() < 0.3 THEN
        CREATE TRIGGER mark BEFORE UPDATE ON children FOR EACH ROW EXECUTE FUNCTION mark();
    END IF;
END $$;

-- one statement; some cannot run
CREATE FUNCTION migrate_some() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    statement text := pick(
        'UPDATE parents SET id = id + 100 WHERE random() < 0.3',
        'UPDATE parents SET id = id - 100 WHERE id > 100',
        'DELETE FROM parents WHERE random() < 0.15',
        'UPDATE children SET v = v || ''x'' WHERE random() < 0.4',
        'UPDATE children SET parent = (SELECT min(id) FROM parents) WHERE random() < 0.3',
        'UPDATE children SET id = id + 50 WHERE random() < 0.2',
        'UPDATE children SET id = id - 50 WHERE id > 50',
        'UPDATE children SET v = ''c''',
        'DELETE FROM children WHERE random() < 0.15',
        'UPDATE grandchildren SET v = v || ''y'' WHERE random() < 0.5',
        'UPDATE grandchildren SET id = 100 - id',
        'DELETE FROM grandchildren WHERE random() < 0.2',
        'WITH x AS (UPDATE parents SET n = n + 5 WHERE id < 3 RETURNING id),
              y AS (DELETE FROM grandchildren WHERE child = 3)
         UPDATE children SET v = v || ''w'' WHERE parent IN (SELECT id FROM x)',
        'DO ''BEGIN
            UPDATE children SET v = v || 1;
            BEGIN
                UPDATE parents SET id = id + 7;
                DELETE FROM children;
                RAISE division_by_zero;
            EXCEPTION WHEN division_by_zero THEN
                UPDATE grandchildren SET v = ''''caught'''' WHERE id % 2 = 0;
            END;
         END''',
        'MERGE INTO children c USING parents p ON c.parent = p.id AND p.id < 4
          WHEN MATCHED AND c.id % 3 = 0 THEN DELETE
          WHEN MATCHED THEN UPDATE SET v = p.n::text',
        'INSERT INTO parents SELECT id, 9 FROM parents ON CONFLICT (id) DO UPDATE SET n = parents.n + EXCLUDED.n',
        'ALTER TABLE parents ADD extra int DEFAULT 3',
        'UPDATE parents SET extra = coalesce(extra, 0) + 1 WHERE random() < 0.7');
BEGIN
    EXECUTE statement;
    RETURN statement || E';\n';
EXCEPTION WHEN unique_violation OR foreign_key_violation OR triggered_data_change_violation
            OR duplicate_column OR undefined_column THEN
    RETURN '';
END $$;

CREATE PROCEDURE try(n int) LANGUAGE plpgsql AS $$
DECLARE
    name text;
    migration text;
    before text;
    after text;
BEGIN
    FOR i IN 1..n LOOP
        CALL set_up();
        COMMIT;
        before := state();
        name := 'random ' || i;
        migration := '';
        PERFORM safeguard.keep_rows(name, 'children', 'parents', 'grandchildren');
        FOR j IN 0..floor(random() * 7) LOOP
            migration := migration || migrate_some();
        END LOOP;
        ALTER TABLE parents DROP COLUMN IF EXISTS extra;
        COMMIT;
        after := state();
        CONTINUE WHEN NOT EXISTS (SELECT FROM safeguard.kept WHERE label = name);
        IF safeguard.restore_rows(name) = 0 THEN
            ASSERT before = after, 'not exact: ' || migration;
            CONTINUE;
        END IF;
        COMMIT;
        ASSERT state() = before, 'not exact: ' || migration;
        PERFORM safeguard.restore_rows(name || '@restored-1');
        COMMIT;
        ASSERT state() = after, 'not undone: ' || migration;
        PERFORM safeguard.restore_rows(name || '@restored-2');
        COMMIT;
        ASSERT state() = before, 'not exact again: ' || migration;
    END LOOP;
END $$;
SELECT setseed(0.5);
CALL try(40);

\set VERBOSITY terse
SELECT count(safeguard.drop_kept_rows(label)) > 60 AS dropped FROM (SELECT DISTINCT label FROM safeguard.kept) l;
DROP SCHEMA restore_random CASCADE;
