//! What a server is started with.

use crate::Binaries;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tenancy::Secret;

/// How long `initdb`, and then the server, may take. A loaded machine needs a few seconds.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Loses data when the machine crashes, and in exchange never waits for a disk. `synchronous_commit` stays
/// on: what is committed survives the death of the server, which tests bring about.
const THROWAWAY_SETTINGS: [(&str, &str); 4] =
    [("fsync", "off"), ("full_page_writes", "off"), ("max_wal_size", "256MB"), ("shared_buffers", "32MB")];

/// Where a server keeps its data, how it is reached, and what it may lose.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub(crate) binaries: Binaries,
    pub(crate) data_dir: PathBuf,
    pub(crate) durable: bool,
    pub(crate) port: u16,
    pub(crate) port_is_wish: bool,
    pub(crate) password: Option<Secret>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) deadline: Duration,
}

impl ServerOptions {
    /// A server that may lose its data when the machine crashes; it is made quickly, from a template.
    #[must_use]
    pub fn throwaway(binaries: Binaries, data_dir: &Path) -> Self {
        let settings =
            THROWAWAY_SETTINGS.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { durable: false, settings, ..Self::durable(binaries, data_dir) }
    }

    /// A server whose committed data survives a crash.
    #[must_use]
    pub fn durable(binaries: Binaries, data_dir: &Path) -> Self {
        Self {
            binaries,
            data_dir: data_dir.to_owned(),
            durable: true,
            port: 0,
            port_is_wish: true,
            password: None,
            settings: Vec::new(),
            deadline: READY_DEADLINE,
        }
    }

    /// The port to listen on, or fail. Otherwise a free one is chosen.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self.port_is_wish = port == 0;
        self
    }

    /// The port to listen on if it is free.
    #[must_use]
    pub const fn preferred_port(mut self, port: u16) -> Self {
        self.port = port;
        self.port_is_wish = true;
        self
    }

    /// The administrator's password: of an existing data directory, or to be given to a new one.
    /// Without it a random one is made, which only works for a new data directory.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// A server setting, over those of `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long `initdb`, and then the server, may take to get ready.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}
