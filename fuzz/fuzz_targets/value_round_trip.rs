//! Bytes as the description of a value that is written and read again. Owns nothing: the model is `bolt_wire::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_wire::model::round_trip(bytes));
