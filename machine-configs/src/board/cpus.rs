//! The cores: `/cpus`.

use super::{
    address::cell_counts,
    arm,
    describe::{Context, enabled},
    description::Cpu,
    isa,
    props::Props,
};
use crate::tree::{NodeId, Property, Tree};

/// Nodes below /cpus that are cores.
pub(crate) fn core_nodes(tree: &Tree) -> Vec<NodeId> {
    let Some(cpus) = tree.by_path("/cpus") else { return Vec::new() };
    let is_cpu = |id: &NodeId| {
        let typed = tree.prop(*id, "device_type").and_then(Property::string).as_deref() == Some("cpu");
        typed || tree.node(*id).base_name() == "cpu"
    };
    tree.children(cpus).filter(is_cpu).collect()
}

/// The cores and the timer's frequency.
pub(crate) fn describe(c: &mut Context<'_>) -> (Vec<Cpu>, u64) {
    let tree = c.tree;
    let Some(cpus) = tree.by_path("/cpus") else {
        c.error(tree.node(Tree::ROOT).span, "the board has no `/cpus`", "add `cpus { cpu@0 { ... }; };`");
        return (Vec::new(), 0);
    };
    let mut out: Vec<Cpu> = Vec::new();
    let shared_timebase = c.number(cpus, "timebase-frequency");
    let mut timebase = shared_timebase;
    for id in core_nodes(tree).into_iter().filter(|&id| enabled(tree, id)) {
        let index = out.len();
        c.cpus.insert(id, index);
        for child in tree.children(id) {
            if tree.prop(child, "interrupt-controller").is_some() {
                c.cpus.insert(child, index);
            }
        }
        if timebase.is_none() {
            timebase = c.number(id, "timebase-frequency");
        }
        out.extend(core(c, cpus, id));
    }
    for (i, cpu) in out.iter().enumerate() {
        if let Some(first) = out[..i].iter().find(|other| other.reg == cpu.reg) {
            let d =
                crate::Diagnostic::new(c.sources, cpu.span, format!("two cores have the number {}", cpu.reg))
                    .help("give each `reg` another value")
                    .note(c.sources, first.span, "the other core");
            c.errors.push(d);
        }
    }
    // The controller of an M-profile core is a node of the bus, and a part of the core.
    if out.first().is_some_and(|cpu| cpu.arm.is_some()) {
        for nvic in arm::controllers(tree) {
            c.cpus.insert(nvic, 0);
        }
    }
    let span = tree.node(cpus).span;
    if out.is_empty() {
        c.error(span, "the board has no core", "add `cpu@0 { device_type = \"cpu\"; ... };` to `/cpus`");
    }
    let riscv = out.iter().any(|cpu| cpu.isa_base.is_some());
    match timebase {
        Some(0) => {
            let span = c.span(cpus, "timebase-frequency");
            c.error(span, "`timebase-frequency` cannot be 0", "");
        }
        None if riscv => {
            c.error(span, "`/cpus` has no `timebase-frequency`", "add `timebase-frequency = <10000000>;`")
        }
        _ => {}
    }
    (out, timebase.unwrap_or(0))
}

