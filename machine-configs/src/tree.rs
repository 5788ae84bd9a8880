//! The devicetree: nodes, properties and where each was written.

use std::collections::HashMap;

use crate::source::Span;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct NodeId(pub(crate) u32);

/// A devicetree.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// `/memreserve/` entries, in order.
    pub reserve: Vec<Reserve>,
    /// Written to the DTB's header.
    pub boot_cpuid: u32,
    /// Whether the source is an overlay (`/plugin/`).
    pub plugin: bool,
    /// Nodes that have carried a label at some time; [`Tree::by_label`] checks that they still do.
    labels: HashMap<String, Vec<NodeId>>,
}

/// One node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Name with unit address; empty for the root.
    pub name: String,
    /// Labels, the last one written first.
    pub labels: Vec<String>,
    /// Properties in order.
    pub props: Vec<Property>,
    /// Children in order.
    pub children: Vec<NodeId>,
    /// None for the root, and for nodes that are not in the tree.
    pub parent: Option<NodeId>,
    /// Where the node's name was last written.
    pub span: Span,
    pub(crate) omit_if_unused: bool,
    pub(crate) referenced: bool,
    /// Deleted, but holding its place: a node of the same name written later takes it.
    pub(crate) deleted: bool,
}

/// One property.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Property {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Vec<String>,
    /// The value as the guest sees it.
    pub data: Vec<u8>,
    /// How the value was written, by ascending offset.
    pub markers: Vec<Marker>,
    /// Where the property was written: its name.
    pub span: Span,
    pub(crate) deleted: bool,
}

/// A fact about the value from some byte of it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// Byte in the value.
    pub offset: u32,
    /// What starts or stands here.
    pub kind: MarkerKind,
    /// Where it was written.
    pub span: Span,
}

/// What a [`Marker`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum MarkerKind {
    /// A label inside the value.
    Label(String),
    /// The phandle of the node referred to, in one cell.
    Phandle(String),
    /// The path of the node referred to, as a string.
    Path(String),
    /// Integers of so many bits start.
    Cells(u8),
    /// One integer of the current array.
    Cell,
    /// A string starts.
    String,
    /// Bytes start.
    Bytes,
}

/// A `/memreserve/` entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserve {
    /// First byte.
    pub address: u64,
    /// Length in bytes.
    pub size: u64,
    /// Labels.
    pub labels: Vec<String>,
    /// Where it was written.
    pub span: Span,
}

impl Default for Tree {
    fn default() -> Self {
        Tree {
            nodes: vec![Node::default()],
            reserve: Vec::new(),
            boot_cpuid: 0,
            plugin: false,
            labels: HashMap::new(),
        }
    }
}

impl Tree {
    /// The root.
    pub const ROOT: NodeId = NodeId(0);

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The node.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// A node that is not in the tree yet.
    pub(crate) fn detached(&mut self, name: &str, span: Span) -> NodeId {
        self.nodes.push(Node { name: name.into(), span, ..Node::default() });
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Adds a child at the end.
    pub fn add_child(&mut self, parent: NodeId, name: &str, span: Span) -> NodeId {
        let id = self.detached(name, span);
        self.attach(parent, id);
        id
    }

    pub(crate) fn attach(&mut self, parent: NodeId, child: NodeId) {
        self.node_mut(child).parent = Some(parent);
        self.node_mut(parent).children.push(child);
    }

    /// The children that exist.
    pub fn children(&self, id: NodeId) -> impl DoubleEndedIterator<Item = NodeId> + '_ {
        self.node(id).children.iter().copied().filter(|&c| !self.node(c).deleted)
    }

    /// The child of this exact name.
    pub fn child(&self, id: NodeId, name: &str) -> Option<NodeId> {
        self.children(id).find(|&c| self.node(c).name == name)
    }

    /// The property.
    pub fn prop(&self, id: NodeId, name: &str) -> Option<&Property> {
        self.node(id).prop(name)
    }

