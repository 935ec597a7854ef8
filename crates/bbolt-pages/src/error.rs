//! The one error of the crate: what went wrong, where, and what to do about it.
//!
//! Owns [`Error`] and its parts, sorted by who must act: the caller ([`Usage`]), whoever owns the file ([`Refusal`],
//! [`Damage`]), the disk ([`IoFailure`]), or nobody but a reopened database (`Poisoned`). Never holds borrowed data. Limit: an
//! error is 24 bytes or less, so that a result on the hot path stays small; the details of the rare kinds lie on the heap.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that can go wrong, by who must act.
///
/// `Display` says what, where and what to do. [`Error::name`] gives bbolt's own name where it has one.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub enum Error {
    /// The caller asked for something that is not possible; nothing was changed.
    Usage(Usage),
    /// The file cannot be opened as it is.
    Refused(Box<Refusal>),
    /// A page breaks a rule of the format. Run a strict check; repair or restore a backup.
    Damaged(Box<Damage>),
    /// The operating system refused a read, a write or a mapping. Nothing acknowledged is lost.
    Io(Box<IoFailure>),
    /// An earlier commit could not be made durable, and what the disk holds is not known. Close and reopen the database.
    Poisoned,
}

/// A request that breaks the rules of the interface, with the numbers that matter.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// No bucket of that name here.
    BucketNotFound,
    /// A bucket of that name exists already.
    BucketExists,
    /// Bucket names have at least one byte.
    BucketNameRequired,
    /// A bucket name of more than [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES) bytes.
    BucketNameTooLarge {
        /// Bytes given.
        given: u64,
    },
    /// A bucket where a plain key is needed, or the reverse.
    IncompatibleValue,
    /// Keys have at least one byte.
    KeyRequired,
    /// A key of more than [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES) bytes.
    KeyTooLarge {
        /// Bytes given.
        given: u64,
    },
    /// A value that could not be read back: more than [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES) bytes.
    ValueTooLarge {
        /// Bytes given.
        given: u64,
    },
    /// A bucket can not be moved to where it is.
    SameBuckets,
    /// A bucket can not be moved into itself or one of its descendants.
    IntoItself,
    /// The bucket behind a handle was deleted, or belongs to another transaction.
    BucketGone,
    /// The cursor stands on no entry.
    NoEntry,
    /// The database was opened read-only.
    DatabaseReadOnly,
    /// A read-only database knows its free pages only if opened with `pre_load_freelist`.
    FreePagesNotLoaded,
    /// The transaction met an error before and can only be rolled back.
    TransactionFailed,
    /// The file would grow past `max_size`.
    MaxSizeReached {
        /// Bytes the file would need.
        needed: u64,
        /// Bytes it may have.
        limit: u64,
    },
    /// An option that no file can have.
    BadOption {
        /// The option's name.
        option: &'static str,
        /// What was given.
        given: u64,
    },
    /// A page id at or above the high-water mark, or a range that reaches past it.
    NoSuchPage {
        /// The id.
        page: u64,
    },
}

/// Why a file was not opened.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Neither meta page begins with bbolt's magic: this is no bbolt database.
    InvalidDatabase,
    /// A bbolt database of another version of the format.
    VersionMismatch {
        /// The version found; this crate knows 2.
        found: u32,
    },
    /// Both meta pages are torn or overwritten.
    Checksum,
    /// Written on a machine of the other byte order; bbolt cannot move such files either.
    ByteSwapped,
    /// The file is shorter than what its meta page promises.
    TooSmall {
        /// Bytes the file has.
        file_bytes: u64,
        /// Bytes it needs.
        needed_bytes: u64,
    },
    /// The file does not fit this machine's address space; open it with `MapMode::Plain`, or on a 64-bit machine.
    DoesNotFit {
        /// Bytes the file has.
        file_bytes: u64,
        /// Bytes that can be mapped.
        limit_bytes: u64,
    },
    /// Another process holds the file's lock.
    Timeout {
        /// How long this call waited.
        waited: Duration,
    },
    /// Nothing is there, and a read-only open creates nothing.
    NotFound,
    /// A directory, a pipe, a device: something that has no pages.
    NotAFile,
}

