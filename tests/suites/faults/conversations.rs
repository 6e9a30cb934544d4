//! What clients say, in all the ways that drivers have of saying it.

mod copies;
mod queries;
mod sessions;

use pgwire::frontend::write;
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

pub(crate) const ALL: [Conversation; 24] = [
    Conversation { from_login: true, ..usual("login", queries::simple) },
    usual("simple", queries::simple),
    usual("several statements", queries::several_statements),
    usual("extended", queries::extended),
    usual("pipeline", queries::pipeline),
    usual("failing pipeline", queries::failing_pipeline),
    usual("flush", queries::flush),
    usual("named", sessions::named),
    usual("replayed", sessions::replayed),
    usual("portal in pieces", queries::portal_in_pieces),
    usual("copy in", copies::copy_in),
    usual("copy in, extended", copies::copy_in_extended),
    usual("copy in, sent ahead", copies::copy_in_sent_ahead),
    usual("copy in, failing", copies::copy_in_failing),
    usual("copy out", copies::copy_out),
    usual("transaction", sessions::transaction),
    usual("transaction, extended", sessions::transaction_extended),
    usual("large rows", queries::large_rows),
    usual("large parameter", queries::large_parameter),
    Conversation { is_by_chance: true, ..usual("cancel", sessions::cancel) },
    usual("prepared in SQL", sessions::prepared_in_sql),
    usual("session state", sessions::session_state),
    usual("listen", sessions::listen),
    Conversation { plan: "hasty", is_by_chance: true, ..usual("no connection", sessions::no_connection) },
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
