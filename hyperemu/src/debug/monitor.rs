//! What `monitor` can do in gdb.

use super::Debugged;
use crate::load::parse_number;
use crate::machine::Machine;
use cpu_core::MemoryKind;
use debugger::{Answer, Target};
use std::fmt::Write;

/// Carries out a command; the rest of its line is the argument. Errors are for the user too.
type Run = fn(&mut Debugged, &str) -> Result<String, String>;

struct Command {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: Run,
}

const COMMANDS: [Command; 11] = [
    Command { name: "help", arguments: "", help: "this list", run: |_, _| Ok(help()) },
    Command { name: "info", arguments: "", help: "the machine, its time and its cores", run: info },
    Command { name: "devices", arguments: "", help: "all devices and where they are", run: devices },
    Command { name: "device", arguments: "NAME", help: "registers and state of a device", run: device },
    Command { name: "controls", arguments: "", help: "the values of the physical world", run: controls },
    Command {
        name: "set",
        arguments: "CONTROL=VALUE",
        help: "set one of them, as soon as the machine may be given it",
        run: set,
    },
    Command { name: "memory", arguments: "", help: "the physical memory map", run: memory },
    Command {
        name: "translate",
        arguments: "ADDRESS [CORE]",
        help: "the physical address of a virtual one on a core",
        run: translate,
    },
    Command { name: "hash", arguments: "", help: "a hash of all that the guest can see", run: hash },
    Command {
        name: "reset",
        arguments: "",
        help: "back to power-on; then `maintenance flush register-cache`",
        run: reset,
    },
    Command { name: "quit", arguments: "", help: "end the program", run: |_, _| Ok(String::new()) },
];

pub fn run(debugged: &mut Debugged, line: &str) -> Answer {
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = if name.is_empty() { "help" } else { name };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Answer {
            text: format!("there is no command {name:?}; `monitor help` lists them\n"),
            quit: false,
        };
    };
    let argument = argument.trim();
    if argument.is_empty() != command.arguments.is_empty() {
        return Answer {
            text: format!("usage: monitor {} {}\n", command.name, command.arguments),
            quit: false,
        };
    }
    let text = (command.run)(debugged, argument).unwrap_or_else(|error| format!("error: {error}\n"));
    Answer { text, quit: command.name == "quit" }
}

fn help() -> String {
    let mut text = String::new();
    for Command { name, arguments, help, .. } in COMMANDS {
        let usage = format!("{name} {arguments}");
        let _ = writeln!(text, "monitor {usage:26}{help}");
    }
    text
}

fn info(debugged: &mut Debugged, _: &str) -> Result<String, String> {
    let machine = &debugged.runner.machine;
    let mut text =
        format!("machine {}, seed {}, reset {} times\n", machine.name, machine.seed, machine.resets);
    let place = if debugged.at_boundary() { "between rounds" } else { "in a round" };
    let _ = writeln!(text, "virtual time {:.9} s, {place}", machine.now().as_secs_f64());
    let _ = writeln!(text, "{} instructions", machine.instructions());
    for (index, cpu) in machine.cores.iter().enumerate() {
        let time = machine.schedule.local.get(index).copied().unwrap_or_default();
        let core = cpu.view();
        let (count, seconds) = (core.instructions(), time.as_secs_f64());
        let _ = writeln!(text, "core {index}: {count} instructions, at {seconds:.9} s: {}", core.describe());
    }
    Ok(text)
}

fn devices(debugged: &mut Debugged, _: &str) -> Result<String, String> {
    let bus = &debugged.runner.machine.bus;
    let mut text = String::new();
    for (id, slot) in bus.slots.iter().enumerate() {
        let places: Vec<String> = bus
            .mappings()
            .filter(|mapping| mapping.2 == id)
            .map(|(base, size, ..)| format!("{base:#010x}+{size:#x}"))
            .collect();
        let _ = writeln!(text, "{:16} {:24} {}", slot.name, places.join(" "), slot.summary);
    }
    Ok(text)
}

