//! Writes a tree as source.

use std::{collections::HashMap, fmt::Write};

use crate::tree::{Marker, MarkerKind, NodeId, Property, Tree};

/// How [`print()`] shows values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As written: labels, references and integer widths are kept.
    Source,
    /// As in a DTB: phandles are numbers, the kind of a value is guessed from its bytes.
    Raw,
}

/// The tree as a source that compiles to the same tree.
pub fn print(tree: &Tree, style: Style) -> String {
    let mut out = String::from("/dts-v1/;\n");
    if tree.plugin && style == Style::Source {
        out.push_str("/plugin/;\n");
    }
    out.push('\n');
    for r in &tree.reserve {
        let _ = writeln!(out, "/memreserve/ {:#x} {:#x};", r.address, r.size);
    }
    let labels = tree
        .walk()
        .into_iter()
        .filter_map(|id| Some((tree.phandle(id)?, tree.node(id).labels.first()?.clone())));
    let labels = if style == Style::Source { labels.collect() } else { HashMap::new() };
    node(tree, Tree::ROOT, style, &labels, 0, &mut out);
    out
}

fn node(
    tree: &Tree,
    id: NodeId,
    style: Style,
    labels: &HashMap<u32, String>,
    depth: usize,
    out: &mut String,
) {
    let n = tree.node(id);
    let indent = "\t".repeat(depth);
    out.push_str(&indent);
    if style == Style::Source {
        n.labels.iter().for_each(|l| {
            let _ = write!(out, "{l}: ");
        });
    }
    out.push_str(if depth == 0 { "/" } else { &n.name });
    out.push_str(" {\n");
    for p in &n.props {
        // An allocated phandle stands where its node does; it is allocated again when this is compiled.
        if style == Style::Source && p.name == "phandle" && !n.labels.is_empty() && p.span == n.span {
            continue;
        }
        let _ = write!(out, "{indent}\t{}", p.name);
        if !p.data.is_empty() {
            out.push_str(" = ");
            value(p, style, labels, out);
        }
        out.push_str(";\n");
    }
    let mut first = n.props.is_empty();
    for child in tree.children(id) {
        if !std::mem::replace(&mut first, false) {
            out.push('\n');
        }
        node(tree, child, style, labels, depth + 1, out);
    }
    let _ = writeln!(out, "{indent}}};");
}

fn value(p: &Property, style: Style, labels: &HashMap<u32, String>, out: &mut String) {
    // Where each part starts, and what it is.
    let parts: Vec<&Marker> = p
        .markers
        .iter()
        .filter(|m| matches!(m.kind, MarkerKind::Cells(_) | MarkerKind::String | MarkerKind::Bytes))
        .collect();
    if style == Style::Raw || parts.first().is_none_or(|m| m.offset != 0) {
        return guess(&p.data, out);
    }
    let mut separator = "";
    for (i, part) in parts.iter().enumerate() {
        let start = part.offset as usize;
        let end = parts.get(i + 1).map_or(p.data.len(), |m| m.offset as usize);
        let Some(data) = p.data.get(start..end).filter(|d| !d.is_empty()) else { continue };
        out.push_str(separator);
        separator = ", ";
        match part.kind {
            MarkerKind::Cells(bits) if data.len() % (bits as usize / 8) == 0 => {
                let refers = |at: usize| {
                    p.markers
                        .iter()
                        .any(|m| m.offset as usize == at && matches!(m.kind, MarkerKind::Phandle(_)))
                };
                cells(data, bits, out, |at, value| {
                    labels.get(&(value as u32)).filter(|_| refers(start + at))
                });
            }
            MarkerKind::String if strings(data).is_some() => guess(data, out),
            _ => bytes(data, out),
        }
    }
}

fn cells<'a>(data: &[u8], bits: u8, out: &mut String, label: impl Fn(usize, u64) -> Option<&'a String>) {
    if bits != 32 {
        let _ = write!(out, "/bits/ {bits} ");
    }
    out.push('<');
    let size = bits as usize / 8;
    for (i, chunk) in data.chunks(size).enumerate() {
        let value = chunk.iter().fold(0u64, |v, &b| v << 8 | u64::from(b));
        if i > 0 {
            out.push(' ');
        }
        let _ = match label(i * size, value) {
            Some(l) => write!(out, "&{l}"),
            None => write!(out, "{value:#x}"),
        };
    }
    out.push('>');
}

fn bytes(data: &[u8], out: &mut String) {
    out.push('[');
    for (i, b) in data.iter().enumerate() {
        let _ = write!(out, "{}{b:02x}", if i > 0 { " " } else { "" });
    }
    out.push(']');
}

/// The strings that `data` is, if it looks like text: printable, none empty.
fn strings(data: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(data.strip_suffix(b"\0")?).ok()?;
    let parts: Vec<&str> = text.split('\0').collect();
    let plain = |s: &&str| s.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
    parts.iter().all(plain).then_some(parts)
}

fn guess(data: &[u8], out: &mut String) {
    match strings(data) {
        Some(parts) if parts.iter().all(|p| !p.is_empty()) || data == b"\0" => {
            for (i, part) in parts.iter().enumerate() {
                let escaped =
                    part.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
                let _ = write!(out, "{}\"{escaped}\"", if i > 0 { ", " } else { "" });
            }
        }
        _ if data.len().is_multiple_of(4) => cells(data, 32, out, |_, _| None),
        _ => bytes(data, out),
    }
}
