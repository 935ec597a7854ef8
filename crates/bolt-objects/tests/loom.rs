//! Loom models of the bound of an `ObjectPool` and of the readers of a `SharedStringPool`, each with a broken twin that must fail. What moves the objects, magazines and depot, is modelled
//! in bolt-sync; under loom every thread of a pool goes through its locked part.
//!
//! Run: `cargo xtask loom bolt-objects`.
#![cfg(bolt_loom)]

use std::panic::catch_unwind;

use bolt_objects::{
    Hooks, ObjectPool, PoolConfig, SharedStringPool, StringError, StringId, StringPoolConfig,
};
use bolt_sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use bolt_sync::sync::{Arc, Mutex};
use bolt_sync::thread;

/// What a model needs of a bounded pool; the twin implements it too. An object says whether it is the first to be made.
trait Bounded: Send + Sync + 'static {
    fn new(bound: usize, made: Arc<AtomicUsize>) -> Self;
    /// Runs `f` with an object; false when the pool is exhausted.
    fn with(&self, f: impl FnOnce()) -> bool;
}

impl Bounded for ObjectPool<u8> {
    fn new(bound: usize, made: Arc<AtomicUsize>) -> Self {
        let create = move || made.fetch_add(1, Ordering::Relaxed) as u8;
        ObjectPool::with_hooks(Hooks::new(create), PoolConfig::new().bounded(bound)).expect("small")
    }
    fn with(&self, f: impl FnOnce()) -> bool {
        let Ok(guard) = self.try_get() else { return false };
        f();
        drop(guard);
        true
    }
}

/// A pool that looks at the count first and adds to it later.
struct LooksThenAdds {
    bound: usize,
    live: AtomicUsize,
    made: Arc<AtomicUsize>,
    idle: Mutex<Vec<u8>>,
}

impl Bounded for LooksThenAdds {
    fn new(bound: usize, made: Arc<AtomicUsize>) -> Self {
        Self { bound, live: AtomicUsize::new(0), made, idle: Mutex::new(Vec::new()) }
    }
    fn with(&self, f: impl FnOnce()) -> bool {
        let idle = self.idle.lock().unwrap().pop();
        let object = match idle {
            Some(object) => object,
            None if self.live.load(Ordering::SeqCst) < self.bound => {
                self.live.fetch_add(1, Ordering::SeqCst);
                self.made.fetch_add(1, Ordering::SeqCst) as u8
            }
            None => return false,
        };
        f();
        self.idle.lock().unwrap().push(object);
        true
    }
}

/// Two threads want the only object: it never exists twice, and who comes when it is back gets it.
fn two_want_one<P: Bounded>() {
    let made = Arc::new(AtomicUsize::new(0));
    let shared = Arc::new((P::new(1, made.clone()), AtomicUsize::new(0)));
    let other = {
        let shared = shared.clone();
        thread::spawn(move || use_it(&shared))
    };
    let mine = use_it(&shared);
    let theirs = other.join().unwrap();
    assert!(mine || theirs, "it was there for one of them");
    assert!(use_it(&shared), "it is back");
    assert_eq!(made.load(Ordering::SeqCst), 1, "one object is one object");
}

fn use_it<P: Bounded>(shared: &(P, AtomicUsize)) -> bool {
    shared.0.with(|| {
        assert_eq!(shared.1.fetch_add(1, Ordering::SeqCst), 0, "two users at once");
        shared.1.fetch_sub(1, Ordering::SeqCst);
    })
}

/// Explores a model under a bound of preemptions unless the environment sets another.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

#[test]
fn a_bound_of_one_between_two_threads() {
    bounded(3, two_want_one::<ObjectPool<u8>>);
}

#[test]
fn broken_twin_that_looks_before_it_adds_fails() {
    let verdict = catch_unwind(|| bounded(3, two_want_one::<LooksThenAdds>));
    assert!(verdict.is_err(), "the model did not notice that the bound was passed");
}

