//! `reg` and its translation through `ranges` to the addresses that cores use.

use super::{
    describe::Context,
    description::{DeviceNode, MemoryRegion, Reg},
};
use crate::{
    error::Diagnostic,
    source::Span,
    tree::{NodeId, Tree},
};

/// Whose addresses a `reg` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// The cores'.
    Cpu,
    /// Those of a bus that is not mapped, such as I2C.
    Bus,
}

/// `#address-cells` and `#size-cells` for the children of a node; the specification's defaults are 2 and 1.
pub(crate) fn cell_counts(c: &mut Context<'_>, id: NodeId) -> (usize, usize) {
    let (address, size) = (c.count(id, "#address-cells"), c.count(id, "#size-cells"));
    (address.unwrap_or(2), size.unwrap_or(1))
}

/// The same without checks, for trees that are not validated yet.
pub(crate) fn plain_cell_counts(tree: &Tree, id: NodeId) -> (usize, usize) {
    let count = |name: &str, default: u32| {
        tree.prop(id, name).and_then(|p| p.u32()).unwrap_or(default).min(16) as usize
    };
    (count("#address-cells", 2), count("#size-cells", 1))
}

/// The number in the last two of `cells`: PCI puts flags before them.
fn value(cells: &[u32]) -> u64 {
    cells.iter().fold(0, |v, &cell| v << 32 | u64::from(cell))
}

/// The entries of `reg`: in the cores' address space where `top` is set and the buses above are mapped.
pub(crate) fn reg_of(c: &mut Context<'_>, id: NodeId, top: bool) -> (Space, Vec<Reg>) {
    let tree = c.tree;
    let node = tree.node(id);
    let (Some(p), Some(bus)) = (tree.prop(id, "reg"), node.parent) else {
        if let Some(unit) = node.unit_address().filter(|_| tree.prop(id, "ranges").is_none()) {
            let message = format!("`{}` has an address in its name, but no `reg`", node.name);
            c.error(node.span, message, &format!("add `reg = <0x{unit} SIZE>;`, or take `@{unit}` off"));
        }
        return (Space::Cpu, Vec::new());
    };
    let (address, size) = cell_counts(c, bus);
    let Some(cells) = p.cells().filter(|cells| {
        !cells.is_empty() && address + size > 0 && cells.len().is_multiple_of(address + size)
    }) else {
        let counts = format!("{address} address and {size} size cells");
        let help =
            format!("#address-cells and #size-cells of `{}` say how many cells an entry has", tree.path(bus));
        c.error(p.span, format!("`reg` must be entries of {counts}"), &help);
        return (Space::Cpu, Vec::new());
    };
    let first = value(&cells[..address]);
    // Two numbers are device and function, or chip and partition.
    let unit = node.unit_address().and_then(|unit| u64::from_str_radix(unit, 16).ok());
    if top && unit.is_some_and(|unit| unit != first) {
        let message = format!("the name `{}` and its `reg` give different addresses: {first:#x}", node.name);
        let help = format!("name it `{}@{first:x}`", node.base_name());
        c.warnings.push(Diagnostic::new(c.sources, p.span, message).help(help));
    }
    let mut space = Space::Cpu;
    let mut out = Vec::new();
    for entry in cells.chunks(address + size) {
        let (base, size) = (value(&entry[..address]), value(&entry[address..]));
        if size > 0 && base.checked_add(size - 1).is_none() {
            c.error(p.span, format!("{base:#x} + {size:#x} reaches beyond 64 bits"), "");
            continue;
        }
        let address = if top { translate(c, bus, base, size, p.span) } else { None };
        match address {
            Some(base) => out.push(Reg { base, size }),
            None => {
                space = Space::Bus;
                out.push(Reg { base, size });
            }
        }
    }
    (space, out)
}

/// The cores' address for one on `bus`; None where a bus on the way is not mapped.
fn translate(c: &mut Context<'_>, mut bus: NodeId, mut base: u64, size: u64, span: Span) -> Option<u64> {
    let tree = c.tree;
    while bus != Tree::ROOT {
        let parent = tree.node(bus).parent?;
        let p = tree.prop(bus, "ranges")?;
        if !p.data.is_empty() {
            let (child_cells, size_cells) = cell_counts(c, bus);
            let (parent_cells, _) = cell_counts(c, parent);
            let width = child_cells + parent_cells + size_cells;
            let Some(cells) = p.cells().filter(|cells| width > 0 && cells.len().is_multiple_of(width)) else {
                let message = format!(
                    "`ranges` must be entries of {child_cells} + {parent_cells} + {size_cells} cells"
                );
                c.error(p.span, message, "child address, parent address, size");
                return None;
            };
            let found = cells.chunks(width).find_map(|entry| {
                let child = value(&entry[..child_cells]);
                let target = value(&entry[child_cells..child_cells + parent_cells]);
                let length = value(&entry[child_cells + parent_cells..]);
                let offset = base.checked_sub(child)?;
                (offset.checked_add(size)? <= length).then(|| target.checked_add(offset))?
            });
            match found {
                Some(address) => base = address,
                None => {
                    let path = tree.path(bus);
                    c.error(span, format!("address {base:#x} lies outside the `ranges` of `{path}`"), "");
                    return None;
                }
            }
        }
        bus = parent;
    }
    Some(base)
}

/// Reports ranges on the cores' bus that overlap.
pub(crate) fn check_overlaps(c: &mut Context<'_>, devices: &[DeviceNode], memory: &[MemoryRegion]) {
    let mut ranges: Vec<(u64, u64, String, Span)> = Vec::new();
    for d in devices.iter().filter(|d| d.mapped) {
        let span = d.props.get("reg").map_or(d.span, |p| p.span);
        ranges.extend(d.reg.iter().filter(|r| r.size > 0).map(|r| (r.base, r.size, d.path.clone(), span)));
    }
    ranges.extend(memory.iter().map(|m| (m.base, m.size, m.path.clone(), m.span)));
    ranges.sort_by_key(|r| r.0);
    // The range that reaches furthest so far.
    let mut furthest: Option<(u64, u64, String, Span)> = None;
    for range in ranges {
        let (base, size, path, span) = &range;
        let last = base.saturating_add(size - 1);
        if let Some((other_base, other_size, other, other_span)) = &furthest {
            let other_last = other_base.saturating_add(other_size - 1);
            // A part of a multi-function device lies within it.
            let nested = path.starts_with(&format!("{other}/")) || other.starts_with(&format!("{path}/"));
            if *base <= other_last && !nested {
                let message = format!(
                    "{base:#x}..={last:#x} of `{path}` overlaps {other_base:#x}..={other_last:#x} of `{other}`"
                );
                let help = format!(
                    "move one of the two, make it smaller, or disable it: --param {path}.status=disabled"
                );
                let d = Diagnostic::new(c.sources, *span, message).help(help).note(
                    c.sources,
                    *other_span,
                    "the other range",
                );
                // Real boards have devices within others, such as a timer in a system controller.
                let (this, that) = ((*base, last), (*other_base, other_last));
                let within = this != that && (last <= other_last || this.0 == that.0);
                let both_devices = !memory.iter().any(|m| m.path == *path || m.path == *other);
                if within && both_devices { c.warnings.push(d) } else { c.errors.push(d) }
            }
            if last <= other_last {
                continue;
            }
        }
        furthest = Some(range);
    }
}
