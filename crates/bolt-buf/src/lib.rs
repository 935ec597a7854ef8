//! The crate root: names the public types. Owns no logic and no memory.
#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

mod buf;
mod chunk;
mod config;
mod error;
mod frame;
#[cfg(feature = "std")]
mod io;
#[cfg(feature = "model")]
pub mod model;
mod policy;

pub use buf::{BoltBuf, BufStats};
pub use chunk::LINE_BYTES;
pub use config::{BufConfig, ConfigError, GrowthConfig};
pub use error::{CapacityError, RangeError};
pub use frame::{Frame, FrameCutter, SharedFrame};
#[cfg(feature = "std")]
pub use io::SpillError;
pub use policy::{Cycle, Decision, GrowthPolicy};
