//! An address has 20 bytes.

#[allow(dead_code)]
mod messages {
    include!("../golden/source.rs.txt");
}

fn main() {
    let amount = bolt_tlv::U256::ZERO;
    let _ = messages::SwapEvent { pool_address: [0; 32], amount_in: amount, amount_out: amount }; //~ E0308
}
