//! The `boltr` crate's client on a current-thread runtime: batches by `pull_n`, which returns their rows together.

use std::collections::HashMap;

use boltr::BoltConnection;
use boltr::types::{BoltDict, BoltValue};
use boltstack_compare_bolt::{Error, Shape, Sums, Task, Way, missing, run};

fn add(shape: Shape, row: &[BoltValue], sums: &mut Sums) -> Result<(), Error> {
    use BoltValue as V;
    match (shape, row) {
        (Shape::Scalars, [V::Integer(id), V::Float(score), V::String(name), V::Boolean(active)]) => {
            sums.scalars(*id, *score, name, *active);
        }
        (Shape::Nodes, [V::Node(node)]) => {
            let get = |key| node.properties.get(key);
            match (get("name"), get("email"), get("born"), get("score"), get("active")) {
                (
                    Some(V::String(name)),
                    Some(V::String(email)),
                    Some(V::Integer(born)),
                    Some(V::Float(score)),
                    Some(V::Boolean(active)),
                ) => sums.person(name, email, *born, *score, *active),
                _ => return Err(missing("properties")),
            }
        }
        (Shape::Lists, [V::List(items)]) => {
            sums.records += 1;
            for item in items {
                let V::Integer(item) = item else { return Err(missing("integer")) };
                sums.ints = sums.ints.wrapping_add(*item);
            }
        }
        (Shape::Rtt, [V::Integer(one)]) => {
            sums.records += 1;
            sums.ints += one;
        }
        _ => return Err(missing("value")),
    }
    Ok(())
}

async fn work(task: &Task) -> Result<(Sums, String), Error> {
    if task.way == Way::Serde {
        return Err("this driver has no serde".into());
    }
    // The session's own `connect` leaves out `bolt_agent`, which Bolt 5.3 and later ask for.
    let mut connection = BoltConnection::connect(task.address.parse()?).await?;
    let agent = BoltDict::from([("product".to_owned(), BoltValue::String("boltr/0.3.0".to_owned()))]);
    let extra = BoltDict::from([
        ("user_agent".to_owned(), BoltValue::String("boltr/0.3.0".to_owned())),
        ("bolt_agent".to_owned(), BoltValue::Dict(agent)),
    ]);
    connection.hello(extra).await?;
    connection.logon("none", None, None).await?;
    let (major, minor) = connection.version();
    let mut sums = Sums::default();
    let query = task.query();
    if task.shape == Shape::Rtt {
        for _ in 0..task.records {
            connection.run(&query, HashMap::new(), BoltDict::new()).await?;
            for row in connection.pull_all().await?.0 {
                add(task.shape, &row, &mut sums)?;
            }
        }
        return Ok((sums, format!("{major}.{minor}")));
    }
    connection.run(&query, HashMap::new(), BoltDict::new()).await?;
    // A batch is kept by itself until the next replaces it.
    let mut kept;
    loop {
        let (rows, metadata) = connection.pull_n(task.fetch).await?;
        for row in &rows {
            add(task.shape, row, &mut sums)?;
        }
        kept = rows;
        if !matches!(metadata.get("has_more"), Some(BoltValue::Boolean(true))) {
            break;
        }
    }
    drop(kept);
    Ok((sums, format!("{major}.{minor}")))
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    run("boltr-0.3.0", |task| runtime.block_on(work(task)))
}
