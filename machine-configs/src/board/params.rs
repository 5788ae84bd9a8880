//! What a command line changes in a board: `--memory`, `--cpus`, `--param`.

use std::{collections::HashSet, path::PathBuf};

use super::{address, cpus, properties, props};
use crate::{
    dts::parse_value,
    error::Error,
    source::{SourceMap, Span},
    tree::{Marker, MarkerKind, NodeId, Property, Tree},
};

/// Changes to a board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Size of main memory in bytes.
    pub memory: Option<u64>,
    /// Number of cores.
    pub cpus: Option<u32>,
    /// `NODE.PROP=VALUE`. NODE is a path, a label or an alias. PROP may lack the prefix `hyperemu,`. VALUE is a number (with K, M or G), `true`, `false`, a value in the
    /// syntax of devicetrees, or plain text.
    pub overrides: Vec<String>,
    /// Directories in which includes are looked for.
    pub include: Vec<PathBuf>,
}

pub(crate) fn apply(tree: &mut Tree, sources: &mut SourceMap, params: &Params) -> Result<(), Error> {
    if let Some(count) = params.cpus {
        set_cpus(tree, sources, count)?;
    }
    if let Some(size) = params.memory {
        set_memory(tree, sources, size)?;
    }
    for text in &params.overrides {
        set_property(tree, sources, text)?;
    }
    Ok(())
}

/// Text of the command line as a file, so that errors can point into it.
fn argument(sources: &mut SourceMap, option: &str, text: &str) -> Span {
    let file = sources.add_text(option, text);
    Span { file, start: 0, end: text.len() as u32 }
}

fn set_memory(tree: &mut Tree, sources: &mut SourceMap, size: u64) -> Result<(), Error> {
    let span = argument(sources, "--memory", &size.to_string());
    let is_memory =
        |id: &NodeId| tree.prop(*id, "device_type").and_then(Property::string).as_deref() == Some("memory");
    let Some(id) = tree.walk().into_iter().find(is_memory) else {
        return Err(Error::new(sources, span, "the board has no memory node whose size could change"));
    };
    let max = tree.prop(id, "hyperemu,max-size").and_then(props::number).unwrap_or(u64::MAX);
    if size == 0 || !size.is_multiple_of(4096) || size > max {
        let message = format!("memory of {size} bytes is not possible on this board");
        let limit = if max == u64::MAX { String::new() } else { format!(", at most {max:#x} bytes") };
        return Err(Error::new(sources, span, message).help(format!("give a multiple of 4 KiB{limit}")));
    }
    let parent = tree.node(id).parent.unwrap_or(Tree::ROOT);
    let (address_cells, size_cells) = address::plain_cell_counts(tree, parent);
    let cells = tree.prop(id, "reg").and_then(Property::cells).unwrap_or_default();
    if cells.len() < address_cells + size_cells || size_cells == 0 {
        // Reported with a position by the validation.
        return Ok(());
    }
    if size_cells == 1 && size > u64::from(u32::MAX) {
        return Err(Error::new(sources, span, "this board's memory has a size of 32 bits")
            .help("give less than 4 GiB"));
    }
    // The first range; others go.
    let mut data: Vec<u8> = cells[..address_cells].iter().flat_map(|c| c.to_be_bytes()).collect();
    let mut size_bytes = vec![0; size_cells * 4];
    let low = size.to_be_bytes();
    let keep = size_bytes.len().min(8);
    let at = size_bytes.len() - keep;
    size_bytes[at..].copy_from_slice(&low[8 - keep..]);
    data.extend(size_bytes);
    tree.set_prop(id, "reg", data, span).markers =
        vec![Marker { offset: 0, kind: MarkerKind::Cells(32), span }];
    Ok(())
}

/// The phandles of a core: its own and its interrupt controller's.
fn phandles_of(tree: &Tree, core: NodeId) -> Vec<u32> {
    tree.walk_from(core).into_iter().filter_map(|id| tree.phandle(id)).collect()
}

fn set_cpus(tree: &mut Tree, sources: &mut SourceMap, count: u32) -> Result<(), Error> {
    let span = argument(sources, "--cpus", &count.to_string());
    let cores = cpus::core_nodes(tree);
    let max = tree.by_path("/cpus").and_then(|id| tree.prop(id, "hyperemu,max-cpus")).and_then(Property::u32);
    let max = max.unwrap_or(cores.len() as u32);
    if count == 0 || count > max || cores.is_empty() {
        return Err(Error::new(sources, span, format!("{count} cores are not possible on this board"))
            .help(format!("give 1 to {max}")));
    }
    for &core in cores.iter().skip(count as usize) {
        remove_core(tree, core);
    }
    for number in cores.len() as u32..count {
        add_core(tree, cores[0], number, span);
    }
    tree.purge();
    Ok(())
}

