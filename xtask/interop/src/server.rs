//! The kinds of server the suite knows, and what each is known to lack. Facts only; they were seen on the wire.

use bolt_wire::Version;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Neo4j 5.26, the long-term release.
    Neo4j5,
    /// Neo4j 2026.08, which speaks Bolt 6.0 and 6.1.
    Neo4j2026,
    /// Neo4j 4.4.
    Neo4j4,
    /// ArcadeDB 26.
    ArcadeDb,
    /// kglite's own server.
    Kglite,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] =
        [Kind::Neo4j5, Kind::Neo4j2026, Kind::Neo4j4, Kind::ArcadeDb, Kind::Kglite];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Neo4j5 => "neo4j-5.26",
            Kind::Neo4j2026 => "neo4j-2026.08",
            Kind::Neo4j4 => "neo4j-4.4",
            Kind::ArcadeDb => "arcadedb",
            Kind::Kglite => "kglite",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Kind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) const fn is_neo4j(self) -> bool {
        matches!(self, Kind::Neo4j5 | Kind::Neo4j2026 | Kind::Neo4j4)
    }

    /// Whether the server serves a version when that alone is offered.
    pub(crate) fn serves(self, version: Version) -> bool {
        let number = (version.major, version.minor);
        match self {
            Kind::Neo4j5 => number < (6, 0),
            Kind::Neo4j2026 => true,
            Kind::Neo4j4 => number.0 == 4,
            Kind::ArcadeDb => matches!(number, (4, 0 | 4) | (5, 0..=4)),
            Kind::Kglite => matches!(number, (5, 1..=4)),
        }
    }

    /// Deepest list the server is known to take and give back.
    pub(crate) const fn nesting(self) -> usize {
        match self {
            Kind::Neo4j5 | Kind::Neo4j2026 | Kind::Neo4j4 => 1_000,
            Kind::ArcadeDb => 900,
            Kind::Kglite => 125,
        }
    }
}

/// One running server, and what to ask of it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) password: String,
    /// A second port that refuses plain connections.
    pub(crate) tls_only: Option<String>,
    /// The server was told to send NOOP chunks each second while a request runs.
    pub(crate) noops: bool,
    /// Records of the long stream.
    pub(crate) records: u64,
    /// Run this check alone.
    pub(crate) only: Option<String>,
}
