//! `tenantry console`.

use crate::exit::{CommandError, Exit};
use crate::output;
use crate::password;
use pgwire::scram::Verifier;

/// What can be done for the console.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsoleCommand {
    /// Read a password from standard input, and print what stands for it in console.users
    HashPassword,
}

impl ConsoleCommand {
    pub(crate) fn run(self) -> Result<(), CommandError> {
        let Self::HashPassword = self;
        let password = password::read("Password")?;
        let verifier = Verifier::generate(&password)
            .map_err(|error| CommandError::new(Exit::Failure, format!("cannot make a verifier: {error}")))?;
        output::print(&format!("{verifier}\n"))
    }
}
