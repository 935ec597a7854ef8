//! Owns: the trait through which terms become ids, the interner one gets if one brings none, and the transform that asks them. Allocates for new terms
//! only. Limits: terms and bytes, both told when the table is made.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use std::collections::HashMap;

use crate::batch::Triple;
use crate::ingest_text::TermTriple;
use crate::stages::{Fault, Transform};

/// Gives each term an id, the same id each time. Implement it over an interner of yours.
pub trait Interner {
    /// The id of a term, written as in N-Triples: `<iri>`, `_:blank`, `"text"`, `"text"@en`, `"1"^^<iri>`.
    ///
    /// # Errors
    /// What keeps it from giving one. The triple is left out.
    fn intern(&mut self, term: &str) -> Result<u64, Fault>;
}

impl<N: Interner + ?Sized> Interner for &mut N {
    fn intern(&mut self, term: &str) -> Result<u64, Fault> {
        (**self).intern(term)
    }
}

/// The default [`Interner`]: a hash map whose hash nobody outside can predict; ids are 1, 2, 3, …; a term stays for good.
///
/// **Cost.** A known term is one look-up, no allocation; a new one is one allocation and now and then a larger table.
///
/// ```
/// use bolt_triple::{Interner, TermTable};
/// let mut terms = TermTable::new(1000, 64 * 1024);
/// let alice = terms.intern("<urn:alice>")?;
/// assert_eq!(terms.intern("<urn:alice>")?, alice);
/// assert_eq!(terms.resolve(alice), Some("<urn:alice>"));
/// # Ok::<(), bolt_triple::Fault>(())
/// ```
#[derive(Debug, Clone)]
pub struct TermTable {
    ids: HashMap<Arc<str>, u64>,
    terms: Vec<Arc<str>>,
    bytes: usize,
    terms_max: usize,
    bytes_max: usize,
}

impl TermTable {
    /// No term yet; at most `terms_max`, of at most `bytes_max` bytes together. Allocates nothing ahead.
    pub fn new(terms_max: usize, bytes_max: usize) -> Self {
        Self { ids: HashMap::new(), terms: Vec::new(), bytes: 0, terms_max, bytes_max }
    }

    /// The term of an id.
    pub fn resolve(&self, id: u64) -> Option<&str> {
        let at = usize::try_from(id.checked_sub(1)?).ok()?;
        self.terms.get(at).map(|term| &**term)
    }

    /// The id of a term that is there already.
    pub fn id(&self, term: &str) -> Option<u64> {
        self.ids.get(term).copied()
    }

    /// How many terms.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// How many bytes the terms have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Interner for TermTable {
    fn intern(&mut self, term: &str) -> Result<u64, Fault> {
        if let Some(&id) = self.ids.get(term) {
            return Ok(id);
        }
        let room = self.bytes_max.saturating_sub(self.bytes);
        if self.terms.len() >= self.terms_max || term.len() > room {
            return Err(Fault::TermsExhausted { terms: self.terms.len(), bytes: self.bytes });
        }
        let shared: Arc<str> = term.into();
        self.terms.push(Arc::clone(&shared));
        let id = self.terms.len() as u64;
        self.ids.insert(shared, id);
        self.bytes += term.len();
        Ok(id)
    }
}

/// How many bytes a term may have unless it is told otherwise.
pub const DEFAULT_TERM_BYTES: usize = 64 * 1024;

/// The [`Transform`] of triples of terms: each term to its id, through an [`Interner`].
///
/// **Cost.** A term is written into one reused buffer; once that has grown, nothing is allocated here for known terms.
#[derive(Debug, Clone)]
pub struct Intern<N> {
    interner: N,
    term: String,
    term_bytes_max: usize,
    /// Which of the three is being looked up.
    at: usize,
}

impl<N: Interner> Intern<N> {
    /// Through this interner, terms of at most [`DEFAULT_TERM_BYTES`].
    pub fn new(interner: N) -> Self {
        Self::with_limit(interner, DEFAULT_TERM_BYTES)
    }

    /// The same with terms of at most `term_bytes_max` bytes, as written in N-Triples.
    pub fn with_limit(interner: N, term_bytes_max: usize) -> Self {
        Self { interner, term: String::new(), term_bytes_max, at: 0 }
    }

    /// The interner.
    pub fn interner(&self) -> &N {
        &self.interner
    }

    /// The interner back.
    pub fn into_interner(self) -> N {
        self.interner
    }

    fn id(&mut self, term: impl fmt::Display) -> Result<u64, Fault> {
        self.term.clear();
        let mut limited = Limited { text: &mut self.term, max: self.term_bytes_max, wanted: 0 };
        if write!(limited, "{term}").is_err() {
            return Err(Fault::TermTooLong { bytes: limited.wanted, max: self.term_bytes_max });
        }
        self.interner.intern(&self.term)
    }
}

impl<N: Interner> Transform<TermTriple> for Intern<N> {
    fn transform(&mut self, item: TermTriple) -> Result<Triple, Fault> {
        self.at = 0;
        let subject = self.id(item.subject())?;
        self.at = 1;
        let predicate = self.id(item.predicate())?;
        self.at = 2;
        let object = self.id(item.object())?;
        Ok(Triple { subject, predicate, object })
    }

    fn refused_term(&self) -> Option<usize> {
        Some(self.at)
    }
}

/// Text that refuses to grow above a limit.
struct Limited<'a> {
    text: &'a mut String,
    max: usize,
    /// Bytes it was to have when it refused.
    wanted: usize,
}

impl Write for Limited<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.wanted = self.text.len() + part.len();
        if self.wanted > self.max {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}
