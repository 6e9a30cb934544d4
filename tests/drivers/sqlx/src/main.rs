//! sqlx: its statement cache, a pool, transactions, COPY, its listener. `tests/drivers/run sqlx` runs it.

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What is going to happen happens within this time, or not at all.
const PATIENCE: Duration = Duration::from_secs(60);

type Checked = Result<(), sqlx::Error>;

fn options() -> PgConnectOptions {
    let dsn = std::env::var("TENANTRY_DSN").expect("TENANTRY_DSN is set");
    PgConnectOptions::from_str(&dsn).expect("TENANTRY_DSN is a postgres:// URL")
}

async fn connect() -> PgConnection {
    PgConnection::connect_with(&options()).await.expect("it connects")
}

/// Says that a check holds, or ends the program and says that it does not.
async fn check(what: &str, holds: impl Future<Output = Checked>) {
    match timeout(PATIENCE * 2, holds).await {
        Ok(Ok(())) => println!("ok: {what}"),
        failed => {
            eprintln!("{failed:?}\nFAILED: {what}");
            std::process::exit(1);
        }
    }
}

#[track_caller]
fn refused<T: Debug>(code: &str, result: Result<T, sqlx::Error>) {
    let error = result.expect_err("it is refused");
    let refusal = error.as_database_error().unwrap_or_else(|| panic!("not refused with {code}: {error}"));
    assert_eq!(refusal.code().as_deref(), Some(code), "{refusal}");
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql).fetch_one(connection).await
}

async fn queries(kind: &str, capacity: usize) {
    let options = options().statement_cache_capacity(capacity);
    let connection = &mut PgConnection::connect_with(&options).await.expect("it connects");
    check(&format!("queries again and again, and more of them than are cached, {kind}"), async {
        for value in 0..40_i64 {
            let again: i64 =
                sqlx::query_scalar("select $1 + 1").bind(value).fetch_one(&mut *connection).await?;
            let sql = format!("select $1::bigint as column_{value}");
            let other: i64 =
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(value).fetch_one(&mut *connection).await?;
            assert_eq!((again, other), (value + 1, value));
        }
        Ok(())
    })
    .await;
    check(&format!("many types, {kind}"), async {
        let row = sqlx::query("select $1::text, $2::bytea, $3::float8, $4::bool, $5::text, $6::int[]")
            .bind("naïve ☃")
            .bind(&[0_u8, 255, 16][..])
            .bind(1.5)
            .bind(true)
            .bind(None::<String>)
            .bind(vec![Some(1), None, Some(3)])
            .fetch_one(&mut *connection)
            .await?;
        assert_eq!((row.get::<&str, _>(0), row.get::<&[u8], _>(1)), ("naïve ☃", &[0_u8, 255, 16][..]));
        assert_eq!((row.get::<f64, _>(2), row.get::<bool, _>(3)), (1.5, true));
        assert_eq!(row.get::<Option<&str>, _>(4), None);
        assert_eq!(row.get::<Vec<Option<i32>>, _>(5), [Some(1), None, Some(3)]);
        Ok(())
    })
    .await;
    check(&format!("five megabytes there and back, {kind}"), async {
        let text = "é".repeat(2_500_000);
        let back: String = sqlx::query_scalar("select $1").bind(&text).fetch_one(&mut *connection).await?;
        assert!(back == text);
        Ok(())
    })
    .await;
    check(&format!("errors, and what follows them, {kind}"), async {
        for _round in 0..5 {
            refused("42601", connection.execute("selec 1").await);
            refused("42P01", sqlx::query("select * from sqlx_nothing").execute(&mut *connection).await);
            refused("22012", sqlx::query("select 1 / $1").bind(0).execute(&mut *connection).await);
            assert_eq!(number(connection, "select 1::bigint").await?, 1);
        }
        Ok(())
    })
    .await;
    check(&format!("a table that changes beneath a statement, {kind}"), changing(connection)).await;
}

async fn changing(connection: &mut PgConnection) -> Checked {
    connection
        .execute("drop table if exists sqlx_changing; create table sqlx_changing as select 1 as a")
        .await?;
    for columns in 1..4 {
        for round in 0..5 {
            match sqlx::query("select * from sqlx_changing").fetch_one(&mut *connection).await {
                Ok(row) => assert!(row.len() == columns || row.len() == 1, "{} columns", row.len()),
                // What sqlx knows of a statement's rows it does not ask again: it hears of the change once.
                Err(error) => {
                    assert_eq!(round, 0, "{error}");
                    refused("0A000", Err::<(), _>(error));
                }
            }
        }
        let alter = format!("alter table sqlx_changing add b{columns} int");
        connection.execute(AssertSqlSafe(alter)).await?;
        // As an application does that changes its tables.
        connection.clear_cached_statements().await?;
        let row = sqlx::query("select * from sqlx_changing").fetch_one(&mut *connection).await?;
        assert_eq!(row.len(), columns + 1);
    }
    connection.execute("drop table sqlx_changing").await?;
    Ok(())
}

