//! Bytes as N-Triples or Turtle through a pipeline whose sink has moods, against its stages one by one. Owns nothing: the model is `bolt_triple::model_text`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| bolt_triple::model_text::run(bytes));
