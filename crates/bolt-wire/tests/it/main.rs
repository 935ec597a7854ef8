//! The integration tests of bolt-wire, one module per part. Owns no test itself.

mod pack_alloc;
mod pack_golden;
mod pack_golden_values;
mod pack_model;
#[cfg(feature = "serde")]
mod pack_serde;
mod pack_text;
mod proto_alloc;
mod proto_chunk;
mod proto_golden;
mod proto_handshake;
mod proto_request;
mod proto_response;
mod proto_state;
