//! Requests as a server reads them, borrowed from the message; public through [`crate::request`].
//!
//! Owns the parsing of every client message of Bolt 4.0 to 6.1, and the line between a request that deserves a FAILURE and one that ends
//! the connection, drawn where real servers draw it. It writes nothing and allocates nothing, but for a request with more than 32
//! parameters, whose names are sorted to find one that stands twice.

use core::fmt;

use crate::auth::AuthRef;
use crate::error::{DecodeError, DecodeReason};
use crate::from_value::FromValue;
use crate::request::{
    ALL, AccessMode, CATEGORIES, CLASSIFICATIONS, MINIMUM_SEVERITY, RequestTag, TelemetryApi,
};
use crate::value_ref::{ListRef, MapRef, RawRef};
use crate::version::{Features, FilterNames, RouteShape, Version};
use crate::walk::Walker;

/// Why a request cannot be served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// The body is cut short, nests too deep, or is no PackStream. Close without a word.
    Broken(DecodeError),
    /// The body is no structure. Close without a word.
    NotAStructure {
        /// What it begins with.
        marker: u8,
    },
    /// No request of this version has the tag. Close without a word.
    UnknownTag {
        /// The tag, at byte 1.
        tag: u8,
    },
    /// The request is whole but means nothing: FAILURE `Neo.ClientError.Request.Invalid`, and the connection lives on in FAILED.
    Invalid {
        /// Which request.
        request: RequestTag,
        /// Which part of it.
        part: &'static str,
        /// What is wrong, and where.
        error: DecodeError,
    },
}

impl RequestError {
    /// Whether the connection must be closed without an answer.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Invalid { .. })
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::NotAStructure { marker } => {
                write!(f, "at byte 0: a message is a structure (B0–BF), found {marker:02X}")
            }
            Self::UnknownTag { tag } => write!(f, "at byte 1: {tag:02X} is no request of this version"),
            Self::Invalid { request, part, error } => write!(f, "{request}, {part}: {error}"),
        }
    }
}

impl core::error::Error for RequestError {}

/// A request as a server reads it; everything borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// HELLO.
    Hello(HelloRef<'a>),
    /// LOGON.
    Logon(AuthRef<'a>),
    /// LOGOFF.
    Logoff,
    /// GOODBYE: close, no answer.
    Goodbye,
    /// RESET.
    Reset,
    /// RUN.
    Run {
        /// The query.
        query: &'a str,
        /// Its parameters, no key twice.
        params: MapRef<'a>,
        /// What goes with it.
        extra: ExtraRef<'a>,
    },
    /// BEGIN.
    Begin(ExtraRef<'a>),
    /// COMMIT.
    Commit,
    /// ROLLBACK.
    Rollback,
    /// PULL.
    Pull(Demand),
    /// DISCARD.
    Discard(Demand),
    /// TELEMETRY.
    Telemetry(TelemetryApi),
    /// ROUTE.
    Route {
        /// The routing context.
        routing: MapRef<'a>,
        /// Bookmarks, all strings.
        bookmarks: ListRef<'a>,
        /// Of which database.
        db: Option<&'a str>,
        /// As whom.
        imp_user: Option<&'a str>,
    },
}

/// HELLO as a server reads it.
#[derive(Clone, Copy, Debug)]
pub struct HelloRef<'a> {
    /// `Name/Version` of the application.
    pub user_agent: &'a str,
    /// The driver's own name; always there from 5.3 on.
    pub bolt_agent: Option<MapRef<'a>>,
    /// The routing context, for routed connections.
    pub routing: Option<MapRef<'a>>,
    /// Whether the client asks for UTC date-times. Granting it is the server's choice, on 4.x.
    pub utc_patch: bool,
    /// Who one is, before 5.1.
    pub auth: Option<AuthRef<'a>>,
    /// Which notifications are wanted.
    pub notifications: FilterRef<'a>,
}

/// A notification filter as a server reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilterRef<'a> {
    /// From which severity on.
    pub minimum_severity: Option<&'a str>,
    /// Which classes not; all strings.
    pub disabled: Option<ListRef<'a>>,
}

/// What goes with RUN and BEGIN, as a server reads it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtraRef<'a> {
    /// Reading or writing.
    pub mode: AccessMode,
    /// Which database; null and "" have become `None`.
    pub db: Option<&'a str>,
    /// As whom.
    pub imp_user: Option<&'a str>,
    /// Bookmarks, all strings.
    pub bookmarks: Option<ListRef<'a>>,
    /// In milliseconds, whatever was sent; 0 means no limit.
    pub tx_timeout_ms: Option<i64>,
    /// For the query log.
    pub tx_metadata: Option<MapRef<'a>>,
    /// Which notifications are wanted.
    pub notifications: FilterRef<'a>,
}

/// How many records of which result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Demand {
    /// How many; `None` means all that are left.
    pub n: Option<u64>,
    /// Of which result; `None` means that of the last RUN.
    pub qid: Option<i64>,
}

