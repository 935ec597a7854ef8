//! Reads a connection address such as `bolt://host:7687`.
//!
//! Owns the grammar of addresses and the advice given when one is wrong. Never resolves a name and never opens a
//! socket. Limits: only the scheme `bolt` is served here; schemes that need routing or TLS are recognised and
//! refused by name, so that nobody believes a connection is encrypted when it is not.

use bolt_wire::handshake::DEFAULT_PORT;

use crate::error::{Error, Reason};

/// Splits `uri` into host and port.
pub(crate) fn parse(uri: &str) -> Result<(String, u16), Error> {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return Err(bad(uri, "there is no scheme; write it as bolt://host:7687"));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "bolt" => {}
        "neo4j" => {
            return Err(bad(
                uri,
                "neo4j:// asks for routing in a cluster, which a single connection cannot do; \
                 for one server write bolt://host:7687",
            ));
        }
        "bolt+s" | "bolt+ssc" | "neo4j+s" | "neo4j+ssc" => {
            return Err(bad(
                uri,
                "this scheme asks for TLS, which this crate does not speak and will not silently drop; \
                 use bolt:// to a port that takes unencrypted connections",
            ));
        }
        "http" | "https" => {
            return Err(bad(
                uri,
                "this is a web address; Bolt is spoken on its own port, as bolt://host:7687",
            ));
        }
        _ => return Err(bad(uri, "the scheme is not known; the one served here is bolt://")),
    }
    if rest.contains('#') {
        return Err(bad(uri, "a fragment (after #) has no meaning in a Bolt address"));
    }
    if let Some((_, query)) = rest.split_once('?') {
        let advice = if query.is_empty() {
            "remove the question mark at the end"
        } else {
            "parameters after ? are a routing context, which bolt:// does not take"
        };
        return Err(bad(uri, advice));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(bad(
            uri,
            "a path has no meaning in a Bolt address; a database is chosen per query, in RunOptions",
        ));
    }
    if authority.contains('@') {
        return Err(bad(uri, "user and password do not belong in the address; pass them by Config::auth"));
    }
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((host, after)) = bracketed.split_once(']') else {
            return Err(bad(uri, "the bracket around the IPv6 address is not closed"));
        };
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(bad(uri, "after the ] comes nothing or :port")),
        }
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(bad(uri, "an IPv6 address is written in brackets: bolt://[::1]:7687"));
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err(bad(uri, "the host is missing"));
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad(uri, "the host contains blanks or control characters"));
    }
    let port = match port {
        None => DEFAULT_PORT,
        // `parse` alone would let a sign through.
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>() {
            Ok(port) if port != 0 => port,
            _ => return Err(bad(uri, "the port must be a number from 1 to 65535")),
        },
        Some(_) => return Err(bad(uri, "the port must be a number from 1 to 65535")),
    };
    Ok((host.to_owned(), port))
}

fn bad(uri: &str, advice: &str) -> Error {
    // An address may carry a password by mistake; whatever stands before an @ is not repeated.
    let shown = match uri.rsplit_once('@') {
        Some((_, tail)) => format!("…@{tail}"),
        None => uri.to_owned(),
    };
    Error::new(Reason::InvalidConfig, format!("the address {shown:?} cannot be used: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses() {
        for (uri, host, port) in [
            ("bolt://localhost", "localhost", 7687),
            ("bolt://localhost/", "localhost", 7687),
            ("BOLT://db.example.org:17687", "db.example.org", 17687),
            ("bolt://127.0.0.1:1", "127.0.0.1", 1),
            ("bolt://[::1]", "::1", 7687),
            ("bolt://[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
            ("bolt://größe.example:7687", "größe.example", 7687),
        ] {
            assert_eq!(parse(uri).unwrap(), (host.to_owned(), port), "{uri}");
        }
    }

    #[test]
    fn bad_addresses_say_what_to_do() {
        for (uri, advice) in [
            ("localhost:7687", "no scheme"),
            ("", "no scheme"),
            ("neo4j://h", "routing"),
            ("bolt+s://h", "TLS"),
            ("neo4j+ssc://h", "TLS"),
            ("https://h", "web address"),
            ("redis://h", "not known"),
            ("bolt://", "host is missing"),
            ("bolt://:7687", "host is missing"),
            ("bolt://h:", "1 to 65535"),
            ("bolt://h:0", "1 to 65535"),
            ("bolt://h:65536", "1 to 65535"),
            ("bolt://h:+7687", "1 to 65535"),
            ("bolt://h:99999999999999999999", "1 to 65535"),
            ("bolt://::1:7687", "brackets"),
            ("bolt://[::1", "not closed"),
            ("bolt://[::1]7687", "nothing or :port"),
            ("bolt://neo4j:secret@h", "do not belong"),
            ("bolt://h/movies", "path"),
            ("bolt://h?policy=eu", "routing context"),
            ("bolt://h#x", "fragment"),
            ("bolt://a b", "blanks"),
        ] {
            let message = parse(uri).unwrap_err().to_string();
            assert!(message.contains(advice), "{uri}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
