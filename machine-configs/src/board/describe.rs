//! Makes the [`Description`] of a compiled tree, checking everything that a machine depends on.

use std::{collections::HashMap, sync::Arc};

use super::{
    address::{Space, reg_of},
    cpus,
    description::*,
    interrupts,
    props::Props,
};
use crate::{
    error::{Diagnostic, Error},
    source::{SourceMap, Span},
    tree::{NodeId, Property, Tree},
};

/// Everything known while the description grows.
pub(crate) struct Context<'a> {
    pub tree: &'a Tree,
    pub sources: &'a Arc<SourceMap>,
    pub phandles: HashMap<u32, NodeId>,
    /// Mistakes found so far; the board fails when there is any.
    pub errors: Vec<Diagnostic>,
    /// What is odd, but possible.
    pub warnings: Vec<Diagnostic>,
    pub devices: HashMap<NodeId, DeviceIndex>,
    /// Cores and their local interrupt controllers.
    pub cpus: HashMap<NodeId, usize>,
}

impl Context<'_> {
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: &str) {
        let d = Diagnostic::new(self.sources, span, message);
        self.errors.push(if help.is_empty() { d } else { d.help(help) });
    }

    pub fn span(&self, id: NodeId, prop: &str) -> Span {
        self.tree.prop(id, prop).map_or(self.tree.node(id).span, |p| p.span)
    }

    /// A cell-count property of a node.
    pub fn count(&mut self, id: NodeId, name: &str) -> Option<usize> {
        let p = self.tree.prop(id, name)?;
        match p.u32() {
            Some(n) if n <= 16 => Some(n as usize),
            _ => {
                self.error(p.span, format!("`{name}` must be one cell of at most 16"), "");
                None
            }
        }
    }

    pub fn strings(&mut self, id: NodeId, name: &str) -> Vec<String> {
        let Some(p) = self.tree.prop(id, name) else { return Vec::new() };
        match p.strings() {
            Some(strings) => strings,
            None => {
                self.error(p.span, format!("`{name}` must be strings in quotes"), "");
                Vec::new()
            }
        }
    }

    pub fn string(&mut self, id: NodeId, name: &str) -> Option<String> {
        let p = self.tree.prop(id, name)?;
        let value = p.string();
        if value.is_none() {
            self.error(p.span, format!("`{name}` must be one string in quotes"), "");
        }
        value
    }

    pub fn number(&mut self, id: NodeId, name: &str) -> Option<u64> {
        let p = self.tree.prop(id, name)?;
        let value = super::props::number(p);
        if value.is_none() {
            self.error(p.span, format!("`{name}` must be a number of one or two cells"), "");
        }
        value
    }
}

/// Whether a node takes part in the machine.
pub(crate) fn enabled(tree: &Tree, id: NodeId) -> bool {
    tree.prop(id, "status").and_then(Property::string).is_none_or(|s| s == "okay" || s == "ok")
}

/// Children of the root that describe no hardware.
const NOT_HARDWARE: [&str; 7] =
    ["aliases", "chosen", "cpus", "reserved-memory", "__symbols__", "__fixups__", "__local_fixups__"];

/// Buses whose devices hang on the cores' bus themselves.
const TRANSPARENT: [&str; 3] = ["simple-bus", "simple-mfd", "simple-pm-bus"];

/// Memory by `compatible`.
const MEMORIES: [(&str, MemoryKind); 6] = [
    ("mmio-sram", MemoryKind::Sram),
    ("sifive,itim0", MemoryKind::Sram),
    ("sifive,maskrom0", MemoryKind::Rom),
    ("sifive,modeselect0", MemoryKind::Rom),
    ("sifive,otp-memory0", MemoryKind::Rom),
    ("mtd-rom", MemoryKind::Rom),
];

