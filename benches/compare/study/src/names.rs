//! Owns: the fourth workload, strings: lines name a label, a property and a value; each name is counted, the last twenty thousand records are kept
//! and compared. Never parses beyond that. The names are few and come again and again, as labels, property keys and states of a graph do.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::BuildHasher;

use bolt_objects::{SharedStringPool, StringId, StringPool};
use rustc_hash::FxBuildHasher;

use crate::figures::Technique;
use crate::kinds::{Common, StdHash, names_config};
use crate::measure::{Rng, Work, digest, mix};

/// Records that are kept.
const RECORDS: usize = 20_000;
/// Lines of one operation.
const LINES: usize = 4;
const LABELS: usize = 40;
const PROPERTIES: usize = 12;
const VALUES: usize = 5000;

/// How names are kept and counted.
trait Names {
    /// A name that a record keeps.
    type Name: PartialEq;
    /// The name of a text; counted.
    fn name(&mut self, text: &str) -> Self::Name;
    /// The name of two texts with a dot between; counted.
    fn joined(&mut self, front: &str, back: &str) -> Self::Name;
    /// A sum over the text of a name.
    fn digest(&mut self, name: &Self::Name) -> u64;
    /// A sum over all names and how often each was met, in no order.
    fn tallies(&mut self) -> u64;
}

fn tally(text: &str, count: u64) -> u64 {
    mix(digest(text.as_bytes()), count)
}

/// Strings, each record with its own, and a map that counts them.
struct Plain<S> {
    tallies: HashMap<String, u64, S>,
    presize: bool,
}

impl<S: BuildHasher> Plain<S> {
    fn count(&mut self, text: &str) {
        // Looked up first, so that only a new name costs a string.
        if let Some(count) = self.tallies.get_mut(text) {
            *count += 1;
        } else {
            self.tallies.insert(text.to_owned(), 1);
        }
    }
}

impl<S: BuildHasher> Names for Plain<S> {
    type Name = String;
    fn name(&mut self, text: &str) -> String {
        self.count(text);
        text.to_owned()
    }
    fn joined(&mut self, front: &str, back: &str) -> String {
        let mut text = String::with_capacity(if self.presize { front.len() + 1 + back.len() } else { 0 });
        text.push_str(front);
        text.push('.');
        text.push_str(back);
        self.count(&text);
        text
    }
    fn digest(&mut self, name: &String) -> u64 {
        digest(name.as_bytes())
    }
    fn tallies(&mut self) -> u64 {
        self.tallies.iter().fold(0, |sum, (text, &count)| sum.wrapping_add(tally(text, count)))
    }
}

/// Counts by the dense number of a name.
#[derive(Default)]
struct Counts(Vec<(Option<StringId>, u64)>);

impl Counts {
    fn count(&mut self, id: StringId) {
        let index = id.index();
        if index >= self.0.len() {
            self.0.resize(index + 1, (None, 0));
        }
        self.0[index].0 = Some(id);
        self.0[index].1 += 1;
    }
}

const KEPT: &str = "the budget has place for all names";

/// A pool of this thread's own.
struct Interned<'c, 'p> {
    common: &'c Common<'p>,
    pool: StringPool,
    counts: Counts,
}

impl Names for Interned<'_, '_> {
    type Name = StringId;
    fn name(&mut self, text: &str) -> StringId {
        let id = self.pool.intern(text).expect(KEPT);
        self.counts.count(id);
        id
    }
    fn joined(&mut self, front: &str, back: &str) -> StringId {
        let text = join(self.common, front, back);
        self.name(&text)
    }
    fn digest(&mut self, &name: &StringId) -> u64 {
        digest(self.pool.resolve(name).expect(KEPT).as_bytes())
    }
    fn tallies(&mut self) -> u64 {
        let known = self.counts.0.iter().filter_map(|&(id, count)| Some((id?, count)));
        known.fold(0, |sum, (id, count)| sum.wrapping_add(tally(self.pool.resolve(id).expect(KEPT), count)))
    }
}

/// The pool of all threads.
struct Shared<'c, 'p> {
    common: &'c Common<'p>,
    pool: &'c SharedStringPool,
    counts: Counts,
    text: String,
}

