//! What the clients of a storm ask, in all the ways of asking, and what they may be answered.

use pgwire::frontend::{STATEMENT, write};

/// How many ways there are. The last two keep their connection for a while, and come rarely: everybody else waits.
pub(super) const KINDS: u64 = 11;
pub(super) const QUICK_KINDS: u64 = KINDS - 2;

/// What a request must be answered with.
pub(super) struct Expected {
    /// The text of every row.
    pub(super) mark: String,
    /// ReadyForQuery that belong to it.
    pub(super) readies: usize,
    /// An SQLSTATE that it may be answered with although it got its connection.
    pub(super) error: Option<&'static str>,
}

/// Writes one request in one of the ways that drivers send them.
pub(super) fn request(out: &mut Vec<u8>, kind: u64, mark: String) -> Expected {
    let bound = mark.clone();
    let select = format!("select '{mark}'");
    let mut expected = Expected { mark, readies: 1, error: None };
    match kind {
        0 => query(out, &select),
        1 => ask(out, "select $1::text", &bound),
        2 => expected.readies = prepare_and_use(out, &bound),
        3 => {
            query(out, &format!("select '{bound}'::int"));
            expected.error = Some("22P02");
        }
        4 => query(out, &format!("begin; {select}; commit")),
        5 => query(out, &format!("copy ({select}) to stdout")),
        // Prepared once by the client, used on whatever connection it gets.
        6 => {
            write::bind_text(out, b"", KEPT, &[Some(bound.as_bytes())]).expect("it fits");
            write::execute(out, b"", 0).expect("it fits");
            write::sync(out);
        }
        // The error comes between two requests of one pipeline; the rest of it is skipped.
        7 => {
            write::parse(out, b"", b"selekt", &[]).expect("it fits");
            ask(out, "select $1::text", &bound);
            expected.error = Some("42601");
        }
        8 => {
            ask(out, "begin", "");
            ask(out, "select $1::text as other", &bound);
            ask(out, "commit", "");
            expected.readies = 3;
        }
        9 => query(out, &format!("{select} from pg_sleep(0.001)")),
        _ => {
            query(out, &format!("begin; {select}; set local statement_timeout = 1; select pg_sleep(10)"));
            query(out, "rollback");
            (expected.readies, expected.error) = (2, Some("57014"));
        }
    }
    expected
}

/// The name of a statement that every client has.
const KEPT: &[u8] = b"kept";

/// Prepares the statement that [`request`] uses later.
pub(super) fn prepare_kept(out: &mut Vec<u8>, client: usize) {
    // Two texts, so that the name means different things to different clients.
    let text = if client.is_multiple_of(2) { "select $1::text as even" } else { "select $1::text as odd" };
    write::parse(out, KEPT, text.as_bytes(), &[]).expect("it fits");
    write::sync(out);
}

fn query(out: &mut Vec<u8>, sql: &str) {
    write::query(out, sql.as_bytes()).expect("it fits");
}

/// The unnamed statement, with a parameter if its text has one.
fn ask(out: &mut Vec<u8>, sql: &str, parameter: &str) {
    let parameters: &[Option<&[u8]>] = if sql.contains('$') { &[Some(parameter.as_bytes())] } else { &[] };
    write::parse(out, b"", sql.as_bytes(), &[]).expect("it fits");
    write::bind_text(out, b"", b"", parameters).expect("it fits");
    write::execute(out, b"", 0).expect("it fits");
    write::sync(out);
}

/// A name used once, in two requests.
fn prepare_and_use(out: &mut Vec<u8>, mark: &str) -> usize {
    let name = format!("s_{mark}");
    write::parse(out, name.as_bytes(), b"select $1::text as named", &[]).expect("it fits");
    write::describe(out, STATEMENT, name.as_bytes()).expect("it fits");
    write::sync(out);
    write::bind_text(out, b"", name.as_bytes(), &[Some(mark.as_bytes())]).expect("it fits");
    write::execute(out, b"", 0).expect("it fits");
    write::close(out, STATEMENT, name.as_bytes()).expect("it fits");
    write::sync(out);
    2
}
