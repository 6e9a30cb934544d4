//! What clients say, in all the ways that drivers have of saying it.

use pgwire::frontend::{PORTAL, STATEMENT, write};
use suites::nonce::Owner;

/// Larger than the gateway's buffers and the kernel's default ones together.
const LARGE: usize = 300_000;

/// One thing that happens.
pub(crate) enum Step {
    /// The client sends this.
    Send(Vec<u8>),
    /// It reads up to so many ReadyForQuery.
    Ready(usize),
    /// It reads up to a message of this kind.
    Until(u8),
    /// Its statement is cancelled, in a way that no fault reaches.
    Cancel,
    /// The server ends the session behind its pool's connection.
    EndServer,
    /// Somebody else takes the pool's only connection, or gives it back.
    Occupy,
    Vacate,
}

/// A kind of conversation.
#[derive(Clone, Copy)]
pub(crate) struct Conversation {
    pub(crate) name: &'static str,
    /// Faults are counted from the login on, of the client and of a new server connection.
    pub(crate) from_login: bool,
    /// The plan that its tenant needs.
    pub(crate) plan: &'static str,
    /// How much of it is answered is left to chance.
    pub(crate) is_by_chance: bool,
    pub(crate) write: fn(&mut Talk),
}

const fn usual(name: &'static str, write: fn(&mut Talk)) -> Conversation {
    Conversation { name, from_login: false, plan: "single", is_by_chance: false, write }
}

pub(crate) const ALL: [Conversation; 23] = [
    Conversation { from_login: true, ..usual("login", simple) },
    usual("simple", simple),
    usual("several statements", several_statements),
    usual("extended", extended),
    usual("pipeline", pipeline),
    usual("failing pipeline", failing_pipeline),
    usual("flush", flush),
    usual("named", named),
    usual("replayed", replayed),
    usual("portal in pieces", portal_in_pieces),
    usual("copy in", copy_in),
    usual("copy in, extended", copy_in_extended),
    usual("copy in, sent ahead", copy_in_sent_ahead),
    usual("copy in, failing", copy_in_failing),
    usual("copy out", copy_out),
    usual("transaction", transaction),
    usual("transaction, extended", transaction_extended),
    usual("large rows", large_rows),
    usual("large parameter", large_parameter),
    Conversation { is_by_chance: true, ..usual("cancel", cancel) },
    usual("session state", session_state),
    usual("listen", listen),
    Conversation { plan: "hasty", is_by_chance: true, ..usual("no connection", no_connection) },
];

/// Tables that conversations use.
pub(crate) const TABLES: &str =
    "create table copied (t text); create table numbers (n int); create table kept (t text)";

/// A conversation being written.
pub(crate) struct Talk {
    owner: Owner,
    request: usize,
    pub(crate) steps: Vec<Step>,
}

impl Talk {
    pub(crate) fn of(conversation: &Conversation, owner: Owner) -> Vec<Step> {
        let mut talk = Self { owner, request: 0, steps: Vec::new() };
        (conversation.write)(&mut talk);
        talk.steps
    }

    /// The mark of another request.
    fn mark(&mut self) -> String {
        self.request += 1;
        self.owner.mark(self.request)
    }

    fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(&mut bytes);
        self.steps.push(Step::Send(bytes));
    }

    fn then(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn query(&mut self, sql: &str) {
        self.send(|out| query(out, sql));
        self.then(Step::Ready(1));
    }
}

fn query(out: &mut Vec<u8>, sql: &str) {
    write::query(out, sql.as_bytes()).expect("it fits");
}

fn parse(out: &mut Vec<u8>, name: &str, sql: &str) {
    write::parse(out, name.as_bytes(), sql.as_bytes(), &[]).expect("it fits");
}

fn bind(out: &mut Vec<u8>, portal: &str, statement: &str, parameter: Option<&str>) {
    let parameters: Vec<Option<&[u8]>> = parameter.iter().map(|text| Some(text.as_bytes())).collect();
    write::bind_text(out, portal.as_bytes(), statement.as_bytes(), &parameters).expect("it fits");
}

fn execute(out: &mut Vec<u8>, portal: &str, rows_max: i32) {
    write::execute(out, portal.as_bytes(), rows_max).expect("it fits");
}

/// Parse, Bind, Execute of the unnamed statement.
fn ask(out: &mut Vec<u8>, sql: &str, parameter: Option<&str>) {
    parse(out, "", sql);
    bind(out, "", "", parameter);
    execute(out, "", 0);
}

fn copy_line(out: &mut Vec<u8>, line: &str) {
    let length = u32::try_from(4 + line.len() + 1).expect("short");
    out.push(b'd');
    out.extend(length.to_be_bytes());
    out.extend(line.as_bytes());
    out.push(b'\n');
}

