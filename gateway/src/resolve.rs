//! Which tenant is meant, and where it lives.
//!
//! [`startup`] reads the tenant's name out of a wire connection, [`connection_string`] out of an HTTP
//! header; by the rule in [`agreement`] two sources that disagree are an error, never a choice.
//! [`routes`] turns the name into a [`Tenant`] from a cache that [`follow`] keeps current. A tenant that is cached is served whether or not the catalog can be reached.

pub mod agreement;
pub mod connection_string;
pub mod doubts;
pub mod follow;
pub mod host;
pub mod pool_mode;
pub mod routes;
pub mod startup;
pub mod tenant;

pub use doubts::Doubts;
pub use routes::Routes;
pub use tenant::Tenant;
