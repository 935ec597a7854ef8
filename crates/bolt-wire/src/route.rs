//! Routing tables: the `rt` of ROUTE's answer, and the record of the routing procedure, read with bounds.
//!
//! Owns the parsing of addresses. It knows nothing of time, connections or choice: that is a driver's business. Limits:
//! [`Limits::route_addresses_max`] addresses, [`Limits::address_bytes_max`] bytes each, [`TTL_SECONDS_MAX`].

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::error::{DecodeError, DecodeReason};
use crate::handshake::DEFAULT_PORT;
use crate::limits::Limits;
use crate::value_ref::{ListRef, MapRef, RawRef};

/// The longest time a table is believed, one year: what a server says beyond it would only overflow somebody's clock.
pub const TTL_SECONDS_MAX: u64 = 31_536_000;

/// Where a server listens.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    /// Name or number of the host, without brackets.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

/// A text that is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadAddress;

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected host, host:port, [v6] or [v6]:port with a port from 1 to 65535")
    }
}

impl core::error::Error for BadAddress {}

impl core::str::FromStr for Address {
    type Err = BadAddress;

    /// ```
    /// use bolt_wire::route::Address;
    /// let address: Address = "[::1]:7688".parse().unwrap();
    /// assert_eq!((address.host.as_str(), address.port), ("::1", 7688));
    /// assert_eq!("db.example".parse::<Address>().unwrap().port, 7687);
    /// assert!("db.example:0".parse::<Address>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(BadAddress)?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(BadAddress)?) })
            }
            None => match text.split_once(':') {
                // More than one colon and no brackets: an IPv6 address alone.
                Some((_, rest)) if rest.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) if digits(port) => port.parse().map_err(|_| BadAddress)?,
            Some(_) => return Err(BadAddress),
        };
        let legal = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | '@' | '[' | ']');
        if host.is_empty() || port == 0 || !host.chars().all(legal) {
            return Err(BadAddress);
        }
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Who does what for one database.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoutingTable {
    /// How many seconds the table holds, at most [`TTL_SECONDS_MAX`].
    pub ttl_seconds: u64,
    /// Which database it is for (4.4); names the home database when none was asked for.
    pub db: Option<String>,
    /// Servers to ask for the next table.
    pub routers: Vec<Address>,
    /// Servers that read.
    pub readers: Vec<Address>,
    /// Servers that write; may be none for a while.
    pub writers: Vec<Address>,
}

impl RoutingTable {
    /// Reads the metadata of ROUTE's SUCCESS.
    ///
    /// # Errors
    /// No `rt`, and what [`read_table`](Self::read_table) refuses.
    pub fn read(metadata: MapRef<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        Self::read_table(metadata.get_as("rt")?, limits)
    }

    /// Reads the table itself.
    ///
    /// # Errors
    /// A negative or missing `ttl`, no `servers`, no router or no reader, an address that is none, or more of them than allowed.
    pub fn read_table(table: MapRef<'_>, limits: &Limits) -> Result<Self, DecodeError> {
        let ttl: i64 = table.get_as("ttl")?;
        let servers: ListRef<'_> = table.get_as("servers")?;
        let db = table.get_as("db").unwrap_or_default();
        Self::build(ttl, db, servers, table.raw("ttl").map_or(0, RawRef::offset), limits)
    }

    /// Reads the record of the routing procedure (4.0–4.2): its columns `ttl` and `servers`.
    ///
    /// # Errors
    /// As [`read_table`](Self::read_table).
    pub fn read_procedure(
        ttl: RawRef<'_>,
        servers: RawRef<'_>,
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        Self::build(ttl.int()?, None, servers.list()?, ttl.offset(), limits)
    }

    fn build(
        ttl: i64,
        db: Option<String>,
        servers: ListRef<'_>,
        ttl_at: usize,
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        let Ok(ttl_seconds) = u64::try_from(ttl) else {
            return Err(refuse(ttl_at, "a time to live of 0 or more", "a negative number"));
        };
        let mut table = Self { ttl_seconds: ttl_seconds.min(TTL_SECONDS_MAX), db, ..Self::default() };
        let mut left = limits.route_addresses_max as usize;
        let mut at = ttl_at;
        for raw in servers.raws() {
            at = raw.offset();
            let server = raw.map()?;
            let addresses: ListRef<'_> = server.get_as("addresses")?;
            let role = match server.get_as("role")? {
                "ROUTE" => &mut table.routers,
                "READ" => &mut table.readers,
                "WRITE" => &mut table.writers,
                // Roles of a later version mean nothing here.
                _ => continue,
            };
            left = left.checked_sub(addresses.len()).ok_or_else(|| {
                let reason = DecodeReason::OutOfRange { expected: "Limits::route_addresses_max addresses" };
                DecodeError::new(at, reason)
            })?;
            for raw in addresses.raws() {
                let text = raw.str()?;
                let address = if text.len() <= limits.address_bytes_max as usize {
                    text.parse()
                } else {
                    Err(BadAddress)
                };
                role.push(address.map_err(|BadAddress| {
                    refuse(raw.offset(), "an address as host:port with a port from 1 to 65535", "other text")
                })?);
            }
        }
        if table.routers.is_empty() || table.readers.is_empty() {
            return Err(refuse(at, "a table with a router and a reader", "one without"));
        }
        Ok(table)
    }
}

#[cold]
fn refuse(offset: usize, expected: &'static str, found: &'static str) -> DecodeError {
    DecodeError::new(offset, DecodeReason::WrongType { expected, found })
}
