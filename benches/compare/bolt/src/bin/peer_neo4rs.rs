//! The `neo4rs` crate on a current-thread runtime: `execute`, rows taken one by one, columns by name.

use boltstack_compare_bolt::{Error, KEPT, ListRow, NodeRow, Scalars, Shape, Sums, Task, Way, run};
use neo4rs::{ConfigBuilder, Graph, Node, Row, query};

fn add(shape: Shape, row: &Row, sums: &mut Sums) -> Result<(), Error> {
    match shape {
        Shape::Scalars => {
            sums.scalars(row.get("id")?, row.get("score")?, row.get("name")?, row.get("active")?);
        }
        Shape::Nodes => {
            let node: Node = row.get("node")?;
            sums.person(
                node.get("name")?,
                node.get("email")?,
                node.get("born")?,
                node.get("score")?,
                node.get("active")?,
            );
        }
        Shape::Lists => {
            sums.records += 1;
            let list: Vec<i64> = row.get("list")?;
            sums.ints = list.into_iter().fold(sums.ints, i64::wrapping_add);
        }
        Shape::Rtt => {
            sums.records += 1;
            sums.ints += row.get::<i64>("1")?;
        }
    }
    Ok(())
}

fn add_typed(shape: Shape, row: &Row, sums: &mut Sums) -> Result<(), Error> {
    match shape {
        Shape::Scalars => {
            let Scalars { id, score, name, active } = row.to()?;
            sums.scalars(id, score, &name, active);
        }
        Shape::Nodes => {
            let NodeRow { node } = row.to()?;
            sums.person(&node.name, &node.email, node.born, node.score, node.active);
        }
        Shape::Lists => {
            sums.records += 1;
            let ListRow { list } = row.to()?;
            sums.ints = list.into_iter().fold(sums.ints, i64::wrapping_add);
        }
        Shape::Rtt => add(shape, row, sums)?,
    }
    Ok(())
}

async fn work(task: &Task) -> Result<(Sums, String), Error> {
    let config = ConfigBuilder::default()
        .uri(task.address.as_str())
        .user("neo4j")
        .password("secret")
        .fetch_size(task.fetch.cast_unsigned() as usize)
        .max_connections(1)
        .build()?;
    let graph = Graph::connect(config)?;
    let mut sums = Sums::default();
    let mut kept = Vec::with_capacity(KEPT);
    let times = if task.shape == Shape::Rtt { task.records } else { 1 };
    let text = task.query();
    for _ in 0..times {
        let mut rows = graph.execute(query(&text)).await?;
        while let Some(row) = rows.next().await? {
            match task.way {
                Way::Read => add(task.shape, &row, &mut sums)?,
                Way::Serde => add_typed(task.shape, &row, &mut sums)?,
                Way::Owned => {
                    add(task.shape, &row, &mut sums)?;
                    if kept.len() == KEPT {
                        kept.clear();
                    }
                    kept.push(row);
                }
            }
        }
    }
    Ok((sums, "4.4".to_owned()))
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    run("neo4rs-0.9.0-rc.11", |task| runtime.block_on(work(task)))
}
