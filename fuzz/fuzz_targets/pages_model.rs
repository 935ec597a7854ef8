//! Bytes as operations on a page store in memory, against maps of maps. Owns nothing: the model is `bbolt_pages::model`.

#![no_main]

use bbolt_pages::io::MemoryStorage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let storage = MemoryStorage::default();
    bbolt_pages::model::run(bytes, &|options| options.open_storage(storage.clone()).expect("open"));
});