fn core(c: &mut Context<'_>, cpus: NodeId, id: NodeId) -> Option<Cpu> {
    let tree = c.tree;
    let node = tree.node(id);
    let (address, _) = cell_counts(c, cpus);
    let reg = tree
        .prop(id, "reg")
        .and_then(Property::cells)
        .filter(|cells| !cells.is_empty() && cells.len() == address);
    let Some(reg) = reg else {
        let span = c.span(id, "reg");
        c.error(
            span,
            format!("core `{}` needs a `reg` of {address} cells", node.name),
            "its number, as in `reg = <0>;`",
        );
        return None;
    };
    let compatible = c.strings(id, "compatible");
    let clock = c.number(id, "clock-frequency").or_else(|| c.number(cpus, "clock-frequency"));
    if clock == Some(0) {
        let span = c.span(id, "clock-frequency");
        c.error(span, "`clock-frequency` cannot be 0", "");
    }
    let riscv = compatible.iter().any(|c| c == "riscv") || tree.prop(id, "riscv,isa").is_some();
    let (base, extensions) = if riscv { isa_of(c, id) } else { (None, Vec::new()) };
    let arm = arm::core_of(c, id, &compatible);
    let mmu = c.string(id, "mmu-type");
    if let Some(kind) = &mmu
        && !["riscv,none", "riscv,sv32", "riscv,sv39", "riscv,sv48", "riscv,sv57"].contains(&kind.as_str())
    {
        let span = c.span(id, "mmu-type");
        c.error(
            span,
            format!("`{kind}` is no mmu-type"),
            "riscv,none, riscv,sv32, riscv,sv39, riscv,sv48 or riscv,sv57",
        );
    }
    let narrow = base.as_deref().is_some_and(|b| b.starts_with("rv32"));
    if let Some(kind @ ("riscv,sv32" | "riscv,sv39" | "riscv,sv48" | "riscv,sv57")) = mmu.as_deref()
        && base.is_some()
        && narrow != (kind == "riscv,sv32")
    {
        let span = c.span(id, "mmu-type");
        c.error(
            span,
            format!("`{kind}` does not go with this base"),
            "rv32i has riscv,sv32; rv64i has the others",
        );
    }
    for name in ["riscv,cbom-block-size", "riscv,cbop-block-size", "riscv,cboz-block-size"] {
        if let Some(size) = c.number(id, name)
            && !(size.is_power_of_two() && size <= 4096)
        {
            let span = c.span(id, name);
            c.error(span, format!("`{name}` must be a power of two up to 4096"), "64 is usual");
        }
    }
    Some(Cpu {
        path: tree.path(id),
        label: node.labels.last().cloned(),
        compatible,
        reg: reg.iter().fold(0, |v, &cell| v << 32 | u64::from(cell)),
        // One instruction each nanosecond, where the board does not say.
        clock_hz: clock.unwrap_or(1_000_000_000),
        isa_base: base,
        isa_extensions: extensions,
        mmu,
        arm,
        props: Props::new(node, c.sources),
        span: node.span,
    })
}

/// Base and extensions: the newer pair of properties, or the older string.
fn isa_of(c: &mut Context<'_>, id: NodeId) -> (Option<String>, Vec<String>) {
    let tree = c.tree;
    let (base, extensions, prop) = if tree.prop(id, "riscv,isa-extensions").is_some() {
        let base = c.string(id, "riscv,isa-base");
        if base.is_none() {
            let span = tree.node(id).span;
            c.error(
                span,
                "`riscv,isa-extensions` needs `riscv,isa-base` beside it",
                "\"rv32i\" or \"rv64i\"",
            );
        }
        (base, c.strings(id, "riscv,isa-extensions"), "riscv,isa-extensions")
    } else {
        let Some(text) = c.string(id, "riscv,isa") else {
            let help = "add `riscv,isa-base` and `riscv,isa-extensions`";
            c.error(tree.node(id).span, "the core does not say which instructions it has", help);
            return (None, Vec::new());
        };
        match isa::split(&text) {
            Ok((base, extensions)) => (Some(base), extensions, "riscv,isa"),
            Err(message) => {
                let span = c.span(id, "riscv,isa");
                c.error(span, message, "as in \"rv64imafdc_zicsr_zifencei\"");
                return (None, Vec::new());
            }
        }
    };
    if let Some(base) = &base
        && !["rv32i", "rv64i", "rv32e", "rv64e"].contains(&base.as_str())
    {
        let span = c.span(id, "riscv,isa-base");
        c.error(span, format!("`{base}` is no base"), "\"rv32i\" or \"rv64i\"");
    }
    for name in &extensions {
        if !isa::known(name) {
            let span = c.span(id, prop);
            let help = match isa::nearest(name) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "names are those of the RISC-V specifications, in lower case".into(),
            };
            c.error(span, format!("`{name}` is no known extension"), &help);
        }
    }
    (base, extensions)
}
