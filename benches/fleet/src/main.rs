//! `fleet`: load on many PostgreSQL databases at once, through whatever stands before them.
//!
//! See `README.md` beside this crate for the method. What it must never do: wait for an answer before the next request
//! of an open stream, lose a request from its accounts, or touch a server that it was not told to.

mod cost;
mod draw;
mod drive;
mod engine;
mod plan;
mod report;
mod scenario;
mod setup;
mod tally;
mod target;
mod watch;
mod wire;
mod world;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::process::ExitCode;

/// Load on many PostgreSQL databases at once
#[derive(Parser)]
#[command(name = "fleet", version)]
enum Command {
    /// Drive a target: PostgreSQL, or any pooler before it
    Drive(drive::Drive),
    /// Make tenants on a server, and configurations for poolers before it
    Setup(setup::Setup),
    /// Measure what a request costs this program, beside a driver
    Cost(cost::Cost),
    /// Play a scenario with servers and poolers of its own, and print its table
    Scenario {
        /// Which
        #[arg(value_enum)]
        name: scenario::Name,
        #[command(flatten)]
        options: scenario::Options,
    },
}

fn main() -> ExitCode {
    let command = Command::parse();
    allow_many_files();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = run(command) => match outcome {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(error.as_ref()),
            },
            // Dropping what runs stops servers and poolers.
            _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        }
    })
}

async fn run(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Drive(drive) => Ok(drive.run().await?),
        Command::Setup(setup) => Ok(setup.run().await?),
        Command::Cost(cost) => {
            // On a thread of its own, outside this runtime.
            let measured = tokio::task::spawn_blocking(|| cost.run()).await?;
            Ok(measured?)
        }
        Command::Scenario { name, options } => Ok(scenario::play(name, &options).await?),
    }
}

/// A client is a descriptor here, and another one in a pooler, which inherits the limit.
fn allow_many_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without it a large run says that it is out of descriptors.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    eprintln!("error: {text}");
    ExitCode::FAILURE
}
