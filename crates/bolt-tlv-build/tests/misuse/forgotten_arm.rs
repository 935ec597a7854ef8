//! Whoever handles messages handles all of them, the unknown ones too.

#[allow(dead_code)]
mod messages {
    include!("../golden/source.rs.txt");
}

use messages::Message;

fn main() {
    match Message::decode(1, &[]).unwrap() { //~ E0004
        Message::SwapEvent(_) | Message::PoolStateUpdate(_) => {}
    }
}
