//! Any bytes as a frame of a schema with every type, through generated code. Owns nothing: the model is in bolt-tlv-build's tests.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
mod everything {
    include!("../../crates/bolt-tlv-build/tests/golden/everything.rs.txt");
}

#[path = "../../crates/bolt-tlv-build/tests/it/any_message.rs"]
mod any_message;

fuzz_target!(|bytes: &[u8]| {
    any_message::run(bytes);
});
