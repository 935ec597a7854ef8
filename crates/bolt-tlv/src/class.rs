//! Owns: size classes as numbers, and the way from a length to its class. Never holds memory.
//! Limits: 16 classes a table.

/// Most classes of one table: sixteen sizes are two cache lines, and each is compared on every lookup.
pub const CLASS_COUNT_MAX: usize = 16;

/// One size class: how large its buffers are, how many are kept, how many bytes it may ever hold.
///
/// ```
/// use bolt_tlv::ClassSpec;
/// const SMALL: ClassSpec = ClassSpec::new(128, 256);
/// assert_eq!(SMALL.bytes_max, 2 * 128 * 256);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassSpec {
    /// Bytes of one buffer.
    pub size_bytes: usize,
    /// Buffers the class keeps.
    pub capacity: usize,
    /// Bytes of all buffers of the class together, kept ones and plain allocations on exhaustion alike.
    pub bytes_max: usize,
}

impl ClassSpec {
    /// A class that may, on exhaustion, hold as much again in plain allocations.
    #[must_use]
    pub const fn new(size_bytes: usize, capacity: usize) -> Self {
        let kept = size_bytes.saturating_mul(capacity);
        Self { size_bytes, capacity, bytes_max: kept.saturating_mul(2) }
    }

    /// The same class under another bound in bytes. A bound below `size_bytes * capacity` lowers the capacity to what fits.
    #[must_use]
    pub const fn with_bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        if let Some(fitting) = bytes_max.checked_div(self.size_bytes)
            && self.capacity > fitting
        {
            self.capacity = fitting;
        }
        self
    }
}

/// From a length to the smallest class that holds it: sixteen comparisons that the processor makes side by side, no map and no
/// branch that could be mispredicted.
///
/// Layout: sixteen `usize` and a count. Cost: 1–2 ns, the same for every length.
///
/// ```
/// use bolt_tlv::{ClassSpec, ClassTable};
/// static SPECS: [ClassSpec; 2] = [ClassSpec::new(128, 256), ClassSpec::new(192, 128)];
/// const TABLE: ClassTable = ClassTable::new(&SPECS);
/// assert_eq!(TABLE.class_bytes(84), Some(128));
/// assert_eq!(TABLE.class_bytes(129), Some(192));
/// assert_eq!(TABLE.class_bytes(193), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassTable {
    /// Ascending; those from `count` on are `usize::MAX`, which no length is above.
    sizes: [usize; CLASS_COUNT_MAX],
    count: usize,
}

impl ClassTable {
    /// The table over these classes.
    ///
    /// # Panics
    /// At compile time in a `const`: more than [`CLASS_COUNT_MAX`] classes, sizes that do not ascend, or a size of 0 or
    /// `usize::MAX`.
    #[must_use]
    pub const fn new(classes: &[ClassSpec]) -> Self {
        assert!(classes.len() <= CLASS_COUNT_MAX, "a table has at most 16 classes");
        let mut sizes = [usize::MAX; CLASS_COUNT_MAX];
        let mut i = 0;
        while i < classes.len() {
            let size = classes[i].size_bytes;
            assert!(size > 0 && size < usize::MAX, "a class has at least one byte");
            assert!(i == 0 || classes[i - 1].size_bytes < size, "classes stand in ascending order of size");
            sizes[i] = size;
            i += 1;
        }
        Self { sizes, count: classes.len() }
    }

    /// Index of the smallest class that holds `len` bytes.
    #[inline]
    #[must_use]
    pub const fn class_of(&self, len: usize) -> Option<usize> {
        // The number of classes that are too small is the index of the first that is not. Written out as a sum, so that each
        // term is a comparison and an addition; the one branch is the check for "none", which is never taken in normal use.
        let sizes = &self.sizes;
        let mut index = 0;
        let mut i = 0;
        while i < CLASS_COUNT_MAX {
            index += (len > sizes[i]) as usize;
            i += 1;
        }
        if index < self.count { Some(index) } else { None }
    }

    /// Bytes of the smallest class that holds `len` bytes.
    #[inline]
    #[must_use]
    pub const fn class_bytes(&self, len: usize) -> Option<usize> {
        match self.class_of(len) {
            Some(index) => Some(self.sizes[index]),
            None => None,
        }
    }

    /// How many classes there are.
    #[must_use]
    pub const fn class_count(&self) -> usize {
        self.count
    }

    /// Bytes of the largest class: no longer buffer exists. 0 for an empty table.
    #[must_use]
    pub const fn largest_bytes(&self) -> usize {
        if self.count == 0 { 0 } else { self.sizes[self.count - 1] }
    }
}
