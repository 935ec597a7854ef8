//! Pooled buffers through `bolt-tlv` and through what one would use instead: allocators, pools of objects, the design it replaces.
//!
//! Owns one loop for each shape of use and one contender for each way to get a buffer of 64-byte alignment. Allocators are called
//! directly, through their `GlobalAlloc`, so all stand in one run. Every contender is checked before it is timed: the buffer is writable,
//! and a second one is another.
//!
//! Not criterion: the contenders take turns, round by round, so that a machine whose speed wanders slows all of them alike; the figure
//! is the median of all rounds, in ns an operation, with the tenth and ninetieth percentile. Arguments: a part of a row's name to run
//! only that; `--test` for one round.
//!
//! unsafe: allowed here

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::hint::black_box;
use std::io::{IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bolt_tlv::{
    BufferPool, Exhausted, FrameReader, Header, PooledBuffer, Strategy, read_frame_pooled, write_frame,
};
use boltstack_compare_pools::{OPERATIONS, ROUNDS, Run, Trip, row};

/// One way to take a buffer and give it back.
trait Source: Sync {
    type Buffer: Send;
    fn take(&self, size: usize) -> Self::Buffer;
    fn bytes<'a>(&self, buffer: &'a mut Self::Buffer) -> &'a mut [u8];
    /// Where the buffer begins: shown to the optimiser, so that none is left out.
    fn start(&self, buffer: &Self::Buffer) -> *const u8;
    fn give(&self, buffer: Self::Buffer);
}

impl Source for BufferPool {
    type Buffer = PooledBuffer;
    #[inline(always)]
    fn take(&self, size: usize) -> PooledBuffer {
        self.acquire(size).expect("the class is large enough")
    }
    fn bytes<'a>(&self, buffer: &'a mut PooledBuffer) -> &'a mut [u8] {
        buffer
    }
    #[inline(always)]
    fn start(&self, buffer: &PooledBuffer) -> *const u8 {
        buffer.as_ptr()
    }
    #[inline(always)]
    fn give(&self, buffer: PooledBuffer) {
        drop(buffer);
    }
}

/// The bare mechanism below `bolt-tlv`: a number in and out of magazines, without buffer or class.
struct Bare(bolt_sync::magazine::Magazines<usize>);

impl Source for Bare {
    type Buffer = usize;
    #[inline(always)]
    fn take(&self, _size: usize) -> usize {
        self.0.take().expect("filled")
    }
    fn bytes<'a>(&self, _buffer: &'a mut usize) -> &'a mut [u8] {
        &mut []
    }
    #[inline(always)]
    fn start(&self, buffer: &usize) -> *const u8 {
        std::ptr::without_provenance(*buffer)
    }
    #[inline(always)]
    fn give(&self, buffer: usize) {
        self.0.give(buffer).expect("room");
    }
}

/// An allocator called directly, as a container with 64-byte alignment would.
struct Direct<A>(A);

struct Raw(*mut u8, usize);

// SAFETY: owned memory.
unsafe impl Send for Raw {}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 64).expect("a small power of two")
}

impl<A: GlobalAlloc + Sync> Source for Direct<A> {
    type Buffer = Raw;
    #[inline(always)]
    fn take(&self, size: usize) -> Raw {
        // SAFETY: the size is not 0.
        let start = unsafe { self.0.alloc(layout(size)) };
        assert!(!start.is_null());
        Raw(start, size)
    }
    fn bytes<'a>(&self, buffer: &'a mut Raw) -> &'a mut [u8] {
        // SAFETY: owned memory of this size; written before it is read.
        unsafe {
            buffer.0.write_bytes(0, buffer.1);
            std::slice::from_raw_parts_mut(buffer.0, buffer.1)
        }
    }
    #[inline(always)]
    fn start(&self, buffer: &Raw) -> *const u8 {
        buffer.0
    }
    #[inline(always)]
    fn give(&self, buffer: Raw) {
        // SAFETY: allocated here with this layout.
        unsafe { self.0.dealloc(buffer.0, layout(buffer.1)) };
    }
}

type Boxed = Box<Aligned>;

#[repr(align(64))]
struct Aligned([u8; 1024]);

fn boxed() -> Boxed {
    Box::new(Aligned([0; 1024]))
}

