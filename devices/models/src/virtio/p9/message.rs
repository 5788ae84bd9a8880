//! Messages of 9P2000.L: "9P2000.L Protocol" (diod's protocol.md), and Linux's `net/9p`.

/// Message types; the answer to `T` is `T + 1`.
pub mod kind {
    pub const LERROR: u8 = 6;
    pub const STATFS: u8 = 8;
    pub const LOPEN: u8 = 12;
    pub const LCREATE: u8 = 14;
    pub const SYMLINK: u8 = 16;
    pub const MKNOD: u8 = 18;
    pub const RENAME: u8 = 20;
    pub const READLINK: u8 = 22;
    pub const GETATTR: u8 = 24;
    pub const SETATTR: u8 = 26;
    pub const XATTRWALK: u8 = 30;
    pub const READDIR: u8 = 40;
    pub const FSYNC: u8 = 50;
    pub const LOCK: u8 = 52;
    pub const GETLOCK: u8 = 54;
    pub const LINK: u8 = 70;
    pub const MKDIR: u8 = 72;
    pub const RENAMEAT: u8 = 74;
    pub const UNLINKAT: u8 = 76;
    pub const VERSION: u8 = 100;
    pub const ATTACH: u8 = 104;
    pub const FLUSH: u8 = 108;
    pub const WALK: u8 = 110;
    pub const READ: u8 = 116;
    pub const WRITE: u8 = 118;
    pub const CLUNK: u8 = 120;
    pub const REMOVE: u8 = 122;
}

/// Size, type and tag.
pub const HEADER: usize = 7;

/// Identity of a file: type, version, path.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Qid {
    /// 0x80 a directory, 2 a symbolic link.
    pub kind: u8,
    /// Changes with the content.
    pub version: u32,
    /// Unique in the share.
    pub path: u64,
}

/// Reads the fields of a message; `None` where it is too short.
#[derive(Copy, Clone)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(first)
    }

    /// A counted string.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.bytes(len.into())
    }
}

/// The body of an answer.
#[derive(Default)]
pub struct Body(pub Vec<u8>);

impl Body {
    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Body {
        self.0.push(value);
        self
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Body {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Body {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Body {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A counted string, cut at 65,535 bytes.
    pub fn string(&mut self, value: &[u8]) -> &mut Body {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(len);
        self.0.extend_from_slice(&value[..len.into()]);
        self
    }

    /// An identity.
    pub fn qid(&mut self, qid: Qid) -> &mut Body {
        self.u8(qid.kind).u32(qid.version).u64(qid.path)
    }

    /// The whole message.
    pub fn message(&self, kind: u8, tag: u16) -> Vec<u8> {
        let mut head = Body::default();
        head.u32((HEADER + self.0.len()) as u32).u8(kind).u16(tag);
        head.0.extend_from_slice(&self.0);
        head.0
    }
}
