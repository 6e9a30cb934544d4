//! What is done when a server connection goes from one client to another.
//!
//! What a statement's text shows pins the connection or follows its client, and never comes this far. What no
//! text shows is state that code in the database leaves behind: functions, and what runs them unseen (triggers,
//! views, policies, defaults). Most databases have no code that could. Those that do have their connections
//! discarded ahead of the next client's first message, in the same packet, if such code may have run.
//!
//! What the database has is asked of it, see [`database`]. As long as that is not known, it has everything.

pub mod database;

use super::effects::Effects;
use super::ledger::{Due, Origin, Request};
use super::settings::Settings;
use crate::connect::ServerConnection;
use crate::pool::Pool;
use database::{Asked, Facts};
use pgwire::WriteError;
use pgwire::frontend::write;
use std::sync::Arc;

/// Who a client is to a connection that remembers its last one. Nobody is [`NOBODY`].
pub type ClientId = u64;

/// A client that will not come again.
pub const NOBODY: ClientId = 0;

/// Everything that a session can leave behind, but for libraries and the memory of foreign languages
/// (<https://www.postgresql.org/docs/current/sql-discard.html>).
const DISCARD_ALL: &[u8] = b"discard all";

/// What `lastval` and `currval` tell.
const DISCARD_SEQUENCES: &[u8] = b"discard sequences";

/// Effects of statements that may have run code which they do not show.
const MAY_RUN_CODE: Effects = Effects::WRITES.or(Effects::CALLS);

/// What a connection remembers of those who have used it.
#[derive(Debug, Default)]
pub struct Traces {
    last: Option<ClientId>,
    effects: Effects,
    /// What follows from the effects and from what was known of the database by then. Code that has run may be
    /// dropped before the connection goes to another client, so a verdict is never taken back.
    verdict: Verdict,
}

/// What code that may have run can have left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Verdict {
    drew: bool,
    changed_session: bool,
    indelible: bool,
}

impl Traces {
    /// A statement with these effects has run.
    pub fn note(&mut self, effects: Effects, facts: Facts) {
        self.effects |= effects;
        self.judge(facts);
    }

    /// Judges what has run by what is known of the database now.
    pub fn judge(&mut self, facts: Facts) {
        // What has been defined may have run, and be dropped, before anybody asks.
        let defines = self.effects.any_of(Effects::DEFINES);
        let facts = if defines { facts.or_unknown() } else { facts };
        let ran_code = facts.runs_in_reads || self.effects.any_of(MAY_RUN_CODE);
        let draws = self.effects.any_of(Effects::DRAWS) || (facts.code_draws && ran_code);
        self.verdict.drew |= facts.has_sequences && draws;
        self.verdict.changed_session |= facts.changes_sessions && ran_code;
        self.verdict.indelible |= facts.keeps_memory && ran_code;
    }

    /// The session is as it was after the login.
    pub fn wipe(&mut self) {
        (self.effects, self.verdict) = (Effects::NONE, Verdict::default());
    }

    /// Something was defined since this was asked last.
    pub fn take_defines(&mut self) -> bool {
        let defines = self.effects.any_of(Effects::DEFINES);
        self.effects = self.effects.without(Effects::DEFINES);
        defines
    }

    #[must_use]
    fn are_indelible(&self) -> bool {
        self.verdict.indelible
    }

