//! `tenantry`: everything is in the library, so that tests can use it.

use clap::Parser;
use std::process::ExitCode;
use tenantry::cli::Cli;
use tenantry::exit::{CommandError, Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => Err(CommandError::new(Exit::Failure, format!("cannot start threads: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error.lines());
            error.exit.into()
        }
    }
}