impl Source for object_pool::Pool<Boxed> {
    type Buffer = Boxed;
    #[inline(always)]
    fn take(&self, _size: usize) -> Boxed {
        self.pull(boxed).detach().1
    }
    fn bytes<'a>(&self, buffer: &'a mut Boxed) -> &'a mut [u8] {
        &mut buffer.0
    }
    #[inline(always)]
    fn start(&self, buffer: &Self::Buffer) -> *const u8 {
        buffer.0.as_ptr()
    }
    #[inline(always)]
    fn give(&self, buffer: Boxed) {
        self.attach(buffer);
    }
}

struct Maker;

impl opool::PoolAllocator<Boxed> for Maker {
    fn allocate(&self) -> Boxed {
        boxed()
    }
}

/// Its guards borrow the pool, so the pool lives as long as the program.
struct Opool(&'static opool::Pool<Maker, Boxed>);

impl Source for Opool {
    type Buffer = opool::RefGuard<'static, Maker, Boxed>;
    #[inline(always)]
    fn take(&self, _size: usize) -> Self::Buffer {
        self.0.get()
    }
    fn bytes<'a>(&self, buffer: &'a mut Self::Buffer) -> &'a mut [u8] {
        &mut buffer.0
    }
    #[inline(always)]
    fn start(&self, buffer: &Self::Buffer) -> *const u8 {
        buffer.0.as_ptr()
    }
    #[inline(always)]
    fn give(&self, buffer: Self::Buffer) {
        drop(buffer);
    }
}

impl Source for crossbeam_queue::ArrayQueue<Boxed> {
    type Buffer = Boxed;
    #[inline(always)]
    fn take(&self, _size: usize) -> Boxed {
        self.pop().unwrap_or_else(boxed)
    }
    fn bytes<'a>(&self, buffer: &'a mut Boxed) -> &'a mut [u8] {
        &mut buffer.0
    }
    #[inline(always)]
    fn start(&self, buffer: &Self::Buffer) -> *const u8 {
        buffer.0.as_ptr()
    }
    #[inline(always)]
    fn give(&self, buffer: Boxed) {
        drop(self.push(buffer));
    }
}

/// The design that this crate replaces, as its page sketches it: a map of vectors behind a mutex, buffers cleared on return.
struct Sketch(Mutex<HashMap<usize, Vec<Vec<u8>>>>);

impl Source for Sketch {
    type Buffer = Vec<u8>;
    fn take(&self, size: usize) -> Vec<u8> {
        let class = size.next_power_of_two().max(128);
        let mut pools = self.0.lock().expect("nobody panics");
        pools.get_mut(&class).and_then(Vec::pop).unwrap_or_else(|| vec![0; class])
    }
    fn bytes<'a>(&self, buffer: &'a mut Vec<u8>) -> &'a mut [u8] {
        buffer
    }
    #[inline(always)]
    fn start(&self, buffer: &Vec<u8>) -> *const u8 {
        buffer.as_ptr()
    }
    fn give(&self, mut buffer: Vec<u8>) {
        buffer.fill(0);
        let class = buffer.len();
        self.0.lock().expect("nobody panics").entry(class).or_default().push(buffer);
    }
}

/// What the source does today: a vector of header and payload, a zeroed one for the payload, an `Arc` around the first.
struct SourceToday;

impl Source for SourceToday {
    type Buffer = Arc<Vec<u8>>;
    fn take(&self, size: usize) -> Arc<Vec<u8>> {
        let mut bytes = Vec::with_capacity(8 + size);
        let payload = black_box(vec![0_u8; size]);
        bytes.extend_from_slice(&payload);
        Arc::new(bytes)
    }
    fn bytes<'a>(&self, buffer: &'a mut Arc<Vec<u8>>) -> &'a mut [u8] {
        Arc::get_mut(buffer).expect("not shared")
    }
    #[inline(always)]
    fn start(&self, buffer: &Arc<Vec<u8>>) -> *const u8 {
        buffer.as_ptr()
    }
    fn give(&self, buffer: Arc<Vec<u8>>) {
        drop(buffer);
    }
}

fn pool(strategy: Strategy) -> BufferPool {
    BufferPool::builder()
        .strategy(strategy)
        .exhausted(Exhausted::Allocate)
        .with_size_class(64, 1024)
        .with_size_class(1024, 1024)
        .with_size_class(16 << 10, 1024)
        .build()
}

