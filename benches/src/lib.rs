//! What the criterion suites share. Owns nothing at run time; never part of a published crate.