/// An object that was destroyed makes room for another, also when two threads do so.
#[test]
fn a_destroyed_object_leaves_its_place() {
    bounded(2, || {
        let hooks = Hooks::new(|| 1_u8).bytes(|_| 1);
        let config = PoolConfig::new().bounded(1).object_bytes_max(0);
        let pool = Arc::new(ObjectPool::with_hooks(hooks, config).expect("small"));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || drop(pool.try_get()))
        };
        drop(pool.try_get());
        other.join().unwrap();
        assert!(pool.try_get().is_ok());
        assert_eq!(pool.stats().in_use, 0);
    });
}

/// What a model needs of readers of strings: one place for text, which the second string takes from the first.
trait Strings: Send + Sync + 'static {
    type Id: Copy + Send;
    fn new() -> Self;
    fn intern(&self, text: &str) -> Self::Id;
    fn resolve(&self, id: Self::Id) -> Option<String>;
}

/// The least pool there is: of one string, and so many bytes of pinned ones.
fn pool_of_one(pinned_bytes: usize) -> SharedStringPool {
    let config = |bytes| StringPoolConfig::new(bytes).strings_max(1).pinned_bytes(pinned_bytes);
    let Err(StringError::BudgetTooSmall { bytes_needed, .. }) = SharedStringPool::new(config(0), 1) else {
        panic!("nothing can be held in no bytes")
    };
    SharedStringPool::new(config(bytes_needed), 1).expect("what is needed")
}

impl Strings for SharedStringPool {
    type Id = StringId;
    fn new() -> Self {
        pool_of_one(0)
    }
    fn intern(&self, text: &str) -> StringId {
        self.intern(text).expect("short")
    }
    fn resolve(&self, id: StringId) -> Option<String> {
        self.resolve(id)
    }
}

/// Strings of two words whose reader looks at the generation before it copies, and not after.
struct LooksOnce {
    generation: AtomicU64,
    words: [AtomicU64; 2],
}

impl Strings for LooksOnce {
    type Id = u64;
    fn new() -> Self {
        Self { generation: AtomicU64::new(0), words: [AtomicU64::new(0), AtomicU64::new(0)] }
    }
    fn intern(&self, text: &str) -> u64 {
        let generation = self.generation.load(Ordering::Relaxed) + 2;
        self.generation.store(generation - 1, Ordering::SeqCst);
        for (word, chunk) in self.words.iter().zip(text.as_bytes().chunks(8)) {
            word.store(u64::from_le_bytes(chunk.try_into().unwrap()), Ordering::SeqCst);
        }
        self.generation.store(generation, Ordering::SeqCst);
        generation
    }
    fn resolve(&self, id: u64) -> Option<String> {
        if self.generation.load(Ordering::SeqCst) != id {
            return None;
        }
        let bytes: Vec<u8> =
            self.words.iter().flat_map(|word| word.load(Ordering::SeqCst).to_le_bytes()).collect();
        Some(String::from_utf8(bytes).unwrap())
    }
}

/// A reader resolves while a writer evicts the string and puts another in its place: it is the string, whole, or dead.
fn resolve_while_it_is_replaced<S: Strings>() {
    const ONE: &str = "one one one one ";
    const TWO: &str = "two two two two ";
    let pool = Arc::new(S::new());
    let one = pool.intern(ONE);
    let writer = {
        let pool = pool.clone();
        thread::spawn(move || pool.intern(TWO))
    };
    if let Some(text) = pool.resolve(one) {
        assert_eq!(text, ONE, "another string, or half of one");
    }
    let two = writer.join().unwrap();
    assert_eq!(pool.resolve(one), None, "dead for ever");
    assert_eq!(pool.resolve(two).as_deref(), Some(TWO));
}

#[test]
fn a_string_is_resolved_while_it_is_replaced() {
    bounded(3, resolve_while_it_is_replaced::<SharedStringPool>);
}

#[test]
fn broken_twin_that_looks_once_fails() {
    let verdict = catch_unwind(|| bounded(3, resolve_while_it_is_replaced::<LooksOnce>));
    assert!(verdict.is_err(), "the model did not notice a torn string");
}

