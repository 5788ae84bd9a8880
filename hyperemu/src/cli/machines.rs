//! `hyperemu machines` and `hyperemu machine show`.

use crate::cli::ShowArgs;
use crate::error::UsageError;
use crate::host::resources::HostResources;
use crate::machine::Machine;
use crate::machine::UnimplementedPolicy;
use crate::machine::build::{self, Options};
use devices_core::ControlSpec;
use machine_configs::{Board, Chosen, Controller, Description, DeviceNode};
use serde_json::{Value, json};

/// Lists the boards.
pub fn list(as_json: bool) -> Result<u8, UsageError> {
    let boards = machine_configs::builtin_boards();
    if as_json {
        say!("{}", serde_json::to_string_pretty(&boards).unwrap_or_default());
    } else {
        let width = boards.iter().map(|board| board.name.len()).max().unwrap_or(0);
        for board in boards {
            say!("{:width$}  {}", board.name, board.summary);
        }
    }
    Ok(0)
}

/// Shows one board.
pub fn show(args: &ShowArgs) -> Result<u8, UsageError> {
    let board = args.board.compile(&args.machine)?;
    if args.dts {
        say!("{}", board.dts().trim_end());
        return Ok(0);
    }
    if let Some(path) = &args.dtb {
        let blob = board.dtb(&Chosen::default());
        std::fs::write(path, blob).map_err(|error| format!("can not write {}: {error}", path.display()))?;
        return Ok(0);
    }
    let mut resources = HostResources::default();
    let options = Options {
        seed: 0,
        policy: UnimplementedPolicy::Ignore,
        builtin_sbi: true,
        semihosting: false,
        resources: &mut resources,
    };
    let machine = build::build(&board, options)?;
    if args.json {
        say!("{:#}", as_json(&board, &machine));
    } else if args.controls {
        print_controls(&machine);
    } else {
        print_tree(&board.description, &machine);
    }
    Ok(0)
}

fn value_of(machine: &Machine, spec: &ControlSpec) -> String {
    machine.control(&spec.name).map_or_else(|_| "-".into(), |value| value.to_string())
}

fn as_json(board: &Board, machine: &Machine) -> Value {
    let controls: Vec<Value> = machine
        .controls()
        .iter()
        .map(|(device, spec)| {
            json!({
                "name": spec.name, "device": machine.bus.slots[*device].name, "unit": spec.unit,
                "takes": spec.kind.to_string(), "settable": spec.settable,
                "value": value_of(machine, spec), "help": spec.help,
            })
        })
        .collect();
    let models: Vec<Value> = machine
        .bus
        .slots
        .iter()
        .map(|slot| json!({ "name": slot.name, "path": slot.path, "model": slot.summary }))
        .collect();
    json!({ "board": board.description, "models": models, "controls": controls })
}

fn print_controls(machine: &Machine) {
    let controls = machine.controls();
    if controls.is_empty() {
        say!("this board has no controls");
    }
    for (_, spec) in &controls {
        let access = if spec.settable { "" } else { " (read only)" };
        let value = value_of(machine, spec);
        let unit = if spec.unit.is_empty() { String::new() } else { format!(" {}", spec.unit) };
        say!("{:28} {value}{unit}{access}\n{:28} {}; {}", spec.name, "", spec.help, spec.kind);
    }
}

fn print_tree(board: &Description, machine: &Machine) {
    say!("{}: {}", board.name, board.summary);
    say!("{}", board.compatible.join(", "));
    say!("\ncores");
    for cpu in &board.cpus {
        let mmu = cpu.mmu.as_deref().map_or(String::new(), |mmu| format!(", {mmu}"));
        let mhz = cpu.clock_hz / 1_000_000;
        if let Some(arm) = &cpu.arm {
            let fpu = if arm.fpu { ", FPU" } else { "" };
            let mpu =
                if arm.mpu_regions > 0 { format!(", MPU of {}", arm.mpu_regions) } else { String::new() };
            say!("  {} {mhz} MHz, {}{fpu}{mpu}", cpu.path, arm.part);
            say!("    {} interrupts of {} priorities", arm.interrupts, 1 << arm.priority_bits);
            continue;
        }
        let base = cpu.isa_base.as_deref().unwrap_or("?");
        say!("  {} {mhz} MHz, {base}{mmu}", cpu.path);
        say!("    {}", cpu.isa_extensions.join(" "));
    }
    say!("\nmemory");
    for region in &board.memory {
        say!("  {:#010x}-{:#010x} {} KiB", region.base, region.base + region.size - 1, region.size / 1024);
    }
    say!("\ndevices");
    for node in board.devices.iter().filter(|node| node.parent.is_none()) {
        print_device(board, machine, node, 1);
    }
    if !machine.controls().is_empty() {
        say!("\ncontrols (--set NAME=VALUE)");
        print_controls(machine);
    }
}

