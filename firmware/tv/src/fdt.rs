//! Reading the flattened devicetree (Devicetree Specification 0.4, chapter 5).
//!
//! Bus addresses are taken as physical ones: the boards we run on have empty `ranges`.

use alloc::vec::Vec;

/// The blob the firmware handed over.
#[derive(Clone, Copy)]
pub struct Fdt {
    blob: &'static [u8],
    structure: usize,
    strings: usize,
}

enum Token {
    Begin(&'static str),
    Property(&'static str, &'static [u8]),
    End,
}

fn be32(blob: &[u8], at: usize) -> Option<u32> {
    let bytes = blob.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn name(blob: &'static [u8], at: usize) -> Option<&'static str> {
    let rest = blob.get(at..)?;
    core::str::from_utf8(&rest[..rest.iter().position(|&b| b == 0)?]).ok()
}

impl Fdt {
    /// The blob at an address that the firmware gave; `None` where its magic number is missing.
    #[allow(unsafe_code, reason = "an address becomes a slice")]
    pub fn at(address: usize) -> Option<Self> {
        if address == 0 || address % 8 != 0 {
            return None;
        }
        // SAFETY: the boot protocol puts a devicetree there, readable for as long as we run; nothing of ours is placed on it.
        let header = unsafe { core::slice::from_raw_parts(address as *const u8, 40) };
        if be32(header, 0)? != 0xd00d_feed {
            return None;
        }
        let size = be32(header, 4)? as usize;
        // SAFETY: as above, with the size that its own header gives.
        let blob = unsafe { core::slice::from_raw_parts(address as *const u8, size) };
        Some(Self { blob, structure: be32(blob, 8)? as usize, strings: be32(blob, 12)? as usize })
    }

    /// Where the blob lies, as (start, end).
    pub fn extent(self) -> (usize, usize) {
        let start = self.blob.as_ptr() as usize;
        (start, start + self.blob.len())
    }

    fn tokens(self) -> impl Iterator<Item = Token> {
        let mut at = self.structure;
        core::iter::from_fn(move || {
            loop {
                let token = be32(self.blob, at)?;
                at += 4;
                match token {
                    1 => {
                        let name = name(self.blob, at)?;
                        at = (at + name.len() + 4) & !3;
                        return Some(Token::Begin(name));
                    }
                    2 => return Some(Token::End),
                    3 => {
                        let length = be32(self.blob, at)? as usize;
                        let key = name(self.blob, self.strings + be32(self.blob, at + 4)? as usize)?;
                        let value = self.blob.get(at + 8..at + 8 + length)?;
                        at = (at + 8 + length + 3) & !3;
                        return Some(Token::Property(key, value));
                    }
                    4 => {}
                    _ => return None,
                }
            }
        })
    }

    /// The first bank of memory as (start, size); needs no heap. Assumes 64-bit cells at the root where they are not given.
    pub fn memory(self) -> Option<(usize, usize)> {
        let (mut depth, mut inside, mut cells) = (0, false, (2, 2));
        for token in self.tokens() {
            match token {
                Token::Begin(name) => {
                    depth += 1;
                    inside = depth == 2 && (name == "memory" || name.starts_with("memory@"));
                }
                Token::End => {
                    depth -= 1;
                    inside = false;
                }
                Token::Property("#address-cells", v) if depth == 1 => cells.0 = be32(v, 0)? as usize,
                Token::Property("#size-cells", v) if depth == 1 => cells.1 = be32(v, 0)? as usize,
                Token::Property("reg", v) if inside => {
                    return Some((number(v, 0, cells.0)? as usize, number(v, cells.0, cells.1)? as usize));
                }
                Token::Property(..) => {}
            }
        }
        None
    }

    /// The whole tree, for comfortable searching.
    pub fn tree(self) -> Tree {
        let mut nodes: Vec<Node> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        for token in self.tokens() {
            match token {
                Token::Begin(_) => {
                    nodes.push(Node { parent: open.last().copied(), properties: Vec::new() });
                    open.push(nodes.len() - 1);
                }
                Token::End => drop(open.pop()),
                Token::Property(key, value) => {
                    if let Some(node) = open.last().and_then(|&i| nodes.get_mut(i)) {
                        node.properties.push((key, value));
                    }
                }
            }
        }
        Tree { nodes }
    }
}

/// A number of `cells` 32-bit cells that begins at cell `from`.
fn number(value: &[u8], from: usize, cells: usize) -> Option<u64> {
    (from..from + cells).try_fold(0, |sum, i| Some(sum << 32 | u64::from(be32(value, i * 4)?)))
}

/// A node and its properties.
pub struct Node {
    parent: Option<usize>,
    properties: Vec<(&'static str, &'static [u8])>,
}

impl Node {
    pub fn property(&self, key: &str) -> Option<&'static [u8]> {
        self.properties.iter().find(|p| p.0 == key).map(|p| p.1)
    }

    /// The property's first cell.
    pub fn cell(&self, key: &str) -> Option<u32> {
        self.cell_at(key, 0)
    }

    pub fn cell_at(&self, key: &str, index: usize) -> Option<u32> {
        be32(self.property(key)?, index * 4)
    }

    /// The property's strings.
    pub fn strings(&self, key: &str) -> impl Iterator<Item = &'static str> {
        let value = self.property(key).unwrap_or_default();
        value.split(|&b| b == 0).filter_map(|s| core::str::from_utf8(s).ok()).filter(|s| !s.is_empty())
    }

    pub fn is_compatible(&self, with: &str) -> bool {
        self.strings("compatible").any(|c| c == with)
    }

    fn is_enabled(&self) -> bool {
        self.strings("status").next().is_none_or(|s| s == "okay" || s == "ok")
    }
}

/// All nodes in the order of the blob.
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Enabled nodes of a kind.
    pub fn compatible<'a>(&'a self, with: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes.iter().filter(move |n| n.is_enabled() && n.is_compatible(with))
    }

    /// The node's first register block: its address.
    pub fn address(&self, node: &Node) -> Option<usize> {
        let cells = node.parent.and_then(|p| self.nodes.get(p)?.cell("#address-cells")).unwrap_or(2);
        Some(number(node.property("reg")?, 0, cells as usize)? as usize)
    }

    /// The root node's model.
    pub fn model(&self) -> &'static str {
        self.nodes.first().and_then(|n| n.strings("model").next()).unwrap_or("unknown")
    }

    /// Enabled cores.
    pub fn harts(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.strings("device_type").any(|t| t == "cpu") && n.is_enabled())
    }

    /// Ticks of the timer a second.
    pub fn timebase(&self) -> Option<u32> {
        self.nodes.iter().find_map(|n| n.cell("timebase-frequency"))
    }

    /// The phandle of the interrupt controller inside a core's node.
    pub fn hart_controller(&self, hart: &Node) -> Option<u32> {
        let inside =
            |n: &&Node| n.parent.and_then(|p| self.nodes.get(p)).is_some_and(|p| core::ptr::eq(p, hart));
        self.nodes
            .iter()
            .filter(inside)
            .find(|n| n.property("interrupt-controller").is_some())?
            .cell("phandle")
    }
}
