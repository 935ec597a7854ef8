//! Owns: the techniques and sets of them, which are the configurations of the study; the figures of a workload as a line of
//! comma-separated values, both ways. Never measures, never knows what a technique does.

use std::fmt;

/// One technique of the study, in the order of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Technique {
    /// Small collections inside their owner: entries and children of nodes, read sets, lists of tables, results.
    SmallVec,
    /// What dies with a batch lies in a pooled arena.
    Arena,
    /// Buffers, strings and write sets from object pools.
    Pools,
    /// Keys and values as shared bytes: parts of the request they came in, and clones that copy nothing.
    Bytes,
    /// Fx hashing, and `IndexMap` where order matters.
    Maps,
    /// Names interned by a string pool.
    Strings,
    /// Exact reservations and size hints.
    Presize,
}

impl Technique {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::SmallVec, Self::Arena, Self::Pools, Self::Bytes, Self::Maps, Self::Strings, Self::Presize];

    /// Its name in figures and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmallVec => "smallvec",
            Self::Arena => "arena",
            Self::Pools => "pools",
            Self::Bytes => "bytes",
            Self::Maps => "maps",
            Self::Strings => "strings",
            Self::Presize => "presize",
        }
    }
}

/// A set of techniques that are on. One byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Techniques(u8);

impl Techniques {
    /// Plain std.
    pub const NONE: Self = Self(0);
    /// Everything on.
    pub const EVERY: Self = Self((1 << Technique::ALL.len()) - 1);

    /// Whether it is on.
    #[inline]
    pub const fn has(self, technique: Technique) -> bool {
        self.0 & 1 << technique as u8 != 0
    }

    /// This one alone.
    pub const fn alone(technique: Technique) -> Self {
        Self(1 << technique as u8)
    }

    /// All but this one.
    pub const fn without(technique: Technique) -> Self {
        Self(Self::EVERY.0 & !(1 << technique as u8))
    }

    /// The configurations of the study: none, all, each alone, each left out.
    pub fn studied() -> Vec<Self> {
        let alone = Technique::ALL.map(Self::alone);
        let without = Technique::ALL.map(Self::without);
        [Self::NONE, Self::EVERY].into_iter().chain(alone).chain(without).collect()
    }

    /// Every combination there is.
    pub fn combinations() -> impl Iterator<Item = Self> {
        (0..=Self::EVERY.0).map(Self)
    }

    /// From the form that `Display` writes; nothing for any other.
    pub fn parse(text: &str) -> Option<Self> {
        Self::combinations().find(|set| set.to_string() == text)
    }
}

/// `none`, `all`, `+arena` (alone), `-arena` (left out), `smallvec&arena`.
impl fmt::Display for Techniques {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        if *self == Self::EVERY {
            return f.write_str("all");
        }
        for technique in Technique::ALL {
            if *self == Self::alone(technique) {
                return write!(f, "+{}", technique.name());
            }
            if *self == Self::without(technique) {
                return write!(f, "-{}", technique.name());
            }
        }
        let names: Vec<_> = Technique::ALL.iter().filter(|&&on| self.has(on)).map(|on| on.name()).collect();
        f.write_str(&names.join("&"))
    }
}

/// The workloads, in the order in which they run on one thread.
pub const WORKLOADS: [&str; 4] = ["nodes", "batches", "log", "names"];
/// The allocators; each is a pair of binaries, of which the second counts.
pub const ALLOCATORS: [&str; 3] = ["glibc", "jemalloc", "mimalloc"];
/// Threads of the stress run.
pub const STRESS_THREADS: [usize; 3] = [2, 8, 32];