/// One reference with its arguments in `interrupts-extended`: byte range and phandle.
fn entries(tree: &Tree, p: &Property) -> Vec<(std::ops::Range<usize>, u32)> {
    let Some(cells) = p.cells() else { return Vec::new() };
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&phandle) = cells.get(at) {
        let count =
            tree.by_phandle(phandle).and_then(|id| tree.prop(id, "#interrupt-cells")).and_then(Property::u32);
        let Some(next) = count.map(|n| at + 1 + n.min(16) as usize).filter(|&next| next <= cells.len())
        else {
            break;
        };
        out.push((at * 4..next * 4, phandle));
        at = next;
    }
    out
}

fn remove_core(tree: &mut Tree, core: NodeId) {
    let gone = phandles_of(tree, core);
    for id in tree.walk() {
        let Some(p) = tree.prop(id, "interrupts-extended") else { continue };
        let mut data = Vec::new();
        let mut markers = vec![Marker { offset: 0, kind: MarkerKind::Cells(32), span: p.span }];
        let mut changed = false;
        for (range, phandle) in entries(tree, p) {
            if gone.contains(&phandle) {
                changed = true;
                continue;
            }
            markers.push(reference_marker(data.len(), p.span));
            data.extend_from_slice(&p.data[range]);
        }
        if changed {
            let span = p.span;
            tree.set_prop(id, "interrupts-extended", data, span).markers = markers;
        }
    }
    if let Some(map) = tree.by_path("/cpus/cpu-map") {
        for id in tree.walk_from(map) {
            let cpu = tree.prop(id, "cpu").and_then(Property::u32);
            if cpu.is_some_and(|phandle| gone.contains(&phandle)) {
                tree.delete(id);
            }
        }
    }
    tree.delete(core);
}

/// Says that a cell is a phandle.
fn reference_marker(offset: usize, span: Span) -> Marker {
    Marker { offset: offset as u32, kind: MarkerKind::Phandle(String::new()), span }
}

/// Adds a core like `model`, with its interrupts and its place in the topology.
fn add_core(tree: &mut Tree, model: NodeId, number: u32, span: Span) {
    let Some(cpus) = tree.node(model).parent else { return };
    let mut used: HashSet<u32> = tree.walk().into_iter().filter_map(|id| tree.phandle(id)).collect();
    let mut renamed: Vec<(u32, u32)> = Vec::new();
    let core = copy(tree, model, cpus, number, &mut used, &mut renamed, span);
    tree.node_mut(core).name = format!("cpu@{number:x}");
    let (address_cells, _) = address::plain_cell_counts(tree, cpus);
    let mut reg = vec![0; address_cells.max(1) * 4];
    let at = reg.len() - 4;
    reg[at..].copy_from_slice(&number.to_be_bytes());
    tree.set_prop(core, "reg", reg, span).markers =
        vec![Marker { offset: 0, kind: MarkerKind::Cells(32), span }];
    // After the other cores, before cpu-map.
    let children = &mut tree.node_mut(cpus).children;
    children.pop();
    let place = number as usize;
    children.insert(place.min(children.len()), core);

    let renumbered = |phandle: u32| renamed.iter().find(|r| r.0 == phandle).map(|r| r.1);
    for id in tree.walk() {
        let Some(p) = tree.prop(id, "interrupts-extended") else { continue };
        let mut added = Vec::new();
        for (range, phandle) in entries(tree, p) {
            if let Some(new) = renumbered(phandle) {
                added.push([&new.to_be_bytes()[..], &p.data[range.start + 4..range.end]].concat());
            }
        }
        let at = tree.node(id).props.iter().position(|p| p.name == "interrupts-extended").unwrap_or(0);
        let p = &mut tree.node_mut(id).props[at];
        for entry in added {
            p.markers.push(reference_marker(p.data.len(), span));
            p.data.extend(entry);
        }
    }
    if let Some(map) = tree.by_path("/cpus/cpu-map") {
        let of_model =
            |id: &NodeId| tree.prop(*id, "cpu").and_then(Property::u32).and_then(renumbered).is_some();
        if let Some(entry) = tree.walk_from(map).into_iter().find(of_model)
            && let Some(cluster) = tree.node(entry).parent
            && let Some(phandle) = tree.prop(entry, "cpu").and_then(Property::u32).and_then(renumbered)
        {
            let id = tree.add_child(cluster, &format!("core{number}"), span);
            let markers =
                vec![Marker { offset: 0, kind: MarkerKind::Cells(32), span }, reference_marker(0, span)];
            tree.set_prop(id, "cpu", phandle.to_be_bytes().to_vec(), span).markers = markers;
        }
    }
}

/// Copies a node of core 0 and all below it for another core, with new phandles and labels.
fn copy(
    tree: &mut Tree,
    from: NodeId,
    parent: NodeId,
    number: u32,
    used: &mut HashSet<u32>,
    renamed: &mut Vec<(u32, u32)>,
    span: Span,
) -> NodeId {
    let name = tree.node(from).name.clone();
    let to = tree.add_child(parent, &name, span);
    // cpu0 and cpu0_intc become cpu5 and cpu5_intc.
    for label in tree.node(from).labels.clone().iter().rev() {
        let label = label.replacen('0', &number.to_string(), 1);
        if tree.by_label(&label).is_none() {
            tree.add_label(to, &label);
        }
    }
    let mut props = tree.node(from).props.clone();
    for p in &mut props {
        p.labels.clear();
        if p.name == "phandle"
            && let Some(old) = p.u32()
        {
            // Nodes are fewer than numbers.
            let fresh = (1..u32::MAX).find(|n| !used.contains(n)).unwrap_or(1);
            used.insert(fresh);
            renamed.push((old, fresh));
            p.data = fresh.to_be_bytes().to_vec();
        }
    }
    tree.node_mut(to).props = props;
    for child in tree.children(from).collect::<Vec<_>>() {
        copy(tree, child, to, number, used, renamed, span);
    }
    to
}