    /// Sets a property, at the end if it is new.
    pub fn set_prop(&mut self, id: NodeId, name: &str, data: Vec<u8>, span: Span) -> &mut Property {
        let props = &mut self.node_mut(id).props;
        let at = props.iter().position(|p| p.name == name).unwrap_or_else(|| {
            props.push(Property { name: name.into(), ..Property::default() });
            props.len() - 1
        });
        let p = &mut props[at];
        *p = Property {
            name: name.into(),
            labels: std::mem::take(&mut p.labels),
            data,
            span,
            ..Property::default()
        };
        p
    }

    /// All nodes, parents before children, in order.
    pub fn walk(&self) -> Vec<NodeId> {
        self.walk_from(Self::ROOT)
    }

    /// A node and all below it, parents before children, in order.
    pub fn walk_from(&self, root: NodeId) -> Vec<NodeId> {
        let mut out = Vec::new();
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if self.node(id).deleted {
                continue;
            }
            out.push(id);
            stack.extend(self.node(id).children.iter().rev());
        }
        out
    }

    /// The full path.
    pub fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while let Some(parent) = self.node(at).parent {
            names.push(self.node(at).name.as_str());
            at = parent;
        }
        let mut path = String::new();
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        if path.is_empty() { "/".into() } else { path }
    }

    /// The node at `path`, of exact names.
    pub fn by_path(&self, path: &str) -> Option<NodeId> {
        self.below(Self::ROOT, path)
    }

    fn below(&self, from: NodeId, path: &str) -> Option<NodeId> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(from, |at, name| self.child(at, name))
    }

    /// The node with this label.
    pub fn by_label(&self, label: &str) -> Option<NodeId> {
        let alive = |id: &&NodeId| {
            let node = self.node(**id);
            !node.deleted && node.labels.iter().any(|l| l == label) && self.attached(**id)
        };
        self.labels.get(label)?.iter().find(alive).copied()
    }

    /// The node that a reference names: a label, a path, or a label and a path below it.
    pub fn by_reference(&self, reference: &str) -> Option<NodeId> {
        if reference.starts_with('/') {
            return self.by_path(reference);
        }
        match reference.split_once('/') {
            Some((label, path)) => self.below(self.by_label(label)?, path),
            None => self.by_label(reference),
        }
    }

    /// The node that people name on a command line: a path, a label, or an alias.
    pub fn by_name(&self, name: &str) -> Option<NodeId> {
        self.by_reference(name).or_else(|| {
            let aliases = self.by_path("/aliases")?;
            self.by_path(&self.prop(aliases, name)?.string()?)
        })
    }

    /// The node whose phandle this is.
    pub fn by_phandle(&self, phandle: u32) -> Option<NodeId> {
        self.walk().into_iter().find(|&id| self.phandle(id) == Some(phandle))
    }

    /// The phandle of a node that has one.
    pub fn phandle(&self, id: NodeId) -> Option<u32> {
        let prop = self.prop(id, "phandle").or_else(|| self.prop(id, "linux,phandle"))?;
        prop.u32().filter(|&v| v != 0 && v != u32::MAX)
    }

    fn attached(&self, mut id: NodeId) -> bool {
        while let Some(parent) = self.node(id).parent {
            id = parent;
        }
        id == Self::ROOT
    }

    /// Labels a node; the newest label comes first.
    pub(crate) fn add_label(&mut self, id: NodeId, label: &str) {
        let labels = &mut self.node_mut(id).labels;
        if !labels.iter().any(|l| l == label) {
            labels.insert(0, label.into());
        }
        let known = self.labels.entry(label.into()).or_default();
        if !known.contains(&id) {
            known.push(id);
        }
    }

    pub(crate) fn delete(&mut self, id: NodeId) {
        for id in self.walk_from(id) {
            let node = self.node_mut(id);
            node.deleted = true;
            node.labels.clear();
            for p in &mut node.props {
                p.deleted = true;
                p.labels.clear();
            }
        }
    }

    /// Makes `new` the root of a tree that has nothing yet. What it deletes keeps its place, as in any first body.
    pub(crate) fn adopt(&mut self, new: NodeId) {
        let taken = std::mem::take(self.node_mut(new));
        self.node_mut(new).deleted = true;
        for &child in &taken.children {
            self.node_mut(child).parent = Some(Self::ROOT);
        }
        *self.node_mut(Self::ROOT) = taken;
    }

    /// Puts what `new` holds over `old`, as writing a node a second time does. `new` is gone afterwards.
    pub(crate) fn merge(&mut self, old: NodeId, new: NodeId) {
        let mut stack = vec![(old, new)];
        // Children are merged after their parent's properties, in order.
        while let Some((old, new)) = stack.pop() {
            let taken = std::mem::take(self.node_mut(new));
            self.node_mut(new).deleted = true;
            for label in &taken.labels {
                self.add_label(old, label);
            }
            let node = self.node_mut(old);
            node.deleted = false;
            node.omit_if_unused |= taken.omit_if_unused;
            node.span = taken.span;
            for prop in taken.props {
                node.put(prop);
            }
            let mut places: HashMap<String, NodeId> = HashMap::new();
            for &child in self.node(old).children.iter().filter(|_| !taken.children.is_empty()) {
                places.entry(self.node(child).name.clone()).or_insert(child);
            }
            for child in taken.children {
                let Node { name, deleted, .. } = self.node(child);
                let (place, deleted) = (places.get(name).copied(), *deleted);
                match place {
                    Some(target) if deleted => {
                        stack.retain(|&(pending, _)| pending != target);
                        self.delete(target);
                    }
                    None if deleted => {}
                    // Deferring is safe: a body has no two live children of one name.
                    Some(target) => {
                        self.node_mut(target).deleted = false;
                        stack.push((target, child));
                    }
                    None => {
                        places.insert(name.clone(), child);
                        self.attach(old, child);
                    }
                }
            }
        }
    }

    /// Forgets deleted nodes and properties.
    pub(crate) fn purge(&mut self) {
        for i in 0..self.nodes.len() {
            let children = std::mem::take(&mut self.nodes[i].children);
            let alive = children.into_iter().filter(|c| !self.nodes[c.0 as usize].deleted).collect();
            let node = &mut self.nodes[i];
            node.children = alive;
            node.props.retain(|p| !p.deleted);
        }
    }
}

