//! PostgreSQL with its default durability: one statement, one transaction, prepared; numbers as keys, which is its best case.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::Failure;
use crate::contender::{Kind, Lane as AnyLane, Server, Taken, Wire};
use crate::demand::{HOT, LOCATIONS, Order, SKUS, SOLD_OUT, UNITS};
use crate::process::{Cores, Process, free_port, program};

/// Where Debian puts what is not on the path.
const DEBIAN: [&str; 3] = ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin"];

/// The account that it runs under when we are root, which it refuses to run as.
const ACCOUNT: &str = "postgres";

const TABLES: &str = "
    CREATE TABLE cells (sku int, location int, on_hand int NOT NULL, reserved int NOT NULL DEFAULT 0, PRIMARY KEY (sku, location))
        WITH (fillfactor = 50);
    CREATE TABLE reservations (request_id text PRIMARY KEY, buyer int NOT NULL, sku int[] NOT NULL, location int[] NOT NULL,
        expires_at timestamptz NOT NULL);
    CREATE FUNCTION reserve(id text, by int, skus int[], places int[]) RETURNS int LANGUAGE plpgsql AS $$
    DECLARE n int := 0; s int; l int;
    BEGIN
        INSERT INTO reservations VALUES (id, by, skus, places, now() + interval '15 minutes');
        -- In order, so that two orders never wait for each other.
        FOR s, l IN SELECT * FROM unnest(skus, places) ORDER BY 1, 2 LOOP
            UPDATE cells SET reserved = reserved + 1 WHERE sku = s AND location = l AND on_hand - reserved >= 1;
            IF NOT FOUND THEN RAISE EXCEPTION 'too little of %', s; END IF;
            n := n + 1;
        END LOOP;
        RETURN n;
    END $$;";

const ONE: &str = "
    WITH taken AS (
        UPDATE cells SET reserved = reserved + 1 WHERE sku = $3 AND location = $4 AND on_hand - reserved >= 1 RETURNING sku, location)
    INSERT INTO reservations SELECT $1, $2, ARRAY[sku], ARRAY[location], now() + interval '15 minutes' FROM taken";

const MANY: &str = "SELECT reserve($1, $2, $3, $4)";

/// Starts it and loads the stock; none where it is not installed.
pub(crate) async fn start(directory: &Path, cores: Cores) -> Result<Option<Server>, Failure> {
    let (Some(initdb), Some(postgres)) = (program("initdb", &DEBIAN), program("postgres", &DEBIAN)) else {
        return Ok(None);
    };
    let Some(owner) = owner()? else { return Ok(None) };
    let place = directory.join("postgres");
    fs::create_dir(&place)?;
    let mut make = Command::new(initdb);
    make.arg("--pgdata").arg(&place).args([
        "--auth",
        "trust",
        "--username",
        ACCOUNT,
        "--locale",
        "C",
        "--encoding",
        "UTF8",
    ]);
    if let Owner::Other { user, group } = owner {
        // The way there leads through a directory of ours.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
        chown(&place, Some(user), Some(group))?;
        make.uid(user).gid(group);
    }
    if !make.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
        return Err("initdb failed".into());
    }
    let port = free_port()?;
    let mut command = Command::new(postgres);
    command.arg("-D").arg(&place).args(["-p", &port.to_string()]).current_dir("/");
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=1100",
        "shared_buffers=1GB",
        "max_wal_size=8GB",
        "checkpoint_timeout=15min",
    ] {
        command.args(["-c", setting]);
    }
    if let Owner::Other { user, group } = owner {
        command.uid(user).gid(group);
    }
    let process = Process::start(command, cores, &directory.join("postgres.log"))?;
    let server = Server { kind: Kind::Postgres, process, address: port.to_string() };
    let client = connect(&server.address).await?;
    client.batch_execute(TABLES).await?;
    let stock = format!(
        "INSERT INTO cells (sku, location, on_hand)
            SELECT s, l, {UNITS} FROM generate_series(0, {}) s, generate_series(0, {}) l
            UNION ALL VALUES ({HOT}, 0, {UNITS}), ({SOLD_OUT}, 0, 0);
         VACUUM ANALYZE cells; CHECKPOINT",
        SKUS - 1,
        LOCATIONS - 1
    );
    for statement in stock.split(';') {
        client.batch_execute(statement).await?;
    }
    Ok(Some(server))
}

/// Who it runs as.
#[derive(Clone, Copy)]
enum Owner {
    Ourselves,
    Other { user: u32, group: u32 },
}

/// Its own account when we are root; none where there is no such account.
fn owner() -> Result<Option<Owner>, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Some(Owner::Ourselves));
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let found = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == ACCOUNT);
    let Some(fields) = found else { return Ok(None) };
    let id = |place: usize| fields.get(place).and_then(|id| id.parse().ok());
    Ok(id(2).zip(id(3)).map(|(user, group)| Owner::Other { user, group }))
}

async fn connect(port: &str) -> Result<Client, Failure> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port.parse()?).user(ACCOUNT).dbname("postgres");
    for _ in 0..1_000 {
        if let Ok((client, connection)) = config.connect(NoTls).await {
            // Its end shows in the next query.
            tokio::spawn(async move { connection.await.ok() });
            return Ok(client);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("PostgreSQL does not answer".into())
}

/// Connects: each lane has a connection, which is a process there.
pub(crate) async fn lanes(port: &str, wire: Wire) -> Result<Vec<AnyLane>, Failure> {
    let mut lanes = Vec::new();
    for _ in 0..wire.lanes().0 {
        let client = connect(port).await?;
        let (one, many) = (client.prepare(ONE).await?, client.prepare(MANY).await?);
        lanes.push(AnyLane::Postgres(Box::new(Lane { client, one, many })));
    }
    Ok(lanes)
}

/// One connection.
pub(crate) struct Lane {
    client: Client,
    one: Statement,
    many: Statement,
}

impl Lane {
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Taken, Failure> {
        let mut taken = 0;
        for order in orders {
            let (id, buyer) = (order.request_id(), i32::try_from(order.buyer())?);
            let skus = order.lines.iter().map(|line| i32::try_from(line.sku)).collect::<Result<Vec<_>, _>>()?;
            let places = order.lines.iter().map(|line| i32::try_from(line.location)).collect::<Result<Vec<_>, _>>()?;
            if let ([sku], [place]) = (&skus[..], &places[..]) {
                taken += self.client.execute(&self.one, &[&id, &buyer, sku, place]).await?;
            } else {
                taken += self.client.execute(&self.many, &[&id, &buyer, &skus, &places]).await?;
            }
        }
        Ok(Taken(taken))
    }
}
