//! A launcher for real PostgreSQL servers on this machine, for `tenantry dev` and for tests.
//!
//! A server started here is a child process in a process group of its own, runs as an unprivileged
//! user when we are root, listens on the loopback address only, asks for a SCRAM password, and is
//! stopped when its [`Server`] is dropped, and also when this process is killed outright.
//!
//! It must never touch a server or a data directory that it did not make, never open a socket that
//! another machine can reach, and never leave a process behind. It is no way to run production.

mod account;
mod binaries;
mod command;
mod control_file;
mod data_dir;
mod error;
mod launch;
mod options;
mod password;
mod places;
mod processes;
mod scratch;
mod server;
mod template;
mod watchdog;

pub use account::Account;
pub use binaries::{Binaries, VERSION_MAJOR_MIN};
pub use data_dir::version_of as data_dir_version;
pub use error::PostgresError;
pub use options::ServerOptions;
pub use password::random_password;
pub use places::{cache_dir, reachable};
pub use scratch::Scratch;
pub use server::{ADMIN_USER, Server};
