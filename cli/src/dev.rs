//! The whole of Tenantry on one machine, for trying it out, developing on it and testing it.
//!
//! A [`Stack`] is a catalog, real PostgreSQL clusters in several regions, the control plane and the
//! gateway. Tests build one in a temporary directory; `tenantry dev` keeps one in a data directory.
//! Both planes run as tasks of this process and read the same configuration files that an operator
//! would write; regions and clusters are registered through the control plane's own API.
//!
//! Nothing here listens beyond the loopback address, and no secret is ever written to a file that
//! other users may read.

mod configs;
mod error;
mod files;
mod home;
mod options;
mod places;
mod planes;
mod ports;
mod register;
mod screen;
mod servers;
mod stack;

pub use error::DevError;
pub use options::{ClusterSpec, Ports, StackOptions};
pub use places::{Announcement, announce, default_data_dir, running_data_dir};
pub(crate) use planes::chain;
pub use screen::start_screen;
pub use stack::Stack;
