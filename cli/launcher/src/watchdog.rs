//! Starting a server so that it never outlives us.
//!
//! A process that is killed with SIGKILL cannot clean up, so somebody else must. A shell starts a
//! watchdog and then becomes the server (`exec`), so our child is the server itself. The watchdog
//! reads from a pipe that we hold: a line means that the server has been stopped in order, the
//! pipe's end that we are gone. Then it stops the server, hard if it must.
//!
//! Not `PR_SET_PDEATHSIG`: it fires when the *thread* that started the child ends, and the thread of
//! a runtime may.

use crate::{Account, PostgresError, command};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

/// The watchdog is orphaned by its inner `&`, so that the server does not find a child it never made. It
/// checks that the process id is still the server's before it sends anything. 30 s are for a last checkpoint.
const SCRIPT: &str = r#"
data_dir=$1
shift
exec 3<&0 </dev/null
( (
    trap '' HUP INT TERM
    read -r stopped <&3 && exit 0
    alive() { kill -0 $$ && [ "$(head -n 1 "$data_dir/postmaster.pid")" = $$ ]; }
    kill -CONT $$
    kill -INT $$
    seconds=0
    while alive && [ $seconds -lt 30 ]; do sleep 1; seconds=$((seconds + 1)); done
    alive && kill -QUIT $$
) >/dev/null 2>&1 & )
exec 3<&-
exec "$@"
"#;

/// A server process under watch.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) child: Child,
    line: Option<ChildStdin>,
}

impl Watched {
    /// Starts `program` in a process group of its own, so that a Ctrl-C in the terminal reaches us alone.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        data_dir: &Path,
        account: &Account,
        log: &File,
    ) -> Result<Self, PostgresError> {
        let mut shell = command::prepare(Path::new("/bin/sh"), account);
        shell.args(["-c", SCRIPT, "sh"]).arg(data_dir).arg(program).args(arguments);
        let log = || log.try_clone().map(Stdio::from).map_err(PostgresError::io("open the log of", data_dir));
        shell.stdin(Stdio::piped()).stdout(log()?).stderr(log()?).process_group(0);
        let mut child =
            shell.spawn().map_err(|source| PostgresError::Run { program: program.to_owned(), source })?;
        let line = child.stdin.take();
        Ok(Self { child, line })
    }

    /// Has the server ended? If so, the watchdog is sent home.
    pub(crate) fn has_exited(&mut self) -> bool {
        // An error means that there is no such child: it has ended.
        let ended = !matches!(self.child.try_wait(), Ok(None));
        if ended && let Some(mut line) = self.line.take() {
            let _ = line.write_all(b"stopped\n");
        }
        ended
    }
}
