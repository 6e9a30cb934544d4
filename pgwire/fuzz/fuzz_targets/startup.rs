//! See `tenantry_pgwire_fuzz::startup`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenantry_pgwire_fuzz::startup::run(data));
