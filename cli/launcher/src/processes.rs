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

/// The fourth field of `/proc/PID/stat`; the second is a name in brackets that may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
