//! Bytes as a stream of frames, read in several ways that must agree with a naive reader. Owns nothing: the model is `bolt_tlv::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_tlv::model::run_frames(bytes));
