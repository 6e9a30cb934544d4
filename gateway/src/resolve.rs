//! Which tenant is meant, and where it lives.
//!
//! [`startup`] collects what a wire connection says of its tenant, [`request`] what an HTTP request says, with
//! [`connection_string`] for one of its headers and [`host`] for both: [`claims`]. By the rule in [`agreement`] two that
//! disagree are an error, never a choice. [`routes`] turns names into a [`Tenant`] from a cache that [`follow`] keeps
//! current. A tenant that is cached is served whether or not the catalog can be reached.

pub mod agreement;
pub mod claims;
pub mod connection_string;
pub mod domains;
pub mod doubts;
pub mod features;
pub mod follow;
pub mod host;
pub mod installation;
pub mod pool_mode;
pub mod request;
pub mod routes;
pub mod startup;
pub mod tenant;

pub use agreement::{Court, Found};
pub use claims::{Claim, Claims, Named};
pub use doubts::Doubts;
pub use installation::Installation;
pub use routes::Routes;
pub use tenant::Tenant;
