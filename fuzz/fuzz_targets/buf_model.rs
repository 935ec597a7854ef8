//! Bytes as operations on a `BoltBuf`, against a plain `Vec`. Owns nothing: the model is `bolt_buf::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_buf::model::run(bytes));