pub(crate) fn describe(
    tree: &Tree,
    sources: &Arc<SourceMap>,
    name: &str,
) -> Result<(Description, Vec<Diagnostic>), Error> {
    let phandles = tree.walk().into_iter().filter_map(|id| Some((tree.phandle(id)?, id))).collect();
    let mut c = Context {
        tree,
        sources,
        phandles,
        errors: Vec::new(),
        warnings: Vec::new(),
        devices: HashMap::new(),
        cpus: HashMap::new(),
    };
    super::properties::check(&mut c);
    super::properties::check_hidden(&mut c);
    let root = Tree::ROOT;
    let (cpus, timebase_hz) = cpus::describe(&mut c);
    let mut nodes = Nodes { devices: Vec::new(), ids: Vec::new(), memory: Vec::new() };
    collect(&mut c, root, None, true, &mut nodes);
    let Nodes { mut devices, ids, mut memory } = nodes;
    memory.sort_by_key(|m| m.kind != MemoryKind::Ram);
    if memory.iter().all(|m| m.kind == MemoryKind::Rom) {
        c.error(
            tree.node(root).span,
            "the board has no memory",
            "add `memory@80000000 { device_type = \"memory\"; reg = <...>; };`",
        );
    }
    for (device, &id) in devices.iter_mut().zip(&ids) {
        device.interrupts = interrupts::of(&mut c, id);
        device.references = super::references::of(&mut c, id);
    }
    super::address::check_overlaps(&mut c, &devices, &memory);

    let aliases = tree.by_path("/aliases").map_or(Vec::new(), |aliases| {
        let mut out = Vec::new();
        for p in &tree.node(aliases).props {
            let target = p.string().and_then(|path| tree.by_path(&path));
            match target {
                Some(id) => out.extend(c.devices.get(&id).map(|&d| (p.name.clone(), d))),
                None if p.name == "phandle" => {}
                None => c.error(p.span, format!("alias `{}` names no node", p.name), "use `name = &label;`"),
            }
        }
        out
    });
    let stdout = tree.by_path("/chosen").and_then(|chosen| {
        let path = c.string(chosen, "stdout-path")?;
        let name = path.split(':').next().unwrap_or("");
        let found = tree.by_name(name).and_then(|id| c.devices.get(&id).copied());
        if found.is_none() {
            let span = c.span(chosen, "stdout-path");
            c.error(
                span,
                format!("`{name}` names no device"),
                "use an alias or a path of an enabled serial port",
            );
        }
        found
    });
    let boot = match c.string(root, "hyperemu,boot").as_deref() {
        Some("sbi") => Boot::Sbi,
        Some("flash") => Boot::Flash,
        Some("elf") => Boot::Elf,
        Some("vectors") => Boot::Vectors,
        _ if cpus.iter().any(|cpu| cpu.arm.is_some()) => Boot::Vectors,
        // Cores with an MMU are for operating systems, which expect firmware.
        _ if cpus.iter().any(|cpu| cpu.mmu.as_deref().is_some_and(|mmu| mmu != "riscv,none")) => Boot::Sbi,
        _ => Boot::Elf,
    };
    let model = c.string(root, "model").unwrap_or_else(|| name.to_string());
    let size = tree.prop(root, "hyperemu,window-size").and_then(Property::cells);
    let description = Description {
        name: name.to_string(),
        compatible: c.strings(root, "compatible"),
        summary: c.string(root, "hyperemu,summary").unwrap_or_default(),
        boot,
        image: c.string(root, "hyperemu,image"),
        reset_vector: c.number(root, "hyperemu,reset-vector"),
        window: Window {
            title: c.string(root, "hyperemu,window-title").unwrap_or_else(|| model.clone()),
            skin: c.string(root, "hyperemu,skin"),
            size: size.and_then(|s| Some((*s.first()?, *s.get(1)?))),
        },
        model,
        cpus,
        timebase_hz,
        memory,
        devices,
        stdout,
        aliases,
        unknown: Vec::new(),
    };
    if c.errors.is_empty() {
        Ok((description, c.warnings))
    } else {
        // In the order of the source, so that the first is where reading starts.
        c.errors.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Err(Error { diagnostics: c.errors })
    }
}

struct Nodes {
    devices: Vec<DeviceNode>,
    ids: Vec<NodeId>,
    memory: Vec<MemoryRegion>,
}

/// Adds what is below `parent`: `owner` is the device it belongs to, `top` whether it hangs on the cores' bus.
fn collect(c: &mut Context<'_>, parent: NodeId, owner: Option<DeviceIndex>, top: bool, nodes: &mut Nodes) {
    let tree = c.tree;
    for id in tree.children(parent) {
        let node = tree.node(id);
        if parent == Tree::ROOT && NOT_HARDWARE.contains(&node.name.as_str()) || !enabled(tree, id) {
            continue;
        }
        let compatible = c.strings(id, "compatible");
        let kind = memory_kind(tree, id, &compatible);
        if let Some(kind) = kind.filter(|_| top) {
            memory(c, id, kind, compatible, nodes);
            continue;
        }
        let transparent = TRANSPARENT.iter().any(|t| compatible.iter().any(|c| c == t));
        let only_bus = compatible.iter().all(|c| TRANSPARENT.contains(&c.as_str()));
        if top && only_bus {
            collect(c, id, None, true, nodes);
            continue;
        }
        let (space, reg) = reg_of(c, id, top);
        let index = nodes.devices.len();
        c.devices.insert(id, index);
        if let Some(owner) = owner.and_then(|o| nodes.devices.get_mut(o)) {
            owner.children.push(index);
        }
        nodes.ids.push(id);
        nodes.devices.push(DeviceNode {
            path: tree.path(id),
            name: node.name.clone(),
            label: node.labels.last().cloned(),
            compatible,
            parent: owner,
            children: Vec::new(),
            mapped: top && space == Space::Cpu && !reg.is_empty(),
            reg,
            interrupts: Vec::new(),
            references: Vec::new(),
            hidden: node.prop("hyperemu,hidden").is_some()
                || owner.and_then(|o| nodes.devices.get(o)).is_some_and(|d| d.hidden),
            props: Props::new(node, c.sources),
            span: node.span,
        });
        if transparent {
            collect(c, id, None, top, nodes);
        } else {
            collect(c, id, Some(index), false, nodes);
        }
    }
}

fn memory_kind(tree: &Tree, id: NodeId, compatible: &[String]) -> Option<MemoryKind> {
    if tree.prop(id, "device_type").and_then(Property::string).as_deref() == Some("memory") {
        return Some(MemoryKind::Ram);
    }
    MEMORIES.iter().find(|(name, _)| compatible.iter().any(|c| c == name)).map(|m| m.1)
}

fn memory(c: &mut Context<'_>, id: NodeId, kind: MemoryKind, compatible: Vec<String>, nodes: &mut Nodes) {
    let node = c.tree.node(id);
    let (space, reg) = reg_of(c, id, true);
    if reg.is_empty() || space != Space::Cpu {
        c.error(node.span, format!("memory `{}` has no addresses", node.name), "add `reg = <address size>;`");
        return;
    }
    for r in reg {
        if r.size == 0 {
            let span = c.span(id, "reg");
            c.error(span, "this memory has a size of 0", "give the size: --memory 1G");
            continue;
        }
        nodes.memory.push(MemoryRegion {
            path: c.tree.path(id),
            label: node.labels.last().cloned(),
            compatible: compatible.clone(),
            kind,
            base: r.base,
            size: r.size,
            span: c.span(id, "reg"),
        });
    }
}
