//! The extended protocol, for drivers that speak nothing else: statements without parameters, and their portals.

use super::command::{Command, Subject};
use super::failure::Failure;
use super::rows::{Column, Formats, Rows, describe};
use super::session::{Answer, End, Session, Stop, parameter, protocol, utf8};
use super::{show, statement};
use pgwire::SqlState;
use pgwire::backend::write;
use pgwire::frontend::{Bind, DescribeOrClose, Execute, Parse, STATEMENT, tag};
use std::collections::HashMap;

/// Statements and portals that a session may have open, each. Drivers keep a handful.
const OPEN_MAX: usize = 256;

/// What a session has prepared.
#[derive(Default)]
pub(super) struct Extended {
    statements: HashMap<Vec<u8>, Option<Command>>,
    portals: HashMap<Vec<u8>, Portal>,
    /// A message has failed: nothing counts before the next Sync.
    skipping: bool,
}

struct Portal {
    /// `None` is the empty statement.
    command: Option<Command>,
    formats: Formats,
    /// Where it stands, once it was begun.
    progress: Option<Progress>,
}

enum Progress {
    Table(&'static [Column], Rows),
    Done(&'static str),
}

impl Extended {
    /// What follows counts again.
    pub(super) fn sync(&mut self) {
        self.skipping = false;
        self.portals.clear();
    }

    /// A message has failed.
    pub(super) fn skip_to_sync(&mut self) {
        self.skipping = true;
    }

    /// Answers one message.
    pub(super) async fn message(&mut self, session: &mut Session, tag: u8, body: &[u8]) -> Result<(), Stop> {
        let malformed = |error: pgwire::MessageError| protocol(error.to_string());
        match tag {
            tag::PARSE | tag::BIND | tag::DESCRIBE | tag::CLOSE | tag::EXECUTE if self.skipping => Ok(()),
            tag::PARSE => self.parse(session, Parse::parse(body).map_err(malformed)?),
            tag::BIND => self.bind(session, Bind::parse(body).map_err(malformed)?),
            tag::DESCRIBE => self.describe(session, DescribeOrClose::parse(body).map_err(malformed)?),
            tag::CLOSE => {
                self.close(DescribeOrClose::parse(body).map_err(malformed)?);
                write::close_complete(&mut session.out);
                Ok(())
            }
            tag::EXECUTE => self.execute(session, Execute::parse(body).map_err(malformed)?).await,
            other => Err(protocol(format!("unexpected message type {other}")).into()),
        }
    }

    fn parse(&mut self, session: &mut Session, parse: Parse<'_>) -> Result<(), Stop> {
        let statements = statement::split(utf8(parse.query)?)?;
        let command = match statements.as_slice() {
            [] => None,
            [statement] => Some(Command::parse(statement)?),
            _ => {
                return Err(
                    Failure::syntax("cannot insert multiple commands into a prepared statement").into()
                );
            }
        };
        if !parse.name.is_empty() && self.statements.contains_key(parse.name) {
            let message = "a prepared statement of this name already exists";
            return Err(Failure::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        if self.statements.len() >= OPEN_MAX {
            return Err(too_many("statements").into());
        }
        self.statements.insert(parse.name.to_vec(), command);
        write::parse_complete(&mut session.out);
        Ok(())
    }

    fn bind(&mut self, session: &mut Session, bind: Bind<'_>) -> Result<(), Stop> {
        let command = self.statements.get(bind.statement).ok_or_else(no_statement)?.clone();
        let formats = result_formats(bind.rest)?;
        let columns = command.as_ref().and_then(columns_of).map_or(0, <[Column]>::len);
        if columns > 0 && !formats.fit(columns) {
            return Err(
                protocol("bind message has as many result formats as no result of this statement").into()
            );
        }
        if self.portals.len() >= OPEN_MAX {
            return Err(too_many("portals").into());
        }
        self.portals.insert(bind.portal.to_vec(), Portal { command, formats, progress: None });
        write::bind_complete(&mut session.out);
        Ok(())
    }

    fn describe(&self, session: &mut Session, what: DescribeOrClose<'_>) -> Result<(), Stop> {
        let (command, formats) = if what.kind == STATEMENT {
            let command = self.statements.get(what.name).ok_or_else(no_statement)?;
            write::no_parameters(&mut session.out);
            (command, &Formats::default())
        } else {
            let portal = self.portals.get(what.name).ok_or_else(no_portal)?;
            (&portal.command, &portal.formats)
        };
        match command.as_ref().and_then(columns_of) {
            Some(columns) => describe(&mut session.out, columns, formats),
            None => write::no_data(&mut session.out),
        }
        Ok(())
    }

    fn close(&mut self, what: DescribeOrClose<'_>) {
        if what.kind == STATEMENT {
            self.statements.remove(what.name);
        } else {
            self.portals.remove(what.name);
        }
    }

    async fn execute(&mut self, session: &mut Session, execute: Execute<'_>) -> Result<(), Stop> {
        let portal = self.portals.get_mut(execute.portal).ok_or_else(no_portal)?;
        let Some(command) = &portal.command else {
            write::empty_query_response(&mut session.out);
            return Ok(());
        };
        let progress = match portal.progress.take() {
            Some(progress) => progress,
            None => match session.carry_out(command).await? {
                Answer::Table(columns, rows) => Progress::Table(columns, rows),
                Answer::Done(tag) => Progress::Done(tag),
            },
        };
        match progress {
            Progress::Done(tag) => write::command_complete(&mut session.out, tag.as_bytes()),
            Progress::Table(columns, mut rows) => {
                let limit = usize::try_from(execute.max_rows).ok().filter(|limit| *limit > 0);
                if send(session, columns, &portal.formats, &mut rows, limit).await? {
                    write::command_complete(&mut session.out, b"SHOW");
                } else {
                    write::portal_suspended(&mut session.out);
                    portal.progress = Some(Progress::Table(columns, rows));
                }
            }
        }
        Ok(())
    }
}

/// Sends rows, `limit` at most. `true`: those were all.
async fn send(
    session: &mut Session,
    columns: &[Column],
    formats: &Formats,
    rows: &mut Rows,
    limit: Option<usize>,
) -> Result<bool, End> {
    let mut left = limit;
    loop {
        if left == Some(0) {
            return Ok(false);
        }
        let Some(row) = rows.next() else { return Ok(true) };
        session.row(columns, formats, &row).await?;
        left = left.map(|left| left - 1);
    }
}

fn columns_of(command: &Command) -> Option<&'static [Column]> {
    match command {
        Command::Show(Subject::Help, _) => None,
        Command::Show(subject, _) => show::columns(*subject),
        Command::Parameter(name, _) => Some(parameter(name)),
        _ => None,
    }
}

/// The formats at the end of a Bind that brings no parameters
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
fn result_formats(mut rest: &[u8]) -> Result<Formats, Stop> {
    let truncated = || Stop::End(protocol("a bind message ends too early"));
    let parameter_formats = number(&mut rest).ok_or_else(truncated)?;
    rest = rest.get(usize::from(parameter_formats) * 2..).ok_or_else(truncated)?;
    let parameters = number(&mut rest).ok_or_else(truncated)?;
    if parameters > 0 {
        let message = format!("bind message supplies {parameters} parameters, but commands have none");
        return Err(Failure::new(SqlState::PROTOCOL_VIOLATION, message).into());
    }
    let count = number(&mut rest).ok_or_else(truncated)?;
    let mut formats = Vec::with_capacity(usize::from(count).min(OPEN_MAX));
    for _ in 0..count {
        match number(&mut rest).ok_or_else(truncated)? {
            format @ (0 | 1) => formats.push(format == 1),
            format => {
                let message = format!("invalid format code: {format}");
                return Err(Failure::new(SqlState::INVALID_PARAMETER_VALUE, message).into());
            }
        }
    }
    Ok(Formats::new(formats))
}

fn number(rest: &mut &[u8]) -> Option<u16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(u16::from_be_bytes(*head))
}

fn no_statement() -> Failure {
    Failure::new(SqlState::INVALID_SQL_STATEMENT_NAME, "prepared statement does not exist")
}

fn no_portal() -> Failure {
    Failure::new(SqlState::INVALID_CURSOR_NAME, "portal does not exist")
}

fn too_many(what: &str) -> Failure {
    Failure::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a session has at most {OPEN_MAX} {what} open"))
}
