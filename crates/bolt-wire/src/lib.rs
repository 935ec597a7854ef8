#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod auth;
pub mod chunk;
#[cfg(feature = "serde")]
mod de;
mod deep;
mod encode;
mod entries;
mod error;
mod failure;
mod from_value;
pub mod handshake;
mod index;
mod limits;
mod literal;
mod marker;
#[cfg(feature = "model")]
#[doc(hidden)]
pub mod model;
#[cfg(feature = "model")]
#[doc(hidden)]
pub mod model_proto;
mod record;
pub mod request;
mod request_ref;
pub mod response;
pub mod route;
#[cfg(feature = "serde")]
mod ser;
mod show;
pub mod state;
mod structure;
pub mod summary;
mod types;
mod value;
mod value_ref;
mod version;
mod view;
mod walk;

pub use auth::{Auth, AuthRef};
#[cfg(feature = "serde")]
pub use de::{DeError, RawDeserializer, SERDE_DEPTH_MAX, from_raw};
pub use encode::{Bytes, CountBytes, Dialect, Encode, Encoder, Output, Params};
pub use entries::{Entries, EntrySink, encode_map};
pub use error::{DecodeError, DecodeReason, EncodeError};
pub use failure::{Classification, FailureCause, ServerFailure};
pub use from_value::FromValue;
pub use index::{IndexedList, IndexedMap};
pub use limits::Limits;
pub use marker::Kind;
pub use record::{Fields, OwnedRecord, RecordBatch, RecordDecoder, RecordRef};
#[cfg(feature = "serde")]
pub use ser::{SerError, Serde, to_value};
pub use structure::{
    DateTimeZonedRef, NodeRef, PathRef, PathStep, PathSteps, RelationshipRef, StructRef,
    UnboundRelationshipRef, UnsupportedRef, VectorRef, tag,
};
pub use summary::Summary;
pub use types::{
    Date, DateTime, DateTimeForm, Duration, ElementType, InvalidUuid, LocalDateTime, LocalTime, Point2D,
    Point3D, Time, Uuid,
};
pub use value::{
    DateTimeZoned, Map, Node, Path, Relationship, Structure, UnboundRelationship, Unsupported,
    VALUE_DEPTH_MAX, Value, Vector,
};
#[doc(hidden)]
pub use value_ref::Guess;
pub use value_ref::{EntryIter, ListIter, ListRef, MapIter, MapRef, RawIter, RawRef, TypedIter, ValueRef};
pub use version::{Features, FilterNames, RouteShape, Version};
pub use view::SHOW_DEPTH_MAX;
pub use walk::{DEPTH_MAX_DEFAULT, Walker};
