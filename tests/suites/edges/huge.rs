//! What is too large to keep passes without being kept: the gateway's memory while one huge value goes through.
//!
//! The gateway has a process of its own, whose peak the kernel remembers: nothing that was held for an instant is missed.

use harness::wire::{Message, WireClient, tags};
use harness::{ChildProcess, Stack, Tenant, wait_until};
use pgwire::backend::ErrorFields;
use pgwire::frontend::write;
use std::time::Duration;
use tenantry::dev::{ClusterSpec, StackOptions};
use tokio::io::AsyncReadExt;
use tokio_postgres::Client;

/// One value, of a row, a parameter, a COPY or a large object, in bytes.
const HUGE: usize = 100 * 1024 * 1024;

/// What the process may grow by meanwhile: a tenth, and many times more than the buffers of one exchange.
const GROWTH_MAX: u64 = 10 * 1024 * 1024;

/// As much as fits into no buffer: with it each way has been gone once before anything counts.
const SMALL: usize = 100 * 1024;

/// All of it, on a machine that does a hundred other things.
const PATIENCE: Duration = Duration::from_secs(300);

const TEXT: u32 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn one_huge_value_takes_no_memory_of_the_gateway() {
    let clusters = vec![ClusterSpec::new("eu-1", "eu")];
    let mut stack = Stack::start_with(StackOptions::ephemeral().clusters(clusters)).await;
    let tenant = stack.create_tenant("huge", "eu").await;
    let gateway = stack.gateway_as_process("").await;
    let physical = stack.physical(&tenant).await;
    let admin = stack.cluster_admin(&physical.cluster, "postgres").await;
    tenant.connect().await.batch_execute("create table copied (t text)").await.expect("made");

    tokio::time::timeout(PATIENCE, pass_all(&tenant, &admin, SMALL)).await.expect("small values pass");
    let before = peak(&gateway);
    assert!(before < u64::try_from(HUGE).expect("it fits"), "a peak of {before} bytes hides what is kept");
    tokio::time::timeout(PATIENCE, pass_all(&tenant, &admin, HUGE)).await.expect("huge values pass");
    let grown = peak(&gateway) - before;
    println!("{grown} bytes more than {before} while values of {HUGE} bytes passed");
    assert!(grown <= GROWTH_MAX, "{grown} bytes more than {before} were needed");
    stack.stop().await;
}

/// The most that was ever resident of the process.
fn peak(process: &ChildProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes * 1024
}

async fn pass_all(tenant: &Tenant, admin: &Client, length: usize) {
    let mut client = super::login(tenant).await;
    let query = format!("select repeat('x', {length})");
    read_late(&mut client, admin, &query, length).await;
    parameter(&mut client, length).await;
    copy(&mut client, length).await;
    read_late(&mut client, admin, "copy copied to stdout", length).await;
    large_object(tenant, length).await;
}

/// The client reads nothing until the server can send no more: what the gateway would take, it has taken by then.
async fn read_late(client: &mut WireClient, admin: &Client, sql: &str, length: usize) {
    let mut request = Vec::new();
    write::query(&mut request, sql.as_bytes()).expect("it fits");
    client.send(&request).await.expect("sent");
    if length == HUGE {
        wait_until("the server waits for its reader", async || {
            let waiting = "select exists (select from pg_stat_activity where wait_event = 'ClientWrite')";
            admin.query_one(waiting, &[]).await.expect("an administrator may look").get(0)
        })
        .await;
    }
    assert!(thrown_away(client).await >= length, "{sql} gave less than {length} bytes");
}

/// Reads up to the next ReadyForQuery and keeps nothing; how many bytes there were.
async fn thrown_away(client: &mut WireClient) -> usize {
    let stream = client.stream();
    let mut total = 0;
    loop {
        let tag = stream.read_u8().await.expect("a message");
        let length = stream.read_u32().await.expect("a length").checked_sub(4).expect("it counts itself");
        let mut body = (&mut *stream).take(u64::from(length));
        if tag == b'E' {
            let mut error = Vec::new();
            body.read_to_end(&mut error).await.expect("an error");
            panic!("refused: {}", ErrorFields::new(&error).message());
        }
        tokio::io::copy(&mut body, &mut tokio::io::sink()).await.expect("a whole message");
        if tag == b'Z' {
            return total;
        }
        total += usize::try_from(length).expect("it fits");
    }
}

