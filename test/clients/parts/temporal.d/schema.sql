-- Rows with periods: application time with exclusion constraints, history
-- kept by triggers, and both for a dimension of a warehouse.

CREATE EXTENSION btree_gist;
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop (id int PRIMARY KEY, name text NOT NULL);

-- one price a shop, product and day, as columns
CREATE TABLE price (
	shop_id int NOT NULL REFERENCES shop, product_id int NOT NULL REFERENCES product,
	valid_from date NOT NULL, valid_to date NOT NULL DEFAULT 'infinity', amount int NOT NULL,
	PRIMARY KEY (shop_id, product_id, valid_from), CHECK (valid_from < valid_to),
	EXCLUDE USING gist (shop_id WITH =, product_id WITH =, daterange(valid_from, valid_to) WITH &&));
-- the same as a range, with nothing but the exclusion constraint
CREATE TABLE booking (
	room int NOT NULL, during daterange NOT NULL, guest text NOT NULL,
	EXCLUDE USING gist (room WITH =, during WITH &&));
-- what comes in: in force from a day on
CREATE TABLE new_price (shop_id int NOT NULL, product_id int NOT NULL, valid_from date NOT NULL, amount int NOT NULL);

-- history of a table, system time
CREATE TABLE account (branch int NOT NULL, no int NOT NULL, owner text NOT NULL, balance int NOT NULL,
	since int NOT NULL DEFAULT 0, PRIMARY KEY (branch, no));
CREATE TABLE account_history (LIKE account, until int NOT NULL, PRIMARY KEY (branch, no, since));
CREATE TABLE clock (now int NOT NULL);
INSERT INTO clock VALUES (1);
CREATE FUNCTION versioning() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	tick int := (SELECT now FROM clock);
BEGIN
	IF TG_OP <> 'INSERT' AND OLD.since < tick THEN
		INSERT INTO account_history VALUES (OLD.*, tick);
	END IF;
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	NEW.since := tick;
	RETURN NEW;
END $$;
CREATE TRIGGER versioning BEFORE INSERT OR UPDATE OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION versioning();

-- a dimension: a key of its own, the source's key, one current row of each
CREATE TABLE dim_customer (sk int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, region text NOT NULL, code text NOT NULL, name text NOT NULL,
	valid_from int NOT NULL, valid_to int NOT NULL DEFAULT 999, is_current boolean NOT NULL DEFAULT true,
	UNIQUE (region, code, valid_from));
CREATE UNIQUE INDEX ON dim_customer (region, code) WHERE is_current;
CREATE TABLE stage_customer (region text NOT NULL, code text NOT NULL, name text NOT NULL);
-- the same without that index, as most warehouses have it
CREATE TABLE dim_bare (region text NOT NULL, code text NOT NULL, name text NOT NULL, valid_from int NOT NULL,
	valid_to int NOT NULL DEFAULT 999, is_current boolean NOT NULL DEFAULT true, PRIMARY KEY (region, code, valid_from));

INSERT INTO shop SELECT i, 'shop ' || i FROM generate_series(1, 2) i;
INSERT INTO product SELECT i, 'product ' || i FROM generate_series(1, 4) i;
INSERT INTO price SELECT s, p, date '2024-01-01', 'infinity', 100 * s + p FROM generate_series(1, 2) s, generate_series(1, 4) p;
INSERT INTO booking SELECT r, daterange(date '2024-01-01' + 10 * n, date '2024-01-01' + 10 * n + 5), 'guest ' || n
	FROM generate_series(1, 3) r, generate_series(0, 3) n;
INSERT INTO account SELECT b, n, 'owner ' || n, 100 FROM generate_series(1, 2) b, generate_series(1, 3) n;
