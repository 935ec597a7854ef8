//! Owns: what generated code promises about a message, and the tables that describe a schema and a service.
//! Holds no memory and no generated code.

use crate::block::PooledBuffer;
use crate::class::ClassSpec;
use crate::codec::{DecodeError, EncodeError, EncodeErrorKind, Writer};
use crate::header::Header;
use crate::pool::{BufferPool, Exhausted, Strategy};

/// What is known about a message at compile time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its name in the schema.
    pub name: &'static str,
    /// Its number on the wire; never 0.
    pub type_id: u16,
    /// Raised with each field appended.
    pub version: u8,
    /// Bytes of its longest payload.
    pub size_max: usize,
    /// Bytes of the buffers it travels in.
    pub class_bytes: usize,
}

/// All messages of a schema and the classes chosen for them; generated code has one, named `CATALOG`.
#[derive(Debug, Clone, Copy)]
pub struct Catalog {
    /// Every message that can be sent.
    pub messages: &'static [MessageInfo],
    /// The classes, in ascending order.
    pub classes: &'static [ClassSpec],
}

impl Catalog {
    /// The message of this name.
    #[must_use]
    pub fn message(&self, name: &str) -> Option<&'static MessageInfo> {
        self.messages.iter().find(|message| message.name == name)
    }

    /// The class of this size.
    #[must_use]
    pub fn class(&self, size_bytes: usize) -> Option<&'static ClassSpec> {
        self.classes.iter().find(|class| class.size_bytes == size_bytes)
    }
}

/// A service as `config.toml` described it at build time; generated code has one for each.
#[derive(Debug, Clone, Copy)]
pub struct ServiceSpec {
    /// Its name in `config.toml`.
    pub name: &'static str,
    /// The messages it handles.
    pub messages: &'static [&'static str],
    /// Whether its buffers are kept; otherwise each is a plain allocation, within the same bounds.
    pub buffer_pool_enabled: bool,
    /// The classes of its messages.
    pub classes: &'static [ClassSpec],
    /// What happens when a class has no buffer left.
    pub exhausted: Exhausted,
    /// How free buffers are kept.
    pub strategy: Strategy,
}

/// A message that can be written; implemented by generated structs.
pub trait Message: Sized {
    /// Its name in the schema.
    const NAME: &'static str;
    /// Its number on the wire; never 0.
    const TYPE_ID: u16;
    /// Raised with each field appended.
    const VERSION: u8;
    /// Bytes of its longest payload.
    const MAX_SIZE: usize;
    /// Bytes of the buffers it travels in; at least `MAX_SIZE`.
    const BUFFER_CLASS: usize;

    /// The constants above as one value.
    const INFO: MessageInfo = MessageInfo {
        name: Self::NAME,
        type_id: Self::TYPE_ID,
        version: Self::VERSION,
        size_max: Self::MAX_SIZE,
        class_bytes: Self::BUFFER_CLASS,
    };

    /// Bytes of this value's payload, exactly.
    fn encoded_len(&self) -> usize;

    /// Writes the payload.
    ///
    /// # Errors
    /// A part is longer than the schema allows, or the memory is too short.
    fn encode_into(&self, out: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// The header in front of a payload of `length` bytes of this message.
    #[inline]
    #[must_use]
    fn header(length: usize) -> Header {
        // A payload is at most MAX_SIZE long, which the schema bounds far below 2³².
        Header { type_id: Self::TYPE_ID, version: Self::VERSION, flags: 0, length: length as u32 }
    }

    /// Writes the payload straight into a pooled buffer.
    ///
    /// # Errors
    /// As [`encode_into`](Self::encode_into), or the pool has no buffer.
    fn encode_pooled(&self, pool: &BufferPool) -> Result<PooledBuffer, EncodeError> {
        let mut buffer = pool.acquire(self.encoded_len()).map_err(|error| EncodeError {
            message: Self::NAME,
            field: "",
            kind: EncodeErrorKind::Acquire(error),
        })?;
        let mut writer = Writer::new(Self::NAME, &mut buffer);
        self.encode_into(&mut writer)?;
        let written = writer.position();
        buffer.truncate(written);
        Ok(buffer)
    }
}

/// A borrowed message: fields are decoded from the payload when they are asked for.
pub trait View<'a>: Sized {
    /// The owned twin.
    type Message: Message;

    /// Checks the payload and puts the view over it. Bytes behind the last known field are a newer version's and ignored.
    ///
    /// # Errors
    /// Where the payload is not this message, with the offset and what was expected.
    fn decode(payload: &'a [u8]) -> Result<Self, DecodeError>;
}
