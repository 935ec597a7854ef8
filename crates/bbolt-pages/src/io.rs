//! The one seam between the page store and the outside: read, write, set length, sync, map.
//!
//! Owns [`Storage`] and its four implementations: a file, memory, a recorder of every change, and a saboteur that fails the n-th
//! operation. Everything the store does to its file goes through here, so a crash or a full disk can be simulated at every step.
//! Never interprets a byte. Limit: positions are absolute; there is no cursor and no buffering.

use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// What the store needs of the thing that holds its pages.
///
/// A write is in effect for later reads when it returns, and durable when a later `sync` returns. Writes between two syncs may reach the disk
/// in any order, in part, or not at all.
pub trait Storage: Send + Sync {
    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether there are no bytes at all.
    ///
    /// # Errors
    /// As [`Storage::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buffer.len()` bytes at `offset`; fewer only where the storage ends.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, lengthening the storage if it ends before.
    ///
    /// # Errors
    /// Whatever the system says; any part of `bytes` may have been written then.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Writes `pieces` one behind the other from `offset` on, by one call where the system has one. Each of them is a write of its own: they may
    /// reach the disk in any order.
    ///
    /// # Errors
    /// As [`Storage::write_at`].
    fn write_all_at(&self, mut offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        for piece in pieces {
            self.write_at(offset, piece)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Sets the length; new bytes are zero.
    ///
    /// # Errors
    /// Whatever the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes the storage at least `bytes` long, and sees to it that later writes from `from` up to there cannot find the disk full, where the
    /// system can promise that. What is stored there stays.
    ///
    /// # Errors
    /// Whatever the system says.
    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()> {
        let _ = from;
        if bytes > self.len()? { self.set_len(bytes) } else { Ok(()) }
    }

    /// Makes all earlier writes and the length durable.
    ///
    /// # Errors
    /// Whatever the system says. What is durable after a failed sync is not known.
    fn sync(&self) -> io::Result<()>;

    /// Writes `bytes` and makes them durable, by one call where the system has one. Earlier writes need not become durable.
    ///
    /// # Errors
    /// As [`Storage::write_at`] and [`Storage::sync`].
    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes)?;
        self.sync()
    }

    /// The file to map, if there is one; without it pages are read by [`Storage::read_at`].
    fn file(&self) -> Option<&File> {
        None
    }
}

/// A file.
#[derive(Debug)]
pub struct FileStorage {
    file: File,
}

impl FileStorage {
    /// Wraps an open file, whose own position has no meaning from then on.
    pub fn new(file: File) -> Self {
        Self { file }
    }

