//! Work that heeds no cancel.

/// Each of the blocks catches what comes while the one inside it handles another: several cancels in a row end
/// the innermost, and not the statement.
pub const STATEMENT: &str = "do $$ begin loop begin loop begin loop begin perform pg_sleep(3600); \
    exception when query_canceled then null; end; end loop; \
    exception when query_canceled then null; end; end loop; \
    exception when query_canceled then null; end; end loop; end $$";

/// What finds it in `pg_stat_activity`.
pub const IS_AT_WORK: &str = "state = 'active' and query like 'do $$ begin loop%'";
