#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the list of modules and names. Holds no code.

#![cfg_attr(not(feature = "std"), no_std)]

// Generated code is `no_std` and names its collections through here.
#[doc(hidden)]
pub extern crate alloc;

mod block;
mod class;
mod codec;
mod header;
mod int256;
mod message;
mod policy;
mod pool;
mod shelf;

pub use block::{BUFFER_ALIGN, PooledBuffer, SharedFrame};
pub use class::{CLASS_COUNT_MAX, ClassSpec, ClassTable};
pub use codec::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Writer};
pub use header::{FLAGS_CRITICAL, FLAGS_OPTIONAL, HEADER_BYTES, Header};
pub use int256::{I256, U256};
pub use message::{Catalog, Message, MessageInfo, ServiceSpec, View};
pub use policy::TrimPolicy;
pub use pool::{
    AcquireError, BufferPool, BufferPoolBuilder, ClassStats, Exhausted, PoolStats, Strategy, Zeroing,
};
