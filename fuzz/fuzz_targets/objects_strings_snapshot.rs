//! Bytes as a snapshot of a `StringPool` and of a `BytesPool`, once as they are and once between a right beginning and a right checksum. Owns nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    bolt_objects::strings_model::run_snapshot(bytes);
    bolt_objects::strings_model::run_snapshot_body(bytes);
});
