//! The mapping of the database file: address space reserved once, file bytes mapped into it as the file grows.
//!
//! Owns the reserved range and the one place where its bytes become a slice. On 64-bit Unix a range much larger than the file is reserved
//! without memory behind it, and growth maps further file bytes at their place in it: no byte ever moves, so growth waits for no reader and no
//! reader for growth. Elsewhere there is no mapping and the crate reads pages with ordinary reads. Never writes, and never reads a
//! meta page. Limits: whoever truncates the file under the lock that this process holds makes the next touch of a missing page a bus
//! error; `MapMode::Plain` is for files whose neighbours do such things.
//!
//! unsafe: allowed here

/// Bytes of a line of the processor's caches.
pub(crate) const LINE_BYTES: usize = 64;

/// How the system is told that a range of pages will be used.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// No particular order; the system reads no more than is asked for. The default, as in bbolt.
    Random,
    /// In order: read ahead, and let go behind.
    Sequential,
    /// Soon: begin to read now.
    WillNeed,
    /// Not soon: first in line when memory is short.
    Cold,
    /// No advice.
    Normal,
}

#[cfg(all(unix, target_pointer_width = "64"))]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::ptr::{self, NonNull};

    #[cfg(not(bolt_loom))]
    use bolt_sync::atomic::AtomicU64;
    use bolt_sync::unmodelled::{AtomicUsize, Ordering};
    use rustix::mm::{Advice, MapFlags, ProtFlags};

    use super::Hint;

    /// A reserved range of addresses whose beginning shows the file.
    ///
    /// Layout: four words. Cost: one system call to make, one for each growth, none to read.
    #[derive(Debug)]
    pub(crate) struct Mapping {
        /// M1: start of a range of `reserved` bytes that this value alone reserved and that no other code maps into or unmaps, until drop.
        base: NonNull<u8>,
        /// M2: length of that range; a multiple of the system's page size, at most `isize::MAX`.
        reserved: usize,
        /// M3: the first `readable` bytes show the file, mapped shared and read-only, and lay within the file when this was stored. It only grows.
        readable: AtomicUsize,
        /// Meta pages end here; they change in place and are never lent.
        metas_end: usize,
        /// M5: whether the file's bytes are mapped for writing, too; then the file was opened for it.
        writable: bool,
        /// Whether the system is asked for large pages.
        large_pages: bool,
    }

    /// Where large pages may begin: those of most processors, and no harm elsewhere.
    const LARGE_PAGE_BYTES: usize = 2 << 20;

    // M4: the bytes of a page that is lent do not change while they are lent. Pages are written only by write transactions of this process (the
    // file's exclusive lock keeps others out), these write only pages that no open transaction can reach, and the metas are never lent. Who
    // can reach what is kept in `readers.rs` and `free.rs`, and modelled in tests/loom.rs.
    //
    // M6: a mapping outlives its rooms. They lie in the images of a write transaction, which holds the database open, and are gone when it gives
    // the writer back (`Work::reset`); a transaction that is forgotten takes its images along, and nobody touches them again.

    // SAFETY: M1 – the range belongs to this value wherever it is; nothing in it is tied to a thread.
    unsafe impl Send for Mapping {}
    // SAFETY: M3, M4 – shared access only reads bytes that do not change, and `readable` is atomic.
    unsafe impl Sync for Mapping {}

    impl Mapping {
        /// Reserves `bytes` of address space, rounded up to whole system pages. No memory and no file is behind it yet. For `large_pages` it begins
        /// where a large page may.
        pub(crate) fn reserve(
            bytes: u64,
            metas_end: u64,
            writable: bool,
            large_pages: bool,
        ) -> io::Result<Self> {
            let page = rustix::param::page_size();
            let align = if large_pages { LARGE_PAGE_BYTES } else { 0 };
            let (reserved, whole) = usize::try_from(bytes)
                .ok()
                .and_then(|bytes| bytes.max(1).checked_next_multiple_of(page))
                .and_then(|reserved| Some((reserved, reserved.checked_add(align)?)))
                .filter(|&(_, whole)| isize::try_from(whole).is_ok())
                .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            let flags = MapFlags::PRIVATE;
            // SAFETY: a null hint lets the system choose a range that nothing uses; without access rights nothing can be read through it.
            let start =
                unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), whole, ProtFlags::empty(), flags) }?;
            // What lies before the first place for a large page, and behind what is wanted from there on, goes back.
            let before = start.cast::<u8>().align_offset(align.max(1)).min(align);
            let base = start.cast::<u8>().wrapping_add(before);
            for (at, length) in [(start, before), (base.wrapping_add(reserved).cast(), align - before)] {
                if length > 0 {
                    // SAFETY: whole system pages of the range that was just reserved and that nobody knows of; none of them is used further.
                    let unmapped = unsafe { rustix::mm::munmap(at, length) };
                    debug_assert!(unmapped.is_ok(), "a range that was mapped can be unmapped");
                }
            }
            let base = NonNull::new(base).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
            let metas_end = usize::try_from(metas_end).unwrap_or(usize::MAX);
            Ok(Self { base, reserved, readable: AtomicUsize::new(0), metas_end, writable, large_pages })
        }

        /// Bytes of address space.
        pub(crate) fn reserved(&self) -> u64 {
            self.reserved as u64
        }

        /// Bytes of the file that can be read.
        pub(crate) fn readable(&self) -> u64 {
            // Acquire pairs with the Release of `extend`: who sees the length sees the mapping.
            self.readable.load(Ordering::Acquire) as u64
        }

        /// Makes the first `file_bytes` bytes of `file` readable. Callers take turns (the writer's lock); a shorter length changes nothing.
        ///
        /// Fails if the file is shorter than that or if it does not fit the reserved range.
        pub(crate) fn extend(&self, file: &File, file_bytes: u64) -> io::Result<()> {
            let old = self.readable.load(Ordering::Acquire);
            let Ok(new) = usize::try_from(file_bytes) else { return Err(io::ErrorKind::OutOfMemory.into()) };
            if new <= old {
                return Ok(());
            }
            if new > self.reserved {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            if file.metadata()?.len() < file_bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let page = rustix::param::page_size();
            // A system page that the old length reaches into is mapped already and shows what was written behind it.
            let from = old.next_multiple_of(page);
            let to = new.next_multiple_of(page);
            if from < to {
                // SAFETY: `from < to <= reserved` (M2: `reserved` is whole pages), so the result lies within M1's range.
                let place = unsafe { self.base.as_ptr().add(from) };
                let writing = if self.writable { ProtFlags::WRITE } else { ProtFlags::empty() };
                let (protection, flags) = (ProtFlags::READ | writing, MapFlags::SHARED | MapFlags::FIXED);
                // SAFETY: MAP_FIXED replaces [from, to) of M1's own range, of which no slice was ever lent (M3: lent bytes lie below
                // `readable`, and `from` is not below it).
                let mapped = unsafe {
                    rustix::mm::mmap(place.cast(), to - from, protection, flags, file.as_fd(), from as u64)
                }?;
                debug_assert_eq!(mapped.cast::<u8>(), place);
                self.advise(from as u64, (to - from) as u64, Hint::Random)?;
                #[cfg(any(target_os = "linux", target_os = "android"))]
                if self.large_pages {
                    // SAFETY: the range was just mapped; where the system has no large pages the hint fails and nothing is different.
                    let _ = unsafe { rustix::mm::madvise(place.cast(), to - from, Advice::LinuxHugepage) };
                }
            }
            // Release pairs with the Acquire of `bytes`.
            self.readable.store(new, Ordering::Release);
            Ok(())
        }

        /// The `length` bytes at `offset`, if they lie in the readable part and behind the metas.
        #[inline(always)]
        pub(crate) fn bytes(&self, offset: u64, length: u64) -> Option<&[u8]> {
            let readable = self.readable.load(Ordering::Acquire) as u64;
            if length > readable || offset > readable - length || offset < self.metas_end as u64 {
                return None;
            }
            // SAFETY: `offset <= readable <= reserved` (just checked; M3), so the sum stays within M1's range.
            let start = unsafe { self.base.as_ptr().add(offset as usize) };
            // SAFETY: M3 – [offset, offset + length) is mapped readable until `self` is dropped, which the borrow outlives not; M4 – it does not
            // change meanwhile; M2 – the length fits isize.
            Some(unsafe { core::slice::from_raw_parts(start, length as usize) })
        }

        /// Whether [`Mapping::store`] works.
        pub(crate) fn is_writable(&self) -> bool {
            self.writable
        }

        /// Writes `bytes` at `offset`, as a write to the file would: for commits only, into pages that no open transaction can reach (M4). False, and
        /// nothing is written, if the range is not mapped for writing or reaches into the metas.
        pub(crate) fn store(&self, offset: u64, bytes: &[u8]) -> bool {
            let readable = self.readable.load(Ordering::Acquire) as u64;
            let length = bytes.len() as u64;
            let fits = length <= readable && offset <= readable - length && offset >= self.metas_end as u64;
            if !fits || !self.writable {
                return false;
            }
            // SAFETY: `offset <= readable <= reserved` (just checked; M3), so the sum stays within M1's range.
            let place = unsafe { self.base.as_ptr().add(offset as usize) };
            // SAFETY: M3, M5 – the range is mapped for writing; M4 – no slice of it is lent, and it is this commit's alone; the source is no part of it,
            // being memory of the transaction.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
            true
        }

        /// The `length` bytes at `offset`, to be edited in place: for write transactions only, of pages that were given to them and that no open
        /// transaction can reach (M4). `None` if they are not mapped for writing or reach into the metas.
        pub(crate) fn room(&self, offset: u64, length: usize) -> Option<Room> {
            let readable = self.readable.load(Ordering::Acquire) as u64;
            let fits = length as u64 <= readable && offset <= readable - length as u64;
            if !fits || offset < self.metas_end as u64 || !self.writable {
                return None;
            }
            // SAFETY: `offset <= readable <= reserved` (just checked; M3), so the sum stays within M1's range.
            let start = unsafe { self.base.add(offset as usize) };
            Some(Room { start, length })
        }

        /// Gives bytes from `offset` on their memory at once, where the system can, instead of one page at each first store.
        pub(crate) fn populate(&self, offset: u64, length: u64) {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if self.writable
                && let Some((start, length)) = self.system_pages(offset, length)
            {
                // SAFETY: the range lies within M1's range and is mapped (M3); faults change no byte, and where the system refuses nothing is different.
                let _ = unsafe { rustix::mm::madvise(start.cast(), length, Advice::LinuxPopulateWrite) };
            }
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            let _ = (offset, length);
        }

        /// Hands stored bytes to the file, where a sync of the file does not do that by itself, and waits for the disk.
        pub(crate) fn flush(&self) -> io::Result<()> {
            if cfg!(any(target_os = "linux", target_os = "android")) || !self.writable {
                return Ok(());
            }
            let Some((start, length)) = self.system_pages(0, self.readable()) else { return Ok(()) };
            // SAFETY: the range lies within M1's range and is mapped (M3).
            Ok(unsafe { rustix::mm::msync(start.cast(), length, rustix::mm::MsyncFlags::SYNC) }?)
        }

        /// Asks the processor to fetch `lines` cache lines from `offset` on, as far as they are mapped. Never faults and changes nothing.
        #[inline(always)]
        pub(crate) fn prefetch(&self, offset: u64, lines: u64) {
            if offset < self.reserved as u64 {
                fetch(self.base.as_ptr().wrapping_add(offset as usize), lines);
            }
        }

        /// Passes a hint for `length` bytes at `offset` on to the system, as far as they are mapped.
        pub(crate) fn advise(&self, offset: u64, length: u64, hint: Hint) -> io::Result<()> {
            let Some((start, length)) = self.system_pages(offset, length) else { return Ok(()) };
            let advice = match hint {
                Hint::Normal => Advice::Normal,
                Hint::Random => Advice::Random,
                Hint::Sequential => Advice::Sequential,
                Hint::WillNeed => Advice::WillNeed,
                #[cfg(any(target_os = "linux", target_os = "android"))]
                Hint::Cold => Advice::LinuxCold,
                #[cfg(not(any(target_os = "linux", target_os = "android")))]
                Hint::Cold => Advice::Normal,
            };
            // SAFETY: the range lies within M1's range; none of these hints changes what the bytes are.
            Ok(unsafe { rustix::mm::madvise(start.cast(), length, advice) }?)
        }

        /// Keeps the readable bytes in memory, from `offset` on.
        pub(crate) fn lock_in_memory(&self, offset: u64) -> io::Result<()> {
            let length = self.readable().saturating_sub(offset);
            let Some((start, length)) = self.system_pages(offset, length) else { return Ok(()) };
            // SAFETY: the range lies within M1's range and is mapped (M3).
            Ok(unsafe { rustix::mm::mlock(start.cast(), length) }?)
        }

        /// The addresses the mapping takes: for finding it in the system's own accounts.
        pub(crate) fn addresses(&self) -> core::ops::Range<usize> {
            let start = self.base.as_ptr() as usize;
            start..start + self.reserved
        }

        /// The whole system pages around a byte range, cut to the reserved range.
        fn system_pages(&self, offset: u64, length: u64) -> Option<(*mut u8, usize)> {
            let page = rustix::param::page_size();
            let start = usize::try_from(offset).ok()? / page * page;
            let end = offset.checked_add(length).and_then(|end| usize::try_from(end).ok())?;
            let end = end.checked_next_multiple_of(page)?.min(self.reserved);
            if start >= end {
                return None;
            }
            // SAFETY: `start < end <= reserved`, within M1's range.
            Some((unsafe { self.base.as_ptr().add(start) }, end - start))
        }
    }

    impl Drop for Mapping {
        fn drop(&mut self) {
            // SAFETY: M1 – the range is this value's own; no slice of it outlives the value, since each borrows it.
            let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.reserved) };
            debug_assert!(unmapped.is_ok(), "a range that was mapped can be unmapped");
        }
    }

    /// Bytes of a writable mapping that one owner edits in place.
    ///
    /// Layout: two words. Cost: none.
    #[derive(Debug)]
    pub(crate) struct Room {
        /// R1: start of `length` bytes of a mapping, mapped for writing, which stays while this lives (M6).
        start: NonNull<u8>,
        /// R2: length; the bytes are this room's alone: no other room has them and no slice of them is lent (M4: a transaction's pages are given to it
        /// once, and nobody can reach them before it is committed; the room is gone by then).
        length: usize,
    }

    // SAFETY: R1, R2 – the bytes belong to this value wherever it is.
    unsafe impl Send for Room {}
    // SAFETY: R2 – shared access only reads.
    unsafe impl Sync for Room {}

    impl core::ops::Deref for Room {
        type Target = [u8];

        #[inline]
        fn deref(&self) -> &[u8] {
            // SAFETY: R1, R2 – mapped, and changed only through this value, which is borrowed.
            unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.length) }
        }
    }

    impl core::ops::DerefMut for Room {
        #[inline]
        fn deref_mut(&mut self) -> &mut [u8] {
            // SAFETY: R1, R2 – mapped for writing, and this value's alone, which is borrowed mutably.
            unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
        }
    }

    /// Whether this system has mappings at all.
    pub(crate) const AVAILABLE: bool = true;

    /// Shared 64-bit words, zero at first, that take no memory until they are touched.
    ///
    /// Layout: two words. Cost: one system call to make, another to tell that large pages are welcome.
    #[cfg(not(bolt_loom))]
    #[derive(Debug)]
    pub(crate) struct Words {
        /// W1: start of `count` words of anonymous memory, readable and writable, that this value alone mapped and that stay until drop.
        base: NonNull<AtomicU64>,
        /// W2: `count` words are at most `isize::MAX` bytes.
        count: usize,
    }

    // SAFETY: W1 – the memory belongs to this value wherever it is.
    #[cfg(not(bolt_loom))]
    unsafe impl Send for Words {}
    // SAFETY: W1 – it is only ever lent as atomics.
    #[cfg(not(bolt_loom))]
    unsafe impl Sync for Words {}

    #[cfg(not(bolt_loom))]
    impl Words {
        /// `count` words.
        pub(crate) fn zeroed(count: usize) -> io::Result<Self> {
            let bytes = count.max(1).checked_mul(8).filter(|&bytes| isize::try_from(bytes).is_ok());
            let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            let flags = MapFlags::PRIVATE;
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a null hint lets the system choose a range that nothing uses.
            let base = unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), bytes, protection, flags) }?;
            #[cfg(any(target_os = "linux", target_os = "android"))]
            {
                // SAFETY: the range was just mapped; where the system has no large pages the hint fails and nothing is different.
                let _ = unsafe { rustix::mm::madvise(base, bytes, Advice::LinuxHugepage) };
            }
            let base = NonNull::new(base.cast());
            let base = base.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
            Ok(Self { base, count: count.max(1) })
        }

        /// Asks the processor to fetch `lines` cache lines from word `at` on. Never faults and changes nothing.
        #[inline(always)]
        pub(crate) fn prefetch(&self, at: usize, lines: usize) {
            fetch(self.base.as_ptr().wrapping_add(at).cast(), lines as u64);
        }
    }

    #[cfg(not(bolt_loom))]
    impl core::ops::Deref for Words {
        type Target = [AtomicU64];

        #[inline(always)]
        fn deref(&self) -> &[AtomicU64] {
            // SAFETY: W1, W2 – `count` initialised words (the system gives zeros, a valid state of an atomic), page-aligned, until `self` is dropped.
            unsafe { core::slice::from_raw_parts(self.base.as_ptr(), self.count) }
        }
    }

    #[cfg(not(bolt_loom))]
    impl Drop for Words {
        fn drop(&mut self) {
            // SAFETY: W1 – the memory is this value's own; no slice of it outlives the value, since each borrows it.
            let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), 8 * self.count) };
            debug_assert!(unmapped.is_ok(), "a range that was mapped can be unmapped");
        }
    }

    /// Asks the processor to fetch `lines` cache lines from `address` on: any address, none of them faults.
    #[inline(always)]
    pub(crate) fn fetch(address: *const u8, lines: u64) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        for line in 0..lines {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // A cache line of these processors; a wrong guess would cost time only.
            let address = address.wrapping_add(super::LINE_BYTES * line as usize).cast::<i8>();
            // SAFETY: a prefetch is a hint: it reads nothing into the program and faults on no address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = (address, lines);
    }
}

