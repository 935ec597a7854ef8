//! Bytes as operations on a `BufferPool`, against a naive pool. Owns nothing: the model is `bolt_tlv::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_tlv::model::run_pool(bytes));
