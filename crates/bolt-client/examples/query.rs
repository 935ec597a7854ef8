//! Runs one query and prints its rows, tab-separated.
//!
//! `cargo run -p bolt-client --example query -- bolt://localhost:7687 neo4j "UNWIND range(1, 3) AS x RETURN x"`, with
//! the password in `BOLT_PASSWORD` (none: no authentication). Never keeps a row; shows values in their debug form.

use std::io::Write as _;

use bolt_client::{Auth, Config, Connection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(uri), Some(user), Some(query)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: query URI USER QUERY   (password in BOLT_PASSWORD)".into());
    };
    let auth = match std::env::var("BOLT_PASSWORD") {
        Ok(password) => Auth::basic(user, password),
        Err(_) => Auth::None,
    };
    let mut conn = Connection::connect(&Config::from_uri(&uri)?.auth(auth))?;
    eprintln!("{} over Bolt {}", conn.server().agent, conn.version());

    let mut out = std::io::stdout().lock();
    let mut rows = conn.run(&query, ())?;
    writeln!(out, "{}", rows.fields().iter().collect::<Vec<_>>().join("\t"))?;
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        for column in 0..row.len() {
            if column > 0 {
                write!(out, "\t")?;
            }
            write!(out, "{:?}", row.value(column)?)?;
        }
        writeln!(out)?;
        count += 1;
    }
    let summary = rows.finish()?;
    eprintln!("{count} rows; {summary:?}");
    conn.close();
    Ok(())
}
