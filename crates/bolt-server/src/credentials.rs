//! One user name and password, compared without telling by the time it takes how much of a guess was right.
//!
//! Owns the comparison. Never logs or prints a secret. Limits: one user; a backend with more keeps its own table
//! and may use [`constant_time_eq`].

use std::fmt;
use std::hint::black_box;

use bolt_wire::AuthRef;

use crate::Failure;

/// Who may log in.
#[derive(Clone)]
pub enum Credentials {
    /// Anybody, with any scheme.
    Anyone,
    /// One user, by scheme `basic`.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
}

impl Credentials {
    /// One user.
    pub fn user(name: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials::User { name: name.into(), password: password.into() }
    }

    /// Checks a login.
    ///
    /// # Errors
    /// [`Failure::unauthorized`], the same for a wrong name, password, realm or scheme.
    pub fn check(&self, auth: &AuthRef<'_>) -> Result<(), Failure> {
        let Credentials::User { name, password } = self else { return Ok(()) };
        // All are compared whatever the first says.
        let name_right = constant_time_eq(name.as_bytes(), auth.principal.unwrap_or_default().as_bytes());
        let password_right =
            constant_time_eq(password.as_bytes(), auth.credentials.unwrap_or_default().as_bytes());
        let scheme_right = auth.scheme == Some("basic") && auth.credentials.is_some();
        let realm_right = matches!(auth.realm, None | Some("" | "native"));
        if name_right & password_right & scheme_right & realm_right {
            Ok(())
        } else {
            Err(Failure::unauthorized())
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Anyone => f.write_str("Anyone"),
            Credentials::User { name, .. } => {
                f.debug_struct("User").field("name", name).finish_non_exhaustive()
            }
        }
    }
}

/// Whether a guess equals a secret, in time that depends on the guess's length only.
///
/// ```
/// assert!(bolt_server::constant_time_eq(b"secret", b"secret"));
/// assert!(!bolt_server::constant_time_eq(b"secret", b"secrets"));
/// ```
pub fn constant_time_eq(secret: &[u8], guess: &[u8]) -> bool {
    let mut different = u8::from(secret.len() != guess.len());
    for (i, &byte) in guess.iter().enumerate() {
        // Beyond the secret's end the guess is compared with itself: the lengths differ already.
        let expected = secret.get(i).copied().unwrap_or(byte);
        different = black_box(different | (byte ^ expected));
    }
    different == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_bytes_are_equal() {
        for (secret, guess) in [
            ("", "x"),
            ("x", ""),
            ("secret", "secreT"),
            ("secret", "secre"),
            ("secret", "secret "),
            ("a", "b"),
        ] {
            assert!(!constant_time_eq(secret.as_bytes(), guess.as_bytes()), "{secret:?} {guess:?}");
        }
        assert!(constant_time_eq(b"", b"") && constant_time_eq(b"pass\0word", b"pass\0word"));
    }

    #[test]
    fn a_password_is_not_printed() {
        assert!(!format!("{:?}", Credentials::user("neo4j", "hush-hush")).contains("hush"));
    }
}
