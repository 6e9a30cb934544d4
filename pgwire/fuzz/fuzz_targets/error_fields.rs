//! See `tenantry_pgwire_fuzz::error_fields`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tenantry_pgwire_fuzz::error_fields::run(data));
