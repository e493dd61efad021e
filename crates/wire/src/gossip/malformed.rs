//! Why bytes are no message: a closed list, for counters.

/// Why a packet, a stream or a part of one can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Malformed {
    /// It ends before what it announces.
    #[error("the message is truncated")]
    Truncated,
    /// The body isn't the msgpack of its type.
    #[error("the body is not what its type needs")]
    Body,
    /// No such message type, or not one for this transport.
    #[error("the message type is unknown here")]
    Type,
    /// Compound or compressed messages inside one another beyond reason.
    #[error("messages are nested too deeply")]
    Nested,
    /// The label header is empty or cut.
    #[error("the label header is malformed")]
    LabelHeader,
    /// The label isn't ours: another cluster's.
    #[error("the label is another cluster's")]
    Label,
    /// Not encrypted although it has to be.
    #[error("the message is not encrypted")]
    Plaintext,
    /// Encrypted although nothing is here.
    #[error("the message is encrypted and there is no key")]
    Ciphertext,
    /// No such version of the encryption.
    #[error("the encryption version is unknown")]
    EncryptionVersion,
    /// No key of the ring opens it, or it was changed on its way.
    #[error("no key opens the message")]
    Key,
    /// The padding is wrong.
    #[error("the padding is wrong")]
    Padding,
    /// The checksum is wrong.
    #[error("the checksum is wrong")]
    Checksum,
    /// Unknown algorithm or damaged data.
    #[error("the message can't be decompressed")]
    Compression,
    /// Larger than the limit, as it is or decompressed.
    #[error("the message is larger than the limit")]
    Size,
    /// Neither 4 nor 16 bytes.
    #[error("the address has a wrong length")]
    Address,
    /// A name is empty or longer than 512 bytes.
    #[error("the name is empty or too long")]
    Name,
    /// Meta data longer than 512 bytes.
    #[error("the meta data is too long")]
    Meta,
    /// Not a state a member can be in.
    #[error("the member state is unknown")]
    State,
}