fn set_property(tree: &mut Tree, sources: &mut SourceMap, text: &str) -> Result<(), Error> {
    let whole = argument(sources, "--param", text);
    let shape = "write NODE.PROPERTY=VALUE; NODE is a path, a label or an alias";
    let Some((left, value)) = text.split_once('=') else {
        return Err(Error::new(sources, whole, "expected `=`").help(shape));
    };
    // Names hold dots too: try from the last on.
    let split = left.match_indices('.').map(|(at, _)| at).rev().find_map(|at| {
        let id = tree.by_name(&left[..at])?;
        Some((id, &left[at + 1..]))
    });
    let Some((id, name)) = split else {
        let end = left.rfind('.').unwrap_or(left.len()) as u32;
        let node = &left[..end as usize];
        return Err(
            Error::new(sources, Span { end, ..whole }, format!("the board has no node `{node}`")).help(shape)
        );
    };
    let name_start = (left.len() - name.len()) as u32;
    let name_span = Span { start: name_start, end: left.len() as u32, ..whole };
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b",._+*#?@-".contains(&b)) {
        return Err(Error::new(sources, name_span, format!("`{name}` is no property name")).help(shape));
    }
    // The prefix may be left out.
    let name = match tree.prop(id, name).is_none() && properties::known(name) {
        true => format!("{}{name}", properties::PREFIX),
        false => name.to_string(),
    };
    let value_span = Span { start: left.len() as u32 + 1, ..whole };
    let old = tree.prop(id, &name).cloned();
    if value == "false" {
        tree.node_mut(id).props.retain(|p| p.name != name);
        return Ok(());
    }
    let new = value_of(tree, sources, value, value_span, old.as_ref())?;
    tree.set_prop(id, &name, new.data, name_span).markers = new.markers;
    Ok(())
}

/// The value that text stands for; `old` is what it replaces.
fn value_of(
    tree: &Tree,
    sources: &mut SourceMap,
    text: &str,
    span: Span,
    old: Option<&Property>,
) -> Result<Property, Error> {
    let cells = |data: Vec<u8>| Property {
        data,
        markers: vec![Marker { offset: 0, kind: MarkerKind::Cells(32), span }],
        ..Property::default()
    };
    if text == "true" {
        return Ok(Property::default());
    }
    let written = text.starts_with(['<', '"', '[', '&']) || text.starts_with("/bits/");
    if written {
        let file = sources.add_text("--param", text);
        let search = crate::source::SearchPath::default();
        let mut p = parse_value(sources, file, &search).map_err(|f| f.into_error(sources))?;
        for i in 0..p.markers.len() {
            let (reference, path) = match &p.markers[i].kind {
                MarkerKind::Phandle(r) => (r.clone(), false),
                MarkerKind::Path(r) => (r.clone(), true),
                _ => continue,
            };
            let at = p.markers[i].offset as usize;
            let target = tree.by_name(&reference);
            let bytes = match (path, target) {
                (true, Some(id)) => (tree.path(id) + "\0").into_bytes(),
                (false, Some(id)) if tree.phandle(id).is_some() => {
                    tree.phandle(id).unwrap_or_default().to_be_bytes().to_vec()
                }
                _ => {
                    let message = format!("`{reference}` names no node that can be referred to here");
                    return Err(Error::new(sources, p.markers[i].span, message));
                }
            };
            let grown = if path { bytes.len() as u32 } else { 0 };
            p.data.splice(at..at + if path { 0 } else { 4 }, bytes);
            p.markers[i + 1..].iter_mut().for_each(|m| m.offset += grown);
        }
        return Ok(p);
    }
    // Text replaces text even where it looks like a number.
    let was_text = old.is_some_and(|p| p.markers.iter().any(|m| m.kind == MarkerKind::String));
    if !was_text && let Some(number) = parse_number(text) {
        let wide = old.is_some_and(|p| p.data.len() == 8) || number > u64::from(u32::MAX);
        return Ok(cells(match wide {
            true => number.to_be_bytes().to_vec(),
            false => (number as u32).to_be_bytes().to_vec(),
        }));
    }
    if text.contains('\0') {
        return Err(Error::new(sources, span, "text cannot hold a NUL"));
    }
    Ok(Property {
        data: [text.as_bytes(), b"\0"].concat(),
        markers: vec![Marker { offset: 0, kind: MarkerKind::String, span }],
        ..Property::default()
    })
}

/// A decimal or hexadecimal number with K, M or G.
fn parse_number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
        None => return None,
    };
    value.checked_mul(1 << shift)
}
