//! Anything as a handshake, both ways, whole and byte by byte; and both halves against each other. Owns nothing: the model is `bolt_wire::model_proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_wire::model_proto::handshake(bytes));
