#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(dead_code)] // The listener that uses all this is a commit away.

mod backend;
mod config;
mod credentials;
mod failure;
pub mod generated;
mod inbox;
mod machine;
mod sink;

pub use backend::{
    Backend, Columns, Counters, Notification, Outcome, Peer, Progress, QueryKind, QueryRequest, Session,
    TransactionRequest,
};
/// Whether a transaction may write.
pub use bolt_wire::request::AccessMode;
pub use config::{ConfigError, ServerConfig};
pub use credentials::{Credentials, constant_time_eq};
pub use failure::{CAUSES_MAX, Failure};
pub use inbox::{Interrupt, StopReason};
pub use sink::{RecordEncoder, RecordSink};
