//! What the schemas in `schemas/` become: names that are Rust's own, numbers at their edges, hundreds of fields, messages eight deep.
//!
//! Owns nothing else. It compiles without a single warning, without the standard library and without unsafe code, and that is what it is for.

#![no_std]
#![forbid(unsafe_code)]
#![deny(warnings)]

include!(concat!(env!("OUT_DIR"), "/modules.rs"));
