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

/// Sizes of classes are multiples of this, the alignment of a buffer: a smaller step would save no memory.
pub const CLASS_STEP_BYTES: usize = 64;

/// Lengths up to this are looked up in a table of one byte a step; longer ones, whose reading costs microseconds, are compared with
/// each class.
pub(crate) const DENSE_BYTES_MAX: usize = 16 << 10;
pub(crate) const DENSE_COUNT: usize = DENSE_BYTES_MAX / CLASS_STEP_BYTES + 1;

/// From a length to the smallest class that holds it: one load, no map, and no branch that depends on the length (but for the
/// one at 16 KiB).
///
/// Layout: sixteen sizes and 257 bytes. Cost: 1 ns.
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
    /// Entry `i` is the class of lengths above `64 (i - 1)` up to `64 i`, or `count` where there is none.
    dense: [u8; DENSE_COUNT],
}

impl ClassTable {
    /// The table over these classes.
    ///
    /// # Panics
    /// At compile time in a `const`: more than [`CLASS_COUNT_MAX`] classes, sizes that do not ascend, or a size that is 0 or no
    /// multiple of [`CLASS_STEP_BYTES`].
    #[must_use]
    pub const fn new(classes: &[ClassSpec]) -> Self {
        assert!(classes.len() <= CLASS_COUNT_MAX, "a table has at most 16 classes");
        let mut sizes = [usize::MAX; CLASS_COUNT_MAX];
        let mut i = 0;
        while i < classes.len() {
            let size = classes[i].size_bytes;
            assert!(size > 0 && size.is_multiple_of(CLASS_STEP_BYTES), "a class is a multiple of 64 bytes");
            assert!(i == 0 || classes[i - 1].size_bytes < size, "classes stand in ascending order of size");
            sizes[i] = size;
            i += 1;
        }
        let mut table = Self { sizes, count: classes.len(), dense: [0; DENSE_COUNT] };
        let mut step = 0;
        while step < DENSE_COUNT {
            table.dense[step] = table.compare(step * CLASS_STEP_BYTES) as u8;
            step += 1;
        }
        table
    }

    /// How many classes are too small for `len`, which is the index of the first that is not.
    const fn compare(&self, len: usize) -> usize {
        let mut index = 0;
        while index < self.count && len > self.sizes[index] {
            index += 1;
        }
        index
    }

    /// Index of the smallest class that holds `len` bytes; the number of classes or more if there is none.
    #[inline(always)]
    pub(crate) const fn index_of(&self, len: usize) -> usize {
        if len <= DENSE_BYTES_MAX {
            return self.dense[len.div_ceil(CLASS_STEP_BYTES)] as usize;
        }
        self.compare(len)
    }

    /// Index of the smallest class that holds `len` bytes.
    #[inline]
    #[must_use]
    pub const fn class_of(&self, len: usize) -> Option<usize> {
        let index = self.index_of(len);
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

#[cfg(test)]
mod tests {
    use super::{ClassSpec, ClassTable, DENSE_BYTES_MAX};

    #[test]
    fn the_table_is_the_definition() {
        let tables: [&[usize]; 5] =
            [&[], &[64], &[128, 192, 256], &[64, DENSE_BYTES_MAX, 1 << 20], &[DENSE_BYTES_MAX + 64, 1 << 30]];
        for sizes in tables {
            let specs: Vec<_> = sizes.iter().map(|&size| ClassSpec::new(size, 1)).collect();
            let table = ClassTable::new(&specs);
            let around = |&size: &usize| [size - 1, size, size + 1];
            let edges =
                sizes.iter().flat_map(around).chain([0, 1, DENSE_BYTES_MAX - 1, DENSE_BYTES_MAX, usize::MAX]);
            for len in edges.chain(0..if cfg!(miri) { 70 } else { 2000 }) {
                let expected = sizes.iter().position(|&size| len <= size);
                assert_eq!(table.class_of(len), expected, "{len} in {sizes:?}");
                assert_eq!(table.class_bytes(len), expected.map(|index| sizes[index]));
            }
            assert_eq!(table.largest_bytes(), sizes.last().copied().unwrap_or(0));
        }
    }
}