const COPY_DONE: [u8; 5] = *b"c\0\0\0\x04";
const ECHO: &str = "select $1::text";

fn simple(talk: &mut Talk) {
    for _ in 0..2 {
        let mark = talk.mark();
        talk.query(&format!("select '{mark}'"));
    }
}

fn several_statements(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.query(&format!(
        "select '{}'; insert into kept values ('{}'); select t from kept where t = '{}'; delete from kept where t = '{}'",
        marks[0], marks[1], marks[1], marks[1]
    ));
    talk.query(&format!("select '{}'; select 1/0; select 'never'", marks[2]));
}

fn extended(talk: &mut Talk) {
    for _ in 0..2 {
        let mark = talk.mark();
        talk.send(|out| {
            parse(out, "", ECHO);
            write::describe(out, STATEMENT, b"").expect("it fits");
            bind(out, "", "", Some(&mark));
            write::describe(out, PORTAL, b"").expect("it fits");
            execute(out, "", 0);
            write::sync(out);
        });
        talk.then(Step::Ready(1));
    }
}

fn pipeline(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark(), talk.mark()];
    talk.send(|out| {
        ask(out, ECHO, Some(&marks[0]));
        write::sync(out);
        ask(out, "select $1::text as other", Some(&marks[1]));
        ask(out, ECHO, Some(&marks[2]));
        write::sync(out);
        query(out, &format!("select '{}'", marks[3]));
        write::sync(out);
    });
    talk.then(Step::Ready(4));
}

fn failing_pipeline(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.send(|out| {
        parse(out, "broken", "selekt");
        bind(out, "", "broken", None);
        execute(out, "", 0);
        write::sync(out);
        ask(out, ECHO, Some(&marks[0]));
        ask(out, "select 1/length(left($1, 0))", Some(&marks[1]));
        ask(out, ECHO, Some(&marks[1]));
        write::sync(out);
        ask(out, ECHO, Some(&marks[2]));
        write::sync(out);
    });
    talk.then(Step::Ready(3));
}

