//! What this process has used: processor time and peak memory, asked of the operating system.
//!
//! Processor time is the process's own clock (user and system, all threads, to the nanosecond). Peak memory is the high-water mark of
//! the resident set, which only Linux tells without unsafe code; elsewhere it is `None` and the command says `unknown` rather than guess.

use std::time::Duration;

/// Processor time of the process so far.
#[cfg(unix)]
pub(crate) fn cpu() -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(now.tv_sec).ok()?, u32::try_from(now.tv_nsec).ok()?))
}

/// Processor time of the process so far: not known here.
#[cfg(not(unix))]
pub(crate) fn cpu() -> Option<Duration> {
    None
}

/// The most memory that was ever resident, in KiB.
pub(crate) fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Columns of the terminal behind standard output, if it is one.
#[cfg(unix)]
pub(crate) fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Columns of the terminal behind standard output: not known here.
#[cfg(not(unix))]
pub(crate) fn terminal_width() -> Option<usize> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_are_known_and_move_forward() {
        let before = cpu().expect("a clock");
        let mut x = 1_u64;
        while cpu().expect("a clock") - before < Duration::from_millis(2) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(peak_rss_kib().expect("a mark") > 100);
    }
}
