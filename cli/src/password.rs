//! Passwords that people type, or a script gives on standard input. Never an argument: other users can read those.

use crate::exit::{CommandError, Exit};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use std::io::{BufRead, IsTerminal, Read, Stdin};
use tenancy::Secret;

/// Longer ones are no passwords, but a file that was given by mistake.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Reads one line from standard input; a terminal is asked with `prompt` and does not show what is typed.
pub(crate) fn read(prompt: &str) -> Result<Secret, CommandError> {
    let stdin = std::io::stdin();
    let silence = stdin.is_terminal().then(|| {
        eprint!("{prompt}: ");
        Silence::begin(&stdin)
    });
    let mut line = String::new();
    let read = stdin.lock().take(PASSWORD_BYTES_MAX).read_line(&mut line);
    if silence.is_some() {
        drop(silence);
        eprintln!();
    }
    read.map_err(|error| CommandError::new(Exit::Failure, format!("cannot read the password: {error}")))?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(CommandError::new(Exit::Usage, "the password is empty")
            .hint("type it, or give it on standard input")),
        password => Ok(Secret::new(password.to_owned())),
    }
}

/// A terminal that does not show what is typed, for as long as this lives.
struct Silence<'a> {
    stdin: &'a Stdin,
    before: Option<Termios>,
}

impl<'a> Silence<'a> {
    fn begin(stdin: &'a Stdin) -> Self {
        let before = termios::tcgetattr(stdin).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_flags.remove(LocalFlags::ECHO);
            // A terminal that cannot be silenced shows the password; there is nothing else to do about it.
            let _ = termios::tcsetattr(stdin, SetArg::TCSAFLUSH, &silent);
        }
        Self { stdin, before }
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(self.stdin, SetArg::TCSAFLUSH, before);
        }
    }
}
