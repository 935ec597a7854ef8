//! Any bytes as a schema and a configuration: an error with a place or balanced code, never a panic, never without bound.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    bolt_tlv_build::model::schema(bytes);
});