#[cfg(not(all(unix, target_pointer_width = "64")))]
mod system {
    use std::fs::File;
    use std::io;

    use super::Hint;

    /// What stands for a mapping where there is none: it cannot be made.
    #[derive(Debug)]
    pub(crate) struct Mapping(core::convert::Infallible);

    impl Mapping {
        pub(crate) fn reserve(
            _bytes: u64,
            _metas_end: u64,
            _writable: bool,
            _large_pages: bool,
        ) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }
        pub(crate) fn reserved(&self) -> u64 {
            match self.0 {}
        }
        pub(crate) fn readable(&self) -> u64 {
            match self.0 {}
        }
        pub(crate) fn extend(&self, _file: &File, _file_bytes: u64) -> io::Result<()> {
            match self.0 {}
        }
        pub(crate) fn bytes(&self, _offset: u64, _length: u64) -> Option<&[u8]> {
            match self.0 {}
        }
        pub(crate) fn is_writable(&self) -> bool {
            match self.0 {}
        }
        pub(crate) fn store(&self, _offset: u64, _bytes: &[u8]) -> bool {
            match self.0 {}
        }
        pub(crate) fn room(&self, _offset: u64, _length: usize) -> Option<Room> {
            match self.0 {}
        }
        pub(crate) fn populate(&self, _offset: u64, _length: u64) {
            match self.0 {}
        }
        pub(crate) fn flush(&self) -> io::Result<()> {
            match self.0 {}
        }
        pub(crate) fn prefetch(&self, _offset: u64, _lines: u64) {
            match self.0 {}
        }
        pub(crate) fn advise(&self, _offset: u64, _length: u64, _hint: Hint) -> io::Result<()> {
            match self.0 {}
        }
        pub(crate) fn lock_in_memory(&self, _offset: u64) -> io::Result<()> {
            match self.0 {}
        }
        pub(crate) fn addresses(&self) -> core::ops::Range<usize> {
            match self.0 {}
        }
    }

    /// Nothing is mapped, and nothing fetched.
    pub(crate) fn fetch(_address: *const u8, _lines: u64) {}

    /// What stands for bytes of a mapping where there is none.
    #[derive(Debug)]
    pub(crate) struct Room(core::convert::Infallible);

    impl core::ops::Deref for Room {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            match self.0 {}
        }
    }

    impl core::ops::DerefMut for Room {
        fn deref_mut(&mut self) -> &mut [u8] {
            match self.0 {}
        }
    }

    /// Whether this system has mappings at all.
    pub(crate) const AVAILABLE: bool = false;
}

