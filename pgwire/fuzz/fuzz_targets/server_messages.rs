//! See `tenantry_pgwire_fuzz::server_messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenantry_pgwire_fuzz::server_messages::run(data));
