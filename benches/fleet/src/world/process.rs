//! Programs that stand before servers. Killed when dropped.

use super::WorldError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

const READY_DEADLINE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How much of what it wrote is shown when it ends early, bytes.
const SAID_MAX: usize = 600;

/// A running program.
pub(crate) struct Process {
    child: Child,
    program: String,
    log: PathBuf,
}

impl Process {
    /// Starts it, with both outputs in the file `log`.
    pub(super) fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self, WorldError> {
        let name = program.display().to_string();
        let file = File::create(log).map_err(WorldError::file(log))?;
        let other = file.try_clone().map_err(WorldError::file(log))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(other).kill_on_drop(true);
        let spawned = command.spawn();
        let child = spawned
            .map_err(|error| WorldError::Program { program: name.clone(), what: error.to_string() })?;
        Ok(Self { child, program: name, log: log.to_owned() })
    }

    /// Waits until it does what shows that it is ready.
    pub(super) async fn ready(&mut self, is_ready: impl AsyncFn() -> bool) -> Result<(), WorldError> {
        let begun = Instant::now();
        while !is_ready().await {
            if !matches!(self.child.try_wait(), Ok(None)) || begun.elapsed() > READY_DEADLINE {
                let what = format!("did not get ready: {}", self.said());
                return Err(WorldError::Program { program: self.program.clone(), what });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Its process id; none once it has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The end of what it wrote.
    fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(SAID_MAX)..]).trim().to_owned()
    }
}
