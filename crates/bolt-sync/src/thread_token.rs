//! Owns: a token for each living thread, and whether the thread of a token still lives. Never gives a token twice, never blocks, never
//! allocates. Limits: [`THREADS_MAX`] threads with a token at once; those that come beyond, and threads that are ending, have none.

use core::fmt;

use crate::atomic::{AtomicUsize, Ordering};
use crate::{Link, SlotList};

/// How many threads have tokens at once: 3 KiB of static memory. Threads beyond are served without what tokens make cheap.
#[cfg(not(bolt_loom))]
pub const THREADS_MAX: usize = 256;
/// As many as models have threads, so that their state stays small.
#[cfg(bolt_loom)]
pub const THREADS_MAX: usize = 4;

/// Above the free bit: the place in the table, then how many threads have had that place.
const PLACE_SHIFT: u32 = 1;
const STEP: usize = THREADS_MAX << PLACE_SHIFT;

const _: () = assert!(THREADS_MAX.is_power_of_two(), "a place is a mask away");

/// Names one thread in the life of the process: while it lives, and recognisably afterwards.
///
/// For mechanisms that belong to one thread at a time, such as a free list without atomic read-modify-writes: the thread's token in the
/// owner's word says whose it is, and whoever finds the token of a thread that has ended may take over. Tokens are not given twice, so a
/// word that still shows one cannot be mistaken for another thread's.
///
/// **Layout.** A word; even, and never 0, unless it is [`NONE`](Self::NONE). **Cost.** [`current`](Self::current) is one load of a
/// thread-local word, half a nanosecond.
///
/// ```
/// use bolt_sync::thread_token::ThreadToken;
/// # #[cfg(feature = "std")] {
/// let here = ThreadToken::enroll();
/// assert_eq!(here, ThreadToken::current());
/// let there = std::thread::spawn(ThreadToken::enroll).join().unwrap();
/// assert_ne!(here, there);
/// assert!(here.is_living() && !there.is_living(), "its thread has ended");
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadToken(usize);

impl ThreadToken {
    /// No thread's. Odd, so that it differs from every token and from 0.
    pub const NONE: Self = Self(1);

    /// The calling thread's, if it has [enrolled](Self::enroll); [`NONE`](Self::NONE) otherwise, always without the feature `std`.
    #[inline(always)]
    pub fn current() -> Self {
        #[cfg(any(feature = "std", bolt_loom))]
        return per_thread::current();
        #[cfg(not(any(feature = "std", bolt_loom)))]
        Self::NONE
    }

    /// The calling thread's, given now if it has none yet. [`NONE`](Self::NONE) while it ends, when too many threads have one, and without the feature
    /// `std`.
    #[cold]
    pub fn enroll() -> Self {
        #[cfg(any(feature = "std", bolt_loom))]
        return per_thread::enroll();
        #[cfg(not(any(feature = "std", bolt_loom)))]
        Self::NONE
    }

    /// The word. Bit 0 of a token is 0 and the holder's to use.
    #[inline(always)]
    pub const fn to_raw(self) -> usize {
        self.0
    }

    /// The token in a word that [`to_raw`](Self::to_raw) gave, bit 0 aside; nothing for 0 and [`NONE`](Self::NONE).
    #[inline(always)]
    pub const fn from_raw(raw: usize) -> Option<Self> {
        match raw & !1 {
            0 => None,
            token => Some(Self(token)),
        }
    }

    /// A number below [`THREADS_MAX`] that no other living thread has: small ones first, those of ended threads again. 0 for [`NONE`](Self::NONE).
    #[inline(always)]
    pub const fn number(self) -> usize {
        self.0 >> PLACE_SHIFT & (THREADS_MAX - 1)
    }

    /// False once its thread has ended, or will do nothing more under this token: what it did under it happens before what follows that
    /// answer. True may be out of date when it arrives.
    ///
    /// The token's beginning must happen before this: hand tokens on with Release, and read them with Acquire. Otherwise the answer may be that of before.
    #[inline]
    pub fn is_living(self) -> bool {
        #[cfg(any(feature = "std", bolt_loom))]
        return per_thread::is_living(self);
        #[cfg(not(any(feature = "std", bolt_loom)))]
        false
    }
}

impl fmt::Debug for ThreadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("ThreadToken::NONE"),
            token => write!(f, "ThreadToken({} of {})", token.number(), token.0 / STEP),
        }
    }
}

/// Who lives. Use [`ThreadToken`]; this is public for models of it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registry {
    /// Places that no living thread has.
    free: SlotList<[Link; THREADS_MAX]>,
    /// For each place the token of its thread, or of its next one; 0 before the first.
    tokens: [AtomicUsize; THREADS_MAX],
}

impl Registry {
    /// Nobody lives.
    #[cfg(not(bolt_loom))]
    pub const fn new() -> Self {
        Self { free: SlotList::array(), tokens: [const { AtomicUsize::new(0) }; THREADS_MAX] }
    }

    /// Nobody lives.
    #[cfg(bolt_loom)]
    pub fn new() -> Self {
        Self { free: SlotList::array(), tokens: core::array::from_fn(|_| AtomicUsize::new(0)) }
    }

    /// A token that nobody had.
    pub fn begin(&self) -> ThreadToken {
        let Some(place) = self.free.pop() else { return ThreadToken::NONE };
        let place = place as usize;
        // Relaxed: the list has ordered the last owner's `end` before this.
        match self.tokens[place].load(Ordering::Relaxed) {
            0 => {
                let token = STEP | place << PLACE_SHIFT;
                self.tokens[place].store(token, Ordering::Relaxed);
                ThreadToken(token)
            }
            token => ThreadToken(token),
        }
    }

