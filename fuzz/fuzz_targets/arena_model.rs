//! Bytes as operations on a `BoltPool`, against a naive oracle. Owns nothing: the model is `bolt_arena::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_arena::model::run(bytes));
