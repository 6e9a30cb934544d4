//! `tenantry completions`.

use crate::cli::Cli;
use crate::exit::CommandError;
use crate::output;
use clap::CommandFactory;
use clap_complete::Shell;

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsCommand {
    /// The shell that is to run the script
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsCommand {
    pub(crate) fn run(self) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tenantry", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
