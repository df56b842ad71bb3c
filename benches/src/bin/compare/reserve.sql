-- The stock, and the reservations under their request ids. Nothing indexed changes with an order and half of each page is kept free, so
-- that updates of cells stay in their page (HOT). Numbers, uuid and arrays as keys and lines: PostgreSQL's best case.
CREATE TABLE cells (
    sku int, location int, on_hand int NOT NULL, reserved int NOT NULL DEFAULT 0, PRIMARY KEY (sku, location)
) WITH (fillfactor = 50);
CREATE TABLE reservations (
    request_id uuid PRIMARY KEY, buyer int NOT NULL, sku int[] NOT NULL, location int[] NOT NULL, expires_at timestamptz NOT NULL
);
