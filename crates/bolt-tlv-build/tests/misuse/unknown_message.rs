//! A message that the schema does not have.

#[allow(dead_code)]
mod messages {
    include!("../golden/source.rs.txt");
}

fn main() {
    let _ = messages::SwapEvnt::decode(&[]); //~ E0433
}
