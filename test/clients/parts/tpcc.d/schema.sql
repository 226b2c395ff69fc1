-- TPC-C's nine tables with its keys, and its five transactions as functions.

CREATE TABLE warehouse (w_id int PRIMARY KEY, w_name text NOT NULL, w_tax numeric NOT NULL, w_ytd numeric NOT NULL);
CREATE TABLE district (d_w_id int REFERENCES warehouse, d_id int, d_tax numeric NOT NULL, d_ytd numeric NOT NULL,
	d_next_o_id int NOT NULL, PRIMARY KEY (d_w_id, d_id));
CREATE TABLE customer (c_w_id int, c_d_id int, c_id int, c_last text NOT NULL, c_credit text NOT NULL, c_discount numeric NOT NULL,
	c_balance numeric NOT NULL DEFAULT -10, c_ytd_payment numeric NOT NULL DEFAULT 10, c_payment_cnt int NOT NULL DEFAULT 1,
	c_delivery_cnt int NOT NULL DEFAULT 0, c_data text NOT NULL DEFAULT '',
	PRIMARY KEY (c_w_id, c_d_id, c_id), FOREIGN KEY (c_w_id, c_d_id) REFERENCES district);
CREATE INDEX ON customer (c_w_id, c_d_id, c_last);
CREATE TABLE history (h_c_w_id int, h_c_d_id int, h_c_id int, h_w_id int, h_d_id int, h_amount numeric NOT NULL,
	FOREIGN KEY (h_c_w_id, h_c_d_id, h_c_id) REFERENCES customer, FOREIGN KEY (h_w_id, h_d_id) REFERENCES district);
CREATE TABLE orders (o_w_id int, o_d_id int, o_id int, o_c_id int NOT NULL, o_entry_d int NOT NULL, o_carrier_id int,
	o_ol_cnt int NOT NULL, PRIMARY KEY (o_w_id, o_d_id, o_id),
	FOREIGN KEY (o_w_id, o_d_id, o_c_id) REFERENCES customer);
CREATE TABLE new_order (no_w_id int, no_d_id int, no_o_id int, PRIMARY KEY (no_w_id, no_d_id, no_o_id),
	FOREIGN KEY (no_w_id, no_d_id, no_o_id) REFERENCES orders);
CREATE TABLE item (i_id int PRIMARY KEY, i_name text NOT NULL, i_price numeric NOT NULL);
CREATE TABLE stock (s_w_id int REFERENCES warehouse, s_i_id int REFERENCES item, s_quantity int NOT NULL, s_ytd int NOT NULL DEFAULT 0,
	s_order_cnt int NOT NULL DEFAULT 0, s_remote_cnt int NOT NULL DEFAULT 0, PRIMARY KEY (s_w_id, s_i_id));
CREATE TABLE order_line (ol_w_id int, ol_d_id int, ol_o_id int, ol_number int, ol_i_id int NOT NULL, ol_supply_w_id int NOT NULL,
	ol_delivery_d int, ol_quantity int NOT NULL, ol_amount numeric NOT NULL, PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number),
	FOREIGN KEY (ol_w_id, ol_d_id, ol_o_id) REFERENCES orders, FOREIGN KEY (ol_supply_w_id, ol_i_id) REFERENCES stock);

INSERT INTO item SELECT i, 'item ' || i, i FROM generate_series(1, 100) i;
INSERT INTO warehouse SELECT w, 'w' || w, 0.1, 60 FROM generate_series(1, 2) w;
INSERT INTO stock SELECT w, i, 50 FROM generate_series(1, 2) w, generate_series(1, 100) i;
INSERT INTO district SELECT w, d, 0.1, 20, 31 FROM generate_series(1, 2) w, generate_series(1, 3) d;
INSERT INTO customer SELECT w, d, c, 'name ' || c % 10, CASE WHEN c % 10 = 0 THEN 'BC' ELSE 'GC' END, 0.1
	FROM generate_series(1, 2) w, generate_series(1, 3) d, generate_series(1, 30) c;