impl Node {
    /// The property.
    pub fn prop(&self, name: &str) -> Option<&Property> {
        self.props.iter().find(|p| !p.deleted && p.name == name)
    }

    /// The name without unit address.
    pub fn base_name(&self) -> &str {
        self.name.split_once('@').map_or(&self.name, |(base, _)| base)
    }

    /// The text after `@` in the name.
    pub fn unit_address(&self) -> Option<&str> {
        self.name.split_once('@').map(|(_, unit)| unit)
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.props.is_empty() && self.children.is_empty() && self.labels.is_empty()
    }

    /// Adds or replaces a property as a second body of the node does.
    fn put(&mut self, new: Property) {
        if new.deleted {
            if let Some(p) = self.props.iter_mut().find(|p| !p.deleted && p.name == new.name) {
                p.deleted = true;
                p.labels.clear();
            }
            return;
        }
        match self.props.iter_mut().find(|p| p.name == new.name) {
            Some(old) => {
                for label in new.labels {
                    if !old.labels.contains(&label) {
                        old.labels.insert(0, label);
                    }
                }
                (old.data, old.markers, old.span, old.deleted) = (new.data, new.markers, new.span, false);
            }
            None => self.props.push(new),
        }
    }
}

impl Property {
    /// The value if it is one cell.
    pub fn u32(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.data.as_slice().try_into().ok()?))
    }

    /// The value as cells, if its length allows.
    pub fn cells(&self) -> Option<Vec<u32>> {
        let chunks = self.data.chunks_exact(4);
        chunks
            .remainder()
            .is_empty()
            .then(|| chunks.map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]])).collect())
    }

    /// The value if it is exactly one string.
    pub fn string(&self) -> Option<String> {
        let strings = self.strings()?;
        (strings.len() == 1).then(|| strings.into_iter().next()).flatten()
    }

    /// The value if it is a list of strings.
    pub fn strings(&self) -> Option<Vec<String>> {
        let text = std::str::from_utf8(&self.data).ok()?.strip_suffix('\0')?;
        Some(text.split('\0').map(str::to_string).collect())
    }
}
