//! What the comparisons share. Owns nothing at run time; never published.
