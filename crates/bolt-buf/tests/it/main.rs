//! The integration tests of bolt-buf, one binary. Owns nothing but the list of its modules.

mod model;
