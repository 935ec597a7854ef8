//! Owns: the first workload, a B+tree of nodes with up to eight entries: keys found, put, deleted and scanned, nodes split and merged. Never
//! writes to disk. Nodes lie in one table and name each other by number, as pages do.

use std::fmt::Write as _;

use crate::figures::Technique;
use crate::kinds::{Blob, Common, Inside, List, Lists, OnHeap};
use crate::measure::{Rng, Work, digest, filler, mix};

/// Entries of a leaf and keys of an inner node, which lie inside the node where lists can.
const ENTRIES_MAX: usize = 8;
/// Below this, a node takes from its neighbour or joins it.
const ENTRIES_MIN: usize = 3;
const CHILDREN_MAX: usize = ENTRIES_MAX + 1;
/// Results of a scan that lie inside their list.
const SCANNED_INSIDE: usize = 32;
/// Results of a request that lie inside their list.
const FOUND_INSIDE: usize = 8;
const SCAN_MAX: usize = 20;
const VALUE_MAX: usize = 64;
/// Key operations of one request, which is one operation of the study.
const KEYS_PER_REQUEST: usize = 8;
/// The leaf after the last.
const NO_NODE: u32 = u32::MAX;

struct Entry<B> {
    key: B,
    value: B,
}

enum Node<L: Lists, B> {
    Leaf {
        entries: L::Of<Entry<B>, ENTRIES_MAX>,
        next: u32,
    },
    /// `keys[i]` is the least key below `children[i + 1]`.
    Inner {
        keys: L::Of<B, ENTRIES_MAX>,
        children: L::Of<u32, CHILDREN_MAX>,
    },
}

impl<L: Lists, B: Blob> Node<L, B> {
    fn len(&self) -> usize {
        match self {
            Self::Leaf { entries, .. } => entries.len(),
            Self::Inner { keys, .. } => keys.len(),
        }
    }
}

/// Where `key` is among entries, or would be.
fn find<B: Blob>(entries: &[Entry<B>], key: &[u8]) -> Result<usize, usize> {
    entries.binary_search_by(|entry| (*entry.key).cmp(key))
}

/// The child that leads to `key`.
fn child_of<B: Blob>(keys: &[B], key: &[u8]) -> usize {
    keys.partition_point(|least| **least <= *key)
}

struct Tree<L: Lists, B> {
    nodes: Vec<Node<L, B>>,
    free: Vec<u32>,
    root: u32,
    presize: bool,
}

impl<L: Lists, B: Blob> Tree<L, B> {
    fn new(presize: bool, nodes: usize) -> Self {
        let mut table = Vec::with_capacity(if presize { nodes } else { 0 });
        table.push(Node::Leaf { entries: L::Of::default(), next: NO_NODE });
        Self { nodes: table, free: Vec::new(), root: 0, presize }
    }

    fn room(&self, room: usize) -> usize {
        if self.presize { room } else { 0 }
    }