fn flush(talk: &mut Talk) {
    let (first, second) = (talk.mark(), talk.mark());
    talk.send(|out| {
        ask(out, ECHO, Some(&first));
        write::flush(out);
    });
    talk.then(Step::Until(b'C'));
    talk.send(|out| {
        ask(out, ECHO, Some(&second));
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

fn named(talk: &mut Talk) {
    talk.send(|out| {
        parse(out, "mine", ECHO);
        write::describe(out, STATEMENT, b"mine").expect("it fits");
        write::sync(out);
    });
    talk.then(Step::Ready(1));
    for _ in 0..2 {
        let mark = talk.mark();
        talk.send(|out| {
            bind(out, "", "mine", Some(&mark));
            execute(out, "", 0);
            write::sync(out);
        });
        talk.then(Step::Ready(1));
    }
    talk.send(|out| {
        write::close(out, STATEMENT, b"mine").expect("it fits");
        bind(out, "", "mine", Some("gone"));
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

/// The statement's connection has gone: it is prepared again on the next, which logs in first.
fn replayed(talk: &mut Talk) {
    talk.send(|out| {
        parse(out, "again", ECHO);
        write::sync(out);
    });
    talk.then(Step::Ready(1));
    talk.then(Step::EndServer);
    let marks = [talk.mark(), talk.mark()];
    talk.send(|out| {
        bind(out, "", "again", Some(&marks[0]));
        execute(out, "", 0);
        write::sync(out);
        write::describe(out, STATEMENT, b"again").expect("it fits");
        bind(out, "", "again", Some(&marks[1]));
        execute(out, "", 0);
        write::sync(out);
    });
    talk.then(Step::Ready(2));
}

fn portal_in_pieces(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| {
        parse(out, "", "select $1::text || n from generate_series(1, 5) n");
        bind(out, "p", "", Some(&mark));
        execute(out, "p", 2);
        execute(out, "p", 2);
        execute(out, "p", 2);
        write::close(out, PORTAL, b"p").expect("it fits");
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

fn copy_in(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| query(out, "copy copied from stdin"));
    talk.then(Step::Until(b'G'));
    talk.send(|out| {
        copy_line(out, &mark);
        copy_line(out, &mark);
        out.extend(COPY_DONE);
    });
    talk.then(Step::Ready(1));
    talk.query(&format!("select t from copied where t = '{mark}'; delete from copied where t = '{mark}'"));
}

/// As tokio-postgres does it: a Sync along with the Execute, which the server ignores, and another at the end.
fn copy_in_extended(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| {
        ask(out, "copy copied from stdin", None);
        write::sync(out);
    });
    talk.then(Step::Until(b'G'));
    talk.send(|out| {
        copy_line(out, &mark);
        out.extend(COPY_DONE);
        write::sync(out);
    });
    talk.then(Step::Ready(1));
    talk.query(&format!("select t from copied where t = '{mark}'; delete from copied where t = '{mark}'"));
}

fn copy_in_sent_ahead(talk: &mut Talk) {
    let mark = talk.mark();
    talk.send(|out| {
        query(out, "copy copied from stdin");
        copy_line(out, &mark);
        out.extend(COPY_DONE);
        query(
            out,
            &format!("select t from copied where t = '{mark}'; delete from copied where t = '{mark}'"),
        );
    });
    talk.then(Step::Ready(2));
}

fn copy_in_failing(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    for give_up in [false, true] {
        talk.send(|out| ask(out, "copy numbers from stdin", None));
        talk.send(write::flush);
        talk.then(Step::Until(b'G'));
        talk.send(|out| {
            if give_up {
                write::copy_fail(out, marks[0].as_bytes()).expect("it fits");
            } else {
                copy_line(out, &marks[0]);
                copy_line(out, "1");
                out.extend(COPY_DONE);
            }
            write::sync(out);
        });
        talk.then(Step::Ready(1));
    }
    talk.query(&format!("select '{}'", marks[1]));
}

fn copy_out(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query(&format!("copy (select '{}' from generate_series(1, 3)) to stdout", marks[0]));
    talk.send(|out| {
        ask(out, &format!("copy (select '{}', repeat('x', {LARGE})) to stdout", marks[1]), None);
        write::sync(out);
    });
    talk.then(Step::Ready(1));
}

fn transaction(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.query("begin");
    talk.query(&format!("insert into kept values ('{}')", marks[0]));
    talk.query(&format!("select t from kept where t = '{}'", marks[0]));
    talk.query(&format!("select '{}'::int", marks[1]));
    talk.query("select 'refused'");
    talk.query("rollback");
    talk.query(&format!("select '{}', count(*) from kept where t = '{}'", marks[2], marks[0]));
}

fn transaction_extended(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.send(|out| {
        ask(out, "begin", None);
        write::sync(out);
        ask(out, "insert into kept values ($1)", Some(&marks[0]));
        write::sync(out);
        ask(out, "select $1::int", Some(&marks[0]));
        write::sync(out);
    });
    talk.then(Step::Ready(3));
    talk.send(|out| {
        ask(out, "rollback", None);
        write::sync(out);
        ask(out, ECHO, Some(&marks[1]));
        write::sync(out);
    });
    talk.then(Step::Ready(2));
}

fn large_rows(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query(&format!("select '{}' || repeat('x', {LARGE}) from generate_series(1, 2)", marks[0]));
    talk.query(&format!("select '{}'", marks[1]));
}

fn large_parameter(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    let large = format!("{}{}", marks[0], "x".repeat(LARGE));
    talk.send(|out| {
        ask(out, "select left($1, 20)", Some(&large));
        write::sync(out);
        query(out, &format!("select '{}'", marks[1]));
    });
    talk.then(Step::Ready(2));
}

fn cancel(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    // Rows so large that the server sends them when it makes the next: the first shows that it runs.
    talk.send(|out| {
        let rows = "case n when 4 then pg_sleep(3600)::text else repeat('x', 20000) end";
        query(out, &format!("select '{}' || {rows} from generate_series(1, 4) n", marks[0]));
    });
    talk.then(Step::Until(b'D'));
    talk.then(Step::Cancel);
    talk.then(Step::Ready(1));
    talk.query(&format!("select '{}'", marks[1]));
}

fn session_state(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.query(&format!("set application_name = '{}'", marks[0]));
    talk.query("show application_name");
    talk.query(&format!("create temp table scratch as select '{}' as t", marks[1]));
    talk.query("select t || '' from scratch");
    talk.query("discard all");
    talk.query(&format!("select '{}', current_setting('application_name')", marks[2]));
}

fn listen(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark()];
    talk.query("listen news");
    talk.query(&format!("notify news, '{}'", marks[0]));
    talk.query("unlisten *");
    talk.query(&format!("select '{}'", marks[1]));
}

/// The check-out fails in the middle of a pipeline, whose rest is thrown away.
fn no_connection(talk: &mut Talk) {
    let marks = [talk.mark(), talk.mark(), talk.mark()];
    talk.then(Step::Occupy);
    talk.send(|out| {
        parse(out, "early", ECHO);
        bind(out, "", "early", Some(&marks[0]));
        execute(out, "", 0);
        write::sync(out);
        query(out, &format!("select '{}'", marks[1]));
    });
    talk.then(Step::Ready(1));
    talk.then(Step::Vacate);
    talk.then(Step::Ready(1));
    talk.query(&format!("select '{}'", marks[2]));
}
