//! The requests: what is sent for each, and how many round trips it takes.

use super::{Failure, IDLE, Wire};
use crate::plan::{Mode, Script};
use pgwire::frontend::write;

/// A statement of mode `prepared`: its name, its text, and how to bind it.
struct Statement {
    name: &'static [u8],
    text: &'static str,
    parameters: u8,
}

const SELECT: Statement =
    Statement { name: b"s", text: "select balance from accounts where id = $1::int", parameters: 1 };
const UPDATE: Statement = Statement {
    name: b"u",
    text: "update accounts set balance = balance + 1 where id = $1::int",
    parameters: 1,
};
const BEGIN: Statement = Statement { name: b"b", text: "begin", parameters: 0 };
const COMMIT: Statement = Statement { name: b"c", text: "commit", parameters: 0 };
const SLEEP: Statement = Statement { name: b"p", text: "select pg_sleep($1::int / 1000.0)", parameters: 1 };

impl Wire {
    /// Runs one request. After a failure the session is outside a transaction, or [`Self::is_broken`].
    pub(crate) async fn run(&mut self, script: Script, mode: Mode, key: u32) -> Result<(), Failure> {
        let outcome = self.steps(script, mode, key).await;
        if outcome.is_err() && !self.is_broken() && self.status != IDLE {
            write::query(&mut self.outbound, b"rollback")?;
            self.exchange().await?;
        }
        outcome
    }

    async fn steps(&mut self, script: Script, mode: Mode, key: u32) -> Result<(), Failure> {
        if mode == Mode::Prepared && !self.prepared {
            self.prepare(script).await?;
        }
        match script {
            Script::Login => Ok(()),
            Script::Select => self.execute(&SELECT, mode, key).await,
            Script::Sleep(ms) => self.execute(&SLEEP, mode, ms).await,
            Script::Transaction => {
                self.execute(&BEGIN, mode, key).await?;
                self.execute(&SELECT, mode, key).await?;
                self.execute(&UPDATE, mode, key).await?;
                self.execute(&COMMIT, mode, key).await
            }
        }
    }

    /// Once a connection, in one round trip.
    async fn prepare(&mut self, script: Script) -> Result<(), Failure> {
        let statements: &[&Statement] = match script {
            Script::Login => return Ok(()),
            Script::Select => &[&SELECT],
            Script::Sleep(_) => &[&SLEEP],
            Script::Transaction => &[&BEGIN, &SELECT, &UPDATE, &COMMIT],
        };
        for statement in statements {
            write::parse(&mut self.outbound, statement.name, statement.text.as_bytes(), &[])?;
        }
        write::sync(&mut self.outbound);
        self.exchange().await?;
        self.prepared = true;
        Ok(())
    }

    async fn execute(&mut self, statement: &Statement, mode: Mode, value: u32) -> Result<(), Failure> {
        let value = value.to_string();
        if mode == Mode::Simple {
            write::query(&mut self.outbound, statement.text.replace("$1::int", &value).as_bytes())?;
            return self.exchange().await;
        }
        let name = if mode == Mode::Prepared { statement.name } else { b"" };
        if mode == Mode::Extended {
            write::parse(&mut self.outbound, name, statement.text.as_bytes(), &[])?;
        }
        let parameters = [Some(value.as_bytes())];
        write::bind_text(&mut self.outbound, b"", name, &parameters[..usize::from(statement.parameters)])?;
        write::execute(&mut self.outbound, b"", 0)?;
        write::sync(&mut self.outbound);
        self.exchange().await
    }
}