/// The rule of the format that a page breaks. The text of `Display` names it for people, [`Rule::name`] for programs.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Page ids lie in [2, high-water mark), overflow included.
    PageInBounds,
    /// The page's bytes lie within the file.
    PageInFile,
    /// The header carries the page's own number.
    PageId,
    /// Exactly one known flag, and of the kind that is expected here.
    PageKind,
    /// The element array lies within the page.
    ElementCount,
    /// Key and value of an element lie within the page, behind the element array.
    ElementBounds,
    /// The data of the elements follow one another without gap or overlap.
    ElementLayout,
    /// Leaf elements carry no flag but "bucket".
    ElementFlags,
    /// Keys have 1 to 32,768 bytes.
    KeySize,
    /// Keys ascend strictly within a page.
    KeyOrder,
    /// Keys lie between the separators above them.
    KeySeparator,
    /// A branch has children, and a leaf is empty only as the root of its bucket.
    EmptyPage,
    /// Trees are no deeper than any sound file needs; deeper means a loop.
    Depth,
    /// All leaves of a bucket lie at one depth.
    LeafDepth,
    /// A page is referred to once.
    PageShared,
    /// A bucket's value is its 16-byte header, or the header and a whole inline page.
    BucketValue,
    /// An inline bucket's page has id 0, the leaf flag, no overflow and no buckets inside.
    InlineBucket,
    /// The freelist's count lies within its pages.
    FreelistCount,
    /// The freelist's ids ascend strictly.
    FreelistOrder,
    /// The freelist's ids lie in [2, high-water mark).
    FreelistBounds,
    /// A page in use is not free.
    FreelistInUse,
    /// A page is freed once.
    FreedTwice,
    /// Each page below the high-water mark is in use or free.
    PageLeaked,
    /// A meta page's magic, version, checksum and header.
    Meta,
    /// The file is as long as its high-water mark says.
    FileLength,
}

/// One breach of the format: which page, where in it, which rule, and the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The page, or the page that holds the inline bucket.
    pub page: u64,
    /// Byte offset within the page (within its image, for an inline bucket).
    pub offset: u64,
    /// The rule it breaks.
    pub rule: Rule,
    /// What stands there.
    pub found: u64,
    /// The limit, or what should stand there.
    pub expected: u64,
}

/// A refusal of the operating system.
#[derive(Debug, Clone)]
pub struct IoFailure {
    /// What was tried: "read", "write", "sync" …
    pub operation: &'static str,
    /// Byte offset in the file, or its new length; 0 where it has no meaning.
    pub offset: u64,
    /// The system's own words.
    pub source: Arc<io::Error>,
}

impl Error {
    /// bbolt's name for this error where it has one ("bucket-not-found", "checksum" …), else one in the same style.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Usage(usage) => usage.name(),
            Self::Refused(refusal) => refusal.name(),
            Self::Damaged(_) => "damaged",
            Self::Io(_) => "io",
            Self::Poisoned => "poisoned",
        }
    }

    /// Whether the same call can succeed later without anybody's doing: only waiting for a lock.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(**refusal, Refusal::Timeout { .. }))
    }

    /// The breach of the format, if that is what this is.
    pub fn damage(&self) -> Option<&Damage> {
        if let Self::Damaged(damage) = self { Some(damage) } else { None }
    }

    /// An error of the disk: what was tried, at which byte, and the system's own words.
    #[cold]
    pub fn io(operation: &'static str, offset: u64, source: io::Error) -> Self {
        Self::Io(Box::new(IoFailure { operation, offset, source: Arc::new(source) }))
    }
}

impl Usage {
    fn name(self) -> &'static str {
        match self {
            Self::BucketNotFound => "bucket-not-found",
            Self::BucketExists => "bucket-exists",
            Self::BucketNameRequired => "bucket-name-required",
            Self::BucketNameTooLarge { .. } | Self::KeyTooLarge { .. } => "key-too-large",
            Self::IncompatibleValue => "incompatible-value",
            Self::KeyRequired => "key-required",
            Self::ValueTooLarge { .. } => "value-too-large",
            Self::SameBuckets => "same-buckets",
            Self::IntoItself => "into-itself",
            Self::BucketGone => "bucket-gone",
            Self::NoEntry => "no-entry",
            Self::DatabaseReadOnly => "database-read-only",
            Self::FreePagesNotLoaded => "free-pages-not-loaded",
            Self::TransactionFailed => "transaction-failed",
            Self::MaxSizeReached { .. } => "max-size-reached",
            Self::BadOption { .. } => "bad-option",
            Self::NoSuchPage { .. } => "no-such-page",
        }
    }
}

