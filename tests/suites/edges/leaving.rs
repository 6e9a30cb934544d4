//! Clients that go, at every point at which one can.

use super::{STACK, assert_next_is_clean, assert_no_connection_is_lost, error_of, login, run, single};
use harness::wait_until;
use harness::wire::WireClient;
use pgwire::frontend::write;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Something that a client has sent when it goes.
struct Unfinished {
    what: &'static str,
    bytes: Vec<u8>,
}

fn sent(what: &'static str, write: impl FnOnce(&mut Vec<u8>)) -> Unfinished {
    let mut bytes = Vec::new();
    write(&mut bytes);
    Unfinished { what, bytes }
}

fn query(out: &mut Vec<u8>, sql: &str) {
    write::query(out, sql.as_bytes()).expect("it fits");
}

fn unfinished() -> Vec<Unfinished> {
    let insert = |out: &mut Vec<u8>| query(out, "begin; insert into left_behind values (1)");
    vec![
        sent("nothing", |_| {}),
        sent("a transaction", insert),
        sent("a failed transaction", |out| {
            query(out, "begin; insert into left_behind values (1); select 1/0");
        }),
        sent("a session with state", |out| {
            query(out, "begin; listen x; declare c cursor with hold for select 1");
        }),
        sent("half a header", |out| out.extend(b"Q\0\0")),
        sent("half a message", |out| out.extend(b"Q\0\0\x01\0insert into left_be")),
        sent("half a message in a transaction", |out| {
            insert(out);
            out.extend(b"Q\0\0\x01\0insert into left_be");
        }),
        sent("a Parse without a Sync", |out| {
            write::parse(out, b"named", b"insert into left_behind values ($1)", &[]).expect("it fits");
        }),
        sent("everything but the Sync", |out| {
            write::parse(out, b"named", b"insert into left_behind values ($1::int)", &[]).expect("it fits");
            write::bind_text(out, b"", b"named", &[Some(b"1".as_slice())]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::flush(out);
        }),
        sent("half of a large parameter", |out| {
            write::parse(out, b"", b"insert into left_behind select length($1)", &[]).expect("it fits");
            let mut bind = Vec::new();
            write::bind_text(&mut bind, b"", b"", &[Some(&[b'x'; 100_000])]).expect("it fits");
            out.extend(&bind[..60_000]);
        }),
        sent("a COPY under way", |out| {
            query(out, "copy left_behind from stdin");
            out.extend(b"d\0\0\0\x061\n");
        }),
        sent("a statement that runs for ever", |out| {
            query(out, "insert into left_behind select 1 from pg_sleep(3600)");
        }),
        sent("a result that it does not read", |out| {
            query(
                out,
                "begin; insert into left_behind values (1); select repeat('x', 1000) from generate_series(1, 100000)",
            );
        }),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Close,
    Reset,
    HalfClose,
    Goodbye,
}

async fn go(mut client: WireClient, way: Way) {
    match way {
        Way::Close => {}
        Way::Reset => client.stream().set_zero_linger().expect("a TCP socket"),
        Way::HalfClose => {
            client.stream().shutdown().await.expect("the gateway is there");
            let _words = client.until_end().await;
        }
        Way::Goodbye => {
            let mut goodbye = Vec::new();
            write::terminate(&mut goodbye);
            client.send(&goodbye).await.expect("sent");
        }
    }
}

/// About as long as bytes take to get somewhere. It cannot be seen from outside how far they are, so clients go
/// at once and after this.
const ARRIVAL: Duration = Duration::from_millis(20);

async fn leaves_nothing(slug: &str, way: Way) {
    let tenant = single(slug, "eu").await;
    run(&mut login(&tenant).await, "create table left_behind (n int)").await;
    for Unfinished { what, bytes } in unfinished() {
        for pause in [Duration::ZERO, ARRIVAL] {
            let mut client = login(&tenant).await;
            client.send(&bytes).await.expect("sent");
            tokio::time::sleep(pause).await;
            go(client, way).await;
            assert_next_is_clean(&tenant, &format!("{what}, {way:?}")).await;
        }
    }
    assert_no_connection_is_lost(&tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_leaves_nothing_behind() {
    leaves_nothing("closing", Way::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_leaves_nothing_behind() {
    leaves_nothing("resetting", Way::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_one_direction_leaves_nothing_behind() {
    leaves_nothing("half-closing", Way::HalfClose).await;
}

#[tokio::test]
async fn a_goodbye_in_a_transaction_undoes_it() {
    let tenant = single("polite", "eu").await;
    run(&mut login(&tenant).await, "create table left_behind (n int)").await;
    let mut client = login(&tenant).await;
    run(&mut client, "begin; insert into left_behind values (1)").await;
    go(client, Way::Goodbye).await;
    assert_next_is_clean(&tenant, "a goodbye").await;
    assert_no_connection_is_lost(&tenant).await;
}

/// Sent together, the query comes first.
#[tokio::test]
async fn a_goodbye_behind_a_query_does_not_overtake_it() {
    let tenant = single("hurried", "eu").await;
    let mut client = login(&tenant).await;
    let mut bytes = Vec::new();
    query(&mut bytes, "create table made (n int)");
    write::terminate(&mut bytes);
    client.send(&bytes).await.expect("sent");
    client.until_end().await.expect("an orderly end");
    assert_eq!(login(&tenant).await.value("select count(*) from made").await, "0");
}

/// A client that gives up waiting leaves the queue, and the connection it waited for to somebody else.
#[tokio::test]
async fn who_leaves_while_it_waits_is_not_waited_for() {
    let tenant = single("queueing", "eu").await;
    let mut holder = login(&tenant).await;
    run(&mut holder, "begin").await;
    let mut impatient = login(&tenant).await;
    let mut bytes = Vec::new();
    query(&mut bytes, "create table never_made (n int)");
    impatient.send(&bytes).await.expect("sent");
    let labels = ["tenant=\"queueing\""];
    let waiting = async || STACK.metric("tenantry_pool_waiting_clients", &labels).await;
    wait_until("it waits", async || waiting().await == 1.0).await;
    drop(impatient);
    wait_until("it waits no more", async || waiting().await == 0.0).await;
    run(&mut holder, "commit").await;
    let there = "select count(*) from pg_tables where tablename = 'never_made'";
    assert_eq!(holder.value(there).await, "0");
}

#[tokio::test]
async fn garbage_ends_the_session_and_nothing_else() {
    let tenant = single("babbling", "eu").await;
    run(&mut login(&tenant).await, "create table left_behind (n int)").await;
    let cases: [(&str, &[u8], &str); 6] = [
        ("an unknown tag", b"~\0\0\0\x04", "08P01"),
        ("a server's message", b"Z\0\0\0\x05I", "08P01"),
        ("a password", b"p\0\0\0\x06x\0", "08P01"),
        ("a length below its own", b"Q\0\0\0\x03", "08P01"),
        ("a negative length", b"Q\xff\xff\xff\xff", "08P01"),
        ("an enormous length", b"Q\x7f\xff\xff\xff", "54000"),
    ];
    for (what, bytes, sqlstate) in cases {
        for begin in [None, Some("begin; insert into left_behind values (1)")] {
            let mut client = login(&tenant).await;
            if let Some(sql) = begin {
                run(&mut client, sql).await;
            }
            client.send(bytes).await.expect("sent");
            let words = client.until_end().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(error_of(&words), sqlstate, "{what}");
            assert_next_is_clean(&tenant, what).await;
        }
    }
    assert_no_connection_is_lost(&tenant).await;
}

/// Clients come and go by the hundred, without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_stampede_leaves_nothing_behind() {
    let tenant = single("trampled", "eu").await;
    run(&mut login(&tenant).await, "create table left_behind (n int)").await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..60 {
        let tenant = tenant.clone();
        clients.spawn(async move {
            let mut client = WireClient::login(&tenant.config()).await.map_err(|_| io::ErrorKind::Other)?;
            let mut bytes = Vec::new();
            query(&mut bytes, "begin; insert into left_behind values (1); select pg_sleep(0.001)");
            let length = bytes.len() * (number % 4 + 1) / 4;
            client.send(&bytes[..length]).await?;
            Ok::<_, io::Error>(())
        });
    }
    clients.join_all().await;
    assert_next_is_clean(&tenant, "a stampede").await;
    assert_no_connection_is_lost(&tenant).await;
}
