//! Properties for the emulator alone, under `hyperemu,`. They never reach the guest.

use super::{describe::Context, props};
use crate::tree::{MarkerKind, NodeId, Property, Tree};

/// The prefix.
pub(crate) const PREFIX: &str = "hyperemu,";

/// What a property's value must be.
#[derive(Clone, Copy)]
enum Type {
    Flag,
    Text,
    OneOf(&'static [&'static str]),
    /// One cell within bounds.
    Number(u32, u32),
    /// One or two cells, not 0.
    Size,
    /// One or two cells.
    Address,
    /// Two cells.
    Pair,
    /// References to nodes, without arguments.
    References,
}

/// Where a property may stand.
#[derive(Clone, Copy)]
enum Place {
    Anywhere,
    Root,
    Cpus,
    Memory,
    VirtioMmio,
}

/// What virtio slots can hold.
const VIRTIO_DEVICES: &[&str] = &["gpu", "keyboard", "tablet", "touch", "blk", "net", "rng", "9p", "console"];

/// Every property: name, place, type.
const TABLE: [(&str, Place, Type); 23] = [
    ("bit-band", Place::Anywhere, Type::Flag),
    ("boot", Place::Root, Type::OneOf(&["sbi", "flash", "elf", "vectors"])),
    ("color", Place::Anywhere, Type::Text),
    ("device", Place::VirtioMmio, Type::OneOf(VIRTIO_DEVICES)),
    ("epoch", Place::Anywhere, Type::Address),
    ("face-down", Place::Anywhere, Type::Flag),
    ("height", Place::Anywhere, Type::Number(1, 16384)),
    ("hidden", Place::Anywhere, Type::Flag),
    ("image", Place::Root, Type::Text),
    ("interrupts", Place::Anywhere, Type::Number(1, 496)),
    ("mac", Place::Anywhere, Type::Text),
    ("max-cpus", Place::Cpus, Type::Number(1, 512)),
    ("max-size", Place::Memory, Type::Size),
    ("normally-black", Place::Anywhere, Type::Flag),
    ("part", Place::Anywhere, Type::Number(0x51000, 0x53fff)),
    ("pins", Place::Anywhere, Type::References),
    ("position", Place::Anywhere, Type::Pair),
    ("reset-vector", Place::Root, Type::Address),
    ("skin", Place::Root, Type::Text),
    ("summary", Place::Root, Type::Text),
    ("width", Place::Anywhere, Type::Number(1, 16384)),
    ("window-size", Place::Root, Type::Pair),
    ("window-title", Place::Root, Type::Text),
];

/// Whether the emulator has a property of this name, given without the prefix.
pub(crate) fn known(name: &str) -> bool {
    TABLE.iter().any(|(known, ..)| *known == name)
}

/// Reports every mistake under the prefix.
pub(crate) fn check(c: &mut Context<'_>) {
    let tree = c.tree;
    for id in tree.walk() {
        for p in &tree.node(id).props {
            let Some(name) = p.name.strip_prefix(PREFIX) else { continue };
            let Some(&(_, place, kind)) = TABLE.iter().find(|(known, ..)| *known == name) else {
                let known: Vec<&str> = TABLE.iter().map(|t| t.0).collect();
                let help = format!("after `{PREFIX}` these are known: {}", known.join(", "));
                c.error(p.span, format!("`{}` is no property of this emulator", p.name), &help);
                continue;
            };
            if let Some(place) = misplaced(tree, id, place) {
                c.error(p.span, format!("`{}` belongs into {place}", p.name), "move it there");
            }
            if let Some(wanted) = mistyped(p, kind) {
                c.error(p.span, format!("`{}` must be {wanted}", p.name), "");
            }
        }
    }
}

/// Where the property belongs, if not here.
fn misplaced(tree: &Tree, id: NodeId, place: Place) -> Option<&'static str> {
    let has = |name: &str, value: &str| {
        tree.prop(id, name).and_then(Property::strings).is_some_and(|s| s.iter().any(|s| s == value))
    };
    let (right, what) = match place {
        Place::Anywhere => (true, ""),
        Place::Root => (id == Tree::ROOT, "the root node"),
        Place::Cpus => (tree.path(id) == "/cpus", "`/cpus`"),
        Place::Memory => (has("device_type", "memory"), "a memory node"),
        Place::VirtioMmio => (has("compatible", "virtio,mmio"), "a node with compatible = \"virtio,mmio\""),
    };
    (!right).then_some(what)
}

/// What the value should be, if it is not.
fn mistyped(p: &Property, kind: Type) -> Option<String> {
    let (right, what) = match kind {
        Type::Flag => (p.data.is_empty(), "without a value".to_string()),
        Type::Text => (p.string().is_some(), "one string in quotes".into()),
        Type::OneOf(words) => (p.string().is_some_and(|s| words.contains(&s.as_str())), {
            let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
            format!("one of {}", quoted.join(", "))
        }),
        Type::Number(low, high) => {
            (p.u32().is_some_and(|v| (low..=high).contains(&v)), format!("one cell from {low} to {high}"))
        }
        Type::Size => (props::number(p).is_some_and(|v| v > 0), "one or two cells, not 0".into()),
        Type::Address => (props::number(p).is_some(), "one or two cells".into()),
        Type::Pair => (p.data.len() == 8, "two cells".into()),
        Type::References => (p.cells().is_some(), "references, as in <&label>".into()),
    };
    (!right).then_some(what)
}

/// Whether the guest does not see a node.
fn hidden(tree: &Tree, mut id: NodeId) -> bool {
    while let Some(parent) = tree.node(id).parent {
        if tree.prop(id, "hyperemu,hidden").is_some() {
            return true;
        }
        id = parent;
    }
    false
}

/// Reports references from what the guest sees to what it does not: they would lead nowhere.
pub(crate) fn check_hidden(c: &mut Context<'_>) {
    let tree = c.tree;
    for id in tree.walk() {
        for p in tree.node(id).props.iter().filter(|p| !p.name.starts_with(PREFIX)) {
            for m in &p.markers {
                let (MarkerKind::Phandle(reference) | MarkerKind::Path(reference)) = &m.kind else {
                    continue;
                };
                let Some(target) = tree.by_reference(reference) else { continue };
                if hidden(tree, target) && !hidden(tree, id) {
                    let message =
                        format!("`{}` refers to `{reference}`, which is hidden from the guest", p.name);
                    c.error(m.span, message, "hide this node too, or show the other");
                }
            }
        }
    }
}

/// Takes everything that is for the emulator alone out of a tree.
pub(crate) fn strip(tree: &mut Tree) {
    for id in tree.walk() {
        if tree.prop(id, "hyperemu,hidden").is_some() && id != Tree::ROOT {
            tree.delete(id);
            continue;
        }
        tree.node_mut(id).props.retain(|p| !p.name.starts_with(PREFIX));
    }
    tree.purge();
}