impl Refusal {
    fn name(&self) -> &'static str {
        match self {
            Self::InvalidDatabase => "invalid-database",
            Self::VersionMismatch { .. } => "version-mismatch",
            Self::Checksum => "checksum",
            Self::ByteSwapped => "byte-swapped",
            Self::TooSmall { .. } => "file-too-small",
            Self::DoesNotFit { .. } => "does-not-fit",
            Self::Timeout { .. } => "timeout",
            Self::NotFound => "not-found",
            Self::NotAFile => "not-a-file",
        }
    }
}

impl Rule {
    /// A short name for programs, such as "key-order".
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::PageInBounds => ("page-in-bounds", "a page id lies in [2, high-water mark)"),
            Self::PageInFile => ("page-in-file", "a page lies within the file"),
            Self::PageId => ("page-id", "a page's header carries its own number"),
            Self::PageKind => ("page-kind", "a page has exactly one kind, the one expected here"),
            Self::ElementCount => ("element-count", "a page's elements lie within it"),
            Self::ElementBounds => ("element-bounds", "an element's key and value lie within its page"),
            Self::ElementLayout => ("element-layout", "elements' data follow without gap or overlap"),
            Self::ElementFlags => ("element-flags", "a leaf element's only flag is 1, for a bucket"),
            Self::KeySize => ("key-size", "a key has 1 to 32,768 bytes"),
            Self::KeyOrder => ("key-order", "keys ascend strictly"),
            Self::KeySeparator => ("key-separator", "keys lie between the separators above them"),
            Self::EmptyPage => ("empty-page", "only a bucket's root leaf may be empty"),
            Self::Depth => ("depth", "no sound tree is this deep: its pages form a loop"),
            Self::LeafDepth => ("leaf-depth", "all leaves of a bucket lie at one depth"),
            Self::PageShared => ("page-shared", "a page is referred to once"),
            Self::BucketValue => {
                ("bucket-value", "a bucket's value is its header, or header and inline page")
            }
            Self::InlineBucket => {
                ("inline-bucket", "an inline page has id 0, the leaf flag, no overflow, no buckets")
            }
            Self::FreelistCount => ("freelist-count", "the freelist's ids lie within its pages"),
            Self::FreelistOrder => ("freelist-order", "the freelist's ids ascend strictly"),
            Self::FreelistBounds => ("freelist-bounds", "the freelist's ids lie in [2, high-water mark)"),
            Self::FreelistInUse => ("freelist-in-use", "a page in use is not free"),
            Self::FreedTwice => ("freed-twice", "a page is freed once"),
            Self::PageLeaked => ("page-leaked", "each page is in use or free"),
            Self::Meta => ("meta", "a meta page has magic, version, checksum and header"),
            Self::FileLength => ("file-length", "the file reaches to its high-water mark"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.texts().1)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page, offset, rule, found, expected } = self;
        write!(f, "page {page}, offset {offset}: {rule} (found {found}, expected {expected})")
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BucketNotFound => f.write_str("bucket not found: create it first"),
            Self::BucketExists => {
                f.write_str("bucket already exists: open it, or use create_bucket_if_not_exists")
            }
            Self::BucketNameRequired => f.write_str("bucket name required: give at least one byte"),
            Self::BucketNameTooLarge { given } => write!(f, "bucket name of {given} bytes is too large"),
            Self::IncompatibleValue => {
                f.write_str("incompatible value: a bucket where a plain key is needed, or the reverse")
            }
            Self::KeyRequired => f.write_str("key required: give at least one byte"),
            Self::KeyTooLarge { given } => {
                write!(f, "key of {given} bytes is too large: at most {}", crate::MAX_KEY_BYTES)
            }
            Self::ValueTooLarge { given } => {
                write!(f, "value of {given} bytes is too large: at most {}", crate::MAX_VALUE_BYTES)
            }
            Self::SameBuckets => f.write_str("the bucket is there already"),
            Self::IntoItself => f.write_str("a bucket cannot be moved into itself or what it holds"),
            Self::BucketGone => {
                f.write_str("the bucket behind this handle was deleted: open it again by name")
            }
            Self::NoEntry => f.write_str("the cursor stands on no entry: move it first"),
            Self::DatabaseReadOnly => f.write_str("database is in read-only mode: open it for writing"),
            Self::FreePagesNotLoaded => {
                f.write_str("free pages are not loaded: open read-only with pre_load_freelist(true)")
            }
            Self::TransactionFailed => {
                f.write_str("the transaction met an error before and can only be rolled back")
            }
            Self::MaxSizeReached { needed, limit } => {
                write!(f, "database reached maximum size: {needed} bytes needed, {limit} allowed by max_size")
            }
            Self::BadOption { option, given } => write!(f, "option {option} cannot be {given}"),
            Self::NoSuchPage { page } => write!(f, "page {page} is not below the high-water mark"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidDatabase => f.write_str("invalid database: neither meta page has bbolt's magic"),
            Self::VersionMismatch { found } => {
                write!(f, "version mismatch: the file has version {found}, expected 2")
            }
            Self::Checksum => f.write_str(
                "checksum error: both meta pages are damaged; restore a backup or salvage with repair",
            ),
            Self::ByteSwapped => f.write_str(
                "the file was written on a machine of the other byte order; compact it there, read it there",
            ),
            Self::TooSmall { file_bytes, needed_bytes } => {
                write!(
                    f,
                    "file size too small: {file_bytes} bytes, {needed_bytes} needed; the file was truncated"
                )
            }
            Self::DoesNotFit { file_bytes, limit_bytes } => write!(
                f,
                "a file of {file_bytes} bytes does not fit the {limit_bytes} bytes this machine can map; \
                 open it with MapMode::Plain or on a 64-bit machine"
            ),
            Self::Timeout { waited } => {
                write!(
                    f,
                    "timeout: another process held the file's lock for {waited:?}; close it there or wait longer"
                )
            }
            Self::NotFound => f.write_str("no such file, and a read-only open creates none"),
            Self::NotAFile => {
                f.write_str("a directory, a pipe or a device, and no file: give the database's own path")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(usage) => usage.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Damaged(damage) => {
                write!(f, "damaged file: {damage}; run a strict check, then repair or restore a backup")
            }
            Self::Io(failure) => {
                let IoFailure { operation, offset, source } = &**failure;
                match *operation {
                    // These are about the file as a whole.
                    "open" | "create" | "lock" | "rename" | "sync directory" => write!(f, "{operation} failed: {source}")?,
                    _ => write!(f, "{operation} at byte {offset} failed: {source}")?,
                }
                f.write_str(advice(operation, source.kind()))
            }
            Self::Poisoned => f.write_str(
                "an earlier commit could not be made durable; close and reopen the database before writing again",
            ),
        }
    }
}

/// What to do about a failed operation, where that is known.
fn advice(operation: &str, kind: io::ErrorKind) -> &'static str {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match (operation, kind) {
        ("open", PermissionDenied | ReadOnlyFilesystem) => {
            "; let this user write the file, or open it with Options::read_only"
        }
        ("create", PermissionDenied | ReadOnlyFilesystem) => {
            "; a new database is made beside its place: give a directory that this user may write"
        }
        ("write" | "set length", StorageFull | QuotaExceeded | FileTooLarge) => {
            "; nothing acknowledged is lost: make room and try the transaction again, or delete something"
        }
        ("reserve blocks", StorageFull | QuotaExceeded | FileTooLarge) => {
            "; the file has holes that a writable map must fill: make room, or open it without Options::writable_map"
        }
        _ => "",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io(failure) = self { Some(&*failure.source) } else { None }
    }
}

impl From<Usage> for Error {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Damage> for Error {
    #[cold]
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

impl std::error::Error for Damage {}

const _: () = assert!(size_of::<Error>() <= 32, "a result on the hot path stays small");