pub(crate) use system::{AVAILABLE, Mapping, Room, fetch};

impl crate::Options {
    /// Write transactions edit changed pages in the mapping, in free pages of the file, instead of handing each to the system by a write: loads take
    /// about half the time.
    ///
    /// The order of a commit stays as it is: changed pages, a wait for the disk, the meta page (by a write, never through the mapping), a wait. What a
    /// crash of the system may leave is therefore the same as without: pages reach the disk in any order before the first wait, and until the
    /// meta is written nothing refers to them. A transaction that is given up has written to free pages only, and they are free again. The wait is `fdatasync`, which on Linux covers what was stored; elsewhere `msync` goes before
    /// it. Only pages that no open transaction can reach are stored to. No effect on a read-only database, in [`MapMode::Plain`](crate::MapMode::Plain),
    /// for a storage that is no file of a path, or where there is no mapping.
    ///
    /// # Safety
    /// The mapped file can then be changed through its addresses, and no check stands between. The caller answers for the rest of the process: none
    /// of its code, whatever its language, may store through stray pointers. The file must be sound ([`check`](crate::check) finds no error): in
    /// another a page may be free and in use, and would change under who reads it. For the same reason [`ReadTx::page_bytes`](crate::ReadTx::page_bytes)
    /// must not be asked for free pages.
    ///
    /// The blocks of the file are reserved (`fallocate`) before anything is stored: those of holes when it is opened, which fails where the disk has no room
    /// for them, and those it grows by before it does. A full disk is then an error like any other. Where the file system cannot reserve (NFS, some in user
    /// space) or must write elsewhere than before (btrfs, ZFS, a thin volume below), a full disk ends the process with a bus error; so does, as ever, a
    /// file that somebody truncates.
    pub unsafe fn writable_map(mut self, yes: bool) -> Self {
        self.writable_map = yes;
        self
    }
}

/// Words on the heap, where there is no mapping to take them from: loom's are no plain memory. Such a database has no digests.
#[cfg(any(bolt_loom, not(all(unix, target_pointer_width = "64"))))]
#[derive(Debug)]
pub(crate) struct Words(Box<[bolt_sync::atomic::AtomicU64]>);

#[cfg(any(bolt_loom, not(all(unix, target_pointer_width = "64"))))]
impl Words {
    pub(crate) fn zeroed(_count: usize) -> std::io::Result<Self> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn prefetch(&self, _at: usize, _lines: usize) {}
}

#[cfg(any(bolt_loom, not(all(unix, target_pointer_width = "64"))))]
impl core::ops::Deref for Words {
    type Target = [bolt_sync::atomic::AtomicU64];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

#[cfg(all(unix, target_pointer_width = "64", not(bolt_loom)))]
pub(crate) use system::Words;
