//! Reads a DTB. Every offset and length in it is checked.

use super::{BEGIN_NODE, END, END_NODE, HEADER, MAGIC, NOP, PROP};
use crate::{
    source::Span,
    tree::{NodeId, Property, Reserve, Tree},
};

/// Deeper trees are refused, as in the compiler.
const MAX_DEPTH: usize = 128;

/// Why bytes are not a DTB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid DTB: {what} at byte {offset:#x}")]
pub struct ReadError {
    /// What is wrong.
    pub what: &'static str,
    /// Where.
    pub offset: usize,
}

/// Big-endian words and strings of a block.
struct Block<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Block<'a> {
    fn bad<T>(&self, what: &'static str) -> Result<T, ReadError> {
        Err(ReadError { what, offset: self.at })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ReadError> {
        match self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end)) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => self.bad("the data ends early"),
        }
    }

    fn word(&mut self) -> Result<u32, ReadError> {
        let b = self.take(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn double(&mut self) -> Result<u64, ReadError> {
        Ok(u64::from(self.word()?) << 32 | u64::from(self.word()?))
    }

    fn string(&mut self) -> Result<&'a str, ReadError> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let Some(len) = rest.iter().position(|&b| b == 0) else { return self.bad("a name without end") };
        let Ok(text) = std::str::from_utf8(&rest[..len]) else { return self.bad("a name that is not text") };
        self.at += len + 1;
        Ok(text)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(4);
    }
}

/// Reads a DTB of version 16 or 17.
pub fn read(bytes: &[u8]) -> Result<Tree, ReadError> {
    let mut header = Block { bytes, at: 0 };
    if header.word()? != MAGIC {
        return Err(ReadError { what: "no magic number", offset: 0 });
    }
    let total = header.word()? as usize;
    let [off_structure, off_strings, off_reserve] = [(); 3].map(|()| header.word());
    let (off_structure, off_strings) = (off_structure? as usize, off_strings? as usize);
    let mut reserve = Block { bytes, at: off_reserve? as usize };
    let (version, compatible) = (header.word()?, header.word()?);
    if version < 16 || compatible > 17 {
        return Err(ReadError { what: "an unknown version", offset: 20 });
    }
    let mut tree = Tree::default();
    tree.boot_cpuid = header.word()?;
    if total > bytes.len() || off_structure < HEADER - 4 {
        return Err(ReadError { what: "a size in the header that does not fit", offset: 4 });
    }
    loop {
        let (address, size) = (reserve.double()?, reserve.double()?);
        if (address, size) == (0, 0) {
            break;
        }
        tree.reserve.push(Reserve { address, size, labels: Vec::new(), span: Span::default() });
    }
    let mut block = Block { bytes, at: off_structure };
    let mut open: Vec<NodeId> = Vec::new();
    let mut rooted = false;
    loop {
        match block.word()? {
            BEGIN_NODE => {
                let name = block.string()?;
                block.align();
                match open.last() {
                    None if rooted => return block.bad("a second root"),
                    None => open.push(Tree::ROOT),
                    Some(_) if open.len() > MAX_DEPTH => return block.bad("nodes nested too deeply"),
                    Some(&parent) => open.push(tree.add_child(parent, name, Span::default())),
                }
                rooted = true;
            }
            END_NODE => {
                if open.pop().is_none() {
                    return block.bad("an end without a node");
                }
            }
            PROP => {
                let (len, name) = (block.word()? as usize, block.word()? as usize);
                let name = match off_strings.checked_add(name) {
                    Some(at) => Block { bytes, at }.string()?.to_string(),
                    None => return block.bad("a name outside the strings"),
                };
                let data = block.take(len)?.to_vec();
                block.align();
                let Some(&node) = open.last() else { return block.bad("a property outside of nodes") };
                tree.node_mut(node).props.push(Property { name, data, ..Property::default() });
            }
            NOP => {}
            END if open.is_empty() && rooted => return Ok(tree),
            _ => return block.bad("an unknown token"),
        }
    }
}
