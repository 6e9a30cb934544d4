//! Running a script on a leased server connection, a part of its result at a time.
//!
//! The server is read only when there is room for what it says. The connection goes back to its pool with the last
//! reply, before the last part of the result is sent; when the run is dropped before, which is also what happens when
//! the client leaves, what runs is cancelled and the connection closed.

mod conversation;
mod reused;

use super::failure::{ErrorBody, Failure};
use super::fault::Fault;
use super::results::Results;
use super::script::Script;
use super::time_limit::TimeLimit;
use crate::metrics::GatewayUsage;
use crate::pool::Lease;
use conversation::{Conversation, Progress};

/// A script that is being run.
pub struct Run {
    /// None once the last reply was read.
    conversation: Option<Conversation>,
    results: Results,
    leaves_nothing: bool,
}

/// How much of the result there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// As much as was asked for; there is more.
    Part,
    /// All of it.
    All,
}

impl Run {
    /// Writes a script for the connection. `results` is empty and knows how to write each result. `limit` is told of
    /// each statement's end here, and is for others to wait for.
    ///
    /// # Errors
    /// The session could not be set up.
    pub fn begin(
        lease: Lease,
        script: Script,
        application_name: Option<&str>,
        results: Results,
        limit: TimeLimit,
    ) -> Result<Self, Failure> {
        let leaves_nothing = script.leaves_nothing();
        let conversation = Conversation::begin(lease, script, application_name, limit)?;
        Ok(Self { conversation: Some(conversation), results, leaves_nothing })
    }

    /// Reads until there is about so much of the result, or all of it.
    ///
    /// # Errors
    /// See [`Failure`]. There is no more to be had then.
    pub async fn fill(&mut self, bytes: usize, usage: &GatewayUsage) -> Result<Filled, Failure> {
        let Some(conversation) = &mut self.conversation else { return Ok(Filled::All) };
        let outcome = conversation.exchange(&mut self.results, bytes).await;
        conversation.count_bytes();
        match outcome {
            Ok(Progress::Full) => Ok(Filled::Part),
            Ok(Progress::Ended) => self.end().await,
            Err(fault) => {
                if matches!(fault, Fault::OutOfSync) {
                    usage.out_of_sync.inc();
                }
                // The conversation ends here, and with it the connection.
                let answer = self.conversation.take().and_then(|conversation| conversation.answer);
                Err(fault.into_failure(answer, self.results.bounds().bytes_max))
            }
        }
    }

    /// What there is of the body. `room`: about how much the next part will have.
    pub fn take(&mut self, room: usize) -> Vec<u8> {
        self.results.take(room)
    }

    /// The connection is closed, and the body ends with the error if its format can say so.
    pub fn fail(&mut self, error: &ErrorBody) -> Option<Vec<u8>> {
        self.conversation = None;
        self.results.fail(error).then(|| self.results.take(0))
    }

    async fn end(&mut self) -> Result<Filled, Failure> {
        let Some(mut conversation) = self.conversation.take() else { return Ok(Filled::All) };
        let answer = conversation.answer.take();
        if answer.is_some() {
            conversation.roll_back(&mut self.results).await;
        }
        conversation.end(self.leaves_nothing);
        match answer {
            Some(answer) => Err(Failure::Server(answer)),
            None => {
                self.results.finish();
                Ok(Filled::All)
            }
        }
    }
}