impl<'a> Request<'a> {
    /// Reads a whole message body.
    ///
    /// As with real servers, bytes behind the structure are ignored and unknown keys are too; a key twice among the parameters is refused.
    /// Unlike them, a string that is not UTF-8, wherever it stands, is refused rather than mended: a server that stores what it mended
    /// has lost what it was sent.
    ///
    /// # Errors
    /// See [`RequestError`]: [`is_fatal`](RequestError::is_fatal) tells whether the connection can go on.
    pub fn parse(
        body: &'a [u8],
        version: Version,
        utc: bool,
        walker: &mut Walker,
    ) -> Result<Self, RequestError> {
        let tag = RequestTag::of(body, version)?;
        walker.walk(body, 0, version.dialect(utc)).map_err(|error| match error.reason {
            // The message is whole and in step: that is no reason to hang up.
            DecodeReason::InvalidUtf8 => invalid(tag, "text", error),
            _ => RequestError::Broken(error),
        })?;
        let found = body[0] & 0x0F;
        let expected = tag.field_count();
        if found != expected {
            let reason = DecodeReason::FieldCount { what: tag.name(), expected, found };
            return Err(invalid(tag, "field count", DecodeError::new(0, reason)));
        }
        let first = RawRef::new(body, 2);
        let features = version.features();
        let part = |raw| Ok(Part { tag, map: map(tag, "extra", raw)?, features });
        Ok(match tag {
            RequestTag::Hello => Self::Hello(HelloRef::read(part(first)?)?),
            RequestTag::Logon => {
                let auth = AuthRef::read(map(tag, "auth", first)?);
                Self::Logon(auth.map_err(|error| invalid(tag, "auth", error))?)
            }
            RequestTag::Logoff => Self::Logoff,
            RequestTag::Goodbye => Self::Goodbye,
            RequestTag::Reset => Self::Reset,
            RequestTag::Run => {
                let second = RawRef::new(body, first.end());
                let third = RawRef::new(body, second.end());
                let params = map(tag, "parameters", second)?;
                if let Some(offset) = duplicate_key(params) {
                    let reason = DecodeReason::OutOfRange { expected: "a map with every key once" };
                    return Err(invalid(tag, "parameters", DecodeError::new(offset, reason)));
                }
                Self::Run {
                    query: first.str().map_err(|error| invalid(tag, "query", error))?,
                    params,
                    extra: ExtraRef::read(part(third)?)?,
                }
            }
            RequestTag::Begin => Self::Begin(ExtraRef::read(part(first)?)?),
            RequestTag::Commit => Self::Commit,
            RequestTag::Rollback => Self::Rollback,
            RequestTag::Pull => Self::Pull(Demand::read(part(first)?)?),
            RequestTag::Discard => Self::Discard(Demand::read(part(first)?)?),
            RequestTag::Telemetry => {
                let api = first.int().map_err(|error| invalid(tag, "api", error))?;
                let known = TelemetryApi::ALL.into_iter().find(|one| i64::from(*one as u8) == api);
                Self::Telemetry(known.ok_or_else(|| {
                    let reason = DecodeReason::OutOfRange { expected: "an interface from 0 to 3" };
                    invalid(tag, "api", DecodeError::new(2, reason))
                })?)
            }
            RequestTag::Route => Self::read_route(body, first, features)?,
        })
    }

    fn read_route(
        body: &'a [u8],
        first: RawRef<'a>,
        features: &'static Features,
    ) -> Result<Self, RequestError> {
        let tag = RequestTag::Route;
        let second = RawRef::new(body, first.end());
        let third = RawRef::new(body, second.end());
        let (db, imp_user) = match features.route {
            RouteShape::Extra => {
                let extra = Part { tag, map: map(tag, "extra", third)?, features };
                (extra.get("db")?, extra.get("imp_user")?)
            }
            RouteShape::Database | RouteShape::Procedure => {
                (Option::from_raw(third).map_err(|error| invalid(tag, "db", error))?, None)
            }
        };
        Ok(Self::Route {
            routing: map(tag, "routing", first)?,
            bookmarks: strings(
                tag,
                "bookmarks",
                second.list().map_err(|error| invalid(tag, "bookmarks", error))?,
            )?,
            db,
            imp_user,
        })
    }

    /// Which request it is.
    #[must_use]
    pub const fn tag(&self) -> RequestTag {
        match self {
            Self::Hello(_) => RequestTag::Hello,
            Self::Logon(_) => RequestTag::Logon,
            Self::Logoff => RequestTag::Logoff,
            Self::Goodbye => RequestTag::Goodbye,
            Self::Reset => RequestTag::Reset,
            Self::Run { .. } => RequestTag::Run,
            Self::Begin(_) => RequestTag::Begin,
            Self::Commit => RequestTag::Commit,
            Self::Rollback => RequestTag::Rollback,
            Self::Pull(_) => RequestTag::Pull,
            Self::Discard(_) => RequestTag::Discard,
            Self::Telemetry(_) => RequestTag::Telemetry,
            Self::Route { .. } => RequestTag::Route,
        }
    }
}

