//! The unit of receipts: a counter that the crate reads itself.
//!
//! Owns: which counter that is, and its unit. Never waits, never calls the system where the processor has a counter. Limits: on x86-64 and
//! aarch64 the counter runs at its own constant rate, whatever the core's clock does, and the instruction that reads it orders
//! nothing around it; without a counter and without `std` there is no time, and every reading is 0.

/// What one tick is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// x86-64: a cycle of the time-stamp counter, which runs at a constant rate near the processor's nominal clock.
    TimeStampCycles,
    /// aarch64: a step of the virtual counter, whose rate is [`hz`]'s answer; from 1 to 100 ns each.
    VirtualCounterSteps,
    /// The monotonic clock of the system.
    Nanoseconds,
    /// There is neither a counter nor a clock: readings are 0.
    Nothing,
}

/// What the readings of this build count.
pub const UNIT: Unit = if cfg!(all(target_arch = "x86_64", not(miri))) {
    Unit::TimeStampCycles
} else if cfg!(all(target_arch = "aarch64", not(miri))) {
    Unit::VirtualCounterSteps
} else if cfg!(feature = "std") {
    Unit::Nanoseconds
} else {
    Unit::Nothing
};

/// A reading. Only differences mean anything; they are never negative on one thread.
///
/// Cost: one instruction of 10 to 25 cycles, or a call of the clock.
///
/// ```
/// use bolt_triple::ticks;
/// let start = ticks::now();
/// let took = ticks::now().wrapping_sub(start);
/// println!("{took} {:?}", ticks::UNIT);
/// ```
#[inline(always)]
pub fn now() -> u64 {
    crate::cpu::counter()
}

/// Ticks a second, measured against the system's clock for as long as `during` says; nothing if it was too short to tell.
///
/// Cost: it spins for `during`; ten milliseconds give three digits.
#[cfg(feature = "std")]
pub fn hz(during: std::time::Duration) -> Option<f64> {
    let (clock, start) = (std::time::Instant::now(), now());
    while clock.elapsed() < during {
        core::hint::spin_loop();
    }
    let (seconds, ticks) = (clock.elapsed().as_secs_f64(), now().wrapping_sub(start));
    (ticks > 0 && seconds > 0.0).then(|| ticks as f64 / seconds)
}

/// Nanoseconds since the first reading, where the processor's counter is not used.
#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn clock() -> u64 {
    #[cfg(feature = "std")]
    {
        use std::sync::OnceLock;
        use std::time::Instant;
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
    #[cfg(not(feature = "std"))]
    0
}
