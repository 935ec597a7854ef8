//! The `neo4j` crate: blocking, a session's auto-commit queries, records taken from its stream as they come.

use std::sync::Arc;

use boltstack_compare_bolt::{Error, KEPT, Shape, Sums, Task, Way, missing, run};
use neo4j::ValueReceive;
use neo4j::address::Address;
use neo4j::driver::auth::AuthToken;
use neo4j::driver::record_stream::RecordStream;
use neo4j::driver::{ConnectionConfig, Driver, DriverConfig, Record};
use neo4j::session::SessionConfig;

fn add(shape: Shape, record: &Record, sums: &mut Sums) -> Result<(), Error> {
    use ValueReceive as V;
    let mut values = record.values();
    match (shape, values.next()) {
        (Shape::Scalars, Some(V::Integer(id))) => match (values.next(), values.next(), values.next()) {
            (Some(V::Float(score)), Some(V::String(name)), Some(V::Boolean(active))) => {
                sums.scalars(*id, *score, name, *active);
                Ok(())
            }
            _ => Err(missing("scalars")),
        },
        (Shape::Nodes, Some(V::Node(node))) => {
            let get = |key| node.properties.get(key);
            match (get("name"), get("email"), get("born"), get("score"), get("active")) {
                (
                    Some(V::String(name)),
                    Some(V::String(email)),
                    Some(V::Integer(born)),
                    Some(V::Float(score)),
                    Some(V::Boolean(active)),
                ) => {
                    sums.person(name, email, *born, *score, *active);
                    Ok(())
                }
                _ => Err(missing("properties")),
            }
        }
        (Shape::Lists, Some(V::List(items))) => {
            sums.records += 1;
            for item in items {
                let V::Integer(item) = item else { return Err(missing("integer")) };
                sums.ints = sums.ints.wrapping_add(*item);
            }
            Ok(())
        }
        (Shape::Rtt, Some(V::Integer(one))) => {
            sums.records += 1;
            sums.ints += one;
            Ok(())
        }
        _ => Err(missing("value")),
    }
}

fn read(task: &Task, stream: &mut RecordStream<'_>, sums: &mut Sums) -> Result<(), Error> {
    let mut kept = Vec::with_capacity(KEPT);
    for record in stream {
        let record = record?;
        add(task.shape, &record, sums)?;
        if task.way == Way::Owned {
            if kept.len() == KEPT {
                kept.clear();
            }
            kept.push(record);
        }
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    run("neo4j-0.2.0", |task| {
        if task.way == Way::Serde {
            return Err("this driver has no serde".into());
        }
        let (host, port) = task.address.rsplit_once(':').ok_or("host:port")?;
        let driver = Driver::new(
            ConnectionConfig::new(Address::from((host, port.parse::<u16>()?))),
            DriverConfig::new()
                .with_auth(Arc::new(AuthToken::new_none_auth()))
                .with_fetch_size(task.fetch.cast_unsigned())
                .map_err(|_| "fetch size")?,
        );
        let database = Arc::new("neo4j".to_owned());
        let mut session = driver.session(SessionConfig::new().with_database(database));
        let mut sums = Sums::default();
        let times = if task.shape == Shape::Rtt { task.records } else { 1 };
        let query = task.query();
        for _ in 0..times {
            // The receiver's own errors are the driver's; ours travel beside them.
            let mut outcome = Ok(());
            session
                .auto_commit(&query)
                .with_receiver(|stream| {
                    outcome = read(task, stream, &mut sums);
                    Ok(())
                })
                .run()?;
            outcome?;
        }
        Ok((sums, "5.8".to_owned()))
    })
}
