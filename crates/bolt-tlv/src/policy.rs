//! Owns: when an idle class gives memory back. Numbers in, numbers out; touches no memory and no clock.

/// When idle buffers are freed: a class is trimmed only after it has not grown for a while, and then by halves.
///
/// The caller supplies the rhythm: one [`idle_tick`](crate::BufferPool::idle_tick) a second is a good one. A class that
/// needed a new buffer since the last tick is in use, and its count starts again, so a load that comes in waves shorter than
/// `quiet_ticks` never pays for memory twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimPolicy {
    /// Ticks without growth after which the first half of the free buffers goes; each further tick takes half again.
    pub quiet_ticks: u32,
    /// Free buffers that always stay.
    pub keep_free: usize,
}

impl Default for TrimPolicy {
    fn default() -> Self {
        // As patient as the stream buffer of this family (32 cycles), and enough buffers that a trimmed class answers a
        // first burst without the allocator.
        Self { quiet_ticks: 32, keep_free: 8 }
    }
}

/// What the policy remembers of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TrimState {
    pub(crate) quiet_ticks: u32,
}

impl TrimPolicy {
    /// One tick of a class that has `made` buffers, `out` of them in use, and `grew` since the last tick or not. Says how
    /// many to free.
    pub(crate) fn tick(&self, state: TrimState, made: usize, out: usize, grew: bool) -> (TrimState, usize) {
        // More than half in use: this is load, not idleness.
        if grew || out * 2 > made {
            return (TrimState::default(), 0);
        }
        let quiet_ticks = state.quiet_ticks.saturating_add(1);
        let state = TrimState { quiet_ticks };
        if quiet_ticks < self.quiet_ticks {
            return (state, 0);
        }
        let spare = made.saturating_sub(out).saturating_sub(self.keep_free);
        (state, spare.div_ceil(2))
    }
}

#[cfg(test)]
mod tests {
    use super::{TrimPolicy, TrimState};

    const POLICY: TrimPolicy = TrimPolicy { quiet_ticks: 3, keep_free: 2 };

    /// Runs (made, out, grew) tick by tick, freeing what the policy says, and collects what it said.
    fn run(ticks: &[(usize, usize, bool)]) -> Vec<usize> {
        let mut state = TrimState::default();
        ticks
            .iter()
            .map(|&(made, out, grew)| {
                let (next, release) = POLICY.tick(state, made, out, grew);
                state = next;
                release
            })
            .collect()
    }

    #[test]
    fn the_table() {
        for (name, ticks, expected) in [
            ("idle: nothing, then halves", vec![(18, 0, false); 4], vec![0, 0, 8, 8]),
            (
                "growth starts the count again",
                vec![(18, 0, false), (18, 0, false), (19, 0, true), (19, 0, false)],
                vec![0; 4],
            ),
            ("use above half is load", vec![(18, 10, false); 5], vec![0; 5]),
            ("what is kept stays", vec![(2, 0, false); 5], vec![0; 5]),
            ("the last one above goes", vec![(3, 0, false); 3], vec![0, 0, 1]),
            ("nothing made", vec![(0, 0, false); 4], vec![0; 4]),
        ] {
            assert_eq!(run(&ticks), expected, "{name}");
        }
    }

    #[test]
    fn waves_shorter_than_the_patience_never_trim() {
        let wave = [(100, 90, true), (100, 0, false), (100, 0, false)];
        assert!(run(&wave.repeat(50)).iter().all(|&released| released == 0));
    }
}
