//! The crate root: owns the list of modules and names. Holds no code.
#![cfg_attr(feature = "std", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(all(feature = "std", feature = "arenas"))]
mod arena;
mod config;
// The file that may hold unsafe code, as the manifest lists it.
#[allow(unsafe_code)]
mod guard;
mod local;
mod manage;
#[cfg(any(all(test, feature = "std"), feature = "model"))]
#[doc(hidden)]
pub mod model;
#[cfg(all(test, any(feature = "std", feature = "strings")))]
mod noise;
mod policy;
#[cfg(feature = "std")]
mod pool;
#[cfg(feature = "std")]
pub mod ready;
#[cfg(feature = "strings")]
mod strings;
#[cfg(feature = "bytes")]
mod strings_bytes;
#[cfg(feature = "strings")]
mod strings_config;
#[cfg(feature = "strings")]
mod strings_core;
#[cfg(feature = "strings")]
mod strings_index;
#[cfg(all(feature = "strings", any(test, feature = "model")))]
#[doc(hidden)]
pub mod strings_model;
#[cfg(feature = "strings")]
mod strings_places;
#[cfg(all(feature = "strings", feature = "std"))]
mod strings_shared;
#[cfg(feature = "strings")]
mod strings_snapshot;
// The other file that may hold unsafe code.
#[cfg(feature = "strings")]
#[allow(unsafe_code)]
mod strings_text;
#[cfg(feature = "std")]
mod thread;

#[cfg(all(feature = "std", feature = "arenas"))]
pub use arena::{ArenaLimits, ArenaPool, ArenaStats, BatchContext, SizeHint, with_thread_arena};
/// The arenas' library, for the types of vectors and strings that live in one.
#[cfg(feature = "arenas")]
pub use bumpalo;
pub use config::{Exhausted, PoolConfig, PoolStats};
pub use guard::{Guard, Home};
pub use local::{LocalGuard, LocalPool};
pub use manage::{Hooks, Manage};
pub use policy::{TrimPolicy, Trimmer, Usage};
#[cfg(feature = "std")]
pub use pool::{ObjectPool, OwnedGuard, PoolError, PoolGuard};
#[cfg(feature = "strings")]
pub use strings::StringPool;
#[cfg(feature = "bytes")]
pub use strings_bytes::BytesPool;
#[cfg(feature = "strings")]
pub use strings_config::{StringError, StringId, StringPoolConfig, StringStats};
#[cfg(all(feature = "strings", feature = "std"))]
pub use strings_shared::SharedStringPool;
#[cfg(feature = "strings")]
pub use strings_snapshot::{SnapshotError, SnapshotFault};
#[cfg(feature = "std")]
pub use thread::{KEPT_PER_KIND, with_thread_object};