/// What one workload, or all together, took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// One of [`WORKLOADS`], or `whole`.
    pub workload: String,
    /// How many operations.
    pub operations: u64,
    /// The sum that proves the work.
    pub answer: u64,
    /// Calls that took memory; 0 where they are not counted.
    pub allocations: u64,
    /// Calls that resized it.
    pub reallocations: u64,
    /// Requested bytes.
    pub bytes: u64,
    /// Most requested bytes alive at once.
    pub peak_live: u64,
    /// Most resident memory of the process.
    pub peak_kib: u64,
    /// Resident memory when the work is done and everything is still there.
    pub live_kib: u64,
    /// Resident memory when everything was freed but what pools keep.
    pub end_kib: u64,
    /// Processor's time of all operations; with several threads, clock time from the start to the end of the last.
    pub time_us: u64,
    /// Median latency.
    pub p50_ns: u64,
    /// 99 of 100 are faster.
    pub p99_ns: u64,
    /// 999 of 1000 are faster.
    pub p999_ns: u64,
}

/// The names of the columns after those of [`Row`].
const COLUMNS: &str = "workload,operations,answer,allocations,reallocations,bytes,peak_live,peak_kib,live_kib,end_kib,time_us,p50_ns,p99_ns,p999_ns";

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{:016x}", self.workload, self.operations, self.answer)?;
        let Self { allocations, reallocations, bytes, peak_live, .. } = self;
        write!(f, ",{allocations},{reallocations},{bytes},{peak_live}")?;
        write!(f, ",{},{},{},{}", self.peak_kib, self.live_kib, self.end_kib, self.time_us)?;
        write!(f, ",{},{},{}", self.p50_ns, self.p99_ns, self.p999_ns)
    }
}

impl Figures {
    /// From the form that `Display` writes.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(',');
        let workload = fields.next()?.to_owned();
        let operations = fields.next()?.parse().ok()?;
        let answer = u64::from_str_radix(fields.next()?, 16).ok()?;
        let mut number = || fields.next()?.parse().ok();
        Some(Self {
            workload,
            operations,
            answer,
            allocations: number()?,
            reallocations: number()?,
            bytes: number()?,
            peak_live: number()?,
            peak_kib: number()?,
            live_kib: number()?,
            end_kib: number()?,
            time_us: number()?,
            p50_ns: number()?,
            p99_ns: number()?,
            p999_ns: number()?,
        })
    }
}

/// Figures, and what they were measured under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// One of [`ALLOCATORS`].
    pub allocator: String,
    /// Whether the binary counted; its times are not told then.
    pub counted: bool,
    /// What was on.
    pub on: Techniques,
    /// Threads.
    pub threads: usize,
    /// Which of several rounds.
    pub round: usize,
    /// Instructions inside of operations, where a simulator counted them; else 0.
    pub instructions: u64,
    /// The figures.
    pub figures: Figures,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allocator, counted, on, threads, round, instructions, figures } = self;
        write!(f, "{allocator},{},{on},{threads},{round},{instructions},{figures}", u8::from(*counted))
    }
}

impl Row {
    /// The first line of a file of rows.
    pub fn header() -> String {
        format!("allocator,counted,configuration,threads,round,instructions,{COLUMNS}")
    }

    /// From the form that `Display` writes.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(7, ',');
        Some(Self {
            allocator: fields.next()?.to_owned(),
            counted: fields.next()? == "1",
            on: Techniques::parse(fields.next()?)?,
            threads: fields.next()?.parse().ok()?,
            round: fields.next()?.parse().ok()?,
            instructions: fields.next()?.parse().ok()?,
            figures: Figures::parse(fields.next()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for set in Techniques::combinations() {
            assert_eq!(Techniques::parse(&set.to_string()), Some(set), "{set}");
        }
        assert_eq!(Techniques::studied().len(), 16);
        assert_eq!(Techniques::parse("+nothing"), None);
    }

    #[test]
    fn rows_are_read_back() {
        let figures = Figures { workload: "log".into(), answer: u64::MAX, p999_ns: 7, ..Figures::default() };
        let row = Row {
            allocator: "glibc".into(),
            counted: true,
            on: Techniques::EVERY,
            threads: 8,
            round: 3,
            instructions: 5,
            figures,
        };
        assert_eq!(Row::parse(&row.to_string()), Some(row.clone()));
        assert_eq!(row.to_string().split(',').count(), Row::header().split(',').count());
        assert_eq!(Row::parse("glibc,1,all,8,3,0,log,1"), None);
    }
}