    fn reset_for(&mut self, next: ClientId, facts: Facts) -> Option<Reset> {
        let last = self.last?;
        if last == next && next != NOBODY {
            return None;
        }
        self.judge(facts);
        if self.verdict.changed_session {
            Some(Reset::All)
        } else {
            self.verdict.drew.then_some(Reset::Sequences)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    All,
    Sequences,
}

/// Writes what makes the connection fit for `next`, and what is to be asked of the database. `expect` is told
/// of every reply that will be due. Says what was asked.
///
/// # Errors
/// Text that does not fit the protocol, of which there is none.
pub fn write_to(
    server: &mut ServerConnection,
    pool: &Pool,
    next: ClientId,
    out: &mut Vec<u8>,
    mut expect: impl FnMut(Due),
) -> Result<Option<Asked>, WriteError> {
    let reset = server.traces.reset_for(next, pool.database().facts());
    if let Some(reset) = reset {
        let text = match reset {
            Reset::All => DISCARD_ALL,
            Reset::Sequences => DISCARD_SEQUENCES,
        };
        write::query(out, text)?;
        expect(Due::of(Request::Query, Origin::Setup));
        pool.usage().handover_resets.inc();
    }
    if reset == Some(Reset::All) {
        server.statements.clear();
        server.settings = Arc::new(Settings::default());
        server.settings_uncertain = false;
    }
    if server.traces.last != Some(next) || next == NOBODY {
        server.traces = Traces { last: Some(next), ..Traces::default() };
    }
    let Some(asked) = pool.database().question() else { return Ok(None) };
    write::parse(out, b"", asked.question.text(), &[])?;
    match asked.question.parameters() {
        Some(names) => write::bind_text(out, b"", b"", &[Some(names)])?,
        None => write::bind_text(out, b"", b"", &[])?,
    }
    write::execute(out, b"", 0)?;
    write::sync(out);
    for request in [Request::Parse, Request::Bind, Request::Execute, Request::Sync] {
        expect(Due::of(request, Origin::Question));
    }
    Ok(Some(asked))
}

/// Reads the row that the database answers with.
pub fn read_answer(pool: &Pool, asked: Asked, row: &[u8]) {
    let Ok(columns) = pgwire::backend::data_row(row) else { return };
    let columns: Result<Vec<Option<&[u8]>>, _> = columns.collect();
    if let Ok([Some(count), letters]) = columns.as_deref() {
        pool.database().answered(asked, count, *letters);
    }
}

/// A transaction is over. Says whether the connection is not to be used again.
pub fn transaction_ended(server: &mut ServerConnection, pool: &Pool) -> bool {
    let is_unfit = is_indelible(server, pool);
    if server.traces.take_defines() {
        pool.database().defined();
    }
    is_unfit
}

/// May code have run of which nothing but the session's end takes the traces away?
pub fn is_indelible(server: &mut ServerConnection, pool: &Pool) -> bool {
    server.traces.judge(pool.database().facts());
    server.traces.are_indelible()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Facts = Facts::UNKNOWN;
    const NONE: Facts = Facts::NONE;

    fn traces(effects: Effects) -> Traces {
        Traces { last: Some(1), effects, ..Traces::default() }
    }

    #[test]
    fn a_connection_that_comes_back_to_its_client_is_left_alone() {
        assert_eq!(traces(MAY_RUN_CODE).reset_for(1, ALL), None);
        assert_eq!(Traces::default().reset_for(1, ALL), None);
        let mut nobodys = Traces { last: Some(NOBODY), ..traces(MAY_RUN_CODE) };
        assert_eq!(nobodys.reset_for(NOBODY, ALL), Some(Reset::All));
    }

    #[test]
    fn a_database_without_code_needs_no_reset() {
        assert_eq!(traces(MAY_RUN_CODE | Effects::DRAWS).reset_for(2, NONE), None);
    }

    #[test]
    fn code_that_changes_sessions_has_them_discarded_once_it_may_have_run() {
        let facts = Facts { changes_sessions: true, ..NONE };
        assert_eq!(traces(Effects::NONE).reset_for(2, facts), None);
        assert_eq!(traces(Effects::WRITES).reset_for(2, facts), Some(Reset::All));
        assert_eq!(traces(Effects::CALLS).reset_for(2, facts), Some(Reset::All));
        let in_reads = Facts { runs_in_reads: true, ..facts };
        assert_eq!(traces(Effects::NONE).reset_for(2, in_reads), Some(Reset::All));
    }

    #[test]
    fn numbers_drawn_are_forgotten() {
        let facts = Facts { has_sequences: true, ..NONE };
        assert_eq!(traces(Effects::DRAWS).reset_for(2, facts), Some(Reset::Sequences));
        assert_eq!(traces(Effects::CALLS).reset_for(2, facts), None);
        let by_code = Facts { code_draws: true, ..facts };
        assert_eq!(traces(Effects::CALLS).reset_for(2, by_code), Some(Reset::Sequences));
    }

    #[test]
    fn only_the_end_of_a_session_clears_the_memory_of_foreign_languages() {
        let facts = Facts { keeps_memory: true, ..NONE };
        let are_indelible = |effects, facts| {
            let mut traces = traces(Effects::NONE);
            traces.note(effects, facts);
            traces.are_indelible()
        };
        assert!(are_indelible(Effects::CALLS, facts));
        assert!(!are_indelible(Effects::NONE, facts));
        assert!(!are_indelible(Effects::CALLS, NONE));
    }

    #[test]
    fn code_that_has_run_is_not_forgotten_when_it_is_dropped() {
        let facts = Facts { changes_sessions: true, keeps_memory: true, ..NONE };
        let mut ran = traces(Effects::NONE);
        ran.note(Effects::CALLS, facts);
        ran.judge(NONE);
        assert_eq!(ran.reset_for(2, NONE), Some(Reset::All));
        assert!(ran.are_indelible());
        let mut in_a_view = traces(Effects::NONE);
        in_a_view.judge(Facts { runs_in_reads: true, ..facts });
        assert_eq!(in_a_view.reset_for(2, NONE), Some(Reset::All));
    }

    #[test]
    fn what_was_defined_may_have_run_before_anybody_asked() {
        let mut made = traces(Effects::NONE);
        made.note(Effects::DEFINES | Effects::CALLS, NONE);
        assert!(made.take_defines() && !made.take_defines());
        assert_eq!(made.reset_for(2, NONE), Some(Reset::All));
        made.wipe();
        assert_eq!(made.reset_for(2, NONE), None);
        let mut foreign = traces(Effects::NONE);
        foreign.note(Effects::DEFINES | Effects::CALLS, Facts { keeps_memory: true, ..NONE });
        assert!(foreign.are_indelible());
    }
}