impl Names for Shared<'_, '_> {
    type Name = StringId;
    fn name(&mut self, text: &str) -> StringId {
        let id = self.pool.intern(text).expect(KEPT);
        self.counts.count(id);
        id
    }
    fn joined(&mut self, front: &str, back: &str) -> StringId {
        let text = join(self.common, front, back);
        self.name(&text)
    }
    fn digest(&mut self, &name: &StringId) -> u64 {
        assert!(self.pool.resolve_into(name, &mut self.text), "{KEPT}");
        digest(self.text.as_bytes())
    }
    fn tallies(&mut self) -> u64 {
        let mut sum: u64 = 0;
        for &(id, count) in &self.counts.0 {
            if let Some(id) = id {
                assert!(self.pool.resolve_into(id, &mut self.text), "{KEPT}");
                sum = sum.wrapping_add(tally(&self.text, count));
            }
        }
        sum
    }
}

/// The joined text for a moment, since the pool keeps its own copy.
fn join<'p>(common: &Common<'p>, front: &str, back: &str) -> impl std::ops::Deref<Target = String> + use<'p> {
    let mut text = common.text(front.len() + 1 + back.len());
    text.push_str(front);
    text.push('.');
    text.push_str(back);
    text
}

struct Record<N> {
    label: N,
    property: N,
    value: N,
}

struct Strings<N: Names> {
    names: N,
    rng: Rng,
    /// The lines of the next operation, in one text.
    lines: String,
    records: Vec<Record<N::Name>>,
    /// The oldest record, once all are there.
    oldest: usize,
}

/// The workload of one thread. An operation reads four lines, and looks at two kept records.
pub fn names<'c, 'p>(common: &'c Common<'p>, seed: u64) -> Box<dyn Work + 'c> {
    if !common.on.has(Technique::Strings) {
        let presize = common.on.has(Technique::Presize);
        let room = common.room(LABELS * (PROPERTIES + 1) + VALUES);
        return if common.on.has(Technique::Maps) {
            let tallies = HashMap::with_capacity_and_hasher(room, FxBuildHasher);
            Box::new(Strings::new(Plain { tallies, presize }, common, seed))
        } else {
            let tallies = HashMap::with_capacity_and_hasher(room, StdHash::default());
            Box::new(Strings::new(Plain { tallies, presize }, common, seed))
        };
    }
    let counts = Counts(Vec::with_capacity(common.room(LABELS * (PROPERTIES + 1) + VALUES)));
    if common.many_threads {
        let pool = common.pools.names();
        Box::new(Strings::new(Shared { common, pool, counts, text: String::new() }, common, seed))
    } else {
        let pool = StringPool::new(names_config()).expect(KEPT);
        Box::new(Strings::new(Interned { common, pool, counts }, common, seed))
    }
}

impl<N: Names> Strings<N> {
    fn new(names: N, common: &Common<'_>, seed: u64) -> Self {
        Self {
            names,
            rng: Rng::new(seed),
            lines: String::with_capacity(LINES * 100),
            records: Vec::with_capacity(common.room(RECORDS)),
            oldest: 0,
        }
    }

    fn keep(&mut self, record: Record<N::Name>) {
        if self.records.len() < RECORDS {
            self.records.push(record);
        } else {
            self.records[self.oldest] = record;
            self.oldest = (self.oldest + 1) % RECORDS;
        }
    }
}

impl<N: Names> Work for Strings<N> {
    fn prepare(&mut self) {
        self.lines.clear();
        for _ in 0..LINES {
            let (label, property, value) =
                (self.rng.skewed(LABELS), self.rng.below(PROPERTIES), self.rng.skewed(VALUES));
            // Infallible: a string grows.
            let _ =
                writeln!(self.lines, "Label_{label:02}.property_{property:02}=the value number {value:05}");
        }
    }

    fn operate(&mut self) -> u64 {
        let lines = std::mem::take(&mut self.lines);
        for line in lines.lines() {
            let (name, value) = line.split_once('=').expect("a value");
            let (label, property) = name.split_once('.').expect("a property");
            let record = Record {
                label: self.names.name(label),
                property: self.names.joined(label, property),
                value: self.names.name(value),
            };
            self.keep(record);
        }
        self.lines = lines;
        let one = &self.records[self.rng.below(self.records.len())];
        let other = &self.records[self.rng.below(self.records.len())];
        let same = u64::from(one.property == other.property) + 2 * u64::from(one.value == other.value);
        mix(mix(same, self.names.digest(&one.label)), self.names.digest(&one.value))
    }

    fn finish(&mut self) -> u64 {
        self.names.tallies()
    }
}