/// Strings of two words whose interner compares without a lock, and only then looks which string it was.
struct ComparesThenLooks {
    generation: AtomicU64,
    words: [AtomicU64; 2],
    lock: Mutex<()>,
}

fn words_of(text: &str) -> [u64; 2] {
    [0, 8].map(|at| u64::from_le_bytes(text.as_bytes()[at..at + 8].try_into().unwrap()))
}

impl Strings for ComparesThenLooks {
    type Id = u64;
    fn new() -> Self {
        Self {
            generation: AtomicU64::new(0),
            words: [AtomicU64::new(0), AtomicU64::new(0)],
            lock: Mutex::new(()),
        }
    }
    fn intern(&self, text: &str) -> u64 {
        let found = [&self.words[0], &self.words[1]].map(|word| word.load(Ordering::SeqCst));
        if found == words_of(text) {
            return self.generation.load(Ordering::SeqCst);
        }
        let _locked = self.lock.lock().unwrap();
        for (word, new) in self.words.iter().zip(words_of(text)) {
            word.store(new, Ordering::SeqCst);
        }
        self.generation.fetch_add(1, Ordering::SeqCst) + 1
    }
    fn resolve(&self, id: u64) -> Option<String> {
        let _locked = self.lock.lock().unwrap();
        let bytes: Vec<u8> =
            self.words.iter().flat_map(|word| word.load(Ordering::SeqCst).to_le_bytes()).collect();
        (self.generation.load(Ordering::SeqCst) == id).then(|| String::from_utf8(bytes).unwrap())
    }
}

/// A string is interned again while a writer puts another in its place: each gets an id of its own text, or of a string that is dead.
/// It found that a free slot was filled under an even stamp: a reader could see its new place before its new text, and take the id for the old one.
fn intern_again_while_it_is_replaced<S: Strings>() {
    const ONE: &str = "one one one one ";
    const TWO: &str = "two two two two ";
    let pool = Arc::new(S::new());
    let first = pool.intern(ONE);
    let writer = {
        let pool = pool.clone();
        thread::spawn(move || pool.intern(TWO))
    };
    let again = pool.intern(ONE);
    let two = writer.join().unwrap();
    for (id, text) in [(first, ONE), (again, ONE), (two, TWO)] {
        assert!(pool.resolve(id).is_none_or(|found| found == text), "the id of another string");
    }
}

#[test]
fn a_string_is_interned_again_while_it_is_replaced() {
    bounded(3, intern_again_while_it_is_replaced::<SharedStringPool>);
}

#[test]
fn broken_twin_that_compares_then_looks_fails() {
    let verdict = catch_unwind(|| bounded(3, intern_again_while_it_is_replaced::<ComparesThenLooks>));
    assert!(verdict.is_err(), "the model did not notice the id of another string");
}

/// A hit finds a string that a pin moves meanwhile, and the same id whether it finds it without the lock or with it.
#[test]
fn a_string_is_interned_again_while_it_moves() {
    bounded(2, || {
        let pool = Arc::new(pool_of_one(32));
        let id = pool.intern("one one one one ").expect("short");
        let mover = {
            let pool = pool.clone();
            thread::spawn(move || pool.pin(id).expect("alive"))
        };
        assert_eq!(pool.intern("one one one one "), Ok(id));
        mover.join().unwrap();
    });
}

/// A pin moves the text while it is read: it is found all the same.
#[test]
fn a_string_is_resolved_while_it_moves() {
    bounded(2, || {
        let pool = Arc::new(pool_of_one(32));
        let id = pool.intern("one one one one ").expect("short");
        let mover = {
            let pool = pool.clone();
            thread::spawn(move || pool.pin(id).and_then(|()| pool.unpin(id)).expect("alive"))
        };
        assert_eq!(pool.resolve(id).as_deref(), Some("one one one one "));
        mover.join().unwrap();
    });
}
