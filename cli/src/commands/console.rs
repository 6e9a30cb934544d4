//! `tenantry console`.

use crate::exit::{CommandError, Exit};
use crate::output;
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use pgwire::scram::Verifier;
use std::io::{BufRead, IsTerminal, Read, Stdin};
use tenancy::Secret;

/// Longer ones are no passwords, but a file that was given by mistake.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// What can be done for the console.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsoleCommand {
    /// Read a password from standard input, and print what stands for it in console.users
    HashPassword,
}

impl ConsoleCommand {
    pub(crate) fn run(self) -> Result<(), CommandError> {
        let Self::HashPassword = self;
        let password = read_password()?;
        let verifier = Verifier::generate(&password)
            .map_err(|error| CommandError::new(Exit::Failure, format!("cannot make a verifier: {error}")))?;
        output::print(&format!("{verifier}\n"))
    }
}

fn read_password() -> Result<Secret, CommandError> {
    let stdin = std::io::stdin();
    let silence = stdin.is_terminal().then(|| {
        eprint!("Password: ");
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
