//! PostgreSQL with its default durability, in every way that its users would try: an order in one prepared statement, in a transaction of
//! several, and a thousand orders in one statement. `reserve.sql` has its tables.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::Failure;
use crate::contender::{Granted, Kind, Lane as AnyLane, Server, Wire};
use crate::demand::{HOT, LOCATIONS, Order, SKUS, SOLD_OUT, UNITS};
use crate::process::{Cores, Process, free_port, program};

/// Where Debian puts what is not on the path.
pub(crate) const DEBIAN: [&str; 3] =
    ["/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin"];

/// The account that it runs under when we are root, which it refuses to run as.
const ACCOUNT: &str = "postgres";

const TABLES: &str = include_str!("reserve.sql");

/// A one-line order in one statement, which is one transaction.
const ONE: &str = "
    WITH taken AS (
        UPDATE cells SET reserved = reserved + 1 WHERE sku = $3 AND location = $4 AND on_hand - reserved >= 1
        RETURNING sku, location)
    INSERT INTO reservations
    SELECT $1::text::uuid, $2, ARRAY[sku], ARRAY[location], now() + interval '4 hours' FROM taken";

/// The same in parts, between BEGIN and COMMIT.
const TAKE: &str =
    "UPDATE cells SET reserved = reserved + 1 WHERE sku = $1 AND location = $2 AND on_hand - reserved >= 1";
const KEEP: &str =
    "INSERT INTO reservations VALUES ($1::text::uuid, $2, ARRAY[$3::int], ARRAY[$4::int], now() + interval '4 hours')";

/// An order of several lines, all of it or nothing, in one statement. Cells are locked in order, so that two orders never wait for each
/// other.
const LINES: &str = "
    WITH locked AS MATERIALIZED (
        SELECT sku, location FROM cells
        WHERE (sku, location) IN (SELECT * FROM unnest($3::int[], $4::int[])) AND on_hand - reserved >= 1
        ORDER BY sku, location FOR UPDATE),
    whole AS MATERIALIZED (SELECT FROM locked HAVING count(*) = cardinality($3)),
    taken AS (
        UPDATE cells SET reserved = reserved + 1 FROM whole, locked
        WHERE cells.sku = locked.sku AND cells.location = locked.location)
    INSERT INTO reservations SELECT $1::text::uuid, $2, $3, $4, now() + interval '4 hours' FROM whole";

/// A batch of one-line orders in one statement, first come first served in each cell. Cells are locked
/// in order and each is updated once.
const BATCH: &str = "
    WITH asked AS (
        SELECT id, by, s, l, row_number() OVER (PARTITION BY s, l ORDER BY place) AS turn
        FROM unnest($1::text[]::uuid[], $2::int[], $3::int[], $4::int[]) WITH ORDINALITY AS orders (id, by, s, l, place)),
    locked AS MATERIALIZED (
        SELECT sku, location, on_hand - reserved AS units FROM cells
        WHERE (sku, location) IN (SELECT s, l FROM asked) ORDER BY sku, location FOR UPDATE),
    granted AS (SELECT asked.* FROM asked JOIN locked ON sku = s AND location = l WHERE turn <= units),
    taken AS (
        UPDATE cells SET reserved = reserved + count FROM (SELECT s, l, count(*) FROM granted GROUP BY s, l) AS sums
        WHERE sku = s AND location = l)
    INSERT INTO reservations SELECT id, by, ARRAY[s], ARRAY[l], now() + interval '4 hours' FROM granted";

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
        "shared_buffers=1GB",
        // No checkpoint meanwhile, hence no page written whole to the log after one.
        "max_wal_size=16GB",
        "checkpoint_timeout=1h",
        "synchronous_commit=on",
        "jit=off",
    ] {
        command.args(["-c", setting]);
    }
    if let Owner::Other { user, group } = owner {
        command.uid(user).gid(group);
    }
    let process = Process::start(command, cores, &directory.join("postgres.log"))?;
    let server = Server { kind: Kind::Postgres, process, address: port.to_string(), granted: Granted::default() };
    let client = connect(&server.address).await?;
    client.batch_execute(TABLES).await?;
    let stock = format!(
        "INSERT INTO cells (sku, location, on_hand)
            SELECT s, l, {UNITS} FROM generate_series(0, {}) s, generate_series(0, {}) l
            UNION ALL VALUES ({HOT}, 0, {UNITS}), ({SOLD_OUT}, 0, 0);
         VACUUM ANALYZE cells",
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

/// What its books say was granted: reservations, and stock that is promised.
pub(crate) async fn granted(port: &str) -> Result<Granted, Failure> {
    let client = connect(port).await?;
    let count = |query: &'static str| async {
        u64::try_from(client.query_one(query, &[]).await?.get::<_, i64>(0)).map_err(Failure::from)
    };
    let orders = count("SELECT count(*) FROM reservations").await?;
    let units = count("SELECT sum(reserved)::bigint FROM cells").await?;
    Ok(Granted { orders, units })
}

