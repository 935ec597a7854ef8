//! Bytes as operations on an `ObjectPool`, against a naive pool. Owns nothing: the model is `bolt_objects::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_objects::model::run(bytes));
