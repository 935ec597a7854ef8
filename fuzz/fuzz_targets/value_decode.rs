//! Bytes as a value and as a RECORD, read beside a naive oracle. Owns nothing: the model is `bolt_wire::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_wire::model::decode(bytes));