    /// The file again.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl Storage for FileStorage {
    fn len(&self) -> io::Result<u64> {
        // Its position is nobody's, and this asks the system for less than all there is to know of a file.
        (&self.file).seek(SeekFrom::End(0))
    }

    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<usize> {
        let asked = buffer.len();
        while !buffer.is_empty() {
            match read_some(&self.file, offset, buffer) {
                Ok(0) => break,
                Ok(read) => {
                    offset += read as u64;
                    buffer = &mut buffer[read..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(asked - buffer.len())
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_all_at(&self, mut offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<()> {
        use rustix::io::{Errno, pwritev};
        let mut written = match pieces {
            // One alone needs no list.
            [] | [_] => 0,
            _ => match pwritev(&self.file, pieces, offset) {
                Ok(written) => written,
                Err(Errno::INTR | Errno::NOSYS | Errno::INVAL) => 0,
                Err(error) => return Err(error.into()),
            },
        };
        for piece in pieces {
            let done = written.min(piece.len());
            if done < piece.len() {
                self.write_at(offset + done as u64, &piece[done..])?;
            }
            written -= done;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn reserve(&self, from: u64, bytes: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(&self.file, FallocateFlags::empty(), from, bytes.saturating_sub(from)) {
            Ok(()) => Ok(()),
            // Not every file system has it, and an interrupted call has promised nothing.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) if bytes <= self.len()? => {
                Ok(())
            }
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => self.set_len(bytes),
            Err(error) => Err(error.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        use rustix::io::{Errno, ReadWriteFlags, pwritev2};
        // One call instead of two: the write itself waits until its data is on the disk (Linux 4.7 and later).
        match pwritev2(&self.file, &[IoSlice::new(bytes)], offset, ReadWriteFlags::DSYNC) {
            Ok(written) if written == bytes.len() => Ok(()),
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR | Errno::AGAIN) => {
                self.write_at(offset, bytes)?;
                self.sync()
            }
            Err(error) => Err(error.into()),
        }
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

#[cfg(unix)]
fn read_some(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_some(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Bytes in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    bytes: Arc<RwLock<Vec<u8>>>,
}

impl MemoryStorage {
    /// Storage that begins with `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(RwLock::new(bytes)) }
    }

    /// A copy of all bytes as they stand.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::OutOfMemory.into())
}

impl Storage for MemoryStorage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let rest = bytes.get(position(offset)?..).unwrap_or(&[]);
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, offset: u64, new: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let start = position(offset)?;
        let end = start.checked_add(new.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(new);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.bytes.write().unwrap_or_else(PoisonError::into_inner).resize(position(length)?, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// One change that went through a [`Recording`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// These bytes were written there.
    Write {
        /// Byte offset.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The length was set.
    SetLen(u64),
    /// A barrier: everything before is durable.
    Sync,
}

/// Passes everything on and keeps a list of all changes, from which the file can be rebuilt as it was, or might have been, at any moment.
#[derive(Debug)]
pub struct Recording<S> {
    inner: S,
    events: Arc<Mutex<Vec<Event>>>,
}

impl<S: Storage> Recording<S> {
    /// Begins to record; the second value is the list, shared and growing.
    pub fn new(inner: S) -> (Self, Arc<Mutex<Vec<Event>>>) {
        let events = Arc::new(Mutex::new(Vec::new()));
        (Self { inner, events: Arc::clone(&events) }, events)
    }

    fn push(&self, event: Event) {
        lock(&self.events).push(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Storage> Storage for Recording<S> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)?;
        self.push(Event::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)?;
        self.push(Event::SetLen(bytes));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()?;
        self.push(Event::Sync);
        Ok(())
    }

    fn file(&self) -> Option<&File> {
        self.inner.file()
    }
}

/// What goes wrong in a [`Failing`] storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is done; the device is full.
    NoSpace,
    /// Nothing is done; the device is broken.
    Broken,
    /// A write is cut in half and then fails; other operations are not done.
    ShortWrite,
}

/// Fails one chosen operation, or that one and all after it. Counted are write, set length and sync.
#[derive(Debug)]
pub struct Failing<S> {
    inner: S,
    plan: Arc<Mutex<Plan>>,
}

/// When a [`Failing`] storage fails; shared with the test that steers it.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Operations still to succeed; `None` never fails.
    pub remaining: Option<u64>,
    /// What happens then.
    pub failure: Failure,
    /// Whether everything after it fails too.
    pub forever: bool,
    /// How many operations failed.
    pub failed: u64,
}

impl<S: Storage> Failing<S> {
    /// Fails nothing until the shared plan says so.
    pub fn new(inner: S) -> (Self, Arc<Mutex<Plan>>) {
        let plan = Plan { remaining: None, failure: Failure::NoSpace, forever: false, failed: 0 };
        let plan = Arc::new(Mutex::new(plan));
        (Self { inner, plan: Arc::clone(&plan) }, plan)
    }

    fn step(&self) -> Option<Failure> {
        let mut plan = lock(&self.plan);
        match plan.remaining {
            None => None,
            Some(0) => {
                plan.failed += 1;
                if !plan.forever {
                    plan.remaining = None;
                }
                Some(plan.failure)
            }
            Some(remaining) => {
                plan.remaining = Some(remaining - 1);
                None
            }
        }
    }
}

fn failure(kind: Failure) -> io::Error {
    match kind {
        Failure::NoSpace => io::ErrorKind::StorageFull.into(),
        Failure::Broken => io::Error::other("input/output error"),
        Failure::ShortWrite => io::ErrorKind::WriteZero.into(),
    }
}

impl<S: Storage> Storage for Failing<S> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.step() {
            None => self.inner.write_at(offset, bytes),
            Some(kind) => {
                if kind == Failure::ShortWrite {
                    self.inner.write_at(offset, &bytes[..bytes.len() / 2])?;
                }
                Err(failure(kind))
            }
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        match self.step() {
            None => self.inner.set_len(bytes),
            Some(kind) => Err(failure(kind)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.step() {
            None => self.inner.sync(),
            Some(kind) => Err(failure(kind)),
        }
    }

    fn file(&self) -> Option<&File> {
        self.inner.file()
    }
}
