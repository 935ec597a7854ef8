//! The price of the socket: a client that reads into one buffer and looks at chunk headers, decoding nothing. Its sums are not
//! checked, as it has none.

use std::io::{Read, Write};
use std::net::TcpStream;

use bolt_wire::request::{BoltAgent, Hello, Logon, NotificationFilter, Pull, Run, RunExtra, WriteMessage};
use bolt_wire::{Auth, Version};
use boltstack_compare_bolt::{Error, Shape, Sums, run};

const VERSION: Version = Version::V5_8;

struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Reader {
    /// Passes over records: how many, and the body of the answer that ended them as its place in the buffer.
    fn records(&mut self) -> Result<(u64, bool), Error> {
        let mut records = 0;
        loop {
            while let Some(&[high, low, _, tag]) = self.buffer[self.begin..self.end].first_chunk() {
                let len = 4 + usize::from(u16::from_be_bytes([high, low]));
                if self.end - self.begin < len {
                    break;
                }
                let message = &self.buffer[self.begin..self.begin + len];
                self.begin += len;
                match tag {
                    0x71 => records += 1,
                    // SUCCESS {has_more: true} has one entry and no other SUCCESS of this server has that key.
                    0x70 => return Ok((records, message.windows(8).any(|key| key == b"has_more"))),
                    _ => return Err("the server failed".into()),
                }
            }
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            match self.stream.read(&mut self.buffer[self.end..])? {
                0 => return Err("the server closed".into()),
                n => self.end += n,
            }
        }
    }
}

fn main() -> Result<(), Error> {
    run("floor-headers-only", |task| {
        let mut stream = TcpStream::connect(&task.address)?;
        stream.set_nodelay(true)?;
        let mut flight = vec![0x60, 0x60, 0xB0, 0x17, 0, 0, 8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let auth = Auth::None;
        let hello = Hello {
            user_agent: "floor/1.0",
            bolt_agent: BoltAgent::default(),
            routing: None,
            auth: &auth,
            notifications: NotificationFilter::default(),
        };
        hello.write(VERSION, false, &mut flight)?;
        Logon { auth: &auth }.write(VERSION, false, &mut flight)?;
        stream.write_all(&flight)?;
        let mut version = [0; 4];
        stream.read_exact(&mut version)?;
        let mut reader = Reader { stream, buffer: vec![0; 64 << 10], begin: 0, end: 0 };
        reader.records()?;
        reader.records()?;
        let mut pull = Vec::new();
        Pull { n: task.fetch, qid: None }.write(VERSION, false, &mut pull)?;
        let mut request = Vec::new();
        let query = task.query();
        Run { query: &query, params: &(), extra: &RunExtra::default() }.write(
            VERSION,
            false,
            &mut request,
        )?;
        request.extend_from_slice(&pull);
        let mut sums = Sums::default();
        let times = if task.shape == Shape::Rtt { task.records } else { 1 };
        for _ in 0..times {
            reader.stream.write_all(&request)?;
            reader.records()?;
            loop {
                let (records, has_more) = reader.records()?;
                sums.records += records;
                if !has_more {
                    break;
                }
                reader.stream.write_all(&pull)?;
            }
        }
        Ok((sums, VERSION.to_string()))
    })
}