fn check<S: Source>(source: &S, size: usize) {
    let (mut one, mut other) = (source.take(size), source.take(size));
    source.bytes(&mut one).fill(1);
    source.bytes(&mut other).fill(2);
    assert!(source.bytes(&mut one).len() >= size);
    source.give(one);
    source.give(other);
}

/// Take and give back, one at a time, at this size.
struct TakeGive<'a, S>(&'a S, usize);

impl<S: Source> Trip for TakeGive<'_, S> {
    #[inline(always)]
    fn trip(&self) {
        let buffer = self.0.take(black_box(self.1));
        black_box(self.0.start(&buffer));
        self.0.give(buffer);
    }
}

fn alone<S: Source>(source: &S, size: usize) -> f64 {
    boltstack_compare_pools::alone(&TakeGive(source, size))
}

fn together<S: Source>(source: &S, size: usize) -> f64 {
    boltstack_compare_pools::together(&TakeGive(source, size))
}

fn across<S: Source>(source: &S, size: usize) -> f64 {
    boltstack_compare_pools::across(|| source.take(black_box(size)), |buffer| source.give(buffer))
}

/// Written in full once taken, one out of 16: where a stack's warm memory pays.
fn written<S: Source>(source: &S, size: usize) -> f64 {
    let rounds = OPERATIONS / 10;
    let start = Instant::now();
    for i in 0..rounds {
        let mut buffer = source.take(black_box(size));
        source.bytes(&mut buffer).fill(i as u8);
        source.give(black_box(buffer));
    }
    start.elapsed().as_nanos() as f64 / rounds as f64
}

/// All contenders of one shape of use.
macro_rules! contenders {
    ($run:ident, $size:expr, $sources:expr) => {{
        let s = $sources;
        let size = $size;
        let mut runs: Vec<Run<'_>> = vec![
            ("bolt-tlv magazines", Box::new(move || $run(&s.magazines, size))),
            ("(magazines, no buffer)", Box::new(move || $run(&s.bare, size))),
            ("snmalloc", Box::new(move || $run(&s.snmalloc, size))),
            ("mimalloc", Box::new(move || $run(&s.mimalloc, size))),
            ("jemalloc", Box::new(move || $run(&s.jemalloc, size))),
            ("system allocator", Box::new(move || $run(&s.system, size))),
            ("bolt-tlv mutex", Box::new(move || $run(&s.mutex, size))),
            ("bolt-tlv list", Box::new(move || $run(&s.list, size))),
            ("source's sketch of a pool", Box::new(move || $run(&s.sketch, size))),
            ("source today (Vec + Arc)", Box::new(move || $run(&s.today, size))),
        ];
        if size == 1024 {
            runs.push(("object-pool", Box::new(move || $run(&s.object_pool, size))));
            runs.push(("opool", Box::new(move || $run(&s.opool, size))));
            runs.push(("ArrayQueue", Box::new(move || $run(&s.array_queue, size))));
        }
        runs
    }};
}

struct Sources {
    magazines: BufferPool,
    bare: Bare,
    mutex: BufferPool,
    list: BufferPool,
    snmalloc: Direct<snmalloc_rs::SnMalloc>,
    mimalloc: Direct<mimalloc::MiMalloc>,
    jemalloc: Direct<tikv_jemallocator::Jemalloc>,
    system: Direct<std::alloc::System>,
    object_pool: object_pool::Pool<Boxed>,
    opool: Opool,
    array_queue: crossbeam_queue::ArrayQueue<Boxed>,
    sketch: Sketch,
    today: SourceToday,
}

/// The source's reading of a frame: three allocations, one of them zeroed, and a copy.
fn read_frame_of_the_source(stream: &mut impl Read) -> std::io::Result<(u16, Arc<Vec<u8>>)> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let header = Header::from_bytes(head);
    let mut bytes = Vec::with_capacity(8 + header.length as usize);
    bytes.extend_from_slice(&head);
    let mut payload = vec![0; header.length as usize];
    stream.read_exact(&mut payload)?;
    bytes.extend_from_slice(&payload);
    Ok((header.type_id, Arc::new(bytes)))
}

/// `count` frames of the source's three lengths.
fn frames(count: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for i in 0..count {
        let length = [84, 180, 800][i % 3];
        let header = Header { type_id: 1 + (i % 3) as u16, version: 1, flags: 0, length };
        write_frame(&mut wire, header, &[i as u8; 800][..length as usize]).expect("memory");
    }
    wire
}

