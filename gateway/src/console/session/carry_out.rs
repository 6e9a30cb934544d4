//! Carrying out one command, whichever protocol it came by.

use super::{Answer, End, Session, Stop, draining};
use crate::console::command::{Command, Subject, not_configurable};
use crate::console::control::{self, Wait};
use crate::console::failure::Failure;
use crate::console::rows::{Column, Type};
use crate::console::show;
use config::ConsoleRole;
use pgwire::backend::write;
use pgwire::{ErrorResponse, Severity, SqlState};
use std::future::poll_fn;
use std::sync::Arc;

/// As much of a command as the log repeats.
const LOGGED_CHARS: usize = 200;

const HELP: &str = "
\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
\tSHOW TENANTS|CLUSTERS|LISTS|MEM|STATE
\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS
\tSHOW ROUTE <tenant>
\tPAUSE [<tenant>]
\tRESUME [<tenant>]
\tDISABLE <tenant>
\tENABLE <tenant>
\tRECONNECT [<tenant>]
\tKILL [<tenant>]
\tKILL_CLIENT <client_id>
\tWAIT_CLOSE [<tenant>]";

impl Session {
    /// Carries out a command, if this operator may say it. Each one leaves a line in the log.
    pub(in crate::console) async fn carry_out(&mut self, command: &Command) -> Result<Answer, Stop> {
        self.shared.console.commands.inc();
        let done = if command.needs() == ConsoleRole::Admin && self.role != ConsoleRole::Admin {
            let failure = Failure::new(SqlState::INSUFFICIENT_PRIVILEGE, "admin access needed");
            Err(failure.hint("your role at the console is stats, which may only SHOW").into())
        } else {
            self.carry_out_allowed(command).await
        };
        let what: String = format!("{command:?}").chars().take(LOGGED_CHARS).collect();
        match &done {
            Ok(_) => tracing::info!(command = what, peer = %self.peer, "a console command was carried out"),
            Err(Stop::Failed(failure)) => {
                tracing::info!(command = what, sqlstate = %failure.code, "a console command failed");
            }
            Err(Stop::End(_)) => tracing::info!(command = what, "the operator left during a console command"),
        }
        done
    }

    async fn carry_out_allowed(&mut self, command: &Command) -> Result<Answer, Stop> {
        Ok(match command {
            Command::Show(Subject::Help, _) => {
                self.help();
                Answer::Done("SHOW")
            }
            Command::Show(subject, tenant) => {
                let columns = show::columns(*subject).unwrap_or_default();
                Answer::Table(columns, show::rows(*subject, tenant.as_deref(), &self.shared).await?)
            }
            Command::Parameter(name, value) => {
                Answer::Table(parameter(name), Box::new(std::iter::once(vec![(*value).into()])))
            }
            Command::Control(verb, target) => {
                if let Some(wait) = control::carry_out(*verb, target.as_deref(), &self.shared).await? {
                    self.wait(&wait).await?;
                }
                Answer::Done(verb.word())
            }
            Command::Configure => return Err(not_configurable().into()),
            Command::Ignore(tag) => Answer::Done(tag),
            Command::Begin => {
                self.in_block = true;
                Answer::Done("BEGIN")
            }
            Command::End(tag) => {
                self.in_block = false;
                Answer::Done(tag)
            }
        })
    }

    /// Waits, unless the operator cancels or leaves.
    async fn wait(&mut self, wait: &Wait) -> Result<(), Stop> {
        // What was answered so far is seen while this lasts.
        self.flush().await?;
        let (shared, slot, stream) = (Arc::clone(&self.shared), self.cancel.slot(), &mut self.stream);
        slot.waiting();
        let outcome = tokio::select! {
            () = wait.done(&shared) => Ok(()),
            () = slot.cancelled() => {
                wait.give_up(&shared);
                let message = "canceling statement due to user request";
                Err(Failure::new(SqlState::QUERY_CANCELED, message).into())
            }
            // A pause outlives the session that asked for it, as any other command does.
            () = poll_fn(|cx| stream.poll_gone(cx)) => Err(End::Gone.into()),
            () = shared.drain.cancelled() => Err(draining().into()),
        };
        slot.stopped();
        outcome
    }

    /// PgBouncer's form: a notice that psql shows to people, and that programs ignore.
    fn help(&mut self) {
        let notice = ErrorResponse {
            detail: Some(HELP),
            ..ErrorResponse::new(Severity::Notice, SqlState::SUCCESSFUL_COMPLETION, "Console usage")
        };
        write::notice(&mut self.out, &notice);
    }
}

/// The one column of a parameter, which is named like it.
pub(in crate::console) fn parameter(name: &str) -> &'static [Column] {
    const NAMES: [&[Column]; 9] = {
        const fn column(name: &'static str) -> Column {
            Column { name, kind: Type::Text }
        }
        [
            &[column("client_encoding")],
            &[column("default_transaction_isolation")],
            &[column("standard_conforming_strings")],
            &[column("datestyle")],
            &[column("timezone")],
            &[column("server_encoding")],
            &[column("server_version")],
            &[column("transaction_isolation")],
            &[column("transaction_read_only")],
        ]
    };
    NAMES.into_iter().find(|columns| columns.iter().any(|column| column.name == name)).unwrap_or_default()
}
