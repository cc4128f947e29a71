"""The tables of Pagila, a shop that rents films, on PostgreSQL, with a few rows."""

from __future__ import annotations

STAMP = "last_update TIMESTAMPTZ NOT NULL DEFAULT now()"
TABLES = f"""
CREATE TYPE mpaa_rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN year AS INTEGER CONSTRAINT year_check CHECK (VALUE >= 1901 AND VALUE <= 2155);
CREATE DOMAIN "bıgınt" AS BIGINT;
CREATE TABLE actor (actor_id SERIAL PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, {STAMP});
CREATE INDEX idx_actor_last_name ON actor (last_name);
CREATE TABLE category (category_id SERIAL PRIMARY KEY, name TEXT NOT NULL, {STAMP});
CREATE TABLE country (country_id SERIAL PRIMARY KEY, country TEXT NOT NULL, {STAMP});
CREATE TABLE city (
    city_id SERIAL PRIMARY KEY, city TEXT NOT NULL,
    country_id INTEGER NOT NULL REFERENCES country ON UPDATE CASCADE ON DELETE RESTRICT, {STAMP}
);
CREATE TABLE address (
    address_id SERIAL PRIMARY KEY, address TEXT NOT NULL, address2 TEXT, district TEXT NOT NULL,
    city_id INTEGER NOT NULL REFERENCES city ON UPDATE CASCADE ON DELETE RESTRICT, postal_code TEXT,
    phone TEXT NOT NULL, {STAMP}
);
CREATE INDEX idx_fk_city_id ON address (city_id);
CREATE TABLE language (language_id SERIAL PRIMARY KEY, name CHARACTER(20) NOT NULL, {STAMP});
CREATE TABLE store (store_id SERIAL PRIMARY KEY, manager_staff_id INTEGER NOT NULL, address_id INTEGER NOT NULL
    REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT, {STAMP});
CREATE UNIQUE INDEX idx_unq_manager_staff_id ON store (manager_staff_id);
CREATE TABLE staff (
    staff_id SERIAL PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL,
    address_id INTEGER NOT NULL REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT, email TEXT,
    store_id INTEGER NOT NULL REFERENCES store, active BOOLEAN DEFAULT true NOT NULL, username TEXT NOT NULL,
    password TEXT, {STAMP}, picture BYTEA
);
CREATE TABLE customer (
    customer_id SERIAL PRIMARY KEY, store_id INTEGER NOT NULL REFERENCES store ON UPDATE CASCADE ON DELETE RESTRICT,
    first_name TEXT NOT NULL, last_name TEXT NOT NULL, email TEXT,
    address_id INTEGER NOT NULL REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT,
    activebool BOOLEAN DEFAULT true NOT NULL, create_date DATE DEFAULT CURRENT_DATE NOT NULL,
    last_update TIMESTAMPTZ DEFAULT now(), active INTEGER
);
CREATE INDEX idx_last_name ON customer (last_name);
CREATE TABLE film (
    film_id SERIAL PRIMARY KEY, title TEXT NOT NULL, description TEXT, release_year year,
    language_id INTEGER NOT NULL REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT,
    original_language_id INTEGER REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT,
    rental_duration SMALLINT DEFAULT 3 NOT NULL, rental_rate NUMERIC(4,2) DEFAULT 4.99 NOT NULL, length SMALLINT,
    replacement_cost NUMERIC(5,2) DEFAULT 19.99 NOT NULL, rating mpaa_rating DEFAULT 'G'::mpaa_rating, {STAMP},
    special_features TEXT[], fulltext TSVECTOR NOT NULL,
    long BOOLEAN GENERATED ALWAYS AS (length > 120) STORED
);
CREATE INDEX film_fulltext_idx ON film USING gist (fulltext);
CREATE TRIGGER film_fulltext_trigger BEFORE INSERT OR UPDATE ON film FOR EACH ROW
    EXECUTE FUNCTION tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title', 'description');
CREATE TABLE film_actor (
    actor_id INTEGER NOT NULL REFERENCES actor ON UPDATE CASCADE ON DELETE RESTRICT,
    film_id INTEGER NOT NULL REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT, {STAMP},
    PRIMARY KEY (actor_id, film_id)
);
CREATE INDEX idx_fk_film_id ON film_actor (film_id);
CREATE TABLE film_category (
    film_id INTEGER NOT NULL REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT,
    category_id INTEGER NOT NULL REFERENCES category ON UPDATE CASCADE ON DELETE RESTRICT, {STAMP},
    PRIMARY KEY (film_id, category_id)
);
CREATE TABLE inventory (
    inventory_id SERIAL PRIMARY KEY, film_id INTEGER NOT NULL REFERENCES film ON UPDATE CASCADE ON DELETE RESTRICT,
    store_id INTEGER NOT NULL REFERENCES store ON UPDATE CASCADE ON DELETE RESTRICT, {STAMP}
);
CREATE INDEX idx_store_id_film_id ON inventory (store_id, film_id);
CREATE TABLE rental (
    rental_id SERIAL PRIMARY KEY, rental_date TIMESTAMPTZ NOT NULL,
    inventory_id INTEGER NOT NULL REFERENCES inventory ON UPDATE CASCADE ON DELETE RESTRICT,
    customer_id INTEGER NOT NULL REFERENCES customer ON UPDATE CASCADE ON DELETE RESTRICT, return_date TIMESTAMPTZ,
    staff_id INTEGER NOT NULL REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT, {STAMP}
);
CREATE UNIQUE INDEX idx_unq_rental ON rental (rental_date, inventory_id, customer_id);
CREATE TABLE payment (
    payment_id SERIAL, customer_id INTEGER NOT NULL, staff_id INTEGER NOT NULL, rental_id INTEGER NOT NULL,
    amount NUMERIC(5,2) NOT NULL, payment_date TIMESTAMPTZ NOT NULL, PRIMARY KEY (payment_date, payment_id)
) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_p2022_01 PARTITION OF payment FOR VALUES FROM ('2022-01-01') TO ('2022-02-01');
CREATE TABLE payment_p2022_02 PARTITION OF payment FOR VALUES FROM ('2022-02-01') TO ('2022-03-01');
ALTER TABLE payment_p2022_01 ADD FOREIGN KEY (customer_id) REFERENCES customer;
CREATE INDEX idx_fk_payment_customer_id ON payment_p2022_01 (customer_id);
CREATE VIEW customer_list AS SELECT cu.customer_id AS id, cu.first_name || ' ' || cu.last_name AS name, a.address,
    a.postal_code AS "zip code", a.phone, city.city, country.country,
    CASE WHEN cu.activebool THEN 'active' ELSE '' END AS notes, cu.store_id AS sid
    FROM customer cu JOIN address a USING (address_id) JOIN city USING (city_id) JOIN country USING (country_id);
CREATE VIEW sales_by_film_category AS SELECT c.name AS category, sum(p.amount) AS total_sales FROM payment p
    JOIN rental r USING (rental_id) JOIN inventory i USING (inventory_id) JOIN film_category fc USING (film_id)
    JOIN category c USING (category_id) GROUP BY c.name;
CREATE VIEW actor_info AS SELECT a.actor_id, a.first_name, a.last_name, array_agg(DISTINCT f.title) AS films
    FROM actor a LEFT JOIN film_actor fa USING (actor_id) LEFT JOIN film f USING (film_id) GROUP BY a.actor_id;
CREATE MATERIALIZED VIEW rental_by_category AS SELECT * FROM sales_by_film_category;
CREATE UNIQUE INDEX rental_category ON rental_by_category (category)
"""
FUNCTION = """
CREATE FUNCTION last_updated() RETURNS trigger LANGUAGE plpgsql AS
$_$ BEGIN NEW.last_update = CURRENT_TIMESTAMP; RETURN NEW; END $_$
"""
TRIGGER = "CREATE TRIGGER last_updated BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION last_updated()"
ROWS = """
INSERT INTO actor (actor_id, first_name, last_name) VALUES (1, 'PENELOPE', 'GUINESS'), (2, 'NICK', 'WAHLBERG');
INSERT INTO category (category_id, name) VALUES (1, 'Action'), (2, 'Documentary');
INSERT INTO country (country_id, country) VALUES (1, 'Canada');
INSERT INTO city (city_id, city, country_id) VALUES (1, 'Lethbridge', 1);
INSERT INTO address (address_id, address, district, city_id, phone) VALUES (1, '47 MySakila Drive', 'Alberta', 1, '');
INSERT INTO language (language_id, name) VALUES (1, 'English');
INSERT INTO store (store_id, manager_staff_id, address_id) VALUES (1, 1, 1);
INSERT INTO staff (staff_id, first_name, last_name, address_id, store_id, username) VALUES (1, 'Mike',
    'Hillyer', 1, 1, 'Mike');
INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id) VALUES
    (1, 1, 'MARY', 'SMITH', 1), (2, 1, 'PATRICIA', 'JOHNSON', 1);
INSERT INTO film (film_id, title, description, release_year, language_id, length, rating, special_features) VALUES
    (1, 'ACADEMY DINOSAUR', 'An Epic Drama', 2006, 1, 86, 'PG', ARRAY['Deleted Scenes', 'Behind the Scenes']),
    (2, 'ACE GOLDFINGER', 'An Astounding Epistle', 2006, 1, 148, 'G', ARRAY['Trailers']);
INSERT INTO film_actor (actor_id, film_id) VALUES (1, 1), (2, 1), (2, 2);
INSERT INTO film_category (film_id, category_id) VALUES (1, 2), (2, 1);
INSERT INTO inventory (inventory_id, film_id, store_id) VALUES (1, 1, 1), (2, 2, 1);
INSERT INTO rental (rental_id, rental_date, inventory_id, customer_id, return_date, staff_id) VALUES
    (1, '2022-01-10 10:00+00', 1, 1, NULL, 1), (2, '2022-02-02 10:00+00', 2, 2, '2022-02-05 10:00+00', 1);
INSERT INTO payment (payment_id, customer_id, staff_id, rental_id, amount, payment_date) VALUES
    (1, 1, 1, 1, 2.99, '2022-01-12 10:00+00'), (2, 2, 1, 2, 4.99, '2022-02-06 10:00+00');
SELECT setval('film_film_id_seq', 10), setval('customer_customer_id_seq', 10);
REFRESH MATERIALIZED VIEW rental_by_category;
ALTER TABLE store ADD FOREIGN KEY (manager_staff_id) REFERENCES staff (staff_id)
"""


def statements() -> list[str]:
    """The statements of the schema and its rows."""
    stamped = ("actor", "address", "category", "city", "country", "customer", "film", "film_actor", "rental", "staff")
    return [*TABLES.split(";"), FUNCTION, *(TRIGGER.format(table) for table in stamped), *ROWS.split(";")]
