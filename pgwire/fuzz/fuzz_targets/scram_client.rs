//! See `tenantry_pgwire_fuzz::scram_client`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenantry_pgwire_fuzz::scram_client::run(data));