/// The floor of two reads a frame: into memory that is always there, with nothing done besides.
fn two_bare_reads(stream: &mut dyn Read) -> u64 {
    let (mut head, mut body, mut sum) = ([0; 8], [0; 1024], 0);
    while stream.read_exact(&mut head).is_ok() {
        let length = Header::from_bytes(head).length as usize;
        stream.read_exact(&mut body[..length]).expect("a payload");
        sum += black_box(&body[..length]).len() as u64;
    }
    sum
}

/// The floor of one read a frame: a payload together with the next header.
fn one_bare_read(stream: &mut dyn Read) -> u64 {
    let (mut head, mut body, mut sum) = ([0; 8], [0; 1024], 0);
    if stream.read_exact(&mut head).is_err() {
        return 0;
    }
    loop {
        let length = Header::from_bytes(head).length as usize;
        let mut filled = 0;
        while filled < length + head.len() {
            let (rest, ahead) = (filled.min(length), filled.saturating_sub(length));
            let mut places = [IoSliceMut::new(&mut body[rest..length]), IoSliceMut::new(&mut head[ahead..])];
            match stream.read_vectored(&mut places).expect("bytes") {
                0 => return sum + length as u64,
                n => filled += n,
            }
        }
        sum += black_box(&body[..length]).len() as u64;
    }
}

/// A way to read all frames of a stream; it answers how many bytes of payload it saw.
type ReadAll = fn(&mut dyn Read, &BufferPool) -> u64;

/// The ways that are compared.
const READERS: [(&str, ReadAll); 6] = [
    ("FrameReader", |stream, pool| {
        let (mut reader, mut sum) = (FrameReader::new(), 0);
        while let Some(frame) = reader.read(stream, pool).expect("frames") {
            sum += black_box(&frame.payload).len() as u64;
        }
        sum
    }),
    ("FrameReader::direct", |stream, pool| {
        let (mut reader, mut sum) = (FrameReader::direct(), 0);
        while let Some(frame) = reader.read(stream, pool).expect("frames") {
            sum += black_box(&frame.payload).len() as u64;
        }
        sum
    }),
    ("read_frame_pooled", |stream, pool| {
        let mut sum = 0;
        while let Some(frame) = read_frame_pooled(stream, pool).expect("frames") {
            sum += black_box(&frame.payload).len() as u64;
        }
        sum
    }),
    ("(one bare read a frame)", |stream, _| one_bare_read(stream)),
    ("(two bare reads a frame)", |stream, _| two_bare_reads(stream)),
    ("source: 3 allocations", |mut stream, _| {
        let mut sum = 0;
        while let Ok((_, bytes)) = read_frame_of_the_source(&mut stream) {
            sum += black_box(&bytes).len() as u64 - 8;
        }
        sum
    }),
];

/// Frames from memory: what is spent outside the kernel, with the kernel's copy played by a `memcpy`.
fn read_from_memory(rounds: usize) {
    const COUNT: usize = 3000;
    let wire = frames(COUNT);
    let expected = (84 + 180 + 800) * COUNT as u64 / 3;
    let pool = pool(Strategy::Magazines);
    let runs: Vec<Run<'_>> = READERS
        .map(|(name, read)| {
            let (wire, pool) = (&wire, &pool);
            let run: Box<dyn Fn() -> f64> = Box::new(move || {
                let start = Instant::now();
                assert_eq!(read(&mut wire.as_slice(), pool), expected);
                start.elapsed().as_nanos() as f64 / COUNT as f64
            });
            (name, run)
        })
        .into_iter()
        .collect();
    row("tlv/frame-from-memory/84+180+800", &runs, rounds);
}

/// Processor time of this thread outside the kernel and inside it, in nanoseconds. From `/proc/thread-self/schedstat` (all time, exact) and `stat` (user and system, in ticks): the exact time is divided as the
/// ticks are. Zero where there is no such file.
fn thread_times() -> (f64, f64) {
    let exact = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let exact: f64 = exact.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let words: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .map(|word| word.parse().unwrap_or(0.0))
        .collect();
    let (user, system) = (words.get(11).copied().unwrap_or(0.0), words.get(12).copied().unwrap_or(0.0));
    let all = (user + system).max(1.0);
    (exact * user / all, exact * system / all)
}

