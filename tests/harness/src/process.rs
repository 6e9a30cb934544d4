//! Processes of ours that tests can kill.

use crate::wait::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

/// A `tenantry` process. Killed when dropped.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    log: File,
}

impl ChildProcess {
    /// Starts `tenantry` with these arguments, and none of the environment that would lead it elsewhere.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn tenantry<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let log = anonymous_file();
        let side = || Stdio::from(log.try_clone().expect("a file can be opened twice"));
        let child = Self::command()
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("tenantry can be started");
        Self { child, log }
    }

    /// A `tenantry` command without `TENANTRY_*` in its environment.
    #[must_use]
    pub fn command() -> Command {
        let mut command = Command::new(binary());
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("TENANTRY_") && key != "TENANTRY_PG_BIN" {
                command.env_remove(key);
            }
        }
        command
    }

    /// Kills it as the kernel does: it gets no chance to say anything.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }

    /// Asks it to stop, as a supervisor does.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn terminate(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are positive"));
        kill(pid, Signal::SIGTERM).expect("our own child can be sent a signal");
    }

    /// Waits until it has ended by itself, and says with which exit code; `None` if a signal ended it.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn exit_code(&mut self) -> Option<i32> {
        eventually("the process has ended", async || self.ended()).await.code()
    }

    /// Has it not ended yet?
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far, to both outputs.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn said(&self) -> String {
        let mut log = &self.log;
        // The child writes at the end whatever we do: its end of the file is opened for appending.
        log.rewind().expect("a file has a beginning");
        let mut text = String::new();
        log.read_to_string(&mut text).expect("logs are text");
        text
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file without a name, opened for appending.
fn anonymous_file() -> File {
    let path = std::env::temp_dir().join(format!("tenantry-test-{}-{:?}", std::process::id(), thread_id()));
    let file = File::options().create_new(true).read(true).append(true).open(&path);
    let file = file.expect("the directory for temporary files can be written to");
    std::fs::remove_file(&path).expect("a file of ours can be removed");
    file
}

fn thread_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The `tenantry` program beside this test. `cargo test -p suites` does not build it, so we do.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        // target/debug/deps/test
        let profile = test.ancestors().nth(2).expect("cargo keeps tests three levels deep").to_owned();
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--package", "tenantry"]);
            if profile.ends_with("release") {
                build.arg("--release");
            }
            let built = build.status().expect("cargo can be run");
            assert!(built.success(), "tenantry does not build");
        }
        profile.join("tenantry")
    })
}
