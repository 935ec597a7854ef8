//! What is told to a client beyond a backend's records: failures with their causes, summaries, notifications, routing tables.
//!
//! Owns the layout of this metadata by version. Never decides what to tell. Limits: a chain of causes is cut at
//! [`CAUSES_MAX`](crate::CAUSES_MAX).

use bolt_wire::request::WriteMessage;
use bolt_wire::summary::Counters;
use bolt_wire::{Encode, EncodeError, Encoder, Entries, EntrySink, Output, Version, encode_map};

use crate::failure::{CAUSES_MAX, Failure};
use crate::{Notification, Outcome};

/// FAILURE as a version wants it: code and message up to 5.6, the GQL form with causes from 5.7.
pub(crate) struct FailureAnswer<'a>(pub(crate) &'a Failure);

impl WriteMessage for FailureAnswer<'_> {
    fn encode_body<O: Output>(&self, version: Version, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.struct_header(1, bolt_wire::response::FAILURE)?;
        let failure = self.0;
        if version.features().gql_errors {
            encode_map(e, &GqlFailure { failure, cause_number: 0 })
        } else {
            encode_map(e, &[("code", failure.code()), ("message", failure.message())])
        }
    }
}

struct GqlFailure<'a> {
    failure: &'a Failure,
    cause_number: usize,
}

impl Entries for GqlFailure<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let failure = self.failure;
        if self.cause_number == 0 {
            // A cause has no code of its own, by the protocol.
            sink.put("neo4j_code", failure.code())?;
        }
        sink.put("message", failure.message())?;
        sink.put("gql_status", failure.gql_status())?;
        sink.put("description", failure.gql_description())?;
        sink.put_map(
            "diagnostic_record",
            &[
                ("OPERATION", ""),
                ("OPERATION_CODE", "0"),
                ("CURRENT_SCHEMA", "/"),
                ("_classification", failure.classification()),
            ],
        )?;
        match failure.cause() {
            Some(cause) if self.cause_number < CAUSES_MAX => {
                sink.put_map("cause", &GqlFailure { failure: cause, cause_number: self.cause_number + 1 })
            }
            _ => Ok(()),
        }
    }
}

/// The metadata of the last SUCCESS of a result.
pub(crate) struct SummaryAnswer<'a> {
    pub(crate) version: Version,
    pub(crate) outcome: &'a Outcome,
    /// Those of the outcome's notifications that the client wants to hear of.
    pub(crate) notifications: &'a [&'a Notification],
    pub(crate) bookmark: Option<&'a str>,
    pub(crate) database: &'a str,
    pub(crate) t_last_ms: i64,
    pub(crate) has_columns: bool,
    pub(crate) has_records: bool,
}

impl Entries for SummaryAnswer<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_some("bookmark", self.bookmark)?;
        if self.version.features().statuses {
            sink.put("statuses", &Statuses(self))?;
        } else if !self.notifications.is_empty() {
            sink.put("notifications", &OldNotifications(self.notifications))?;
        }
        sink.put("type", self.outcome.kind.as_str())?;
        sink.put("t_last", &self.t_last_ms)?;
        sink.put("db", self.database)?;
        if self.outcome.counters != Counters::default() {
            sink.put_map("stats", &self.outcome.counters)?;
        }
        sink.put_some("plan", self.outcome.plan.as_ref())?;
        sink.put_some("profile", self.outcome.profile.as_ref())
    }
}

/// Notifications up to 5.4: a list of dictionaries.
struct OldNotifications<'a>(&'a [&'a Notification]);

impl Encode for OldNotifications<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        e.list_header(self.0.len())?;
        self.0.iter().try_for_each(|n| {
            encode_map(
                e,
                &[
                    ("code", n.code.as_str()),
                    ("title", &n.title),
                    ("description", &n.description),
                    ("severity", severity(n)),
                    ("category", n.category),
                ],
            )
        })
    }
}

fn severity(notification: &Notification) -> &'static str {
    if notification.warning { "WARNING" } else { "INFORMATION" }
}

/// Statuses from 5.6 on: how it went, and the notifications among them by rank.
struct Statuses<'a>(&'a SummaryAnswer<'a>);

impl Encode for Statuses<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        let summary = self.0;
        let (status, description) = match (summary.has_columns, summary.has_records) {
            (false, _) => ("00001", "note: successful completion - omitted result"),
            (true, true) => ("00000", "note: successful completion"),
            (true, false) => ("02000", "note: no data"),
        };
        let note = encode_map::<O, [(&str, &str)]>;
        let outcome = [("gql_status", status), ("status_description", description)];
        e.list_header(summary.notifications.len() + 1)?;
        // The order of ranks is 02, 01, 00, 03.
        if status == "02000" {
            note(e, &outcome)?;
        }
        for n in summary.notifications.iter().filter(|n| n.warning) {
            encode_map(e, &Status(n))?;
        }
        if status != "02000" {
            note(e, &outcome)?;
        }
        for n in summary.notifications.iter().filter(|n| !n.warning) {
            encode_map(e, &Status(n))?;
        }
        Ok(())
    }
}

/// A notification as a status.
struct Status<'a>(&'a Notification);

impl Entries for Status<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let n = self.0;
        sink.put("gql_status", if n.warning { "01N42" } else { "03N42" })?;
        sink.put("status_description", n.description.as_str())?;
        sink.put("neo4j_code", n.code.as_str())?;
        sink.put("title", n.title.as_str())?;
        sink.put("description", n.description.as_str())?;
        sink.put_map(
            "diagnostic_record",
            &[
                ("OPERATION", ""),
                ("OPERATION_CODE", "0"),
                ("CURRENT_SCHEMA", "/"),
                ("_severity", severity(n)),
                ("_classification", n.category),
            ],
        )
    }
}

/// A routing table with this server in every role.
pub(crate) struct RoutingTable<'a> {
    pub(crate) address: &'a str,
    /// From 4.4 on.
    pub(crate) database: Option<&'a str>,
}

/// Seconds a client may trust a routing table; what Neo4j says.
const ROUTING_TTL_SECONDS: i64 = 300;

impl Entries for RoutingTable<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put_map("rt", &Table(self))
    }
}

struct Table<'a>(&'a RoutingTable<'a>);

impl Entries for Table<'_> {
    fn visit<S: EntrySink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        sink.put("ttl", &ROUTING_TTL_SECONDS)?;
        sink.put_some("db", self.0.database)?;
        sink.put("servers", &Roles(self.0.address))
    }
}

/// The record of the routing procedure: `ttl` and `servers`, as [`ROUTING_COLUMNS`] names them.
pub(crate) fn routing_record<O: Output>(e: &mut Encoder<'_, O>, address: &str) -> Result<(), EncodeError> {
    e.int(ROUTING_TTL_SECONDS)?;
    e.encode(&Roles(address))
}

/// The columns of the routing procedure.
pub(crate) const ROUTING_COLUMNS: [&str; 2] = ["ttl", "servers"];

struct Roles<'a>(&'a str);

impl Encode for Roles<'_> {
    fn encode<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        const ROLES: [&str; 3] = ["WRITE", "READ", "ROUTE"];
        e.list_header(ROLES.len())?;
        ROLES.iter().try_for_each(|role| {
            e.map_header(2)?;
            e.str("addresses")?;
            e.list_header(1)?;
            e.str(self.0)?;
            e.str("role")?;
            e.str(role)
        })
    }
}
