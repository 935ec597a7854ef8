//! Bytes as operations on a `StringPool` or a `BytesPool`, against a naive map. Owns nothing: the model is `bolt_objects::strings_model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_objects::strings_model::run(bytes));