async fn parameter(client: &mut WireClient, length: usize) {
    let value = "x".repeat(length);
    let mut request = Vec::new();
    write::parse(&mut request, b"", b"select length($1)::text", &[TEXT]).expect("it fits");
    write::bind_text(&mut request, b"", b"", &[Some(value.as_bytes())]).expect("it fits");
    write::execute(&mut request, b"", 0).expect("it fits");
    write::sync(&mut request);
    client.send(&request).await.expect("sent");
    let answer = good(client).await;
    let row = answer.iter().find(|message| message.tag == b'D').expect("a row");
    assert_eq!(row.first_column(), length.to_string());
}

/// A COPY of one line, in one message.
async fn copy(client: &mut WireClient, length: usize) {
    super::run(client, "truncate copied").await;
    let mut request = Vec::new();
    write::query(&mut request, b"copy copied from stdin").expect("it fits");
    client.send(&request).await.expect("sent");
    assert_eq!(client.message().await.expect("an answer").tag, b'G');
    let size = u32::try_from(4 + length + 1).expect("it fits");
    let mut data = [b"d".as_slice(), &size.to_be_bytes()].concat();
    data.resize(data.len() + length, b'x');
    data.extend(b"\nc\0\0\0\x04");
    client.send(&data).await.expect("sent");
    assert_eq!(tags(&good(client).await), "CZ");
}

/// As libpq writes and reads large objects: by FunctionCall, which takes a session.
async fn large_object(tenant: &Tenant, length: usize) {
    let config = tenant.config();
    let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
    let startup = [("user", user), ("database", database), ("options", "-c tenantry.pool_mode=session")];
    let mut client = WireClient::login_as(&config, &startup).await.expect("let in");
    let lowrite = client.value("select 'lowrite(int4, bytea)'::regprocedure::oid").await;
    let loread = client.value("select 'loread(int4, int4)'::regprocedure::oid").await;
    super::run(&mut client, "begin").await;
    let object = client.value("select lo_create(0)").await;
    let open = client.value(&format!("select lo_open({object}, x'60000'::int4)")).await;
    let open: i32 = open.parse().expect("a number");

    let value = vec![b'x'; length];
    client.send(&function_call(&lowrite, &[&open.to_be_bytes(), &value])).await.expect("sent");
    assert_eq!(tags(&good(&mut client).await), "VZ");
    super::run(&mut client, &format!("select lo_lseek64({open}, 0, 0)")).await;
    let wanted = i32::try_from(length).expect("it fits");
    let request = function_call(&loread, &[&open.to_be_bytes(), &wanted.to_be_bytes()]);
    client.send(&request).await.expect("sent");
    assert!(thrown_away(&mut client).await >= length, "the object is as long as it was written");
    super::run(&mut client, &format!("select lo_unlink({object}); commit")).await;
}

/// With arguments and result in binary (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
fn function_call(function: &str, arguments: &[&[u8]]) -> Vec<u8> {
    let function: u32 = function.parse().expect("an object id");
    let mut body = function.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1]);
    body.extend(u16::try_from(arguments.len()).expect("few").to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).expect("it fits").to_be_bytes());
        body.extend(*argument);
    }
    body.extend([0, 1]);
    let size = u32::try_from(4 + body.len()).expect("it fits");
    [b"F".as_slice(), &size.to_be_bytes(), &body].concat()
}

async fn good(client: &mut WireClient) -> Vec<Message> {
    let answer = client.until_ready().await.expect("an answer");
    let error = answer.iter().find(|message| message.tag == b'E');
    assert!(error.is_none(), "refused: {}", error.expect("an error").text());
    answer
}