    fn add(&mut self, node: Node<L, B>) -> u32 {
        match self.free.pop() {
            Some(number) => {
                self.nodes[number as usize] = node;
                number
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    /// Two nodes at once, the first to be changed with the second's help.
    fn pair(&mut self, one: u32, other: u32) -> (&mut Node<L, B>, &mut Node<L, B>) {
        let [one, other] = self.nodes.get_disjoint_mut([one as usize, other as usize]).expect("two nodes");
        (one, other)
    }

    /// The leaf that would hold `key`.
    fn leaf_of(&self, key: &[u8]) -> u32 {
        let mut at = self.root;
        while let Node::Inner { keys, children } = &self.nodes[at as usize] {
            at = children[child_of(keys, key)];
        }
        at
    }

    fn get(&self, key: &[u8]) -> Option<&B> {
        let Node::Leaf { entries, .. } = &self.nodes[self.leaf_of(key) as usize] else { return None };
        find(entries, key).ok().map(|at| &entries[at].value)
    }

    /// Up to `most` entries from `key` on.
    fn scan(&self, key: &[u8], most: usize, to: &mut L::Of<(B, B), SCANNED_INSIDE>) {
        let mut at = self.leaf_of(key);
        while at != NO_NODE {
            let Node::Leaf { entries, next } = &self.nodes[at as usize] else { return };
            let from = find(entries, key).unwrap_or_else(|from| from);
            for entry in &entries[from..] {
                if to.len() == most {
                    return;
                }
                to.push((entry.key.clone(), entry.value.clone()));
            }
            at = *next;
        }
    }

    /// Splits a full child in two and tells its parent.
    fn split(&mut self, parent: u32, index: usize, child: u32) {
        let half = ENTRIES_MAX / 2;
        let (keys_room, children_room) = (self.room(ENTRIES_MAX), self.room(CHILDREN_MAX));
        let (least, right) = match &mut self.nodes[child as usize] {
            Node::Leaf { entries, next } => {
                let mut right = L::Of::with_room(keys_room);
                entries.move_tail(half, &mut right);
                (right[0].key.clone(), Node::Leaf { entries: right, next: *next })
            }
            Node::Inner { keys, children } => {
                let (mut right_keys, mut right_children) =
                    (L::Of::with_room(keys_room), L::Of::with_room(children_room));
                keys.move_tail(half + 1, &mut right_keys);
                children.move_tail(half + 1, &mut right_children);
                (keys.remove(half), Node::Inner { keys: right_keys, children: right_children })
            }
        };
        let number = self.add(right);
        if let Node::Leaf { next, .. } = &mut self.nodes[child as usize] {
            *next = number;
        }
        if let Node::Inner { keys, children } = &mut self.nodes[parent as usize] {
            keys.insert(index, least);
            children.insert(index + 1, number);
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        if self.nodes[self.root as usize].len() == ENTRIES_MAX {
            let mut children = L::Of::with_room(self.room(CHILDREN_MAX));
            children.push(self.root);
            let keys = L::Of::with_room(self.room(ENTRIES_MAX));
            let old = self.root;
            self.root = self.add(Node::Inner { keys, children });
            self.split(self.root, 0, old);
        }
        let mut at = self.root;
        while let Node::Inner { keys, children } = &self.nodes[at as usize] {
            let index = child_of(keys, key);
            let child = children[index];
            if self.nodes[child as usize].len() == ENTRIES_MAX {
                // A full child is split on the way down, so that its parent has room; then this node is looked at again.
                self.split(at, index, child);
            } else {
                at = child;
            }
        }
        let room = self.room(ENTRIES_MAX);
        let Node::Leaf { entries, .. } = &mut self.nodes[at as usize] else { return };
        match find(entries, key) {
            Ok(found) => entries[found].value = B::copy_of(value),
            Err(place) => {
                if entries.is_empty() && room > 0 {
                    *entries = L::Of::with_room(room);
                }
                entries.insert(place, Entry { key: B::copy_of(key), value: B::copy_of(value) });
            }
        }
    }

    fn delete(&mut self, key: &[u8]) -> bool {
        let gone = self.delete_below(self.root, key);
        if let Node::Inner { keys, children } = &self.nodes[self.root as usize]
            && keys.is_empty()
        {
            let only = children[0];
            self.free.push(self.root);
            self.root = only;
        }
        gone
    }

    fn delete_below(&mut self, at: u32, key: &[u8]) -> bool {
        match &mut self.nodes[at as usize] {
            Node::Leaf { entries, .. } => {
                let Ok(found) = find(entries, key) else { return false };
                entries.remove(found);
                true
            }
            Node::Inner { keys, children } => {
                let index = child_of(keys, key);
                let child = children[index];
                let gone = self.delete_below(child, key);
                if gone && self.nodes[child as usize].len() < ENTRIES_MIN {
                    self.refill(at, index);
                }
                gone
            }
        }
    }

    /// A child has too few: it joins its neighbour, or takes one from it.
    fn refill(&mut self, parent: u32, index: usize) {
        let Node::Inner { children, .. } = &self.nodes[parent as usize] else { return };
        // The pair that is looked at: the child and its right neighbour, or for the last one its left neighbour and itself.
        let between = index.min(children.len() - 2);
        let (left, right) = (children[between], children[between + 1]);
        let (left_len, right_len) = (self.nodes[left as usize].len(), self.nodes[right as usize].len());
        let inner = matches!(self.nodes[left as usize], Node::Inner { .. });
        if left_len + right_len + usize::from(inner) <= ENTRIES_MAX {
            self.join(parent, between, left, right);
        } else {
            self.even_out(parent, between, left, right, left_len < right_len);
        }
    }

    fn join(&mut self, parent: u32, between: usize, left: u32, right: u32) {
        let Node::Inner { keys, children } = &mut self.nodes[parent as usize] else { return };
        let least = keys.remove(between);
        children.remove(between + 1);
        match self.pair(left, right) {
            (Node::Leaf { entries, next }, Node::Leaf { entries: other, next: after }) => {
                other.move_tail(0, entries);
                *next = *after;
            }
            (Node::Inner { keys, children }, Node::Inner { keys: other_keys, children: other_children }) => {
                keys.push(least);
                other_keys.move_tail(0, keys);
                other_children.move_tail(0, children);
            }
            _ => unreachable!("neighbours are of one level"),
        }
        // Its lists have given everything away; whatever they still hold goes with them.
        self.nodes[right as usize] = Node::Leaf { entries: L::Of::default(), next: NO_NODE };
        self.free.push(right);
    }

    fn even_out(&mut self, parent: u32, between: usize, left: u32, right: u32, to_left: bool) {
        let Node::Inner { keys, .. } = &self.nodes[parent as usize] else { return };
        let least = keys[between].clone();
        let new_least = match self.pair(left, right) {
            (Node::Leaf { entries, .. }, Node::Leaf { entries: other, .. }) => {
                if to_left {
                    entries.push(other.remove(0));
                } else {
                    let last = entries.len() - 1;
                    other.insert(0, entries.remove(last));
                }
                other[0].key.clone()
            }
            (Node::Inner { keys, children }, Node::Inner { keys: other_keys, children: other_children }) => {
                if to_left {
                    keys.push(least);
                    children.push(other_children.remove(0));
                    other_keys.remove(0)
                } else {
                    other_keys.insert(0, least);
                    let last = children.len() - 1;
                    other_children.insert(0, children.remove(last));
                    keys.remove(last - 1)
                }
            }
            _ => unreachable!("neighbours are of one level"),
        };
        if let Node::Inner { keys, .. } = &mut self.nodes[parent as usize] {
            keys[between] = new_least;
        }
    }

    /// A sum over all entries in order; panics where the order is broken.
    fn digest(&self) -> u64 {
        let mut at = self.root;
        while let Node::Inner { children, .. } = &self.nodes[at as usize] {
            at = children[0];
        }
        let (mut sum, mut last): (u64, Option<&B>) = (0, None);
        while let Some(Node::Leaf { entries, next }) = self.nodes.get(at as usize) {
            for entry in entries.iter() {
                assert!(last.is_none_or(|last| **last < *entry.key), "keys in order");
                sum = mix(mix(sum, digest(&entry.key)), digest(&entry.value));
                last = Some(&entry.key);
            }
            at = *next;
        }
        sum
    }
}

#[derive(Clone, Copy)]
enum Ask {
    Get,
    Put,
    Delete,
    Scan,
}

struct Nodes<L: Lists, B> {
    tree: Tree<L, B>,
    rng: Rng,
    /// Keys that may exist.
    keys: usize,
    /// Requests that only put, at first.
    loading: usize,
    asks: [(Ask, usize); KEYS_PER_REQUEST],
    presize: bool,
    /// The connection's buffer: keys and values of the request.
    texts: Vec<(String, &'static [u8])>,
}

/// The workload of one thread. A request is eight keys: 50 % found, 30 % put, 15 % deleted, 5 % scanned, after half of the keys were loaded.
pub fn nodes<'c, 'p>(common: &'c Common<'p>, seed: u64, keys: usize) -> Box<dyn Work + 'c> {
    match (common.on.has(Technique::SmallVec), common.on.has(Technique::Bytes)) {
        (false, false) => Nodes::<OnHeap, Vec<u8>>::boxed(common, seed, keys),
        (false, true) => Nodes::<OnHeap, bytes::Bytes>::boxed(common, seed, keys),
        (true, false) => Nodes::<Inside, Vec<u8>>::boxed(common, seed, keys),
        (true, true) => Nodes::<Inside, bytes::Bytes>::boxed(common, seed, keys),
    }
}

impl<L: Lists, B: Blob> Nodes<L, B> {
    fn boxed<'c>(common: &Common<'_>, seed: u64, keys: usize) -> Box<dyn Work + 'c>
    where
        L: 'c,
    {
        let presize = common.on.has(Technique::Presize);
        Box::new(Self {
            // Leaves are about two thirds full.
            tree: Tree::new(presize, keys / 4),
            rng: Rng::new(seed),
            keys,
            loading: keys / 2 / KEYS_PER_REQUEST,
            asks: [(Ask::Get, 0); KEYS_PER_REQUEST],
            presize,
            texts: (0..KEYS_PER_REQUEST).map(|_| (String::with_capacity(32), &[][..])).collect(),
        })
    }
}

impl<L: Lists, B: Blob> Work for Nodes<L, B> {
    fn prepare(&mut self) {
        let loading = self.loading > 0;
        self.loading -= usize::from(loading);
        for (ask, (key, value)) in self.asks.iter_mut().zip(&mut self.texts) {
            let number = self.rng.below(self.keys);
            *ask = match self.rng.below(100) {
                _ if loading => (Ask::Put, 0),
                0..50 => (Ask::Get, 0),
                50..80 => (Ask::Put, 0),
                80..95 => (Ask::Delete, 0),
                _ => (Ask::Scan, 1 + self.rng.below(SCAN_MAX)),
            };
            key.clear();
            // Infallible: a string grows.
            let _ = write!(key, "order:{number:08}:{}", ["open", "paid", "returned"][number % 3]);
            *value = filler(self.rng.word(), 16 + self.rng.below(VALUE_MAX - 16));
        }
    }

    fn operate(&mut self) -> u64 {
        let mut sum = 0;
        let mut found = L::Of::<B, FOUND_INSIDE>::with_room(if self.presize { KEYS_PER_REQUEST } else { 0 });
        for ((ask, most), (key, value)) in self.asks.iter().zip(&self.texts) {
            let key = key.as_bytes();
            match ask {
                // The caller owns what it got, since the tree goes on changing.
                Ask::Get => found.extend(self.tree.get(key).cloned()),
                Ask::Put => self.tree.put(key, value),
                Ask::Delete => sum = mix(sum, self.tree.delete(key).into()),
                Ask::Scan => {
                    let room = if self.presize { *most } else { 0 };
                    let mut scanned = L::Of::<(B, B), SCANNED_INSIDE>::with_room(room);
                    self.tree.scan(key, *most, &mut scanned);
                    sum = scanned
                        .iter()
                        .fold(sum, |sum, (key, value)| mix(mix(sum, digest(key)), digest(value)));
                }
            }
        }
        found.iter().fold(sum, |sum, value| mix(sum, digest(value)))
    }

    fn finish(&mut self) -> u64 {
        self.tree.digest()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn agrees_with_a_map() {
        let mut tree = Tree::<Inside, Vec<u8>>::new(true, 100);
        let mut map = BTreeMap::new();
        let mut rng = Rng::new(7);
        for round in 0..60_000 {
            let key = rng.below(2000).to_be_bytes();
            // Waves that fill and empty it, so that it grows and shrinks by levels.
            if rng.percent(if round / 5000 % 2 == 0 { 70 } else { 20 }) {
                let value = rng.word().to_le_bytes();
                tree.put(&key, &value);
                map.insert(key, value);
            } else {
                assert_eq!(tree.delete(&key), map.remove(&key).is_some());
            }
            let key = rng.below(2000).to_be_bytes();
            assert_eq!(tree.get(&key).map(|value| &value[..]), map.get(&key).map(|value| &value[..]));
        }
        let mut scanned = <Inside as Lists>::Of::default();
        let from = 700_usize.to_be_bytes();
        tree.scan(&from, 20, &mut scanned);
        let expected = map.range(from..).take(20).map(|(key, value)| (key.to_vec(), value.to_vec()));
        assert!(scanned.iter().cloned().eq(expected));
        let expected = map.iter().fold(0, |sum, (key, value)| mix(mix(sum, digest(key)), digest(value)));
        assert_eq!(tree.digest(), expected);
    }
}
