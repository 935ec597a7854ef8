//! Bolt versions as data: which ones exist here, and what each of them can do.
//!
//! Owns the one table of [`Features`]; every other module asks it instead of comparing numbers. It holds no
//! code per version and never reads or writes a byte. Limits: 4.0–4.4, 5.0–5.4, 5.6–5.8, 6.0 and 6.1 (5.5 was never served).

use core::fmt;

use crate::encode::Dialect;

/// A Bolt version, ordered by age.
///
/// Two bytes. Any pair of numbers can be held; [`Version::is_supported`] says whether this crate speaks it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The major number, last byte of a proposal.
    pub major: u8,
    /// The minor number, third byte of a proposal.
    pub minor: u8,
}

/// How a version asks for a routing table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RouteShape {
    /// There is no ROUTE message: a procedure is run through RUN (4.0–4.2).
    Procedure,
    /// ROUTE with context, bookmarks, and a database name or null (4.3).
    Database,
    /// ROUTE with context, bookmarks, and a map of `db` and `imp_user` (4.4 and later).
    Extra,
}

/// What a version calls the list of unwanted notifications.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FilterNames {
    /// Notifications cannot be filtered (before 5.2).
    None,
    /// `notifications_disabled_categories` (5.2–5.4).
    Categories,
    /// `notifications_disabled_classifications` (5.6 and later).
    Classifications,
}

/// What one version can do. One row of the table per version; see Bolt specification, "message" and "handshake" pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Features {
    /// The version this row describes.
    pub version: Version,
    /// Authentication is a message of its own, LOGON, and LOGOFF undoes it (5.1). Before, HELLO carries it.
    pub logon: bool,
    /// HELLO must carry `bolt_agent` (5.3).
    pub bolt_agent: bool,
    /// HELLO may ask for UTC date-times by `patch_bolt` (4.3 and 4.4).
    pub utc_patch: bool,
    /// Date-times are always counted in UTC (5.0).
    pub utc_always: bool,
    /// Graph structures carry element ids (5.0).
    pub element_ids: bool,
    /// Empty chunks between messages keep a connection alive (4.1).
    pub noop: bool,
    /// HELLO's answer may hold hints (4.3).
    pub hints: bool,
    /// HELLO may carry a routing context (4.1).
    pub hello_routing: bool,
    /// How a routing table is asked for.
    pub route: RouteShape,
    /// `imp_user` is understood (4.4).
    pub impersonation: bool,
    /// How notification filters are named.
    pub filters: FilterNames,
    /// TELEMETRY exists (5.4).
    pub telemetry: bool,
    /// Summaries hold `statuses` in place of `notifications` (5.6).
    pub statuses: bool,
    /// Failures carry GQL status, description, diagnostic record and causes (5.7).
    pub gql_errors: bool,
    /// BEGIN and RUN answer with the database they resolved, and server-side routing is announced (5.8).
    pub ssr: bool,
    /// Vector and UnsupportedType exist (6.0).
    pub vector: bool,
    /// PackStream 2: UUIDs have a marker of their own (6.1).
    pub uuid: bool,
    /// Servers of this version know the manifest handshake (5.7).
    pub manifest: bool,
}

// Each row names only what its version changed.
const F4_0: Features = Features {
    version: Version::V4_0,
    logon: false,
    bolt_agent: false,
    utc_patch: false,
    utc_always: false,
    element_ids: false,
    noop: false,
    hints: false,
    hello_routing: false,
    route: RouteShape::Procedure,
    impersonation: false,
    filters: FilterNames::None,
    telemetry: false,
    statuses: false,
    gql_errors: false,
    ssr: false,
    vector: false,
    uuid: false,
    manifest: false,
};
const F4_1: Features = Features { version: Version::V4_1, noop: true, hello_routing: true, ..F4_0 };
const F4_2: Features = Features { version: Version::V4_2, ..F4_1 };
const F4_3: Features =
    Features { version: Version::V4_3, hints: true, route: RouteShape::Database, utc_patch: true, ..F4_2 };
const F4_4: Features =
    Features { version: Version::V4_4, route: RouteShape::Extra, impersonation: true, ..F4_3 };
const F5_0: Features =
    Features { version: Version::V5_0, utc_patch: false, utc_always: true, element_ids: true, ..F4_4 };
const F5_1: Features = Features { version: Version::V5_1, logon: true, ..F5_0 };
const F5_2: Features = Features { version: Version::V5_2, filters: FilterNames::Categories, ..F5_1 };
const F5_3: Features = Features { version: Version::V5_3, bolt_agent: true, ..F5_2 };
const F5_4: Features = Features { version: Version::V5_4, telemetry: true, ..F5_3 };
const F5_6: Features =
    Features { version: Version::V5_6, statuses: true, filters: FilterNames::Classifications, ..F5_4 };