INSERT INTO orders SELECT w, d, o, o, o, CASE WHEN o <= 21 THEN 1 END, 5 FROM generate_series(1, 2) w, generate_series(1, 3) d, generate_series(1, 30) o;
INSERT INTO new_order SELECT o_w_id, o_d_id, o_id FROM orders WHERE o_carrier_id IS NULL;
INSERT INTO order_line SELECT o_w_id, o_d_id, o_id, n, (o_id * n) % 100 + 1, o_w_id, CASE WHEN o_carrier_id IS NOT NULL THEN o_id END, 5,
		CASE WHEN o_carrier_id IS NULL THEN n ELSE 0 END
	FROM orders, generate_series(1, 5) n;

CREATE PROCEDURE new_order(w int, d int, c int, items int[], supply int[], quantities int[])
LANGUAGE plpgsql AS $$
DECLARE
	o int;
	tax numeric;
BEGIN
	UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = w AND d_id = d RETURNING d_next_o_id - 1, 1 + d_tax INTO STRICT o, tax;
	INSERT INTO orders VALUES (w, d, o, c, o, NULL, cardinality(items));
	INSERT INTO new_order VALUES (w, d, o);
	IF w % 2 = 1 THEN
		-- one statement for all lines; each item is there once
		WITH line AS (SELECT * FROM unnest(items, supply, quantities) WITH ORDINALITY AS l(i, s, q, n)),
		taken AS (
			UPDATE stock SET s_quantity = s_quantity - line.q + CASE WHEN s_quantity - line.q < 10 THEN 91 ELSE 0 END,
			       s_ytd = s_ytd + line.q, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + (line.s <> w)::int
			  FROM line WHERE s_w_id = line.s AND s_i_id = line.i
			RETURNING s_i_id)
		INSERT INTO order_line SELECT w, d, o, n, i, s, NULL, q, q * i_price * tax
		  FROM line JOIN item ON i_id = i JOIN taken ON s_i_id = i;
	ELSE
		FOR n IN 1 .. cardinality(items) LOOP
			UPDATE stock SET s_quantity = s_quantity - quantities[n] + CASE WHEN s_quantity - quantities[n] < 10 THEN 91 ELSE 0 END,
			       s_ytd = s_ytd + quantities[n], s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + (supply[n] <> w)::int
			 WHERE s_i_id = items[n] AND s_w_id = supply[n];
			INSERT INTO order_line SELECT w, d, o, n, items[n], supply[n], NULL, quantities[n], quantities[n] * i_price * tax
			  FROM item WHERE i_id = items[n];
		END LOOP;
	END IF;
END $$;

CREATE PROCEDURE payment(w int, d int, cw int, cd int, c int, last text, amount numeric)
LANGUAGE plpgsql AS $$
DECLARE
	by_name refcursor;
	credit text;
BEGIN
	UPDATE warehouse SET w_ytd = w_ytd + amount WHERE w_id = w;
	UPDATE district SET d_ytd = d_ytd + amount WHERE d_w_id = w AND d_id = d;
	IF last IS NOT NULL THEN
		-- the one in the middle of those who are called so
		OPEN by_name FOR SELECT c_id FROM customer WHERE c_w_id = cw AND c_d_id = cd AND c_last = last ORDER BY c_id;
		MOVE FORWARD 1 FROM by_name;
		FETCH by_name INTO c;
		CLOSE by_name;
	END IF;
	UPDATE customer SET c_balance = c_balance - amount, c_ytd_payment = c_ytd_payment + amount, c_payment_cnt = c_payment_cnt + 1
	 WHERE c_w_id = cw AND c_d_id = cd AND c_id = c RETURNING c_credit INTO STRICT credit;
	IF credit = 'BC' THEN
		UPDATE customer SET c_data = left(format('%s %s %s|', c, w, amount) || c_data, 500)
		 WHERE (c_w_id, c_d_id, c_id) = (cw, cd, c);
	END IF;
	INSERT INTO history VALUES (cw, cd, c, w, d, amount);
END $$;

-- the oldest new order of each district, one after the other
CREATE PROCEDURE delivery(w int, carrier int)
LANGUAGE plpgsql AS $$
DECLARE
	o int;
	c int;
	total numeric;