async fn transactions() -> Checked {
    let connection = &mut connect().await;
    connection
        .execute("drop table if exists sqlx_items; create table sqlx_items (id int primary key, name text)")
        .await?;
    let insert = "insert into sqlx_items values ($1, 'item')";
    let mut transaction = connection.begin().await?;
    sqlx::query(insert).bind(1).execute(&mut *transaction).await?;
    let mut savepoint = transaction.begin().await?;
    refused("23505", sqlx::query(insert).bind(1).execute(&mut *savepoint).await);
    savepoint.rollback().await?;
    transaction.commit().await?;

    // Dropped, and so undone.
    let mut transaction = connection.begin().await?;
    sqlx::query(insert).bind(2).execute(&mut *transaction).await?;
    drop(transaction);
    assert_eq!(number(connection, "select count(*) from sqlx_items").await?, 1);

    let mut transaction = connection.begin_with("begin isolation level serializable read only").await?;
    refused("25006", sqlx::query(insert).bind(3).execute(&mut *transaction).await);
    transaction.rollback().await
}

async fn copies() -> Checked {
    let connection = &mut connect().await;
    connection.execute("truncate sqlx_items").await?;
    let lines: String = (0..20_000).map(|id| format!("{id}\titem {id}\n")).collect();
    let mut copy = connection.copy_in_raw("copy sqlx_items from stdin").await?;
    copy.send(lines.as_bytes()).await?;
    assert_eq!(copy.finish().await?, 20_000);

    let mut copy = connection.copy_in_raw("copy sqlx_items from stdin").await?;
    copy.send(&b"1\tagain\n"[..]).await?;
    refused("23505", copy.finish().await);
    let mut copy = connection.copy_in_raw("copy sqlx_items from stdin").await?;
    copy.send(&b"-1\tnever\n"[..]).await?;
    copy.abort("the client's own mistake").await?;
    assert_eq!(
        number(connection, "select count(*) from sqlx_items where name = 'item ' || id").await?,
        20_000
    );
    Ok(())
}

async fn given_up() -> Checked {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options()).await?;
    let asleep = timeout(Duration::from_millis(200), sqlx::query("select pg_sleep(1)").execute(&pool)).await;
    assert!(asleep.is_err(), "it slept to its end");
    // The same connection: what it still has to say is not taken for the next answer.
    for value in 0..20_i64 {
        let answer: i64 = sqlx::query_scalar("select $1").bind(value).fetch_one(&pool).await?;
        assert_eq!(answer, value);
    }
    pool.close().await;
    Ok(())
}

async fn session_state() -> Checked {
    let named = options().application_name("sqlx check").options([("statement_timeout", "66s")]);
    let connection = &mut PgConnection::connect_with(&named).await?;
    connection.execute("set timezone = 'Asia/Tokyo'").await?;
    let other = &mut connect().await;
    let show = "select current_setting('statement_timeout') || ', ' || current_setting('timezone')";
    for _round in 0..5 {
        let theirs: String = sqlx::query_scalar(show).fetch_one(&mut *other).await?;
        let ours: String = sqlx::query_scalar(show).fetch_one(&mut *connection).await?;
        assert!(theirs.starts_with("0, ") && !theirs.ends_with("Tokyo"), "{theirs}");
        assert_eq!(ours, "66s, Asia/Tokyo");
    }
    Ok(())
}

async fn listening(pool: &PgPool) -> Checked {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("sqlx_channel").await?;
    for payload in ["one", "two"] {
        sqlx::query("select pg_notify('sqlx_channel', $1)").bind(payload).execute(pool).await?;
    }
    for payload in ["one", "two"] {
        assert_eq!(listener.recv().await?.payload(), payload);
    }
    Ok(())
}

async fn at_once(pool: &PgPool) -> Checked {
    let mut workers = JoinSet::new();
    for worker in 0..30_i64 {
        let pool = pool.clone();
        workers.spawn(async move {
            for round in 0..50 {
                let value = worker * 1000 + round;
                let sql = format!("select $1::bigint as column_{}", round % 7);
                let answer: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).bind(value).fetch_one(&pool).await?;
                assert_eq!(answer, value);
            }
            Checked::Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done.expect("no worker panics")?;
    }
    Ok(())
}

async fn terminated(pool: &PgPool) -> Checked {
    let mut transaction = pool.begin().await?;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *transaction).await?;
    sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(pool).await?;
    assert!(sqlx::query("select 1").execute(&mut *transaction).await.is_err());
    drop(transaction);
    let answer: i32 = sqlx::query_scalar("select 1").fetch_one(pool).await?;
    assert_eq!(answer, 1);
    Ok(())
}

#[tokio::main]
async fn main() {
    println!("sqlx 0.9.0");
    queries("named statements", 100).await;
    queries("few named statements", 5).await;
    queries("unnamed statements", 0).await;
    check("transactions and savepoints", transactions()).await;
    check("COPY in, one that the server refuses, and one that is broken off", copies()).await;
    check("a query that is given up is not taken for the next", given_up()).await;
    check("settings of the connection hold, and stay with it", session_state()).await;
    let pool = PgPoolOptions::new().max_connections(30).connect_with(options()).await.expect("it connects");
    check("LISTEN hears what others say", listening(&pool)).await;
    check("many connections at work at once", at_once(&pool)).await;
    check("a connection whose backend is terminated is replaced", terminated(&pool)).await;
    check("a wrong password", async {
        refused("28P01", PgConnection::connect_with(&options().password("wrong")).await);
        Ok(())
    })
    .await;
    let _ = pool.execute("drop table sqlx_items").await.expect("it is dropped");
}
