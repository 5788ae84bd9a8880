//! Turns references into phandles and paths, in the order in which dtc does, and adds what overlays need.

use std::collections::{HashMap, HashSet};

use crate::{
    error::{Res, fault},
    source::Span,
    tree::{Marker, MarkerKind, NodeId, Property, Tree},
};

/// What to add to the tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResolveOptions {
    /// Write every label into `/__symbols__`, so that overlays can refer to it (`dtc -@`).
    pub symbols: bool,
}

pub(super) fn resolve(mut tree: Tree, options: &ResolveOptions) -> Res<Tree> {
    check_names(&tree)?;
    check_labels(&tree)?;
    let mut phandles = Phandles { used: explicit_phandles(&tree)?, next: 1 };
    phandle_references(&mut tree, &mut phandles)?;
    path_references(&mut tree)?;
    for id in tree.walk() {
        let node = tree.node(id);
        let kept = node.referenced || options.symbols && !node.labels.is_empty();
        if node.omit_if_unused && !kept {
            tree.delete(id);
        }
    }
    if options.symbols {
        symbols(&mut tree, &mut phandles);
    }
    if tree.plugin {
        fixups(&mut tree)?;
        local_fixups(&mut tree);
    }
    tree.purge();
    Ok(tree)
}

fn check_names(tree: &Tree) -> Res<()> {
    for id in tree.walk() {
        let node = tree.node(id);
        if let Some(c) = node.name.chars().find(|&c| !(c.is_ascii_alphanumeric() || ",._+-@".contains(c))) {
            return Err(fault(node.span, format!("`{c}` cannot stand in the name of a node"))
                .help("letters, digits and , . _ + - can; @ starts the unit address"));
        }
        if node.name.matches('@').count() > 1 {
            return Err(fault(node.span, format!("node name `{}` has more than one `@`", node.name)));
        }
        for p in node.props.iter().filter(|p| !p.deleted) {
            if p.name == "name" && p.data.strip_suffix(b"\0") != Some(node.base_name().as_bytes()) {
                return Err(fault(p.span, format!("property `name` must be \"{}\" here", node.base_name()))
                    .help("remove it: the node's name says the same"));
            }
        }
    }
    Ok(())
}

fn check_labels(tree: &Tree) -> Res<()> {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for id in tree.walk() {
        let node = tree.node(id);
        let mut here: Vec<(&str, Span)> = node.labels.iter().map(|l| (l.as_str(), node.span)).collect();
        for p in node.props.iter().filter(|p| !p.deleted) {
            here.extend(p.labels.iter().map(|l| (l.as_str(), p.span)));
            here.extend(p.markers.iter().filter_map(|m| match &m.kind {
                MarkerKind::Label(l) => Some((l.as_str(), m.span)),
                _ => None,
            }));
        }
        for (label, span) in here {
            if let Some(first) = seen.insert(label, span) {
                return Err(fault(span, format!("label `{label}` is used twice"))
                    .help("give one of the two another name")
                    .note(first, "first used here"));
            }
        }
    }
    Ok(())
}

struct Phandles {
    used: HashSet<u32>,
    next: u32,
}

impl Phandles {
    /// The phandle of a node, allocated now if it has none.
    fn of(&mut self, tree: &mut Tree, id: NodeId) -> u32 {
        if let Some(phandle) = tree.phandle(id) {
            return phandle;
        }
        while self.used.contains(&self.next) {
            self.next += 1;
        }
        let phandle = self.next;
        self.used.insert(phandle);
        let node = tree.node_mut(id);
        let span = node.span;
        // `phandle = <&itself>` asks for an allocated one.
        if let Some(p) = node.props.iter_mut().find(|p| !p.deleted && p.name == "phandle") {
            p.data = phandle.to_be_bytes().to_vec();
        } else {
            node.props.push(Property {
                name: "phandle".into(),
                data: phandle.to_be_bytes().to_vec(),
                markers: vec![Marker { offset: 0, kind: MarkerKind::Cells(32), span }],
                span,
                ..Property::default()
            });
        }
        phandle
    }
}

fn explicit_phandles(tree: &Tree) -> Res<HashSet<u32>> {
    let mut used: HashMap<u32, (NodeId, Span)> = HashMap::new();
    for id in tree.walk() {
        for p in ["phandle", "linux,phandle"].into_iter().filter_map(|name| tree.prop(id, name)) {
            let reference = p.markers.iter().find_map(|m| match &m.kind {
                MarkerKind::Phandle(r) => Some(r),
                _ => None,
            });
            if let Some(r) = reference
                && p.data.len() == 4
            {
                if tree.by_reference(r) != Some(id) {
                    return Err(fault(
                        p.span,
                        format!("`{}` of a node cannot refer to another node", p.name),
                    ));
                }
                continue;
            }
            let value = match p.u32() {
                Some(value) if value != 0 && value != u32::MAX => value,
                _ => {
                    return Err(fault(p.span, format!("`{}` must be one cell, not 0 or 0xffffffff", p.name))
                        .help("leave it out: phandles are allocated where a node is referred to"));
                }
            };
            if let Some((other, first)) = used.insert(value, (id, p.span))
                && other != id
            {
                return Err(fault(p.span, format!("phandle {value:#x} is used twice"))
                    .help("leave phandles out and refer to nodes by label")
                    .note(first, "first used here"));
            }
        }
    }
    Ok(used.into_keys().collect())
}

