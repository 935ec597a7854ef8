//! Bytes as operations on a `BufferPool` of batches and receipts, against a naive oracle. Owns nothing: the model is `bolt_triple::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_triple::model::run(bytes));
