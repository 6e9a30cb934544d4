//! See `tenantry_pgwire_fuzz::rows`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenantry_pgwire_fuzz::rows::run(data));