/// The references of one property: index in `markers`, text, span.
fn references(p: &Property, path: bool) -> Vec<(usize, String, Span)> {
    let wanted = |(i, m): (usize, &Marker)| match &m.kind {
        MarkerKind::Phandle(r) if !path => Some((i, r.clone(), m.span)),
        MarkerKind::Path(r) if path => Some((i, r.clone(), m.span)),
        _ => None,
    };
    if p.deleted { Vec::new() } else { p.markers.iter().enumerate().filter_map(wanted).collect() }
}

fn unknown(reference: &str, span: Span) -> Box<crate::error::Fault> {
    let what = if reference.starts_with('/') { "at" } else { "labelled" };
    fault(span, format!("there is no node {what} `{reference}`"))
        .help("check the spelling, or write the node; the file that defines it may not be included")
}

fn phandle_references(tree: &mut Tree, phandles: &mut Phandles) -> Res<()> {
    for id in tree.walk() {
        let mut at = 0;
        // Phandles allocated on the way are added at the end, and refer to nothing.
        while let Some(p) = tree.node(id).props.get(at) {
            for (marker, reference, span) in references(p, false) {
                let phandle = match tree.by_reference(&reference) {
                    Some(target) => {
                        tree.node_mut(target).referenced = true;
                        phandles.of(tree, target)
                    }
                    None if tree.plugin => u32::MAX,
                    None => return Err(unknown(&reference, span)),
                };
                let p = &mut tree.node_mut(id).props[at];
                let offset = p.markers[marker].offset as usize;
                if let Some(cell) = p.data.get_mut(offset..offset + 4) {
                    cell.copy_from_slice(&phandle.to_be_bytes());
                }
            }
            at += 1;
        }
    }
    Ok(())
}

fn path_references(tree: &mut Tree) -> Res<()> {
    for id in tree.walk() {
        for at in 0..tree.node(id).props.len() {
            for (marker, reference, span) in references(&tree.node(id).props[at], true) {
                let Some(target) = tree.by_reference(&reference) else {
                    return Err(unknown(&reference, span));
                };
                tree.node_mut(target).referenced = true;
                let path = tree.path(target) + "\0";
                let p = &mut tree.node_mut(id).props[at];
                let offset = p.markers[marker].offset as usize;
                p.data.splice(offset..offset, path.bytes());
                for m in &mut p.markers[marker + 1..] {
                    m.offset += path.len() as u32;
                }
            }
        }
    }
    Ok(())
}

/// The child of the root with this name, made if need be.
fn root_child(tree: &mut Tree, name: &str) -> NodeId {
    tree.child(Tree::ROOT, name).unwrap_or_else(|| tree.add_child(Tree::ROOT, name, Span::default()))
}

fn append(tree: &mut Tree, id: NodeId, name: &str, data: &[u8], kind: MarkerKind) {
    let node = tree.node_mut(id);
    let at = node.props.iter().position(|p| !p.deleted && p.name == name).unwrap_or_else(|| {
        node.props.push(Property { name: name.into(), ..Property::default() });
        node.props.len() - 1
    });
    let p = &mut node.props[at];
    p.markers.push(Marker { offset: p.data.len() as u32, kind, span: Span::default() });
    p.data.extend_from_slice(data);
}

fn symbols(tree: &mut Tree, phandles: &mut Phandles) {
    let labelled: Vec<NodeId> =
        tree.walk().into_iter().filter(|&id| !tree.node(id).labels.is_empty()).collect();
    if labelled.is_empty() {
        return;
    }
    let table = root_child(tree, "__symbols__");
    for id in labelled {
        let path = tree.path(id) + "\0";
        for label in tree.node(id).labels.clone() {
            if tree.prop(table, &label).is_none() {
                append(tree, table, &label, path.as_bytes(), MarkerKind::String);
            }
        }
        phandles.of(tree, id);
    }
}

/// Every phandle reference of the tree: node, property, offset, reference, span.
fn all_references(tree: &Tree) -> Vec<(NodeId, String, u32, String, Span)> {
    let mut out = Vec::new();
    for id in tree.walk() {
        for p in &tree.node(id).props {
            for (marker, reference, span) in references(p, false) {
                out.push((id, p.name.clone(), p.markers[marker].offset, reference, span));
            }
        }
    }
    out
}

/// Lists references that the base tree must resolve.
fn fixups(tree: &mut Tree) -> Res<()> {
    for (id, prop, offset, reference, span) in all_references(tree) {
        if tree.by_reference(&reference).is_some() {
            continue;
        }
        if reference.contains('/') {
            return Err(fault(span, "an overlay cannot refer to a path of the base tree in a cell")
                .help("refer to a label of the base tree"));
        }
        let table = root_child(tree, "__fixups__");
        let entry = format!("{}:{prop}:{offset}\0", tree.path(id));
        append(tree, table, &reference, entry.as_bytes(), MarkerKind::String);
    }
    Ok(())
}

/// Lists references within the overlay, whose phandles change when it is applied.
fn local_fixups(tree: &mut Tree) {
    for (id, prop, offset, reference, _) in all_references(tree) {
        if tree.by_reference(&reference).is_none() {
            continue;
        }
        let mut at = root_child(tree, "__local_fixups__");
        for name in tree.path(id).split('/').filter(|n| !n.is_empty()) {
            at = tree.child(at, name).unwrap_or_else(|| tree.add_child(at, name, Span::default()));
        }
        append(tree, at, &prop, &offset.to_be_bytes(), MarkerKind::Cells(32));
    }
}
