//! The integration tests of bolt-wire, one module per part. Owns no test itself.

mod pack_golden;
