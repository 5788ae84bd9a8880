//! Compiled blocks for people: guest instructions, their nodes, and the host code made of them, side by side.

use std::fmt::{Debug, Write};
use std::ops::RangeInclusive;

use crate::backend::{Backend, Compiled, HostLine};
use crate::ir::{Block, Node, Slot};

/// Columns of the nodes.
const WIDTH: usize = 44;

/// Which blocks are listed once they are compiled, and what takes the text.
pub struct Listing {
    /// Blocks with an instruction at one of these virtual addresses.
    pub addresses: RangeInclusive<u64>,
    /// With the host's addresses, which differ from run to run.
    pub host_addresses: bool,
    /// Takes the text of a block.
    pub write: Box<dyn FnMut(&str) + Send>,
}

/// An instruction of the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuestLine {
    /// Its virtual address.
    pub address: u64,
    /// Its bits, as the ISA's listings write them.
    pub word: String,
    /// Mnemonic and operands.
    pub text: String,
}

impl Listing {
    /// Whether a block is listed that starts at `start`.
    pub fn wants(&self, start: u64, bytes: u32) -> bool {
        let end = start.saturating_add(u64::from(bytes.saturating_sub(1)));
        *self.addresses.start() <= end && *self.addresses.end() >= start
    }

    /// Says that a block was not compiled.
    pub fn refused(&mut self, start: u64, instructions: u32) {
        (self.write)(&format!("block {start:#x}: {instructions} instructions, refused by the back end\n"));
    }

    /// Lists a block.
    pub fn show<C: Debug>(
        &mut self,
        guest: &[GuestLine],
        block: &Block<C>,
        backend: &dyn Backend,
        compiled: &Compiled,
        name: &dyn Fn(Slot) -> String,
    ) {
        let Some(host) = backend.list(compiled, name) else { return };
        (self.write)(&text(guest, block, &host, compiled, self.host_addresses, name));
    }
}

/// Which registers of the host hold which slots everywhere, as a line of text.
pub fn pins(backend: &dyn Backend, name: &dyn Fn(Slot) -> String) -> String {
    let pins: Vec<String> =
        backend.pinned().into_iter().map(|(register, slot)| format!("{register} {}", name(slot))).collect();
    pins.join(", ")
}

fn host_text(line: &HostLine, addresses: bool) -> String {
    let label = if line.label.is_empty() { String::new() } else { format!("{}:", line.label) };
    let address = if addresses { format!("{:x} ", line.address) } else { String::new() };
    format!("{address}{label:<7}{}", line.text)
}

fn text<C: Debug>(
    guest: &[GuestLine],
    block: &Block<C>,
    host: &[HostLine],
    compiled: &Compiled,
    addresses: bool,
    name: &dyn Fn(Slot) -> String,
) -> String {
    let mut out = String::new();
    let start = guest.first().map_or(0, |line| line.address);
    let cold: usize = compiled.notes.as_ref().map_or(0, |notes| notes.parts[1].1);
    let _ = writeln!(
        out,
        "block {start:#x}: {} instructions; host code {} + {cold} bytes",
        block.instructions,
        compiled.size.saturating_sub(cold)
    );
    let lines = |instruction: Option<u32>, cold: bool| -> Vec<String> {
        let of = |line: &&HostLine| line.instruction == instruction && line.cold == cold;
        host.iter().filter(of).map(|line| host_text(line, addresses)).collect()
    };
    rows(&mut out, &[], &lines(None, false));
    let starts: Vec<(u32, usize)> = block
        .nodes
        .iter()
        .enumerate()
        .filter_map(|(at, node)| if let Node::Start { index, .. } = node { Some((*index, at)) } else { None })
        .collect();
    let heading = |index: u32| {
        guest.get(index as usize).map_or(String::new(), |line| {
            format!("{:x}  {:<8}  {}", line.address, line.word, line.text.replace('\t', " "))
        })
    };
    for (number, (index, at)) in starts.iter().enumerate() {
        let _ = writeln!(out, "{}", heading(*index));
        let end = starts.get(number + 1).map_or(block.nodes.len(), |(_, at)| *at);
        let nodes: Vec<String> = (at + 1..end).map(|at| block.line(at, name)).collect();
        rows(&mut out, &nodes, &lines(Some(*index), false));
    }
    if cold > 0 {
        out.push_str("seldom:\n");
        rows(&mut out, &[], &lines(None, true));
    }
    for (index, _) in starts {
        let lines = lines(Some(index), true);
        if !lines.is_empty() {
            let _ = writeln!(out, "{}", heading(index));
            rows(&mut out, &[], &lines);
        }
    }
    out
}

fn rows(out: &mut String, nodes: &[String], host: &[String]) {
    for row in 0..nodes.len().max(host.len()) {
        let node = nodes.get(row).map_or("", String::as_str);
        let _ = match host.get(row) {
            Some(host) => writeln!(out, "    {node:<WIDTH$} | {host}"),
            None => writeln!(out, "    {node}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_wanted_by_any_of_their_instructions() {
        let listing = |addresses| Listing { addresses, host_addresses: false, write: Box::new(|_| {}) };
        assert!(listing(0x1004..=0x1004).wants(0x1000, 8));
        assert!(!listing(0x1008..=0x1008).wants(0x1000, 8));
        assert!(!listing(0..=0xfff).wants(0x1000, 8));
        assert!(listing(0..=u64::MAX).wants(u64::MAX - 3, 4));
    }
}
