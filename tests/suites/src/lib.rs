//! What several suites share. The suites stand beside this folder, one file a theme.

pub mod admin;
pub mod certs;
pub mod crowd;
pub mod deaf;
pub mod flood;
pub mod load;
pub mod nonce;
pub mod people;
pub mod plans;
pub mod settled;
pub mod tls;
