//! The messages that a request becomes, written before a connection is taken.
//!
//! A single statement is Parse, Bind, Describe, Execute and Sync. A batch is all of its statements
//! between `BEGIN` and `COMMIT`, a Flush behind each and one Sync at the end: one round trip, and after an error the server
//! skips the rest, `COMMIT` included. What may only read runs in a transaction too, also if it is one statement.

use super::failure::{ErrorBody, Failure};
use super::read_only;
use super::request::{Statement, Transaction, Work};
use crate::relay::effects::{self, Effects};
use crate::relay::ledger::{Due, Origin, Request};
use pgwire::WriteError;
use pgwire::frame::{HEADER_LEN, peek_header};
use pgwire::frontend::{PORTAL, write};
use std::borrow::Cow;

/// Messages, and the replies that they will have.
#[derive(Debug, Default)]
pub struct Script {
    messages: Vec<u8>,
    due: Vec<(Request, Origin)>,
    effects: Effects,
    marks: Marks,
    /// The length of the Parse that it begins with, if it is one statement and nothing of ours.
    single: Option<usize>,
}

/// A script of one statement, in its parts.
#[derive(Debug, Clone, Copy)]
pub struct Single<'a> {
    /// Its Parse, behind the name: the text, and no types of parameters.
    pub text: &'a [u8],
    /// Its Bind, behind the names of portal and statement.
    pub values: &'a [u8],
    /// Describe, Execute and Sync.
    pub rest: &'a [u8],
}

/// What a request's statements are wrapped in.
#[derive(Debug, Default)]
pub struct Dress {
    /// A comment behind each text.
    pub comment: Option<String>,
    /// Nothing may be written, whatever a statement says.
    pub read_only: bool,
}

/// What of the texts is not the client's: it is to hear nothing of it.
#[derive(Debug, Default)]
pub struct Marks {
    comment: String,
    /// The characters of each text without it.
    lengths: Vec<usize>,
}

impl Marks {
    /// Takes them out of an error of the statement that comes after so many.
    pub fn take_out_of(&self, error: &mut ErrorBody, before: u64) {
        if self.comment.is_empty() {
            return;
        }
        let length = usize::try_from(before).ok().and_then(|index| self.lengths.get(index));
        error.forget(&self.comment, length.copied());
    }
}

impl Script {
    /// Writes a request's messages.
    ///
    /// # Errors
    /// Text that does not fit the protocol.
    pub fn new(work: &Work<'_>, dress: Dress) -> Result<Self, Failure> {
        let Dress { comment, read_only } = dress;
        let marks = Marks { comment: comment.unwrap_or_default(), ..Marks::default() };
        let mut script = Self { marks, ..Self::default() };
        if read_only {
            work.statements.iter().try_for_each(|statement| read_only::check(&statement.sql))?;
        }
        let begin = match &work.transaction {
            Some(transaction) => Some(transaction.begin(read_only)),
            None => read_only.then(|| Transaction::default().begin(true)),
        };
        if begin.is_none() && work.statements.len() == 1 && script.marks.comment.is_empty() {
            script.single = Some(0);
        }
        match begin {
            None => script.write_all(&work.statements),
            Some(begin) => script
                .begin(&begin)
                .and_then(|()| if read_only { script.own(read_only::FENCE) } else { Ok(()) })
                .and_then(|()| script.write_all(&work.statements))
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
        Self { messages, due: vec![(Request::Query, Origin::Setup)], ..Self::default() }
    }

    /// The messages, and what of them is not the client's.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Marks) {
        (self.messages, self.marks)
    }

    /// Its parts, if it is one statement as the client wrote it.
    #[must_use]
    pub fn single(&self) -> Option<Single<'_>> {
        let (parse, others) = self.messages.split_at_checked(self.single?)?;
        let bind = peek_header(others).ok()??.len;
        // Behind the header stands an empty name in a Parse, and two in a Bind.
        Some(Single {
            text: parse.get(HEADER_LEN + 1..)?,
            values: others.get(HEADER_LEN + 2..bind)?,
            rest: others.get(bind..)?,
        })
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

    fn begin(&mut self, sql: &str) -> Result<(), WriteError> {
        self.effects |= effects::of_sql(sql.as_bytes());
        self.own(sql)
    }

