//! The contents of one database written into another: all of them in order, or what damage has left.
//!
//! Owns [`compact`] and [`salvage`]. Buckets keep their sequences, leaves are filled to the brim, and the target is committed piece by piece so that
//! memory stays bounded. The source is read through [`Tree`] and never changed. Limit: an interrupted run leaves the target with the
//! pieces that were committed; write to a new file and rename it.

use crate::db::Db;
use crate::error::{Error, Result};
use crate::walk::{Step, Tree};
use crate::work::BucketId;
use crate::write::WriteTx;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Plain keys.
    pub pairs: u64,
    /// Buckets.
    pub buckets: u64,
    /// Places that could not be read, each of which may have hidden any number of pairs. 0 but for a salvage.
    pub damages: u64,
    /// Pairs and buckets that were read and that no database can hold: empty or oversized keys, names taken twice. 0 but for a salvage.
    pub refused: u64,
}

/// Copies everything that `source` holds into `target`, which should be empty.
///
/// Commits whenever keys and values of `tx_max_bytes` have gathered, 0 for never, as bbolt's `Compact` does.
///
/// # Errors
/// The first damage in the source, and the errors of writing.
pub fn compact(source: &Tree<'_>, target: &Db, tx_max_bytes: u64) -> Result<Copied> {
    copy(source, target, tx_max_bytes, false)
}

/// Copies every pair of `source` that can still be reached into `target`, past whatever is broken.
///
/// # Errors
/// The errors of writing, and the operating system's on reading. Damage is counted.
pub fn salvage(source: &Tree<'_>, target: &Db, tx_max_bytes: u64) -> Result<Copied> {
    copy(source, target, tx_max_bytes, true)
}

fn copy(source: &Tree<'_>, target: &Db, tx_max_bytes: u64, past_damage: bool) -> Result<Copied> {
    let mut copied = Copied::default();
    let mut tx = target.begin_write()?;
    // The bucket that the last pair went to; opened anew where the path changes and after each commit.
    let mut bucket: Option<BucketId> = None;
    let mut gathered = 0_u64;
    let mut walk = source.walk(&source.root());
    while let Some(step) = walk.next()? {
        let bytes = match &step {
            Step::Pair { key, value, .. } => (key.len() + value.len()) as u64,
            Step::Bucket { path, .. } => path.last().map_or(0, Vec::len) as u64,
            _ => 0,
        };
        if tx_max_bytes > 0 && gathered > 0 && gathered + bytes > tx_max_bytes {
            tx.commit()?;
            tx = target.begin_write()?;
            bucket = None;
            gathered = 0;
        }
        gathered += bytes;
        let done = match step {
            Step::Page(_) => continue,
            Step::End => {
                bucket = None;
                continue;
            }
            Step::Damage(_) if past_damage => {
                copied.damages += 1;
                continue;
            }
            Step::Damage(damage) => return Err(damage.into()),
            Step::Bucket { path, sequence, .. } => {
                bucket = None;
                create(&mut tx, path, sequence, past_damage).map(|()| copied.buckets += 1)
            }
            Step::Pair { path, key, value } => {
                put(&mut tx, &mut bucket, path, key, value).map(|()| copied.pairs += 1)
            }
        };
        match done {
            Err(Error::Usage(_)) if past_damage => copied.refused += 1,
            done => done?,
        }
    }
    tx.commit()?;
    Ok(copied)
}

fn open(tx: &mut WriteTx<'_>, path: &[Vec<u8>]) -> Result<BucketId> {
    let names: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
    let id = tx.open_bucket(&names)?;
    tx.at(id)?.set_fill_percent(1.0);
    Ok(id)
}

fn create(tx: &mut WriteTx<'_>, path: &[Vec<u8>], sequence: u64, again: bool) -> Result<()> {
    let Some((name, parent)) = path.split_last() else { return Ok(()) };
    let parent = open(tx, parent)?;
    let mut parent = tx.at(parent)?;
    let mut bucket =
        if again { parent.create_bucket_if_not_exists(name)? } else { parent.create_bucket(name)? };
    bucket.set_sequence(sequence)
}

fn put(
    tx: &mut WriteTx<'_>,
    bucket: &mut Option<BucketId>,
    path: &[Vec<u8>],
    key: &[u8],
    value: &[u8],
) -> Result<()> {
    let id = match *bucket {
        Some(id) => id,
        None => *bucket.insert(open(tx, path)?),
    };
    tx.at(id)?.put(key, value)
}