/// Interrupts in words, with runs of three and more shortened: `plic 8-39`.
fn ranges(lines: &[(String, String)]) -> Vec<String> {
    let number = |line: &(String, String)| line.1.parse::<u64>().ok();
    let follows = |a: &(String, String), b: &(String, String)| {
        a.0 == b.0 && number(a).is_some_and(|n| number(b) == n.checked_add(1))
    };
    let runs = lines.chunk_by(follows);
    let in_words = |run: &[(String, String)]| match run {
        [first, _, .., last] => vec![format!("{} {}-{}", first.0, first.1, last.1)],
        _ => run.iter().map(|line| format!("{} {}", line.0, line.1).trim_end().to_string()).collect(),
    };
    runs.flat_map(in_words).collect()
}

fn print_device(board: &Description, machine: &Machine, node: &DeviceNode, depth: usize) {
    let indent = "  ".repeat(depth);
    let slot = machine.bus.slots.iter().find(|slot| slot.path == node.path);
    let compatible: Vec<&str> = node.compatible.iter().map(String::as_str).collect();
    let chip = devices_models::i2c_chip_for(&compatible).map(|model| model.summary);
    let chip = chip.or(devices_models::spi_chip_for(&compatible).map(|model| model.summary));
    let known = compatible.iter().any(|name| build::is_known(name));
    let model = match (slot.map(|slot| slot.summary).or(chip), known || compatible.is_empty()) {
        (Some(summary), _) => summary,
        (None, true) => "",
        (None, false) => "no model",
    };
    let place: Vec<String> = node
        .reg
        .iter()
        .map(|reg| match node.mapped {
            true => format!("{:#010x}+{:#x}", reg.base, reg.size),
            false => format!("@{:#x}", reg.base),
        })
        .collect();
    let name = slot.map_or(node.display_name(), |slot| slot.name.as_str());
    let compatible = compatible.first().copied().unwrap_or("");
    let line = format!("{indent}{name:16} {:24} {compatible:22} {model}", place.join(" "));
    say!("{}", line.trim_end());
    if !node.interrupts.is_empty() {
        let lines: Vec<(String, String)> = node
            .interrupts
            .iter()
            .map(|interrupt| {
                let cells: Vec<String> = interrupt.cells.iter().map(u32::to_string).collect();
                let to = match interrupt.controller {
                    Controller::Cpu(core) => format!("cpu{core}"),
                    Controller::Device(device) => board.devices[device].display_name().to_string(),
                    Controller::None => "nothing".to_string(),
                };
                (to, cells.join(" "))
            })
            .collect();
        say!("{indent}{:16} interrupts: {}", "", ranges(&lines).join(", "));
    }
    for (_, child) in node.children.iter().filter_map(|&child| Some((child, board.devices.get(child)?))) {
        print_device(board, machine, child, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs_of_interrupts_are_shortened() {
        let lines: Vec<(String, String)> = [
            ("plic", "8"),
            ("plic", "9"),
            ("plic", "10"),
            ("plic", "12"),
            ("plic", "13"),
            ("cpu0", "14"),
            ("gpio0", "9 4"),
        ]
        .map(|(to, cells)| (to.to_string(), cells.to_string()))
        .to_vec();
        assert_eq!(super::ranges(&lines), ["plic 8-10", "plic 12", "plic 13", "cpu0 14", "gpio0 9 4"]);
    }
}
