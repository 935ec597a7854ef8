//! A service that `config.toml` does not have.

#[allow(dead_code)]
mod messages {
    include!("../golden/source.rs.txt");
}

fn main() {
    let _ = bolt_tlv::BufferPool::from_service(&messages::services::ETHEREUM_ADAPTER); //~ E0425
}
