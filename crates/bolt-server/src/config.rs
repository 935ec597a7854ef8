//! The numbers a server is run by: how many, how large, how long.
//!
//! Owns policy only; the connection and the listener apply it. Every queue, buffer and wait of a server is
//! bounded by a field here. Never reads the environment or a file.

use std::fmt;
use std::time::Duration;

use bolt_wire::Version;

/// Limits and names of a [`Server`](crate::Server). Start from `default()` and change fields.
///
/// Memory per connection: before login one message ([`login_message_bytes_max`](Self::login_message_bytes_max));
/// afterwards at most [`queued_bytes_max`](Self::queued_bytes_max) of requests that wait, one message being
/// received, one being served, and an answer buffer of 64 KiB or of one record, whichever is larger.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Connections served at once (256). A few more are told politely that there is no room; see
    /// [`Failure::too_many_connections`](crate::Failure::too_many_connections). The rest are closed unheard.
    pub connections_max: usize,
    /// From the accept to the answer to the login, handshake included (30 s). A client that sends a byte now and
    /// then does not lengthen it. After a LOGOFF the next LOGON has as long again.
    pub login_timeout: Duration,
    /// A failed login is answered only after this pause (250 ms), and then closed: together with
    /// `connections_max` it bounds how many passwords a second can be tried.
    pub failed_login_delay: Duration,
    /// Largest message before login (64 KiB).
    pub login_message_bytes_max: usize,
    /// Largest message after login (64 MiB).
    pub message_bytes_max: usize,
    /// Deepest nesting of a parameter (1,024; real servers take 1,000).
    pub depth_max: u32,
    /// Requests that may wait behind the one being served (1,024). The socket is not read while so many wait.
    pub queued_requests_max: usize,
    /// Bytes of requests that may wait (1 MiB; a single larger one may wait alone).
    pub queued_bytes_max: usize,
    /// Results that may be open at once in a transaction (1,024).
    pub open_results_max: usize,
    /// A client that takes no byte of an answer for so long is cut off (15 min). `None`: it may stall for ever.
    pub write_timeout: Option<Duration>,
    /// A client that asks nothing for so long is cut off. `None`, the default: it may idle for ever.
    pub idle_timeout: Option<Duration>,
    /// What HELLO's answer calls the server. Official drivers insist on a name that begins with `Neo4j/`.
    pub agent: String,
    /// `host:port` that ROUTE and, from 5.8 on, LOGON tell clients to use. `None`: the address the client sent in
    /// its routing context, else the one the connection came in on.
    pub advertised_address: Option<String>,
    /// Oldest version to serve (4.0).
    pub version_min: Version,
    /// Newest version to serve (6.1).
    pub version_max: Version,
    /// Whether the manifest handshake is offered (yes). Without it Bolt 6 must be proposed by name.
    pub manifest: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            connections_max: 256,
            login_timeout: Duration::from_secs(30),
            failed_login_delay: Duration::from_millis(250),
            login_message_bytes_max: 64 << 10,
            message_bytes_max: 64 << 20,
            depth_max: 1024,
            queued_requests_max: 1024,
            queued_bytes_max: 1 << 20,
            open_results_max: 1024,
            write_timeout: Some(Duration::from_secs(15 * 60)),
            idle_timeout: None,
            agent: concat!("Neo4j/5.26.0-compatible-boltstack/", env!("CARGO_PKG_VERSION")).to_owned(),
            advertised_address: None,
            version_min: Version::V4_0,
            version_max: Version::V6_1,
            manifest: true,
        }
    }
}

/// A [`ServerConfig`] that cannot work: which field, and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it and what to do.
    pub advice: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server configuration: {} {}", self.field, self.advice)
    }
}

impl std::error::Error for ConfigError {}

impl ServerConfig {
    /// Checks what no run of the server could make sense of.
    ///
    /// # Errors
    /// Names the first field that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |field, advice| Err(ConfigError { field, advice });
        if self.connections_max == 0 {
            return wrong("connections_max", "is 0: nobody could connect; use at least 1");
        }
        if self.login_timeout.is_zero() {
            return wrong("login_timeout", "is 0: nobody could log in; use a second or more");
        }
        if self.login_message_bytes_max < 1024 {
            return wrong("login_message_bytes_max", "is below 1,024 bytes, less than drivers' HELLO needs");
        }
        if self.message_bytes_max < self.login_message_bytes_max {
            return wrong("message_bytes_max", "is below login_message_bytes_max; make it at least as large");
        }
        if self.depth_max < 8 {
            return wrong("depth_max", "is below 8, less than HELLO itself may nest");
        }
        if self.queued_requests_max == 0 {
            return wrong("queued_requests_max", "is 0: no request could arrive; use at least 1");
        }
        if self.open_results_max == 0 {
            return wrong("open_results_max", "is 0: no query could run; use at least 1");
        }
        if self.version_min > self.version_max {
            return wrong("version_min", "is above version_max: no version is left to serve");
        }
        if self.write_timeout.is_some_and(|t| t.is_zero()) || self.idle_timeout.is_some_and(|t| t.is_zero()) {
            return wrong("write_timeout or idle_timeout", "is 0; use None for no limit");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_works_and_each_nonsense_is_named() {
        assert_eq!(ServerConfig::default().check(), Ok(()));
        type Spoil = fn(&mut ServerConfig);
        let cases: [(&str, Spoil); 8] = [
            ("connections_max", |c| c.connections_max = 0),
            ("login_timeout", |c| c.login_timeout = Duration::ZERO),
            ("login_message_bytes_max", |c| c.login_message_bytes_max = 10),
            ("message_bytes_max", |c| c.message_bytes_max = 2048),
            ("depth_max", |c| c.depth_max = 1),
            ("queued_requests_max", |c| c.queued_requests_max = 0),
            ("open_results_max", |c| c.open_results_max = 0),
            ("version_min", |c| (c.version_min, c.version_max) = (Version::V5_0, Version::V4_4)),
        ];
        for (field, spoil) in cases {
            let mut config = ServerConfig::default();
            spoil(&mut config);
            assert_eq!(config.check().map_err(|e| e.field), Err(field));
        }
    }
}
