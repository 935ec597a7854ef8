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
#[cfg(feature = "config")]
mod config;
#[cfg(feature = "std")]
mod ending;
#[cfg(feature = "std")]
mod frame;
#[cfg(any(feature = "tokio", feature = "futures-io"))]
mod frame_async;
mod header;
#[cfg(feature = "std")]
mod hoard;
mod int256;
#[cfg(feature = "std")]
mod locked;
mod message;
#[cfg(all(feature = "std", any(test, feature = "model")))]
#[doc(hidden)]
pub mod model;
mod policy;
mod pool;
#[cfg(feature = "std")]
mod ring;
mod shelf;
mod tally;
pub mod wire;
mod wire_list;

pub use block::{BUFFER_ALIGN, PooledBuffer, SharedFrame};
pub use class::{CLASS_COUNT_MAX, CLASS_STEP_BYTES, ClassSpec, ClassTable};
pub use codec::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Writer};
#[cfg(feature = "config")]
pub use config::{ConfigError, ServiceConfig};
#[cfg(feature = "std")]
pub use frame::{
    Acquire, Frame, FrameError, FrameErrorKind, FrameReader, READ_AHEAD_BYTES, read_frame_pooled,
    write_frame, write_message,
};
#[cfg(feature = "futures-io")]
pub use frame_async::futures;
#[cfg(feature = "tokio")]
pub use frame_async::tokio;
pub use header::{FLAGS_CRITICAL, FLAGS_OPTIONAL, HEADER_BYTES, Header};
pub use int256::{I256, U256};
pub use message::{Catalog, Message, MessageInfo, ServiceSpec, View};
pub use policy::TrimPolicy;
pub use pool::{
    AcquireError, BufferPool, BufferPoolBuilder, ClassStats, Exhausted, PoolStats, Strategy, Zeroing,
};
#[cfg(feature = "std")]
pub use ring::{RingGiver, RingTaker};
