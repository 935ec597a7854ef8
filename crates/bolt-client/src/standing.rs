//! What a driver above does between queries: who is logged on, which servers there are, what was used.
//!
//! Owns LOGOFF, LOGON, TELEMETRY and ROUTE (the routing procedure before 4.3). The first three never wait: they leave at the
//! front of the next flight, in its one write, and its caller reads their answers. Decides nothing: when to ask for a
//! table, whom to trust and whether telemetry is wanted is the driver's business. Limits: those of `bolt_wire::route`.

use bolt_wire::request::{Logoff, Logon, Route, Telemetry, TelemetryApi, WriteMessage};
use bolt_wire::route::RoutingTable;
use bolt_wire::{Auth, Encode, EncodeError, Encoder, Output, Params, RouteShape};

use crate::answers::{Outcome, Owed};
use crate::config::{FetchSize, RouteOptions, RunOptions, TxOptions};
use crate::engine::Engine;
use crate::error::{Error, Reason};
use crate::flights::Flight;
use crate::io::Io;

/// Requests that may wait for the next flight; more of them without one is a mistake of the caller's.
const AHEAD_MAX: usize = 64;

/// The database in which the routing procedure runs.
const SYSTEM: &str = "system";

impl<I: Io> Engine<I> {
    /// Ends the session of the user logged on, with the next flight.
    ///
    /// # Errors
    /// `InvalidArgument` below 5.1, in a transaction, or when nobody is logged on.
    pub fn logoff(&mut self) -> Result<(), Error> {
        if self.logged_off {
            return Err(Error::new(Reason::InvalidArgument, "nobody is logged on; call logon() next"));
        }
        self.queue(&Logoff, Owed::Logoff)?;
        self.logged_off = true;
        Ok(())
    }

    /// Begins the session of another user, with the next flight.
    ///
    /// # Errors
    /// `InvalidArgument` below 5.1, or while somebody is logged on. That the server refuses the user shows with the next
    /// request, and ends the connection.
    pub fn logon(&mut self, auth: &Auth) -> Result<(), Error> {
        if !self.logged_off {
            // What the version lacks is the better answer.
            Logoff.check(self.version)?;
            return Err(Error::new(Reason::InvalidArgument, "somebody is logged on; call logoff() first"));
        }
        self.queue(&Logon { auth }, Owed::Logon)?;
        self.logged_off = false;
        Ok(())
    }

    /// Tells the server which interface of a driver is used, with the next flight.
    ///
    /// # Errors
    /// `InvalidArgument` below 5.4, in a transaction, or when nobody is logged on.
    pub fn telemetry(&mut self, api: TelemetryApi) -> Result<(), Error> {
        if self.logged_off {
            return Err(Error::new(Reason::InvalidArgument, "nobody is logged on; call logon() first"));
        }
        self.queue(&Telemetry { api }, Owed::Telemetry)
    }

    /// Puts a request at the front of the next flight.
    fn queue(&mut self, message: &impl WriteMessage, owed: Owed) -> Result<(), Error> {
        self.check_alive()?;
        // What the version lacks is no matter of when.
        message.check(self.version)?;
        if self.in_transaction {
            return Err(Error::new(
                Reason::InvalidArgument,
                format!("{} cannot be sent in a transaction; end it first", owed.name()),
            ));
        }
        if self.ahead_owed.len() >= AHEAD_MAX {
            return Err(Error::new(
                Reason::Limit,
                format!(
                    "{AHEAD_MAX} requests wait for the next flight already; run something, or call settle()"
                ),
            ));
        }
        message.write(self.version, self.utc_patch, &mut self.ahead)?;
        self.ahead_owed.push(owed);
        Ok(())
    }

    /// Asks which servers there are: by ROUTE, or before 4.3 by the procedure that did the same.
    ///
    /// # Errors
    /// `Failure` when the server has no table to give, `InvalidArgument` in a transaction or for an impersonated user below
    /// 4.4; `Malformed`, which ends the connection, for a table that is none.
    pub async fn route(&mut self, options: &RouteOptions) -> Result<RoutingTable, Error> {
        if self.in_transaction {
            return Err(Error::new(
                Reason::InvalidArgument,
                "a routing table cannot be asked for in a transaction; end it first",
            ));
        }
        if self.version.features().route == RouteShape::Procedure {
            return self.route_by_procedure(options).await;
        }
        self.settle_result().await?;
        self.start_flight(Flight::Fresh)?;
        let context: Vec<(&str, &str)> =
            options.context.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let route = Route {
            routing: &context,
            bookmarks: &options.bookmarks,
            db: options.database.as_deref(),
            imp_user: options.impersonate.as_deref(),
        };
        if let Err(error) = self.write(&route) {
            self.send.reset();
            self.staged.clear();
            return Err(error.into());
        }
        self.staged.push_back(Owed::Route);
        self.table = None;
        self.send_flight(Flight::Fresh).await?;
        loop {
            let answered = self.answer().await?;
            if answered.to == Owed::Route {
                return match (answered.outcome, self.table.take()) {
                    (Outcome::Success, Some(table)) => Ok(table),
                    (Outcome::Success, None) => Err(Error::internal("a routing table was lost")),
                    _ => Err(self.refusal(answered)),
                };
            }
            self.pass_on(answered)?;
        }
    }

    async fn route_by_procedure(&mut self, options: &RouteOptions) -> Result<RoutingTable, Error> {
        let query = match options.database {
            Some(_) => "CALL dbms.routing.getRoutingTable($context, $database)",
            None => "CALL dbms.routing.getRoutingTable($context)",
        };
        let tx = TxOptions {
            database: Some(SYSTEM.to_owned()),
            read_only: true,
            impersonate: options.impersonate.clone(),
            bookmarks: options.bookmarks.clone(),
            ..TxOptions::default()
        };
        let asked = RunOptions { tx, fetch_size: Some(FetchSize::All) };
        let slot = self.run(query, ProcedureParams(options), &asked).await?;
        let Some(location) = self.next(slot).await? else {
            return Err(self.break_off(Error::new(
                Reason::Unexpected,
                "the routing procedure gave no record; it does not keep to the protocol",
            )));
        };
        let record = self.record(slot, location);
        let column = |name| record.at(record.fields().index_of(name).unwrap_or(usize::MAX));
        let read =
            column("ttl").and_then(|ttl| RoutingTable::read_procedure(ttl, column("servers")?, &self.limits));
        let table = match read {
            Ok(table) => table,
            Err(error) => return Err(self.malformed(error)),
        };
        self.finish(slot).await?;
        Ok(table)
    }
}

/// `{context: {…}, database: …}`.
struct ProcedureParams<'a>(&'a RouteOptions);

impl Params for ProcedureParams<'_> {
    fn encode_params<O: Output>(&self, e: &mut Encoder<'_, O>) -> Result<(), EncodeError> {
        let RouteOptions { context, database, .. } = self.0;
        e.map_header(1 + usize::from(database.is_some()))?;
        e.str("context")?;
        context.as_slice().encode_params(e)?;
        if let Some(database) = database {
            e.str("database")?;
            database.encode(e)?;
        }
        Ok(())
    }
}
