//! Signals to a server and to the backends it forked.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn signal(pid: Pid, signal: Signal) {
    let _ = kill(pid, signal);
}

/// Is there a process with this id, whoever owns it?
pub(crate) fn exists(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(Errno::ESRCH))
}

/// The server and its backends. Each backend leads a process group of its own, so no single
/// signal reaches all. Where there is no `/proc` it is the server alone.
pub(crate) fn family(server: Pid) -> Vec<Pid> {
    let children = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        (parent_of(pid)? == server.as_raw()).then_some(Pid::from_raw(pid))
    });
    std::iter::once(server).chain(children).collect()
}

/// Does it still run? One that has ended and was not waited for has nothing open any more. Where there is no `/proc` the
/// answer is no.
pub(crate) fn runs(pid: Pid) -> bool {
    behind_the_name(pid.as_raw(), 0).is_some_and(|state| !matches!(state.as_str(), "Z" | "X"))
}

fn parent_of(pid: i32) -> Option<i32> {
    behind_the_name(pid, 1)?.parse().ok()
}

/// A field of `/proc/PID/stat` behind the second, which is a name in brackets that may hold anything.
fn behind_the_name(pid: i32, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(field).map(str::to_owned)
}