    /// Ends a token that `begin` gave.
    pub fn end(&self, token: ThreadToken) {
        if token == ThreadToken::NONE {
            return;
        }
        let place = token.number();
        let next = token.0.checked_add(STEP);
        // Release pairs with the Acquire of `is_living`: what the thread did under its token comes before.
        self.tokens[place].store(next.unwrap_or(0), Ordering::Release);
        // A place whose tokens are used up (2²² threads after each other with words of 32 bits) stays out.
        if next.is_some() {
            let back = self.free.push(place as u32);
            debug_assert!(back.is_ok(), "a place has one thread");
        }
    }

    /// See [`ThreadToken::is_living`].
    #[inline]
    pub fn is_living(&self, token: ThreadToken) -> bool {
        token != ThreadToken::NONE && self.tokens[token.number()].load(Ordering::Acquire) == token.0
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(feature = "std", bolt_loom))]
mod per_thread {
    use super::{Registry, ThreadToken};
    use std::cell::{Cell, RefCell};

    #[cfg(not(bolt_loom))]
    mod table {
        use super::{Cell, End, RefCell, Registry, ThreadToken};

        pub(super) type Shared = &'static Registry;
        static REGISTRY: Registry = Registry::new();
        pub(super) fn registry() -> Shared {
            &REGISTRY
        }
        std::thread_local! {
            /// `const` and without a destructor, so that reading it is one load.
            pub(super) static TOKEN: Cell<ThreadToken> = const { Cell::new(ThreadToken::NONE) };
            /// Touched once; its destructor is the end of the thread.
            pub(super) static END: RefCell<Option<End>> = const { RefCell::new(None) };
        }
    }

    #[cfg(bolt_loom)]
    mod table {
        use super::{Cell, End, RefCell, Registry, ThreadToken};

        /// Counted, since a model's thread may end after its first one, whose end takes loom's statics along.
        pub(super) type Shared = std::sync::Arc<Registry>;
        loom::lazy_static! {
            static ref REGISTRY: Shared = Shared::new(Registry::new());
        }
        pub(super) fn registry() -> Shared {
            REGISTRY.clone()
        }
        loom::thread_local! {
            pub(super) static TOKEN: Cell<ThreadToken> = Cell::new(ThreadToken::NONE);
            pub(super) static END: RefCell<Option<End>> = RefCell::new(None);
        }
    }

    pub(super) struct End {
        registry: table::Shared,
        token: ThreadToken,
    }

    impl Drop for End {
        fn drop(&mut self) {
            // First of all: what is dropped after this finds the thread without a token. The cell may be gone already, which says the same.
            let _ = table::TOKEN.try_with(|token| token.set(ThreadToken::NONE));
            self.registry.end(self.token);
        }
    }

    #[inline(always)]
    pub(super) fn current() -> ThreadToken {
        table::TOKEN.try_with(Cell::get).unwrap_or(ThreadToken::NONE)
    }

    pub(super) fn enroll() -> ThreadToken {
        let known = current();
        if known != ThreadToken::NONE {
            return known;
        }
        table::END
            .try_with(|end| {
                let registry = table::registry();
                let token = registry.begin();
                if token != ThreadToken::NONE {
                    *end.borrow_mut() = Some(End { registry, token });
                    let _ = table::TOKEN.try_with(|cell| cell.set(token));
                }
                token
            })
            .unwrap_or(ThreadToken::NONE)
    }

    pub(super) fn is_living(token: ThreadToken) -> bool {
        table::registry().is_living(token)
    }
}

#[cfg(all(test, not(bolt_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_given_twice_and_says_when_its_thread_ended() {
        let registry = Registry::new();
        let (one, two) = (registry.begin(), registry.begin());
        assert_eq!((one.number(), two.number()), (0, 1));
        assert!(registry.is_living(one) && registry.is_living(two) && one != two);
        registry.end(one);
        assert!(!registry.is_living(one) && registry.is_living(two));
        let three = registry.begin();
        assert_eq!(three.number(), 0, "its place is used again");
        assert!(three != one && !registry.is_living(one) && registry.is_living(three));
        assert_eq!(ThreadToken::from_raw(three.to_raw() | 1), Some(three), "bit 0 is the holder's");
        assert_eq!(
            (ThreadToken::from_raw(0), ThreadToken::from_raw(ThreadToken::NONE.to_raw())),
            (None, None)
        );
        assert!(!registry.is_living(ThreadToken::NONE));
        registry.end(ThreadToken::NONE);
    }

    #[test]
    fn threads_beyond_the_table_have_none_and_a_used_up_place_stays_out() {
        let registry = Registry::new();
        let mut all: [ThreadToken; THREADS_MAX] = core::array::from_fn(|_| registry.begin());
        assert!(all.iter().all(|&token| registry.is_living(token)));
        assert_eq!(registry.begin(), ThreadToken::NONE);
        let last = ThreadToken((usize::MAX - (STEP - 1)) | (all[7].number() << PLACE_SHIFT));
        registry.tokens[7].store(last.0, Ordering::Relaxed);
        registry.end(last);
        assert!(!registry.is_living(last));
        assert_eq!(registry.begin(), ThreadToken::NONE, "its next token would be its first again");
        registry.end(all[9]);
        all[9] = registry.begin();
        assert_eq!(all[9].number(), 9);
    }
}
