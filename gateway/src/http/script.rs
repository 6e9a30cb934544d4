//! The messages that a request becomes, written before a connection is taken.
//!
//! A single statement is Parse, Bind, Describe, Execute and Sync. A batch is all of its statements
//! between `BEGIN` and `COMMIT`, with one Sync at the end: one round trip, and after an error the server
//! skips the rest, `COMMIT` included.

use super::failure::Failure;
use super::request::{Statement, Work};
use crate::relay::effects::{self, Effects};
use crate::relay::ledger::{Due, Origin, Request};
use pgwire::WriteError;
use pgwire::frontend::{PORTAL, write};
use std::borrow::Cow;

/// Messages, and the replies that they will have.
#[derive(Debug, Default)]
pub struct Script {
    messages: Vec<u8>,
    due: Vec<(Request, Origin)>,
    effects: Effects,
}

impl Script {
    /// Writes a request's messages.
    ///
    /// # Errors
    /// Text that does not fit the protocol.
    pub fn new(work: &Work<'_>) -> Result<Self, Failure> {
        let mut script = Self::default();
        match &work.transaction {
            None => script.statements(&work.statements),
            Some(transaction) => script
                .own(&transaction.begin())
                .and_then(|()| script.statements(&work.statements))
                .and_then(|()| script.own("COMMIT")),
        }
        .map_err(unfit)?;
        write::sync(&mut script.messages);
        script.due.push((Request::Sync, Origin::Client));
        Ok(script)
    }

    /// A `ROLLBACK` of our own.
    #[must_use]
    pub fn rollback() -> Self {
        let mut messages = Vec::with_capacity(16);
        write::query(&mut messages, b"ROLLBACK").expect("a short text without zero bytes");
        Self { messages, due: vec![(Request::Query, Origin::Setup)], effects: Effects::NONE }
    }

    /// The messages.
    #[must_use]
    pub fn messages(&self) -> &[u8] {
        &self.messages
    }

    /// The replies that they will have, in order.
    pub fn due(&self) -> impl Iterator<Item = Due> {
        self.due.iter().map(|(request, origin)| Due::of(*request, *origin))
    }

    /// What its statements leave behind in the session.
    #[must_use]
    pub fn effects(&self) -> Effects {
        self.effects
    }

    /// Nothing stays behind in the session once it has run.
    #[must_use]
    pub fn leaves_nothing(&self) -> bool {
        self.effects.staying().is_none()
    }

    fn statements(&mut self, statements: &[Statement<'_>]) -> Result<(), WriteError> {
        statements.iter().try_for_each(|statement| {
            let params: Vec<_> =
                statement.params.iter().map(|param| param.as_deref().map(str::as_bytes)).collect();
            self.effects |= effects::of_sql(statement.sql.as_bytes());
            self.bound(&statement.sql, &params, Origin::Client)?;
            write::describe(&mut self.messages, PORTAL, b"")?;
            self.due.push((Request::Describe, Origin::Client));
            self.execute(Origin::Client)
        })
    }

    /// A statement whose success is nobody's business but ours, and whose failure is the client's.
    fn own(&mut self, sql: &str) -> Result<(), WriteError> {
        self.bound(sql, &[], Origin::Replay)?;
        self.execute(Origin::Replay)
    }

    fn bound(&mut self, sql: &str, params: &[Option<&[u8]>], origin: Origin) -> Result<(), WriteError> {
        write::parse(&mut self.messages, b"", sql.as_bytes(), &[])?;
        write::bind_text(&mut self.messages, b"", b"", params)?;
        self.due.extend([(Request::Parse, origin), (Request::Bind, origin)]);
        Ok(())
    }

    fn execute(&mut self, origin: Origin) -> Result<(), WriteError> {
        write::execute(&mut self.messages, b"", 0)?;
        self.due.push((Request::Execute, origin));
        Ok(())
    }
}

/// In the words that PostgreSQL has for each.
fn unfit(error: WriteError) -> Failure {
    match error {
        WriteError::ZeroByte | WriteError::EmptyName => {
            Failure::statement("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")
        }
        WriteError::TooMany => Failure::statement("54023", "a statement has at most 65535 parameters"),
        WriteError::TooLong => Failure::statement("54000", Cow::Owned(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request;
    use hyper::HeaderMap;
    use pgwire::frame::peek_header;

    fn script(body: &str) -> Result<Script, Failure> {
        Script::new(&request::parse(&HeaderMap::new(), body.as_bytes()).expect("a request"))
    }

    fn tags(mut messages: &[u8]) -> String {
        let mut tags = String::new();
        while let Some(header) = peek_header(messages).expect("well-formed") {
            tags.push(char::from(header.tag));
            messages = &messages[header.len..];
        }
        tags
    }

    #[test]
    fn a_single_statement_is_one_pipeline() {
        let script = script(r#"{"query":"select $1","params":["a"]}"#).expect("fits");
        assert_eq!(tags(script.messages()), "PBDES");
        assert_eq!(script.due().count(), 5);
    }

    #[test]
    fn a_batch_is_one_pipeline_in_one_transaction() {
        let script = script(r#"{"queries":[{"query":"a"},{"query":"b"}]}"#).expect("fits");
        assert_eq!(tags(script.messages()), "PBEPBDEPBDEPBES");
        let ours = script.due().filter(|due| due.origin == Origin::Replay).count();
        assert_eq!((ours, script.due().count()), (6, 15));
    }

    #[test]
    fn what_does_not_fit_is_the_statements_fault() {
        let many = format!(r#"{{"query":"a","params":[{}]}}"#, vec!["1"; 65_999].join(","));
        for (body, expected) in [(r#"{"query":"a\u0000b"}"#, "22021"), (&many, "54023")] {
            let failure = script(body).expect_err("does not fit");
            assert!(matches!(failure, Failure::Statement { code, .. } if code == expected));
        }
    }

    #[test]
    fn what_stays_behind_is_noticed_in_any_statement() {
        let script = |body| script(body).expect("fits");
        assert!(script(r#"{"query":"select 1"}"#).leaves_nothing());
        assert!(!script(r#"{"queries":[{"query":"select 1"},{"query":"listen c"}]}"#).leaves_nothing());
    }

    #[test]
    fn a_rollback_is_answered_once() {
        assert_eq!(tags(Script::rollback().messages()), "Q");
        assert_eq!(Script::rollback().due().count(), 1);
    }
}
