//! A view cannot outlive the frame it borrows from.

#[allow(dead_code)]
mod messages {
    include!("../golden/first.rs.txt");
}

fn main() {
    let name = {
        let payload = vec![0; 6];
        messages::Grown::decode(&payload).unwrap().name() //~ E0597
    };
    println!("{name:?}");
}
