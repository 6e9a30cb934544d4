//! Moving messages between a client and a leased server connection.
//!
//! ```text
//!   client ──► buffer ──► client_side: what does it expect? ──► ledger ──► server
//!   client ◄── buffer ◄── server_side: is this what is due?  ◄── ledger ◄── server
//! ```
//!
//! One task owns both sockets while it holds the lease. Bytes are forwarded as they lie in the buffer;
//! only statement names are rewritten. The [`ledger`] holds one entry for every reply that the server
//! still owes, whether to the client or to us. A connection is given back only when the server has
//! reported itself idle and the ledger is empty; a reply that is not the one due condemns it.
//!
//! Session state that a transaction leaves behind is either kept for the client and set again on its
//! next connection ([`settings`], [`prepared`]), or it pins the connection to the client until the
//! client leaves or discards it ([`pin`]). It is never passed on.

pub mod buffer;
pub mod changes;
pub mod client_side;
pub mod deadlines;
pub mod effects;
pub mod exchange;
pub mod handover;
pub mod ledger;
pub mod notify;
pub mod own_request;
pub mod pin;
pub mod policy;
pub mod prepared;
pub mod readable;
pub mod refuse;
pub mod reset;
pub mod server_side;
pub mod session;
pub mod settings;
pub mod sql_lexer;
pub mod welcome;