fn device(debugged: &mut Debugged, name: &str) -> Result<String, String> {
    let slots = &debugged.runner.machine.bus.slots;
    let slot = slots.iter().find(|slot| slot.name == name || slot.path == name);
    let slot = slot.ok_or_else(|| format!("there is no device {name:?}; `monitor devices` lists them"))?;
    let mut text = format!("{} ({}), {}\n", slot.name, slot.path, slot.summary);
    for field in slot.device.inspect() {
        let _ = writeln!(text, "  {:24} {}", field.name, field.value);
    }
    Ok(text)
}

fn controls(debugged: &mut Debugged, _: &str) -> Result<String, String> {
    let machine = &debugged.runner.machine;
    let mut text = String::new();
    for (_, spec) in machine.controls() {
        let value = machine.control(&spec.name).map_or("?".to_string(), |value| value.to_string());
        let takes = if spec.settable { spec.kind.to_string() } else { "read only".to_string() };
        let value = format!("{value} {}", spec.unit);
        let _ = writeln!(text, "{:28} {value:16} {takes}; {}", spec.name, spec.help);
    }
    Ok(text)
}

fn set(debugged: &mut Debugged, assignment: &str) -> Result<String, String> {
    let (name, value) = assignment.split_once('=').ok_or("write CONTROL=VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    let specs = debugged.runner.machine.controls();
    let (_, spec) = specs
        .iter()
        .find(|(_, spec)| spec.name == name)
        .ok_or_else(|| format!("there is no control {name:?}; `monitor controls` lists them"))?;
    if !spec.settable {
        return Err(format!("{name} can only be read"));
    }
    spec.parse(value).map_err(|error| error.to_string())?;
    debugged.assignments.push((name.to_string(), value.to_string()));
    if !debugged.at_boundary() {
        return Ok(format!("{name} will be {value} when this round ends\n"));
    }
    debugged.assign();
    Ok(format!("{name} is {value}\n"))
}

fn memory(debugged: &mut Debugged, _: &str) -> Result<String, String> {
    let machine: &Machine = &debugged.runner.machine;
    let mut lines: Vec<(u64, u64, String)> = Vec::new();
    for region in machine.bus.services.memory.regions() {
        let spec = region.spec();
        let kind = match spec.kind {
            MemoryKind::Ram => "RAM",
            MemoryKind::Rom => "ROM",
        };
        lines.push((spec.base, spec.size, format!("{kind} {}", spec.name)));
    }
    for (base, size, id, _) in machine.bus.mappings() {
        let name = machine.bus.slots.get(id).map_or("", |slot| slot.name.as_str());
        lines.push((base, size, format!("device {name}")));
    }
    lines.sort();
    let mut text = String::new();
    for (base, size, what) in lines {
        let last = base.saturating_add(size.saturating_sub(1));
        let _ = writeln!(text, "{base:#018x}..={last:#018x} {what}");
    }
    Ok(text)
}

fn translate(debugged: &mut Debugged, arguments: &str) -> Result<String, String> {
    let mut words = arguments.split_whitespace();
    let address = words.next().and_then(parse_number).ok_or("expected an address")?;
    let core = match words.next() {
        Some(word) => word.parse().map_err(|_| format!("{word:?} is no number of a core"))?,
        None => 0,
    };
    let core = debugged.core(core).ok_or_else(|| format!("there is no core {core}"))?;
    match core.translate(address) {
        Some(physical) => Ok(format!("{address:#x} is at {physical:#x}\n")),
        None => Err(format!("{address:#x} is not mapped")),
    }
}

fn hash(debugged: &mut Debugged, _: &str) -> Result<String, String> {
    Ok(format!("{:032x}\n", debugged.runner.machine.state_hash()))
}

fn reset(debugged: &mut Debugged, _: &str) -> Result<String, String> {
    if debugged.ending.is_some() {
        return Err("the run is over".to_string());
    }
    debugged.runner.machine.reset();
    Ok("the machine is at power-on\n".to_string())
}
