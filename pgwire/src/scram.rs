//! SCRAM-SHA-256 (RFC 5802, RFC 7677), as the server to clients and as a client to servers.
