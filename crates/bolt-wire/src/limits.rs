//! How much a peer may ask for: every bound of the protocol in one place, each settable.
//!
//! Owns numbers only. The modules that meet bytes enforce them. The defaults let through everything real servers send.

/// Bounds on what comes from the other side. Reaching one is an error that names it, never a panic.
///
/// Memory is paid for by bytes that arrived, never by a length a peer announced, so a high bound costs nothing by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of one message after login, chunk headers not counted. Default 256 MiB: Neo4j sends strings of that order.
    pub message_bytes_max: usize,
    /// Bytes of one message before login. Default 64 KiB: nothing legitimate comes near it.
    pub login_message_bytes_max: usize,
    /// How deep values may nest inside a message. Default 1,024: real servers return lists 1,000 deep.
    pub depth_max: u32,
    /// Columns of one result. Default 65,535.
    pub columns_max: u32,
    /// Entries of a version manifest. Default 255, which is plenty: real servers send three or four.
    pub manifest_entries_max: u32,
    /// Addresses in one routing table, over all roles. Default 4,096.
    pub route_addresses_max: u32,
    /// Bytes of one address in a routing table. Default 1,024 (a host name ends at 253).
    pub address_bytes_max: u32,
    /// Causes behind one failure. Default 256.
    pub causes_max: u32,
    /// Operators of one plan or profile. Default 65,535.
    pub plan_operators_max: u32,
}

impl Limits {
    /// The defaults, usable in a constant.
    pub const DEFAULT: Self = Self {
        message_bytes_max: 256 << 20,
        login_message_bytes_max: 64 << 10,
        depth_max: 1_024,
        columns_max: 65_535,
        manifest_entries_max: 255,
        route_addresses_max: 4_096,
        address_bytes_max: 1_024,
        causes_max: 256,
        plan_operators_max: 65_535,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