#[cold]
#[inline(never)]
fn invalid(request: RequestTag, part: &'static str, error: DecodeError) -> RequestError {
    RequestError::Invalid { request, part, error }
}

fn map<'a>(tag: RequestTag, part: &'static str, raw: RawRef<'a>) -> Result<MapRef<'a>, RequestError> {
    raw.map().map_err(|error| invalid(tag, part, error))
}

fn strings<'a>(tag: RequestTag, part: &'static str, list: ListRef<'a>) -> Result<ListRef<'a>, RequestError> {
    match list.raws().find_map(|raw| raw.str().err()) {
        Some(error) => Err(invalid(tag, part, error)),
        None => Ok(list),
    }
}

/// The extra map of one request, so that a bad entry is reported with the request and the key.
#[derive(Clone, Copy)]
struct Part<'a> {
    tag: RequestTag,
    map: MapRef<'a>,
    features: &'static Features,
}

impl<'a> Part<'a> {
    fn get<T: FromValue<'a>>(self, key: &'static str) -> Result<T, RequestError> {
        self.map.get_as(key).map_err(|error| invalid(self.tag, key, error))
    }

    fn strings(self, key: &'static str) -> Result<Option<ListRef<'a>>, RequestError> {
        let list: Option<ListRef<'a>> = self.get(key)?;
        list.map(|list| strings(self.tag, key, list)).transpose()
    }

    fn out_of_range(self, key: &'static str, expected: &'static str) -> RequestError {
        let offset = self.map.raw(key).map_or(2, RawRef::offset);
        invalid(self.tag, key, DecodeError::new(offset, DecodeReason::OutOfRange { expected }))
    }

    fn filter(self) -> Result<FilterRef<'a>, RequestError> {
        // Each version reads its own name and ignores the other.
        let disabled = match self.features.filters {
            FilterNames::None => return Ok(FilterRef::default()),
            FilterNames::Categories => CATEGORIES,
            FilterNames::Classifications => CLASSIFICATIONS,
        };
        Ok(FilterRef { minimum_severity: self.get(MINIMUM_SEVERITY)?, disabled: self.strings(disabled)? })
    }
}

impl<'a> HelloRef<'a> {
    fn read(extra: Part<'a>) -> Result<Self, RequestError> {
        let features = extra.features;
        let bolt_agent: Option<MapRef<'a>> = extra.get("bolt_agent")?;
        if features.bolt_agent {
            let Some(agent) = bolt_agent else {
                return Err(extra.out_of_range("bolt_agent", "a map with the driver's name"));
            };
            Part { map: agent, ..extra }.get::<&str>("product")?;
        }
        let patches = extra.strings("patch_bolt")?;
        let auth = if features.logon {
            None
        } else {
            Some(AuthRef::read(extra.map).map_err(|error| invalid(extra.tag, "auth", error))?)
        };
        Ok(Self {
            user_agent: extra.get("user_agent")?,
            bolt_agent,
            routing: extra.get("routing")?,
            utc_patch: !features.utc_always
                && patches.is_some_and(|list| list.raws().any(|raw| raw.str_bytes() == Ok(b"utc"))),
            auth,
            notifications: extra.filter()?,
        })
    }
}

impl<'a> ExtraRef<'a> {
    fn read(extra: Part<'a>) -> Result<Self, RequestError> {
        let mode = match extra.get::<Option<&str>>("mode")? {
            None | Some("w") => AccessMode::Write,
            Some("r") => AccessMode::Read,
            Some(_) => return Err(extra.out_of_range("mode", "\"r\" or \"w\"")),
        };
        Ok(Self {
            mode,
            db: extra.get::<Option<&str>>("db")?.filter(|name| !name.is_empty()),
            imp_user: extra.get("imp_user")?,
            bookmarks: extra.strings("bookmarks")?,
            tx_timeout_ms: extra.get("tx_timeout")?,
            tx_metadata: extra.get("tx_metadata")?,
            notifications: extra.filter()?,
        })
    }
}

impl Demand {
    fn read(extra: Part<'_>) -> Result<Self, RequestError> {
        let n = match extra.get::<i64>("n")? {
            ALL => None,
            n @ 1.. => Some(n.cast_unsigned()),
            _ => return Err(extra.out_of_range("n", "at least 1, or -1 for all")),
        };
        let qid = match extra.get::<Option<i64>>("qid")? {
            None | Some(-1) => None,
            Some(qid @ 0..) => Some(qid),
            Some(_) => return Err(extra.out_of_range("qid", "at least 0, or -1 for the last")),
        };
        Ok(Self { n, qid })
    }
}

/// The offset of an entry whose key stood before, without allocating for maps of ordinary size.
fn duplicate_key(map: MapRef<'_>) -> Option<usize> {
    const PAIRWISE_MAX: usize = 32;
    if map.len() <= PAIRWISE_MAX {
        return map.entries().enumerate().find_map(|(i, (key, value))| {
            map.entries().take(i).any(|(before, _)| before == key).then(|| value.offset())
        });
    }
    let mut keys: alloc::vec::Vec<_> = map.entries().map(|(key, value)| (key, value.offset())).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1)
}
