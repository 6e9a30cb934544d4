//! Many databases with a role each, as fast as a server makes them.

use super::{ROWS, WorldError, tenant_id, verifier};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

/// What every tenant's database is a copy of.
const TEMPLATE: &str = "fleet_template";

/// Databases made at a time. More only wait for each other.
const AT_ONCE: u32 = 4;

/// Roles made in one round trip.
const ROLES_AT_ONCE: usize = 500;

/// Makes database `t{n}` with owner `u{n}` for each `n` that is not there yet, on the server of this connection string.
/// Each has a table `accounts`, and the marker by which a gateway knows whose database it is.
pub(crate) async fn make(admin_dsn: &str, tenants: Range<u32>) -> Result<(), WorldError> {
    let admin: Config = admin_dsn.parse().map_err(WorldError::database("the connection string"))?;
    let client = connect(&admin, None).await?;
    if tenants.is_empty() {
        return Ok(());
    }
    make_template(&client, &admin).await?;
    let databases = names(&client, "select datname::text from pg_database where datallowconn").await?;
    let missing: Vec<u32> = tenants.clone().filter(|n| !databases.contains(&format!("t{n}"))).collect();
    make_roles(&client, &missing).await?;
    let (missing, next) = (Arc::new(missing), Arc::new(AtomicU32::new(0)));
    let mut making = JoinSet::new();
    for _ in 0..AT_ONCE {
        making.spawn(make_some(admin.clone(), missing.clone(), next.clone()));
    }
    while let Some(made) = making.join_next().await {
        made.map_err(|error| WorldError::Key(error.to_string()))??;
    }
    Ok(())
}

async fn make_template(client: &Client, admin: &Config) -> Result<(), WorldError> {
    if !names(client, "select datname::text from pg_database").await?.contains(TEMPLATE) {
        run(client, &format!("create database {TEMPLATE} template template0")).await?;
    }
    let sql = format!(
        "select is_template from (select datistemplate as is_template from pg_database where datname = '{TEMPLATE}') d"
    );
    let done = client.query_one(&sql, &[]).await.map_err(WorldError::database("the template"))?;
    if done.get(0) {
        return Ok(());
    }
    let inside = connect(admin, Some(TEMPLATE)).await?;
    let content = format!(
        "drop table if exists accounts;
         drop schema if exists tenantry cascade;
         create table accounts (id int primary key, balance bigint not null);
         insert into accounts select id, 0 from generate_series(1, {ROWS}) id;
         grant select, update on accounts to public;
         create schema tenantry;
         create table tenantry.marker (tenant_id uuid primary key);
         grant usage on schema tenantry to public;
         grant select on tenantry.marker to public"
    );
    run(&inside, &content).await?;
    run(&inside, "vacuum (analyze)").await?;
    drop(inside);
    // Nobody inside any more, or nothing could be copied from it.
    run(client, &format!("alter database {TEMPLATE} is_template true allow_connections false")).await
}

async fn make_roles(client: &Client, tenants: &[u32]) -> Result<(), WorldError> {
    let (known, verifier) = (names(client, "select rolname::text from pg_roles").await?, verifier()?);
    let missing: Vec<&u32> = tenants.iter().filter(|n| !known.contains(&format!("u{n}"))).collect();
    for some in missing.chunks(ROLES_AT_ONCE) {
        let roles = some.iter().map(|n| format!("create role u{n} login password '{verifier}';"));
        run(client, &roles.collect::<String>()).await?;
    }
    Ok(())
}

async fn make_some(admin: Config, tenants: Arc<Vec<u32>>, next: Arc<AtomicU32>) -> Result<(), WorldError> {
    let client = connect(&admin, None).await?;
    loop {
        let turn = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
        let Some(n) = tenants.get(turn) else { return Ok(()) };
        run(&client, &format!("create database t{n} owner u{n} template {TEMPLATE} strategy file_copy"))
            .await?;
        let inside = connect(&admin, Some(&format!("t{n}"))).await?;
        run(&inside, &format!("insert into tenantry.marker values ('{}')", tenant_id(*n))).await?;
    }
}

/// The oids of these tenants' databases and roles.
pub(crate) async fn oids(client: &Client, n: &Range<u32>) -> Result<Vec<(u32, u32, u32)>, WorldError> {
    let sql = "select n, d.oid, r.oid from generate_series($1::int8, $2::int8) n
               join pg_database d on d.datname = 't' || n join pg_roles r on r.rolname = 'u' || n order by n";
    let bounds = (i64::from(n.start), i64::from(n.end) - 1);
    let rows = client.query(sql, &[&bounds.0, &bounds.1]).await.map_err(WorldError::database("the oids"))?;
    let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(rows.iter().map(|row| (number(row.get(0)), row.get(1), row.get(2))).collect())
}

async fn connect(admin: &Config, database: Option<&str>) -> Result<Client, WorldError> {
    let mut config = admin.clone();
    if let Some(database) = database {
        config.dbname(database);
    }
    let (client, connection) =
        config.connect(NoTls).await.map_err(WorldError::database("a login as admin"))?;
    tokio::spawn(connection);
    Ok(client)
}

async fn names(client: &Client, sql: &str) -> Result<HashSet<String>, WorldError> {
    let rows = client.query(sql, &[]).await.map_err(WorldError::database("a list of names"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn run(client: &Client, sql: &str) -> Result<(), WorldError> {
    let first: String = sql.chars().take(60).collect();
    client.batch_execute(sql).await.map_err(WorldError::database(first))
}
