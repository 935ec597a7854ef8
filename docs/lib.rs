//! The pages of `docs/`, mounted so that every code block in them is a test. Owns no code; never published.