BEGIN
	FOR d IN 1 .. 3 LOOP
		DELETE FROM new_order WHERE no_w_id = w AND no_d_id = d AND no_o_id =
			(SELECT no_o_id FROM new_order WHERE no_w_id = w AND no_d_id = d ORDER BY no_o_id LIMIT 1 FOR UPDATE SKIP LOCKED)
		RETURNING no_o_id INTO o;
		CONTINUE WHEN NOT FOUND;
		UPDATE orders SET o_carrier_id = carrier WHERE o_w_id = w AND o_d_id = d AND o_id = o RETURNING o_c_id INTO c;
		UPDATE order_line SET ol_delivery_d = o WHERE ol_w_id = w AND ol_d_id = d AND ol_o_id = o;
		SELECT sum(ol_amount) INTO total FROM order_line WHERE ol_w_id = w AND ol_d_id = d AND ol_o_id = o;
		UPDATE customer SET c_balance = c_balance + total, c_delivery_cnt = c_delivery_cnt + 1 WHERE c_w_id = w AND c_d_id = d AND c_id = c;
	END LOOP;
END $$;

-- all districts at once, through arrays
CREATE PROCEDURE delivery_arrays(w int, carrier int)
LANGUAGE plpgsql AS $$
DECLARE
	ds int[];
	os int[];
	cs int[];
	totals numeric[];
BEGIN
	WITH first AS (SELECT no_d_id AS d, min(no_o_id) AS o FROM new_order WHERE no_w_id = w GROUP BY no_d_id),
	gone AS (DELETE FROM new_order USING first WHERE no_w_id = w AND no_d_id = first.d AND no_o_id = first.o RETURNING no_d_id, no_o_id)
	SELECT array_agg(no_d_id ORDER BY no_d_id), array_agg(no_o_id ORDER BY no_d_id) INTO ds, os FROM gone;
	WITH changed AS (
		UPDATE orders SET o_carrier_id = carrier FROM unnest(ds, os) AS ids(d, o) WHERE o_w_id = w AND o_d_id = ids.d AND o_id = ids.o
		RETURNING o_d_id, o_c_id)
	SELECT array_agg(o_c_id ORDER BY o_d_id) INTO cs FROM changed;
	UPDATE order_line SET ol_delivery_d = ids.o FROM unnest(ds, os) AS ids(d, o)
	 WHERE ol_w_id = w AND ol_d_id = ids.d AND ol_o_id = ids.o;
	SELECT array_agg(total ORDER BY d) INTO totals FROM (
		SELECT ol_d_id AS d, sum(ol_amount) AS total FROM order_line, unnest(ds, os) AS ids(d, o)
		 WHERE ol_w_id = w AND ol_d_id = ids.d AND ol_o_id = ids.o GROUP BY 1) t;
	UPDATE customer SET c_balance = c_balance + ids.total, c_delivery_cnt = c_delivery_cnt + 1
	  FROM unnest(ds, cs, totals) AS ids(d, c, total) WHERE c_w_id = w AND c_d_id = ids.d AND c_id = ids.c;
END $$;

CREATE FUNCTION order_status(w int, d int, c int) RETURNS TABLE (i int, supply int, quantity int, amount numeric, delivered int)
BEGIN ATOMIC
	SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d FROM order_line
	 WHERE ol_w_id = w AND ol_d_id = d AND ol_o_id =
	       (SELECT max(o_id) FROM orders WHERE o_w_id = w AND o_d_id = d AND o_c_id = c);
END;

CREATE FUNCTION stock_level(w int, d int, threshold int) RETURNS bigint
BEGIN ATOMIC
	SELECT count(DISTINCT s_i_id) FROM district
	  JOIN order_line ON ol_w_id = d_w_id AND ol_d_id = d_id AND ol_o_id >= d_next_o_id - 20
	  JOIN stock ON s_w_id = d_w_id AND s_i_id = ol_i_id
	 WHERE d_w_id = w AND d_id = d AND s_quantity < threshold;
END;
