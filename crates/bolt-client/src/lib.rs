#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answers;
mod blocking;
mod cancel;
mod config;
mod engine;
mod error;
mod flights;
mod io;
mod results;
mod standing;
mod uri;

pub use answers::Location;
#[cfg(feature = "serde")]
pub use blocking::Typed;
pub use blocking::{Connection, Cursor, Rows, Transaction};
pub use cancel::{CancelHandle, Interrupt};
pub use config::{Config, FetchSize, Notifications, RouteOptions, RunOptions, TxOptions};
pub use engine::{ConnectionStats, Engine, ServerInfo};
pub use error::{Error, ErrorKind, Reason};
pub use io::{Io, TcpIo};
pub use results::Slot;

/// The protocol's own vocabulary, from `bolt-wire`.
pub use bolt_wire::handshake::Offer;
pub use bolt_wire::request::{AccessMode, MinimumSeverity, NotificationClass, TelemetryApi};
pub use bolt_wire::route::{Address, RoutingTable};
pub use bolt_wire::summary::Hints;
pub use bolt_wire::{
    Auth, DecodeError, Fields, FromValue, Limits, ListRef, Map, MapRef, NodeRef, OwnedRecord, Params,
    PathRef, RecordBatch, RecordRef, RelationshipRef, ServerFailure, Summary, Value, ValueRef, Version,
};
