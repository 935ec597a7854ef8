//! Who one is: the authentication map of LOGON, or of HELLO before 5.1, owned for clients and borrowed for servers.
//!
//! Owns the shape of the map and keeps secrets out of `Debug`. It checks no password and stores nothing.

use alloc::string::String;
use core::fmt;

use crate::entries::{Entries, EntrySink};
use crate::error::{DecodeError, EncodeError};
use crate::value::Map;
use crate::value_ref::MapRef;

/// How a client authenticates.
///
/// `Debug` shows the scheme and the principal, never a secret.
///
/// ```
/// use bolt_wire::Auth;
/// let auth = Auth::basic("neo4j", "secret");
/// assert_eq!(format!("{auth:?}"), r#"Auth { scheme: "basic", principal: Some("neo4j"), .. }"#);
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Auth {
    /// Not at all: scheme "none".
    None,
    /// User name and password: scheme "basic".
    Basic {
        /// User name.
        principal: String,
        /// Password.
        credentials: String,
        /// Which of the server's realms; none means its default.
        realm: Option<String>,
    },
    /// A token of single sign-on: scheme "bearer".
    Bearer {
        /// The token.
        credentials: String,
    },
    /// A Kerberos ticket: scheme "kerberos".
    Kerberos {
        /// The ticket, base64.
        credentials: String,
    },
    /// A scheme of the server's own.
    Custom {
        /// Its name.
        scheme: String,
        /// Who.
        principal: Option<String>,
        /// Proof.
        credentials: Option<String>,
        /// Realm.
        realm: Option<String>,
        /// Anything else the scheme wants.
        parameters: Option<Map>,
    },
}

impl Auth {
    /// User name and password.
    #[must_use]
    pub fn basic(principal: impl Into<String>, credentials: impl Into<String>) -> Self {
        Self::Basic { principal: principal.into(), credentials: credentials.into(), realm: None }
    }

    /// A token of single sign-on.
    #[must_use]
    pub fn bearer(credentials: impl Into<String>) -> Self {
        Self::Bearer { credentials: credentials.into() }
    }

    /// A Kerberos ticket in base64.
    #[must_use]
    pub fn kerberos(credentials: impl Into<String>) -> Self {
        Self::Kerberos { credentials: credentials.into() }
    }

    /// The scheme's name on the wire.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.parts().0
    }

    /// Who claims to be there, where the scheme names it.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.parts().1
    }

    /// Scheme, principal, credentials, realm: what the map holds, in the order the official drivers write it.
    fn parts(&self) -> (&str, Option<&str>, Option<&str>, Option<&str>) {
        match self {
            Self::None => ("none", None, None, None),
            Self::Basic { principal, credentials, realm } => {
                ("basic", Some(principal), Some(credentials), realm.as_deref())
            }
            Self::Bearer { credentials } => ("bearer", None, Some(credentials), None),
            Self::Kerberos { credentials } => ("kerberos", Some(""), Some(credentials), None),
            Self::Custom { scheme, principal, credentials, realm, .. } => {
                (scheme, principal.as_deref(), credentials.as_deref(), realm.as_deref())
            }
        }
    }

    fn parameters(&self) -> Option<&Map> {
        match self {
            Self::Custom { parameters, .. } => parameters.as_ref(),
            _ => None,
        }
    }
}

impl Entries for Auth {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let (scheme, principal, credentials, realm) = self.parts();
        sink.put("scheme", scheme)?;
        sink.put_some("principal", principal)?;
        sink.put_some("credentials", credentials)?;
        sink.put_some("realm", realm)?;
        sink.put_some("parameters", self.parameters())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "Auth", Some(self.scheme()), self.principal())
    }
}

/// The authentication map as it arrived at a server, borrowed from the message.
///
/// `Debug` shows the scheme and the principal, never a secret.
#[derive(Clone, Copy)]
pub struct AuthRef<'a> {
    /// The scheme, where one was given.
    pub scheme: Option<&'a str>,
    /// Who.
    pub principal: Option<&'a str>,
    /// Proof.
    pub credentials: Option<&'a str>,
    /// Realm.
    pub realm: Option<&'a str>,
    /// Whatever else the scheme wants.
    pub parameters: Option<MapRef<'a>>,
}

impl<'a> AuthRef<'a> {
    /// Reads the entries out of a map that may hold others as well.
    pub(crate) fn read(map: MapRef<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            scheme: map.get_as("scheme")?,
            principal: map.get_as("principal")?,
            credentials: map.get_as("credentials")?,
            realm: map.get_as("realm")?,
            parameters: map.get_as("parameters")?,
        })
    }
}

impl fmt::Debug for AuthRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "AuthRef", self.scheme, self.principal)
    }
}

fn debug(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    scheme: Option<&str>,
    principal: Option<&str>,
) -> fmt::Result {
    let mut shape = f.debug_struct(name);
    shape.field("scheme", &scheme.unwrap_or(""));
    if principal.is_some() {
        shape.field("principal", &principal);
    }
    shape.finish_non_exhaustive()
}
