//! Chunked streams in any cuts, against a naive reader. Owns nothing: the model is `bolt_wire::model_proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_wire::model_proto::dechunk(bytes));
