//! The routing procedure, by which clients below Bolt 4.3 ask what later ones ask by ROUTE.
//!
//! Owns the recognition of its call in the text of a query. Knows no table: the answer is ROUTE's. Limits: the forms drivers send,
//! with their arguments as parameters; any other text is the backend's.

use bolt_wire::MapRef;

use crate::Failure;

/// The procedure's names; the second is of Bolt 3's time, and servers of 4.x know it still.
const NAMES: [&str; 2] = ["dbms.routing.getRoutingTable", "dbms.cluster.routing.getRoutingTable"];

/// A call of the routing procedure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Call<'a> {
    /// The routing context.
    pub(crate) context: MapRef<'a>,
    /// Of which database; `None` means the default one.
    pub(crate) database: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// The call that `query` is, if it is one.
    ///
    /// # Errors
    /// An argument that is missing or of the wrong type.
    pub(crate) fn of(query: &str, parameters: MapRef<'a>) -> Result<Option<Self>, Failure> {
        let Some(names) = arguments(query) else { return Ok(None) };
        let mut names = names.split(',').map(str::trim);
        let (Some(context), database, None) = (names.next(), names.next(), names.next()) else {
            return Ok(None);
        };
        let Some(context) = context.strip_prefix('$') else { return Ok(None) };
        let argument = |name: &str, what: &str| {
            let missing = || {
                let code = "Neo.ClientError.Statement.ParameterMissing";
                Failure::new(code, format!("Expected parameter(s): {name}, {what}"))
            };
            parameters.raw(name).ok_or_else(missing)
        };
        let context = argument(context, "the routing context, a dictionary")?.map()?;
        let database = match database.map(|name| name.strip_prefix('$')) {
            None => None,
            Some(None) => return Ok(None),
            Some(Some(name)) => {
                let value = argument(name, "the name of a database")?;
                if value.is_null() { None } else { Some(value.str()?) }
            }
        };
        Ok(Some(Call { context, database: database.filter(|name| !name.is_empty()) }))
    }
}

/// What stands between the parentheses of a call of the procedure.
fn arguments(query: &str) -> Option<&str> {
    let query = query.trim().trim_end_matches(';').trim_end();
    let (call, rest) = query.split_once(char::is_whitespace)?;
    if !call.eq_ignore_ascii_case("CALL") {
        return None;
    }
    let (name, rest) = rest.split_once('(')?;
    NAMES.contains(&name.trim()).then_some(())?;
    rest.strip_suffix(')')
}

#[cfg(test)]
mod tests {
    use bolt_wire::{Dialect, Encoder, FromValue, Map, Params, RawRef, Value};

    use super::*;

    #[test]
    fn calls_are_told_from_other_queries() {
        let context = Map::from([("address", "h:1")]);
        let parameters = Map::from([
            ("context", Value::from(context)),
            ("database", Value::from("movies")),
            ("nothing", Value::Null),
            ("number", Value::Int(1)),
        ]);
        let mut bytes = Vec::new();
        parameters.encode_params(&mut Encoder::new(&mut bytes, Dialect::V4)).expect("a Vec has no limit");
        let parameters = MapRef::from_raw(RawRef::new(&bytes, 0)).expect("a dictionary");
        let call = |query: &str| {
            Call::of(query, parameters).map(|call| {
                call.map(|call| (call.context.get_as::<&str>("address").unwrap_or_default(), call.database))
            })
        };
        for (query, expected) in [
            ("CALL dbms.routing.getRoutingTable($context)", Some(("h:1", None))),
            (" call  dbms.cluster.routing.getRoutingTable( $context ) ; ", Some(("h:1", None))),
            ("CALL dbms.routing.getRoutingTable($context, $database)", Some(("h:1", Some("movies")))),
            ("CALL dbms.routing.getRoutingTable($context, $nothing)", Some(("h:1", None))),
            ("CALL dbms.routing.getRoutingTable({})", None),
            ("CALL dbms.routing.getRoutingTable($context) YIELD ttl", None),
            ("CALL dbms.routing.getRoutingTables($context)", None),
            ("RETURN 'dbms.routing.getRoutingTable($context)'", None),
        ] {
            assert_eq!(call(query), Ok(expected), "{query}");
        }
        for query in [
            "CALL dbms.routing.getRoutingTable($elsewhere)",
            "CALL dbms.routing.getRoutingTable($number)",
            "CALL dbms.routing.getRoutingTable($context, $number)",
        ] {
            assert!(call(query).is_err(), "{query}");
        }
    }
}