/// Frames over loopback: processor time of the reading thread, outside the kernel and inside.
fn read_over_loopback(seconds: u64) {
    println!("tlv/frame-over-loopback/84+180+800 (reading thread's processor time a frame)");
    let pool = pool(Strategy::Magazines);
    let wire = frames(3000);
    let mut source_user = 0.0;
    for (name, read) in READERS.iter().rev() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let wire = &wire;
        let (user, system, count) = thread::scope(|scope| {
            scope.spawn(move || {
                let mut stream = listener.accept().expect("a client").0;
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(seconds) {
                    stream.write_all(wire).expect("the client reads");
                }
            });
            // A thread of its own, so that its times begin at zero.
            let pool = &pool;
            scope
                .spawn(move || {
                    let mut stream = TcpStream::connect(address).expect("listening");
                    let before = thread_times();
                    let sum = read(&mut stream, pool);
                    let after = thread_times();
                    (after.0 - before.0, after.1 - before.1, sum as f64 / (1064.0 / 3.0))
                })
                .join()
                .expect("frames")
        });
        let (user, system) = (user / count, system / count);
        if source_user == 0.0 {
            source_user = user;
        }
        let less = 100.0 * (1.0 - user / source_user);
        println!(
            "  {name:<28} outside {user:>8.1} ns  inside {system:>8.1} ns  {less:>5.1} % less outside  ({count:.0} frames)"
        );
    }
}

/// From the taking to the returning end of a ring.
fn ring_pool(rounds: usize) {
    let pool = pool(Strategy::Ring);
    let runs: [Run<'_>; 1] = [(
        "bolt-tlv ring, there and back",
        Box::new(|| {
            let (mut taker, mut giver) = pool.ring().expect("memory");
            boltstack_compare_pools::across(
                || taker.acquire(black_box(1024)).expect("within the class"),
                |buffer| giver.give(buffer),
            )
        }),
    )];
    row("tlv/across-threads-ring/1024", &runs, rounds);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let test = arguments.iter().any(|argument| argument == "--test");
    let filter =
        arguments.iter().find(|argument| !argument.starts_with("--") && argument.parse::<f64>().is_err());
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    let rounds = if test { 1 } else { ROUNDS };
    let sources = Sources {
        magazines: pool(Strategy::Magazines),
        bare: Bare(
            bolt_sync::magazine::Magazines::new(bolt_sync::magazine::MagazineConfig::new(1024))
                .expect("memory"),
        ),
        mutex: pool(Strategy::Mutex),
        list: pool(Strategy::List),
        snmalloc: Direct(snmalloc_rs::SnMalloc),
        mimalloc: Direct(mimalloc::MiMalloc),
        jemalloc: Direct(tikv_jemallocator::Jemalloc),
        system: Direct(std::alloc::System),
        object_pool: object_pool::Pool::new(1024, boxed),
        opool: Opool(Box::leak(Box::new(opool::Pool::new_prefilled(1024, Maker)))),
        array_queue: crossbeam_queue::ArrayQueue::new(1024),
        sketch: Sketch(Mutex::new(HashMap::new())),
        today: SourceToday,
    };
    let s = &sources;
    for number in 1..=512 {
        s.bare.0.give(number).expect("room");
    }
    for size in [64, 1024, 16 << 10] {
        check(&s.magazines, size);
        check(&s.snmalloc, size);
        check(&s.mimalloc, size);
        check(&s.jemalloc, size);
        check(&s.sketch, size);
    }
    check(&s.object_pool, 1024);
    check(&s.opool, 1024);
    check(&s.array_queue, 1024);
    for size in [64, 1024, 16 << 10] {
        if wanted(&format!("tlv/take-give/{size}")) {
            row(&format!("tlv/take-give/{size}"), &contenders!(alone, size, s), rounds);
        }
    }
    if wanted("tlv/two-threads/1024") {
        row("tlv/two-threads/1024", &contenders!(together, 1024, s), rounds.min(20));
    }
    if wanted("tlv/across-threads/1024") {
        row("tlv/across-threads/1024", &contenders!(across, 1024, s), rounds.min(40));
    }
    if wanted("tlv/across-threads-ring/1024") {
        ring_pool(rounds.min(40));
    }
    if wanted("tlv/written/16384") {
        row("tlv/written/16384", &contenders!(written, 16 << 10, s), rounds.min(30));
    }
    if wanted("tlv/frame-from-memory") {
        read_from_memory(rounds);
    }
    if wanted("tlv/frame-over-loopback") {
        read_over_loopback(if test { 1 } else { 4 });
    }
}