const F5_7: Features = Features { version: Version::V5_7, gql_errors: true, manifest: true, ..F5_6 };
const F5_8: Features = Features { version: Version::V5_8, ssr: true, ..F5_7 };
const F6_0: Features = Features { version: Version::V6_0, vector: true, ..F5_8 };
const F6_1: Features = Features { version: Version::V6_1, uuid: true, ..F6_0 };

static TABLE: [Features; COUNT] =
    [F4_0, F4_1, F4_2, F4_3, F4_4, F5_0, F5_1, F5_2, F5_3, F5_4, F5_6, F5_7, F5_8, F6_0, F6_1];

/// How many versions are spoken.
const COUNT: usize = 15;

const SUPPORTED: [Version; COUNT] = [
    Version::V4_0,
    Version::V4_1,
    Version::V4_2,
    Version::V4_3,
    Version::V4_4,
    Version::V5_0,
    Version::V5_1,
    Version::V5_2,
    Version::V5_3,
    Version::V5_4,
    Version::V5_6,
    Version::V5_7,
    Version::V5_8,
    Version::V6_0,
    Version::V6_1,
];

impl Version {
    /// Bolt 4.0.
    pub const V4_0: Self = Self::new(4, 0);
    /// Bolt 4.1.
    pub const V4_1: Self = Self::new(4, 1);
    /// Bolt 4.2.
    pub const V4_2: Self = Self::new(4, 2);
    /// Bolt 4.3.
    pub const V4_3: Self = Self::new(4, 3);
    /// Bolt 4.4.
    pub const V4_4: Self = Self::new(4, 4);
    /// Bolt 5.0.
    pub const V5_0: Self = Self::new(5, 0);
    /// Bolt 5.1.
    pub const V5_1: Self = Self::new(5, 1);
    /// Bolt 5.2.
    pub const V5_2: Self = Self::new(5, 2);
    /// Bolt 5.3.
    pub const V5_3: Self = Self::new(5, 3);
    /// Bolt 5.4.
    pub const V5_4: Self = Self::new(5, 4);
    /// Bolt 5.6.
    pub const V5_6: Self = Self::new(5, 6);
    /// Bolt 5.7.
    pub const V5_7: Self = Self::new(5, 7);
    /// Bolt 5.8.
    pub const V5_8: Self = Self::new(5, 8);
    /// Bolt 6.0.
    pub const V6_0: Self = Self::new(6, 0);
    /// Bolt 6.1.
    pub const V6_1: Self = Self::new(6, 1);

    /// Every version this crate speaks, oldest first.
    pub const SUPPORTED: &'static [Self] = &SUPPORTED;

    /// A version by its numbers.
    ///
    /// ```
    /// use bolt_wire::Version;
    /// assert_eq!(Version::new(5, 8), Version::V5_8);
    /// assert_eq!(Version::V6_1.to_string(), "6.1");
    /// ```
    #[must_use]
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Whether this crate speaks the version.
    #[must_use]
    pub fn is_supported(self) -> bool {
        self.row().is_some()
    }

    /// Where the version stands in [`Version::SUPPORTED`].
    pub(crate) fn row(self) -> Option<usize> {
        SUPPORTED.iter().position(|&one| one == self)
    }

    /// What the version can do. For a version this crate does not speak: the newest row that is not younger, else the oldest.
    ///
    /// ```
    /// use bolt_wire::Version;
    /// assert!(Version::V5_1.features().logon);
    /// assert!(!Version::V5_0.features().logon);
    /// ```
    #[must_use]
    pub fn features(self) -> &'static Features {
        TABLE.iter().rev().find(|row| row.version <= self).unwrap_or(&TABLE[0])
    }

    /// Which values the version's PackStream can carry; `utc_patch` tells that `patch_bolt: ["utc"]` was granted.
    #[must_use]
    pub fn dialect(self, utc_patch: bool) -> Dialect {
        let features = self.features();
        Dialect {
            uuid: features.uuid,
            vector: features.vector,
            utc: features.utc_always || utc_patch,
            element_ids: features.element_ids,
        }
    }

    /// The oldest version for which `has` holds: what an error names when a feature is missing.
    pub(crate) fn first_with(has: impl Fn(&Features) -> bool) -> Self {
        TABLE.iter().find(|row| has(row)).map_or(Self::V6_1, |row| row.version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