    fn write_all(&mut self, statements: &[Statement<'_>]) -> Result<(), WriteError> {
        statements.iter().try_for_each(|statement| {
            let params: Vec<_> =
                statement.params.iter().map(|param| param.as_deref().map(str::as_bytes)).collect();
            self.effects |= effects::of_sql(statement.sql.as_bytes());
            let text = self.marked(&statement.sql);
            self.bound(&text, &params, Origin::Client)?;
            write::describe(&mut self.messages, PORTAL, b"")?;
            self.due.push((Request::Describe, Origin::Client));
            self.execute(Origin::Client)?;
            if statements.len() > 1 {
                // Else the server keeps what it says of each until the last has run, and all seem to be one that takes long.
                write::flush(&mut self.messages);
            }
            Ok(())
        })
    }

    fn marked<'a>(&mut self, sql: &'a str) -> Cow<'a, str> {
        if self.marks.comment.is_empty() {
            return Cow::Borrowed(sql);
        }
        self.marks.lengths.push(sql.chars().count());
        Cow::Owned([sql, &self.marks.comment].concat())
    }

    /// A statement whose success is nobody's business but ours, and whose failure is the client's.
    fn own(&mut self, sql: &str) -> Result<(), WriteError> {
        self.bound(sql, &[], Origin::Replay)?;
        self.execute(Origin::Replay)
    }

    fn bound(&mut self, sql: &str, params: &[Option<&[u8]>], origin: Origin) -> Result<(), WriteError> {
        write::parse(&mut self.messages, b"", sql.as_bytes(), &[])?;
        self.single = self.single.map(|_| self.messages.len());
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
    use pgwire::backend::ErrorFields;

    fn script(body: &str) -> Result<Script, Failure> {
        dressed(body, Dress::default())
    }

    fn dressed(body: &str, dress: Dress) -> Result<Script, Failure> {
        Script::new(&request::parse(&HeaderMap::new(), body.as_bytes()).expect("a request"), dress)
    }

    fn tags(script: Script) -> String {
        let (messages, _marks) = script.into_parts();
        let (mut messages, mut tags) = (messages.as_slice(), String::new());
        while let Some(header) = peek_header(messages).expect("well-formed") {
            tags.push(char::from(header.tag));
            messages = &messages[header.len..];
        }
        tags
    }

    #[test]
    fn a_single_statement_is_one_pipeline() {
        let script = script(r#"{"query":"select $1","params":["a"]}"#).expect("fits");
        assert_eq!(script.due().count(), 5);
        assert_eq!(tags(script), "PBDES");
    }

    #[test]
    fn only_one_statement_as_it_was_written_has_parts() {
        let one = script(r#"{"query":"select $1","params":["a"]}"#).expect("fits");
        let parts = one.single().expect("one statement");
        assert_eq!(parts.text, b"select $1\0\0\0");
        assert_eq!(parts.values, b"\0\0\0\x01\0\0\0\x01a\0\0");
        assert_eq!(parts.rest.first(), Some(&b'D'));
        assert!(script(r#"{"queries":[{"query":"select 1"}]}"#).expect("fits").single().is_none());
        for dress in [
            Dress { comment: Some(" /*x*/".to_owned()), read_only: false },
            Dress { comment: None, read_only: true },
        ] {
            assert!(dressed(r#"{"query":"select 1"}"#, dress).expect("fits").single().is_none());
        }
    }

    #[test]
    fn a_batch_is_one_pipeline_in_one_transaction() {
        let script = script(r#"{"queries":[{"query":"a"},{"query":"b"}]}"#).expect("fits");
        let ours = script.due().filter(|due| due.origin == Origin::Replay).count();
        assert_eq!((ours, script.due().count()), (6, 15));
        assert_eq!(tags(script), "PBEPBDEHPBDEHPBES");
    }

    #[test]
    fn what_may_only_read_is_fenced_in() {
        let dress = || Dress { comment: None, read_only: true };
        let single = dressed(r#"{"query":"select 1"}"#, dress()).expect("fits");
        assert_eq!(tags(single), "PBEPBEPBDEPBES");
        let failure = dressed(r#"{"queries":[{"query":"commit"},{"query":"insert"}]}"#, dress());
        assert!(matches!(failure.expect_err("it would get out"), Failure::Statement { code: "2D000", .. }));
    }

    #[test]
    fn a_comment_stands_behind_each_text_and_in_no_error() {
        let dress = Dress { comment: Some(" /*x*/".to_owned()), read_only: false };
        let script = dressed(r#"{"query":"select é +"}"#, dress).expect("fits");
        let (messages, marks) = script.into_parts();
        let text = "select é + /*x*/\0".as_bytes();
        assert!(messages.windows(text.len()).any(|window| window == text));
        let fields = |fields: &'static [u8]| ErrorBody::from_fields(&ErrorFields::new(fields));
        let mut error = fields(b"C42601\0Msyntax error at end of input\0P17\0\0");
        marks.take_out_of(&mut error, 0);
        let error = serde_json::to_value(&error).expect("text and nulls");
        assert_eq!(error["position"], "11");
        let mut error = fields(b"C42601\0Munterminated string at or near \"'a /*x*/\"\0P3\0\0");
        marks.take_out_of(&mut error, 0);
        let error = serde_json::to_value(&error).expect("text and nulls");
        assert_eq!(error["message"], "unterminated string at or near \"'a\"");
        assert_eq!(error["position"], "3");
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
        assert_eq!(tags(Script::rollback()), "Q");
        assert_eq!(Script::rollback().due().count(), 1);
    }
}
