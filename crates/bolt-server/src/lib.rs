#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod backend;
mod config;
mod connection;
mod conversation;
mod credentials;
mod failure;
pub mod generated;
mod inbox;
mod routing;
mod server;
mod sink;

pub use backend::{
    Backend, Columns, Notification, Outcome, Peer, Progress, QueryKind, QueryRequest, Session,
    TransactionRequest,
};
/// Whether a transaction may write.
pub use bolt_wire::request::AccessMode;
/// What a query changed.
pub use bolt_wire::summary::Counters;
/// The protocol's vocabulary that a backend needs; the rest is in `bolt-wire`.
pub use bolt_wire::{AuthRef, Encode, Limits, Map, MapRef, Value, ValueRef, Version};
pub use config::{ConfigError, ServerConfig};
pub use credentials::{Credentials, constant_time_eq};
pub use failure::{CAUSES_MAX, Failure};
pub use inbox::{Interrupt, StopReason};
pub use server::{REFUSALS_MAX, RunningServer, Server, ServerHandle};
pub use sink::{RecordEncoder, RecordSink};