/// Connects: each lane has a connection, which is a process there.
pub(crate) async fn lanes(port: &str, wire: Wire) -> Result<Vec<AnyLane>, Failure> {
    let mut lanes = Vec::new();
    for _ in 0..wire.lanes().0 {
        let client = connect(port).await?;
        let way = match wire {
            Wire::Single { .. } => {
                Way::Statement { one: client.prepare(ONE).await?, lines: client.prepare(LINES).await? }
            }
            Wire::Transaction { .. } => Way::Transaction {
                begin: client.prepare("BEGIN").await?,
                take: client.prepare(TAKE).await?,
                keep: client.prepare(KEEP).await?,
                commit: client.prepare("COMMIT").await?,
            },
            Wire::Batch { .. } => Way::Batch(client.prepare(BATCH).await?),
            Wire::Piped { .. } => return Err("PostgreSQL is not asked in a pipeline".into()),
        };
        lanes.push(AnyLane::Postgres(Box::new(Lane { client, way })));
    }
    Ok(lanes)
}

/// One connection.
pub(crate) struct Lane {
    client: Client,
    way: Way,
}

enum Way {
    Statement { one: Statement, lines: Statement },
    Transaction { begin: Statement, take: Statement, keep: Statement, commit: Statement },
    Batch(Statement),
}

/// An order in the types of the tables.
struct Row {
    id: String,
    buyer: i32,
    skus: Vec<i32>,
    locations: Vec<i32>,
}

impl Row {
    fn of(order: &Order) -> Result<Row, Failure> {
        let numbers =
            |numbers: &mut dyn Iterator<Item = u32>| numbers.map(i32::try_from).collect::<Result<Vec<_>, _>>();
        Ok(Row {
            id: order.request_id_text(),
            buyer: i32::try_from(order.buyer())?,
            skus: numbers(&mut order.lines().iter().map(|line| line.sku))?,
            locations: numbers(&mut order.lines().iter().map(|line| line.location))?,
        })
    }
}

impl Lane {
    pub(crate) async fn step(&mut self, orders: &[Order]) -> Result<Granted, Failure> {
        if let Way::Batch(statement) = &self.way {
            return self.batch(statement, orders).await;
        }
        let mut granted = Granted::default();
        for order in orders {
            let Row { id, buyer, skus, locations } = Row::of(order)?;
            let taken = match (&self.way, &skus[..], &locations[..]) {
                (Way::Statement { one, .. }, [sku], [location]) => {
                    self.client.execute(one, &[&id, &buyer, sku, location]).await? == 1
                }
                (Way::Statement { lines, .. }, ..) => {
                    self.client.execute(lines, &[&id, &buyer, &skus, &locations]).await? == 1
                }
                (Way::Transaction { begin, take, keep, commit }, [sku], [location]) => {
                    // What needs no answer goes with what does.
                    let place: [&(dyn ToSql + Sync); 2] = [sku, location];
                    let (_, taken) =
                        tokio::try_join!(self.client.execute(begin, &[]), self.client.execute(take, &place))?;
                    let row: [&(dyn ToSql + Sync); 4] = [&id, &buyer, sku, location];
                    if taken == 1 {
                        tokio::try_join!(self.client.execute(keep, &row), self.client.execute(commit, &[]))?;
                    } else {
                        self.client.execute(commit, &[]).await?;
                    }
                    taken == 1
                }
                _ => return Err("a transaction is of one line".into()),
            };
            if taken {
                granted = granted + Granted::order(order);
            }
        }
        Ok(granted)
    }

    async fn batch(&self, statement: &Statement, orders: &[Order]) -> Result<Granted, Failure> {
        let rows = orders.iter().map(Row::of).collect::<Result<Vec<_>, _>>()?;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let buyers: Vec<i32> = rows.iter().map(|row| row.buyer).collect();
        let skus: Vec<i32> = rows.iter().flat_map(|row| row.skus.iter().copied()).collect();
        let locations: Vec<i32> = rows.iter().flat_map(|row| row.locations.iter().copied()).collect();
        let granted = self.client.execute(statement, &[&ids, &buyers, &skus, &locations]).await?;
        Ok(Granted { orders: granted, units: granted })
    }
}
