//! What repairs, without being asked, what is not as it should be. Takes no input, may run twice and anywhere, and must
//! never change anything that is as it should be.

pub(crate) mod access_roles;
mod by_cluster;
pub(crate) mod domains;
pub(crate) mod role_keys;
pub(crate) mod role_settings;
pub(crate) mod signing_keys;
pub(crate) mod storage;
