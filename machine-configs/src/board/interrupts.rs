//! Interrupts, resolved through `interrupt-parent`, `interrupts-extended` and `interrupt-map`.

use super::{
    address::cell_counts,
    describe::Context,
    description::{Controller, Interrupt},
};
use crate::{source::Span, tree::NodeId};

/// Nexus nodes between a device and its controller, at most.
const MAX_HOPS: usize = 16;

/// The interrupt outputs of a node.
pub(crate) fn of(c: &mut Context<'_>, id: NodeId) -> Vec<Interrupt> {
    let tree = c.tree;
    let mut out = Vec::new();
    // interrupts-extended wins where both are given.
    if let Some(p) = tree.prop(id, "interrupts-extended") {
        let Some(cells) = p.cells() else {
            c.error(p.span, "`interrupts-extended` must be cells, as in <&plic 1>", "");
            return out;
        };
        let mut rest = cells.as_slice();
        while let Some((&phandle, after)) = rest.split_first() {
            let Some(parent) = c.phandles.get(&phandle).copied() else {
                c.error(
                    p.span,
                    format!("`interrupts-extended` refers to phandle {phandle:#x}, which no node has"),
                    "",
                );
                return out;
            };
            let Some(count) = interrupt_cells(c, parent, p.span) else { return out };
            let Some((specifier, next)) = after.split_at_checked(count) else {
                short(c, p.span, parent, count);
                return out;
            };
            out.extend(resolve(c, id, parent, specifier, p.span));
            rest = next;
        }
        return out;
    }
    let Some(p) = tree.prop(id, "interrupts") else { return out };
    let Some(parent) = parent_of(c, id) else {
        c.error(
            p.span,
            "these interrupts lead nowhere: no interrupt-parent",
            "add `interrupt-parent = <&plic>;`",
        );
        return out;
    };
    let Some(count) = interrupt_cells(c, parent, p.span) else { return out };
    match p.cells() {
        Some(cells) if count > 0 && !cells.is_empty() && cells.len().is_multiple_of(count) => {
            for specifier in cells.chunks(count) {
                out.extend(resolve(c, id, parent, specifier, p.span));
            }
        }
        _ => short(c, p.span, parent, count),
    }
    out
}

fn short(c: &mut Context<'_>, span: Span, parent: NodeId, count: usize) {
    let path = c.tree.path(parent);
    c.error(
        span,
        format!("each interrupt of `{path}` needs {count} cells"),
        "see #interrupt-cells of the controller",
    );
}

fn interrupt_cells(c: &mut Context<'_>, parent: NodeId, span: Span) -> Option<usize> {
    let count = c.count(parent, "#interrupt-cells");
    if count.is_none() {
        let path = c.tree.path(parent);
        c.error(span, format!("`{path}` is no interrupt controller"), "a controller has `#interrupt-cells`");
    }
    count
}

/// The controller or nexus that a node's `interrupts` lead to.
fn parent_of(c: &mut Context<'_>, id: NodeId) -> Option<NodeId> {
    let tree = c.tree;
    let mut at = id;
    for _ in 0..256 {
        at = match tree.prop(at, "interrupt-parent") {
            Some(p) => match p.u32().and_then(|phandle| c.phandles.get(&phandle).copied()) {
                Some(parent) => parent,
                None => {
                    c.error(p.span, "`interrupt-parent` must be one reference, as in <&plic>", "");
                    return None;
                }
            },
            None => tree.node(at).parent?,
        };
        if tree.prop(at, "#interrupt-cells").is_some() {
            return Some(at);
        }
    }
    None
}

/// Follows interrupt maps to a controller.
fn resolve(
    c: &mut Context<'_>,
    id: NodeId,
    parent: NodeId,
    specifier: &[u32],
    span: Span,
) -> Option<Interrupt> {
    let tree = c.tree;
    let mut parent = parent;
    let mut specifier = specifier.to_vec();
    // The unit address that the first nexus looks at.
    let mut unit: Vec<u32> = tree.prop(id, "reg").and_then(|p| p.cells()).unwrap_or_default();
    for _ in 0..MAX_HOPS {
        if let Some(&cpu) = c.cpus.get(&parent) {
            return Some(Interrupt { controller: Controller::Cpu(cpu), cells: specifier });
        }
        let Some(map) = tree.prop(parent, "interrupt-map") else {
            let device = c.devices.get(&parent);
            let controller = device.map_or(Controller::None, |&device| Controller::Device(device));
            return Some(Interrupt { controller, cells: specifier });
        };
        let (address, _) = cell_counts(c, parent);
        let cells = map.cells().unwrap_or_default();
        let mask = tree.prop(parent, "interrupt-map-mask").and_then(|p| p.cells());
        let mask = mask.unwrap_or_else(|| vec![u32::MAX; address + specifier.len()]);
        unit.resize(address, 0);
        let masked = |key: &[u32]| -> Vec<u32> { key.iter().zip(&mask).map(|(k, m)| k & m).collect() };
        let wanted = masked(&[unit.as_slice(), &specifier].concat());
        let mut rest = cells.as_slice();
        let mut found = None;
        while !rest.is_empty() && found.is_none() {
            // Key, phandle, the parent's unit address, its specifier.
            let entry = rest.split_at_checked(address + specifier.len()).and_then(|(key, rest)| {
                let (&phandle, rest) = rest.split_first()?;
                Some((key, *c.phandles.get(&phandle)?, rest))
            });
            let Some((key, next, after)) = entry else {
                c.error(map.span, "this `interrupt-map` is malformed", "");
                return None;
            };
            let next_address = c.count(next, "#address-cells").unwrap_or(0);
            let next_cells = interrupt_cells(c, next, map.span)?;
            let Some((value, after)) = after.split_at_checked(next_address + next_cells) else {
                c.error(map.span, "this `interrupt-map` is malformed", "");
                return None;
            };
            if masked(key) == wanted {
                found = Some((next, value[..next_address].to_vec(), value[next_address..].to_vec()));
            }
            rest = after;
        }
        let Some(next) = found else {
            let path = tree.path(parent);
            c.error(span, format!("the `interrupt-map` of `{path}` has no entry for this interrupt"), "");
            return None;
        };
        (parent, unit, specifier) = next;
    }
    c.error(span, "interrupt maps lead in a circle", "");
    None
}
