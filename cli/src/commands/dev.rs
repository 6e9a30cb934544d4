//! `tenantry dev`.

use crate::cli::Options;
use crate::dev::{
    Announcement, DevError, Ports, Stack, StackOptions, announce, default_data_dir, start_screen,
};
use crate::exit::{CommandError, Exit};
use crate::signal::StopSignals;
use crate::{logging, output};
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// What the local stack takes besides `--data-dir`.
#[derive(Debug, clap::Args)]
pub(crate) struct DevCommand {
    /// Keep nothing: use a temporary directory, or an empty one that is named, and do not wait for the disk
    #[arg(long)]
    ephemeral: bool,
    #[command(flatten)]
    ports: Ports,
    /// The directory of PostgreSQL's programs [default: TENANTRY_PG_BIN, else looked for]
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

impl DevCommand {
    pub(crate) async fn run(self, options: &Options) -> Result<(), CommandError> {
        let data_dir = options.endpoint.data_dir.clone();
        let mut signals = StopSignals::listen()?;
        let stack_options = match (self.ephemeral, data_dir) {
            (true, None) => StackOptions::ephemeral(),
            (true, Some(dir)) => StackOptions::ephemeral_in(dir),
            (false, dir) => StackOptions::kept_in(dir.unwrap_or_else(default_data_dir)),
        };
        let stack_options = stack_options.pg_bin(self.pg_bin).ports(self.ports);
        let starting = Stack::start_logged(stack_options, |dir| logging::to_file(&dir.join("tenantry.log")));
        let waiting = waiting_sign();
        let started = tokio::select! {
            started = starting => started,
            () = signals.received() => {
                return Err(CommandError::new(Exit::Interrupted, "interrupted while starting"));
            }
        };
        waiting.finish_and_clear();
        let stack = started?;
        let announcement = announce(stack.data_dir())?;
        output::print(&(start_screen(&stack, &own_name()) + "\n"))?;
        run_until_stopped(stack, announcement, &mut signals).await
    }
}

/// How this program was called, so that what the screen says can be typed as it stands.
fn own_name() -> String {
    std::env::args().next().unwrap_or_else(|| "tenantry".to_owned())
}

async fn run_until_stopped(
    mut stack: Stack,
    announcement: Announcement,
    signals: &mut StopSignals,
) -> Result<(), CommandError> {
    let failure = tokio::select! {
        failure = stack.failure() => Some(failure),
        () = signals.received() => None,
    };
    eprintln!("stopping");
    drop(announcement);
    let stopped = tokio::select! {
        stopped = stack.stop() => stopped,
        // The watchdogs stop the servers.
        () = signals.received() => {
            return Err(CommandError::new(Exit::Interrupted, "interrupted while stopping"));
        }
    };
    match failure {
        Some(failure) => Err(failure.into()),
        None => stopped.map_err(|error: DevError| error.into()),
    }
}

fn waiting_sign() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(indicatif::ProgressStyle::default_spinner());
    bar.set_message("starting a catalog and a cluster in each of two regions");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
