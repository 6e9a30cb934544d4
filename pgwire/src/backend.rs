//! What a server sends.
//!
//! The views here borrow from the body of one complete message (see [`crate::frame`]); a relay looks
//! at few of them and forwards the rest by tag. The [`write`](mod@write) module appends the replies
//! that the gateway gives itself, where no server has spoken.
//!
//! Formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

pub mod write;

mod authentication;
mod error_fields;
mod rows;
mod status;

#[cfg(test)]
mod tests;

pub use authentication::{Authentication, Mechanisms};
pub use error_fields::ErrorFields;
pub use rows::{DataRow, FieldDescription, RowDescription, data_row, row_description};
pub use status::{TransactionStatus, backend_key_data, command_complete, parameter_status, ready_for_query};

/// The tag byte of each message that a server may send.
pub mod tag {
    /// AuthenticationOk and all other questions and answers of a login.
    pub const AUTHENTICATION: u8 = b'R';
    /// BackendKeyData.
    pub const BACKEND_KEY_DATA: u8 = b'K';
    /// BindComplete.
    pub const BIND_COMPLETE: u8 = b'2';
    /// CloseComplete.
    pub const CLOSE_COMPLETE: u8 = b'3';
    /// CommandComplete.
    pub const COMMAND_COMPLETE: u8 = b'C';
    /// CopyBothResponse; replication only.
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    /// CopyData, in both directions.
    pub const COPY_DATA: u8 = b'd';
    /// CopyDone, in both directions.
    pub const COPY_DONE: u8 = b'c';
    /// CopyInResponse.
    pub const COPY_IN_RESPONSE: u8 = b'G';
    /// CopyOutResponse.
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    /// DataRow.
    pub const DATA_ROW: u8 = b'D';
    /// EmptyQueryResponse, in place of CommandComplete.
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    /// ErrorResponse.
    pub const ERROR_RESPONSE: u8 = b'E';
    /// FunctionCallResponse.
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    /// NegotiateProtocolVersion.
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    /// NoData, in place of RowDescription.
    pub const NO_DATA: u8 = b'n';
    /// NoticeResponse; may come at any time.
    pub const NOTICE_RESPONSE: u8 = b'N';
    /// NotificationResponse; may come at any time.
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    /// ParameterDescription.
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    /// ParameterStatus; may come at any time.
    pub const PARAMETER_STATUS: u8 = b'S';
    /// ParseComplete.
    pub const PARSE_COMPLETE: u8 = b'1';
    /// PortalSuspended, in place of CommandComplete.
    pub const PORTAL_SUSPENDED: u8 = b's';
    /// ReadyForQuery.
    pub const READY_FOR_QUERY: u8 = b'Z';
    /// RowDescription.
    pub const ROW_DESCRIPTION: u8 = b'T';
}
