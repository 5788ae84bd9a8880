//! Writes a DTB laid out as dtc does: header, reserve map, structure, strings, with nothing between.

use std::collections::HashMap;

use super::{BEGIN_NODE, END, END_NODE, HEADER, MAGIC, PROP};
use crate::tree::{NodeId, Tree};

/// The strings block: a name that ends an earlier one shares its bytes.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
    /// Where each name, and each end of a name, first occurs.
    offsets: HashMap<Vec<u8>, u32>,
}

impl Strings {
    fn offset(&mut self, name: &str) -> u32 {
        let name = name.as_bytes();
        if let Some(&at) = self.offsets.get(name) {
            return at;
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        for i in 0..=name.len() {
            self.offsets.entry(name[i..].to_vec()).or_insert(start + i as u32);
        }
        start
    }
}

/// The tree as a DTB.
pub fn write(tree: &Tree) -> Vec<u8> {
    let mut structure = Vec::new();
    let mut strings = Strings::default();
    node(tree, Tree::ROOT, &mut structure, &mut strings);
    put(&mut structure, END);

    let mut reserve = Vec::new();
    for r in &tree.reserve {
        reserve.extend_from_slice(&r.address.to_be_bytes());
        reserve.extend_from_slice(&r.size.to_be_bytes());
    }
    reserve.extend_from_slice(&[0; 16]);

    let off_structure = HEADER + reserve.len();
    let off_strings = off_structure + structure.len();
    let total = off_strings + strings.bytes.len();
    let mut out = Vec::with_capacity(total);
    let header = [
        MAGIC,
        total as u32,
        off_structure as u32,
        off_strings as u32,
        HEADER as u32,
        17,
        16,
        tree.boot_cpuid,
        strings.bytes.len() as u32,
        structure.len() as u32,
    ];
    header.iter().for_each(|&word| put(&mut out, word));
    out.extend(reserve);
    out.extend(structure);
    out.extend(strings.bytes);
    out
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Node depth is bounded by the parser and the reader.
fn node(tree: &Tree, id: NodeId, out: &mut Vec<u8>, strings: &mut Strings) {
    let node_ = tree.node(id);
    put(out, BEGIN_NODE);
    out.extend_from_slice(node_.name.as_bytes());
    out.push(0);
    align(out);
    for p in node_.props.iter().filter(|p| !p.deleted) {
        put(out, PROP);
        put(out, p.data.len() as u32);
        put(out, strings.offset(&p.name));
        out.extend_from_slice(&p.data);
        align(out);
    }
    for child in tree.children(id) {
        node(tree, child, out, strings);
    }
    put(out, END_NODE);
}
