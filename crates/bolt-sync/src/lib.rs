#![doc = include_str!("../README.md")]
//!
//! # This file
//!
//! Owns the switch between the real atomics and loom's. Holds no state and spawns nothing.
//! Limit: the switch is the cfg `bolt_loom`, set for a whole build; one build never mixes both kinds.

#![cfg_attr(not(any(feature = "std", bolt_loom)), no_std)]
#![deny(unsafe_code)]

#[cfg(all(feature = "alloc", not(feature = "std"), not(bolt_loom)))]
extern crate alloc;

mod id_source;
#[cfg(any(feature = "std", bolt_loom))]
mod magazine_config;
mod slot_list;
#[cfg(any(feature = "std", bolt_loom))]
mod thread_index;
pub mod thread_token;

// The files that may hold unsafe code, as the manifest lists them.
#[allow(unsafe_code)]
#[cfg(any(feature = "std", bolt_loom))]
pub mod magazine;
#[allow(unsafe_code)]
#[cfg(any(feature = "std", bolt_loom))]
mod magazine_lane;
#[allow(unsafe_code)]
pub mod ring;

pub use crossbeam_utils::CachePadded;
pub use id_source::IdSource;
pub use slot_list::{Link, SlotList, SlotListError};

/// Atomic integers, pointers, fences and orderings: core's, or loom's under `cfg(bolt_loom)`.
///
/// Cost: none; these are re-exports. Under loom an atomic cannot be made in a `const`, so a value that
/// lives in a `static` comes from [`unmodelled`].
pub mod atomic {
    #[cfg(not(bolt_loom))]
    pub use core::sync::atomic::*;
    #[cfg(bolt_loom)]
    pub use loom::sync::atomic::*;
}

/// The real atomics even under loom, for `static`s: id sources and statistics.
///
/// A loom model runs its body thousands of times and a `static` would leak from one run into the next, so
/// loom refuses to make its atomics in a `const`. What is used from here is **not** explored by loom; it must be
/// correct for a reason that needs no model (a counter nobody orders anything by).
pub mod unmodelled {
    pub use core::sync::atomic::*;
}

/// Interior mutability that loom can watch: `UnsafeCell` with `with` and `with_mut`.
pub mod cell {
    #[cfg(bolt_loom)]
    pub use loom::cell::{Cell, UnsafeCell};

    #[cfg(not(bolt_loom))]
    pub use core::cell::Cell;

    /// A cell whose pointer is lent to a closure, so that loom can see when an access begins and ends.
    ///
    /// Layout: that of `T`. Cost: none; both methods compile to the bare pointer. The methods are safe, as
    /// in `core`: only what the closure does with the pointer can be unsafe.
    ///
    /// ```
    /// let cell = bolt_sync::cell::UnsafeCell::new(5_u32);
    /// assert_eq!(cell.into_inner(), 5);
    /// ```
    #[cfg(not(bolt_loom))]
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    #[cfg(not(bolt_loom))]
    impl<T> UnsafeCell<T> {
        /// Wraps a value.
        pub const fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        /// Lends the pointer for reading. Under loom, a concurrent `with_mut` is a reported data race.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Lends the pointer for writing. Under loom, any concurrent access is a reported data race.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }

        /// Gives the value back.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

/// The heap's types, whichever crate of the standard library they come from in this build; `Arc` is loom's under `cfg(bolt_loom)`.
#[cfg(feature = "alloc")]
pub(crate) mod heap {
    #[cfg(bolt_loom)]
    pub(crate) use loom::sync::Arc;
    #[cfg(any(feature = "std", bolt_loom))]
    pub(crate) use std::boxed::Box;
    #[cfg(all(feature = "std", not(bolt_loom)))]
    pub(crate) use std::sync::Arc;
    #[cfg(any(feature = "std", bolt_loom))]
    pub(crate) use std::vec::Vec;

    #[cfg(not(any(feature = "std", bolt_loom)))]
    pub(crate) use alloc::{boxed::Box, sync::Arc, vec::Vec};
}

/// What a spinning thread tells the processor (or loom's scheduler).
pub mod hint {
    #[cfg(not(bolt_loom))]
    pub use core::hint::spin_loop;
    #[cfg(bolt_loom)]
    pub use loom::hint::spin_loop;
}

/// Threads: std's, or loom's under `cfg(bolt_loom)`. Feature `std`.
#[cfg(any(feature = "std", bolt_loom))]
pub mod thread {
    #[cfg(bolt_loom)]
    pub use loom::thread::{JoinHandle, current, park, spawn, yield_now};
    #[cfg(not(bolt_loom))]
    pub use std::thread::{JoinHandle, current, park, spawn, yield_now};
}

/// Shared ownership and locks: std's, or loom's under `cfg(bolt_loom)`. Feature `std`.
#[cfg(any(feature = "std", bolt_loom))]
pub mod sync {
    #[cfg(bolt_loom)]
    pub use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    #[cfg(not(bolt_loom))]
    pub use std::sync::{Arc, Condvar, Mutex, MutexGuard};
}
